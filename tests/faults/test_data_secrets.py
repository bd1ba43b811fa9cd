"""B92: every secret is changed while everything runs: the old and the new one are believed meanwhile."""

from typing import Any, Final

from accounts import sessions
from tests.factories import PASSWORD
from tests.faults.harness.houses import House
from tests.faults.harness.http import Answer, Client
from tests.faults.harness.stack import Stack
from tests.faults.harness.waiting import until

NEW_KEY: Final = "a-key-that-was-made-this-morning-0123456789-abcdefghijk"
NEW_JWT_KEY: Final = "another-key-that-was-made-this-morning-0123456789-abcdef"


def signed_in(house: House) -> dict[str, str]:
    with house.stack.django():
        tokens = sessions.sign_in(email=house.ana.email, password=PASSWORD)
    return {"accessToken": tokens.access, "refreshToken": tokens.refresh}


def me(house: House, tokens: dict[str, str]) -> Answer:
    return Client(house.stack, lambda: tokens["accessToken"]).call("GET", "/api/auth/me")


def refreshed(house: House, tokens: dict[str, str]) -> Answer:
    body = {"refreshToken": tokens["refreshToken"]}
    return Client(house.stack).call("POST", "/api/auth/refresh", body)


def test_B92_tokens_of_the_old_and_of_the_new_signing_key_open_the_door(stack: Stack) -> None:
    house = stack.house()
    old_key = stack.web.environment["JWT_SIGNING_KEY"]
    before = signed_in(house)

    stack.web.restart(JWT_SIGNING_KEY=NEW_JWT_KEY, JWT_SIGNING_KEY_FALLBACKS=old_key)
    stack.wait_until_ready()

    assert me(house, before).status == 200
    after = refreshed(house, before)
    assert after.status == 200, after.text
    assert me(house, after.json).status == 200

    stack.web.restart(JWT_SIGNING_KEY=NEW_JWT_KEY)
    stack.wait_until_ready()

    assert (me(house, before).status, me(house, before).code) == (401, "1008")
    assert me(house, after.json).status == 200  # signed by the new key


def test_B92_reports_signed_under_the_old_keys_are_believed(stack: Stack) -> None:
    """Our own signature in the address, and the carrier's by its token: both were changed meanwhile."""
    house = stack.house(contacts=3)
    old_key = stack.web.environment["SECRET_KEY"]
    account, token = "AC00000000000000000000000000000000", "sandbox-token"
    old = stack.web.environment["SMS_PROVIDERS"]
    assert f"{account}:{token}@" in old
    new = old.replace(f"{account}:{token}@", f"{account}:new-token@")
    rotated = f"{new}&previous_token={token}"
    with stack.callbacks.refuse():  # reports are on their way while the keys change
        queue_id = house.send("Hola")
        house.wait_until_sent(queue_id)
        stack.web.restart(SECRET_KEY=NEW_KEY, SECRET_KEY_FALLBACKS=old_key, SMS_PROVIDERS=rotated)

    house.wait_until_delivered(queue_id)

    # And the other way round: who sends has the new secrets already.
    stack.worker.restart(
        SECRET_KEY=NEW_KEY, SECRET_KEY_FALLBACKS=old_key, SMS_PROVIDERS=new_for(stack.worker)
    )
    stack.wait_until_ready()
    house.wait_until_delivered(house.send("Hola otra vez"))


def new_for(part: Any) -> str:
    given: str = part.environment["SMS_PROVIDERS"]
    return given.replace(":sandbox-token@", ":new-token@")


def test_B92_without_the_carriers_old_token_its_reports_are_refused(stack: Stack) -> None:
    """So that the test above shows something: nothing else than the old secret lets them in."""
    house = stack.house(contacts=1)
    refused = stack.carrier_stats()["reports"]["failed"]
    with stack.callbacks.refuse():
        queue_id = house.send("Hola")
        house.wait_until_sent(queue_id)
        stack.web.restart(SMS_PROVIDERS=new_for(stack.web))
    stack.wait_until_ready()

    until(lambda: stack.carrier_stats()["reports"]["failed"] > refused, 60, "it was refused")

    assert house.statuses(queue_id) == {"SENT": 1}


def test_B92_without_our_old_key_a_message_is_still_known_by_the_carriers_own_id(
    stack: Stack,
) -> None:
    """Only what is UNKNOWN, and so has no id of the carrier's, needs our signature in the address."""
    house = stack.house(contacts=1)
    with stack.callbacks.refuse():
        queue_id = house.send("Hola")
        house.wait_until_sent(queue_id)
        stack.web.restart(SECRET_KEY=NEW_KEY)

    house.wait_until_delivered(queue_id)

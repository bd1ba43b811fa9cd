"""A broadcast through Vonage from end to end: sent, reported, found again, answered."""

from collections.abc import Callable

from tests.faults.carriers import message, numbers
from tests.faults.harness.carrier import writes
from tests.faults.harness.stack import Stack
from tests.faults.harness.waiting import until

KEY = "a1b2c3d4"
PROVIDER = (
    f"vonage://{KEY}:sandbox-secret@api.nexmo.com?from=Acme&signature_secret=sandbox-secret"
    "&concurrency=10&base_url={carrier}"
)
REPLY_LOST, OPTED_OUT, UNDELIVERED = "+14025550100", "+14065550100", "+17015550100"


def test_a_broadcast_through_vonage_is_delivered_and_answered(
    own_stack: Callable[..., Stack],
) -> None:
    stack = own_stack(SMS_PROVIDERS=PROVIDER)
    house = stack.house(contacts=20)
    usual = numbers(house)
    for number in (REPLY_LOST, OPTED_OUT, UNDELIVERED):
        house.add_contact(number)

    queue_id = house.send("Hola ☕")

    wanted = {"DELIVERED": 21, "FAILED": 1, "UNDELIVERED": 1}
    until(lambda: house.statuses(queue_id) == wanted, 60, "every message has its report")
    # The answer was lost: the reports alone name the message, and give it Vonage's own id.
    status, provider, theirs = message(
        house, queue_id, REPLY_LOST, "status", "provider", "provider_message_id"
    )
    assert (status, provider, len(theirs)) == ("DELIVERED", f"vonage:{KEY}", 36)
    assert message(house, queue_id, OPTED_OUT, "error_code") == ("1240",)
    assert message(house, queue_id, UNDELIVERED, "error_code") == ("1180",)
    accepted = house.accepted(queue_id)
    assert accepted.pop(message(house, queue_id, OPTED_OUT, "id")[0]) == 0
    assert set(accepted.values()) == {1}

    own = {"account": KEY, "token": "sandbox-secret", "from": usual[0]}
    assert writes(stack, **own, text="Stop, por favor") == [204]

    suppressed = stack.sql(
        "SELECT recipient FROM contacts_suppression WHERE organization_id = %s",
        house.organization.pk,
    )
    assert {number for (number,) in suppressed} == {usual[0], OPTED_OUT}

"""B52, B62 to B64, B66, B70: several carriers side by side, one of which takes many messages a request.

Colombia has two carriers that take one message a request, Mexico one that takes a hundred, Guatemala
one that works beside one without an address and one whose certificate nobody vouches for.
"""

from collections import Counter
from collections.abc import Iterator
from uuid import UUID

import pytest
import pytest_django

from tests.faults.carriers import (
    Rules,
    add_contacts_of,
    close_breakers,
    count,
    message,
    numbers,
    wait_until_open,
)
from tests.faults.harness.accounting import everything_is_accounted_for
from tests.faults.harness.houses import House
from tests.faults.harness.stack import Stack
from tests.faults.harness.waiting import holds, until
from tests.messaging.providers.stand_in import StandIn, says

FIRST, SECOND, NOWHERE, UNTRUSTED, GOOD = (f"AC{letter * 32}" for letter in "12345")
MEXICO = "infobip:acme"


def _twilio(account: str, options: str) -> str:
    # The token tells which account signed a report.
    return f"twilio://{account}:token-{account[-4:]}@api.twilio.com?from=%2B15005550006&{options}"


def _providers(untrusted: str) -> str:
    infobip = "infobip://acme:sandbox-key@x.api.infobip.com?from=Acme&base_url={carrier}"
    return " ".join(
        [
            _twilio(FIRST, "weight=999&concurrency=10&countries=CO&base_url={carrier}"),
            _twilio(SECOND, "concurrency=10&countries=CO&base_url={carrier2}"),
            f"{infobip}&concurrency=2&countries=MX",
            _twilio(NOWHERE, "weight=999&countries=GT").replace("@api.", "@api.nowhere.nowhere."),
            _twilio(UNTRUSTED, f"weight=999&countries=GT&base_url={untrusted}"),
            _twilio(GOOD, "countries=GT&base_url={carrier}"),
        ]
    )


@pytest.fixture(scope="module")
def _several(django_db_blocker: pytest_django.DjangoDbBlocker) -> Iterator[Stack]:
    with StandIn(says(201, {"sid": "SM"}), tls=True) as untrusted:
        stack = Stack(django_db_blocker, carriers=2, SMS_PROVIDERS=_providers(untrusted.address))
        yield stack
        stack.stop()


@pytest.fixture
def several(_several: Stack, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The stack with all these carriers, for one test; E0 is asked after it."""
    _several.begin()
    close_breakers(_several)
    yield _several
    Rules(_several).forget()
    close_breakers(_several)
    _several.mend()
    organizations = [house.organization.pk for house in _several.houses]
    rows = _several.sql(
        "SELECT id FROM messaging_broadcast WHERE organization_id = ANY(%s)", organizations
    )
    everything_is_accounted_for(_several, [queue_id for (queue_id,) in rows])


@pytest.fixture
def rules(several: Stack) -> Rules:
    return Rules(several)


def mexican(stack: Stack, contacts: int) -> House:
    house = stack.house()
    add_contacts_of(house, "MX", contacts)
    return house


# --- one after the other --------------------------------------------------------------------------


def test_B52_no_address_and_no_trusted_certificate_are_never_sent_and_the_next_takes_them(
    several: Stack,
) -> None:
    house = several.house()
    add_contacts_of(house, "GT", 20)

    queue_id = house.send("Hola")

    house.wait_until_delivered(queue_id)
    assert count(house, queue_id, f"provider <> 'twilio:{GOOD}'") == 0
    told = several.sql(
        "SELECT DISTINCT detail FROM messaging_messageevent e"
        " JOIN messaging_message m ON m.id = e.message_id WHERE broadcast_id = %s",
        queue_id,
    )
    assert {detail for (detail,) in told} == {
        "the carrier's host name does not resolve",
        "no trusted TLS connection to the carrier",
    }


def test_B70_only_what_provably_never_left_moves_to_the_next(several: Stack, rules: Rules) -> None:
    house = several.house(contacts=60)
    lost = numbers(house)[:4]
    for number in lost:
        rules.add(carrier=1, to=number, closes="unanswered")
    rules.add(carrier=1, call="lookup", accepts=False)

    with several.callbacks.refuse(), several.wire_to_carrier.refuse():
        queue_id = house.send("Hola")
        statuses = house.wait_until_sent(queue_id)

        assert statuses == {"SENT": 56, "UNKNOWN": 4}
        assert count(house, queue_id, f"provider <> 'twilio:{SECOND}'") == 0
        moved = (
            "EXISTS (SELECT FROM messaging_messageevent e"
            " WHERE e.message_id = m.id AND kind = 'PUT_BACK')"
        )
        # Moving costs nothing; a second lane may have tried the first carrier once more.
        assert count(house, queue_id, f"{moved} AND attempts = 1") > 0
        assert count(house, queue_id, f"NOT {moved} AND attempts <> 1") == 0
        assert count(house, queue_id, "attempts > 2") == 0

    # The first carrier is back: what may have left stays where it is.
    holds(
        lambda: house.statuses(queue_id)["UNKNOWN"] + house.statuses(queue_id)["DELIVERED"] > 0, 1
    )
    house.wait_until_delivered(queue_id)
    assert set(house.accepted(queue_id).values()) == {1}
    assert count(house, queue_id, f"provider <> 'twilio:{SECOND}'") == 0


def test_B66_slow_carriers_hold_nothing_open_and_nobody_up(several: Stack, rules: Rules) -> None:
    rules.add(account=FIRST, delay=0.7)
    rules.add(carrier=1, account=SECOND, delay=0.7)
    house, quick = several.house(contacts=300), mexican(several, 20)
    several.second("worker2", like=several.worker)
    leases: dict[tuple[UUID, UUID], set[object]] = {}
    waited_in_transaction: list[str] = []
    looks = 0

    slow_id = house.send("Hola")
    until(lambda: count(house, slow_id, "submit_started_at IS NOT NULL"), 60)
    quick_id = quick.send("Hola")

    def is_done() -> bool:
        nonlocal looks
        looks += 1
        for id_, token, until_, submitted in several.sql(
            "SELECT id, lease_token, lease_until, submit_started_at FROM messaging_message"
            " WHERE broadcast_id = %s AND status = 'SENDING'",
            slow_id,
        ):
            leases.setdefault((id_, token), set()).add(until_)
            assert submitted is None or until_ is not None
        waited_in_transaction.extend(
            query
            for (query,) in several.sql(
                "SELECT query FROM pg_stat_activity WHERE state LIKE 'idle in transaction%%'"
                " AND now() - state_change > interval '0.3 s' LIMIT 1"
            )
        )
        return not quick.waiting(quick_id)

    until(is_done, 60)
    assert house.waiting(slow_id) > 0, "the quick carrier did not wait for the slow ones"
    until(lambda: is_done() and not house.waiting(slow_id), 120)
    # During the calls one would at almost every look; where a busy machine stops a process, now and then.
    assert len(waited_in_transaction) < looks / 4, waited_in_transaction
    assert all(len(seen) == 1 for seen in leases.values()), "a lease was renewed"
    claims = Counter(id_ for id_, _token in leases)
    assert max(claims.values()) > 1, "what was claimed and not marked goes back, for another claim"


# --- many messages a request ----------------------------------------------------------------------


def test_B62_each_message_of_a_batch_has_its_own_outcome(several: Stack, rules: Rules) -> None:
    house = mexican(several, 10)
    invalid, landline = numbers(house)[:2]
    rules.add(to=invalid, status=400, code=21211)
    rules.add(to=landline, status=400, code=21614)

    queue_id = house.send("Hola")

    statuses = house.wait_until_sent(queue_id)
    assert statuses["FAILED"] == 2
    for number in (invalid, landline):
        assert message(house, queue_id, number, "status", "charge") == ("FAILED", "RELEASED")
    assert count(house, queue_id, "charge = 'CAPTURED'") == 8
    assert house.balance()[1:] == (0, 8)


def test_B63_a_batch_is_answered_by_reference_and_never_by_position(
    several: Stack, rules: Rules
) -> None:
    house = mexican(several, 12)
    given = ("reordered", "missing", "doubled", "foreign", "extra")
    lines = dict(zip(numbers(house), given, strict=False))
    for number, line in lines.items():
        rules.add(to=number, line=line)
    rules.add(call="lookup", accepts=False)

    with several.callbacks.refuse():
        queue_id = house.send("Hola")
        statuses = house.wait_until_sent(queue_id)

        unknown = {
            line for number, line in lines.items() if status_of(house, queue_id, number) != "SENT"
        }
        assert unknown == {"missing", "foreign"}
        assert statuses == {"SENT": 10, "UNKNOWN": 2}
    # This carrier's id of a message is our own: a mistaken one would show here.
    assert count(house, queue_id, "status = 'SENT' AND provider_message_id <> id::text") == 0
    assert "provider_foreign_results" in several.worker.log()
    house.wait_until_delivered(queue_id)


def test_B64_a_batchs_lost_reply_leaves_that_request_unknown_until_it_is_looked_up(
    several: Stack, rules: Rules
) -> None:
    house = mexican(several, 150)
    rules.add(dialect="infobip", call="send", times=1, closes="unanswered")
    rules.add(call="lookup", accepts=False)

    with several.callbacks.refuse():
        queue_id = house.send("Hola")
        lost = house.wait_until_sent(queue_id)["UNKNOWN"]
        assert lost in {50, 100}  # one of the two requests
        assert count(house, queue_id, "status = 'UNKNOWN' AND look_up_at IS NULL") == 0
        rules.forget()  # before that nothing could be found

        # Reports cannot come: the carrier is asked, by the reference that the request gave it.
        until(lambda: house.statuses(queue_id)["UNKNOWN"] == 0, 120)

    assert count(house, queue_id, "charge <> 'CAPTURED' OR attempts <> 1") == 0
    assert set(house.accepted(queue_id).values()) == {1}


def test_B64_a_batch_that_finds_nobody_leaves_one_request_a_lane_to_try_again(
    several: Stack, rules: Rules
) -> None:
    house = mexican(several, 250)

    with several.wire_to_carrier.refuse():
        queue_id = house.send("Hola")
        until(lambda: count(house, queue_id, "error_message <> ''"), 60)
        until(lambda: house.statuses(queue_id) == {"QUEUED": 250}, 60)

    close_breakers(several)
    house.wait_until_delivered(queue_id)


def status_of(house: House, queue_id: UUID, number: str) -> str:
    [status] = message(house, queue_id, number, "status")
    return str(status)


def test_B59_an_account_that_is_refused_makes_room_for_the_other(
    several: Stack, rules: Rules
) -> None:
    house = several.house(contacts=40)
    rules.add(account=FIRST, preset="account_refused", status=402)

    queue_id = house.send("Hola")

    house.wait_until_delivered(queue_id)
    assert count(house, queue_id, f"provider <> 'twilio:{SECOND}'") == 0
    wait_until_open(several, f"twilio:{FIRST}")

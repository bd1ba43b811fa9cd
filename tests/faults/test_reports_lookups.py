"""B54: what a carrier took and never reported is found by asking it; what is in doubt stays unknown."""

import math
from uuid import UUID

import pytest

from messaging.timings import Timings
from tests.faults.harness.carrier import behaving, reports
from tests.faults.harness.houses import House
from tests.faults.harness.stack import Stack
from tests.faults.harness.waiting import holds, until

TAKEN_AND_SILENT = {"preset": "reply_lost", "reports": []}
NOT_TAKEN = {"preset": "broken"}
FIRST = Timings().tenth().look_up_first


def times_asked(stack: Stack, queue_id: UUID) -> int:
    """Return how often the carrier was asked about the broadcast's message: the pauses double."""
    rows = stack.sql(
        "SELECT extract(epoch FROM look_up_at - unknown_since) FROM messaging_message"
        " WHERE broadcast_id = %s AND status = 'UNKNOWN'",
        queue_id,
    )
    return round(math.log2(float(rows[0][0]) / FIRST)) if rows else 0


def all_found(house: House, queue_id: UUID, seconds: float = 90) -> None:
    until(lambda: set(house.statuses(queue_id)) <= {"SENT", "DELIVERED"}, seconds, "all are found")


def resolved_by(stack: Stack, queue_id: UUID) -> set[str]:
    rows = stack.sql(
        "SELECT e.detail FROM messaging_messageevent e JOIN messaging_message m"
        " ON m.id = e.message_id WHERE m.broadcast_id = %s AND e.kind = 'RESOLVED'",
        queue_id,
    )
    return {detail for (detail,) in rows}


def test_B54_what_the_carrier_took_is_found_by_asking_it(stack: Stack) -> None:
    house = stack.house(contacts=25)

    with behaving(stack, TAKEN_AND_SILENT):
        queue_id = house.send()
        all_found(house, queue_id)

    assert set(house.statuses(queue_id)) == {"DELIVERED"}  # as the carrier's own list says
    assert resolved_by(stack, queue_id) == {"by a look-up"}
    assert set(house.accepted(queue_id).values()) == {1}
    assert house.balance() == (10_000_000 - 25, 0, 25)
    ids = stack.sql(
        "SELECT count(DISTINCT provider_message_id) FROM messaging_message WHERE broadcast_id = %s",
        queue_id,
    )
    assert ids == [(25,)]


def test_B54_what_the_carrier_has_not_stays_unknown_and_is_asked_again(stack: Stack) -> None:
    house = stack.house(contacts=1)

    with behaving(stack, NOT_TAKEN):
        queue_id = house.send()
        until(lambda: times_asked(stack, queue_id) >= 2, 90, "it is asked twice")

    assert house.statuses(queue_id) == {"UNKNOWN": 1}
    assert house.balance() == (10_000_000 - 1, 1, 0)


def test_B54_look_ups_that_fail_are_made_again(stack: Stack) -> None:
    house = stack.house(contacts=3)

    with behaving(stack, {"call": "lookup", "status": 500, "times": 3}, TAKEN_AND_SILENT):
        queue_id = house.send()
        all_found(house, queue_id)


def test_B54_two_that_nobody_can_tell_apart_are_left_to_their_reports(stack: Stack) -> None:
    house = stack.house(contacts=1)
    with behaving(stack, {"call": "lookup", "status": 500}, TAKEN_AND_SILENT):
        first, second = house.send("Hola"), house.send("Hola")
        both = [first, second]
        until(lambda: [house.statuses(one) for one in both] == [{"UNKNOWN": 1}] * 2, 60)
    stack.sql(
        "UPDATE messaging_message SET look_up_at = now() WHERE broadcast_id = ANY(%s)",
        both,
    )
    asked = (
        "SELECT bool_and(look_up_at > now()) FROM messaging_message WHERE broadcast_id = ANY(%s)"
    )
    until(lambda: stack.sql(asked, both) == [(True,)], 60, "both are asked about")
    holds(lambda: [house.statuses(one) for one in both] == [{"UNKNOWN": 1}] * 2, 1.0)
    rows = stack.sql("SELECT id FROM messaging_message WHERE broadcast_id = %s", second)
    # Once one of them is settled, the other can be found: nobody asks before the test has looked.
    stack.sql(
        "UPDATE messaging_message SET look_up_at = now() + interval '1 hour'"
        " WHERE broadcast_id = ANY(%s)",
        both,
    )

    assert reports(stack, rows[0][0], "undelivered").status == 204

    until(lambda: house.statuses(second) == {"UNDELIVERED": 1}, 60, "the report settles its own")
    assert house.statuses(first) == {"UNKNOWN": 1}


@pytest.mark.parametrize("away", ["the worker", "the broker"])
def test_B54_the_dispatcher_has_it_asked_when_others_cannot(stack: Stack, away: str) -> None:
    house = stack.house(contacts=1)
    with behaving(stack, TAKEN_AND_SILENT):
        queue_id = house.send()
        until(lambda: house.statuses(queue_id) == {"UNKNOWN": 1}, 60, "it is unknown")
        if away == "the worker":
            stack.worker.kill()
            stack.worker.start()
        else:
            stack.broker.refuse()

        all_found(house, queue_id)

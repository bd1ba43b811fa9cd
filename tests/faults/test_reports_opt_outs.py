"""B83: people who answer STOP while a broadcast runs."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from tests.faults.harness.carrier import behaving, writes
from tests.faults.harness.houses import House
from tests.faults.harness.stack import Stack
from tests.faults.harness.waiting import until


def recipients(stack: Stack, queue_id: UUID) -> list[str]:
    rows = stack.sql(
        "SELECT recipient FROM messaging_message WHERE broadcast_id = %s ORDER BY id", queue_id
    )
    return [recipient for (recipient,) in rows]


def written_to(stack: Stack, contacts: int) -> tuple[House, list[str]]:
    """Return a house whose contacts have all got a message, and their numbers."""
    house = stack.house(contacts=contacts)
    queue_id = house.send("Primera")
    house.wait_until_delivered(queue_id)
    return house, recipients(stack, queue_id)


def opted_out(stack: Stack, house: House) -> set[str]:
    rows = stack.sql(
        "SELECT recipient FROM contacts_suppression WHERE organization_id = %s AND source = 'KEYWORD'",
        house.organization.pk,
    )
    return {recipient for (recipient,) in rows}


def ends(stack: Stack, queue_id: UUID) -> dict[str, tuple[str, str]]:
    rows = stack.sql(
        "SELECT recipient, status, error_code FROM messaging_message WHERE broadcast_id = %s",
        queue_id,
    )
    return {recipient: (status, code) for recipient, status, code in rows}


def say(stack: Stack, numbers: Sequence[str], text: str) -> list[int | str]:
    return [answer for number in numbers for answer in writes(stack, **{"from": number}, text=text)]


@pytest.mark.parametrize("text", ["STOP", "stop.", "Stop please", "ARRÊT", "Baja"])
def test_B83_who_says_stop_between_claim_and_mark_gets_nothing_more(
    stack: Stack, text: str
) -> None:
    house, numbers = written_to(stack, 6)
    with stack.worker.held_at("worker.after_claim", word="Segunda") as wait:
        queue_id = house.send("Segunda")
        wait()

        assert say(stack, numbers[:2], text) == [204, 204]
        assert opted_out(stack, house) == set(numbers[:2])  # before the carrier heard "received"

    house.wait_until_sent(queue_id)
    until(lambda: house.statuses(queue_id)["DELIVERED"] == 4, 60, "the others are delivered")
    found = ends(stack, queue_id)
    assert {found[number] for number in numbers[:2]} == {("CANCELED", "opted_out")}
    assert {found[number] for number in numbers[2:]} == {("DELIVERED", "")}
    assert sum(house.accepted(queue_id).values()) == 4
    assert house.balance() == (10_000_000 - 10, 0, 10)


def test_B83_nobody_is_written_to_after_the_carrier_heard_that_the_stop_was_received(
    stack: Stack,
) -> None:
    house, numbers = written_to(stack, 240)
    with behaving(stack, {"delay": 0.5}):
        queue_id = house.send("Segunda")
        with ThreadPoolExecutor(4) as pool:

            def stop(number: str) -> tuple[str, object]:
                assert writes(stack, **{"from": number}, text="STOP") == [204]
                return number, stack.sql("SELECT clock_timestamp()")[0][0]

            received = dict(pool.map(stop, reversed(numbers[180:])))
        house.wait_until_sent(queue_id)

    handed_over = dict(
        stack.sql(
            "SELECT recipient, submit_started_at FROM messaging_message"
            " WHERE broadcast_id = %s AND submit_started_at IS NOT NULL",
            queue_id,
        )
    )
    too_late = {n for n in received if n in handed_over and handed_over[n] > received[n]}
    assert not too_late
    assert house.statuses(queue_id)["CANCELED"] > 0
    assert opted_out(stack, house) == set(numbers[180:])
    assert set(house.statuses(queue_id)) <= {"CANCELED", "SENT", "DELIVERED", "UNKNOWN"}


def test_B83_a_carrier_that_repeats_itself_undoes_no_start(stack: Stack) -> None:
    house, (number,) = written_to(stack, 1)
    stop = {"from": number, "text": "STOP", "id": f"SM{house.organization.pk.hex}"}
    assert writes(stack, **stop, times=5) == [204] * 5
    assert opted_out(stack, house) == {number}
    assert writes(stack, **{"from": number}, text="START") == [204]

    assert writes(stack, **stop) == [204]

    assert opted_out(stack, house) == set()


def test_B83_a_stop_counts_for_all_who_wrote_to_the_number_and_for_nobody_else(
    stack: Stack,
) -> None:
    house, numbers = written_to(stack, 2)
    other, stranger = stack.house(), stack.house(contacts=1)
    other.add_contact(numbers[0])
    other.wait_until_delivered(other.send("También"))
    stranger.wait_until_delivered(stranger.send("Otra"))

    assert say(stack, numbers[:1], "STOP") == [204]

    assert opted_out(stack, house) == opted_out(stack, other) == {numbers[0]}
    assert opted_out(stack, stranger) == set()


def test_B83_a_stop_that_nobody_signed_stops_nothing(stack: Stack) -> None:
    house, (number,) = written_to(stack, 1)

    assert writes(stack, **{"from": number}, text="STOP", bad_signature=True) == [403]

    assert opted_out(stack, house) == set()


def test_B80_without_a_database_a_stop_is_not_said_to_be_received(stack: Stack) -> None:
    house, (number,) = written_to(stack, 1)
    stack.stop_postgresql()

    assert writes(stack, **{"from": number}, text="STOP") == [503]

    stack.start_postgresql()
    until(lambda: writes(stack, **{"from": number}, text="STOP") == [204], 60, "it is taken")
    assert opted_out(stack, house) == {number}


@pytest.mark.parametrize("point", ["report.after_verify", "report.after_inbox"])
def test_B81_a_stop_into_a_crash_is_in_force_or_told_again(stack: Stack, point: str) -> None:
    house, (number,) = written_to(stack, 1)
    stop = {"from": number, "text": "STOP", "id": f"SM{house.organization.pk.hex}"}
    stack.web.arm(point, "kill?inbound")

    (answer,) = writes(stack, **stop)

    assert answer != 204
    is_kept = point == "report.after_inbox"
    assert opted_out(stack, house) == ({number} if is_kept else set())
    until(lambda: writes(stack, **stop) == [204], 60, "it is told again")
    assert opted_out(stack, house) == {number}

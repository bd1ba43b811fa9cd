"""B72 to B77, B80, B81: delivery reports that come twice, too early, too late, for nobody, into a crash."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.faults.harness.carrier import behaving, reports, signed
from tests.faults.harness.houses import House
from tests.faults.harness.stack import Stack
from tests.faults.harness.waiting import holds, until

NO_REPORTS = {"preset": "no_reports"}
REPLY_LOST = {"preset": "reply_lost"}
LOOK_UPS_FIND_NOTHING = {"call": "lookup", "accepts": False}


def message_of(
    stack: Stack, queue_id: UUID, columns: str = "id, status, charge"
) -> tuple[Any, ...]:
    """Return the broadcast's only message."""
    (row,) = stack.sql(f"SELECT {columns} FROM messaging_message WHERE broadcast_id = %s", queue_id)
    return row


def becomes(stack: Stack, queue_id: UUID, status: str, charge: str = "CAPTURED") -> None:
    until(
        lambda: message_of(stack, queue_id)[1:] == (status, charge),
        60,
        f"the message of {queue_id} is {status} and {charge}",
    )


def outcomes(stack: Stack, message_id: UUID) -> Counter[str]:
    rows = stack.sql(
        "SELECT outcome, count(*) FROM messaging_deliveryreport WHERE message_id = %s GROUP BY 1",
        message_id,
    )
    return Counter(dict(rows))


def sent(stack: Stack, house: House) -> tuple[UUID, UUID]:
    """Send to the house's only contact without any report; return queue id and message id."""
    with behaving(stack, NO_REPORTS):
        queue_id = house.send()
        house.wait_until_sent(queue_id)
    return queue_id, message_of(stack, queue_id)[0]


def unknown(stack: Stack, house: House) -> tuple[UUID, UUID]:
    """Send to the house's only contact, have the answer lost and nothing reported; return both ids."""
    with behaving(stack, LOOK_UPS_FIND_NOTHING, {**REPLY_LOST, "reports": []}):
        queue_id = house.send()
        becomes(stack, queue_id, "UNKNOWN", "RESERVED")
        # The carrier has it after all: nobody asks it while the test looks.
        stack.sql(
            "UPDATE messaging_message SET look_up_at = now() + interval '1 hour'"
            " WHERE broadcast_id = %s",
            queue_id,
        )
    return queue_id, message_of(stack, queue_id)[0]


# --- B72 ------------------------------------------------------------------------------------------
def test_B72_a_hundred_times_the_same_report_at_once_is_one_change(stack: Stack) -> None:
    house = stack.house(contacts=1)
    queue_id, message_id = sent(stack, house)
    before = house.balance()

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: reports(stack, message_id), range(100)))

    assert Counter(answer.status for answer in answers) == {204: 100}
    becomes(stack, queue_id, "DELIVERED")
    until(lambda: outcomes(stack, message_id)["NO_CHANGE"] == 99, 60, "all of them are applied")
    assert outcomes(stack, message_id) == {"APPLIED": 1, "NO_CHANGE": 99}
    assert house.balance() == before
    assert house.broadcast(queue_id, "delivered") == 1


def test_B72_a_carrier_that_says_everything_five_times_at_once_is_understood(stack: Stack) -> None:
    house = stack.house(contacts=30)

    with behaving(stack, {"copies": 5}):
        queue_id = house.send()
        house.wait_until_delivered(queue_id)

    rows = "SELECT count(*) FROM messaging_deliveryreport r JOIN messaging_message m"
    rows += " ON m.id = r.message_id WHERE m.broadcast_id = %s"
    until(lambda: stack.sql(rows, queue_id) == [(150,)], 60, "every copy is kept")
    until(lambda: stack.sql(f"{rows} AND outcome = ''", queue_id) == [(0,)], 60, "and applied")
    assert stack.sql(f"{rows} AND outcome = 'APPLIED'", queue_id) == [(30,)]
    assert house.broadcast(queue_id, "delivered") == 30
    assert house.balance() == (10_000_000 - 30, 0, 30)


# --- B74 ------------------------------------------------------------------------------------------
def test_B74_a_report_that_comes_before_our_own_record_waits_for_it(stack: Stack) -> None:
    house = stack.house(contacts=1)
    refused = stack.carrier_stats()["reports"]["failed"]

    with stack.worker.held_at("worker.after_http_ok", word="temprano") as wait:
        queue_id = house.send("Hola temprano")
        wait()
        message_id = message_of(stack, queue_id)[0]
        stack.sql(
            "UPDATE messaging_message SET lease_until = now() + interval '1 hour' WHERE id = %s",
            message_id,
        )
        until(lambda: outcomes(stack, message_id) == {"": 1}, 60, "the report is kept")
        holds(lambda: message_of(stack, queue_id)[1] == "SENDING", 1.0, "it is not applied yet")

    becomes(stack, queue_id, "DELIVERED")
    assert outcomes(stack, message_id) == {"APPLIED": 1}
    assert stack.carrier_stats()["reports"]["failed"] == refused


def test_B74_every_report_before_the_answer_to_our_request(stack: Stack) -> None:
    house = stack.house(contacts=20)

    with behaving(stack, {"early": True}):
        queue_id = house.send()
        house.wait_until_delivered(queue_id)

    assert house.broadcast(queue_id, "delivered") == 20


def test_B74_a_report_for_a_worker_that_dies_before_its_record_settles_it(stack: Stack) -> None:
    house = stack.house(contacts=1)
    stack.worker.arm("worker.after_http_ok", "kill?huérfano")

    with behaving(stack, LOOK_UPS_FIND_NOTHING):
        queue_id = house.send("Hola huérfano")
        becomes(stack, queue_id, "DELIVERED")

    assert stack.worker.has_hit("worker.after_http_ok")


# --- B75 ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("word", "status", "charge", "left"),
    [
        ("sent", "SENT", "CAPTURED", (9, 0, 1)),
        ("delivered", "DELIVERED", "CAPTURED", (9, 0, 1)),
        ("undelivered", "UNDELIVERED", "CAPTURED", (9, 0, 1)),
    ],
)
def test_B75_a_report_settles_what_was_unknown(
    stack: Stack, word: str, status: str, charge: str, left: tuple[int, int, int]
) -> None:
    house = stack.house(contacts=1, credits_=10)
    queue_id, message_id = unknown(stack, house)
    assert house.balance() == (9, 1, 0)
    sid = f"SM{uuid4().hex}"

    assert reports(stack, message_id, word, sid=sid).status == 204

    becomes(stack, queue_id, status, charge)
    assert house.balance() == left
    (provider_id,) = message_of(stack, queue_id, "provider_message_id")
    assert provider_id == sid
    events = stack.sql(
        "SELECT detail FROM messaging_messageevent WHERE message_id = %s AND kind = 'RESOLVED'",
        message_id,
    )
    assert events == [("by a delivery report",)]


def test_B75_the_carriers_own_report_settles_it_by_the_address_alone(stack: Stack) -> None:
    house = stack.house(contacts=10)

    with (
        behaving(stack, LOOK_UPS_FIND_NOTHING, REPLY_LOST),
        stack.callbacks.refuse(),
    ):
        queue_id = house.send()
        until(lambda: house.statuses(queue_id) == {"UNKNOWN": 10}, 60, "all are unknown")

    house.wait_until_delivered(queue_id)
    assert house.balance() == (10_000_000 - 10, 0, 10)


# --- B76 ------------------------------------------------------------------------------------------
def release(stack: Stack, queue_id: UUID) -> None:
    """Let 72 hours pass for the broadcast's unknown message; the dispatcher returns its credits."""
    stack.sql(
        "UPDATE messaging_message SET unknown_since = now() - interval '73 hours'"
        " WHERE broadcast_id = %s",
        queue_id,
    )
    becomes(stack, queue_id, "UNKNOWN", "RELEASED")


def test_B76_a_report_after_the_release_is_captured_where_the_balance_covers_it(
    stack: Stack,
) -> None:
    house = stack.house(contacts=1, credits_=1)
    queue_id, message_id = unknown(stack, house)
    release(stack, queue_id)
    assert house.balance() == (1, 0, 0)

    assert reports(stack, message_id).status == 204

    becomes(stack, queue_id, "DELIVERED", "CAPTURED")
    assert house.balance() == (0, 0, 1)


def test_B76_a_report_after_the_release_is_uncollected_where_nothing_is_left(stack: Stack) -> None:
    house = stack.house(contacts=1, credits_=1)
    queue_id, message_id = unknown(stack, house)
    release(stack, queue_id)
    second, _ = sent(stack, house)  # takes the only credit

    assert reports(stack, message_id).status == 204

    becomes(stack, queue_id, "DELIVERED", "UNCOLLECTED")
    assert message_of(stack, second)[1:] == ("SENT", "CAPTURED")
    assert house.balance() == (0, 0, 1)


# --- B77 ------------------------------------------------------------------------------------------
def test_B77_nothing_can_be_found_out_by_reports_about_others(stack: Stack) -> None:
    house = stack.house(contacts=1)
    queue_id, message_id = sent(stack, house)
    (sid,) = message_of(stack, queue_id, "provider_message_id")
    known = reports(stack, message_id, "sent", sid=sid)

    nobodys = reports(stack, None)
    of_no_message = reports(stack, uuid4())
    unsigned_id = f"/api/providers/twilio/reports?m={message_id.hex}&s=x"
    body, headers = signed(
        stack, unsigned_id, {"MessageSid": f"SM{uuid4().hex}", "MessageStatus": "delivered"}
    )
    forged = stack.client().call("POST", unsigned_id, body, headers=headers)

    for answer in (nobodys, of_no_message, forged):
        assert (answer.status, answer.body) == (known.status, known.body) == (204, b"")
        assert answer.headers.keys() == known.headers.keys()
    holds(lambda: message_of(stack, queue_id)[1] == "SENT", 1.0, "it is as it was")


def test_B77_what_nobody_knows_is_given_up_after_72_hours(stack: Stack) -> None:
    stranger = uuid4()
    assert reports(stack, stranger).status == 204
    until(lambda: outcomes(stack, stranger) == {"": 1}, 60, "it is kept")

    def is_given_up() -> bool:
        # Each time anew: whoever looked at it just before puts it off for as long as it is old.
        stack.sql(
            "UPDATE messaging_deliveryreport SET created_at = now() - interval '73 hours',"
            " due_at = now() WHERE message_id = %s AND applied_at IS NULL",
            stranger,
        )
        return outcomes(stack, stranger) == {"UNMATCHED": 1}

    until(is_given_up, 60, "it is given up")


# --- B80 ------------------------------------------------------------------------------------------
def test_B80_without_a_database_no_report_is_said_to_be_received(stack: Stack) -> None:
    queue_id, message_id = sent(stack, stack.house(contacts=1))
    stack.stop_postgresql()

    answers = [reports(stack, message_id) for _ in range(3)]

    assert {(answer.status, answer.code) for answer in answers} == {(503, "4090")}
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in answers)
    stack.start_postgresql()
    assert outcomes(stack, message_id) == {}
    until(lambda: reports(stack, message_id, may_break=True).status == 204, 60, "it is taken again")
    becomes(stack, queue_id, "DELIVERED")


def test_B80_the_carrier_calls_again_and_nothing_is_lost(stack: Stack) -> None:
    house = stack.house(contacts=40)
    with stack.callbacks.refuse():
        queue_id = house.send()
        house.wait_until_sent(queue_id)
        stack.stop_postgresql()
    until(
        lambda: stack.carrier_stats()["reports"]["lastFailure"].endswith("503"),
        60,
        "the carrier is told 503",
    )
    stack.start_postgresql()

    house.wait_until_delivered(queue_id)


# --- B81 ------------------------------------------------------------------------------------------
def test_B81_what_is_kept_is_applied_though_nobody_was_woken(stack: Stack) -> None:
    house = stack.house(contacts=1)
    queue_id, message_id = sent(stack, house)
    stack.web.arm("report.after_inbox", "kill")

    answer = reports(stack, message_id, may_break=True)

    assert answer.broke
    assert stack.web.has_hit("report.after_inbox")
    becomes(stack, queue_id, "DELIVERED")
    assert outcomes(stack, message_id) == {"APPLIED": 1}


def test_B81_what_is_not_kept_yet_is_told_again(stack: Stack) -> None:
    house = stack.house(contacts=5)
    stack.web.arm("report.after_verify", "kill")

    queue_id = house.send()

    house.wait_until_delivered(queue_id)
    assert stack.web.has_hit("report.after_verify")


def test_B81_a_worker_killed_while_it_applies_leaves_nothing_half_done(stack: Stack) -> None:
    house = stack.house(contacts=50)
    stack.worker.arm("report.after_apply", "kill")
    stack.dispatcher.pause()  # so that it is the worker that applies them

    queue_id = house.send()
    until(lambda: stack.worker.has_hit("report.after_apply"), 60, "the worker applies")
    stack.dispatcher.resume()

    house.wait_until_delivered(queue_id)
    assert house.broadcast(queue_id, "delivered") == 50
    assert house.balance() == (10_000_000 - 50, 0, 50)

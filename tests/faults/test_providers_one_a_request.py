"""B52 to B61, B65, B68, B71: answers of a carrier that takes one message a request, and their absence."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from tests.faults.carriers import (
    BREAKER_OPEN,
    Rules,
    close_breakers,
    count,
    is_open,
    message,
    numbers,
    rules,
    wait_until_closed,
    wait_until_open,
)
from tests.faults.harness.stack import Stack
from tests.faults.harness.waiting import holds, until

__all__ = ["rules"]  # a fixture


@pytest.fixture
def without_reports(stack: Stack) -> Iterator[None]:
    """Hold the carrier's reports back, so that what is UNKNOWN is seen as such."""
    with stack.callbacks.refuse():
        yield


# --- never left -----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["refuse", "unanswered"])
def test_B52_what_provably_never_left_is_queued_and_goes_out_later(
    stack: Stack, rules: Rules, fault: str
) -> None:
    house = stack.house(contacts=30)

    with getattr(stack.wire_to_carrier, fault)():
        queue_id = house.send("Hola")
        wait_until_open(stack)
        # Now and then one of them tries whether the carrier is back.
        until(lambda: house.statuses(queue_id) == {"QUEUED": 30}, 60)
        assert count(house, queue_id, "error_message LIKE 'no connection to the carrier%%'") >= 5
        assert sum(house.accepted(queue_id).values()) == 0

    house.wait_until_delivered(queue_id)
    wait_until_closed(stack)


# --- may have left --------------------------------------------------------------------------------


def test_B53_a_request_that_is_cut_half_way_is_unknown_and_not_repeated(
    stack: Stack, rules: Rules
) -> None:
    house = stack.house(contacts=5)
    cut = numbers(house)[0]

    with stack.wire_to_carrier.cut_request(times=1, containing=cut[1:].encode()):
        queue_id = house.send("Hola")
        statuses = house.wait_until_sent(queue_id)

    assert message(house, queue_id, cut, "status", "charge", "attempts") == (
        "UNKNOWN",
        "RESERVED",
        1,
    )
    assert statuses["UNKNOWN"] == 1
    assert house.accepted(queue_id)[message(house, queue_id, cut, "id")[0]] == 0


@pytest.mark.parametrize(
    "how",
    [
        {"closes": "unanswered"},
        {"closes": "halfway"},
        {"delay": 3},
        {"pause": 3},
    ],
    ids=["lost", "truncated", "late", "taken late"],
)
def test_B54_a_reply_that_is_lost_leaves_it_unknown_until_its_report_comes(
    stack: Stack, rules: Rules, how: dict[str, Any]
) -> None:
    house = stack.house(contacts=4)
    lost = numbers(house)[1]
    rules.add(to=lost, times=1, **how)
    rules.add(call="lookup", accepts=False)

    with stack.callbacks.refuse():
        queue_id = house.send("Hola")
        house.wait_until_sent(queue_id)
        assert message(house, queue_id, lost, "status", "charge") == ("UNKNOWN", "RESERVED")

    house.wait_until_delivered(queue_id)
    assert set(house.accepted(queue_id).values()) == {1}
    assert message(house, queue_id, lost, "charge", "attempts") == ("CAPTURED", 1)


def test_B54_replies_that_the_wire_loses_never_send_twice(stack: Stack, rules: Rules) -> None:
    house = stack.house(contacts=12)
    first, second = numbers(house)[:2]
    rules.add(call="lookup", accepts=False)

    with stack.callbacks.refuse():
        stack.wire_to_carrier.drop_reply(times=1, containing=first[1:].encode())
        queue_id = house.send("Hola")
        house.wait_until_sent(queue_id)
        with stack.wire_to_carrier.truncate_reply(at=40, times=1, containing=second[1:].encode()):
            another = house.send("Hola again")
            house.wait_until_sent(another)
        assert message(house, queue_id, first, "status") == ("UNKNOWN",)
        assert message(house, another, second, "status") == ("UNKNOWN",)

    for sent in (queue_id, another):
        house.wait_until_delivered(sent)
        assert set(house.accepted(sent).values()) == {1}


def test_B55_server_errors_are_unknown_whether_the_message_was_taken_or_not(
    stack: Stack, rules: Rules, without_reports: None
) -> None:
    house = stack.house(contacts=12)
    given = [(status, taken) for status in (500, 502, 504, 408) for taken in (True, False)]
    failing = dict(zip(numbers(house), given, strict=False))
    for number, (status, taken) in failing.items():
        rules.add(to=number, status=status, accepts=taken)
    rules.add(call="lookup", accepts=False)

    queue_id = house.send("Hola")

    until(lambda: count(house, queue_id, "status = 'UNKNOWN'") >= 5, 60)
    close_breakers(stack)  # eight in a row are too much for it
    statuses = house.wait_until_sent(queue_id)
    assert statuses == {"UNKNOWN": 8, "SENT": 4}
    accepted = house.accepted(queue_id)
    for number, (status, taken) in failing.items():
        id_, code_or_words = message(house, queue_id, number, "id", "error_message")
        assert accepted[id_] == int(taken)
        assert str(status) in code_or_words


def test_B57_a_503_with_retry_after_is_unknown_where_the_table_does_not_say_not_accepted(
    stack: Stack, rules: Rules, without_reports: None
) -> None:
    house = stack.house(contacts=3)
    unknown, taken, _good = numbers(house)
    rules.add(to=unknown, status=503, headers={"Retry-After": "1"}, accepts=False)
    rules.add(to=taken, status=503, headers={"Retry-After": "3600"}, accepts=True)
    rules.add(call="lookup", accepts=False)

    queue_id = house.send("Hola")

    assert house.wait_until_sent(queue_id) == {"UNKNOWN": 2, "SENT": 1}
    holds(lambda: count(house, queue_id, "attempts > 1") == 0, 2)


def test_B57_a_code_that_the_table_marks_as_not_accepted_is_tried_again(
    stack: Stack, rules: Rules
) -> None:
    house = stack.house(contacts=3)
    number = numbers(house)[0]
    rules.add(
        to=number, times=1, status=400, code=21606, headers={"Retry-After": "1"}, accepts=False
    )

    queue_id = house.send("Hola")

    house.wait_until_delivered(queue_id)
    assert message(house, queue_id, number, "attempts") == (2,)


# --- busy -----------------------------------------------------------------------------------------

IN_A_MINUTE = "an HTTP date a minute from now"

# What Retry-After says, and between which seconds the message waits: 0.1 to 90, a tenth of the table's.
ASKED = [
    ("2", 2.0, 3.0),
    ("3600", 90.0, 90.5),
    ("-5", 0.1, 2.0),
    ("abc", 0.1, 2.0),
    (IN_A_MINUTE, 1.0, 61.0),  # the rest of the minute when the carrier answers
    (None, 0.1, 2.0),
]


def test_B56_a_busy_carrier_is_given_the_time_it_asks_for_and_the_attempt_back(
    stack: Stack, rules: Rules
) -> None:
    house = stack.house(contacts=8)
    asked = dict(zip(numbers(house), ASKED, strict=False))
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    for number, (written, _least, _most) in asked.items():
        retry_after = date if written == IN_A_MINUTE else written
        headers = {"Retry-After": retry_after} if retry_after else {}
        rules.add(to=number, preset="busy", times=1, headers=headers)

    queue_id = house.send("Hola")

    put_back = "EXISTS (SELECT FROM messaging_messageevent e WHERE e.message_id = m.id)"
    until(lambda: count(house, queue_id, put_back) == len(asked), 60)
    waits = dict(
        stack.sql(
            "SELECT recipient, extract(epoch FROM next_attempt_at - e.created_at)::float8"
            " FROM messaging_message m JOIN messaging_messageevent e ON e.message_id = m.id"
            " WHERE broadcast_id = %s",
            queue_id,
        )
    )
    for number, (_retry_after, least, most) in asked.items():
        # The event is written at the beginning of the transaction that puts the message back.
        assert least - 0.1 <= waits[number] <= most + 5, asked[number]
    long_wait = [number for number, (_retry, least, _most) in asked.items() if least >= 90]
    assert message(house, queue_id, long_wait[0], "status", "attempts") == ("QUEUED", 0)
    stack.sql(
        "UPDATE messaging_message SET next_attempt_at = now()"
        " WHERE broadcast_id = %s AND status = 'QUEUED'",
        queue_id,
    )
    house.wait_until_delivered(queue_id)
    assert count(house, queue_id, "attempts <> 1") == 0
    assert not is_open(stack)


# --- for ever -------------------------------------------------------------------------------------


def test_B58_what_is_refused_for_ever_fails_and_its_credits_go_back(
    stack: Stack, rules: Rules
) -> None:
    house = stack.house(contacts=5)
    codes = dict(zip(numbers(house), (21211, 21614, 21610), strict=False))
    for number, code in codes.items():
        rules.add(to=number, status=400, code=code)

    queue_id = house.send("Hola")

    statuses = house.wait_until_sent(queue_id)
    assert statuses["FAILED"] == 3
    for number, code in codes.items():
        found = message(house, queue_id, number, "status", "charge", "error_code")
        assert found == ("FAILED", "RELEASED", str(code))
    assert house.balance()[1:] == (0, 2)
    opted_out = next(number for number, code in codes.items() if code == 21610)
    suppressed = stack.sql(
        "SELECT recipient, source FROM contacts_suppression WHERE organization_id = %s",
        house.organization.pk,
    )
    assert suppressed == [(opted_out, "CARRIER")]


@pytest.mark.parametrize("status", [401, 402, 403])
def test_B59_an_account_that_is_refused_costs_nothing_and_goes_on_when_it_is_repaired(
    stack: Stack, rules: Rules, status: int
) -> None:
    house = stack.house(contacts=120)
    rules.add(preset="account_refused", status=status)
    before, began = stack.carrier_stats()["refused"], time.monotonic()

    queue_id = house.send("Hola")
    wait_until_open(stack)
    # Now and then one of them tries whether it works again.
    costs = "status <> 'QUEUED' OR attempts > 0 OR charge <> 'RESERVED'"
    until(lambda: not count(house, queue_id, costs), 60, "all wait, and none has cost anything")

    # One window of each lane, and those that tried.
    tries = (time.monotonic() - began) / BREAKER_OPEN
    assert 0 < stack.carrier_stats()["refused"] - before <= 2 * 25 + 10 + tries
    assert stack.worker.log().count("provider_breaker_opened") == 1
    rules.forget()
    house.wait_until_delivered(queue_id)
    assert count(house, queue_id, "attempts <> 1") == 0
    wait_until_closed(stack)


# --- not understood -------------------------------------------------------------------------------


def test_B60_an_error_code_that_nobody_knows_is_kept_and_told(stack: Stack, rules: Rules) -> None:
    house = stack.house(contacts=4)
    number = numbers(house)[0]
    rules.add(to=number, status=400, code=99_999)

    queue_id = house.send("Hola")

    house.wait_until_sent(queue_id)
    assert message(house, queue_id, number, "status", "error_code") == ("UNKNOWN", "99999")
    assert "provider_code_unknown" in stack.worker.log()


ANSWERS: dict[str, dict[str, Any]] = {
    "html": {"body": "html"},
    "empty": {"body": "empty"},
    "broken JSON": {"body": "broken_json"},
    "an id of another type": {"id": 7},
    "no id": {"id": None},
    "10 MB": {"body": "huge"},
    "a gzip bomb": {"body": "gzip_bomb"},
    "a list": {"body": "[]"},
}


def test_B61_a_success_that_cannot_be_read_is_unknown_until_its_report_comes(
    stack: Stack, rules: Rules
) -> None:
    house = stack.house(contacts=20)
    given = dict(zip(numbers(house), ANSWERS.values(), strict=False))
    for number, rule in given.items():
        rules.add(to=number, **rule)
    rules.add(call="lookup", accepts=False)

    with stack.callbacks.refuse():
        queue_id = house.send("Hola")
        until(lambda: count(house, queue_id, "status = 'UNKNOWN'") >= 5, 60)
        close_breakers(stack)  # eight in a row are too much for it
        house.wait_until_sent(queue_id)
        for number, rule in given.items():
            assert message(house, queue_id, number, "status") == ("UNKNOWN",), rule

    house.wait_until_delivered(queue_id)
    assert set(house.accepted(queue_id).values()) == {1}


def test_B65_an_id_that_another_message_has_is_left_out_and_told(
    stack: Stack, rules: Rules
) -> None:
    house = stack.house(contacts=6)
    same = f"SM{house.organization.pk.hex}"
    for number in numbers(house)[:2]:
        rules.add(to=number, id=same)

    queue_id = house.send("Hola")

    house.wait_until_sent(queue_id)
    ids = [message(house, queue_id, number, "provider_message_id")[0] for number in numbers(house)]
    assert sorted(ids[:2]) == ["", same]
    assert all(ids[2:])
    assert count(house, queue_id, "charge <> 'CAPTURED'") == 0
    assert "result_not_recorded_as_given" in stack.worker.log()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_B68_a_redirect_is_not_followed(stack: Stack, rules: Rules, status: int) -> None:
    house = stack.house(contacts=3)
    here, metadata, _good = numbers(house)
    own = f"http://127.0.0.1:{stack.carriers[0].port}/elsewhere"
    rules.add(to=here, status=status, headers={"Location": own})
    rules.add(to=metadata, status=status, headers={"Location": "http://169.254.169.254/latest"})

    queue_id = house.send("Hola")

    assert house.wait_until_sent(queue_id)["UNKNOWN"] == 2
    assert not any("elsewhere" in path for path in stack.carrier_stats()["requests"]["paths"])


def test_B71_other_segments_are_written_down_and_change_no_price(
    stack: Stack, rules: Rules
) -> None:
    house = stack.house(contacts=4)
    other = numbers(house)[0]
    rules.add(to=other, segments=3)

    queue_id = house.send("Hola")

    house.wait_until_delivered(queue_id)
    (metadata, credits_) = message(house, queue_id, other, "provider_metadata", "credits")
    assert (metadata["segments"], metadata["segments_charged"], credits_) == (3, 1, 1)
    assert house.balance()[1:] == (0, 4)
    assert stack.worker.log().count("segments_differ") == 1


def test_B59_the_alert_is_written_once_also_when_it_is_tried_again_and_again(
    stack: Stack, rules: Rules
) -> None:
    house = stack.house(contacts=3)
    rules.add(preset="account_refused", status=402)
    queue_id = house.send("Hola")
    wait_until_open(stack)

    until(lambda: stack.worker.log().count("not_taken") >= 3, 60, "it was tried again, twice")

    assert stack.worker.log().count("provider_breaker_opened") == 1
    rules.forget()
    house.wait_until_delivered(queue_id)
    wait_until_closed(stack)

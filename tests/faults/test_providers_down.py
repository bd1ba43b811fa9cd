"""B66, B67, B69: a carrier that comes and goes, and one that is gone for longer than a message may wait."""

import time

from tests.faults.carriers import (
    BREAKER_OPEN,
    Rules,
    close_breakers,
    count,
    is_open,
    rules,
    wait_until_closed,
    wait_until_open,
)
from tests.faults.harness.stack import Stack
from tests.faults.harness.waiting import until

__all__ = ["rules"]  # a fixture


def requests(stack: Stack) -> int:
    """Return how many messages the carrier was ever handed; look-ups are none."""
    stats = stack.carrier_stats()
    return int(stats["accepted"] + stats["refused"])


def test_B67_a_flapping_carrier_opens_the_breaker_which_tries_and_closes_again(
    stack: Stack, rules: Rules
) -> None:
    house = stack.house(contacts=150)
    rules.add(preset="broken", share=0.5, seed=1)

    queue_id = house.send("Hola")
    wait_until_open(stack)
    until(lambda: not count(house, queue_id, "status = 'SENDING'"), 60)
    rules.forget()
    house.wait_until_sent(queue_id)

    until(lambda: "provider_breaker_closed" in stack.worker.log(), 60)
    wait_until_closed(stack)
    statuses = house.statuses(queue_id)
    assert statuses["UNKNOWN"] > 0
    assert statuses["QUEUED"] + statuses["FAILED"] == 0
    assert house.broadcast(queue_id) == "COMPLETED_WITH_FAILURES"


def test_B67_while_it_is_down_one_message_at_a_time_tries_it_and_no_herd(
    stack: Stack, rules: Rules
) -> None:
    houses = [stack.house(contacts=30) for _number in range(3)]
    rules.add(preset="broken")
    sent = [house.send("Hola") for house in houses]
    wait_until_open(stack)
    # Drains that begin from now on find it open; those that had begun before have to end.
    at_rest = "woken_at IS NOT NULL AND broken_drains = 0"
    pairs = list(zip(houses, sent, strict=True))
    until(lambda: all(house.broadcast(queue_id, at_rest) for house, queue_id in pairs), 60)

    before, started = requests(stack), time.monotonic()
    tries = until(lambda: max(requests(stack) - before - 1, 0), 60, "it was tried twice") + 1
    waited = time.monotonic() - started

    # Each try, of six lanes that would like to, is one request, and comes after its time.
    assert waited >= (tries - 1) * BREAKER_OPEN * 0.8
    rules.forget()
    for house, queue_id in pairs:
        house.wait_until_sent(queue_id)
    wait_until_closed(stack)


def test_B67_what_is_put_back_together_does_not_come_back_together(
    stack: Stack, rules: Rules
) -> None:
    house = stack.house(contacts=25)

    with stack.wire_to_carrier.refuse():
        queue_id = house.send("Hola")
        until(lambda: count(house, queue_id, "error_message <> ''") == 25, 60)
        [(spread,)] = stack.sql(
            "SELECT extract(epoch FROM max(next_attempt_at - e.created_at)"
            "   - min(next_attempt_at - e.created_at))::float8"
            " FROM messaging_message m JOIN messaging_messageevent e ON e.message_id = m.id"
            " WHERE broadcast_id = %s",
            queue_id,
        )

    # Half a second, a tenth of the table's five, and half of that is by chance.
    assert spread > 0.1
    close_breakers(stack)
    house.wait_until_delivered(queue_id)


def test_B69_what_was_tried_and_waited_too_long_expires_and_what_only_waited_stays(
    stack: Stack, rules: Rules
) -> None:
    house = stack.house(contacts=200)

    with stack.wire_to_carrier.refuse():
        queue_id = house.send("Hola")
        wait_until_open(stack)
        opened = time.monotonic()
        until(lambda: not count(house, queue_id, "status = 'SENDING'"), 60)
        stack.sql(
            "UPDATE messaging_message SET expires_at = now() - interval '1 s'"
            " WHERE broadcast_id = %s AND expires_at IS NOT NULL",
            queue_id,
        )
        tried = count(house, queue_id, "expires_at IS NOT NULL")
        since = int((time.monotonic() - opened) / BREAKER_OPEN) + 1
        assert 5 <= tried <= 2 * 25 + since  # a window of each lane, and who tried it since

        until(lambda: house.statuses(queue_id)["FAILED"] >= tried - 1, 60)
        found = house.statuses(queue_id)
        assert found["QUEUED"] + found["SENDING"] == 200 - found["FAILED"]
        assert count(house, queue_id, "attempts = 0 AND expires_at IS NOT NULL") == 0
        assert "provider_breaker_opened" in stack.worker.log()

    house.wait_until_sent(queue_id)
    expired = "status = 'FAILED' AND error_code = 'expired' AND charge = 'RELEASED'"
    statuses = house.statuses(queue_id)
    assert count(house, queue_id, expired) == statuses["FAILED"] > 0
    assert house.balance()[1:] == (0, 200 - statuses["FAILED"])


def test_B66_with_two_workers_a_slow_carrier_leaves_no_transaction_open(
    stack: Stack, rules: Rules
) -> None:
    stack.second("worker2", like=stack.worker)
    rules.add(delay=0.6)
    house = stack.house(contacts=150)
    looks = stood_open = 0

    queue_id = house.send("Hola")

    def is_done() -> bool:
        nonlocal looks, stood_open
        [(idle,)] = stack.sql(
            "SELECT coalesce(max(extract(epoch FROM now() - state_change)), 0)::float8"
            " FROM pg_stat_activity WHERE state LIKE 'idle in transaction%%'"
        )
        looks += 1
        stood_open += idle > 0.3
        return not house.waiting(queue_id)

    until(is_done, 120)
    # During the calls it would at almost every look; a process that a busy machine stops, now and then.
    assert stood_open < looks / 4, "a transaction stood open during a call"
    assert not is_open(stack)

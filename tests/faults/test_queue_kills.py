"""B27, B28, B33, B34: workers that die at the worst moment, and what makes them die."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import UUID

import psutil
import pytest

from tests.faults.harness.houses import House
from tests.faults.harness.stack import Stack
from tests.faults.harness.waiting import until
from tests.figures import figure

WINDOW = 25  # requests under way at once in a lane: `concurrency` of the stack's provider
LANES = 2

BEFORE_THE_MARK = ["worker.on_task", "worker.after_claim"]
BETWEEN_MARK_AND_RECORD = [
    "worker.after_mark",
    "worker.after_connect",
    "worker.after_http_ok",
    "worker.mid_record",
]
AFTER_THE_RECORD = ["worker.after_record"]


@pytest.fixture
def without_reports(stack: Stack) -> Iterator[None]:
    """Hold the carrier's reports back, so that what is UNKNOWN is seen as such."""
    with stack.callbacks.refuse():
        yield


def given_up(stack: Stack, queue_id: UUID) -> int:
    """Return how many messages became UNKNOWN because their lease ended, not because of an answer."""
    [(count,)] = stack.sql(
        "SELECT count(DISTINCT message_id) FROM messaging_messageevent e"
        " JOIN messaging_message m ON m.id = e.message_id"
        " WHERE m.broadcast_id = %s AND e.kind = 'UNKNOWN' AND e.detail LIKE %s",
        queue_id,
        "no result by the end of the lease%",
    )
    return int(count)


def unknown(stack: Stack, queue_id: UUID) -> set[UUID]:
    rows = stack.sql(
        "SELECT id FROM messaging_message WHERE broadcast_id = %s AND status = 'UNKNOWN'", queue_id
    )
    return {id_ for (id_,) in rows}


@pytest.mark.parametrize("point", BEFORE_THE_MARK)
def test_B27_a_worker_killed_before_the_mark_leaves_nothing_unknown(
    stack: Stack, without_reports: None, point: str
) -> None:
    house = stack.house(contacts=100)
    stack.worker.arm(point, "kill")

    queue_id = house.send("Hola")

    statuses = house.wait_until_sent(queue_id)
    assert stack.worker.has_hit(point)
    assert given_up(stack, queue_id) == 0
    assert statuses["SENT"] + statuses["UNKNOWN"] == 100


@pytest.mark.parametrize("point", BETWEEN_MARK_AND_RECORD)
def test_B27_a_worker_killed_after_the_mark_leaves_one_window_unknown_until_reports_come(
    stack: Stack, point: str
) -> None:
    house = stack.house(contacts=100)
    with stack.callbacks.refuse():
        stack.worker.arm(point, "kill")

        queue_id = house.send("Hola")

        house.wait_until_sent(queue_id)
        assert stack.worker.has_hit(point)
        assert 1 <= given_up(stack, queue_id) <= WINDOW
    reported = {id_ for id_, times in house.accepted(queue_id).items() if times}
    assert len(reported) >= 100 - WINDOW
    until(
        lambda: house.statuses(queue_id)["DELIVERED"] == len(reported),
        120,
        "what the carrier took is known by its report",
    )
    assert not unknown(stack, queue_id) & reported


@pytest.mark.parametrize("point", AFTER_THE_RECORD)
def test_B27_a_worker_killed_after_the_record_has_lost_nothing_that_had_landed(
    stack: Stack, without_reports: None, point: str
) -> None:
    house = stack.house(contacts=100)
    stack.worker.arm(point, "kill")

    queue_id = house.send("Hola")

    house.wait_until_sent(queue_id)
    assert stack.worker.has_hit(point)
    # Beside what landed and is recorded, others are under way: all in all less than a window.
    assert given_up(stack, queue_id) <= WINDOW
    assert house.statuses(queue_id)["SENT"] >= 100 - WINDOW


@pytest.mark.parametrize("point", ["worker.after_claim", "worker.after_mark"])
def test_B28_a_whole_worker_is_killed_and_started_again(stack: Stack, point: str) -> None:
    """Its pool dies with it, standing at the point; the others' messages go on at once."""
    house = stack.house(contacts=600)
    bystander = stack.house(contacts=10)
    with stack.callbacks.refuse():
        stack.worker.arm(point, "stop")  # a place to stand still at, where the kill finds it
        queue_id = house.send("Hola")
        until(partial(stack.worker.has_hit, point), 60)
        killed_at = time.monotonic()
        stack.worker.kill()
        later = bystander.send("Hola")
        stack.worker.start()

        bystander.wait_until_sent(later)
        went_on = time.monotonic() - killed_at
        house.wait_until_sent(queue_id)

        figure("B28: others go on after a worker's death, seconds", f"{went_on:.1f}", "15")
        figure(
            "B28: its own messages are settled, seconds",
            f"{time.monotonic() - killed_at:.1f}",
            "16, the lease and ten",
        )
        # Every process of the pool may have been in a window of its own.
        assert given_up(stack, queue_id) <= stack.pool * WINDOW
        assert given_up(stack, later) == 0


def test_B33_a_broadcast_that_kills_every_worker_is_paused_and_others_go_on(stack: Stack) -> None:
    house = stack.house(contacts=3_000)
    bystander = stack.house(contacts=300)
    stack.worker.arm("worker.after_claim", "*kill?poison")
    poison = house.send("poison")
    stack.may_wait.add(poison)

    good = bystander.send("Hola")

    bystander.wait_until_delivered(good)
    until(lambda: house.broadcast(poison) == "PAUSED", 240, "it is paused")
    assert house.broadcast(poison, "paused_because") == "no_progress"
    assert "because=no_progress" in stack.worker.log()
    assert not any(house.accepted(poison).values())


def _is_over(house: House, queue_id: UUID) -> bool:
    house.resume_if_paused(queue_id)
    return not house.waiting(queue_id)


def test_B27_the_pool_is_killed_again_and_again_while_it_works(stack: Stack) -> None:
    """Any child, at any moment, by somebody who knows nothing of points."""
    houses = [stack.house(contacts=1_000) for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        queue_ids = list(pool.map(lambda house: house.send("Hola"), houses))
    for _ in range(8):
        for child in stack.worker.children()[:2]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        time.sleep(0.4)

    for house, queue_id in zip(houses, queue_ids, strict=True):
        # Where half of the last 200 results are unknown a broadcast is paused for somebody to look at.
        until(partial(_is_over, house, queue_id), 180)
        assert given_up(stack, queue_id) <= 16 * WINDOW
    assert psutil.pid_exists(stack.worker.pid)

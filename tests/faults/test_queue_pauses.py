"""B30, B31, B32: workers that stand still past their lease, and workers that are asked to end."""

import contextlib
import os
import signal
import time
from functools import partial

import psutil

from tests.faults.harness.stack import Stack
from tests.faults.harness.waiting import until
from tests.figures import figure

LONGEST_END = 20.0  # seconds a running window may take to finish
WINDOW = 25


def standing_still(stack: Stack) -> list[int]:
    """Return the processes of the worker's pool that are stopped."""
    found = []
    for pid in stack.worker.children():
        with contextlib.suppress(psutil.NoSuchProcess):
            if psutil.Process(pid).status() == psutil.STATUS_STOPPED:
                found.append(pid)
    return found


def wake(stack: Stack) -> None:
    for pid in standing_still(stack):
        os.kill(pid, signal.SIGCONT)


def test_B30_a_worker_paused_after_its_claim_sends_nothing_when_it_wakes(stack):
    house = stack.house(contacts=100)
    stack.worker.arm("worker.after_claim", "stop")
    queue_id = house.send("Hola")
    until(partial(standing_still, stack), 60)
    # Its lease ends, the sweep frees the messages and others hand them over.
    house.wait_until_sent(queue_id)
    before = stack.carrier_stats()["accepted"]

    wake(stack)

    until(lambda: "broadcast" and not standing_still(stack), 30)
    house.wait_until_delivered(queue_id)
    time.sleep(2)  # in which it would send
    assert stack.carrier_stats()["accepted"] == before
    assert set(house.accepted(queue_id).values()) == {1}


def test_B30_a_worker_paused_after_its_mark_sends_what_nobody_else_may_and_records_it(stack):
    house = stack.house(contacts=100)
    with stack.callbacks.refuse():
        stack.worker.arm("worker.after_mark", "stop")
        queue_id = house.send("Hola")
        until(partial(standing_still, stack), 60)
        # Of what it marked nobody knows whether it left; nobody else sends it.
        until(lambda: house.statuses(queue_id)["UNKNOWN"] >= WINDOW, 120)
        house.wait_until_sent(queue_id)
        marked = house.statuses(queue_id)["UNKNOWN"]

        wake(stack)

        # The late result of the same lease.
        until(lambda: house.statuses(queue_id)["UNKNOWN"] <= marked - WINDOW, 120)
        assert set(house.accepted(queue_id).values()) == {1}


def test_B31_a_worker_that_is_asked_to_end_finishes_its_window_and_puts_back_the_rest(stack):
    house = stack.house(contacts=3_000)
    stack.worker.carrier.latency(0.05)
    with stack.callbacks.refuse():
        queue_id = house.send("Hola")
        until(lambda: house.statuses(queue_id)["SENT"] > 0, 60)
        stack.dispatcher.kill()  # which would take over from a worker that is slow to end
        began = time.monotonic()

        code = stack.worker.end(signal.SIGTERM)

        took = time.monotonic() - began
        statuses = house.statuses(queue_id)
        figure("B31: a worker under load ends, seconds", f"{took:.1f}", "20")
        assert code == 0
        assert statuses["SENDING"] == 0
        assert statuses["QUEUED"] > 0
        assert took < LONGEST_END * 3  # on a machine that others use too


def test_B32_a_worker_that_quits_with_a_stuck_call_leaves_it_to_the_lease(stack):
    house = stack.house(contacts=100)
    with stack.callbacks.refuse():
        stack.worker.arm("worker.after_mark", "sleep:60")
        queue_id = house.send("Hola")
        until(lambda: stack.worker.has_hit("worker.after_mark"), 60)

        stack.worker.send_signal(signal.SIGQUIT)

        stack.worker.wait_for_end(seconds=120)
        stack.worker.kill()
        stack.worker.start()
        statuses = house.wait_until_sent(queue_id)
        assert statuses["UNKNOWN"] >= WINDOW
        assert sum(house.accepted(queue_id).values()) == 100 - WINDOW

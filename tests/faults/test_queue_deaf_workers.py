"""B39: a worker whose connection to the broker has died without a word."""

import time

from tests.faults.harness.waiting import until
from tests.figures import figure


def test_B39_what_a_deaf_worker_does_not_hear_goes_to_the_others(stack):
    house = stack.house(contacts=50)
    other = stack.second("worker2", like=stack.worker)
    until(lambda: len(other.children()) >= stack.pool, 90)
    with stack.worker.broker.freeze():
        began = time.monotonic()

        queue_id = house.send("Hola")

        house.wait_until_sent(queue_id)
        took = time.monotonic() - began
    figure("B39: a broadcast beside a deaf worker is handed over, seconds", f"{took:.1f}", "15")


def test_B39_a_deaf_worker_ends_itself_and_works_when_it_was_started_again(stack):
    house = stack.house(contacts=50)
    with stack.worker.broker.freeze():
        code = stack.worker.wait_for_end(seconds=120)

    assert code == 1
    assert "worker_is_deaf" in stack.worker.log()
    stack.worker.restart()
    house.wait_until_delivered(house.send("Hola"))

"""B47, B48: a database that restarts under the workers, and one that is behind a transaction pooler."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from messaging.models import Message
from tests.faults.harness.waiting import until
from tests.figures import figure

POINTS = ["worker.after_claim", "worker.after_mark", "worker.after_http_ok", "worker.mid_record"]


@pytest.mark.parametrize("point", POINTS)
def test_B47_workers_survive_a_restart_of_postgresql_with_their_leases(stack, point):
    house = stack.house(contacts=100)
    pid = stack.worker.pid
    with stack.worker.held_at(point) as wait:
        queue_id = house.send("Hola")
        wait()

        stack.restart_postgresql()

    house.wait_until_sent(queue_id)

    # A window whose lease is over may still be handed over by the worker that marked it.
    def is_all_reported() -> bool:
        delivered = house.statuses(queue_id)[Message.Status.DELIVERED]
        return delivered == sum(house.accepted(queue_id).values())

    until(is_all_reported, 120)
    taken = sum(house.accepted(queue_id).values())
    assert taken >= 75  # all but the window that was marked and never left
    assert stack.worker.pid == pid
    assert stack.worker.is_running
    figure(f"B47: {point}, PostgreSQL restarted, taken of 100", taken, "75")


def test_B48_requests_keep_nothing_in_a_session_of_the_database(stack):
    """Web has three connections in place of sixteen, each made as new after every transaction."""
    house = stack.house(contacts=12_000)
    stack.pool_connections(stack.web, size=3)
    stack.wait_until_ready()
    with ThreadPoolExecutor(12) as pool:
        answers = list(
            pool.map(lambda number: house.client.send("Hola", key=f"k{number}"), range(4))
        )
        replays = list(
            pool.map(lambda number: house.client.send("Hola", key=f"k{number}"), range(4))
        )
        shown = list(pool.map(lambda answer: house.client.queue(answer.queue_id), answers * 5))

    assert {answer.status for answer in answers} == {201}
    assert [len(answer.json["messages"]) for answer in answers] == [12_000] * 4
    assert [again.queue_id for again in replays] == [answer.queue_id for answer in answers]
    assert {answer.status for answer in shown} == {200}
    for answer in answers:
        house.client.call("POST", f"/api/messages/queues/{answer.queue_id}/cancel")
        house.wait_until_sent(answer.queue_id)
    assert house.balance()[1] == 0

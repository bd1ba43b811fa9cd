"""B50: a broadcast that is canceled while it is being sent."""

import pytest

from tests.faults.harness.waiting import until

WINDOW = 25


@pytest.mark.parametrize(
    ("point", "most_taken"), [("worker.after_claim", 0), ("worker.after_mark", WINDOW)]
)
def test_B50_what_is_not_marked_is_canceled_and_what_is_marked_finishes(stack, point, most_taken):
    house = stack.house(contacts=100)
    with stack.worker.held_at(point) as wait:
        queue_id = house.send("Hola")
        wait()

        answer = house.client.call("POST", f"/api/messages/queues/{queue_id}/cancel")

        assert answer.status == 200, answer.text
        assert answer.json["status"] == "CANCELED"
    house.wait_until_sent(queue_id)
    # Also where its lease was over meanwhile: the worker that marked it hands it over.
    until(lambda: house.statuses(queue_id)["DELIVERED"] == most_taken, 120)
    taken = sum(house.accepted(queue_id).values())
    statuses = house.statuses(queue_id)
    assert taken == most_taken
    assert statuses["CANCELED"] == 100 - taken
    assert house.balance() == (10_000_000 - taken, 0, taken)
    assert house.broadcast(queue_id) == "CANCELED"


def test_B50_a_large_broadcast_is_canceled_in_full_flight(stack):
    house = stack.house(contacts=5_000)
    queue_id = house.send("Hola")
    until(lambda: house.broadcast(queue_id, "sent") + house.broadcast(queue_id, "delivered"), 60)

    house.client.call("POST", f"/api/messages/queues/{queue_id}/cancel")

    house.wait_until_sent(queue_id)
    taken = sum(house.accepted(queue_id).values())
    until(lambda: house.statuses(queue_id)["DELIVERED"] == taken, 120)
    assert house.statuses(queue_id)["CANCELED"] == 5_000 - taken > 0
    assert house.balance() == (10_000_000 - taken, 0, taken)

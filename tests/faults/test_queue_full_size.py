"""B21, B38: a hundred thousand messages to their end, and a start without a broker."""

import time
from uuid import UUID

from tests.faults.harness.houses import House
from tests.figures import figure

MANY = 100_000
PATIENCE = 120.0  # seconds without any progress


def wait_while_it_goes_on(house: House, queue_id: UUID) -> None:
    """Return when all is delivered, however slow the machine; fail when it stands still."""
    delivered, moved_at = -1, time.monotonic()
    while delivered < house.broadcast(queue_id, "messages_total"):
        now = house.broadcast(queue_id, "delivered")
        if now > delivered:
            delivered, moved_at = now, time.monotonic()
        assert time.monotonic() - moved_at < PATIENCE, house.statuses(queue_id)
        time.sleep(0.5)


def test_B21_a_hundred_thousand_messages_are_all_answered_and_all_delivered(own_stack):
    stack = own_stack()
    house = stack.house(contacts=MANY)

    answer = house.client.send("Hola", may_break=False)

    assert answer.status == 201, answer.text
    listed = answer.json["messages"]
    assert len({message["recipient"] for message in listed}) == len(listed) == MANY
    began = time.monotonic()
    wait_while_it_goes_on(house, answer.queue_id)
    rate = MANY / (time.monotonic() - began)
    figure(f"B21: {MANY:,} accepted and answered, seconds", f"{answer.seconds:.1f}", "as it comes")
    figure(f"B21: {MANY:,} delivered through the proxies, a second", f"{rate:.0f}", "as it comes")


def test_B38_what_starts_without_a_broker_accepts_at_once_and_delivers(stack):
    house = stack.house(contacts=50)
    with stack.broker.refuse():
        for part in stack.ours:
            part.restart()

        stack.wait_until_the_web_answers()
        answer = house.client.send("Hola")

        assert answer.status == 201, answer.text
        house.wait_until_delivered(answer.queue_id)

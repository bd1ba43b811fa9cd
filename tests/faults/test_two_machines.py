"""Two machines at one database and one broker: what either took, both serve, and one goes on alone."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID

import pytest

from tests.faults.harness.rabbitmq import PROGRAM, rabbitmq
from tests.faults.harness.stack import Stack
from tests.faults.harness.waiting import until
from tests.ports import free_port

BROKERS = ["valkey", *(["rabbitmq"] if PROGRAM else [])]


@pytest.fixture(params=BROKERS)
def broker(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of each broker that is here; "" is the stack's own Valkey."""
    if request.param == "valkey":
        yield ""
    else:
        with rabbitmq(tmp_path) as url:
            yield url


def test_two_machines_share_the_work_and_either_goes_on_alone(
    broker: str, own_stack: Callable[..., Stack]
) -> None:
    stack = own_stack(broker=broker, ALLOWED_HOSTS="127.0.0.1,127.0.0.2")
    address = f"127.0.0.2:{free_port()}"
    stack.second("web2", like=stack.web, bind=address)
    worker2 = stack.second("worker2", like=stack.worker)
    stack.second("dispatcher2", like=stack.dispatcher)
    house = stack.house(contacts=20)
    here, there = house.client, house.client.at(address)
    until(there.is_alive, 90, "the second web answers")
    until(lambda: " ready." in worker2.log(), 90, "the second worker is ready")

    # Both workers take part, and what one web took the other one tells.
    workers = (stack.worker, worker2)
    for worker in workers:
        worker.arm("worker.after_claim", "sleep:0.1")
    sent: list[UUID] = []
    while not all(worker.has_hit("worker.after_claim") for worker in workers):
        assert len(sent) < 200, "one worker does everything"
        own, other = (here, there) if len(sent) % 2 else (there, here)
        answer = own.send(f"Hola {len(sent)}")
        assert answer.status == 201, answer.text
        sent.append(answer.queue_id)
        assert other.queue(answer.queue_id).json["counts"]["messages"] == 20
    for queue_id in sent:
        house.wait_until_delivered(queue_id)

    # One key at both webs in the same moment is one broadcast.
    with ThreadPoolExecutor(2) as at_once:
        twins = list(at_once.map(lambda client: client.send("Una vez", key="k"), (here, there)))
    assert {answer.status for answer in twins} <= {201, 409}
    assert {answer.status for answer in twins} & {201}
    assert here.send("Una vez", key="k").queue_id == there.send("Una vez", key="k").queue_id
    rows = stack.sql(
        "SELECT id FROM messaging_broadcast WHERE organization_id = %s AND text = 'Una vez'",
        house.organization.pk,
    )
    assert len(rows) == 1

    # The first machine is gone, in the middle of its work.
    stack.worker.arm("worker.after_mark", "kill")
    begun: list[UUID] = []
    while not stack.worker.has_hit("worker.after_mark"):
        assert len(begun) < 200, "the second worker does everything"
        begun.append(there.send(f"Y ahora tú {len(begun)}").queue_id)
    for part in stack.ours:
        part.kill()  # of the part that is armed the pool's process alone is gone
    for queue_id in begun:
        house.wait_until_sent(queue_id)
    alone = there.send("Sola")
    assert alone.status == 201, alone.text
    house.wait_until_sent(alone.queue_id)

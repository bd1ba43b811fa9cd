"""The watchdog of a worker: who could not be reached is not deaf."""

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Final

import pytest
from kombu import Connection

from config.celery import app
from config.watchdog import Watchdog
from tests.config.working import broker

QUEUE: Final = "nobody takes from this"
AWAY: Final = "redis://127.0.0.1:1/0"


@pytest.fixture
def brokers() -> list[str]:
    """The addresses that a fresh connection is made to, one after the other; the last for good."""
    return [app.conf.broker_url]


@pytest.fixture
def watchdog(brokers: list[str]) -> Iterator[Watchdog]:
    """A worker's that has received nothing for five minutes, while something waits in its queue."""

    def fresh() -> Connection:
        address = brokers.pop(0) if len(brokers) > 1 else brokers[0]
        return Connection(address, transport_options={"max_retries": 0})

    queues = SimpleNamespace(consume_from=[QUEUE])
    found: Any = SimpleNamespace(amqp=SimpleNamespace(queues=queues), connection_for_read=fresh)
    watchdog = Watchdog(SimpleNamespace(app=found, pool=None, controller=None))
    watchdog.received_at = time.monotonic() - 300
    with broker() as client:
        client.lpush(QUEUE, "a task")
        yield watchdog
        client.delete(QUEUE)


def test_a_worker_that_takes_nothing_of_what_waits_is_left_out(watchdog: Watchdog) -> None:
    assert watchdog._is_left_out()


def test_after_an_outage_of_the_broker_each_worker_has_its_time_to_come_back(
    watchdog: Watchdog, brokers: list[str]
) -> None:
    brokers.insert(0, AWAY)
    assert not watchdog._is_left_out()

    # The broker is back, and what was published first waits already.
    assert not watchdog._is_left_out()

    watchdog.received_at -= 300
    assert watchdog._is_left_out()

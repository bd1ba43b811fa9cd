"""What a process remembers of a broker that failed it, so that the next caller does not wait again."""

import socket
import time
from collections.abc import Iterator

import pytest
from kombu import Connection

from messaging import tasks


@pytest.fixture
def silent() -> Iterator[tasks._Broker]:
    """A broker that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        broker = tasks._Broker()
        impatient = {"socket_timeout": 0.2, "socket_connect_timeout": 0.2, "max_retries": 0}
        address = f"redis://127.0.0.1:{server.getsockname()[1]}/0"
        broker.__dict__["_connection"] = Connection(address, transport_options=impatient)
        yield broker


def test_who_asks_a_silent_broker_how_much_waits_spares_the_next_the_wait(
    silent: tasks._Broker, caplog: pytest.LogCaptureFixture
) -> None:
    assert silent.waiting("delivery") == 0

    assert silent.rests_until > time.monotonic()
    assert "broker_away" in caplog.messages
    with pytest.raises(tasks.BrokerAway):
        silent.publish(tasks.canary, queue="chores")
    assert caplog.messages.count("broker_away") == 1  # nobody asked it again


def test_an_empty_queue_is_no_failure() -> None:
    broker = tasks._Broker()

    assert broker.waiting("a queue that nobody filled") == 0

    assert broker.rests_until == 0.0

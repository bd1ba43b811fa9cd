"""One dead connection is no dead PostgreSQL. That a frozen one is: `test_database_frozen`."""

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection

from config.pulse import Pulse
from tests.faults.harness.proxies import Proxies, Proxy

LIMIT = 60.0  # seconds


@pytest.fixture
def proxy(db: None, tmp_path: Path) -> Iterator[Proxy]:
    """A proxy in front of the PostgreSQL of the tests."""
    proxies = Proxies(tmp_path / "proxies.log")
    connection.ensure_connection()
    info = connection.connection.info
    to = f"{info.host}/.s.PGSQL.{info.port}" if info.host.startswith("/") else str(info.port)
    yield proxies.open("pulse", to)
    proxies.stop()


class Heard(Pulse):
    """Tells each time that PostgreSQL answered, and ends when the test does."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = threading.Event()
        self.is_over = False

    def _hear(self) -> None:
        super()._hear()
        self.heard.set()
        if self.is_over:
            raise SystemExit  # nothing less gets out of it

    def run(self, parameters: dict[str, Any]) -> None:
        with suppress(SystemExit):
            self._run(parameters)


def test_a_pulse_whose_own_connection_is_dead_takes_another_and_cuts_nobody(
    proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    parameters = connection.get_connection_params()
    by_proxy = parameters | {"host": "127.0.0.1", "port": proxy.port, "sslmode": "disable"}
    pulse = Heard()
    thread = threading.Thread(target=pulse.run, args=[by_proxy], daemon=True)
    thread.start()
    try:
        assert pulse.heard.wait(LIMIT)
        with psycopg.connect(**parameters) as of_a_request:
            pulse._open.add(of_a_request)
            proxy.freeze()
            pulse.heard.clear()
            # Longer than two connections would have to answer; a cut would raise.
            of_a_request.execute("SELECT pg_sleep(9)")
        assert pulse.heard.wait(LIMIT)
        assert proxy.counts()["connections"] > 1
    finally:
        pulse.is_over = True
        thread.join(LIMIT)

    assert not pulse.is_silent
    assert "database_is_silent" not in caplog.messages

"""One dead connection is no dead PostgreSQL. That a frozen one is: `test_database_frozen`."""

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.db import connection
from psycopg.pq import TransactionStatus

from config.pulse import Pulse
from tests.faults.harness.proxies import Proxies, Proxy
from tests.faults.harness.waiting import until
from tests.ports import free_port

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


@pytest.fixture
def pool(db: None) -> Iterator[int]:
    """The port of a pooler in front of it that has one connection to lend."""
    connection.ensure_connection()
    info = connection.connection.info
    port = free_port()
    pooler = subprocess.Popen(
        [
            *(sys.executable, "-m", "tests.faults.harness.pooler"),
            *(f"{info.host}/.s.PGSQL.{info.port}", str(port), "1"),
        ]
    )
    try:
        until(lambda: _takes_connections(port), LIMIT)
        yield port
    finally:
        pooler.terminate()
        pooler.wait(LIMIT)


def _takes_connections(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


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


def test_statements_that_fill_a_pool_are_not_cut_though_nobody_else_is_answered(
    pool: int, caplog: pytest.LogCaptureFixture
) -> None:
    parameters = connection.get_connection_params()
    by_pool = parameters | {"host": "127.0.0.1", "port": pool, "sslmode": "disable"}
    pulse = Heard()
    thread = threading.Thread(target=pulse.run, args=[by_pool], daemon=True)
    thread.start()
    try:
        assert pulse.heard.wait(LIMIT)
        with psycopg.connect(**by_pool) as of_a_request:
            pulse._open.add(of_a_request)
            pulse.heard.clear()
            # Longer than two connections would have to answer; a cut would raise.
            of_a_request.execute("SELECT pg_sleep(11)")
            was_silent = pulse.is_silent
            of_a_request.commit()
        assert pulse.heard.wait(LIMIT)
    finally:
        pulse.is_over = True
        thread.join(LIMIT)

    assert was_silent  # whoever came meanwhile was refused at once
    assert not pulse.is_silent
    assert caplog.messages.count("database_is_silent") == 1


def test_a_statement_that_no_living_server_could_be_at_is_cut(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    pulse = Pulse()
    with psycopg.connect(**connection.get_connection_params(), autocommit=True) as of_a_request:
        pulse._open.add(of_a_request)
        pid = of_a_request.info.backend_pid
        of_a_request.pgconn.send_query(b"SELECT pg_sleep(600)")
        pulse._miss(may_be_full=True)
        of_a_request.pgconn.consume_input()
        assert of_a_request.info.transaction_status == TransactionStatus.ACTIVE
        monkeypatch.setattr("config.pulse.LONGEST", 0)

        pulse._miss(may_be_full=True)

        with pytest.raises(psycopg.OperationalError):
            of_a_request.pgconn.consume_input()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [pid])

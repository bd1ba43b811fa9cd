"""Whether PostgreSQL answers at all: asked by one thread of a web process, for all of its requests.

A server that is away refuses, and whoever asks knows at once. One that is frozen accepts and says nothing
for ever: libpq has no limit for an answer, `statement_timeout` is the server's own, and `tcp_user_timeout`
ends only what the other machine does not acknowledge, which a frozen process's kernel does; over a unix
socket there is not even that. Without this, sixteen requests would hang, and the probes behind them.
"""

import logging
import os
import select
import socket
import threading
import time
import weakref
from contextlib import suppress
from typing import Any, Final

import psycopg
from django.db import connection as ours
from django.db.backends.signals import connection_created
from psycopg.pq import TransactionStatus

log = logging.getLogger(__name__)

ASK_EVERY: Final = 1.0  # seconds
SILENT_AFTER: Final = 3.0  # seconds without an answer: new requests are refused
CUT_AFTER: Final = 6.0  # seconds without an answer: the requests that hang are broken off


class Pulse:
    """What one process knows of PostgreSQL. Until it is started, that it answers."""

    def __init__(self) -> None:
        self.is_silent = False
        # Every thread has its own; a closed one is forgotten by itself.
        self._open: weakref.WeakSet[psycopg.Connection] = weakref.WeakSet()
        self._lock = threading.Lock()

    def start(self) -> None:
        """Ask every second until the process ends."""
        connection_created.connect(self._note, weak=False)
        parameters = ours.get_connection_params()
        threading.Thread(target=self._run, args=[parameters], name="pulse", daemon=True).start()

    def _note(self, connection: Any, **_: Any) -> None:
        with self._lock:
            self._open.add(connection.connection)

    def _run(self, parameters: dict[str, Any]) -> None:
        while True:
            try:
                with psycopg.connect(**parameters, autocommit=True) as connection:
                    while True:
                        self._ask(connection)
                        time.sleep(ASK_EVERY)
            except psycopg.errors.ConnectionTimeout:
                self._wait_in_vain(CUT_AFTER)
            except psycopg.Error:
                self._hear()  # it refuses: each request finds that out at once, and says so
            except Exception:  # a defect here must not shut the site for good
                self._hear()
                log.exception("pulse_broken_off")
            time.sleep(ASK_EVERY)

    def _ask(self, connection: psycopg.Connection) -> None:
        """Return when there is an answer, however late. Raises: psycopg.Error with the connection."""
        asked_at = time.monotonic()
        link = connection.pgconn
        link.send_query(b"SELECT 1")
        answer = select.poll()  # select itself takes no numbers above 1023
        answer.register(link.socket, select.POLLIN)
        while True:
            # Looked at before the clock: a process that slept itself must not blame the server.
            if answer.poll(ASK_EVERY * 1000):
                link.consume_input()
                if not link.is_busy():
                    break
            self._wait_in_vain(time.monotonic() - asked_at)
        while link.get_result() is not None:
            pass
        self._hear()

    def _hear(self) -> None:
        if self.is_silent:
            log.warning("database_answers_again")
        self.is_silent = False

    def _wait_in_vain(self, seconds: float) -> None:
        if seconds >= SILENT_AFTER and not self.is_silent:
            log.error("database_is_silent")
            self.is_silent = True
        if seconds >= CUT_AFTER:
            self._cut()

    def _cut(self) -> None:
        """Break off what waits for an answer: its thread gets the error of a lost connection."""
        with self._lock:
            waiting = [
                connection
                for connection in self._open
                if connection.info.transaction_status == TransactionStatus.ACTIVE
            ]
        for connection in waiting:
            with (
                suppress(OSError, psycopg.Error),  # closed meanwhile
                socket.socket(fileno=os.dup(connection.fileno())) as link,
            ):
                link.shutdown(socket.SHUT_RDWR)


pulse: Final = Pulse()

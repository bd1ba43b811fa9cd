"""Whether PostgreSQL answers at all: asked by one thread of a web process, for all of its requests.

A server that is away refuses, and whoever asks knows at once. One that is frozen accepts and says nothing
for ever: libpq has no limit for an answer, `statement_timeout` is the server's own, and `tcp_user_timeout`
ends only what the other machine does not acknowledge, which a frozen process's kernel does; over a unix
socket there is not even that. Without this, sixteen requests would hang, and the probes behind them.

One connection alone may be dead while the server is well, as behind a proxy that lost the way: so
PostgreSQL is silent only when a fresh connection, too, gets no answer.

A fresh one that is let in and then not answered waits in a pooler. It may be full, and then the statements
under way are those that get on: requests are refused, and no statement is cut that a living server could
still be at.
"""

import logging
import os
import select
import socket
import threading
import time
import weakref
from contextlib import closing, suppress
from typing import Any, Final

import psycopg
from django.db import connection as ours
from django.db.backends.signals import connection_created
from psycopg.pq import TransactionStatus

log = logging.getLogger(__name__)

ASK_EVERY: Final = 1.0  # seconds
PATIENCE: Final = 3  # seconds that one connection may take to be opened, and then to answer
LONGEST: Final = (
    330  # seconds: the longest statement there is, accepting a broadcast, and some more
)


class Pulse:
    """What one process knows of PostgreSQL. Until it is started, that it answers."""

    def __init__(self) -> None:
        self.is_silent = False
        # Every thread has its own; a closed one is forgotten by itself.
        self._open: weakref.WeakSet[psycopg.Connection] = weakref.WeakSet()
        # Since when a statement was seen under way without a pause, while nobody was answered.
        self._seen: weakref.WeakKeyDictionary[psycopg.Connection, float] = (
            weakref.WeakKeyDictionary()
        )
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
        parameters = parameters | {"connect_timeout": PATIENCE}
        in_vain = 0  # connections one after the other that got no answer
        while True:
            is_let_in = False
            try:
                with closing(psycopg.connect(**parameters, autocommit=True)) as connection:
                    is_let_in = True
                    while True:
                        self._ask(connection)
                        self._hear()
                        in_vain = 0
                        time.sleep(ASK_EVERY)
            except (TimeoutError, psycopg.errors.ConnectionTimeout):
                in_vain += 1
                if in_vain > 1:
                    self._miss(may_be_full=is_let_in)
                continue  # at once, over a fresh one
            except psycopg.Error:
                in_vain = 0
                self._hear()  # it refuses: each request finds that out at once, and says so
            except Exception:  # a defect here must not shut the site for good
                self._hear()
                log.exception("pulse_broken_off")
            time.sleep(ASK_EVERY)

    def _ask(self, connection: psycopg.Connection) -> None:
        """Return when there is an answer. Raises: TimeoutError, or psycopg.Error with the connection."""
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
            if time.monotonic() - asked_at >= PATIENCE:
                raise TimeoutError
        while link.get_result() is not None:
            pass

    def _hear(self) -> None:
        if self.is_silent:
            log.warning("database_answers_again")
        self.is_silent = False
        self._seen.clear()

    def _miss(self, *, may_be_full: bool) -> None:
        if not self.is_silent:
            log.error("database_is_silent")
        self.is_silent = True
        self._cut(older_than=LONGEST if may_be_full else 0)

    def _cut(self, *, older_than: float) -> None:
        """Break off what waits for an answer that long: its thread gets the error of a lost connection."""
        now = time.monotonic()
        with self._lock:
            active = [
                connection
                for connection in self._open
                if connection.info.transaction_status == TransactionStatus.ACTIVE
            ]
        seen = {connection: self._seen.get(connection, now) for connection in active}
        self._seen = weakref.WeakKeyDictionary(seen)
        for connection in (one for one, since in seen.items() if now - since >= older_than):
            with (
                suppress(OSError, psycopg.Error),  # closed meanwhile
                socket.socket(fileno=os.dup(connection.fileno())) as link,
            ):
                link.shutdown(socket.SHUT_RDWR)


pulse: Final = Pulse()

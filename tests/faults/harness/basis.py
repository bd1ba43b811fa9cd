"""What stands under a Pregón of the fault tests: its state, PostgreSQL, Valkey, the sandbox carriers.

The test's own SQL and its models go around the proxies. What the carriers accepted, by their own record,
is the witness of what was lost and what was doubled.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest_django
from django.conf import settings
from django.db import connections

from config import embedded, parts
from config.embedded import Layout
from config.processes import Program
from config.servers import PostgreSQL, Server, Valkey
from tests.faults.harness.parts import Carrier, Part, ServerPart
from tests.faults.harness.waiting import until
from tests.ports import free_port
from tests.servers import new_state_folder

ROOT = Path(__file__).resolve().parents[3]
_OURS_ALONE = ("DATABASE_URL", "REDIS_URL", "BROKER_URL", "SMS_PROVIDERS", "PREGON_STATE")

# Smaller than a real installation's: a test machine's memory holds several.
POSTGRESQL = {"shared_buffers": "64MB", "max_wal_size": "512MB", "maintenance_work_mem": "64MB"}


class Basis:
    """The servers and carriers of one stack, by the names that tests break them by."""

    postgresql: ServerPart
    valkey: ServerPart

    def __init__(
        self, blocker: pytest_django.DjangoDbBlocker, *, state: Path | None = None
    ) -> None:
        self._blocker = blocker
        self.state = state or new_state_folder()
        self.layout = Layout.of(self.state)
        self.carriers: list[Carrier] = []
        self._accepted: Counter[UUID] = Counter()
        self._accepted_read: Counter[str] = Counter()
        self._started: list[Part] = []

    # --- starting ---------------------------------------------------------------------------------

    def _start(self, part: Part) -> None:
        self._started.append(part)
        if not part.is_running:
            part.start()

    def _start_servers(self, postgresql: Mapping[str, str], valkey: Sequence[str]) -> None:
        database, broker = PostgreSQL(self.layout), Valkey(self.layout)
        more = [
            word
            for name, value in {**POSTGRESQL, **postgresql}.items()
            for word in ("-c", f"{name}={value}")
        ]
        self.postgresql = self._server(database, more)
        self.valkey = self._server(broker, valkey)
        for server, part in ((database, self.postgresql), (broker, self.valkey)):
            self._start(part)
            until(server.is_ready, 120, f"{server.name} answers")
            server.settle()
        self.manage(
            "migrate",
            "--no-input",
            "--verbosity",
            "0",
            DATABASE_OWNER_URL=self.layout.owner_database_url,
        )

    def _server(self, server: Server, more: Sequence[str]) -> ServerPart:
        server.prepare()
        program = server.program()
        # `prepare` removes the note of a postmaster that was killed.
        more_words = replace(program, argv=(*program.argv, *more))
        return ServerPart(more_words, before=server.prepare, is_ready=server.is_ready)

    def _start_carriers(self, count: int, reports: str, delay: float) -> None:
        for number in range(1, count + 1):
            name = "carrier" if number == 1 else f"carrier{number}"
            port = free_port()
            command = parts.here(parts.sandbox_carrier(port=port))
            part = Carrier(
                Program(
                    name=name,
                    argv=(*command, "--reports", reports, "--delay", str(delay)),
                    cwd=ROOT,
                    env=self._environment(),
                    log=self.layout.logs / f"{name}.log",
                ),
                port=port,
            )
            self.carriers.append(part)
            self._start(part)

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in _OURS_ALONE}
        return inherited | {
            # The test's own process can make tokens and signatures that these processes believe.
            "SECRET_KEY": settings.SECRET_KEY,
            "JWT_SIGNING_KEY": str(settings.SIMPLE_JWT["SIGNING_KEY"]),
            "AUDIT_KEY": settings.AUDIT_KEY,
            "PREGON_STATE": str(self.state),
            "PREGON_TIMINGS": "tenth",
            "RATE_LIMIT": "off",
            "LOG_LEVEL": "INFO",
            "PYTHONWARNINGS": "ignore:You're running the worker with superuser privileges",
        }

    def manage(self, *arguments: str, **environment: str) -> str:
        """Return what a management command prints, typed in a second terminal."""
        own = {"DATABASE_URL": self.layout.database_url, "REDIS_URL": self.layout.redis_url}
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT,
            env=self._environment() | own | environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    # --- asking -----------------------------------------------------------------------------------

    def connect(self, **more: Any) -> psycopg.Connection:
        """Return a connection as superuser, around the proxies, in autocommit."""
        return psycopg.connect(
            host=str(self.layout.run),
            user="postgres",
            dbname=embedded.DATABASE,
            autocommit=True,
            **more,
        )

    def sql(self, query: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Return the rows of one statement, as superuser, around the proxies."""
        with contextlib.closing(self.connect()) as connection:
            cursor = connection.execute(query, parameters or None)
            return cursor.fetchall() if cursor.description else []

    @contextlib.contextmanager
    def django(self) -> Iterator[None]:
        """Let models and verbs of this process work in the stack's database meanwhile.

        with stack.django():
            Member.objects.filter(...).update(...)
        """
        own = connections["default"]
        there = own.copy()
        there.settings_dict |= {
            "NAME": embedded.DATABASE,
            "USER": embedded.SERVING,
            "HOST": str(self.layout.run),
            "PORT": "",
            "PASSWORD": "",
        }
        with self._blocker.unblock():
            connections["default"] = there
            try:
                yield
            finally:
                there.close()
                connections["default"] = own

    def accepted(self) -> Counter[UUID]:
        """Return how often the carriers accepted each message, by their own record. Reports see nothing."""
        for carrier in self.carriers:
            after = self._accepted_read[carrier.name]
            text = _read(carrier, f"/_sandbox/accepted?after={after}").decode()
            lines = [json.loads(line) for line in text.splitlines()]
            self._accepted_read[carrier.name] += len(lines)
            self._accepted.update(UUID(line["message"]) for line in lines if line["message"])
        return self._accepted

    def carrier_stats(self, carrier: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(_read(self.carriers[carrier], "/_sandbox/stats"))
        return found

    def _carrier_answers(self, carrier: Carrier) -> bool:
        try:
            return bool(_read(carrier, "/_sandbox/stats"))
        except OSError:
            return False

    # --- breaking servers -------------------------------------------------------------------------

    def restart_postgresql(self) -> None:
        """Stop PostgreSQL as `pg_ctl stop -m immediate` does, start it, and wait until it answers."""
        self.stop_postgresql()
        self.start_postgresql()

    def stop_postgresql(self) -> None:
        self.postgresql.end(signal.SIGQUIT)

    def start_postgresql(self) -> None:
        self.postgresql.start()
        until(self.postgresql.is_ready, 120, "PostgreSQL answers")

    def restart_valkey(self, *, empty: bool = False) -> None:
        """Kill Valkey and start it; `empty` takes its file away first: a broker without AOF."""
        self.valkey.kill()
        if empty:
            shutil.rmtree(self.layout.valkey_data)
        self.valkey.start()
        until(self.valkey.is_ready, 60, "Valkey answers")


def _read(carrier: Carrier, path: str) -> bytes:
    address = f"http://127.0.0.1:{carrier.port}{path}"
    with urllib.request.urlopen(address, timeout=60) as answer:
        content: bytes = answer.read()
        return content

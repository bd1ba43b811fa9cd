"""A whole Pregón made of real processes, with a proxy on every wire, for tests that break it.

PostgreSQL and Valkey of its own, the sandbox carrier, web (gunicorn, 2 workers), worker (Celery, 4 pool
processes), dispatcher. Web, worker and dispatcher each reach each server by a proxy of their own:

    stack.worker.broker     the worker's wire to the broker alone
    stack.broker            everybody's wires to the broker
    stack.callbacks         the carrier's wire to the web, by which delivery reports come

`PREGON_TIMINGS=tenth`, `RATE_LIMIT=off`. The test's own SQL goes around the proxies.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import pytest_django

from config import embedded, parts
from config.processes import Program
from tests.factories import SuperuserFactory, TermsFactory
from tests.faults.harness.basis import ROOT, Basis
from tests.faults.harness.houses import House
from tests.faults.harness.http import Answer, Client
from tests.faults.harness.parts import Ours, Part
from tests.faults.harness.proxies import Proxies, Proxy, Several
from tests.faults.harness.waiting import until
from tests.ports import free_port

ACCOUNT = "AC00000000000000000000000000000000:sandbox-token"
USUAL_PROVIDER = (
    f"twilio://{ACCOUNT}@api.twilio.com?from=%2B15005550006&concurrency=25&base_url={{carrier}}"
)


class Stack(Basis):
    """All of it, started. Stop it with `stop()`.

    `pool` is the worker's processes, `web` and `valkey` further words of their commands, `postgresql` its
    settings, `carriers` how many sandbox carriers there are: `{carrier}` and `{carrier2}` in SMS_PROVIDERS
    stand for the addresses at which each part reaches them. `reports` and `delay` are the carriers'.
    `state` is a folder of the caller's own; it is removed in the end all the same.
    `direct` leaves proxies and failpoints out: nothing can be broken, and nothing of the machine goes into
    that. `broker` is the URL of another broker than Valkey, to which no proxy leads. Everything else is a
    variable of web, worker and dispatcher.
    """

    def __init__(
        self,
        blocker: pytest_django.DjangoDbBlocker,
        *,
        pool: int = 4,
        web: Sequence[str] = (),
        postgresql: Mapping[str, str] | None = None,
        valkey: Sequence[str] = (),
        carriers: int = 1,
        reports: str = "final",
        delay: float = 0.3,
        direct: bool = False,
        broker: str = "",
        state: Path | None = None,
        **environment: str,
    ) -> None:
        super().__init__(blocker, state=state)
        self.is_direct = direct
        self._other_broker = {"BROKER_URL": broker} if broker else {}
        self.houses: list[House] = []
        self.answers: list[Answer] = []
        self.may_wait: set[UUID] = set()
        self._next_number = 3_100_000_000  # all of 310… to 319… are Colombian mobile numbers
        self.proxies: Proxies | None = None
        self.wires: list[Proxy] = []
        try:
            self._start_servers(postgresql or {}, valkey)
            with self.django():
                self.terms = TermsFactory.create(version="2026-1")
                self.root = SuperuserFactory.create(email="root@platform.example", name="Root")
            self._start_carriers(carriers, reports, delay)
            self._start_ours(pool, web, environment)
        except BaseException as error:
            for name, log in self.logs():
                error.add_note(f"--- {name}\n{log[-3000:]}")
            self.stop()
            raise

    # --- starting ---------------------------------------------------------------------------------

    def _start_ours(self, pool: int, web: Sequence[str], environment: Mapping[str, str]) -> None:
        self.proxies = Proxies(self.layout.logs / "proxies.log")
        self.port = free_port()
        self.callbacks = self.proxies.open("callbacks", str(self.port))
        self.wires.append(self.callbacks)
        public = self.port if self.is_direct else self.callbacks.port
        self.public_url = f"http://127.0.0.1:{public}"
        ours = {
            "PREGON_STATE": str(self.state),
            "PORT": str(self.port),
            "PUBLIC_URL": self.public_url,
            "ALLOWED_HOSTS": "127.0.0.1",
            "SMS_PROVIDERS": USUAL_PROVIDER,
            **environment,
        }
        worker = tuple(
            str(pool) if before == "--concurrency" else word
            for before, word in zip(("", *parts.worker()), parts.worker(), strict=False)
        )
        bind = f"127.0.0.1:{self.port}"
        self.web = self.party("web", (*parts.web(bind=bind), *web), ours)
        self.worker = self.party("worker", worker, ours)
        self.dispatcher = self.party("dispatcher", parts.DISPATCHER, ours)
        self.ours = (self.web, self.worker, self.dispatcher)
        self.database = Several(part.database for part in self.ours)
        self.broker = Several(part.broker for part in self.ours)
        self.cache = Several(part.cache for part in self.ours)
        self.wire_to_carrier = Several(part.carrier for part in self.ours)
        self.pool = pool
        for part in self.ours:
            self._start(part)
        self.wait_until_ready()

    def party(self, name: str, command: parts.Command, given: Mapping[str, str]) -> Ours:
        """Return a further part of Pregón with proxies of its own, not started yet."""
        assert self.proxies is not None
        socket_of = {
            "database": str(self.layout.run / ".s.PGSQL.5432"),
            "broker": str(self.layout.valkey_socket),
            "cache": str(self.layout.valkey_socket),
            **{carrier.name: str(carrier.port) for carrier in self.carriers},
        }
        wires = {to: self.proxies.open(f"{name}.{to}", where) for to, where in socket_of.items()}
        self.wires += wires.values()
        providers = given["SMS_PROVIDERS"]
        for carrier in self.carriers:
            way = carrier if self.is_direct else wires[carrier.name]
            address = f"http://127.0.0.1:{way.port}"
            providers = providers.replace(f"{{{carrier.name}}}", address)
        failpoints = self.state / "failpoints"
        failpoints.mkdir(exist_ok=True)
        by_wire = {
            "DATABASE_URL": _database_url(wires["database"].port),
            "REDIS_URL": f"redis://127.0.0.1:{wires['cache'].port}/1",
            "BROKER_URL": f"redis://127.0.0.1:{wires['broker'].port}/0",
        }
        directly = {
            "DATABASE_URL": self.layout.database_url,
            "REDIS_URL": self.layout.redis_url,
            "BROKER_URL": self.layout.broker_url,
        }
        breakable = {"PREGON_FAILPOINTS": f"folder:{failpoints / name}"}
        environment = {
            **self._environment(),
            **({} if self.is_direct else breakable),
            **given,
            **(directly if self.is_direct else by_wire),
            **self._other_broker,
            "SMS_PROVIDERS": providers,
        }
        program = Program(
            name=name,
            argv=parts.here(command),
            cwd=ROOT,
            env=environment,
            log=self.layout.logs / f"{name}.log",
        )
        part = Ours(program, failpoints / name)
        part.database, part.broker = wires["database"], wires["broker"]
        part.cache, part.carrier = wires["cache"], wires["carrier"]
        part.carrier2 = wires.get("carrier2", wires["carrier"])
        return part

    def second(self, name: str, like: Ours, *, bind: str = "") -> Ours:
        """Start another part like this one beside it and return it; a web at an address of its own.

        It has proxies and failpoints of its own, and is stopped after the test.
        """
        providers = self._providers_of(like)
        given = {**like.environment, "SMS_PROVIDERS": providers}
        given.pop("PREGON_FAILPOINTS", None)
        command = tuple(like.program.argv)
        if bind:
            command = tuple(bind if word == f"127.0.0.1:{self.port}" else word for word in command)
        part = self.party(name, ("python", *command[1:]), given)
        part.is_extra = True
        self._start(part)
        return part

    def pool_connections(self, part: Ours, *, size: int) -> Part:
        """Put a transaction pooler of so many connections before PostgreSQL, for one part; return it."""
        port = free_port()
        path = str(self.layout.run / ".s.PGSQL.5432")
        command = (sys.executable, "-m", "tests.faults.harness.pooler", path, str(port), str(size))
        log = self.layout.logs / "pooler.log"
        pooler = Part(Program(name="pooler", argv=command, cwd=ROOT, log=log))
        pooler.is_extra = True
        self._start(pooler)
        part.restart(DATABASE_URL=_database_url(port))
        return pooler

    def _providers_of(self, part: Ours) -> str:
        providers = part.environment["SMS_PROVIDERS"]
        for name, wire in (("carrier", part.carrier), ("carrier2", part.carrier2)):
            providers = providers.replace(f"http://127.0.0.1:{wire.port}", f"{{{name}}}")
        return providers

    def wait_until_ready(self) -> None:
        """Return when carriers and web answer, the worker's pool stands and the dispatcher sweeps."""
        for carrier in self.carriers:
            until(partial(self._carrier_answers, carrier), 90, f"{carrier.name} answers")
        self.wait_until_the_web_answers()
        until(lambda: len(self.worker.children()) >= self.pool, 90, "the worker's pool stands")
        until(self.says_that_all_is_up, 90, "/readyz says that all is up", tell=self.readyz)

    def wait_until_the_web_answers(self) -> None:
        until(lambda: self.revive().client().is_alive(), 90, "the web answers")

    # --- asking -----------------------------------------------------------------------------------

    def client(self) -> Client:
        """Return a client without credentials. What it is answered is looked at after the test."""
        return Client(self)

    def readyz(self) -> tuple[int, dict[str, str]]:
        answer = self.client().call("GET", "/readyz", may_break=True)
        return answer.status, answer.json if answer.status else {}

    def revive(self) -> Self:
        """Start again what ended by itself, as `up` does: a deaf worker, by its watchdog."""
        for part in self.ours:
            if not part.is_running:
                part.restart()
        return self

    def says_that_all_is_up(self) -> bool:
        self.revive()
        status, found = self.readyz()
        return status == 200 and not set(found.values()) & {"down", "late"}

    # --- a fresh organization ---------------------------------------------------------------------

    def house(
        self, *, contacts: int = 0, credits_: int = 10_000_000, name: str = "Acme", **fields: Any
    ) -> House:
        """Return a new organization with Ana (OWNER, terms accepted), contacts and credits.

        Its numbers are nobody else's. `fields` are of Organization.
        """
        with self.django():
            house = House.make(self, name=name, amount=credits_, **fields)
        if contacts:
            house.add_contacts(contacts)
        self.houses.append(house)
        return house

    def numbers(self, count: int) -> int:
        """Return the first of so many national numbers that nobody was given before."""
        first = self._next_number
        self._next_number += count
        assert self._next_number < 3_200_000_000
        return first

    # --- between tests ----------------------------------------------------------------------------

    def begin(self) -> None:
        """Begin a test: nothing of earlier ones is asked after."""
        self.houses, self.answers, self.may_wait = [], [], set()
        self.sql("DELETE FROM messaging_providerstate")  # no breaker is left open
        for part in self._started:
            part.begin_log()

    def mend(self) -> None:
        """End every fault: proxies pass, failpoints are gone, everything runs as it usually does."""
        for wire in self.wires:
            wire.heal()
        for part in [part for part in self._started if part.is_extra]:
            part.stop()
            self._started.remove(part)
        for part in self.ours:
            part.disarm()
        for part in self._started:
            if part.is_running:
                part.resume()
        if not self.postgresql.is_running:
            self.start_postgresql()
        if not self.valkey.is_running:
            self.restart_valkey()
        for ours in self.ours:
            if not ours.is_usual:
                ours.restart()
        self.revive()
        self.wait_until_ready()

    def logs(self) -> Iterator[tuple[str, str]]:
        """Yield what each part has written since this test began."""
        for part in self._started:
            yield part.name, part.log()

    def stop(self) -> None:
        """End everything and remove the state."""
        for part in reversed(self._started):
            if part in (self.__dict__.get("postgresql"), self.__dict__.get("valkey")):
                part.stop()
            else:
                part.kill()  # whatever it still does is thrown away
        if self.proxies is not None:
            self.proxies.stop()
        if keep := os.environ.get("KEEP_FAULT_LOGS"):
            shutil.copytree(self.layout.logs, Path(keep) / self.state.name)
        shutil.rmtree(self.layout.run, ignore_errors=True)  # elsewhere, where the path is long
        shutil.rmtree(self.state, ignore_errors=True)


def _database_url(port: int) -> str:
    where = f"127.0.0.1:{port}/{embedded.DATABASE}"
    return f"postgresql://{embedded.SERVING}@{where}?sslmode=disable&gssencmode=disable"

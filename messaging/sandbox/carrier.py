"""The sandbox carrier itself: it takes messages, or not, whatever dialect they come in."""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from aiohttp import web

from messaging.sandbox import answers, owed
from messaging.sandbox.behaviour import GOOD, OWN, Behaviour
from messaging.sandbox.dialect import Dialect
from messaging.sandbox.record import Record, Shared
from messaging.sandbox.reporting import Reporter, Reports
from messaging.sandbox.rules import Behaviours

logger = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Offer(NamedTuple):
    """One message of a request."""

    recipient: str  # E.164
    sender: str  # a number, a name or a messaging service
    text: str
    callback: str  # where its reports go; empty: nowhere
    message_id: str | None = None  # hexadecimal: the site's own, as far as the request names it
    provider_id: str = ""  # where the request says which id it wants
    style: str = ""  # of its id in the record; empty is the dialect's own ids


class Line(NamedTuple):
    """What became of one message of a request."""

    offer: Offer
    behaviour: Behaviour
    id: str | int | None  # to be answered; of a message that is not taken, one that means nothing


@dataclass(slots=True, eq=False)
class Traffic:
    """What came in since the start or the last reset."""

    requests: int = 0
    refused: int = 0  # messages
    now: int = 0  # requests under way
    peak: int = 0
    answers: Counter[str] = field(default_factory=Counter)  # by status, or by how it was closed
    paths: Counter[str] = field(default_factory=Counter)

    def clear(self) -> None:
        """Forget what was counted; what is under way stays so."""
        self.requests = self.refused = 0
        self.peak = self.now
        self.answers.clear()
        self.paths.clear()


@dataclass(slots=True, eq=False)
class Carrier:
    """What every provider's dialect shares."""

    record: Record
    behaviours: Behaviours
    reporter: Reporter
    dialects: tuple[Dialect, ...]
    traffic: Traffic = field(default_factory=Traffic)
    letting_go: asyncio.Event = field(default_factory=asyncio.Event)

    def let_go(self) -> None:
        """End whatever waits by order of a behaviour: its connections are closed."""
        self.letting_go.set()
        self.letting_go = asyncio.Event()

    async def take(
        self,
        request: web.Request,
        dialect: Dialect,
        login: tuple[str, str],
        offers: Sequence[Offer],
    ) -> list[Line]:
        """Take the messages of a request, or not, and return what became of each.

        What the behaviour does to the answer is done later, by the carrier.
        """
        behaviours = self.behaviours.of(
            [offer.recipient for offer in offers],
            call="send",
            dialect=dialect.slug,
            account=login[0],
            messages=len(offers),
        )
        whole = behaviours[0] if len(offers) == 1 else _whole(behaviours)
        if whole is not GOOD:
            request[BEHAVIOUR] = whole
            if whole.pause and await answers.wait(whole.pause, self.letting_go):
                whole = request[BEHAVIOUR] = Behaviour(closes="unread")
            if whole.fails and whole.is_whole:
                behaviours = [whole] * len(offers)
        lines = []
        early = []
        for offer, behaviour in zip(offers, behaviours, strict=True):
            if not behaviour.takes:
                self.traffic.refused += 1
                invented = offer.provider_id or f"{dialect.own_ids}{secrets.token_hex(16)}"
                lines.append(Line(offer, behaviour, invented))
                continue
            number = self._accept(dialect, login, offer, behaviour)
            if behaviour.early:
                early.append(number)
            answered = self.record.provider_id(number) if behaviour.id == OWN else behaviour.id
            lines.append(Line(offer, behaviour, answered))
        for number in early:
            await self.reporter.told(number)
        return lines

    async def asked(
        self, request: web.Request, dialect: Dialect, account: str, recipient: str = ""
    ) -> Behaviour:
        """Return how a look-up is treated. Where it does not take, nothing is to be found."""
        (behaviour,) = self.behaviours.of(
            [recipient], call="lookup", dialect=dialect.slug, account=account
        )
        request[BEHAVIOUR] = behaviour
        if behaviour.pause and await answers.wait(behaviour.pause, self.letting_go):
            behaviour = request[BEHAVIOUR] = Behaviour(closes="unread")
        return behaviour

    def _accept(
        self, dialect: Dialect, login: tuple[str, str], offer: Offer, behaviour: Behaviour
    ) -> int:
        lag = self.reporter.delay if behaviour.lag is None else behaviour.lag
        shared = Shared(
            dialect.slug,
            login[0],
            offer.sender,
            offer.text,
            behaviour.final,
            lag,
            offer.style or dialect.own_ids,
        )
        given = behaviour.id if behaviour.id != OWN and isinstance(behaviour.id, str) else ""
        if not (given or offer.style):
            given = offer.provider_id
        number = self.record.add(offer.recipient, offer.message_id, shared, provider_id=given)
        if offer.callback:
            address, _, query = offer.callback.partition("?")
            sender = self.reporter.sender(
                dialect, account=login[0], token=login[1], number=offer.sender, address=address
            )
            self.reporter.report(number, sender, query, behaviour)
        return number


CARRIER: Final = web.AppKey("carrier", Carrier)
BEHAVIOUR: Final = "behaviour"


def application(
    *,
    reports: Reports,
    delay: float,
    dialects: tuple[Dialect, ...],
    doors: Sequence[web.RouteDef],
    state: Path | None = None,
) -> web.Application:
    """Return the carrier as a web application that speaks the given dialects.

    `delay` is the time in seconds from an acceptance to its last report; `doors` are its own;
    `state` is a file for what it owes when it stops.
    """
    record = Record()
    app = web.Application(client_max_size=4 << 20)
    app[CARRIER] = Carrier(
        record, Behaviours(), Reporter(record, reports=reports, delay=delay), dialects
    )
    app.on_shutdown.append(_let_go)
    app.cleanup_ctx.append(partial(_reporting, state))
    app.add_routes(doors)
    app.add_routes(
        [
            web.route(route.method, route.path, _counted(route.handler), **route.kwargs)
            for dialect in dialects
            for route in dialect.routes()
        ]
    )
    return app


async def _let_go(app: web.Application) -> None:
    app[CARRIER].let_go()


async def _reporting(state: Path | None, app: web.Application) -> AsyncIterator[None]:
    carrier = app[CARRIER]
    carrier.reporter.start()
    if state:
        owed.take_up(state, carrier.reporter, carrier.dialects)
    yield
    await carrier.reporter.stop()
    if state:
        try:
            owed.keep(state, carrier.reporter)
        except OSError as error:
            logger.error("sandbox_state_not_kept: %s", error)  # noqa: TRY400 (the cause is the words)


def _whole(behaviours: Sequence[Behaviour]) -> Behaviour:
    """Return what a batch as a whole meets with, a failure before anything else."""
    wholes = [one for one in behaviours if one.is_whole]
    return next((one for one in wholes if one.fails), wholes[0] if wholes else GOOD)


def _counted(handler: Handler) -> Handler:
    """Return the handler, counted, with its behaviour's doings to the answer."""

    async def counted(request: web.Request) -> web.StreamResponse:
        carrier = request.app[CARRIER]
        traffic = carrier.traffic
        traffic.requests += 1
        traffic.now += 1
        traffic.peak = max(traffic.peak, traffic.now)
        resource = request.match_info.route.resource
        traffic.paths[resource.canonical if resource else request.path] += 1
        try:
            response = await handler(request)
            behaviour = request.get(BEHAVIOUR, GOOD)
            if behaviour is GOOD:
                traffic.answers[str(response.status)] += 1
                return response
            traffic.answers[behaviour.closes or str(response.status)] += 1
            return await answers.misbehave(request, response, behaviour, carrier.letting_go)
        finally:
            traffic.now -= 1

    return counted

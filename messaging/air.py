"""The requests of one drain that are under way: an event loop in a thread of its own carries them.

The drain's thread keeps the one database connection and works on while they are in the air.
"""

import asyncio
import threading
from collections.abc import Collection, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from types import TracebackType
from typing import Self
from uuid import UUID

import aiohttp

from messaging.providers.base import Batch, Provider, http_session
from messaging.providers.results import Result
from messaging.routing import Turn
from messaging.timings import TIMINGS


@dataclass(slots=True, eq=False)
class Flight:
    """Requests that left together, and land together."""

    turn: Turn
    requests: int
    answers: Future[list[dict[UUID, Result]]]  # of each request
    elsewhere: frozenset[str] | None = frozenset()  # where what was not sent goes; None is anywhere
    is_judged: bool = False


class Air:
    """All flights under way. Every request ends within `connect + read` seconds, one way or the other."""

    def __init__(self) -> None:
        self.flights: list[Flight] = []
        self._sessions: dict[str, aiohttp.ClientSession] = {}
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._loop = self._runner.get_loop()
        self._closing = asyncio.Event()
        self._thread = threading.Thread(
            target=self._runner.run, args=[self._until_closed()], name="air", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """Close every connection and end the thread; what is still under way is broken off."""
        self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join()
        self._runner.close()

    @property
    def requests(self) -> int:
        """Return how many requests are under way, or have landed and are not let go yet."""
        return sum(flight.requests for flight in self.flights)

    def launch(self, turn: Turn, batches: Sequence[Batch]) -> None:
        """Let these requests leave, all at once."""
        answers = asyncio.run_coroutine_threadsafe(self._fly(turn.provider, batches), self._loop)
        self.flights.append(Flight(turn, len(batches), answers))

    def wait(self) -> None:
        """Return when a flight has landed."""
        wait([flight.answers for flight in self.flights], return_when=FIRST_COMPLETED)

    def landed(self) -> list[Flight]:
        """Return the flights whose answers are all there. They stay until `let_go`."""
        return [flight for flight in self.flights if flight.answers.done()]

    def let_go(self, flights: Collection[Flight]) -> None:
        """Forget these flights: their room is free."""
        self.flights = [flight for flight in self.flights if flight not in flights]

    async def _until_closed(self) -> None:
        await self._closing.wait()
        for session in self._sessions.values():
            await session.close()

    async def _fly(self, provider: Provider, batches: Sequence[Batch]) -> list[dict[UUID, Result]]:
        http = self._sessions.get(provider.name)
        if http is None:
            http = self._sessions[provider.name] = http_session(
                concurrency=provider.concurrency, connect=TIMINGS.connect, read=TIMINGS.read
            )
        answers = await asyncio.gather(*(provider.send(batch, http) for batch in batches))
        return [dict(answer) for answer in answers]

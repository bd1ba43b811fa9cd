"""Sending delivery reports back: signed as the provider signs them, a few at a time, none lost."""

import asyncio
import heapq
import itertools
import logging
import secrets
import time
from collections.abc import Coroutine, Iterator
from typing import Final, Literal, NamedTuple

import aiohttp

from messaging.sandbox.behaviour import Behaviour, Steps
from messaging.sandbox.dialect import Call, Dialect, Envelope, Sender, Told
from messaging.sandbox.record import Named, Record

logger = logging.getLogger(__name__)

CONCURRENCY: Final = 20
TIMEOUT: Final = 15.0  # seconds, as Twilio's
ATTEMPTS: Final = 12  # of a report that is answered 5xx: about two minutes
_TICK: Final = 0.005  # seconds: reports that fall due together go out together
_EARLY: Final = 30.0  # seconds an answer waits at most for its own report
_DELIVERED: Final[Steps] = (("delivered", ""),)

Reports = Literal["final", "all", "none"]


class Script(NamedTuple):
    """What is told of a message, and how: shared by all that behave alike."""

    steps: Steps
    lag: float  # seconds from its acceptance to the last step
    copies: int = 1
    signed: bool = True
    known: bool = True


class Due(NamedTuple):
    """A report waiting for its moment. The order of its fields is the order in the heap."""

    at: float
    number: int  # of the acceptance; below 0 when it was accepted before the last start
    step: int
    attempt: int
    sender: Sender
    query: str
    script: Script


class Reporter:
    """Reports on accepted messages until it is stopped."""

    def __init__(self, record: Record, *, reports: Reports, delay: float) -> None:
        self._record = record
        self._reports = reports
        self.delay = delay
        self._heap: list[Due] = []
        self._under_way: dict[int, list[Due]] = {}
        self._arrived = asyncio.Event()
        self._turn = asyncio.Lock()
        self._senders: dict[tuple[str, str, str, str, str], Sender] = {}
        self._scripts: dict[Behaviour, Script] = {}
        self._kept: dict[int, Named] = {}
        self._kept_numbers = itertools.count(-1, -1)
        self._awaited: dict[int, asyncio.Event] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._http: aiohttp.ClientSession
        self._generation = 0
        self.pending = self.sent = self.failed = 0
        self.last_failure = ""

    def clear(self) -> None:
        """Forget what waits and what was counted. Reports under way still arrive, uncounted."""
        self._generation += 1
        self._heap.clear()
        self._under_way.clear()
        self._kept.clear()
        for sender in self._senders.values():
            sender.parked.clear()
        for event in self._awaited.values():
            event.set()
        self.pending = self.sent = self.failed = 0
        self.last_failure = ""

    def start(self) -> None:
        """Begin to send; needs the running event loop."""
        for _ in range(CONCURRENCY):
            self._begin(self._work())
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONCURRENCY, keepalive_timeout=1.0),
            timeout=aiohttp.ClientTimeout(total=TIMEOUT),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def stop(self) -> None:
        """Stop sending. What was not sent yet can still be read from `owed`."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.close()

    # --- what is to be reported -------------------------------------------------------------------

    def sender(
        self, dialect: Dialect, *, account: str, token: str, number: str, address: str
    ) -> Sender:
        """Return the one sender of these properties."""
        key = (dialect.slug, account, token, number, address)
        known = self._senders.get(key)
        if known is None:
            known = self._senders[key] = Sender(dialect, account, token, number, address)
        return known

    def senders(self) -> Iterator[Sender]:
        """Yield every sender that ever wanted reports, the last one first."""
        return reversed(self._senders.values())

    def report(self, number: int, sender: Sender, query: str, behaviour: Behaviour) -> None:
        """Report on an acceptance, when its time comes, to the callback that came with it."""
        script = self._scripts.get(behaviour) or self._script(behaviour)
        if not script.steps:
            return
        if behaviour.early:
            self._awaited[number] = asyncio.Event()
        self.pending += len(script.steps)
        self._wait(Due(self._moment(0, script), number, 0, 0, sender, query, script))

    async def told(self, number: int) -> None:
        """Wait until the early reports on this acceptance were answered, or given up."""
        if event := self._awaited.get(number):
            try:
                await asyncio.wait_for(event.wait(), _EARLY)
            except TimeoutError:
                logger.warning("sandbox_early_report_late")
            del self._awaited[number]

    def owed(self) -> Iterator[tuple[Due, Named]]:
        """Yield every report that was not answered yet, and the message it is about."""
        parked = (sender.parked for sender in self._senders.values())
        for due in itertools.chain(self._heap, *self._under_way.values(), *parked):
            yield due, self._kept[due.number] if due.number < 0 else self._record.named(due.number)

    def owe(self, sender: Sender, query: str, script: Script, step: int, kept: Named) -> None:
        """Take up a report that an earlier run owed."""
        number = next(self._kept_numbers)
        self._kept[number] = kept
        self.pending += len(script.steps) - step
        self._wait(Due(time.monotonic(), number, step, 0, sender, query, script))

    def _script(self, behaviour: Behaviour) -> Script:
        steps = _DELIVERED if behaviour.reports is None else behaviour.reports
        if self._reports == "none":
            steps = ()
        elif self._reports == "all" and len(steps) == 1:
            steps = (("queued", ""), ("sent", ""), *steps)
        lag = 0.0 if behaviour.early else self.delay if behaviour.lag is None else behaviour.lag
        script = Script(steps, lag, behaviour.copies, behaviour.signed, behaviour.known)
        self._scripts[behaviour] = script
        return script

    def _moment(self, step: int, script: Script) -> float:
        """Return when a step falls due if the one before ends now: the last one after the lag."""
        steps = len(script.steps)
        first = script.lag if steps == 1 else 0.0
        return time.monotonic() + (first if step == 0 else script.lag / (steps - 1))

    def _wait(self, due: Due) -> None:
        heapq.heappush(self._heap, due)
        self._arrived.set()

    # --- sending ----------------------------------------------------------------------------------

    async def _work(self) -> None:
        while True:
            dues = await self._next()
            sender = dues[0].sender
            if sender.away:
                sender.parked.extend(dues)
                continue
            generation = self._generation
            key = id(dues)
            self._under_way[key] = dues
            try:
                status = await self._post(dues)
            except (aiohttp.ClientConnectorError, ConnectionError) as error:
                self._note(sender, f"no connection ({type(error).__name__})", generation)
                self._park(dues, generation)
            except (aiohttp.ClientError, TimeoutError) as error:
                self._note(sender, type(error).__name__, generation)
                self._again(dues, generation)
            else:
                self._settle(dues, status, generation)
            # Not in a `finally`: what is interrupted is still owed.
            self._under_way.pop(key, None)  # a reset may have forgotten it

    async def _next(self) -> list[Due]:
        """Return the next reports whose time has come, as many as go in one call.

        One worker waits, the others behind it.
        """
        async with self._turn:
            while True:
                while not self._heap:
                    self._arrived.clear()
                    await self._arrived.wait()
                wait = self._heap[0].at - time.monotonic()
                if wait <= 0:
                    return self._companions(heapq.heappop(self._heap))
                await asyncio.sleep(min(max(wait, _TICK), 0.1))

    def _companions(self, first: Due) -> list[Due]:
        dues, now = [first], time.monotonic()
        while (
            len(dues) < first.sender.dialect.reports_at_once
            and self._heap
            and self._heap[0].at <= now
            and self._heap[0][4:6] == first[4:6]  # the same sender and address
            and self._heap[0].script[2:] == first.script[2:]
        ):
            dues.append(heapq.heappop(self._heap))
        return dues

    async def _probe(self, sender: Sender) -> None:
        """Try one report ever more slowly until somebody listens; then let the others follow."""
        pause = 0.1
        while sender.parked:
            await asyncio.sleep(pause)
            pause = min(2 * pause, 3.0)
            if not sender.parked:  # forgotten meanwhile
                break
            generation, due = self._generation, sender.parked[0]
            try:
                status = await self._post([due])
            except (aiohttp.ClientError, OSError) as error:
                self._note(sender, f"no connection ({type(error).__name__})", generation)
                continue
            if generation == self._generation:
                self._settle([sender.parked.popleft()], status, generation)
                while sender.parked:
                    self._wait(sender.parked.popleft())
        sender.away = False

    async def _post(self, dues: list[Due]) -> int:
        """Send the reports as often as they are to be sent, and return the worst answer."""
        call = self._call(dues)
        copies = dues[0].script.copies
        if copies == 1:
            return await self.post(call)
        return max(await asyncio.gather(*(self.post(call) for _ in range(copies))))

    async def post(self, call: Call) -> int:
        """Make one call to the site and return the HTTP status of its answer."""
        async with self._http.post(
            call.url, data=call.body, headers=call.headers, allow_redirects=False
        ) as response:
            return response.status

    def _call(self, dues: list[Due]) -> Call:
        (_, _, _, _, sender, query, script) = dues[0]
        url = f"{sender.address}?{query}" if query else sender.address
        envelope = Envelope(sender, url, script.signed)
        return sender.dialect.report(envelope, [self._told(due) for due in dues])

    def _told(self, due: Due) -> Told:
        word, code = due.script.steps[due.step]
        named = self._kept[due.number] if due.number < 0 else self._record.named(due.number)
        if due.script.known:
            return Told(named.provider_id, named.recipient, word, code, named.message_id, named.at)
        unknown = f"{due.sender.dialect.own_ids}{secrets.token_hex(16)}"
        return Told(unknown, named.recipient, word, code, None, named.at, is_known=False)

    def _settle(self, dues: list[Due], status: int, generation: int) -> None:
        if generation != self._generation:
            return
        if 200 <= status < 300:
            self.sent += len(dues)
            self.pending -= len(dues)
            for due in dues:
                if (step := due.step + 1) < len(due.script.steps):
                    moment = self._moment(step, due.script)
                    self._wait(due._replace(at=moment, step=step, attempt=0))
                else:
                    self._end(due)
        elif status >= 500 or status in {408, 429}:
            self._note(dues[0].sender, f"answered {status}", generation)
            self._again(dues, generation)
        else:
            self._note(dues[0].sender, f"answered {status}", generation)
            self._give_up(dues)

    def _park(self, dues: list[Due], generation: int) -> None:
        """Keep reports for which nobody listened: a web that restarts must not lose any."""
        if generation != self._generation:
            return
        sender = dues[0].sender
        sender.parked.extend(dues)
        if not sender.away:
            sender.away = True
            self._begin(self._probe(sender))

    def _again(self, dues: list[Due], generation: int) -> None:
        if generation != self._generation:
            return
        for due in dues:
            attempt = due.attempt + 1
            if attempt >= ATTEMPTS:
                self._give_up([due])
            else:
                pause = min(0.25 * 2**attempt, 15.0)
                self._wait(due._replace(at=time.monotonic() + pause, attempt=attempt))

    def _give_up(self, dues: list[Due]) -> None:
        """Drop reports nobody wants; the later ones of their messages would fare no better."""
        for due in dues:
            left = len(due.script.steps) - due.step
            self.failed += left
            self.pending -= left
            self._end(due)

    def _end(self, due: Due) -> None:
        if due.number < 0:
            self._kept.pop(due.number, None)
        elif event := self._awaited.get(due.number):
            event.set()

    def _note(self, sender: Sender, what: str, generation: int) -> None:
        if generation == self._generation:
            self.last_failure = f"{sender.address}: {what}"

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("sandbox_reporter_broke", exc_info=error)

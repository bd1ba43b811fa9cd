"""Sending delivery reports back: signed as Twilio signs them, a few at a time, none lost."""

import asyncio
import base64
import heapq
import hmac
import logging
import time
from collections import deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple
from urllib.parse import urlencode

import aiohttp

from messaging.sandbox.record import Record

logger = logging.getLogger(__name__)

CONCURRENCY: Final = 20
TIMEOUT: Final = 15.0  # seconds, as Twilio's
ATTEMPTS: Final = 12  # of a report that is answered 5xx: about two minutes
_TICK: Final = 0.005  # seconds: reports that fall due together go out together

Reports = Literal["final", "all", "none"]


@dataclass(slots=True, eq=False)
class Sender:
    """Where one account wants its reports, and how it signs: shared by all its messages."""

    account: str
    token: str
    number: str  # or messaging service
    address: str  # the callback without its query
    away: bool = False  # nobody listens there
    parked: deque["Due"] = field(default_factory=deque)  # meanwhile


class Due(NamedTuple):
    """A report waiting for its moment. The order of its fields is the order in the heap."""

    at: float
    number: int  # of the acceptance
    step: int
    attempt: int
    sender: Sender
    query: str
    steps: tuple[tuple[str, int], ...]  # (status, error code) of each report, shared


class Reporter:
    """Reports on accepted messages until it is stopped."""

    def __init__(self, record: Record, *, reports: Reports, delay: float) -> None:
        self._record = record
        self._reports = reports
        self._delay = delay
        self._heap: list[Due] = []
        self._arrived = asyncio.Event()
        self._turn = asyncio.Lock()
        self._senders: dict[tuple[str, str, str, str], Sender] = {}
        self._steps: dict[tuple[str, int], tuple[tuple[str, int], ...]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._http: aiohttp.ClientSession
        self._generation = 0
        self.pending = self.sent = self.failed = 0
        self.last_failure = ""

    def clear(self) -> None:
        """Forget what waits and what was counted. Reports under way still arrive, uncounted."""
        self._generation += 1
        self._heap.clear()
        for sender in self._senders.values():
            sender.parked.clear()
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
            headers={"User-Agent": "TwilioProxy/1.1"},
        )

    async def stop(self) -> None:
        """Stop sending. What was not sent yet is never sent."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._http.close()

    def report(
        self,
        number: int,
        *,
        login: tuple[str, str],
        sender: str,
        callback: str,
        final: tuple[str, int],
    ) -> None:
        """Report on an acceptance, when its time comes, to the callback that came with it."""
        if self._reports == "none" or not callback:
            return
        address, _, query = callback.partition("?")
        key = (*login, sender, address)
        known = self._senders.get(key)
        if known is None:
            known = self._senders[key] = Sender(*key)
        steps = self._steps.get(final)
        if steps is None:
            early = (("queued", 0), ("sent", 0)) if self._reports == "all" else ()
            steps = self._steps[final] = (*early, final)
        self.pending += len(steps)
        self._wait(Due(self._moment(0, len(steps)), number, 0, 0, known, query, steps))

    def _moment(self, step: int, steps: int) -> float:
        """Return when a step falls due if the one before ends now: the last one after the delay."""
        first = self._delay if steps == 1 else 0.0
        return time.monotonic() + (first if step == 0 else self._delay / (steps - 1))

    def _wait(self, due: Due) -> None:
        heapq.heappush(self._heap, due)
        self._arrived.set()

    async def _work(self) -> None:
        while True:
            due = await self._next()
            if due.sender.away:
                due.sender.parked.append(due)
                continue
            generation = self._generation
            try:
                status = await self._post(due)
            except (aiohttp.ClientConnectorError, ConnectionError) as error:
                self._note(due, f"no connection ({type(error).__name__})", generation)
                self._park(due, generation)
            except (aiohttp.ClientError, TimeoutError) as error:
                self._note(due, type(error).__name__, generation)
                self._again(due, generation)
            else:
                self._settle(due, status, generation)

    async def _next(self) -> Due:
        """Return the next report whose time has come. One worker waits, the others behind it."""
        async with self._turn:
            while True:
                while not self._heap:
                    self._arrived.clear()
                    await self._arrived.wait()
                wait = self._heap[0].at - time.monotonic()
                if wait <= 0:
                    return heapq.heappop(self._heap)
                await asyncio.sleep(min(max(wait, _TICK), 0.1))

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
                status = await self._post(due)
            except (aiohttp.ClientError, OSError) as error:
                self._note(due, f"no connection ({type(error).__name__})", generation)
                continue
            if generation == self._generation:
                self._settle(sender.parked.popleft(), status, generation)
                while sender.parked:
                    self._wait(sender.parked.popleft())
        sender.away = False

    async def _post(self, due: Due) -> int:
        url, body, signature = self._signed(due)
        async with self._http.post(
            url,
            data=body,
            headers={
                "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
                "X-Twilio-Signature": signature,
            },
            allow_redirects=False,
        ) as response:
            return response.status

    def _signed(self, due: Due) -> tuple[str, bytes, str]:
        status, code = due.steps[due.step]
        sid = self._record.provider_id(due.number)
        fields = {  # in the order of their names, which is the order they are signed in
            "AccountSid": due.sender.account,
            "ApiVersion": "2010-04-01",
            **({"ErrorCode": str(code)} if code else {}),
            "From": due.sender.number,
            "MessageSid": sid,
            "MessageStatus": status,
            "SmsSid": sid,
            "SmsStatus": status,
            "To": self._record.recipient(due.number),
        }
        url = f"{due.sender.address}?{due.query}" if due.query else due.sender.address
        said = url + "".join(name + value for name, value in fields.items())
        mac = hmac.digest(due.sender.token.encode(), said.encode(), "sha1")
        return url, urlencode(fields).encode(), base64.b64encode(mac).decode()

    def _settle(self, due: Due, status: int, generation: int) -> None:
        if generation != self._generation:
            return
        if 200 <= status < 300:
            self.sent += 1
            self.pending -= 1
            if (step := due.step + 1) < len(due.steps):
                moment = self._moment(step, len(due.steps))
                self._wait(due._replace(at=moment, step=step, attempt=0))
        elif status >= 500 or status in {408, 429}:
            self._note(due, f"answered {status}", generation)
            self._again(due, generation)
        else:
            self._note(due, f"answered {status}", generation)
            self._give_up(due)

    def _park(self, due: Due, generation: int) -> None:
        """Keep a report for which nobody listened: a web that restarts must not lose any."""
        if generation != self._generation:
            return
        due.sender.parked.append(due)
        if not due.sender.away:
            due.sender.away = True
            self._begin(self._probe(due.sender))

    def _again(self, due: Due, generation: int) -> None:
        if generation != self._generation:
            return
        attempt = due.attempt + 1
        if attempt >= ATTEMPTS:
            self._give_up(due)
        else:
            pause = min(0.25 * 2**attempt, 15.0)
            self._wait(due._replace(at=time.monotonic() + pause, attempt=attempt))

    def _give_up(self, due: Due) -> None:
        """Drop a report nobody wants; the later ones of its message would fare no better."""
        left = len(due.steps) - due.step
        self.failed += left
        self.pending -= left

    def _note(self, due: Due, what: str, generation: int) -> None:
        if generation == self._generation:
            self.last_failure = f"{due.sender.address}: {what}"

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("sandbox_reporter_broke", exc_info=error)

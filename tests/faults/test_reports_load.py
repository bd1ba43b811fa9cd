"""B79: delivery reports at 500 a second, beside a broadcast that runs."""

import asyncio
import contextlib
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from threading import Event, Thread
from uuid import UUID, uuid4

import psutil
import pytest

from tests.faults.harness.carrier import ACCOUNT, behaving, report_path, signed
from tests.faults.harness.houses import House
from tests.faults.harness.stack import Stack
from tests.figures import figure

RATE = 500  # reports a second
CONNECTIONS = 20  # as many as the carrier holds open


@dataclass
class Load:
    """What a client saw: how each request was answered, and after how long."""

    answers: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    lasted: float = 0.0

    def p95(self) -> float:
        """Return the time in milliseconds within which 95 of 100 were answered."""
        return 1000 * sorted(self.seconds)[int(len(self.seconds) * 0.95)] if self.seconds else 0.0


def requests(stack: Stack, message_ids: Sequence[UUID]) -> list[bytes]:
    """Return a report on each message as it goes over the wire, signed beforehand."""
    made = []
    for message_id in message_ids:
        path = report_path(message_id)
        fields = {
            "MessageSid": f"SM{uuid4().hex}",
            "MessageStatus": "delivered",
            "AccountSid": ACCOUNT,
            "From": "+15005550006",
            "ApiVersion": "2010-04-01",
        }
        body, headers = signed(stack, path, fields)
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        made.append(
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
    return made


class _Line:
    """One connection to the web, opened anew after each answer but a good one."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, request: bytes) -> int:
        """Return the status; 0 where nobody answered."""
        status = 0
        try:
            if self._writer is None or self._reader is None:
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            self._writer.write(request)
            status = int((await self._reader.readuntil(b"\r\n\r\n"))[9:12])
        except (OSError, asyncio.IncompleteReadError):
            status = 0
        if status != 204:
            await self.close()
        return status

    async def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
        self._reader = self._writer = None


async def pour(port: int, made: Sequence[bytes]) -> Load:
    """Send the requests at their moments, whatever came of those before; repeat what was not taken."""
    load, waiting = Load(), asyncio.Queue[bytes]()

    async def send() -> None:
        line = _Line(port)
        try:
            while True:
                request = await waiting.get()
                began = time.monotonic()
                status = await line.post(request)
                load.answers[status] += 1
                load.seconds.append(time.monotonic() - began)
                if status != 204:
                    await asyncio.sleep(0.2)
                    waiting.put_nowait(request)
                waiting.task_done()
        finally:
            await line.close()

    senders = [asyncio.create_task(send()) for _ in range(CONNECTIONS)]
    began = time.monotonic()
    for number, request in enumerate(made):
        if (ahead := began + number / RATE - time.monotonic()) > 0:
            await asyncio.sleep(ahead)
        waiting.put_nowait(request)
    await waiting.join()
    load.lasted = time.monotonic() - began
    for sender in senders:
        sender.cancel()
    await asyncio.gather(*senders, return_exceptions=True)
    return load


class Asking(Thread):
    """A client of the API meanwhile: asks for a broadcast's state, again and again."""

    def __init__(self, house: House, queue_id: UUID) -> None:
        super().__init__()
        self.house, self.queue_id = house, queue_id
        self.load, self.enough = Load(), Event()

    def run(self) -> None:
        while not self.enough.wait(0.1):
            answer = self.house.client.queue(self.queue_id)
            self.load.answers[answer.status] += 1
            self.load.seconds.append(answer.seconds)


def cpu_seconds(stack: Stack) -> float:
    """Return what the web processes have worked so far, which no neighbour on the machine changes."""
    times = [psutil.Process(pid).cpu_times() for pid in stack.web.children()]
    return sum(one.user + one.system for one in times)


def kept_reports(stack: Stack) -> int:
    """Return how many reports there are: with those of the broadcast beside, which come as well."""
    return int(stack.sql("SELECT count(*) FROM messaging_deliveryreport")[0][0])


def hold(stack: Stack, seconds: int) -> None:
    """Report on as many messages at 500 a second beside a broadcast; nothing of either is lost."""
    reported = stack.house(contacts=RATE * seconds)
    beside = stack.house(contacts=300 * seconds)
    with behaving(stack, {"preset": "no_reports"}):
        queue_id = reported.send()
        reported.wait_until_sent(queue_id, seconds=600)
    ids = stack.sql("SELECT id FROM messaging_message WHERE broadcast_id = %s", queue_id)
    made = requests(stack, [message_id for (message_id,) in ids])
    running = beside.send()
    asking = Asking(beside, running)
    asking.start()
    worked, kept = cpu_seconds(stack), kept_reports(stack)

    load = asyncio.run(pour(stack.port, made))

    worked, kept = cpu_seconds(stack) - worked, kept_reports(stack) - kept
    asking.enough.set()
    asking.join()
    reported.wait_until_delivered(queue_id, seconds=300)
    beside.wait_until_delivered(running, seconds=300)
    lost = len(made) - reported.broadcast(queue_id, "delivered")
    figure(
        f"delivery reports a second for {seconds} s beside a broadcast, two web processes",
        round(len(made) / load.lasted),
        f"{RATE}",
    )
    figure("… with those of the broadcast beside, a second", round(kept / load.lasted), f"{RATE}")
    figure("… lost", lost, "0")
    figure("… work of the web for each, ms", round(1000 * worked / kept, 2), "below 2")
    figure("… answered within, 95 of 100, ms", round(load.p95(), 1), "")
    figure("… and the API's other answers, ms", round(asking.load.p95(), 1), "")
    assert lost == 0
    assert load.answers[204] == len(made)
    assert set(load.answers) <= {204, 503, 0}
    assert set(asking.load.answers) == {200}


def test_B79_reports_at_500_a_second_beside_a_broadcast_are_all_taken(
    own_stack: Callable[..., Stack],
) -> None:
    hold(own_stack(direct=True), 10)


@pytest.mark.soak
def test_B79_the_same_for_a_minute(own_stack: Callable[..., Stack]) -> None:
    hold(own_stack(direct=True), int(os.environ.get("PREGON_REPORT_SECONDS", "60")))

"""The process behind `proxies`: asyncio servers that pass bytes on, or break them as they are told.

It reads one JSON object a line and answers each with one, in order; the end of its input is its end.
"""

import asyncio
import json
import random
import socket
import struct
import sys
from contextlib import suppress
from typing import Any

HOST = "127.0.0.1"
CHUNK = 65_536
# The kernel draws ports of outgoing connections from 32768 on: none of those takes one of ours.
PORTS = range(23_000, 32_000)


def _reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with RST: the other side learns that it broke, not that it ended."""
    if (own := writer.get_extra_info("socket")) and own.family == socket.AF_INET:
        with suppress(OSError):
            own.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Link:
    """One connection of a client and the one to the server behind it."""

    def __init__(self, proxy: "Listener", client: asyncio.StreamWriter) -> None:
        self.proxy, self.client = proxy, client
        self.server: asyncio.StreamWriter | None = None
        self.is_frozen = False
        self.in_request = False
        self.request = b""  # of the request under way: what a fault looks for
        self.fate: dict[str, Any] | None = None  # what happens to its reply
        self.replied = 0

    def reset(self) -> None:
        _reset(self.client)
        if self.server is not None:
            _reset(self.server)

    async def from_client(self, data: bytes) -> bool:
        """Pass on what the client sent; return whether the connection lives on."""
        assert self.server is not None
        if not self.in_request:
            self.in_request, self.request, self.fate, self.replied = True, b"", None, 0
            self.proxy.requests += 1
        fault = self.proxy.fault
        self.request = (self.request + data)[-4 * CHUNK :]
        is_meant = self.fate is None and self.proxy.takes(self.request)
        if is_meant and fault["mode"] == "cut_request":
            self.server.write(data[: max(1, len(data) // 2)])
            with suppress(ConnectionError):
                await self.server.drain()
            await asyncio.sleep(0.05)  # what was written arrives before the reset
            self.reset()
            return False
        if is_meant:
            self.fate = fault
        await self._write(self.server, data)
        return True

    async def from_server(self, data: bytes) -> bool:
        """Pass on what the server answered; return whether the connection lives on."""
        self.in_request = False
        fate = self.fate
        if fate is None:
            await self._write(self.client, data)
            return True
        if fate["mode"] == "drop_reply":
            if fate.get("silently"):
                self.is_frozen = True
                return True
            self.reset()
            return False
        data = data[: fate["at"] - self.replied]
        self.replied += len(data)
        self.client.write(data)
        with suppress(ConnectionError):
            await self.client.drain()
        if self.replied >= fate["at"]:
            self.client.close()
            if self.server is not None:
                self.server.close()
            return False
        return True

    async def _write(self, writer: asyncio.StreamWriter, data: bytes) -> None:
        fault = self.proxy.fault
        if fault["mode"] == "latency":
            await asyncio.sleep(fault["seconds"])
            if size := fault["slices"]:
                for start in range(0, len(data), size):
                    writer.write(data[start : start + size])
                    await writer.drain()
                    await asyncio.sleep(0)
                return
        writer.write(data)
        await writer.drain()


class Listener:
    """One proxy."""

    def __init__(self, to: str) -> None:
        self.to = to
        self.fault: dict[str, Any] = {"mode": "pass"}
        self.links: set[Link] = set()
        self.gate = asyncio.Event()  # closed while nothing passes
        self.gate.set()
        self.server: asyncio.Server | None = None
        self.held: list[socket.socket] = []  # what keeps the port while nobody listens
        self.port = 0
        self.taken = self.requests = self.connections = 0
        self.tasks: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        own, *fillers = self.held or [self._bound()]
        for filler in fillers:
            filler.close()
        self.held = []
        self.port = own.getsockname()[1]
        self.server = await asyncio.start_server(self._take, sock=own, backlog=512)

    def _bound(self) -> socket.socket:
        """Return a socket that is bound and does not listen: whoever connects is refused."""
        for port in [self.port] if self.port else random.sample(PORTS, len(PORTS)):
            own = socket.socket()
            own.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                own.bind((HOST, port))
            except OSError:
                own.close()
                continue
            if not self.port:
                # SO_REUSEADDR binds a port also where another socket is bound and does not listen.
                own.listen()
                own.close()
                self.port = port
                return self._bound()
            return own
        raise OSError("no free port")

    async def break_(self, fault: dict[str, Any]) -> None:
        mode = fault["mode"]
        if mode == "reset_all":
            self._reset_links()
            return
        if mode != "pass":
            self.taken = 0
        self.fault = fault
        await self._open_or_close(mode)
        if mode == "blackhole":
            self.gate.clear()
        else:
            self.gate.set()
        if mode == "freeze":
            for link in self.links:
                link.is_frozen = True
        if mode == "refuse":
            self._reset_links()
        if mode == "pass":
            self._reset_links(frozen_alone=True)

    async def _open_or_close(self, mode: str) -> None:
        if mode == "refuse":
            await self._close()
        elif mode == "unanswered":
            await self._close()
            await self._fill_the_queue()
        elif self.server is None:
            await self.listen()

    async def _close(self) -> None:
        if self.server is not None:
            self.server.close()
            self.server = None
            await asyncio.sleep(0)
            self.held = [self._bound()]

    async def _fill_the_queue(self) -> None:
        """Listen without ever accepting, and fill the short queue: the kernel drops whoever comes next."""
        self.held[0].listen(0)
        loop = asyncio.get_running_loop()
        for _ in range(2):
            filler = socket.socket()
            filler.settimeout(0)
            self.held.append(filler)
            with suppress(TimeoutError):
                await asyncio.wait_for(loop.sock_connect(filler, (HOST, self.port)), 0.1)

    def _reset_links(self, *, frozen_alone: bool = False) -> None:
        for link in list(self.links):
            if link.is_frozen or not frozen_alone:
                link.reset()

    def takes(self, request: bytes) -> bool:
        """Return whether the present fault takes this request, and count it."""
        fault = self.fault
        if fault["mode"] not in {"cut_request", "drop_reply", "truncate_reply"}:
            return False
        if fault["containing"].encode("latin-1") not in request:
            return False
        if fault["times"] is not None and self.taken >= fault["times"]:
            return False
        self.taken += 1
        return True

    async def _take(self, reader: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        link = Link(self, client)
        self.links.add(link)
        self.connections += 1
        try:
            await self.gate.wait()
            if self.to.startswith("/"):
                answers, link.server = await asyncio.open_unix_connection(self.to)
            else:
                answers, link.server = await asyncio.open_connection(HOST, int(self.to))
            await asyncio.gather(
                self._pump(link, reader, link.server, link.from_client),
                self._pump(link, answers, client, link.from_server),
            )
        except OSError:
            pass  # either side went away: so does the other
        finally:
            self.links.discard(link)
            for writer in filter(None, (client, link.server)):
                writer.close()  # what is still on its way arrives; after a reset this does nothing

    async def _pump(
        self, link: Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter, pass_on: Any
    ) -> None:
        while data := await source.read(CHUNK):
            await self.gate.wait()
            while link.is_frozen:
                await asyncio.sleep(0.05)
                if link.client.transport.is_closing():
                    return
            if not await pass_on(data):
                return
        await self.gate.wait()
        if link.is_frozen:
            return
        if sink.can_write_eof() and not sink.transport.is_closing():
            with suppress(OSError):
                sink.write_eof()


class Process:
    """All proxies of this process, by name."""

    def __init__(self) -> None:
        self.listeners: dict[str, Listener] = {}

    async def do(self, words: dict[str, Any]) -> dict[str, Any]:
        name, what = words.pop("name"), words.pop("do")
        if what == "open":
            listener = self.listeners[name] = Listener(words["to"])
            await listener.listen()
            return {"port": listener.port}
        listener = self.listeners[name]
        if what == "fault":
            await listener.break_(words)
            return {}
        return {
            "open": len(listener.links),
            "connections": listener.connections,
            "requests": listener.requests,
            "taken": listener.taken,
        }

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda *_: None)  # connections break here all the time
        orders = asyncio.StreamReader()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
        while line := await orders.readline():
            try:
                answer = await self.do(json.loads(line))
            except (OSError, KeyError) as error:
                answer = {"error": repr(error)}
            sys.stdout.write(json.dumps(answer) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(Process().run())

"""A carrier's server for tests: a real socket, answering byte for byte as it is told."""

import asyncio
import json
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self, TypeAlias

CERTIFICATE = Path(__file__).with_name("self_signed.pem")


@dataclass(frozen=True, slots=True)
class Received:
    """One whole request."""

    method: str
    path: str
    headers: Mapping[str, str]  # lower-case names
    body: bytes


Answer: TypeAlias = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]


def says(
    status: int,
    body: bytes | object = b"",
    headers: Mapping[str, str] | None = None,
    *,
    close: bool = False,
) -> Answer:
    """Answer with a status and a body: bytes as they are, anything else as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = {"Content-Type": "application/json", "Content-Length": str(len(content))}
    lines |= headers or {}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value)
    return sends(f"HTTP/1.1 {status} Words\r\n{head}\r\n".encode() + content, close=close)


def sends(raw: bytes, *, close: bool = False) -> Answer:
    """Answer with these bytes, whatever they are."""

    async def answer(_request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(raw)
        await writer.drain()
        if close:
            writer.close()

    return answer


def drips(raw: bytes, pause: float) -> Answer:
    """Answer byte by byte."""

    async def answer(_request: Received, writer: asyncio.StreamWriter) -> None:
        for byte in raw:
            writer.write(bytes([byte]))
            await asyncio.sleep(pause)

    return answer


def resets(after: bytes = b"") -> Answer:
    """Answer with these bytes and reset the connection."""

    async def answer(_request: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(after)
        await writer.drain()
        await asyncio.sleep(0.05)  # so that the bytes arrive before the reset does
        _reset(writer)

    return answer


async def hangs(_request: Received, _writer: asyncio.StreamWriter) -> None:
    """Take the request and never answer."""
    await asyncio.sleep(3600)


class StandIn:
    """Listens while the `with` block runs; gives its answers in turn, the last one for good."""

    def __init__(
        self,
        *answers: Answer,
        tls: bool = False,
        greeting: bytes = b"",
        port: int = 0,
        cut_after: int = 0,
    ) -> None:
        self.requests: list[Received] = []
        self.connections = 0
        self.ended = 0  # of these, by an answer: the client's side was told
        self._answers = list(answers)
        self._greeting = greeting  # said before anything is asked
        self._cut_after = cut_after  # bytes of a request, after which the connection is reset
        self._tls: ssl.SSLContext | None = None
        if tls:
            self._tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._tls.load_cert_chain(CERTIFICATE)
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self._listening = threading.Event()
        self._handlers: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self.port = port  # 0 until it is known which one is free

    @property
    def address(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listening.wait(60)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", self.port, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._stop.wait()
        server.close()
        for task in self._handlers:
            task.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        await asyncio.sleep(0.01)  # transports close one turn later

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._handlers.add(task)
        task.add_done_callback(self._handlers.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.write(self._greeting)
        try:
            if self._cut_after:
                await reader.readexactly(self._cut_after)
                _reset(writer)
            while not writer.is_closing():
                request = await _read(reader)
                self.requests.append(request)
                answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
                await answer(request, writer)
            await writer.wait_closed()
            self.ended += 1
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client went away, as clients do
        finally:
            writer.transport.abort()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def _read(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Received(method, path, headers, body)

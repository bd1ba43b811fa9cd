"""What the sandbox carrier does to an answer on its way: other words, no end, no answer at all."""

import asyncio
import gzip
import socket
import struct
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import web

from messaging.sandbox.behaviour import Behaviour

_HTML: Final = b"<!doctype html><title>502 Bad Gateway</title><h1>Bad Gateway</h1>"

# Each makes another body of the proper one. The large ones stay the same JSON for who reads them whole.
BODIES: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "empty": lambda _body: b"",
    "html": lambda _body: _HTML,
    "broken_json": lambda body: body[: len(body) // 2],
    "huge": lambda body: body + b" " * (10 << 20),
    "gzip_bomb": lambda body: gzip.compress(body + b" " * (64 << 20), compresslevel=1),
}
_HEADERS: Final = {
    "html": {"Content-Type": "text/html; charset=utf-8"},
    "gzip_bomb": {"Content-Encoding": "gzip"},
}


def phrase(status: int) -> str:
    """Return what an HTTP status is called."""
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Error"


async def misbehave(
    request: web.Request,
    response: web.StreamResponse,
    behaviour: Behaviour,
    letting_go: asyncio.Event,
) -> web.StreamResponse:
    """Return the answer as the behaviour wants it, or end the connection in its place."""
    if behaviour.delay and await wait(behaviour.delay, letting_go):
        return hang_up(request, at_once=True)
    if behaviour.closes in {"unread", "unanswered"}:
        return hang_up(request, at_once=behaviour.closes == "unread")
    body = response.body if isinstance(response, web.Response) else b""
    body = body if isinstance(body, bytes) else b""
    headers = {"Content-Type": response.headers.get("Content-Type", "application/json")}
    if behaviour.body is not None:
        change = BODIES.get(behaviour.body)
        # In a thread: a bomb takes a moment to make.
        body = await asyncio.to_thread(change, body) if change else behaviour.body.encode()
        headers |= _HEADERS.get(behaviour.body, {})
    headers |= dict(behaviour.headers)
    if behaviour.closes == "halfway":
        return await _break_off(request, response.status, headers, body)
    return web.Response(status=response.status, headers=headers, body=body)


async def wait(seconds: float, letting_go: asyncio.Event) -> bool:
    """Wait, and return whether it was cut short because all that waits is let go."""
    try:
        await asyncio.wait_for(letting_go.wait(), seconds)
    except TimeoutError:
        return False
    return True


def hang_up(request: web.Request, *, at_once: bool) -> web.Response:
    """End the connection without an answer: reset `at_once`, as by who reads nothing, or in order."""
    transport = request.transport
    if transport is not None:
        if at_once:
            connection: socket.socket = transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            transport.abort()
        else:
            transport.close()
    return web.Response()  # goes nowhere


async def _break_off(
    request: web.Request, status: int, headers: Mapping[str, str], body: bytes
) -> web.StreamResponse:
    response = web.StreamResponse(
        status=status, headers={**headers, "Content-Length": str(len(body))}
    )
    await response.prepare(request)
    await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response

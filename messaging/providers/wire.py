"""One HTTP request to a carrier: sent once, never followed elsewhere, its reply bounded."""

import asyncio
import json
import re
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, Literal

import aiohttp
from django.conf import settings
from yarl import URL

from messaging.failpoints import failpoint

MAX_REPLY: Final = 1_000_000  # bytes, before and after decompression

# A connection that the carrier closes at the very moment we write on it answers with a reset, and
# nobody can tell whether the request was read: its messages would be of unknown outcome. Servers
# keep idle connections for five seconds and more, so one that idled for two is safe to use again.
KEEP_ALIVE: Final = 2.0  # seconds


class NeverSent(Exception):
    """No byte of the request left this machine."""


class ReplyLost(Exception):
    """The request may have arrived; no usable answer came back."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a provider asks for. A URL may hold a number, so it is not shown."""

    url: URL = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    method: Literal["POST", "GET"] = "POST"


@dataclass(frozen=True, slots=True)
class Reply:
    """A carrier's answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_redirect(self) -> bool:
        return 300 <= self.status < 400

    def payload(self) -> object:
        """Return the decoded JSON body.

        Raises: ReplyLost when the body is no JSON (an empty one is none).
        """
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError) as error:
            raise ReplyLost(f"answered {self.status} with something that is not JSON") from error


def http_session(*, concurrency: int, connect: float, read: float) -> aiohttp.ClientSession:
    """Return a session for at most `concurrency` requests at a time; close it when done.

    Every request ends, one way or the other, within `connect + read` seconds, also when the carrier
    drips its reply byte by byte. Make it inside the running event loop.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=concurrency, keepalive_timeout=KEEP_ALIVE),
        timeout=aiohttp.ClientTimeout(
            total=connect + read, connect=connect, sock_connect=connect, sock_read=read
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        trace_configs=_failpoints(),
        auto_decompress=False,  # `exchange` does it, with a bound
        headers={
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": "Pregon",
        },
    )


def _failpoints() -> list[aiohttp.TraceConfig]:
    """Return what lets a test break this process while a request leaves; nothing otherwise."""
    if not settings.FAILPOINTS:
        return []
    trace = aiohttp.TraceConfig()

    async def _leaving(*_: object) -> None:
        failpoint("worker.after_connect")

    trace.on_request_headers_sent.append(_leaving)
    return [trace]


async def exchange(http: aiohttp.ClientSession, request: Request) -> Reply:
    """Make the request once and return the reply. A GET alone is repeated when its connection breaks.

    Raises: NeverSent when it provably did not leave; ReplyLost when nobody knows.
    """
    # A process that stood still has not noticed yet which connections the carrier closed meanwhile. Two
    # turns of the loop let it, before one of them is taken from the pool.
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    try:
        async with http.request(
            request.method,
            request.url,
            data=request.body or None,
            headers=request.headers,
            allow_redirects=False,
        ) as response:
            return Reply(response.status, response.headers, await _bounded(response))
    except (
        aiohttp.ClientConnectorError,
        aiohttp.ConnectionTimeoutError,
        aiohttp.InvalidURL,
    ) as error:
        raise NeverSent(_why_not_connected(error)) from error
    except TimeoutError as error:
        raise ReplyLost("no complete answer in time") from error
    except (aiohttp.ClientError, OSError) as error:
        raise ReplyLost(f"the connection broke ({type(error).__name__})") from error


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that `Retry-After` asks for, at least 0; nothing where it cannot be read.

    Both forms of RFC 9110 10.2.3 are understood: seconds and an HTTP date.
    """
    value = headers.get("Retry-After", "").strip()
    if not value:  # nearly always, and a date is dear to look for
        return None
    if re.fullmatch(r"-?[0-9]{1,9}(\.[0-9]{1,9})?", value):
        return max(0.0, float(value))
    try:
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:  # "-0000": the sender does not tell its zone
            moment = moment.replace(tzinfo=UTC)
        return max(0.0, (moment - datetime.now(UTC)).total_seconds())
    except (ValueError, OverflowError):
        return None


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    """Return the decompressed body; raise ReplyLost past MAX_REPLY without reading on."""
    body = bytearray()
    while chunk := await response.content.readany():
        body += chunk
        if len(body) > MAX_REPLY:
            response.close()  # the rest is not read, so the connection cannot be used again
            raise ReplyLost("answered with more than 1 MB")
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        return bytes(body)
    if encoding not in {"gzip", "x-gzip", "deflate"}:
        raise ReplyLost("answered in an encoding that was not asked for")
    inflating = zlib.decompressobj(wbits=47)  # zlib or gzip, told by the header
    try:
        plain = inflating.decompress(bytes(body), MAX_REPLY + 1)
    except zlib.error as error:
        raise ReplyLost("answered with a broken compressed body") from error
    if len(plain) > MAX_REPLY:
        raise ReplyLost("answered with more than 1 MB, compressed")
    if not inflating.eof:
        raise ReplyLost("answered with half a compressed body")
    return plain


def _why_not_connected(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the carrier's host name does not resolve"
    if isinstance(error, aiohttp.ClientSSLError | ssl.CertificateError):
        return "no trusted TLS connection to the carrier"
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return "no connection to the carrier in time"
    return f"no connection to the carrier ({type(error).__name__})"

"""The web server's worker: gunicorn's threads, and the contract's error body where no view is reached."""

import contextlib
import socket
import time
from typing import Any, Final

from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException
from gunicorn.workers.gthread import ThreadWorker

LINGER: Final = 1.0
"""Seconds for which what is left of a refused request is read, so that the refusal arrives."""

LINGERED: Final = 1_000_000
"""Bytes of it that are read at most."""


class WebWorker(ThreadWorker):
    """Answers in JSON what gunicorn itself refuses, which it would answer in HTML.

    And ends connections in the thread that served them: gunicorn waits up to two seconds for each client
    that stays, in the one loop that accepts all others.
    """

    def handle(self, conn: Any) -> Any:
        """Serve one request; where its connection ends with it, leave the loop nothing to wait for."""
        goes_on = super().handle(conn)  # type: ignore[no-untyped-call]  # gunicorn has no types
        if goes_on is False:
            # Who is gone needs no end; what cannot be read of the body is not waited for.
            with contextlib.suppress(OSError, ParseException):
                if conn.parser is not None:
                    conn.parser.finish_body(deadline=time.monotonic() + LINGER)
            with contextlib.suppress(OSError):
                conn.sock.shutdown(socket.SHUT_RDWR)
        return goes_on

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:  # noqa: ARG002 - gunicorn's signature
        """Answer the request that could not be read or carried out, and end its connection."""
        # gunicorn reads this file before there are settings.
        from config import api_errors

        if isinstance(exc, ParseException):
            # Its type alone: the words of some have a header of the client's in them.
            self.log.info("request_unreadable", extra={"because": type(exc).__name__})
            answer = api_errors.unreadable(
                is_too_long=isinstance(exc, LimitRequestLine | LimitRequestHeaders)
            )
        else:
            self.log.error("request_broke_off", exc_info=exc)
            answer = api_errors.broken()
        head = "".join(f"{name}: {value}\r\n" for name, value in answer.items())
        with contextlib.suppress(OSError):  # who is gone needs no answer
            client.sendall(
                f"HTTP/1.1 {answer.status_code} {answer.reason_phrase}\r\n{head}"
                f"Content-Length: {len(answer.content)}\r\nConnection: close\r\n\r\n".encode(
                    "latin-1"
                )
                + answer.content
            )
            _read_the_rest(client)


def _read_the_rest(client: socket.socket) -> None:
    """Read on until the client has heard the answer: a connection closed on unread bytes drops it."""
    client.shutdown(socket.SHUT_WR)
    until, read = time.monotonic() + LINGER, 0
    while read < LINGERED and (left := until - time.monotonic()) > 0:
        client.settimeout(left)
        chunk = client.recv(65_536)
        if not chunk:
            return
        read += len(chunk)

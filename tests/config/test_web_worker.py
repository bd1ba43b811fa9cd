"""What the web server itself refuses: requests that no view ever sees, answered as the contract says."""

import contextlib
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pytest_django import DjangoDbBlocker

from tests.api.web import Web, serving

pytestmark = pytest.mark.django_db(transaction=True)

HOST = b"Host: 127.0.0.1\r\n\r\n"


@pytest.fixture(scope="module")
def web(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Web]:
    log: Path = tmp_path_factory.mktemp("web") / "log"
    with django_db_blocker.unblock(), serving(log) as served:
        yield served


def told(answer: bytes) -> tuple[bytes, bytes, dict[str, Any]]:
    """Return the status line, the headers and the body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    status, _, headers = head.partition(b"\r\n")
    return status, headers, json.loads(body)


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(
            b"GET /api/tags?x=" + b"1" * 9_000 + b" HTTP/1.1\r\n" + HOST, id="long address"
        ),
        pytest.param(b"GET /api/tags?x=" + b"1" * 500_000, id="far too long"),
        pytest.param(b"GET /api/tags HTTP/1.1\r\nX: " + b"1" * 9_000 + b"\r\n" + HOST, id="header"),
        pytest.param(b"GET /api/tags HTTP/1.1\r\n" + b"X: 1\r\n" * 101 + HOST, id="headers"),
        pytest.param(b"GET /api/tags HTTP/1.1\r\nX y: 1\r\n" + HOST, id="name of a header"),
        pytest.param(b"GET /api/tags\r\n" + HOST, id="first line"),
        pytest.param(b"GET /api/tags HTTP/7.0\r\n" + HOST, id="version"),
        pytest.param(
            b"POST /api/tags HTTP/1.1\r\nTransfer-Encoding: rot13\r\n" + HOST,
            id="transfer encoding",
        ),
        pytest.param(
            b"POST /api/tags HTTP/1.1\r\nContent-Length: -1\r\n" + HOST, id="length of the body"
        ),
        pytest.param(b"\x16\x03\x01\x02\x00\r\n\r\n", id="TLS"),
    ],
)
def test_what_cannot_be_read_is_refused_in_the_shape_of_every_refusal(
    web: Web, request_bytes: bytes
) -> None:
    status, headers, body = told(web.raw(request_bytes))

    assert status == b"HTTP/1.1 400 Bad Request"
    assert b"Content-Type: application/json" in headers
    assert b"Connection: close" in headers
    assert set(body) == {"statusCode", "code", "message", "error"}
    assert (body["statusCode"], body["code"], body["error"]) == (400, "4000", "Bad Request")


def test_an_address_of_eight_thousand_characters_is_read(web: Web) -> None:
    ids = "tagIds=019a3c5e-1f6b-7c60-8f3a-6f0f4f0c1a01&" * 185

    status, _, body = told(web.raw(f"GET /api/contacts?{ids} HTTP/1.0\r\n\r\n".encode()))

    assert len(ids) > 8_000
    assert status.endswith(b"401 Unauthorized")
    assert body["code"] == "1002"


def test_who_is_gone_before_the_answer_breaks_nothing(web: Web) -> None:
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", web.port)) as link:
            link.sendall(b"GET /api/tags\r\n\r\n")

    assert b" 200 " in web.raw(b"GET /healthz HTTP/1.0\r\n\r\n").partition(b"\r\n")[0]
    assert "Traceback" not in web.log.read_text()


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"GET /healthz HTTP/1.0\r\n\r\n", id="answered"),
        pytest.param(b"GET /healthz\r\n\r\n", id="refused"),
    ],
)
def test_who_stays_after_the_end_keeps_nobody_waiting(web: Web, request_bytes: bytes) -> None:
    """gunicorn's own loop would wait two seconds for each, one after the other."""
    with contextlib.ExitStack() as held:
        for _ in range(20):
            link = held.enter_context(socket.create_connection(("127.0.0.1", web.port)))
            link.sendall(request_bytes)
        for _ in range(4):  # both workers
            answer = web.raw(b"GET /healthz HTTP/1.0\r\n\r\n")
            assert b" 200 " in answer.partition(b"\r\n")[0]


def test_nothing_of_such_a_request_is_logged(web: Web) -> None:
    web.raw(b"GET /api/tags HTTP/1.1\r\nX secreta palabra: +573001234567\r\n" + HOST)

    log = web.log.read_text()
    assert "InvalidHeaderName" in log
    assert "secreta" not in log
    assert "Traceback" not in log

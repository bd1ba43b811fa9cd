"""POST /api/messages/sms/all at the real web server: at once, without a broker, and what is logged."""

import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from pytest_django import DjangoDbBlocker

from accounts import sessions
from accounts.models import Member, Organization
from billing import ledger
from billing.ledger import Balance
from messaging.models import Broadcast, Message
from tests.api.web import Web, serving
from tests.factories import PASSWORD
from tests.messaging.factories import contacts_in_order, grant

pytestmark = pytest.mark.django_db(transaction=True)

URL = "/api/messages/sms/all"
NUMBER, TEXT = "+573001234567", "Hola secreta palabra"
SOON = 15.0  # seconds, on a machine that others use too; waiting for ever takes longer


@pytest.fixture(scope="module")
def web(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Web]:
    log: Path = tmp_path_factory.mktemp("web") / "log"
    with django_db_blocker.unblock(), serving(log, LOG_LEVEL="DEBUG") as served:
        yield served


@pytest.fixture
def token(ana: Member, fresh_rate_limits: None) -> str:
    return sessions.sign_in(email=ana.email, password=PASSWORD).access


def test_B13_of_fifty_at_once_with_credits_for_one_exactly_one_is_accepted(
    web: Web, token: str, acme: Organization, capsys: pytest.CaptureFixture[str]
) -> None:
    contacts_in_order(acme, *(f"+57300123456{digit}" for digit in range(5)))
    grant(acme, 5)

    def post(number: int) -> tuple[int, Any]:
        return web.request("POST", URL, token=token, body={"message": f"Hola {number}"})

    with ThreadPoolExecutor(50) as threads:
        answers = list(threads.map(post, range(50)))

    told = Counter((status, body.get("code")) for status, body in answers)
    assert told == {(201, None): 1, (402, "3001"): 49}
    assert ledger.balance(acme.pk) == Balance(available=0, reserved=5)
    assert (Broadcast.objects.count(), Message.objects.count()) == (1, 5)
    (accepted,) = [body for status, body in answers if status == 201]
    assert accepted["queueId"] == str(Broadcast.objects.get().pk)
    call_command("audit_ledger", "--all")
    assert "invariants hold" in capsys.readouterr().out


def test_S67_nothing_personal_is_logged_at_any_level(
    web: Web, token: str, acme: Organization
) -> None:
    contacts_in_order(acme, NUMBER, {"phone": "3007654321", "name": "Ximena Zúñiga"})
    grant(acme, 5)
    status, _ = web.request("POST", URL, token=token, body={"message": TEXT})
    web.request("POST", URL, token=token, body={"message": TEXT})
    web.request("POST", URL, token=token, body={"message": TEXT * 500})
    web.request("POST", URL, token=f"{token}x", body={"message": TEXT})
    web.request(
        "POST", "/api/auth/sign-in", body={"email": "ana@acme.example", "password": "wrong-one"}
    )
    web.request("GET", f"/api/nothing?recipient={NUMBER}&token={token}")

    logged = web.log.read_text()

    assert status == 201
    assert logged
    for secret in (
        "3001234567",
        "3007654321",
        TEXT,
        "Ximena",
        token,
        PASSWORD,
        "wrong-one",
        "ana@acme",
    ):
        assert secret not in logged


def http(method: str, path: str, *headers: str, body: str = "") -> bytes:
    """One request as its bytes, with these headers and no others."""
    lines = [f"{method} {path} HTTP/1.1", *headers, "Connection: close", "", body]
    return "\r\n".join(lines).encode()


SIGN_IN = ("POST", "/api/auth/sign-in", "Host: 127.0.0.1", "Content-Type: application/json")
HARDLY_HTTP = {
    "a header of 100 kB": http("GET", "/api/auth/me", "Host: 127.0.0.1", "X: " + "a" * 100_000),
    "an address of 100 kB": http("GET", "/" + "a" * 100_000, "Host: 127.0.0.1"),
    "a host that is slow to mask": http("GET", "/api/auth/me", "Host: " + "token" * 1_500),
    "another host": http("GET", "/api/auth/me", "Host: evil.example"),
    "no host": http("GET", "/api/auth/me"),
    "two hosts": http("GET", "/api/auth/me", "Host: 127.0.0.1", "Host: evil.example"),
    "NUL in the address": http("GET", "/api/%00", "Host: 127.0.0.1"),
    "NUL in a header": http("GET", "/api/auth/me", "Host: 127.0.0.1", "X: a\0b"),
    "another method": http("PROPFIND", "/api/auth/me", "Host: 127.0.0.1"),
    "a negative length": http(*SIGN_IN, "Content-Length: -1", body="{}"),
    "a length in letters": http(*SIGN_IN, "Content-Length: abc", body="{}"),
    "a length beyond the body": http(*SIGN_IN, "Content-Length: 99999999999", body="{}"),
    "two lengths": http(
        *SIGN_IN, "Content-Length: 2", "Transfer-Encoding: chunked", body="0\r\n\r\n"
    ),
    "in chunks": http(*SIGN_IN, "Transfer-Encoding: chunked", body="2\r\n{}\r\n0\r\n\r\n"),
    "no HTTP": b"nonsense\r\n\r\n",
}


@pytest.mark.parametrize("request_line", HARDLY_HTTP.values(), ids=HARDLY_HTTP.keys())
def test_bytes_that_are_hardly_http_are_4xx(web: Web, request_line: bytes) -> None:
    started = time.monotonic()

    answer = web.raw(request_line)

    assert answer.split(b" ")[1].startswith(b"4"), answer[:200]
    assert time.monotonic() - started < SOON
    assert web.request("GET", "/healthz")[0] == 200


# --- without a broker -----------------------------------------------------------------------------
def send_twice(web: Web, token: str, acme: Organization) -> list[float]:
    """Send two times, each accepted; return how long each took."""
    contacts_in_order(acme, NUMBER)
    grant(acme, 2)
    took = []
    for _ in range(2):
        started = time.monotonic()
        status, body = web.request("POST", URL, token=token, body={"message": TEXT})
        took.append(time.monotonic() - started)
        assert status == 201
        assert len(body["messages"]) == 1
    assert Broadcast.objects.filter(status="RUNNING").count() == 2
    assert ledger.balance(acme.pk) == Balance(available=0, reserved=2)
    return took


def test_B01_without_a_broker_it_is_still_201_soon(
    tmp_path: Path, token: str, acme: Organization
) -> None:
    with serving(tmp_path / "log", BROKER_URL="redis://127.0.0.1:1/0") as web:
        took = send_twice(web, token, acme)

    assert max(took) < SOON
    assert "broker_away" in (tmp_path / "log").read_text()


def test_B02_a_broker_that_never_answers_holds_nobody_up(
    tmp_path: Path, token: str, acme: Organization
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with serving(tmp_path / "log", BROKER_URL=url) as web:
            took = send_twice(web, token, acme)

    assert max(took) < SOON


def test_without_redis_at_all_it_is_201_too(tmp_path: Path, token: str, acme: Organization) -> None:
    away = "redis://127.0.0.1:1/0"
    with serving(tmp_path / "log", REDIS_URL=away, BROKER_URL=away, RATE_LIMIT="100/min") as web:
        took = send_twice(web, token, acme)

    assert max(took) < SOON

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


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET /api/auth/me HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET /api/auth/me HTTP/1.1\r\nHost: "
        + b"token" * 1_500
        + b"\r\nConnection: close\r\n\r\n",
        b"GET /api/auth/me HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        b"GET /api/auth/me HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET /api/%00 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"PROPFIND /api/auth/me HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
        b"POST /api/auth/sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n{}",
        b"POST /api/auth/sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: abc\r\n\r\n{}",
        b"POST /api/auth/sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: 99999999999\r\nConnection: close\r\n\r\n{}",
        b"POST /api/auth/sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n",
        b"POST /api/auth/sign-in HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
    ids=lambda line: repr(line[:40]),
)
def test_bytes_that_are_hardly_http_are_4xx(web: Web, request_line: bytes) -> None:
    started = time.monotonic()

    answer = web.raw(request_line)

    assert answer.split(b" ")[1].startswith(b"4"), answer[:200]
    assert time.monotonic() - started < 3
    assert web.request("GET", "/healthz")[0] == 200


# --- without a broker -----------------------------------------------------------------------------
def send_three(web: Web, token: str, acme: Organization) -> list[float]:
    """Send three times, each accepted; return how long each took."""
    contacts_in_order(acme, NUMBER)
    grant(acme, 3)
    took = []
    for _ in range(3):
        started = time.monotonic()
        status, body = web.request("POST", URL, token=token, body={"message": TEXT})
        took.append(time.monotonic() - started)
        assert status == 201
        assert len(body["messages"]) == 1
    assert Broadcast.objects.filter(status="RUNNING").count() == 3
    assert ledger.balance(acme.pk) == Balance(available=0, reserved=3)
    return took


def test_B01_without_a_broker_it_is_still_201_within_four_seconds(
    tmp_path: Path, token: str, acme: Organization
) -> None:
    with serving(tmp_path / "log", BROKER_URL="redis://127.0.0.1:1/0") as web:
        took = send_three(web, token, acme)

    assert max(took) < 4
    assert "broker_away" in (tmp_path / "log").read_text()


def test_B02_a_broker_that_never_answers_holds_nobody_up(
    tmp_path: Path, token: str, acme: Organization
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with serving(tmp_path / "log", BROKER_URL=url) as web:
            took = send_three(web, token, acme)

    assert max(took) < 4


def test_without_redis_at_all_it_is_201_too(tmp_path: Path, token: str, acme: Organization) -> None:
    away = "redis://127.0.0.1:1/0"
    with serving(tmp_path / "log", REDIS_URL=away, BROKER_URL=away, RATE_LIMIT="100/min") as web:
        took = send_three(web, token, acme)

    assert max(took) < 4

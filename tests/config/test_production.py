"""Production as it runs: clean under Django's own checks, https, JSON logs, and no start with a toy."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from pytest_django import DjangoDbBlocker

from tests.api.web import ROOT, Web, database_url, serving

pytestmark = pytest.mark.django_db(transaction=True)

HOST: Final = {"Host": "sms.example.org"}
TWILIO: Final = "twilio://AC" + "1" * 32 + ":provider-hunter2@api.twilio.com?from=%2B15005550006"


def production(**changes: str) -> dict[str, str]:
    given = {
        "PREGON_ENV": "production",
        "PUBLIC_URL": "https://sms.example.org",
        "ALLOWED_HOSTS": "sms.example.org",
        "DATABASE_URL": database_url(),
        "REDIS_URL": os.environ["REDIS_URL"],
        "BROKER_URL": os.environ["BROKER_URL"],
        "SECRET_KEY": "django-hunter2-of-more-than-fifty-characters-0123456789",
        "JWT_SIGNING_KEY": "jwt-hunter2-of-more-than-fifty-characters-0123456789-x",
        "AUDIT_KEY": "audit-hunter2-of-more-than-fifty-characters-0123456789",
        "SMS_PROVIDERS": TWILIO,
    }
    return {**given, **changes}


def run(*command: str, **changes: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "PREGON_STATE") if name in os.environ}
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=kept | production(**changes),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )


# --- checks ---------------------------------------------------------------------------------------
def test_S51_djangos_own_deployment_checks_find_nothing() -> None:
    behind_a_proxy = {"TRUSTED_PROXIES": "127.0.0.1"}
    checked = run("manage.py", "check", "--deploy", "--fail-level", "WARNING", **behind_a_proxy)

    assert checked.returncode == 0, checked.stderr
    assert "no issues" in checked.stdout + checked.stderr


WORKER: Final = ("-m", "celery", "--quiet", "--app", "config", "worker", "--concurrency", "1")
PARTS: Final = {
    "web": ("-c", "import config.wsgi"),
    "worker": WORKER,
    "dispatcher": ("manage.py", "dispatcher"),
}


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"SMS_PROVIDERS": "twilio://hunter2"}, "messaging.E001"),
        ({"REDIS_URL": "http://:hunter2@redis.example.org"}, "REDIS_URL must begin with redis://"),
        (
            {"SECRET_KEY_FILE": "/nope"},
            "The file that SECRET_KEY_FILE names, /nope, cannot be read",
        ),
        ({"SECRET_KEY": "hunter2"}, "config.E001"),
        ({"ALLOWED_HOSTS": "other.example.org"}, "config.E003"),
    ],
    ids=lambda part: next(iter(part)) if isinstance(part, dict) else "",
)
def test_no_part_starts_with_what_cannot_work_and_each_says_it_in_a_sentence(
    part: str, changes: dict[str, str], told: str
) -> None:
    started = run(*PARTS[part], **changes)

    said = started.stdout + started.stderr
    assert started.returncode != 0
    assert told in said
    assert "Traceback" not in said
    assert "hunter2" not in said


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"SMS_PROVIDERS": "console://"}, "messaging.E003"),
        ({"SMS_PROVIDERS": f"{TWILIO}&base_url=http://127.0.0.1:9"}, "messaging.E001"),
        ({"SMS_PROVIDERS": ""}, "messaging.E002"),
        ({"ALLOWED_HOSTS": ""}, "ALLOWED_HOSTS"),
    ],
    ids=lambda part: str(part)[:40],
)
def test_the_web_server_does_not_start_with(changes: dict[str, str], told: str) -> None:
    started = run("-c", "import config.wsgi", **changes)

    assert started.returncode != 0
    assert told in started.stderr
    assert "hunter2" not in started.stdout + started.stderr


def test_production_is_not_started_as_on_one_machine() -> None:
    for missing in ({}, {"PUBLIC_URL": ""}):
        started = run("manage.py", "up", **missing)

        assert started.returncode == 1
        assert "as docs/deployment.md says" in started.stderr
        assert "Traceback" not in started.stderr


def test_a_demo_leaves_nothing_behind_even_where_it_cannot_begin(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        started = subprocess.run(
            [sys.executable, "manage.py", "up", "--demo"],
            cwd=ROOT,
            env={
                "PATH": os.environ["PATH"],
                "TMPDIR": str(tmp_path),
                "PORT": str(taken.getsockname()[1]),
            },
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )

    assert started.returncode == 1
    assert "is taken" in started.stderr
    assert list(tmp_path.iterdir()) == []


# --- served ---------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def web(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Web]:
    log = tmp_path_factory.mktemp("production") / "log"
    with django_db_blocker.unblock(), serving(log, **production()) as served:
        yield served


@pytest.fixture(scope="module")
def behind_a_proxy(
    django_db_setup: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Web]:
    log = tmp_path_factory.mktemp("proxied") / "log"
    changes = production(TRUSTED_PROXIES="127.0.0.1")
    with django_db_blocker.unblock(), serving(log, **changes) as served:
        yield served


def head_of(answer: bytes) -> dict[str, str]:
    lines = answer.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    return {"status": lines[0].split()[1]} | {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines[1:])
    }


def get(web: Web, path: str, **headers: str) -> tuple[dict[str, str], Any]:
    lines = "".join(f"{name}: {value}\r\n" for name, value in (HOST | headers).items())
    answer = web.raw(f"GET {path} HTTP/1.1\r\n{lines}Connection: close\r\n\r\n".encode())
    return head_of(answer), answer.partition(b"\r\n\r\n")[2]


def test_plain_http_is_sent_on_to_https(web: Web) -> None:
    head, _ = get(web, "/api/auth/me")

    assert head["status"] == "301"
    assert head["location"] == "https://sms.example.org/api/auth/me"


def test_a_stranger_cannot_say_that_it_was_https(web: Web) -> None:
    head, _ = get(web, "/api/auth/me", **{"X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "on"})

    assert head["status"] == "301"


def test_probes_are_answered_in_plain_http(web: Web) -> None:
    assert get(web, "/healthz")[0]["status"] == "200"
    assert get(web, "/readyz")[0]["status"] == "200"


def test_S57_another_host_is_400_in_json(web: Web) -> None:
    status, body = web.request("GET", "/api/auth/me", Host="evil.example")

    assert (status, body["code"]) == (400, "4000")


def test_S57_behind_a_proxy_of_ours_it_is_https_with_every_header(behind_a_proxy: Web) -> None:
    head, body = get(behind_a_proxy, "/api/auth/me", **{"X-Forwarded-Proto": "https"})

    assert (head["status"], json.loads(body)["code"]) == ("401", "1002")
    assert head["strict-transport-security"] == "max-age=31536000; includeSubDomains; preload"
    assert head["x-content-type-options"] == "nosniff"
    assert head["x-frame-options"] == "DENY"
    assert head["referrer-policy"] == "same-origin"
    assert head["content-security-policy"].startswith("default-src 'none'")


def test_S68_every_line_that_we_log_is_json(web: Web) -> None:
    get(web, "/api/%0d%0a%7b%22event%22:%22forged%22%7d")
    get(web, "/api/auth/me", Host="evil\x0b{}.example")
    get(web, "/api/auth/me", Host="evil.example")

    ours = [line for line in web.log.read_text().splitlines() if "DisallowedHost" in line]

    assert ours
    assert {json.loads(line)["logger"] for line in ours} == {"django.security.DisallowedHost"}
    assert "forged" not in web.log.read_text()


def test_every_line_of_the_web_server_is_json(
    django_db_setup: None, django_db_blocker: DjangoDbBlocker, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with django_db_blocker.unblock(), serving(log, **production()) as served:
        get(served, "/healthz")

    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert "gunicorn.error" in {line["logger"] for line in lines}
    assert any("Listening at" in line["event"] for line in lines)

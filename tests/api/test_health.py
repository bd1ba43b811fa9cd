"""GET /healthz and /readyz: what probes and people are told."""

import json
import socket
import time
from collections.abc import Iterator

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from accounts.models import Member, Organization
from config.celery import QUEUES
from messaging import dispatching, heartbeats
from tests.api.outages import database_away
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

SOON = 15.0  # seconds, on a machine that others use too; waiting for ever takes longer


@pytest.fixture
def broker_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "redis://127.0.0.1:1/0")


@pytest.fixture
def broker_never_answers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("CELERY_BROKER_URL", f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        yield


# --- /healthz -------------------------------------------------------------------------------------
def test_a_process_that_answers_is_alive() -> None:
    answer = Client().get("/healthz")

    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer.json() == {"status": "ok"}


def test_being_alive_asks_nothing_of_the_others(
    transactional_db: None, broker_refuses: None
) -> None:
    with database_away():
        assert Client().get("/healthz").status_code == 200


# --- /readyz --------------------------------------------------------------------------------------
def test_it_says_how_each_part_is() -> None:
    answer = Client().get("/readyz")

    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer.json() == {
        "database": "up",
        "broker": "up",
        "sending": "on",
        "dispatcher": "late",
        "workers": "late",
    }


def test_a_dispatcher_that_sweeps_is_up() -> None:
    dispatching.Dispatcher().sweep()

    assert Client().get("/readyz").json()["dispatcher"] == "up"


def test_workers_that_take_something_from_each_queue_are_up() -> None:
    for queue in QUEUES:
        assert Client().get("/readyz").json()["workers"] == "late"
        heartbeats.beat(heartbeats.worker(queue))

    assert Client().get("/readyz").json()["workers"] == "up"


def test_a_queue_that_is_left_alone_makes_workers_late() -> None:
    for queue in QUEUES:
        heartbeats.beat(heartbeats.worker(queue))
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE messaging_heartbeat SET beat_at = now() - interval '61 seconds' WHERE part = %s",
            [heartbeats.worker("reports")],
        )

    answer = Client().get("/readyz")

    assert (answer.status_code, answer.json()["workers"]) == (200, "late")


def test_sending_that_is_switched_off_is_said(settings: Settings) -> None:
    settings.SENDING = False

    answer = Client().get("/readyz")

    assert (answer.status_code, answer.json()["sending"]) == (200, "off")


def test_B44_a_dispatcher_that_stopped_is_late() -> None:
    dispatching.Dispatcher().sweep()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE messaging_heartbeat SET beat_at = now() - interval '31 seconds'")

    answer = Client().get("/readyz")

    assert (answer.status_code, answer.json()["dispatcher"]) == (200, "late")


@pytest.mark.parametrize("broker", ["broker_refuses", "broker_never_answers"])
def test_a_broker_that_is_down_is_said_and_not_failed(
    request: pytest.FixtureRequest, broker: str
) -> None:
    request.getfixturevalue(broker)
    started = time.monotonic()

    answer = Client().get("/readyz")

    assert answer.status_code == 200
    assert answer.json()["broker"] == "down"
    assert time.monotonic() - started < SOON


def test_without_a_database_it_is_503(transactional_db: None) -> None:
    with database_away():
        answer = Client().get("/readyz")

    assert answer.status_code == 503
    assert answer["Content-Type"] == "application/json"
    assert answer.json() == {"database": "down", "broker": "up", "sending": "on"}
    assert Client().get("/readyz").status_code == 200


def test_without_a_migration_it_is_503() -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'messaging'")

    answer = Client().get("/readyz")

    assert answer.status_code == 503
    assert answer.json()["database"] == "unmigrated"


# --- both -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_S71_they_name_nobody_and_no_secret(
    path: str, acme: Organization, ana: Member, settings: Settings
) -> None:
    said = Client().get(path).content.decode()

    assert not [
        word for word in (acme.name, ana.email, settings.SECRET_KEY, "valkey") if word in said
    ]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_anybody_may_ask_as_often_as_he_likes(
    path: str, client_of: ClientOf, ana: Member, settings: Settings
) -> None:
    settings.RATE_LIMIT = "1/min"
    client = client_of(ana)

    answers = [client.get(path) for _ in range(3)]

    assert {answer.status_code for answer in answers} == {200}
    assert "RateLimit-Limit" not in answers[0]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_they_are_read_and_not_written(path: str) -> None:
    assert Client().head(path).status_code == 200
    assert {Client().generic(method, path).status_code for method in ("POST", "PUT", "DELETE")} == {
        405
    }


def test_a_token_that_is_none_does_not_make_them_fail() -> None:
    answer = Client().get("/readyz", headers={"authorization": "Bearer x"})

    assert json.loads(answer.content)["database"] == "up"

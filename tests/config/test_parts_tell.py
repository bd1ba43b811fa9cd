"""What web, worker and dispatcher say of themselves when something is away, missing or switched off."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from accounts.models import Member
from config import api_errors
from messaging.models import Heartbeat
from tests.api.outages import database_away
from tests.api.web import ROOT, database_url
from tests.config.working import dispatching, until, working
from tests.people import AdminOf

pytestmark = pytest.mark.django_db(transaction=True)


def elsewhere(user: str, name: str) -> str:
    """Return the tests' server as that role, at that database, with a password that it does not ask for."""
    host = connection.settings_dict["HOST"]
    return f"postgresql://{user}:hunter2@/{name}?host={host}"


OWNER: Final = "pregon_owner"


@pytest.mark.parametrize(
    ("user", "name", "told"),
    [
        ("nobody", "pregon", 'role "nobody" does not exist'),
        (OWNER, "nowhere", 'database "nowhere" does not exist'),
        (OWNER, "postgres", "a migration is missing: run manage.py migrate"),
    ],
)
def test_a_dispatcher_says_once_why_its_database_is_away(
    tmp_path: Path, user: str, name: str, told: str
) -> None:
    log = tmp_path / "log"
    with dispatching(log, DATABASE_URL=elsewhere(user, name)):
        until(lambda: told in log.read_text(), log)
        lines = log.read_text().count("database_away")

    assert lines == 1
    assert "Traceback" not in log.read_text()
    assert "hunter2" not in log.read_text()


def test_a_worker_starts_without_its_database_and_says_why_it_is_away(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with working(log, DATABASE_URL=elsewhere("nobody", "pregon")) as worker:
        assert worker.poll() is None

    assert 'role "nobody" does not exist' in log.read_text()
    assert "hunter2" not in log.read_text()


def test_a_request_without_a_database_says_why_once_a_second(
    client: Client, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api_errors, "_told_at", {})  # an earlier test may have been told just now
    began = time.monotonic()
    with database_away():
        answers = [client.get("/admin/login/", {"next": "/x"}) for _ in range(3)]
        probes = [client.get("/readyz") for _ in range(3)]
    passed = time.monotonic() - began

    told = [record for record in caplog.records if record.message == "database_unavailable"]
    assert {answer.status_code for answer in probes} == {503}
    assert {answer.status_code for answer in answers} <= {200, 503}
    assert 1 <= len(told) <= 2 + passed
    assert "/nowhere" in str(vars(told[0])["because"])


def test_a_page_without_a_database_is_503_in_words(admin_of: AdminOf, ana: Member) -> None:
    browser = admin_of(ana)
    with database_away():
        answer = browser.get("/admin/")

    assert answer.status_code == 503
    assert answer["Retry-After"] == "5"
    assert b"Try again in a few seconds" in answer.content


def test_sending_that_is_switched_off_is_in_the_logs_of_those_who_send(tmp_path: Path) -> None:
    logs = {name: tmp_path / name for name in ("worker", "dispatcher")}
    with (
        working(logs["worker"], PREGON_SENDING="off"),
        dispatching(logs["dispatcher"], PREGON_SENDING="off"),
    ):
        until(lambda: Heartbeat.objects.filter(part="dispatcher").exists(), logs["dispatcher"])

    assert [log.read_text().count("sending_is_off") for log in logs.values()] == [1, 1]


def test_sending_that_is_switched_off_is_on_the_start_page(
    admin_of: AdminOf, ana: Member, root: Member, settings: Settings
) -> None:
    for member in (ana, root):
        assert b"Sending is switched off" not in admin_of(member).get("/admin/").content

    settings.SENDING = False

    for member in (ana, root):
        assert b"Sending is switched off" in admin_of(member).get("/admin/").content


def test_statements_have_their_limits_in_each_part() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", LIMITS],
        cwd=ROOT,
        env={**os.environ, "DATABASE_URL": database_url()},
        check=True,
        capture_output=True,
        text=True,
    )

    assert shown.stdout.split() == ["30s", "5s", "30s", "1min", "5s", "30s"]


LIMITS: Final = """
from config import celery
import django
django.setup()
from django.db import connection
def show():
    for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        with connection.cursor() as cursor:
            cursor.execute(f"SHOW {name}")
            print(cursor.fetchone()[0])
show()
celery._give_statements_a_minute()
show()
"""

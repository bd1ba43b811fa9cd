"""What is checked before anything is sent."""

import pytest
from django.core.checks import CheckMessage
from django.db import connection
from pytest_django import Settings

from messaging import checks


def ids(found: list[CheckMessage]) -> list[str | None]:
    return [message.id for message in found]


@pytest.mark.django_db
def test_this_postgresql_is_new_enough():
    assert checks.check_postgresql(databases=["default"]) == []


@pytest.mark.django_db
def test_an_old_postgresql_is_refused_in_words(monkeypatch):
    monkeypatch.setattr(checks, "OLDEST_POSTGRESQL", 99)

    (refusal,) = checks.check_postgresql(databases=["default"])

    assert refusal.id == "messaging.E004"
    assert "is too old" in refusal.msg


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("setting", "value", "found"),
    [
        ("fsync", "off", ["messaging.W001"]),  # the server of the tests
        ("synchronous_commit", "off", ["messaging.W001"]),
        ("synchronous_commit", "local", []),
    ],
)
def test_a_server_that_forgets_what_it_committed_is_a_warning_in_production(
    settings: Settings, setting: str, value: str, found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with connection.cursor() as cursor:
        if setting != "fsync":  # which only the server's own file sets
            cursor.execute(f"SET LOCAL {setting} = {value}")
    monkeypatch.setattr(checks, "_DURABLE", {setting: "Do this."})
    assert checks.check_durability(databases=["default"]) == []

    settings.PRODUCTION = True

    assert ids(checks.check_durability(databases=["default"])) == found
    assert checks.check_durability() == []


@pytest.mark.django_db
def test_what_we_ask_of_a_session_makes_its_commits_durable() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        assert cursor.fetchone() == ("on",)
        # Whatever the database or the role is set to.
        cursor.execute("SELECT source FROM pg_settings WHERE name = 'synchronous_commit'")
        assert cursor.fetchone() == ("client",)


def test_no_provider_is_refused(settings: Settings):
    settings.SMS_PROVIDERS = []

    assert ids(checks.check_providers(None)) == ["messaging.E002"]


def test_a_provider_that_reaches_no_phone_is_refused_in_production(settings: Settings):
    settings.SMS_PROVIDERS = ["console://"]
    assert checks.check_providers(None) == []

    settings.PRODUCTION = True
    assert ids(checks.check_providers(None)) == ["messaging.E003"]

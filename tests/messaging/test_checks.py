"""What is checked before anything is sent."""

import pytest
from django.core.checks import CheckMessage
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


def test_no_provider_is_refused(settings: Settings):
    settings.SMS_PROVIDERS = []

    assert ids(checks.check_providers(None)) == ["messaging.E002"]


def test_a_provider_that_reaches_no_phone_is_refused_in_production(settings: Settings):
    settings.SMS_PROVIDERS = ["console://"]
    assert checks.check_providers(None) == []

    settings.PRODUCTION = True
    assert ids(checks.check_providers(None)) == ["messaging.E003"]

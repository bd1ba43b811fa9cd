"""What is checked at start."""

from typing import Any

import pytest
from django.core import checks


def found() -> set[str | None]:
    return {message.id for message in checks.run_checks(tags=[checks.Tags.security])}


def ids() -> set[str | None]:
    return {name for name in found() if name and name.startswith("accounts.")}


def test_nothing_is_wrong_as_it_comes() -> None:
    assert ids() == set()


def test_a_limit_that_cannot_be_read(settings: Any) -> None:
    settings.RATE_LIMIT = "many"

    assert ids() == {"accounts.E001"}


@pytest.mark.parametrize("key", ["", "short", "x" * 31])
def test_S3_a_short_signing_key(settings: Any, key: str) -> None:
    settings.SIMPLE_JWT = {**settings.SIMPLE_JWT, "SIGNING_KEY": key}

    assert ids() == {"accounts.E002"}


def test_S3_one_key_for_two_things(settings: Any) -> None:
    settings.SIMPLE_JWT = {**settings.SIMPLE_JWT, "SIGNING_KEY": settings.SECRET_KEY}

    assert ids() == {"accounts.E003"}


def test_S6_a_missing_blacklist(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.apps import apps

    monkeypatch.delitem(apps.app_configs, "token_blacklist")

    assert ids() == {"accounts.E004"}

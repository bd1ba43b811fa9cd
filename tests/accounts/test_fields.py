"""Fields that take a value as what it is."""

from datetime import UTC, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from django.utils import timezone as django_timezone
from rest_framework.exceptions import ValidationError

from accounts.doors.fields import ChangedField, MomentField, StrictCharField


@pytest.mark.parametrize("value", [1, 1.5, True, [], {}, ["a"]])
def test_only_a_text_is_a_text(value: Any) -> None:
    with pytest.raises(ValidationError, match="quotation marks"):
        StrictCharField().run_validation(value)


def test_a_text_is_taken() -> None:
    assert StrictCharField().run_validation("Hola") == "Hola"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("2026-01-31T12:00:00Z", datetime(2026, 1, 31, 12, tzinfo=UTC)),
        ("2026-01-31T12:00:00-05:00", datetime(2026, 1, 31, 17, tzinfo=UTC)),
        ("2026-01-31T12:00:00.123456+00:00", datetime(2026, 1, 31, 12, 0, 0, 123_456, tzinfo=UTC)),
        ("2026-01-31T12:00:00", datetime(2026, 1, 31, 12, tzinfo=UTC)),
    ],
)
def test_a_moment_is_read_with_its_offset(written: str, read: datetime) -> None:
    with django_timezone.override("America/Bogota"):
        assert MomentField().run_validation(written) == read


@pytest.mark.parametrize(
    "written",
    [
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "tomorrow",
        "",
        1_767_225_600,
        None,
        [],
    ],
)
def test_what_is_no_moment_is_refused(written: Any) -> None:
    with pytest.raises(ValidationError):
        MomentField().run_validation(written)


def test_a_moment_is_written_in_utc_with_milliseconds() -> None:
    moment = datetime(2026, 1, 31, 7, 0, 0, 123_999, tzinfo=timezone(timedelta(hours=-5)))

    with django_timezone.override("Asia/Tokyo"):
        assert MomentField().to_representation(moment) == "2026-01-31T12:00:00.123Z"


@pytest.mark.parametrize(("updated", "shown"), [(-6, 0), (0, 0), (9, 9)])
def test_nothing_changed_before_it_was_made(updated: int, shown: int) -> None:
    """Two clocks tell the two, and a row is written within milliseconds."""
    made = datetime(2026, 1, 31, 12, tzinfo=UTC)
    row = SimpleNamespace(created_at=made, updated_at=made + timedelta(milliseconds=updated))

    assert ChangedField().get_attribute(row) == made + timedelta(milliseconds=shown)

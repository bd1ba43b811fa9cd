"""Serializer fields that take a value as what it is: no number for a text, no guess at a moment."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from rest_framework import serializers

_EARLIEST: Final = datetime(1900, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(3000, 1, 1, tzinfo=UTC)


class StrictCharField(serializers.CharField):
    """A text. Numbers and booleans, which the stock field turns into text, are refused."""

    default_error_messages = {"invalid": _("Write a text in quotation marks.")}

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class MomentField(serializers.DateTimeField):
    """A moment: read with its offset from UTC, written in UTC with milliseconds and Z."""

    default_error_messages = {
        "invalid": _("Write a moment as 2026-01-31T12:00:00Z."),
        "out_of_range": _("Write a moment between the years 1900 and 2999."),
    }

    def __init__(self, **options: Any) -> None:
        super().__init__(default_timezone=UTC, **options)

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str):
            self.fail("invalid")
        try:
            moment = super().to_internal_value(value).astimezone(UTC)
        except OverflowError:  # 9999-12-31T23:59:59-23:59 lies after the end of time
            self.fail("out_of_range")
        if not _EARLIEST <= moment < _LATEST:
            self.fail("out_of_range")
        return moment

    def to_representation(self, value: datetime) -> str:
        return written(value)


def written(moment: datetime) -> str:
    """Return the moment as the wire has it: ISO 8601 in UTC with milliseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

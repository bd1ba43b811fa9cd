"""Serializer fields that take a value as what it is: no number for a text, no guess at a moment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.http import QueryDict
from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][ -~]+")
_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
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
        # Python reads more than this as a moment, as 20260131, 2026-W05 and digits of other scripts.
        if not isinstance(value, str) or not _MOMENT.fullmatch(value):
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


class ChangedField(MomentField):
    """When a row last changed, and never before it was made: the one is told by Python's clock."""

    def __init__(self, **options: Any) -> None:
        super().__init__(source="updated_at", read_only=True, **options)

    def get_attribute(self, instance: Any) -> datetime:
        moment: datetime = max(instance.created_at, instance.updated_at)
        return moment


class DayField(serializers.DateField):
    """A day as 1990-05-17, and nothing else that reads as one."""

    default_error_messages = {"invalid": _("Write a day as 1990-05-17.")}

    def to_internal_value(self, value: Any) -> date:
        if not isinstance(value, str) or not _DAY.fullmatch(value):
            self.fail("invalid")
        return super().to_internal_value(value)


@extend_schema_field(
    {
        "oneOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}],
        "example": "2026-01-31",
    }
)
class PeriodField(MomentField):
    """An end of a period: a moment, or a day of UTC. Both ends belong to it.

    Read as its first moment, or, with `is_end`, as the first one that is too late: what is written to the
    millisecond means all of that millisecond.
    """

    default_error_messages = {
        "invalid": _("Write a day as 2026-01-31, or a moment as 2026-01-31T12:00:00Z."),
    }

    def __init__(self, *, is_end: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.is_end = is_end

    def to_internal_value(self, value: Any) -> datetime:
        is_day = isinstance(value, str) and bool(_DAY.fullmatch(value))
        moment = super().to_internal_value(f"{value}T00:00:00Z" if is_day else value)
        if not self.is_end:
            return moment
        return moment + (timedelta(days=1) if is_day else timedelta(milliseconds=1))


class NameField(serializers.ChoiceField):
    """One of the names, in any letter case."""

    default_error_messages = {"invalid_choice": _("Use one of: {names}.")}

    def to_internal_value(self, data: Any) -> Any:
        # Outside ASCII some letters become these in upper case: the long s of old prints is one.
        name = data.upper() if isinstance(data, str) and data.isascii() else ""
        if name not in self.choices:
            self.fail("invalid_choice", names=", ".join(map(str, self.choices)))
        return name


class IdField(serializers.UUIDField):
    """An id in its usual form. The stock field takes numbers and other spellings too."""

    default_error_messages = {"invalid": _("Write an id as it was given to you.")}

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str) or not _UUID.fullmatch(data):
            self.fail("invalid")
        return UUID(data)


class IdsField(serializers.ListField):
    """A list of ids; in an address, repeated or separated by commas."""

    default_error_messages = {"not_a_list": _('Write a list of ids, as ["…"].')}
    child = IdField()

    def get_value(self, dictionary: Mapping[str, Any]) -> Any:
        if not isinstance(dictionary, QueryDict):
            return super().get_value(dictionary)
        given = ",".join(dictionary.getlist(str(self.field_name))).split(",")
        return [one for one in given if one] or serializers.empty


def written(moment: datetime) -> str:
    """Return the moment as the wire has it: ISO 8601 in UTC with milliseconds and Z."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

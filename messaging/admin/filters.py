"""Filters of the lists of what was sent. What cannot be read is said, and finds nothing."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, RangeDateFilter, TextFilter

from accounts.doors.admin import OwnAutocompleteFilter
from contacts import phone_numbers
from messaging.admin.evidence import uuid_of
from messaging.models import Message


class QueueFilter(TextFilter):
    """Rows of one broadcast, by its whole queue id."""

    title = _("queue id")
    parameter_name = "broadcast"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        given = self.value()
        if not given:
            return queryset
        queue_id = uuid_of(given)
        if queue_id is None:
            messages.error(request, _("Give the whole queue id, as the broadcast's page shows it."))
            return queryset.none()
        return queryset.filter(broadcast=queue_id)


class CountryFilter(TextFilter):
    """Messages to one country, given as CO, co, 57 or +57."""

    title = _("country")
    parameter_name = "country"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:
        given = self.value()
        if not given:
            return queryset
        try:
            return queryset.filter(country=phone_numbers.country_of(given))
        except phone_numbers.UnsupportedCountry:
            messages.error(request, _("Give the country as two letters, CO, or calling code, 57."))
            return queryset.none()


class StatusGroupFilter(DropdownFilter):
    """Messages by how far they came, whatever their exact status."""

    title = _("status group")
    parameter_name = "group"
    groups = {
        "waiting": (_("Waiting"), Message.WAITING_STATUSES),
        "handed_over": (
            _("Handed over"),
            # Whatever neither waits nor ended before a provider had it.
            frozenset(Message.Status)
            - Message.WAITING_STATUSES
            - {Message.Status.FAILED, Message.Status.CANCELED},
        ),
        "failed": (_("Failed or unknown"), Message.FAILURE_STATUSES),
    }

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002 - Django's signature
        return [(name, title) for name, (title, _statuses) in self.groups.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:  # noqa: ARG002 - Django's signature
        group = self.groups.get(self.value() or "")
        return queryset if group is None else queryset.filter(status__in=sorted(group[1]))


class MemberFilter(OwnAutocompleteFilter):
    """Broadcasts of one member, found by name or e-mail."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.title = _("member")


class PeriodFilter(RangeDateFilter):
    """Rows from the first moment of one day to the last of another, in the site's time zone.

    unfold's own compares naive midnights, leaves the last day out and reads a Spanish date as an
    English one.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.title = _("period")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first, last = self._written("from"), self._written("to")
        try:
            if first:
                queryset = queryset.filter(**{f"{self.field_path}__gte": _midnight(_day(first))})
            if last:
                after = _midnight(_day(last) + timedelta(days=1))
                queryset = queryset.filter(**{f"{self.field_path}__lt": after})
        except (forms.ValidationError, OverflowError):
            messages.error(request, _("Give the days of the period as the calendar writes them."))
            return queryset.none()
        return queryset

    def _written(self, end: str) -> str:
        return str(self.used_parameters.get(f"{self.parameter_name}_{end}") or "")


def _day(written: str) -> date:
    """Return the day as people of the active language write it, or in ISO 8601.

    Raises: ValidationError.
    """
    day = forms.DateField().clean(written)
    assert isinstance(day, date)  # noqa: S101 - a required field returns nothing else
    return day


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))

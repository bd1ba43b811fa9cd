"""Filters of the lists of what was sent. What cannot be read is said, and finds nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, TextFilter

from accounts.doors.admin import OwnAutocompleteFilter, PeriodFilter
from accounts.doors.organization import member_of
from contacts import phone_numbers
from messaging import searching
from messaging.admin.evidence import uuid_of
from messaging.models import Broadcast, Kind, Message
from messaging.providers import registry

ORGANIZATION: Final = "organization__id__exact"
"""What the address of the platform's list calls the organization."""

NO_REPORT: Final = timedelta(hours=24)
"""How long a delivery report is waited for before somebody should look."""

_LATEST: Final = 200  # broadcasts whose providers are offered


def organization_asked(request: HttpRequest) -> UUID | None:
    """Return whose messages are listed: the member's organization, or the one the platform chose."""
    member = member_of(request)
    if not member.is_superuser:
        return member.organization_id
    return uuid_of(request.GET.get(ORGANIZATION, ""))


def _found(request: HttpRequest, rows: QuerySet[Message], **conditions: Any) -> QuerySet[Message]:
    return searching.find(rows, organization_id=organization_asked(request), **conditions)


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
        return self.of(request, queryset, queue_id)

    def of(
        self,
        request: HttpRequest,  # noqa: ARG002 - for lists that are narrowed in another way
        rows: QuerySet[Any],
        queue_id: UUID,
    ) -> QuerySet[Any]:
        return rows.filter(broadcast=queue_id)


class MessageQueueFilter(QueueFilter):
    """Messages of one broadcast, by its whole queue id."""

    def of(self, request: HttpRequest, rows: QuerySet[Any], queue_id: UUID) -> QuerySet[Any]:
        return _found(request, rows, queue_id=queue_id)


class CountryFilter(TextFilter):
    """Messages to one country, given as CO or co, or to all that share a calling code, 57 or +57."""

    title = _("country")
    parameter_name = "country"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:
        given = self.value()
        if not given:
            return queryset
        try:
            return _found(request, queryset, countries=phone_numbers.countries_of(given))
        except phone_numbers.UnsupportedCountry:
            messages.error(request, _("Give the country as two letters, CO, or calling code, 57."))
            return queryset.none()


class _ChoiceFilter(DropdownFilter):
    """One of some values; any other is as none."""

    choices_of: Mapping[str, Any] = {}

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002 - Django's signature
        return list(self.choices_of.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:
        value = self.value()
        if not value or value not in self.choices_of:
            return queryset
        return self.narrowed(request, queryset, value)

    def narrowed(
        self, request: HttpRequest, rows: QuerySet[Message], value: str
    ) -> QuerySet[Message]:
        raise NotImplementedError


class StatusFilter(_ChoiceFilter):
    """Messages of one status, as lists show it."""

    title = _("status")
    parameter_name = "status__exact"
    choices_of = dict([*Message.Status.choices, (searching.SCHEDULED, _("Scheduled"))])

    def narrowed(
        self, request: HttpRequest, rows: QuerySet[Message], value: str
    ) -> QuerySet[Message]:
        return _found(request, rows, statuses=[value])


_HANDED_OVER: Final = (
    # Whatever neither waits nor ended before a provider had it.
    frozenset(Message.Status)
    - Message.WAITING_STATUSES
    - {Message.Status.FAILED, Message.Status.CANCELED}
)


class StatusGroupFilter(_ChoiceFilter):
    """Messages by how far they came, whatever their exact status."""

    title = _("status group")
    parameter_name = "group"
    choices_of = {
        "waiting": _("Waiting"),
        "pending": _("Pending: everything that is not final"),
        "handed_over": _("Handed over"),
        "no_report": _("Handed over, and no report after 24 hours"),
        "failed": _("Failed or unknown"),
        "final": _("Final"),
    }
    _statuses = {
        "waiting": Message.WAITING_STATUSES | {searching.SCHEDULED},
        "pending": searching.PENDING,
        "handed_over": _HANDED_OVER,
        "no_report": {Message.Status.SENT},
        "failed": Message.FAILURE_STATUSES,
        "final": Message.FINAL_STATUSES,
    }

    def narrowed(
        self, request: HttpRequest, rows: QuerySet[Message], value: str
    ) -> QuerySet[Message]:
        conditions: dict[str, Any] = {"statuses": self._statuses[value]}
        if value == "no_report":
            before = timezone.now() - NO_REPORT
            rows = rows.filter(sent_at__lt=before)
            conditions["until"] = before  # accepted before that, too: the index has that moment
        return _found(request, rows, **conditions)


class KindFilter(_ChoiceFilter):
    """Messages of one type."""

    title = _("type")
    parameter_name = "type"
    choices_of = dict(Kind.choices)

    def narrowed(
        self, request: HttpRequest, rows: QuerySet[Message], value: str
    ) -> QuerySet[Message]:
        return _found(request, rows, kind=value)


class ChargeFilter(_ChoiceFilter):
    """Messages by what became of their credits."""

    title = _("charge")
    parameter_name = "charge__exact"
    choices_of = dict(Message.Charge.choices)

    def narrowed(
        self, request: HttpRequest, rows: QuerySet[Message], value: str
    ) -> QuerySet[Message]:
        return _found(request, rows, charge=value)


class CreditsFilter(TextFilter):
    """Messages that cost so many credits each."""

    title = _("credits of a message")
    parameter_name = "credits"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:
        given = (self.value() or "").strip()
        if not given:
            return queryset
        if not (given.isascii() and given.isdecimal() and len(given) <= 9):
            messages.error(request, _("Give the credits as a whole number, 1 or 2."))
            return queryset.none()
        return _found(request, queryset, amount=int(given))


class ReasonFilter(TextFilter):
    """Messages that failed for one reason: a code as the list shows it, ours or the provider's."""

    title = _("failure reason (its code)")
    parameter_name = "reason"

    def queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:
        code = (self.value() or "").strip()
        if not code:
            return queryset
        labels = {str(label).lower(): own for own, label in Message.ErrorCode.choices}
        return _found(request, queryset, error_code=labels.get(code.lower(), code))


class ProviderFilter(DropdownFilter):
    """Messages of one account at one provider: of those in use now, and of the latest broadcasts."""

    title = _("provider")
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        broadcasts = Broadcast.objects.all()
        organization_id = organization_asked(request)
        if organization_id is not None:
            broadcasts = broadcasts.filter(organization=organization_id)
        latest = broadcasts.order_by("-created_at", "-id").values_list("providers", flat=True)
        used = {name for names in latest[:_LATEST] for name in names}
        names = used | {provider.name for provider in registry.configured()}
        return [(name, name) for name in sorted(names | {self.value() or ""}) if name]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:
        return _found(request, queryset, provider=self.value()) if self.value() else queryset


class MessagePeriodFilter(PeriodFilter):
    """Messages that were accepted from one day to another."""

    def within(
        self,
        request: HttpRequest,
        rows: QuerySet[Any],
        since: datetime | None,
        until: datetime | None,
    ) -> QuerySet[Any]:
        return _found(request, rows, since=since, until=until) if since or until else rows


class RecentFilter(_ChoiceFilter):
    """Messages of the last days, in the site's time zone."""

    title = _("accepted")
    parameter_name = "accepted"
    choices_of = {
        "today": _("Today"),
        "yesterday": _("Yesterday"),
        "week": _("In the last 7 days"),
        "month": _("In the last 30 days"),
    }

    def narrowed(
        self, request: HttpRequest, rows: QuerySet[Message], value: str
    ) -> QuerySet[Message]:
        begins, ends = {"today": (0, -1), "yesterday": (1, 0), "week": (6, -1), "month": (29, -1)}[
            value
        ]
        return _found(
            request,
            rows,
            since=midnight(days_ago=begins),
            until=midnight(days_ago=ends) if ends >= 0 else None,
        )


def midnight(*, days_ago: int = 0) -> datetime:
    """Return when that day began, in the site's time zone."""
    day = timezone.localdate() - timedelta(days=days_ago)
    return timezone.make_aware(datetime(day.year, day.month, day.day))  # noqa: DTZ001 - made aware here


class MemberFilter(OwnAutocompleteFilter):
    """Broadcasts of one member, found by name or e-mail."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.title = _("member")


class SenderFilter(MemberFilter):
    """Messages that one member sent."""

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        given = self.value()
        if not given:
            return queryset
        member_id = uuid_of(str(given))
        return (
            queryset.none() if member_id is None else _found(request, queryset, member_id=member_id)
        )

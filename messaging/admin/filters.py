"""Filters of the lists of what was sent. What cannot be read is said, and finds nothing."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter, TextFilter

from accounts.doors.admin import OwnAutocompleteFilter
from contacts.admin import CountryFilter as OfCountry
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


class CountryFilter(OfCountry):
    """Messages to one country."""

    title = _("country")
    parameter_name = "country"


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

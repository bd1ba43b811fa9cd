"""The admin's pages of broadcasts: the list, and how one stands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from accounts.doors.admin import OwnAutocompleteFilter, PeriodFilter
from accounts.doors.labels import label, second
from messaging import journeys
from messaging.admin.evidence import EvidencePages
from messaging.admin.filters import MemberFilter
from messaging.admin.labels import BROADCAST_COLORS, number, short_queue_id
from messaging.models import Broadcast, Message, Skip

_FURTHEST_FIRST: Final = (
    Message.Status.DELIVERED,
    Message.Status.SENT,
    Message.Status.UNDELIVERED,
    Message.Status.FAILED,
    Message.Status.UNKNOWN,
    Message.Status.CANCELED,
    Message.Status.SENDING,
    Message.Status.QUEUED,
)
_ID_BEGINNING: Final = re.compile(r"[0-9a-f]{4,32}")


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a broadcast's contacts, and the list of them."""

    name: str  # of the colour in admin.css
    text: str
    count: int
    address: str

    @property
    def number(self) -> str:
        return number(self.count)


@dataclass(frozen=True, slots=True)
class Stretch:
    """One colour of the bar: where it begins and how long it is, in thousandths."""

    name: str
    start: int
    length: int


@dataclass(frozen=True)
class Standing:
    """How a broadcast stands, from its kept counters alone."""

    broadcast: Broadcast

    @property
    def label(self) -> SafeString:
        return label(self.broadcast.get_status_display(), BROADCAST_COLORS[self.broadcast.status])

    @property
    def percent(self) -> int:
        """The share that is past handing over; 100 only when nothing waits."""
        return int(self.broadcast.progress * 100)

    @cached_property
    def shares(self) -> list[Share]:
        """The messages by status, those that came furthest first, as they stand in the bar."""
        return [
            Share(
                name=journeys.COUNTERS[status],
                text=str(status.label),
                count=getattr(self.broadcast, journeys.COUNTERS[status]),
                address=messages_of(self.broadcast.pk, status__exact=status),
            )
            for status in _FURTHEST_FIRST
        ]

    @cached_property
    def bar(self) -> list[Stretch]:
        """The bar's colours from left to right; one message of a million shows too."""
        stretches: list[Stretch] = []
        start = 0
        for share in self.shares:
            if share.count:
                length = max(1000 * share.count // self.broadcast.messages_total, 10)
                stretches.append(Stretch(share.name, start, length))
                start += length
        return stretches

    @property
    def bar_length(self) -> int:
        return sum(stretch.length for stretch in self.bar) or 1000

    @property
    def in_words(self) -> str:
        """The bar for who cannot see it."""
        told = [f"{share.text}: {share.number}" for share in self.shares if share.count]
        return ", ".join(told) or str(_("No messages"))

    @property
    def messages(self) -> Share:
        return Share(
            name="messages",
            text=str(_("Messages")),
            count=self.broadcast.messages_total,
            address=messages_of(self.broadcast.pk),
        )

    @property
    def skips(self) -> list[Share]:
        """The contacts that got no message by reason, in the order in which reasons are tried."""
        counts: dict[str, int] = self.broadcast.skipped_by_reason
        return [
            Share(
                name="skipped",
                text=str(reason.label),
                count=counts[reason],
                address=skips_of(self.broadcast.pk, reason__exact=reason),
            )
            for reason in Skip.Reason
            if counts.get(reason)
        ]

    @property
    def skipped(self) -> Share:
        return Share(
            name="skipped",
            text=str(_("Skipped")),
            count=self.broadcast.skipped_total,
            address=skips_of(self.broadcast.pk),
        )

    @property
    def audience(self) -> str:
        return number(self.broadcast.audience)

    @property
    def credits(self) -> list[tuple[Any, str]]:
        broadcast = self.broadcast
        amounts = (
            (_("Reserved"), broadcast.credits_reserved),
            (_("Spent"), broadcast.credits_captured),
            (_("Returned"), broadcast.credits_released),
            (_("In all"), broadcast.credits),
        )
        return [(text, number(amount)) for text, amount in amounts]


def messages_of(queue_id: UUID, **lookups: str) -> str:
    """Return the address of a broadcast's messages, filtered further by the look-ups."""
    return _list("message", queue_id, lookups)


def skips_of(queue_id: UUID, **lookups: str) -> str:
    """Return the address of a broadcast's skips, filtered further by the look-ups."""
    return _list("skip", queue_id, lookups)


def _list(model: str, queue_id: UUID, lookups: dict[str, str]) -> str:
    query = urlencode({"broadcast": queue_id, **lookups})
    return f"{reverse(f'admin:messaging_{model}_changelist')}?{query}"


@admin.register(Broadcast)
class BroadcastPages(EvidencePages):
    """What was sent and how it stands. Every number is a kept counter: nothing is counted here."""

    list_display = (
        "queue_id",
        "moment",
        "shortened_text",
        "status_label",
        "progress_bar",
        "messages_number",
        "skipped_number",
        "credits_number",
        "kind",
        "member",
        "organization",
    )
    list_filter = (
        ("organization", OwnAutocompleteFilter),
        ("status", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("created_at", PeriodFilter),
        ("member", MemberFilter),
    )
    list_select_related = ("organization", "member")
    ordering = ("-created_at", "-id")
    search_fields = ("id",)  # shows the box; what it finds is in get_search_results
    search_help_text = _("A queue id or its beginning.")
    change_form_outer_before_template = "admin/messaging/broadcast/standing.html"
    fieldsets = (
        (
            _("What was sent"),
            {"fields": ("text", "kind", "encoding", "segments", "country", "providers")},
        ),
        (
            _("Who and when"),
            {
                "fields": (
                    "organization",
                    "member",
                    "created_at",
                    "scheduled_at",
                    "started_at",
                    "finished_at",
                )
            },
        ),
        (
            _("Record"),
            {
                "classes": ("collapse",),
                "fields": ("id", "fingerprint", "woken_at", "broken_drains", "updated_at"),
            },
        ),
    )

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        queryset: QuerySet[Broadcast],
        search_term: str,
    ) -> tuple[QuerySet[Broadcast], bool]:
        digits = search_term.strip().lower().replace("-", "")
        if not digits:
            return queryset, False
        if not _ID_BEGINNING.fullmatch(digits):
            return queryset.none(), False
        # A range of the key: a pattern would read every row.
        first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
        return queryset.filter(pk__gte=first, pk__lte=last), False

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        *args: Any,
        obj: Broadcast | None = None,
        **options: Any,
    ) -> HttpResponse:
        if obj is not None:
            context["standing"] = Standing(obj)
        response: HttpResponse = super().render_change_form(
            request, context, *args, obj=obj, **options
        )
        return response

    @display(description=_("queue id"))
    def queue_id(self, broadcast: Broadcast) -> SafeString:
        return short_queue_id(broadcast.pk)

    @display(description=_("text"))
    def shortened_text(self, broadcast: Broadcast) -> str:
        return Truncator(broadcast.text).chars(48)

    @display(description=_("status"))
    def status_label(self, broadcast: Broadcast) -> SafeString:
        return Standing(broadcast).label

    @display(description=_("progress"))
    def progress_bar(self, broadcast: Broadcast) -> SafeString:
        return render_to_string(
            "admin/messaging/broadcast/bar.html", {"standing": Standing(broadcast)}
        )

    @display(description=_("messages"))
    def messages_number(self, broadcast: Broadcast) -> str:
        return number(broadcast.messages_total)

    @display(description=_("skipped"))
    def skipped_number(self, broadcast: Broadcast) -> str:
        return number(broadcast.skipped_total)

    @display(description=_("credits"))
    def credits_number(self, broadcast: Broadcast) -> str:
        return number(broadcast.credits)

    @display(description=_("created at"))
    def moment(self, broadcast: Broadcast) -> SafeString:
        return second(broadcast.created_at)

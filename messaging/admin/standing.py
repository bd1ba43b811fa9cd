"""How a broadcast stands, from its kept counters alone: nothing is counted here."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.urls import reverse
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from accounts.doors.labels import label
from messaging import journeys
from messaging.admin.labels import BROADCAST_COLORS, number
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
        total = self.broadcast.messages_total
        return 100 * (total - self.broadcast.waiting) // total if total else 100

    @property
    def is_finished(self) -> bool:
        return self.broadcast.status in Broadcast.FINISHED_STATUSES

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

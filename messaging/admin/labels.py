"""Statuses as coloured labels, numbers and ids as people read them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from uuid import UUID

from django.utils.formats import number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts.doors.labels import label
from messaging.models import Broadcast, DeliveryReport, InboundMessage, Message

# unfold's names of colours; "default" is grey.
BROADCAST_COLORS: Final[Mapping[str, str]] = {
    Broadcast.Status.SCHEDULED: "primary",
    Broadcast.Status.RUNNING: "info",
    Broadcast.Status.PAUSED: "warning",
    Broadcast.Status.COMPLETED: "success",
    Broadcast.Status.COMPLETED_WITH_FAILURES: "danger",
    Broadcast.Status.CANCELED: "default",
}
MESSAGE_COLORS: Final[Mapping[str, str]] = {
    Message.Status.QUEUED: "default",
    Message.Status.SENDING: "primary",
    Message.Status.UNKNOWN: "warning",
    Message.Status.SENT: "info",
    Message.Status.DELIVERED: "success",
    Message.Status.UNDELIVERED: "danger",
    Message.Status.FAILED: "danger",
    Message.Status.CANCELED: "default",
    Broadcast.Status.SCHEDULED: "primary",
}
CHARGE_COLORS: Final[Mapping[str, str]] = {
    Message.Charge.RESERVED: "default",
    Message.Charge.CAPTURED: "info",
    Message.Charge.RELEASED: "success",
    Message.Charge.UNCOLLECTED: "warning",
}
OUTCOME_COLORS: Final[Mapping[str, str]] = {
    "": "default",
    DeliveryReport.Outcome.APPLIED: "success",
    DeliveryReport.Outcome.NO_CHANGE: "default",
    DeliveryReport.Outcome.CONFLICT: "warning",
    DeliveryReport.Outcome.UNMATCHED: "danger",
}

EFFECT_COLORS: Final[Mapping[str, str]] = {
    InboundMessage.Effect.STOP: "danger",
    InboundMessage.Effect.START: "success",
    InboundMessage.Effect.HELP: "info",
    InboundMessage.Effect.NONE: "default",
}


_LONG_PROVIDER: Final = re.compile(r"\b([a-z]+:\w{4})\w{5,}(\w{4})\b")


def status_label(status: str) -> SafeString:
    """Return a message's status on its colour; SCHEDULED, too, which its broadcast lends it."""
    shown = Broadcast.Status if status == Broadcast.Status.SCHEDULED else Message.Status
    return label(str(shown(status).label), MESSAGE_COLORS[status])


def number(amount: int) -> str:
    """Return a number with its thousands apart, as the active language writes it."""
    return number_format(amount, force_grouping=True)


def short_queue_id(queue_id: UUID) -> SafeString:
    """Return the beginning of a queue id, which the search takes; the whole shows under the pointer."""
    return format_html('<code title="{}">{}</code>', queue_id, str(queue_id)[:8])


def with_short_providers(text: str) -> str:
    """Return the text with every credential in it as the lists show it."""
    return _LONG_PROVIDER.sub(r"\1…\2", text)


def short_provider(name: str) -> SafeString | str:
    """Return a credential's name without the middle of a long account; the whole shows under the pointer."""
    slug, colon, account = name.partition(":")
    if len(account) <= 12:
        return name
    return format_html(
        '<code title="{}">{}{}{}…{}</code>', name, slug, colon, account[:4], account[-4:]
    )

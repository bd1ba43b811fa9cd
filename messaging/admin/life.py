"""A message's life in order: its own times, the exceptional events, and what carriers reported."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from messaging.models import DeliveryReport, Message, MessageEvent

MOST_REPORTS: Final = 100
"""Reports of one message that are told; a carrier that repeats itself without end adds nothing."""

Status = Message.Status


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened to a message, in words."""

    at: datetime
    title: str
    details: Sequence[str] = ()
    status: str = ""  # the status it brought or speaks of
    raw: str = ""  # the provider's own words


def moments(message: Message) -> list[Moment]:
    """Return what happened to the message, earliest first; what happened at once, in its usual order.

    Two queries, for the events and the reports, both by index.
    """
    reports = DeliveryReport.objects.filter(message_id=message.pk).order_by("id")[:MOST_REPORTS]
    events = (
        MessageEvent.objects.filter(message_id=message.pk)
        .exclude(kind=MessageEvent.Kind.CANCELED)  # `_end` tells it, with the reason
        .order_by("id")
    )
    told = [
        *_own(message),
        *(_event(event) for event in events),
        *(_report(report) for report in reports),
        *_end(message),
    ]
    return sorted(told, key=lambda moment: moment.at)


def _own(message: Message) -> Iterator[Moment]:
    """Yield the times that the message's own row tells, but its end."""
    yield Moment(
        message.created_at,
        _("Accepted"),
        [_segments(message), _reserved(message)],
        status=Status.QUEUED,
    )
    if message.claimed_at is not None:
        yield Moment(
            message.claimed_at,
            _("Claimed by a worker"),
            status=Status.SENDING,
        )
    if message.submit_started_at is not None:
        yield Moment(
            message.submit_started_at,
            _("Handed over"),
            [_("Attempt %(number)d") % {"number": message.attempts}],
            status=Status.SENDING,
        )
    if message.sent_at is not None:
        yield Moment(
            message.sent_at,
            _("Taken by %(provider)s") % {"provider": message.provider or _("the provider")},
            [
                *([message.provider_message_id] if message.provider_message_id else []),
                *([_spent(message)] if message.charge == Message.Charge.CAPTURED else []),
            ],
            status=Status.SENT,
            raw=_raw(message.provider_metadata),
        )


def _end(message: Message) -> Iterator[Moment]:
    """Yield how it ended, or where it stands."""
    if message.delivered_at is not None:
        yield Moment(message.delivered_at, _("Delivered"), status=Status.DELIVERED)
    elif message.status in Message.FINAL_STATUSES:
        yield Moment(
            message.updated_at, message.get_status_display(), _why(message), status=message.status
        )
    elif message.status == Status.UNKNOWN and message.charge == Message.Charge.RELEASED:
        yield Moment(
            message.updated_at, _("Given up as unknown"), _why(message), status=Status.UNKNOWN
        )
    elif message.status == Status.QUEUED and message.attempts:
        yield Moment(
            message.next_attempt_at, _("Next attempt"), _why(message), status=Status.QUEUED
        )


def _why(message: Message) -> list[str]:
    own = dict(Message.ErrorCode.choices)
    reason = [str(own.get(message.error_code, message.error_code)), message.error_message]
    if message.charge == Message.Charge.RELEASED:
        reason.append(_returned(message))
    return [text for text in reason if text]


def _event(event: MessageEvent) -> Moment:
    return Moment(
        event.created_at, event.get_kind_display(), [event.detail] if event.detail else []
    )


def _report(report: DeliveryReport) -> Moment:
    outcome = report.get_outcome_display() if report.outcome else _("Not applied yet")
    return Moment(
        report.created_at,
        (_("Look-up at %(provider)s") if report.looked_up else _("Delivery report of %(provider)s"))
        % {"provider": report.provider},
        [text for text in (str(outcome), report.code, report.reason) if text],
        status=report.status,
        raw=_raw(report.raw),
    )


def _segments(message: Message) -> str:
    count = message.segments
    return ngettext("%(count)d segment", "%(count)d segments", count) % {"count": count}


def _reserved(message: Message) -> str:
    count = message.credits
    return ngettext("%(count)d credit reserved", "%(count)d credits reserved", count) % {
        "count": count
    }


def _spent(message: Message) -> str:
    count = message.credits
    return ngettext("%(count)d credit spent", "%(count)d credits spent", count) % {"count": count}


def _returned(message: Message) -> str:
    count = message.credits
    return ngettext("%(count)d credit returned", "%(count)d credits returned", count) % {
        "count": count
    }


def _raw(words: Any) -> str:
    return json.dumps(words, indent=2, ensure_ascii=False, sort_keys=True) if words else ""

"""A message's life in order: its own times, the exceptional events, and what carriers reported."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from messaging.models import DeliveryReport, Message, MessageEvent

MOST_REPORTS: Final = 100
"""Reports of one message that are told; a carrier that repeats itself without end adds nothing."""

Status = Message.Status


class What(StrEnum):
    """What a moment of a message's life is, as the wire names it."""

    ACCEPTED = "ACCEPTED"
    CLAIMED = "CLAIMED"
    HANDED_OVER = "HANDED_OVER"
    TAKEN = "TAKEN"  # by the provider
    ENDED = "ENDED"  # for good: `status` says how
    GIVEN_UP = "GIVEN_UP"  # its outcome never became known
    NEXT_ATTEMPT = "NEXT_ATTEMPT"  # when it is tried again
    REPORT = "REPORT"
    LOOK_UP = "LOOK_UP"  # we asked the provider, and this was the answer
    PUT_BACK = "PUT_BACK"
    UNKNOWN = "UNKNOWN"
    RESOLVED = "RESOLVED"
    LATE = "LATE"  # a report after the credits were returned


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened to a message, in words."""

    at: datetime
    what: What
    title: str
    details: Sequence[str] = ()
    status: str = ""  # the status it brought or speaks of
    raw: Any = None  # the provider's own words

    @property
    def raw_text(self) -> str:
        """The provider's own words as text, "" where there are none."""
        words = self.raw
        return json.dumps(words, indent=2, ensure_ascii=False, sort_keys=True) if words else ""


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
        What.ACCEPTED,
        _("Accepted"),
        [_segments(message), _reserved(message)],
        status=Status.QUEUED,
    )
    if message.claimed_at is not None:
        yield Moment(
            message.claimed_at,
            What.CLAIMED,
            _("Claimed by a worker"),
            status=Status.SENDING,
        )
    if message.submit_started_at is not None:
        yield Moment(
            message.submit_started_at,
            What.HANDED_OVER,
            _("Handed over"),
            [_("Attempt %(number)d") % {"number": message.attempts}],
            status=Status.SENDING,
        )
    if message.sent_at is not None:
        yield Moment(
            message.sent_at,
            What.TAKEN,
            _("Taken by %(provider)s") % {"provider": message.provider or _("the provider")},
            [
                *([message.provider_message_id] if message.provider_message_id else []),
                *([_spent(message)] if message.charge == Message.Charge.CAPTURED else []),
            ],
            status=Status.SENT,
            raw=message.provider_metadata,
        )


def _end(message: Message) -> Iterator[Moment]:
    """Yield how it ended, or where it stands."""
    if message.delivered_at is not None:
        yield Moment(message.delivered_at, What.ENDED, _("Delivered"), status=Status.DELIVERED)
    elif message.status in Message.FINAL_STATUSES:
        yield Moment(
            message.updated_at,
            What.ENDED,
            message.get_status_display(),
            _why(message),
            status=message.status,
        )
    elif message.status == Status.UNKNOWN and message.charge == Message.Charge.RELEASED:
        yield Moment(
            message.updated_at,
            What.GIVEN_UP,
            _("Given up as unknown"),
            _why(message),
            status=Status.UNKNOWN,
        )
    elif message.status == Status.QUEUED and message.attempts:
        yield Moment(
            message.next_attempt_at,
            What.NEXT_ATTEMPT,
            _("Next attempt"),
            _why(message),
            status=Status.QUEUED,
        )


def _why(message: Message) -> list[str]:
    own = dict(Message.ErrorCode.choices)
    reason = [str(own.get(message.error_code, message.error_code)), message.error_message]
    if message.charge == Message.Charge.RELEASED:
        reason.append(_returned(message))
    return [text for text in reason if text]


def _event(event: MessageEvent) -> Moment:
    return Moment(
        event.created_at,
        What(event.kind),
        event.get_kind_display(),
        [event.detail] if event.detail else [],
    )


def _report(report: DeliveryReport) -> Moment:
    outcome = report.get_outcome_display() if report.outcome else _("Not applied yet")
    return Moment(
        report.created_at,
        What.LOOK_UP if report.looked_up else What.REPORT,
        (_("Look-up at %(provider)s") if report.looked_up else _("Delivery report of %(provider)s"))
        % {"provider": report.provider},
        [text for text in (str(outcome), report.code, report.reason) if text],
        status=report.status,
        raw=report.raw,
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

"""What the start page tells of the last days: traffic, pace, what waits, why messages failed.

Every number is a counter that broadcasts keep, or read by an index from a bounded number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.db import connection
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString

from messaging.admin.filters import midnight
from messaging.admin.labels import number, short_provider
from messaging.admin.provider_states import state_label
from messaging.admin.standing import Share
from messaging.models import Message, ProviderState
from messaging.providers import registry

DAYS: Final = 14
"""Days that the chart shows, today the last."""

PACE_DAYS: Final = 7
"""Days that tell how fast credits are spent."""

MOST: Final = 20_000
"""Broadcasts that are looked at; of more, the latest."""

_HEIGHT, _WIDTH = 300, 1000  # of the chart, in its own units
_FAILING: Final = 50  # of today's broadcasts whose failures are sorted by reason
_FAILURES: Final = 500  # of each of them
_REASONS: Final = 8
_SHOWN: Final = 5  # organizations whose credits end first
_OPEN: Final = 100  # running broadcasts that are asked how long something waits

# By messaging_broadcast_newest.
_BY_DAY: Final = """
SELECT (created_at AT TIME ZONE %(zone)s)::date, sum(messages_total), sum(delivered),
  sum(undelivered + failed), sum(credits - credits_released), count(*)
FROM (
  SELECT * FROM messaging_broadcast WHERE created_at >= %(since)s {of} ORDER BY created_at DESC LIMIT %(most)s
) latest GROUP BY 1
"""

# By messaging_broadcast_open, then one look into messaging_message_due for each.
_WAITING: Final = """
SELECT coalesce(sum(queued + sending), 0),
  extract(epoch FROM clock_timestamp() - min(due.at) FILTER (WHERE due.at <= clock_timestamp()))::float
FROM (
  SELECT id, queued, sending FROM messaging_broadcast WHERE status = 'RUNNING' {of}
  ORDER BY created_at LIMIT %(open)s
) running LEFT JOIN LATERAL (
  SELECT next_attempt_at AS at FROM messaging_message
  WHERE broadcast_id = running.id AND status = 'QUEUED' ORDER BY next_attempt_at LIMIT 1
) due ON TRUE
"""

# By messaging_broadcast_newest, then messaging_message_failures for each.
_REASONS_OF_TODAY: Final = """
SELECT error_code, CASE error_code WHEN '' THEN status ELSE '' END, max(error_message), count(*) FROM (
  SELECT id FROM messaging_broadcast
  WHERE created_at >= %(since)s AND failed + undelivered + unknown > 0 {of}
  ORDER BY created_at DESC LIMIT %(failing)s
) failing CROSS JOIN LATERAL (
  SELECT error_code, status, error_message FROM messaging_message WHERE broadcast_id = failing.id
    AND status IN ('FAILED', 'UNDELIVERED', 'UNKNOWN') LIMIT %(failures)s
) failed GROUP BY 1, 2 ORDER BY 4 DESC, 1, 2 LIMIT %(reasons)s
"""


# By messaging_broadcast_newest of one organization after the other would be as many looks as there are
# organizations; the latest broadcasts of all are read once.
_RUNNING_OUT: Final = """
SELECT o.id, o.name, a.available, floor(a.available * %(days)s / spent.credits)::bigint AS days_left
FROM (
  SELECT organization_id, sum(credits - credits_released) AS credits FROM (
    SELECT * FROM messaging_broadcast WHERE created_at >= %(since)s ORDER BY created_at DESC LIMIT %(most)s
  ) latest GROUP BY 1
) spent
JOIN billing_creditaccount a ON a.organization_id = spent.organization_id
JOIN accounts_organization o ON o.id = spent.organization_id AND o.status = 'ACTIVE'
WHERE spent.credits > 0 ORDER BY days_left, o.id LIMIT %(shown)s
"""


@dataclass(frozen=True, slots=True)
class Held:
    """A credential in use, and how it is doing."""

    name: str
    short: SafeString | str
    state: SafeString
    because: str  # why it is held back
    until: datetime | None  # nothing is handed to it before, but a trial


@dataclass(frozen=True, slots=True)
class RunningOut:
    """An organization whose credits last for so many days at the pace of the last week."""

    organization_id: UUID
    name: str
    available: str
    days: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One colour of a day's bar."""

    name: str
    x: float
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Day:
    """What was accepted on one day, and what became of it so far."""

    day: date
    messages: int = 0
    delivered: int = 0
    failed: int = 0
    credits: int = 0  # without those that were returned

    @property
    def other(self) -> int:
        """Messages that wait, are on their way, or were canceled."""
        return max(0, self.messages - self.delivered - self.failed)

    @property
    def rate(self) -> int | None:
        """Delivered messages of those whose end is known, in percent; None while no end is known."""
        known = self.delivered + self.failed
        return 100 * self.delivered // known if known else None

    @property
    def rate_in_words(self) -> str:
        return "-" if self.rate is None else f"{self.rate} %"

    @property
    def numbers(self) -> list[str]:
        """What the table says of the day."""
        told = [number(n) for n in (self.messages, self.delivered, self.failed, self.other)]
        return [*told, self.rate_in_words]


@dataclass(frozen=True)
class Traffic:
    """The last days, ready to be drawn."""

    days: Sequence[Day]
    is_cut: bool

    @property
    def today(self) -> Day:
        return self.days[-1]

    @property
    def most(self) -> int:
        return max(day.messages for day in self.days)

    @property
    def most_in_words(self) -> str:
        return number(self.most)

    @property
    def width(self) -> float:
        return 0.7 * _WIDTH / len(self.days)

    @cached_property
    def bars(self) -> list[Bar]:
        """The bars from left to right: delivered below, failed on top."""
        bars: list[Bar] = []
        for place, day in enumerate(self.days):
            below = 0.0
            for name, count in (
                ("delivered", day.delivered),
                ("sent", day.other),
                ("failed", day.failed),
            ):
                if not count:
                    continue
                # One message of a million shows, too.
                height = max(_HEIGHT * count / self.most, 2.0)
                x = (place + 0.15) * _WIDTH / len(self.days)
                bars.append(
                    Bar(name, round(x, 1), round(_HEIGHT - below - height, 1), round(height, 1))
                )
                below += height
        return bars

    def days_left(self, available: int) -> int | None:
        """Return for how many days credits last at the pace of the last week; None where none were spent."""
        spent = sum(day.credits for day in self.days[-PACE_DAYS:])
        return available * PACE_DAYS // spent if spent > 0 else None


def of_last_days(organization_id: UUID | None) -> Traffic:
    """Return the last days of the organization, or of all; one query."""
    rows = _asked(
        _BY_DAY,
        organization_id,
        zone=timezone.get_current_timezone_name(),
        since=midnight(days_ago=DAYS - 1),
        most=MOST,
    )
    found = {day: Day(day, *map(int, numbers)) for day, *numbers, _count in rows}
    today = timezone.localdate()
    days = [today - timedelta(days=ago) for ago in reversed(range(DAYS))]
    return Traffic(
        days=[found.get(day, Day(day)) for day in days],
        is_cut=sum(row[-1] for row in rows) >= MOST,
    )


def waiting(organization_id: UUID | None) -> tuple[int, float | None]:
    """Return how many messages of running broadcasts wait, and for how many seconds the first is due."""
    [(count, age)] = _asked(_WAITING, organization_id, open=_OPEN)
    return int(count), age


def reasons_of_today(organization_id: UUID | None) -> list[Share]:
    """Return why messages of today's broadcasts failed, the most frequent reason first; of many, a part."""
    rows = _asked(
        _REASONS_OF_TODAY,
        organization_id,
        since=midnight(),
        failing=_FAILING,
        failures=_FAILURES,
        reasons=_REASONS,
    )
    own = dict(Message.ErrorCode.choices)
    address = reverse("admin:messaging_message_changelist")
    shares = []
    for code, status, reason, count in rows:
        asked = {"reason": code} if code else {"status__exact": status}
        shares.append(
            Share(
                name="failed",
                text=_reason(str(own.get(code, code)), reason)
                if code
                else str(Message.Status(status).label),
                count=count,
                address=f"{address}?{urlencode(asked | {'accepted': 'today'})}",
            )
        )
    return shares


def _reason(code: str, reason: str) -> str:
    return f"{code}: {reason}" if reason and reason != code else code


def providers(*, tells_why: bool) -> list[Held]:
    """Return how each credential in use is doing. Why a carrier refuses us is the platform's own affair."""
    names = [provider.name for provider in registry.configured()]
    states, now = ProviderState.objects.in_bulk(names), timezone.now()
    held = []
    for name in names:
        state = states.get(name)
        until = state.open_until if state is not None else None
        held.append(
            Held(
                name=name,
                short=short_provider(name),
                state=state_label(state),
                because=state.because if state is not None and tells_why else "",
                until=until if until is not None and until > now else None,
            )
        )
    return held


def running_out() -> list[RunningOut]:
    """Return whose credits end first at the pace of the last week, of all organizations; one query."""
    rows = _asked(
        _RUNNING_OUT,
        None,
        days=PACE_DAYS,
        since=midnight(days_ago=PACE_DAYS - 1),
        most=MOST,
        shown=_SHOWN,
    )
    return [RunningOut(pk, name, number(left), number(days)) for pk, name, left, days in rows]


def _asked(statement: str, organization_id: UUID | None, **given: Any) -> list[tuple[Any, ...]]:
    of = "" if organization_id is None else "AND organization_id = %(organization_id)s"
    with connection.cursor() as cursor:
        cursor.execute(statement.format(of=of), {**given, "organization_id": organization_id})
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows

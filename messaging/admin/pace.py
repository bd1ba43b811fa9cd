"""How fast a broadcast goes: its course over time from a bounded sample, its rate from kept counters."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final
from uuid import UUID

from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from messaging.admin.labels import number
from messaging.models import Broadcast

SAMPLE: Final = 5_000
"""Messages that the course of a broadcast is read from, however many it has."""

_PLACES: Final = 250  # in the order of the messages, at which the sample is taken
STEPS: Final = 60  # of the picture, from left to right
_ROWS: Final = 12  # of the table that says the same
_LATE: Final = (
    0.98  # the share of deliveries that the picture reaches to: some reports come days later
)

# Pairs are compared, and not the key alone: ordered by the key PostgreSQL walks through the messages of all
# other broadcasts, which took two seconds among a million.
_ENDS: Final = """
(SELECT broadcast_id, id FROM messaging_message
  WHERE (broadcast_id, id) >= (%(broadcast_id)s, %(least)s) ORDER BY broadcast_id, id LIMIT 1)
UNION ALL
(SELECT broadcast_id, id FROM messaging_message
  WHERE (broadcast_id, id) <= (%(broadcast_id)s, %(most)s) ORDER BY broadcast_id DESC, id DESC LIMIT 1)
"""

# Keys are in the order in which messages are handed over, so places spread over the keys are spread over
# the broadcast's time. Each place is one look into messaging_message_broadcast. Where accepting stood
# still for a moment several places find the same messages: each counts once.
_SAMPLED: Final = """
SELECT sent_at, delivered_at FROM (
  SELECT DISTINCT m.* FROM unnest(%(places)s::uuid[]) AS place(id)
  CROSS JOIN LATERAL (
    SELECT broadcast_id, id, sent_at, delivered_at FROM messaging_message
    WHERE (broadcast_id, id) >= (%(broadcast_id)s, place.id)
    ORDER BY broadcast_id, id LIMIT %(each)s
  ) m
) sampled WHERE broadcast_id = %(broadcast_id)s
"""

_LEAST, _MOST = UUID(int=0), UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class Moment:
    """How many messages were taken by a provider, and how many delivered, until a moment."""

    at: datetime
    taken: int
    delivered: int

    @property
    def taken_in_words(self) -> str:
        return number(self.taken)

    @property
    def delivered_in_words(self) -> str:
        return number(self.delivered)


@dataclass(frozen=True)
class Course:
    """What was taken and delivered over time, ready to be drawn."""

    total: int
    moments: Sequence[Moment]
    is_sample: bool

    @property
    def begins(self) -> datetime:
        return self.moments[0].at

    @property
    def ends(self) -> datetime:
        return self.moments[-1].at

    @property
    def rows(self) -> Sequence[Moment]:
        """Some of the moments, the last among them, for the table."""
        every = max(1, (len(self.moments) - 1) // _ROWS)
        return self.moments[::-1][::every][::-1]

    @property
    def taken_path(self) -> str:
        return self._area(moment.taken for moment in self.moments)

    @property
    def delivered_path(self) -> str:
        return self._area(moment.delivered for moment in self.moments)

    @property
    def total_in_words(self) -> str:
        return number(self.total)

    @cached_property
    def is_longer_than_a_day(self) -> bool:
        return self.ends - self.begins > timedelta(hours=20)

    def _area(self, counts: Iterable[int]) -> str:
        """Return the area under a curve as an SVG path, 1000 wide and 300 high."""
        width = 1000 / max(len(self.moments) - 1, 1)
        points = [
            f"{step * width:.1f},{300 - 300 * count / self.total:.1f}"
            for step, count in enumerate(counts)
        ]
        return f"M0,300 L{' L'.join(points)} L1000,300 Z"


def course(broadcast: Broadcast) -> Course | None:
    """Return the course of a broadcast so far; None while no provider has taken anything.

    Of at most `SAMPLE` messages every one is read; of more a sample spread over the broadcast, brought up
    to the kept counters. Two queries by index, a few thousand rows, whatever the size.
    """
    rows, is_sample = _sample(broadcast)
    taken = sorted(sent for sent, _delivered in rows if sent is not None)
    delivered = sorted(at for _sent, at in rows if at is not None)
    if not taken:
        return None
    begins = min(taken[0], broadcast.started_at or taken[0])
    ends = taken[-1]
    if delivered:
        ends = max(ends, delivered[int((len(delivered) - 1) * _LATE)])
    if broadcast.status == Broadcast.Status.RUNNING:
        ends = max(ends, timezone.now())
    ends = max(ends, begins + timedelta(seconds=1))
    all_taken = broadcast.sent + broadcast.delivered + broadcast.undelivered
    length = ends - begins
    times = [begins + length * position / STEPS for position in range(STEPS)]
    moments = [
        Moment(
            at=at,
            taken=_scaled(taken, at, all_taken),
            delivered=_scaled(delivered, at, broadcast.delivered),
        )
        for at in (*times, ends)
    ]
    return Course(total=broadcast.messages_total, moments=moments, is_sample=is_sample)


def _sample(broadcast: Broadcast) -> tuple[list[tuple[datetime | None, datetime | None]], bool]:
    is_sample = broadcast.messages_total > SAMPLE
    with connection.cursor() as cursor:
        places = _places(cursor, broadcast) if is_sample else [_LEAST]
        cursor.execute(
            _SAMPLED,
            {
                "places": places,
                "broadcast_id": broadcast.pk,
                "each": SAMPLE // len(places),
            },
        )
        return cursor.fetchall(), is_sample


def _places(cursor: CursorWrapper, broadcast: Broadcast) -> list[UUID]:
    """Return keys spread evenly from the broadcast's first message to its last."""
    cursor.execute(_ENDS, {"broadcast_id": broadcast.pk, "least": _LEAST, "most": _MOST})
    keys = [key.int for found, key in cursor.fetchall() if found == broadcast.pk]
    if not keys:  # its messages are kept no longer
        return [_LEAST]
    width = (keys[-1] - keys[0]) // _PLACES
    return [UUID(int=keys[0] + width * place) for place in range(_PLACES)]


def _scaled(times: Sequence[datetime], until: datetime, count: int) -> int:
    """Return how many of `count` had happened by then, where `times` is a sample of when they did."""
    return round(count * bisect_right(times, until) / len(times)) if times else 0


# --- the rate -------------------------------------------------------------------------------------
_POINT: Final = re.compile(r"(\d{1,13})-(\d{1,9})")
_LONGEST: Final = 8  # points of a trail: at one every 2 seconds, the rate of the last 16


@dataclass(frozen=True, slots=True)
class Pace:
    """Messages a second, and the seconds until nothing waits; None where that cannot be told."""

    rate: float | None
    seconds_left: int | None

    @property
    def rate_in_words(self) -> str:
        rate = self.rate or 0.0
        return number(round(rate)) if rate >= 10 else f"{rate:.1f}"


@dataclass(frozen=True, slots=True)
class Trail:
    """What one watching page saw of a broadcast last, as it travels in the page's own address.

    No rate is kept anywhere: the page brings along what it saw some seconds ago.
    """

    points: tuple[
        tuple[int, int], ...
    ] = ()  # (milliseconds of the epoch, messages that no longer wait)

    @classmethod
    def of(cls, written: str) -> Trail:
        """Return the trail that an address carries; what cannot be read is none."""
        points = tuple((int(at), int(done)) for at, done in _POINT.findall(written[:400]))
        return cls(points[-_LONGEST:])

    def __str__(self) -> str:
        return ".".join(f"{at}-{done}" for at, done in self.points)

    def followed_by(self, broadcast: Broadcast, now: datetime) -> Trail:
        """Return the trail with what is seen now; empty where nothing is handed over."""
        if broadcast.status != Broadcast.Status.RUNNING:
            return Trail()
        point = (int(now.timestamp() * 1000), broadcast.messages_total - broadcast.waiting)
        return Trail((*self.points, point)[-_LONGEST:])

    def pace(self, broadcast: Broadcast, now: datetime) -> Pace:
        """Return the pace of the last seconds, or on the first look the one since the start."""
        if broadcast.status != Broadcast.Status.RUNNING or broadcast.started_at is None:
            return Pace(None, None)
        done = broadcast.messages_total - broadcast.waiting
        begun, done_then = self.points[0] if self.points else (0, 0)
        seconds = now.timestamp() - begun / 1000
        if not self.points or seconds < 1 or done < done_then:
            seconds, done_then = (now - broadcast.started_at).total_seconds(), 0
        rate = (done - done_then) / seconds if seconds > 0 else 0.0
        return Pace(rate, max(1, round(broadcast.waiting / rate)) if rate > 0 else None)

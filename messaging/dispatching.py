"""The sweep: frees what a drain left behind, wakes what is due, and delivers when the broker is away."""

import logging
from collections.abc import Callable
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import connection

from messaging import delivery, journeys, locks, reports, tasks
from messaging.failpoints import failpoint
from messaging.journeys import Charge, Journey, Status
from messaging.models import MessageEvent
from messaging.tasks import BrokerAway
from messaging.timings import TIMINGS

log = logging.getLogger(__name__)

PART: Final = "dispatcher"
_LOCK: Final = 7_267_534  # any number nobody else locks: one dispatcher sweeps at a time

BITE: Final = 10_000  # messages of one broadcast that a sweep frees at a time

_LATE_LEASE: Final = "status = 'SENDING' AND lease_until < statement_timestamp()"
_LATE_RETRY: Final = "status = 'QUEUED' AND expires_at < statement_timestamp()"
_LATE_ANSWER: Final = """status = 'UNKNOWN' AND charge = 'RESERVED'
  AND unknown_since < statement_timestamp() - %(released)s * interval '1 second'"""

_LEFT_BEHIND: Final = "SELECT DISTINCT broadcast_id FROM ({}) left_behind ORDER BY 1".format(
    " UNION ALL ".join(
        f"(SELECT broadcast_id FROM messaging_message WHERE {late} LIMIT {BITE})"
        for late in (_LATE_LEASE, _LATE_RETRY, _LATE_ANSWER)
    )
)


def _of_a_bite(late: str) -> str:
    return f"""WHERE m.id IN (
  SELECT id FROM messaging_message WHERE broadcast_id = %(broadcast_id)s AND {late} LIMIT {BITE})"""


_PUT_BACK: Final = f"""
UPDATE messaging_message m SET status = 'QUEUED', lease_token = NULL, lease_until = NULL
{_of_a_bite(f"{_LATE_LEASE} AND submit_started_at IS NULL")}"""

# The token stays: should the drain still live, its late result can land.
_GIVE_UP: Final = f"""
UPDATE messaging_message m SET status = 'UNKNOWN', unknown_since = now(), lease_until = NULL,
  updated_at = clock_timestamp()
{_of_a_bite(f"{_LATE_LEASE} AND submit_started_at IS NOT NULL")}"""

_NOTE_GIVEN_UP: Final = """
INSERT INTO messaging_messageevent (message_id, kind, detail)
SELECT id, %s, 'no result by the end of the lease' FROM messaging_message
WHERE broadcast_id = %s AND status = 'UNKNOWN' AND charge = 'RESERVED' AND unknown_since = now()
"""

# What was said of them meanwhile waited for their lease to end.
_LOOK_AT_REPORTS: Final = """
UPDATE messaging_deliveryreport r SET due_at = clock_timestamp() FROM messaging_message m
WHERE r.applied_at IS NULL AND m.id = r.message_id AND m.broadcast_id = %s
  AND m.status = 'UNKNOWN' AND m.charge = 'RESERVED' AND m.unknown_since = now()
"""

_EXPIRE: Final = f"""
UPDATE messaging_message m SET status = 'FAILED', charge = 'RELEASED', error_code = 'expired',
  error_message = 'no provider took it in time', updated_at = clock_timestamp()
{_of_a_bite(_LATE_RETRY)}"""

_RELEASE_UNKNOWN: Final = f"""
UPDATE messaging_message m SET charge = 'RELEASED', error_code = 'undetermined', lease_token = NULL,
  updated_at = clock_timestamp()
{_of_a_bite(_LATE_ANSWER)}"""

# Broadcasts with due messages that were not woken for a while; the longest forgotten first.
_DUE: Final = """
SELECT b.id, b.queued FROM messaging_broadcast b
WHERE b.status = 'RUNNING'
  AND coalesce(b.woken_at, b.created_at) <= statement_timestamp() - %s * interval '1 second'
  AND EXISTS (SELECT FROM messaging_message m WHERE m.broadcast_id = b.id AND m.status = 'QUEUED'
    AND m.next_attempt_at <= statement_timestamp()
    AND (m.expires_at IS NULL OR m.expires_at > statement_timestamp()))
ORDER BY b.woken_at NULLS FIRST, b.id
"""

_BEAT: Final = """
INSERT INTO messaging_heartbeat (part, beat_at) VALUES (%s, clock_timestamp())
ON CONFLICT (part) DO UPDATE SET beat_at = excluded.beat_at
"""


class Dispatcher:
    """What one dispatcher process remembers between two sweeps: whether the broker was away."""

    def __init__(self) -> None:
        self.broker_is_away = False

    def sweep(self) -> bool:
        """Look once after everything that was left behind; return whether to sweep again at once.

        Repeating it is harmless, and a second dispatcher finds the lock taken and does nothing. While
        the broker is away it hands messages over itself, one lane of one broadcast a sweep, by the same
        verb as the workers.

        Raises: DatabaseError when PostgreSQL is away. What else goes wrong is logged, step by step, and
        then no heartbeat is written: /readyz says that the dispatcher is late.
        """
        with locks.held(_LOCK) as is_ours:
            if not is_ours:
                return False
            steps = [_free_left_behind, reports.apply, self._wake_due]
            # Each for itself: what one step cannot do today must not keep the others from their work.
            done = [_done(step) for step in steps]
            if None not in done:
                _beat()
            return any(done)

    def _wake_due(self) -> bool:
        """Wake what nobody woke; return whether messages were handed over here instead."""
        if not settings.SENDING:
            return False
        with connection.cursor() as cursor:
            # Without a broker nobody else wakes anything: all that is due is ours.
            cursor.execute(_DUE, [0 if self.broker_is_away else TIMINGS.wake_again])
            due = cursor.fetchall()
        for broadcast_id, queued in due:
            try:
                tasks.wake(broadcast_id, messages=queued)
            except BrokerAway:
                self.broker_is_away = True
                _note_woken(
                    broadcast_id
                )  # the next sweep takes another, also where this one's lane is held
                return delivery.drain(queue_id=broadcast_id, lane=0)
            _note_woken(broadcast_id)
            self.broker_is_away = False
        return False


def _done(step: Callable[[], bool]) -> bool | None:
    """Do one step and return whether it left work; None where it broke off, which is logged.

    Raises: what a database that is away raises: no other step could work.
    """
    try:
        return step()
    except Exception:
        if not connection.is_usable():
            raise
        log.exception("sweep_step_broken_off", extra={"step": step.__name__})
        return None


def _note_woken(broadcast_id: UUID) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE messaging_broadcast SET woken_at = clock_timestamp() WHERE id = %s",
            [broadcast_id],
        )


def _beat() -> None:
    with connection.cursor() as cursor:
        cursor.execute(_BEAT, [PART])


def is_late() -> bool:
    """Return whether no dispatcher has swept for 30 seconds."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM messaging_heartbeat WHERE part = %s"
            " AND beat_at > clock_timestamp() - %s * interval '1 second')",
            [PART, TIMINGS.dispatcher_late],
        )
        return not cursor.fetchone()[0]


def _free_left_behind() -> bool:
    """Free one bite of each broadcast that has messages left behind; return whether there are more."""
    with connection.cursor() as cursor:
        cursor.execute(_LEFT_BEHIND, {"released": TIMINGS.unknown_released})
        left_behind = [row[0] for row in cursor.fetchall()]
    is_more_left = False
    for broadcast_id in left_behind:
        try:
            # Whoever holds it moves its messages at this moment: the next sweep comes in two seconds.
            with journeys.of_broadcast(broadcast_id, waits=False) as journey:
                if journey is not None:
                    is_more_left |= _free(journey)
        except Exception:
            if not connection.is_usable():
                raise
            log.exception("left_behind_not_freed", extra={"broadcast": str(broadcast_id)})
    return is_more_left


def _free(journey: Journey) -> bool:
    put_back = journey.move(_PUT_BACK, {}, to=Status.QUEUED)
    failpoint("sweep.mid", journey.broadcast_id)
    given_up = journey.move(_GIVE_UP, {}, to=Status.UNKNOWN)
    if given_up:
        journey.cursor.execute(_NOTE_GIVEN_UP, [MessageEvent.Kind.UNKNOWN, journey.broadcast_id])
        journey.cursor.execute(_LOOK_AT_REPORTS, [journey.broadcast_id])
    expired = journey.move(_EXPIRE, {}, to=Status.FAILED, charge=Charge.RELEASED)
    undetermined = journey.move(
        _RELEASE_UNKNOWN,
        {"released": TIMINGS.unknown_released},
        to=Status.UNKNOWN,
        charge=Charge.RELEASED,
    )
    if put_back:
        # Woken at once, not after the usual pause.
        journey.cursor.execute(
            "UPDATE messaging_broadcast SET woken_at = NULL WHERE id = %s", [journey.broadcast_id]
        )
    log.warning(
        "left_behind_freed",
        extra={
            "broadcast": str(journey.broadcast_id),
            "put_back": put_back,
            "unknown": given_up,
            "expired": expired,
            "undetermined": undetermined,
        },
    )
    return BITE in {put_back, given_up, expired, undetermined}

"""The sweep: frees what a drain left behind, wakes what is due, and delivers when no worker does."""

import logging
import time
from collections.abc import Callable
from functools import partial
from math import inf
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import connection
from psycopg.errors import UndefinedTable

from accounts import admin_sessions, seals
from contacts.imports import jobs, working
from messaging import (
    delivery,
    heartbeats,
    idempotency,
    journeys,
    locks,
    lookups,
    reports,
    retention,
    run_control,
    scheduling,
    tasks,
)
from messaging.failpoints import failpoint
from messaging.journeys import Charge, Journey, Status
from messaging.models import Broadcast, MessageEvent
from messaging.tasks import BrokerAway
from messaging.timings import TIMINGS

log = logging.getLogger(__name__)


# No worker's lane: whoever died or was stopped at one of those may still hold its lock.
OWN_LANE: Final = -1

_FORGET_AGAIN: Final = 300  # seconds between two looks for what is too old

BITE: Final = 10_000  # messages of one broadcast that a sweep frees at a time

_LATE_LEASE: Final = "status = 'SENDING' AND lease_until < statement_timestamp()"
_LATE_RETRY: Final = "status = 'QUEUED' AND expires_at < statement_timestamp()"
_LATE_ANSWER: Final = """status = 'UNKNOWN' AND charge = 'RESERVED'
  AND unknown_since < statement_timestamp() - %(released)s * interval '1 second'"""

_LEFT_BEHIND: Final = "SELECT DISTINCT broadcast_id FROM ({}) left_behind ORDER BY 1".format(
    " UNION ALL ".join(
        f"(SELECT broadcast_id FROM messaging_message WHERE {late}"
        f" AND broadcast_id <> ALL(%(left_alone)s::uuid[]) LIMIT {BITE})"
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
  look_up_at = clock_timestamp() + %(look_up_first)s * interval '1 second',
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
SELECT b.id,
  extract(epoch FROM statement_timestamp() - coalesce(b.woken_at, b.created_at))::float8
FROM messaging_broadcast b JOIN accounts_organization o ON o.id = b.organization_id
WHERE b.status = 'RUNNING' AND o.status = 'ACTIVE'
  AND coalesce(b.woken_at, b.created_at) <= statement_timestamp() - %s * interval '1 second'
  AND EXISTS (SELECT FROM messaging_message m WHERE m.broadcast_id = b.id AND m.status = 'QUEUED'
    AND m.next_attempt_at <= statement_timestamp()
    AND (m.expires_at IS NULL OR m.expires_at > statement_timestamp()))
ORDER BY b.woken_at NULLS FIRST, b.id
"""

# Whoever holds it moves its messages at this moment: nobody waits for that.
_NOTE_WOKEN: Final = """
UPDATE messaging_broadcast SET woken_at = clock_timestamp() WHERE id =
  (SELECT id FROM messaging_broadcast WHERE id = %s FOR NO KEY UPDATE SKIP LOCKED)
"""

_LONGEST_DRAIN: Final = TIMINGS.drain + TIMINGS.connect + TIMINGS.read


class Dispatcher:
    """What one dispatcher process remembers between two sweeps: how the broker and the workers are."""

    def __init__(self) -> None:
        self.broker_is_away = False
        self.untaken: set[str] = set()  # queues that no worker took anything from for a while
        self._done_at: dict[str, float] = {}  # what is not done at every sweep
        self._began = time.monotonic()

    def sweep(self) -> bool:
        """Look once after everything that was left behind; return whether to sweep again at once.

        Repeating it is harmless, and a second dispatcher finds the lock taken and does nothing. While
        the broker is away, or no worker takes anything from it, it hands messages over itself, one lane
        of one broadcast a sweep, by the same verb as the workers.

        Raises: DatabaseError when PostgreSQL is away. What else goes wrong is logged, step by step, and
        then no heartbeat is written: /readyz says that the dispatcher is late.
        """
        with locks.held(locks.SWEEPING) as is_ours:
            if not is_ours:
                return False
            steps = [
                run_control.cancel_suspended,
                run_control.cancel_bite,
                self._start_due,
                _free_left_behind,
                reports.apply,
                self._wake_due,
                self._wake_look_ups,
                self._wake_imports,
                self._wake_audit,
                seals.seal,
                self._send_canaries,
                self._forget_old,
                retention.blank,
            ]
            # Each for itself: what one step cannot do today must not keep the others from their work.
            done = [_done(step) for step in steps]
            if None not in done:
                heartbeats.beat(heartbeats.DISPATCHER)
            return any(done)

    def _send_canaries(self) -> bool:
        """Put a task that does nothing into each queue that nothing was taken from for a while."""
        for queue in settings.QUEUES:
            age = heartbeats.age(heartbeats.worker(queue))
            # A dispatcher that has just begun knows nothing yet: workers may be starting as it is.
            if age >= TIMINGS.canary <= time.monotonic() - self._began:
                if queue not in self.untaken:
                    log.error("no_worker_takes_anything", extra={"queue": queue})
                self.untaken.add(queue)
            elif queue in self.untaken:
                log.warning("workers_are_back", extra={"queue": queue})
                self.untaken.remove(queue)
            # One that is still under way is enough, unless the broker lost it.
            is_under_way = self._since(f"canary {queue}") < min(age, TIMINGS.canary)
            if age >= heartbeats.WORKER_BEAT and not is_under_way:
                self._publish(f"canary {queue}", partial(tasks.send_canary, queue))
        return False

    def _start_due(self) -> bool:
        """Start the broadcasts whose moment has come and wake them; return whether there may be more."""
        started = scheduling.start_due()
        for broadcast in started:
            # Without broker or workers `_wake_due` finds it a moment later, and hands it over here.
            if "delivery" not in self.untaken:
                wake = partial(
                    tasks.wake, broadcast.pk, messages=broadcast.messages_total, first=True
                )
                self._publish("wake", wake)
        return len(started) == scheduling.BITE

    def _wake_due(self) -> bool:
        """Wake what nobody woke; return whether messages were handed over here instead."""
        if not settings.SENDING:
            return False
        has_workers = "delivery" not in self.untaken
        with connection.cursor() as cursor:
            # Without broker or workers nobody else wakes anything: all that is due is ours.
            is_alone = self.broker_is_away or not has_workers
            cursor.execute(_DUE, [0 if is_alone else TIMINGS.wake_again])
            due = cursor.fetchall()
        waiting = tasks.waiting("delivery") if due and has_workers else 0
        room = settings.DELIVERY_LANES * _running() - waiting if waiting else inf
        for broadcast_id, unwoken in due:
            # While the queue holds a wake-up for every lane, this one's only waits for its turn: another
            # would live as long as the broadcast. By the end of all that waits it was lost after all.
            if room <= 0 and unwoken < waiting * _LONGEST_DRAIN:
                continue
            # Noted first: the next sweep takes another one, however this one ends.
            if not _note_woken(broadcast_id):
                continue
            room -= settings.DELIVERY_LANES
            # Every lane: whoever was stopped may hold one. But wake-ups that nobody takes would pile up.
            if not (has_workers and self._publish("wake", partial(tasks.wake, broadcast_id))):
                return delivery.drain(queue_id=broadcast_id, lane=OWN_LANE)
        return False

    def _wake_look_ups(self) -> bool:
        """Have carriers asked about unknown messages; without a worker one is asked here."""
        for provider in lookups.due():
            what = f"look up {provider}"
            if self._since(what) < TIMINGS.wake_again:
                continue
            wake = partial(tasks.wake_look_up, provider)
            if "chores" in self.untaken or not self._publish(what, wake):
                return lookups.look_up(provider=provider)
        return False

    def _wake_imports(self) -> bool:
        """Have imports of contacts gone on with that nobody works on; without a worker one is, here."""
        for job_id in jobs.left_behind(seconds=TIMINGS.wake_again):
            wake = partial(tasks.wake_import, job_id)
            if "chores" in self.untaken or not self._publish("import", wake):
                return working.work(job_id=job_id)
        return False

    def _wake_audit(self) -> bool:
        """Have the invariants asked now and then, by a worker: it takes longer than a sweep may."""
        if min(self._since("audit"), heartbeats.age(heartbeats.AUDIT)) >= TIMINGS.audit:
            self._publish("audit", tasks.wake_audit)
        return False

    def _forget_old(self) -> bool:
        """Forget a bite of keys and sessions that nobody can use any more; return whether more are left."""
        if self._since("forgetting") < _FORGET_AGAIN:
            return False
        is_more_left = any([idempotency.forget_old(), admin_sessions.forget_ended()])
        if not is_more_left:
            self._note("forgetting")
        return is_more_left

    def _publish(self, what: str, publish: Callable[[], None]) -> bool:
        """Publish, note when, and return whether the broker was there to take it."""
        try:
            publish()
        except BrokerAway:
            self.broker_is_away = True
            return False
        self.broker_is_away = False
        self._note(what)
        return True

    def _since(self, what: str) -> float:
        return time.monotonic() - self._done_at.get(what, -inf)

    def _note(self, what: str) -> None:
        self._done_at[what] = time.monotonic()


def _done(step: Callable[[], bool]) -> bool | None:
    """Do one step and return whether it left work; None where it broke off, which is logged.

    Raises: what a database that is away, or has no tables yet, raises: no other step could work.
    """
    try:
        return step()
    except Exception as error:
        if not connection.is_usable() or isinstance(error.__cause__, UndefinedTable):
            raise
        log.exception("sweep_step_broken_off", extra={"step": step.__name__})
        return None


def _running() -> int:
    return Broadcast.objects.filter(status=Broadcast.Status.RUNNING, queued__gt=0).count()


def _note_woken(broadcast_id: UUID) -> bool:
    """Note that a broadcast is woken now; return False where somebody holds it."""
    with connection.cursor() as cursor:
        cursor.execute(_NOTE_WOKEN, [broadcast_id])
        return bool(cursor.rowcount)


def is_late() -> bool:
    """Return whether no dispatcher has swept for 30 seconds."""
    return heartbeats.age(heartbeats.DISPATCHER) >= TIMINGS.dispatcher_late


def are_workers_late() -> bool:
    """Return whether nothing was taken from some queue for a minute, not even a canary."""
    return any(
        heartbeats.age(heartbeats.worker(queue)) >= TIMINGS.canary for queue in settings.QUEUES
    )


def _free_left_behind() -> bool:
    """Free one bite of each broadcast that has messages left behind; return whether there are more."""
    # What could not be freed now must not hide what is left behind of others.
    left_alone: list[UUID] = []
    is_more_left = False
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                _LEFT_BEHIND, {"released": TIMINGS.unknown_released, "left_alone": left_alone}
            )
            left_behind = [row[0] for row in cursor.fetchall()]
        known = len(left_alone)
        for broadcast_id in left_behind:
            try:
                # Whoever holds it moves its messages at this moment: the next sweep comes in two seconds.
                with journeys.of_broadcast(broadcast_id, waits=False) as journey:
                    if journey is None:
                        left_alone.append(broadcast_id)
                    else:
                        is_more_left |= _free(journey)
            except Exception:
                if not connection.is_usable():
                    raise
                log.exception("left_behind_not_freed", extra={"broadcast": str(broadcast_id)})
                left_alone.append(broadcast_id)
        if len(left_alone) == known:
            return is_more_left


def _free(journey: Journey) -> bool:
    put_back = journey.move(_PUT_BACK, {}, to=Status.QUEUED)
    failpoint("sweep.mid", journey.broadcast_id)
    given_up = journey.move(_GIVE_UP, {"look_up_first": TIMINGS.look_up_first}, to=Status.UNKNOWN)
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
            "UPDATE messaging_broadcast SET"
            " woken_at = clock_timestamp() - %s * interval '1 second' WHERE id = %s",
            [TIMINGS.wake_again, journey.broadcast_id],
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

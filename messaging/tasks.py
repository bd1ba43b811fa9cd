"""Celery's part: call one verb, publish what follows. Losing or doubling any of these costs nothing."""

import logging
import threading
import time
from contextlib import suppress
from functools import cached_property
from math import inf
from typing import Any
from uuid import UUID, uuid4

from celery import Task, current_app, shared_task, signals
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from kombu import Connection
from kombu.exceptions import LimitExceeded
from kombu.exceptions import OperationalError as BrokerError
from kombu.pools import producers

from contacts.tasks import work_import
from messaging import delivery, heartbeats, invariants, locks, lookups, reports
from messaging.timings import TIMINGS

log = logging.getLogger(__name__)


class BrokerAway(Exception):
    """The wake-up did not reach the broker. Nothing is lost: the dispatcher finds the rows."""


class _Broker:
    """The way to the broker, and this process's memory of one that failed.

    A dead broker must not cost each caller its patience: after a failure one caller every five seconds
    tries, for about a second, and all others are told at once.
    """

    PATIENCE = 1.2  # seconds for the connection, and for each answer; a worker's own wait is longer

    def __init__(self) -> None:
        self.has_failed = False
        self.rests_until = 0.0

    def publish(
        self,
        task: Task[Any, Any],
        *args: object,
        task_id: str | None = None,
        queue: str | None = None,
    ) -> None:
        options: dict[str, Any] = {"queue": queue} if queue else {}
        now = time.monotonic()
        if now < self.rests_until:
            raise BrokerAway
        if self.has_failed:
            self.rests_until = now + TIMINGS.publish_pause  # this caller tries for all
        try:
            with producers[self._connection].acquire(
                block=True, timeout=TIMINGS.publish
            ) as producer:
                task.apply_async(
                    args=args,
                    task_id=task_id or str(uuid4()),
                    producer=producer,
                    retry=False,
                    **options,
                )
        except (BrokerError, LimitExceeded, OSError) as error:
            self._note_failure(error)
            raise BrokerAway from error
        self.has_failed, self.rests_until = False, 0.0

    def waiting(self, queue: str) -> int:
        """Return how many tasks wait in a queue; 0 where nobody can tell."""
        if time.monotonic() < self.rests_until:
            return 0
        link: Any = self._connection.clone()
        try:
            with link:
                declared = link.default_channel.queue_declare(queue, passive=True)
                return int(declared.message_count)
        except link.channel_errors:  # there is no such queue: with Redis an empty one is none
            return 0
        except (BrokerError, OSError, *link.connection_errors) as error:
            self._note_failure(error)
            return 0

    def _note_failure(self, error: Exception) -> None:
        self.has_failed = True
        self.rests_until = time.monotonic() + TIMINGS.publish_pause
        log.warning("broker_away", extra={"error": type(error).__name__})

    @cached_property
    def _connection(self) -> Connection:
        # Made at the first use, which is after every fork.
        impatient = {
            "socket_timeout": self.PATIENCE,
            "socket_connect_timeout": self.PATIENCE,
            "connect_retries_timeout": 0.1,
            "max_retries": 0,
        }
        return current_app.connection(transport_options=impatient)


_broker = _Broker()


@shared_task(name="messaging.drain")
def drain(queue_id: str, lane: int) -> None:
    """Work one lane of a broadcast for about two seconds; while rows are left, wake the next."""
    if delivery.drain(queue_id=UUID(queue_id), lane=lane):
        # At the tail of the queue, so that broadcasts share the workers fairly. Should the broker be
        # away, the dispatcher wakes the lane.
        _try_publishing(drain, queue_id, lane)


@shared_task(name="messaging.apply_reports")
def apply_reports() -> None:
    """Apply what waits in the report inbox for about two seconds; while more does, wake the next.

    Of several at once one works and all others end, else a burst of reports would take every worker.
    """
    with locks.held(locks.APPLYING_REPORTS) as is_ours:
        is_more_left = is_ours and reports.apply()
    if is_more_left:  # published once the lock is free for whoever takes it
        _try_publishing(apply_reports)


@shared_task(name="messaging.look_up")
def look_up(provider: str) -> None:
    """Ask a provider about its unknown messages for about two seconds; while more are due, go on."""
    if lookups.look_up(provider=provider):
        _try_publishing(look_up, provider)


@shared_task(name="messaging.check_invariants")
def check_invariants() -> None:
    """Ask what must be true of messages and credits; a sign of life is given only where it is."""
    with locks.held(locks.AUDITING) as is_ours:
        if is_ours and not invariants.watch():
            heartbeats.beat(heartbeats.AUDIT)


@shared_task(name="messaging.canary")
def canary() -> None:
    """Do nothing: that a worker took it is shown by `_show_life`, as with every other task."""


def wake(queue_id: UUID, *, messages: int | None = None, first: bool = False) -> None:
    """Wake every lane of a broadcast, or one where `messages` says that one claim takes all of it.

    The first wake-up's task id is the queue id itself.

    Raises: BrokerAway within about three seconds.
    """
    # A second lane is of use only where one claim does not take everything.
    lanes = 1 if messages is not None and messages <= delivery.CLAIM else settings.DELIVERY_LANES
    for lane in range(lanes):
        task_id = str(queue_id) if first and lane == 0 else None
        _broker.publish(drain, str(queue_id), lane, task_id=task_id)


def waiting(queue: str) -> int:
    """Return how many tasks wait in a queue; 0 where nobody can tell, within about three seconds."""
    return _broker.waiting(queue)


def try_waking(queue_id: UUID, *, messages: int, first: bool = False) -> None:
    """Wake the workers if the broker is there; otherwise leave it to the dispatcher."""
    try:
        wake(queue_id, messages=messages, first=first)
    except BrokerAway:
        log.warning("wake_left_to_dispatcher", extra={"broadcast": str(queue_id)})


def wake_look_up(provider: str) -> None:
    """Have a provider asked about its unknown messages soon. Raises: BrokerAway."""
    _broker.publish(look_up, provider)


def wake_audit() -> None:
    """Have the invariants asked soon. Raises: BrokerAway."""
    _broker.publish(check_invariants)


def wake_import(job_id: UUID) -> None:
    """Have an import of contacts worked on soon. Raises: BrokerAway."""
    _broker.publish(work_import, str(job_id))


def send_canary(queue: str) -> None:
    """Put a task that does nothing into the queue. Raises: BrokerAway."""
    _broker.publish(canary, queue=queue)


def wake_reports() -> None:
    """Have the inbox applied within half a second; called for each report that came in."""
    _reports_wake.request()


def _try_publishing(task: Task[Any, Any], *args: object) -> None:
    # Left to the dispatcher otherwise. Whoever finds the broker away says so, once for all.
    with suppress(BrokerAway):
        _broker.publish(task, *args)


class _ReportsWake:
    """One wake-up of the inbox a process and interval, for a thousand reports as for one.

    The first is published at once; all that come within the interval have one at its end.
    """

    INTERVAL = 0.5  # seconds

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rests_until = -inf
        self._is_asked_again = False

    def request(self) -> None:
        with self._lock:
            wait = self._rests_until - time.monotonic()
            if wait > 0:
                if not self._is_asked_again:
                    self._is_asked_again = True
                    later = threading.Timer(wait, self._publish)
                    later.daemon = True  # a process that ends leaves it to the dispatcher
                    later.start()
                return
            self._rests_until = time.monotonic() + self.INTERVAL
        _try_publishing(apply_reports)

    def _publish(self) -> None:
        with self._lock:
            self._is_asked_again = False
            self._rests_until = time.monotonic() + self.INTERVAL
        _try_publishing(apply_reports)


_reports_wake = _ReportsWake()


class _Life:
    """The signs of life of this process: a few a minute for each queue, however much it takes."""

    def __init__(self) -> None:
        self.last: dict[str, float] = {}

    def show(self, queue: str) -> None:
        now = time.monotonic()
        if now - self.last.get(queue, -inf) < heartbeats.WORKER_BEAT:
            return
        self.last[queue] = now
        try:
            heartbeats.beat(heartbeats.worker(queue))
        except (DatabaseError, InterfaceError) as error:
            log.warning("sign_of_life_not_written", extra={"error": type(error).__name__})
            connection.close()


_life = _Life()


@signals.task_prerun.connect
def _show_life(task: Task[Any, Any], **_: object) -> None:
    """Show that a worker takes what comes through the task's queue."""
    if queue := (task.request.delivery_info or {}).get("routing_key"):
        _life.show(str(queue))

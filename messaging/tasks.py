"""Celery's part: call one verb, publish what follows. Losing or doubling any of these costs nothing."""

import logging
import time
from typing import Any
from uuid import UUID, uuid4

from celery import Task, shared_task
from django.conf import settings
from kombu.exceptions import OperationalError as BrokerError

from messaging import delivery, reports
from messaging.timings import TIMINGS

log = logging.getLogger(__name__)


class BrokerAway(Exception):
    """The wake-up did not reach the broker. Nothing is lost: the dispatcher finds the rows."""


class _Broker:
    """This process's memory of a broker that failed: a dead one costs one caller, not each."""

    rests_until = 0.0

    def publish(self, task: Task[Any, Any], *args: object, task_id: str | None = None) -> None:
        if time.monotonic() < self.rests_until:
            raise BrokerAway
        try:
            task.apply_async(args=args, task_id=task_id or str(uuid4()))
        except (BrokerError, OSError) as error:
            self.rests_until = time.monotonic() + TIMINGS.publish_pause
            log.warning("broker_away", extra={"error": type(error).__name__})
            raise BrokerAway from error


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
    """Apply what waits in the report inbox for about two seconds; while more does, wake the next."""
    if reports.apply():
        _try_publishing(apply_reports)


def wake(queue_id: UUID, *, messages: int, first: bool = False) -> None:
    """Wake the workers for a broadcast; the first wake-up's task id is the queue id itself.

    Raises: BrokerAway within about three seconds.
    """
    # A second lane is of use only where one claim does not take everything.
    lanes = settings.DELIVERY_LANES if messages > delivery.CLAIM else 1
    for lane in range(lanes):
        task_id = str(queue_id) if first and lane == 0 else None
        _broker.publish(drain, str(queue_id), lane, task_id=task_id)


def try_waking(queue_id: UUID, *, messages: int, first: bool = False) -> None:
    """Wake the workers if the broker is there; otherwise leave it to the dispatcher."""
    try:
        wake(queue_id, messages=messages, first=first)
    except BrokerAway:
        log.warning("wake_left_to_dispatcher", extra={"broadcast": str(queue_id)})


def wake_reports() -> None:
    """Have the inbox applied soon; called for each report that came in, published now and then."""
    _reports_wake.request()


def _try_publishing(task: Task[Any, Any], *args: object) -> None:
    try:
        _broker.publish(task, *args)
    except BrokerAway:
        log.warning("wake_left_to_dispatcher", extra={"task": task.name})


class _ReportsWake:
    """At most one wake-up of the inbox a process and interval: a thousand reports need one task."""

    INTERVAL = 0.5  # seconds
    last = 0.0

    def request(self) -> None:
        if time.monotonic() - self.last >= self.INTERVAL:
            self.last = time.monotonic()
            _try_publishing(apply_reports)


_reports_wake = _ReportsWake()

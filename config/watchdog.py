"""The end of a worker that is alive and of no use: it takes nothing of what waits, or cannot end."""

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Sequence
from typing import Any, NoReturn

from celery import Celery, signals
from celery.bootsteps import RUN  # type: ignore[attr-defined]  # the stubs leave it out
from celery.worker import state
from kombu.exceptions import OperationalError as BrokerError
from redis.exceptions import RedisError

from messaging.timings import TIMINGS

log = logging.getLogger(__name__)


class Watchdog:
    """Watches one worker from a thread of its own, since what it consumes with may hang for good.

    A worker is deaf when it received nothing for a minute, runs nothing, and twice in a row something
    waited in its queues, seen over a connection made for that. One that began to stop two minutes ago
    and is still there hangs in that. Whoever started it starts it again.
    """

    def __init__(self, consumer: Any) -> None:
        self.app: Celery = consumer.app
        self.pool = consumer.pool
        self.worker = consumer.controller
        self.stopping_since = float("inf")
        self.queues: Sequence[str] = tuple(self.app.amqp.queues.consume_from)
        self.received_at = time.monotonic()

    def start(self) -> None:
        """Watch until the process ends."""
        for received in (signals.task_received, signals.task_unknown, signals.task_rejected):
            received.connect(self._note, weak=False)
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def _note(self, **_: Any) -> None:
        self.received_at = time.monotonic()

    def _watch(self) -> None:
        while True:
            time.sleep(TIMINGS.canary / 6)
            if self._hangs_in_its_end():
                log.error("worker_does_not_end")
                self._end()
            if self._is_left_out():
                # A healthy one takes it meanwhile: it may have been asleep as a whole.
                time.sleep(TIMINGS.sweep)
                if self._is_left_out():
                    log.error("worker_is_deaf", extra={"queues": self.queues})
                    self._end()

    def _hangs_in_its_end(self) -> bool:
        if self.worker.blueprint.state == RUN:
            return False
        self.stopping_since = min(self.stopping_since, time.monotonic())
        return time.monotonic() - self.stopping_since >= 2 * TIMINGS.canary

    def _is_left_out(self) -> bool:
        is_idle = time.monotonic() - self.received_at >= TIMINGS.canary
        return is_idle and not state.active_requests and self._has_waiting()

    def _has_waiting(self) -> bool:
        """Return whether a task waits in a queue of ours; not, where the broker is away."""
        try:
            with self.app.connection_for_read() as fresh:
                fresh.ensure_connection(max_retries=1)
                return any(self._waiting(fresh, queue) for queue in self.queues)
        except (OSError, BrokerError, RedisError):
            # Once it is back, each worker has its time to find that out.
            self.received_at = time.monotonic()
            return False

    def _waiting(self, fresh: Any, queue: str) -> bool:
        try:
            with fresh.channel() as channel:
                return bool(channel.queue_declare(queue, passive=True).message_count)
        except fresh.channel_errors:  # there is no such queue: with Redis an empty one is none
            return False

    def _end(self) -> NoReturn:
        logging.shutdown()
        # In order would mean to wait for what hangs. What still runs, its lease answers for.
        for child in self.pool.info["processes"]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        os._exit(1)

"""The dispatcher process: sweeps every two seconds, with or without a broker."""

import logging
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand
from django.db import DatabaseError, InterfaceError, connection

from messaging.dispatching import Dispatcher
from messaging.timings import TIMINGS

log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = "Free what was left behind, wake what is due, deliver while the broker is away."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Sweep until SIGTERM or SIGINT; a database that is away is waited for."""
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        dispatcher = Dispatcher()
        log.info("dispatcher_started")
        while not stop.is_set():
            try:
                goes_on = dispatcher.sweep()
            except (DatabaseError, InterfaceError) as error:
                log.warning("database_away", extra={"error": type(error).__name__})
                connection.close()
                goes_on = False
            if not goes_on:
                stop.wait(TIMINGS.sweep)
        log.info("dispatcher_stopped")

"""The dispatcher process: sweeps every two seconds, with or without a broker."""

import logging
import os
import signal
import threading
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand
from django.db import DatabaseError, InterfaceError, connection
from psycopg.errors import UndefinedColumn, UndefinedTable

from messaging.dispatching import Dispatcher
from messaging.timings import TIMINGS

log = logging.getLogger(__name__)


class Watch:
    """Ends this process once nothing was shown to it for so many seconds: whoever started it starts it again.

    The one connection of a dispatcher may hang for good, as behind a proxy that lost the way; a supervisor
    sees a process that lives. What it held comes back by its lease.
    """

    def __init__(self, *, seconds: float, every: float) -> None:
        self.seconds = seconds
        self.every = every
        self.waited = 0.0

    def start(self) -> None:
        """Watch until the process ends."""
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def show(self) -> None:
        """Show that the loop goes round."""
        self.waited = 0.0

    def _run(self) -> None:
        # By its own steps and not by a clock: who was asleep as a whole has missed nothing.
        while self.waited < self.seconds:
            time.sleep(self.every)
            self.waited += self.every
        log.error("dispatcher_is_stuck")
        logging.shutdown()
        os._exit(1)


class Command(BaseCommand):
    help = "Free what was left behind, wake what is due, deliver while no worker does."

    def handle(self, *_args: Any, **_options: Any) -> None:
        """Sweep until SIGTERM or SIGINT; a database that is away is waited for."""
        self.stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.stop.set())
        connection.close()
        # A drain of its own is a worker's: as long. Of two the last counts.
        connection.settings_dict["OPTIONS"]["options"] += (
            f" -c statement_timeout={settings.WORKER_STATEMENT_TIMEOUT}"
        )
        log.info("dispatcher_started")
        if not settings.SENDING:
            log.warning("sending_is_off", extra={"because": "PREGON_SENDING is off"})
        self._sweep_until_stopped()
        log.info("dispatcher_stopped")

    def _sweep_until_stopped(self) -> None:
        dispatcher = Dispatcher()
        watch = Watch(seconds=TIMINGS.dispatcher_stuck, every=TIMINGS.sweep)
        watch.start()
        told = ""  # each reason once, not every two seconds
        while not self.stop.is_set():
            goes_on = False
            try:
                goes_on = dispatcher.sweep()
            except (DatabaseError, InterfaceError) as error:
                connection.close()
                because = _because(error)
                if because != told:
                    log.warning("database_away", extra={"because": because})
                told = because
            else:
                if told:
                    log.warning("database_is_back")
                told = ""
            watch.show()
            if not goes_on:
                self.stop.wait(TIMINGS.sweep)


def _because(error: Exception) -> str:
    """Return libpq's or the server's own words, which name host, role and database, and no password."""
    if isinstance(error.__cause__, UndefinedTable | UndefinedColumn):
        return "a migration is missing: run manage.py migrate"
    return str(error).partition("\n")[0]

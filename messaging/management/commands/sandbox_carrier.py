"""`manage.py sandbox_carrier`: a carrier on this machine, for development and tests."""

import argparse
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from messaging.sandbox import server


class Command(BaseCommand):
    help = "Run a carrier on this machine that speaks the providers' HTTP and sends signed reports."
    requires_system_checks: list[str] = []  # it needs neither the database nor anything of the site

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--port", type=int, required=True, help="0 takes a free one")
        parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
        parser.add_argument(
            "--reports",
            choices=["final", "all", "none"],
            default="final",
            help="which delivery reports to send: the last one, also queued and sent, or none",
        )
        parser.add_argument(
            "--delay",
            type=float,
            default=0.5,
            metavar="SECONDS",
            help="from taking a message to its last report",
        )
        parser.add_argument(
            "--state",
            type=Path,
            metavar="FILE",
            help="keeps the reports that are owed when it stops, and sends them after the next start",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        if not 0 <= options["delay"] <= 86_400:
            raise CommandError("--delay must be between 0 and 86400 seconds.")
        state: Path | None = options["state"]
        if state and not state.parent.is_dir():
            raise CommandError(f"--state: there is no folder {state.parent}; create it first.")
        try:
            server.run(
                host=options["host"],
                port=options["port"],
                reports=options["reports"],
                delay=options["delay"],
                state=state,
                ready=self._say_where,
            )
        except server.NotThisMachine as error:
            raise CommandError(f"--host: {error}") from error
        except (OSError, OverflowError) as error:
            raise CommandError(
                f"Nothing can listen on {options['host']} port {options['port']} ({error}); "
                "choose another --port."
            ) from error

    def _say_where(self, address: str) -> None:
        self.stdout.write(f"The sandbox carrier listens on {address}")
        self.stdout.flush()

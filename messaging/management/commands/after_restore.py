"""`manage.py after_restore`: what a restored backup takes for unsent is not sent again."""

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from messaging import restoring, scheduling


class Command(BaseCommand):
    help = (
        "After a backup was restored, and before anything else is started: make every message that may "
        "have been sent since the backup UNKNOWN, and pause what is scheduled for later, so that nothing "
        "sends it again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--yes", action="store_true", help="do it; without it nothing is changed"
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        if settings.SENDING:
            raise CommandError(
                "Sending is on. Stop every part, set PREGON_SENDING=off for all of them, and run this again."
            )
        waiting = restoring.waiting()
        for broadcast in waiting:
            self.stdout.write(f"{broadcast.queue_id}: {broadcast.messages} messages")
        messages = sum(broadcast.messages for broadcast in waiting)
        if not messages:
            self.stdout.write("Nothing waits: no message can be sent again.")
        elif options["yes"]:
            moved = sum(restoring.doubt(broadcast) for broadcast in waiting)
            self.stdout.write(
                f"{moved} messages are UNKNOWN now. Reports and look-ups settle what was sent; the rest is"
                " yours to look up at the carrier, and its credits go back after 72 hours."
            )
        else:
            self.stdout.write(
                f"{messages} messages of {len(waiting)} broadcasts may have been sent after the backup was"
                " made. Nothing was changed: add --yes to make them UNKNOWN."
            )
        self._hold_scheduled(is_meant=options["yes"])

    def _hold_scheduled(self, *, is_meant: bool) -> None:
        if is_meant and (held := scheduling.hold_all()):
            self.stdout.write(
                f"{held} scheduled broadcasts are PAUSED now: somebody may have canceled or sent them since"
                " the backup. Resume those that are still to be sent: they wait for their moment again."
            )
        elif scheduled := scheduling.to_come().count():
            self.stdout.write(
                f"{scheduled} broadcasts are scheduled for later, and may have been canceled or sent since"
                " the backup. Add --yes to pause them."
            )

"""Proving that the audit trail is as it was written."""

from argparse import ArgumentParser, ArgumentTypeError
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError

from accounts.seal_checks import Check
from accounts.seals import Head

_TOLD: Final = 100  # faults that are printed one by one
_TOLD_EVERY: Final = 100_000  # seals between two words about how far it is; whole pages of them


def _head(written: str) -> Head:
    try:
        return Head.read(written)
    except ValueError as error:
        raise ArgumentTypeError(
            "write it as it was printed: the number, a colon, and 64 letters and digits"
        ) from error


class Command(BaseCommand):
    help = (
        "Hold every audit entry against its seal: names each that was changed, taken away or put in, and"
        " exits 1. Prints the end of the chain, to be noted outside the database."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--noted",
            type=_head,
            metavar="END",
            help="an end of the chain that was printed or logged earlier: it must still be in it",
        )

    def handle(self, *_args: Any, **options: Any) -> None:
        check, faults = Check(noted=options["noted"], tell=self._tell), 0
        for finding in check.findings():
            faults += 1
            if faults <= _TOLD:
                self.stdout.write(finding)
        if check.head is not None:
            self.stdout.write(f"{check.sealed} entries are sealed. The chain ends at {check.head}")
        if faults > _TOLD:
            self.stdout.write(f"and {faults - _TOLD} more")
        if faults:
            raise CommandError(
                f"{faults} faults in the audit trail. Keep a copy of the database as it is, and find out who"
                " could write to it: docs/reliability.md says what each of them means."
            )
        self.stdout.write("Every entry is as it was written.")

    def _tell(self, read: int, of: int) -> None:
        """Say how far it is, beside what it finds; a short chain is not worth a word."""
        if read % _TOLD_EVERY == 0:
            self.stderr.write(f"{read:,} of {of:,} seals read")

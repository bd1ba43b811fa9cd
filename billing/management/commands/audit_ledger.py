"""Proving that every balance is the sum of its movements."""

from argparse import ArgumentParser
from typing import Any
from uuid import UUID

from django.core.management.base import BaseCommand, CommandError

from accounts.models import Organization
from billing import invariants


class Command(BaseCommand):
    help = (
        "Prove that accounts, ledger, broadcasts and messages agree: what moved last, and with --all "
        "everything. "
        "Exits 1 and names the rows at fault."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--all",
            action="store_true",
            help="everything there ever was, which takes its time",
        )
        parser.add_argument(
            "--organization", type=UUID, metavar="ID", help="only this organization, by its id"
        )

    def handle(self, *args: Any, **options: Any) -> None:  # noqa: ARG002 - Django's signature
        organization_id = options["organization"]
        if organization_id and not Organization.objects.filter(pk=organization_id).exists():
            raise CommandError(
                f"No organization has the id {organization_id}. Copy it from the admin."
            )

        findings = invariants.check(organization_id=organization_id, thorough=options["all"])

        for finding in findings:
            verdict = f"{len(finding.rows)} AT FAULT" if finding.rows else "OK"
            self.stdout.write(f"{finding.invariant.name}: {verdict} ({finding.invariant.says})")
            for row in finding.rows:
                self.stdout.write(f"  {row}")
        broken = sum(1 for finding in findings if finding.rows)
        if broken:
            raise CommandError(
                f"{broken} of {len(findings)} invariants are broken. Stop sending with"
                " PREGON_SENDING=off, keep a copy of the database, and compare the rows above with"
                " the ledger."
            )
        self.stdout.write(f"All {len(findings)} invariants hold.")

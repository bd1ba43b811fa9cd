"""`manage.py broadcast`: sends a text as a member does, after a preview and a question."""

import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from accounts import roles, terms
from accounts.models import Member, Organization
from billing import caps, ledger
from contacts import phone_numbers, tags
from contacts.models import Tag
from messaging import broadcasts, confirmations, estimates, idempotency, orders
from messaging.audiences import Audience, Everyone, Tagged
from messaging.estimates import Estimate
from messaging.models import Broadcast, Kind, Skip

Status = Broadcast.Status

# What a shell script learns; 1 is Django's own for a refusal, 2 for arguments that cannot be read.
NOT_CONFIRMED: Final = 3
ENDED_BADLY: Final = 4  # with --wait: some messages failed, or it was canceled
STANDS_STILL: Final = (
    5  # with --wait: it waits for its moment, for an approval, or until it is resumed
)

_REFUSALS: Final = (
    roles.RoleMissing,
    terms.TermsNotAccepted,
    orders.TextNotAllowed,
    orders.TextTooLong,
    orders.KindNotCarried,
    orders.CountryNotAllowed,
    orders.MomentNotAllowed,
    orders.AudienceTooLarge,
    orders.ContactsKeepChanging,
    tags.TagNotFound,
    confirmations.ConfirmationVoid,
    idempotency.KeyStillRunning,
    ledger.InsufficientCredits,
    caps.SpendingCapReached,
    broadcasts.AcceptanceUnknown,
)

_LOOK: Final = 0.5  # seconds between two looks at how far it is
_WIDTH: Final = 40  # of the progress bar


class Command(BaseCommand):
    help = (
        "Send one SMS to all contacts of a member's organization, or to those with a tag: shows what it "
        "comes to, asks, and sends. The member must be allowed to send and have accepted the terms."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--as", required=True, metavar="EMAIL", dest="email", help="the member who sends"
        )
        parser.add_argument("--text", required=True, help="the message")
        parser.add_argument(
            "--type",
            default=Kind.SMS.value,
            type=str.upper,
            choices=Kind.values,
            help="SMS (the default), OTP or FLASH",
        )
        parser.add_argument(
            "--country", default="", help="how national numbers are read: CO, or 57"
        )
        parser.add_argument(
            "--tag",
            action="append",
            default=[],
            metavar="NAME",
            help="only contacts with this tag; given again, those with any of the tags",
        )
        parser.add_argument(
            "--at", metavar="MOMENT", help="when, as 2030-01-31T09:00 or with an offset as -05:00"
        )
        parser.add_argument("--dry-run", action="store_true", help="show what it comes to, and end")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--wait", action="store_true", help="stay until all is handed over")

    def handle(self, *_args: Any, **options: Any) -> None:
        member = _member(options["email"])
        audience = _audience(member.organization, options["tag"])
        asked: dict[str, Any] = {
            "member": member,
            "audience": audience,
            "text": options["text"],
            "kind": options["type"],
            "country": _country(options["country"]),
            "scheduled_at": _moment(options["at"]),
        }
        try:
            seen = estimates.estimate(**asked)
            self._show(seen, member, options["tag"], asked["scheduled_at"])
            if options["dry_run"]:
                return
            if seen.balance_after < 0:
                raise ledger.InsufficientCredits(required=seen.credits, available=seen.balance)
            if not options["yes"]:
                self._ask(seen)
            broadcast = broadcasts.send(**asked, confirm_token=seen.confirm_token)
        except _REFUSALS as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Accepted: {broadcast.pk} is {_standing(broadcast)}.")
        if options["wait"]:
            self._wait(broadcast)

    def _show(
        self, seen: Estimate, member: Member, names: list[str], scheduled_at: datetime | None
    ) -> None:
        characters = " ".join(seen.non_gsm_characters)
        each = f"{seen.segments_per_message} segment{'s' * (seen.segments_per_message > 1)} each"
        lines = {
            "From": f"{member.organization}, by {member.email}",
            "To": f"{seen.recipients:,} of {seen.audience:,} contacts"
            + (f" with {', '.join(names)}" if names else ""),
            "Skipped": ", ".join(
                f"{number:,} {Skip.Reason(reason).label.lower()}"
                for reason, number in seen.skipped.items()
            ),
            "Text": f"{seen.encoding}, {each}, {seen.segments:,} in all"
            + (f"; UCS-2 because of {characters}" if characters else ""),
            "Costs": f"{seen.credits:,} credits of {seen.balance:,}; {seen.balance_after:,} are left",
            "Countries": ", ".join(
                f"{share.country} {share.recipients:,}" for share in seen.by_country
            ),
            "As to": ", ".join(seen.sample_recipients),
            "Takes": f"about {seen.eta_seconds:,} s",
            "When": "at once" if scheduled_at is None else scheduled_at.isoformat(),
            "Waits": "for another member who approves it" if seen.needs_approval else "",
            "Lately": ", ".join(
                f"the same text to {sent.messages_total:,} on {sent.created_at:%Y-%m-%d %H:%M} UTC"
                for sent in seen.sent_lately
            ),
        }
        for name, line in lines.items():
            if line:
                self.stdout.write(f"{name + ':':<11}{line}")

    def _ask(self, seen: Estimate) -> None:
        """Return when somebody says yes."""
        if not sys.stdin.isatty():
            raise CommandError("There is nobody to ask. Add --yes to send without a question.")
        self.stdout.write(
            f"Send it to {seen.recipients:,} people for {seen.credits:,} credits? [yes/no] ",
            ending="",
        )
        self.stdout.flush()
        if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
            raise CommandError("Nothing was sent.", returncode=NOT_CONFIRMED)

    def _wait(self, broadcast: Broadcast) -> None:
        """Show how far it is until it has ended, or will not go on by itself."""
        shown = ""
        while True:
            bar = _bar(broadcast)
            if bar != shown and (shown or broadcast.status == Status.RUNNING):
                self.stdout.write(
                    f"\r{bar}" if self.stdout.isatty() else bar,
                    ending="" if self.stdout.isatty() else "\n",
                )
                self.stdout.flush()
                shown = bar
            if broadcast.status != Status.RUNNING:
                break
            time.sleep(_LOOK)
            broadcast.refresh_from_db()
        if shown and self.stdout.isatty():
            self.stdout.write("")
        ended = f"{broadcast.pk} is {_standing(broadcast)}: {_counts(broadcast)}."
        if broadcast.status == Status.COMPLETED:
            self.stdout.write(ended)
        else:
            is_over = broadcast.status in Broadcast.FINISHED_STATUSES
            raise CommandError(ended, returncode=ENDED_BADLY if is_over else STANDS_STILL)


def _member(email: str) -> Member:
    try:
        return Member.objects.get_by_natural_key(email)
    except Member.DoesNotExist as error:
        raise CommandError(f"No member has the address {email}.") from error


def _audience(organization: Organization | None, names: Iterable[str]) -> Audience:
    """Return everybody, or those with a tag of one of these names."""
    wanted = set(names)
    if not wanted:
        return Everyone()
    known = dict(Tag.objects.filter(organization=organization).values_list("name", "pk"))
    if missing := wanted - known.keys():
        raise CommandError(
            f"There is no tag {', '.join(sorted(missing))}. There are: {', '.join(sorted(known)) or 'none'}."
        )
    return Tagged([known[name] for name in wanted])


def _country(name: str) -> str:
    try:
        return phone_numbers.country_of(name) if name else ""
    except phone_numbers.UnsupportedCountry as error:
        raise CommandError(f"--country: {error}") from error


def _moment(text: str | None) -> datetime | None:
    """Return the moment; without an offset it is read in TIME_ZONE."""
    if text is None:
        return None
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise CommandError("--at: write a moment as 2030-01-31T09:00, or with an offset as -05:00.")
    return timezone.make_aware(moment) if timezone.is_naive(moment) else moment


def _standing(broadcast: Broadcast) -> str:
    if broadcast.status == Status.PAUSED:
        because = Broadcast.PausedBecause(broadcast.paused_because).label
        return f"PAUSED ({because.lower()})"
    return broadcast.status


def _bar(broadcast: Broadcast) -> str:
    done = int(broadcast.progress * _WIDTH)
    handed_over = broadcast.messages_total - broadcast.waiting
    return (
        f"[{'#' * done}{'.' * (_WIDTH - done)}] {broadcast.progress:4.0%}  "
        f"{handed_over:,} of {broadcast.messages_total:,} handed over"
    )


def _counts(broadcast: Broadcast) -> str:
    """Return what became of the messages, in the order of their life."""
    counts = {
        "waiting": broadcast.waiting,
        "sent": broadcast.sent,
        "delivered": broadcast.delivered,
        "undelivered": broadcast.undelivered,
        "failed": broadcast.failed,
        "unknown": broadcast.unknown,
        "canceled": broadcast.canceled,
    }
    return (
        ", ".join(f"{count:,} {name}" for name, count in counts.items() if count) or "no messages"
    )

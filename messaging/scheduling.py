"""Schedules: broadcasts that were accepted for a later moment, and their start."""

from datetime import datetime
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from accounts.models import Member, Organization
from messaging import orders, run_control
from messaging.models import Broadcast

Status = Broadcast.Status

BITE: Final = 100  # broadcasts that are started in one transaction


def reschedule(
    *, member: Member, broadcast: Broadcast, scheduled_at: datetime, address: str | None = None
) -> Broadcast:
    """Move a scheduled broadcast to another moment. Its audience, price and credits stay as accepted.

    Raises: RoleMissing, StateDoesNotAllow once it has started, MomentNotAllowed.
    """
    with transaction.atomic():
        held = run_control.hold(member=member, broadcast=broadcast)
        if held.status != Status.SCHEDULED:
            raise run_control.refusal(held, _("Only a scheduled one can be rescheduled."))
        orders.require_moment(scheduled_at)
        return run_control.change(
            held,
            "broadcast.rescheduled",
            member=member,
            address=address,
            details={"from": _written(held.scheduled_at), "to": _written(scheduled_at)},
            scheduled_at=scheduled_at,
        )


def start_due() -> list[Broadcast]:
    """Start one bite of the broadcasts whose moment has come and return them; the caller wakes workers.

    Each starts once, with its audit entry, at the first sweep after its moment by PostgreSQL's clock:
    about two seconds late in ordinary times. What became due while no dispatcher ran, or while sending
    was off, starts at once when that is over, the longest overdue first: late is better than never, and
    its organization, which alone knows whether it still makes sense, may cancel it meanwhile. New terms do
    not stop it, as it was accepted under the old ones; a suspended organization's is canceled instead.
    Whoever holds one at this moment, to reschedule or cancel it, goes first: the next sweep looks again.
    """
    if not settings.SENDING:
        return []
    with transaction.atomic():
        due = list(
            Broadcast.objects.select_for_update(no_key=True, skip_locked=True, of=["self"])
            .filter(
                status=Status.SCHEDULED,
                scheduled_at__lte=Now(),
                organization__status=Organization.Status.ACTIVE,
            )
            .order_by("scheduled_at", "id")[:BITE]
        )
        for broadcast in due:
            run_control.change(
                broadcast,
                "broadcast.started",
                member=None,
                details={"scheduled_at": _written(broadcast.scheduled_at)},
                status=Status.RUNNING,
                woken_at=Now(),  # a wake-up that got lost is made good after the usual pause
            )
    return due


def to_come() -> QuerySet[Broadcast]:
    """Return the broadcasts whose moment is still to come."""
    return Broadcast.objects.filter(status=Status.SCHEDULED, scheduled_at__gt=Now())


@transaction.atomic
def hold_all() -> int:
    """Pause every broadcast whose moment is still to come, and return how many that is.

    For a restored database: since the backup somebody may have canceled it, or moved it forward and sent
    it. A person who knows resumes it, and then it waits for its moment again.
    """
    held = list(to_come().select_for_update(no_key=True).order_by("id"))
    for broadcast in held:
        run_control.change(
            broadcast,
            "broadcast.paused",
            member=None,
            details={"because": "the database was restored from a backup"},
            status=Status.PAUSED,
            paused_because=Broadcast.PausedBecause.OPERATOR,
        )
    return len(held)


def _written(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None

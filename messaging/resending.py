"""Resending: what failed of a broadcast, or is of unknown outcome, once more as one of its own."""

from typing import Final

from django.db import IntegrityError
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import roles
from accounts.models import Member
from messaging import broadcasts, idempotency, orders
from messaging.audiences import Again
from messaging.idempotency import Once
from messaging.models import Broadcast
from messaging.run_control import StateDoesNotAllow

Resent, Status = Broadcast.Resent, Broadcast.Status

_RESENT_ONCE: Final = "messaging_broadcast_resent_once"


class NotAcknowledged(Exception):
    """The member was shown another number of messages that may arrive twice; nothing was written."""


def resend_failed(
    *, member: Member, broadcast: Broadcast, address: str | None = None, once: Once | None = None
) -> Broadcast:
    """Send what is FAILED or UNDELIVERED of a finished broadcast once more; return the new broadcast.

    Once a broadcast, and of two at the same moment one; what reached nobody, or was canceled or rejected,
    leaves that one time to another. It is a send as any other: who may, terms, price,
    opt-outs, caps and approval hold as for every send. The messages of the first stay as they are.

    Raises: StateDoesNotAllow, and all that `broadcasts.send` raises.
    """
    return _resend(member, broadcast, Resent.FAILED, address, once, None)


def resend_unknown(
    *,
    member: Member,
    broadcast: Broadcast,
    may_arrive_twice: int,
    address: str | None = None,
    once: Once | None = None,
) -> Broadcast:
    """Send what is of UNKNOWN outcome once more, by a person's decision; return the new broadcast.

    Each of these people may get the text twice: `may_arrive_twice` is the number of messages that the
    member was shown and confirmed. The old messages stay UNKNOWN until a report or a look-up settles
    them, also after this: a late DELIVERED is nothing wrong, and is charged as it was accepted. All else
    is as `resend_failed`.

    Raises: NotAcknowledged, StateDoesNotAllow, and all that `broadcasts.send` raises.
    """
    return _resend(member, broadcast, Resent.UNKNOWN, address, once, may_arrive_twice)


def audience_of(*, broadcast: Broadcast, resent: Broadcast.Resent) -> Again:
    """Return whom a resend is aimed at: for estimating what it comes to."""
    return Again(broadcast.pk, resent)


def earlier(*, broadcast: Broadcast, resent: Broadcast.Resent) -> Broadcast | None:
    """Return the broadcast by which this was resent; None where it still may be.

    One that reached nobody is none, and neither is one that was canceled or rejected, once its messages
    have followed: whom it wrote to until then is left out of the next.
    """
    return (
        broadcast.resent_by.filter(resent=resent)
        .exclude(status=Status.CANCELED, finished_at__isnull=False)
        .exclude(status=Status.COMPLETED, messages_total=0)
        .first()
    )


def obstacle(*, broadcast: Broadcast, resent: Broadcast.Resent) -> str:
    """Return why this cannot be resent, as the broadcast was read, in a sentence; "" where it can."""
    if broadcast.blanked_at is not None:
        return nothing_left()
    before = earlier(broadcast=broadcast, resent=resent)
    if before is not None and before.status == Status.CANCELED:
        return _("The broadcast that sent this once more is being canceled. Try again in a moment.")
    if before is not None:
        return _resent_before(resent)
    if broadcast.waiting:
        return _("Not all of this broadcast is handed over yet. Wait for its end, or cancel it.")
    if resent == Resent.FAILED and not (broadcast.failed or broadcast.undelivered):
        return _("Nothing of this broadcast failed: there is nothing to resend.")
    if resent == Resent.UNKNOWN and not broadcast.unknown:
        return _("Nothing of this broadcast is of unknown outcome: there is nothing to resend.")
    return ""


def nothing_left() -> str:
    """Return why what was blanked is not resent, in a sentence."""
    return _("Its numbers and its text were blanked: there is nothing left to resend.")


def _resend(
    member: Member,
    broadcast: Broadcast,
    resent: Broadcast.Resent,
    address: str | None,
    once: Once | None,
    may_arrive_twice: int | None,
) -> Broadcast:
    organization = orders.require_may_send(member)
    if broadcast.organization_id != organization.pk:
        raise roles.RoleMissing(_("This broadcast is another organization's."))
    # A finished broadcast stays finished, so no lock is needed for what is asked here.
    broadcast = Broadcast.objects.get(pk=broadcast.pk)
    reason = obstacle(broadcast=broadcast, resent=resent)
    # After that, since a twin may commit between the two: a repeat is answered, and not told that it was
    # resent before.
    if once is not None:
        idempotency.require_not_carried_out(organization_id=organization.pk, once=once)
    if reason:
        raise StateDoesNotAllow(reason)
    if may_arrive_twice not in (None, broadcast.unknown):
        raise NotAcknowledged(
            ngettext(
                "By now %(unknown)d message is of unknown outcome. Look at it again before you resend it.",
                "By now %(unknown)d messages are of unknown outcome. Look at them again before you resend"
                " them.",
                broadcast.unknown,
            )
            % {"unknown": broadcast.unknown}
        )
    try:
        return broadcasts.send(
            member=member,
            audience=audience_of(broadcast=broadcast, resent=resent),
            text=broadcast.text,
            kind=broadcast.kind,
            country=broadcast.country,
            address=address,
            once=once,
        )
    except IntegrityError as error:
        if _RESENT_ONCE not in str(error):
            raise
        raise StateDoesNotAllow(_resent_before(resent)) from error


def _resent_before(resent: Broadcast.Resent) -> str:
    return (
        _("What failed of this broadcast was resent before, and is resent once.")
        if resent == Resent.FAILED
        else _("What is unknown of this broadcast was resent before, and is resent once.")
    )

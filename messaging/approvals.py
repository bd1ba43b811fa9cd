"""Approvals: another member lets a large broadcast go, or does not."""

from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from accounts import roles, terms
from accounts.models import Member
from accounts.roles import Right
from messaging import run_control
from messaging.models import Approval, Broadcast

Decision = Approval.Decision


def approve(*, member: Member, broadcast: Broadcast, address: str | None = None) -> Broadcast:
    """Let a broadcast go that waits for approval: it runs, or waits for its moment.

    Of two members at once one decides. Whoever approves has accepted the current terms, as everybody
    who makes messages leave; the sender did when it was accepted, and is not asked again.

    Raises: RoleMissing, also for the sender; TermsNotAccepted; StateDoesNotAllow.
    """
    with transaction.atomic():
        held = _waiting(member, broadcast)
        terms.require_accepted(member)
        _decide(held, Decision.APPROVED, member)
        return run_control.go_on(held, "broadcast.approved", member=member, address=address)


def reject(*, member: Member, broadcast: Broadcast, address: str | None = None) -> Broadcast:
    """End a broadcast that waits for approval: nothing of it is ever handed over.

    Its messages follow in bites, and their credits with them. No terms are asked: whoever may decide
    can always say no. Of two members at once one decides.

    Raises: RoleMissing, also for the sender, who cancels instead; StateDoesNotAllow.
    """
    with transaction.atomic():
        held = _waiting(member, broadcast)
        _decide(held, Decision.REJECTED, member)
        return run_control.end(held, "broadcast.rejected", member=member, address=address)


def may_decide(*, member: Member, broadcast: Broadcast) -> bool:
    """Return whether this member may approve or reject this broadcast as it was read."""
    return (
        roles.may(member, Right.APPROVE_BROADCASTS)
        and member.organization_id == broadcast.organization_id
        and member.pk != broadcast.member_id
        and _waits(broadcast)
    )


def _waiting(member: Member, broadcast: Broadcast) -> Broadcast:
    """Return the broadcast that waits for this member's decision, locked until the transaction ends."""
    held = run_control.hold(member=member, broadcast=broadcast, right=Right.APPROVE_BROADCASTS)
    if held.member_id == member.pk:
        raise roles.RoleMissing(
            _("You sent this broadcast: another member approves or rejects it. You may cancel it.")
        )
    if not _waits(held):
        raise run_control.refusal(
            held, _("Only one that waits for approval can be approved or rejected.")
        )
    return held


def _waits(broadcast: Broadcast) -> bool:
    return (
        broadcast.status == Broadcast.Status.PAUSED
        and broadcast.paused_because == Broadcast.PausedBecause.APPROVAL
    )


def _decide(broadcast: Broadcast, decision: Approval.Decision, member: Member) -> None:
    Approval.objects.update_or_create(
        broadcast=broadcast,
        defaults={"decision": decision, "member": member, "decided_at": Now()},
    )

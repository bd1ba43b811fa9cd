"""What may be done to a broadcast on its page: who may, when, and what comes of it, in numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts import roles
from accounts.doors.organization import member_of
from accounts.models import Member
from accounts.roles import Right
from messaging import approvals, resending, run_control, scheduling
from messaging.admin.labels import number
from messaging.models import Broadcast

Status = Broadcast.Status
Resent = Broadcast.Resent
Because = Broadcast.PausedBecause


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """One thing that may be done to a broadcast."""

    name: str  # in its page's address
    button: Any
    question: Any
    done: Any  # said after it
    icon: str
    right: Right
    verb: Callable[..., Broadcast]
    consequences: Callable[[Broadcast], Iterator[str]]
    is_possible: Callable[[Broadcast], bool]
    is_dangerous: bool = False
    asks_for_moment: bool = False
    shows_facts: bool = False
    resent: str = ""  # which messages a resend takes
    asks_twice: bool = False

    def may(self, member: Member) -> bool:
        return roles.may(member, self.right)

    def address(self, broadcast: Broadcast) -> str:
        return reverse("admin:messaging_broadcast_control", args=[broadcast.pk, self.name])


@dataclass(frozen=True, slots=True)
class Offer:
    """A deed that is possible now, and the address of the page that asks before it is done."""

    deed: Deed
    address: str


def possible(request: HttpRequest, broadcast: Broadcast) -> list[Offer]:
    """Return what this member may do to the broadcast as it stands."""
    member = member_of(request)
    return [
        Offer(deed, deed.address(broadcast))
        for deed in DEEDS.values()
        if not obstacle(deed, member, broadcast)
    ]


def obstacle(deed: Deed, member: Member, broadcast: Broadcast) -> str:
    """Return why this member cannot do this now, as a sentence; "" where he can."""
    if not deed.may(member):
        return _("Your role does not include it. Ask an owner of your organization.")
    if not deed.is_possible(broadcast):
        return _("This broadcast is %(status)s: this cannot be done to it now.") % {
            "status": broadcast.get_status_display().lower()
        }
    if deed.right == Right.APPROVE_BROADCASTS and not approvals.may_decide(
        member=member, broadcast=broadcast
    ):
        return _(
            "You sent this broadcast: another member approves or rejects it. You may cancel it."
        )
    if deed.resent and broadcast.blanked_at is not None:
        return resending.nothing_left()
    if deed.resent and resending.earlier(broadcast=broadcast, resent=Broadcast.Resent(deed.resent)):
        return _("This was resent before, and is resent once.")
    return ""


# --- what comes of each ---------------------------------------------------------------------------
def _waiting(broadcast: Broadcast, text: str) -> str:
    return text % {"number": number(broadcast.queued)}


def _on_their_way(broadcast: Broadcast) -> Iterator[str]:
    if broadcast.sending:
        yield ngettext(
            "%(number)s message is being handed over at this moment, and ends as it ends.",
            "%(number)s messages are being handed over at this moment, and end as they end.",
            broadcast.sending,
        ) % {"number": number(broadcast.sending)}


def _pausing(broadcast: Broadcast) -> Iterator[str]:
    yield _waiting(
        broadcast,
        ngettext(
            "%(number)s message waits: it is not handed over until somebody resumes the broadcast.",
            "%(number)s messages wait: they are not handed over until somebody resumes the broadcast.",
            broadcast.queued,
        ),
    )
    yield from _on_their_way(broadcast)
    yield _("%(credits)s credits stay reserved.") % {"credits": number(broadcast.credits_reserved)}


def _resuming(broadcast: Broadcast) -> Iterator[str]:
    yield _("Why it stands still: %(because)s.") % {
        "because": broadcast.get_paused_because_display()
    }
    yield _waiting(
        broadcast,
        ngettext("%(number)s message goes out.", "%(number)s messages go out.", broadcast.queued),
    )
    if broadcast.paused_because in {Because.ERROR_RATE, Because.NO_PROGRESS}:
        yield _("Pregón stopped it by itself. Look at the reasons of the failures first.")


def _canceling(broadcast: Broadcast) -> Iterator[str]:
    yield _waiting(
        broadcast,
        ngettext(
            "%(number)s message is never sent.",
            "%(number)s messages are never sent.",
            broadcast.queued,
        ),
    )
    yield from _on_their_way(broadcast)
    gone = broadcast.messages_total - broadcast.waiting
    if gone:
        yield ngettext(
            "%(number)s message left already, or ended. Nothing calls it back.",
            "%(number)s messages left already, or ended. Nothing calls them back.",
            gone,
        ) % {"number": number(gone)}
    yield _("Up to %(credits)s credits come back.") % {
        "credits": number(broadcast.credits_reserved)
    }
    yield _("A canceled broadcast cannot be resumed.")


def _rescheduling(broadcast: Broadcast) -> Iterator[str]:
    yield _waiting(
        broadcast,
        ngettext(
            "%(number)s message goes out at the new moment.",
            "%(number)s messages go out at the new moment.",
            broadcast.queued,
        ),
    )
    yield _("Recipients, price and reserved credits stay as they were accepted.")


def _approving(broadcast: Broadcast) -> Iterator[str]:
    if broadcast.scheduled_at:
        yield _waiting(
            broadcast,
            ngettext(
                "%(number)s message goes out at its moment, or at once where that has passed.",
                "%(number)s messages go out at their moment, or at once where that has passed.",
                broadcast.queued,
            ),
        )
    else:
        yield _waiting(
            broadcast,
            ngettext(
                "%(number)s message goes out at once.",
                "%(number)s messages go out at once.",
                broadcast.queued,
            ),
        )
    yield _("%(credits)s credits are spent as messages are taken.") % {
        "credits": number(broadcast.credits_reserved)
    }


def _rejecting(broadcast: Broadcast) -> Iterator[str]:
    yield _waiting(
        broadcast,
        ngettext(
            "%(number)s message is never sent.",
            "%(number)s messages are never sent.",
            broadcast.queued,
        ),
    )
    yield _("%(credits)s credits come back.") % {"credits": number(broadcast.credits_reserved)}
    yield _("A rejected broadcast is canceled: it cannot be approved later.")


def _resending_failed(broadcast: Broadcast) -> Iterator[str]:
    failed = broadcast.failed + broadcast.undelivered
    yield ngettext(
        "%(number)s message that failed is sent once more, as a broadcast of its own.",
        "%(number)s messages that failed are sent once more, as a broadcast of their own.",
        failed,
    ) % {"number": number(failed)}
    yield _("Who opted out or was blocked since is skipped. It is priced and charged anew.")
    yield _("What failed of a broadcast is resent once.")


def _resending_unknown(broadcast: Broadcast) -> Iterator[str]:
    yield ngettext(
        "%(number)s person may get the same text twice.",
        "%(number)s people may get the same text twice.",
        broadcast.unknown,
    ) % {"number": number(broadcast.unknown)}
    yield _(
        "Nobody knows whether these messages arrived. A delivery report or a look-up may still tell:"
        " waiting costs nothing."
    )
    yield _("It is priced and charged anew, and what is unknown is resent once.")


def _is_waiting_for_approval(broadcast: Broadcast) -> bool:
    return broadcast.status == Status.PAUSED and broadcast.paused_because == Because.APPROVAL


def _has_ended(broadcast: Broadcast) -> bool:
    return broadcast.status in Broadcast.FINISHED_STATUSES and not broadcast.waiting


_ALL: Final = (
    Deed(
        name="approve",
        button=gettext_lazy("Approve"),
        question=gettext_lazy("Approve this broadcast?"),
        done=gettext_lazy("Approved."),
        icon="check",
        right=Right.APPROVE_BROADCASTS,
        verb=approvals.approve,
        consequences=_approving,
        is_possible=_is_waiting_for_approval,
        shows_facts=True,
    ),
    Deed(
        name="reject",
        button=gettext_lazy("Reject"),
        question=gettext_lazy("Reject this broadcast?"),
        done=gettext_lazy("Rejected. Nothing of it is sent."),
        icon="close",
        right=Right.APPROVE_BROADCASTS,
        verb=approvals.reject,
        consequences=_rejecting,
        is_possible=_is_waiting_for_approval,
        is_dangerous=True,
        shows_facts=True,
    ),
    Deed(
        name="pause",
        button=gettext_lazy("Pause"),
        question=gettext_lazy("Pause this broadcast?"),
        done=gettext_lazy("Paused."),
        icon="pause",
        right=Right.CONTROL_BROADCASTS,
        verb=run_control.pause,
        consequences=_pausing,
        is_possible=lambda broadcast: broadcast.status == Status.RUNNING,
    ),
    Deed(
        name="resume",
        button=gettext_lazy("Resume"),
        question=gettext_lazy("Resume this broadcast?"),
        done=gettext_lazy("Resumed."),
        icon="play_arrow",
        right=Right.CONTROL_BROADCASTS,
        verb=run_control.resume,
        consequences=_resuming,
        is_possible=lambda broadcast: (
            broadcast.status == Status.PAUSED and broadcast.paused_because != Because.APPROVAL
        ),
    ),
    Deed(
        name="reschedule",
        button=gettext_lazy("Reschedule"),
        question=gettext_lazy("Move this broadcast to another moment?"),
        done=gettext_lazy("Moved to the new moment."),
        icon="schedule",
        right=Right.CONTROL_BROADCASTS,
        verb=scheduling.reschedule,
        consequences=_rescheduling,
        is_possible=lambda broadcast: broadcast.status == Status.SCHEDULED,
        asks_for_moment=True,
    ),
    Deed(
        name="cancel",
        button=gettext_lazy("Cancel it for good"),
        question=gettext_lazy("Cancel this broadcast for good?"),
        done=gettext_lazy("Canceled. What waited is not sent."),
        icon="block",
        right=Right.CONTROL_BROADCASTS,
        verb=run_control.cancel,
        consequences=_canceling,
        is_possible=lambda broadcast: broadcast.status in run_control.OPEN_STATUSES,
        is_dangerous=True,
    ),
    Deed(
        name="resend-failed",
        button=gettext_lazy("Resend failed"),
        question=gettext_lazy("Send what failed once more?"),
        done=gettext_lazy("Accepted as a new broadcast: this is its page."),
        icon="replay",
        right=Right.SEND,
        verb=resending.resend_failed,
        consequences=_resending_failed,
        is_possible=lambda broadcast: (
            _has_ended(broadcast) and broadcast.failed + broadcast.undelivered > 0
        ),
        resent=Resent.FAILED,
        shows_facts=True,
    ),
    Deed(
        name="resend-unknown",
        button=gettext_lazy("Resend unknown"),
        question=gettext_lazy("Send what is unknown once more?"),
        done=gettext_lazy("Accepted as a new broadcast: this is its page."),
        icon="replay",
        right=Right.SEND,
        verb=resending.resend_unknown,
        consequences=_resending_unknown,
        is_possible=lambda broadcast: _has_ended(broadcast) and broadcast.unknown > 0,
        resent=Resent.UNKNOWN,
        shows_facts=True,
        is_dangerous=True,
        asks_twice=True,
    ),
)

DEEDS: Final[Mapping[str, Deed]] = {deed.name: deed for deed in _ALL}
"""By the name in the address, in the order of the buttons."""

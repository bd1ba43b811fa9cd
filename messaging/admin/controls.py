"""Run control in the admin: a page that shows what comes of a deed, and the deed by POST."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from accounts import roles, terms
from accounts.doors.addresses import address_of
from accounts.doors.organization import member_of
from billing import caps, ledger
from messaging import broadcasts, confirmations, estimates, idempotency, orders, resending
from messaging.admin import following
from messaging.admin.composing import REFUSALS, page, told_of
from messaging.admin.deeds import DEEDS, Deed, obstacle
from messaging.admin.labels import number
from messaging.admin.moments import MomentForm
from messaging.admin.previewing import Facts
from messaging.models import Broadcast
from messaging.run_control import StateDoesNotAllow

_REFUSED: Final[tuple[type[Exception], ...]] = (
    *REFUSALS,
    StateDoesNotAllow,
    roles.RoleMissing,
    terms.TermsNotAccepted,
    ledger.InsufficientCredits,
    caps.SpendingCapReached,
    confirmations.ConfirmationVoid,
    idempotency.SentJustNow,
    idempotency.KeyStillRunning,
    broadcasts.AcceptanceUnknown,
)


@following.of_own
def control(request: HttpRequest, broadcast: Broadcast, *, deed: str) -> HttpResponse:
    """Show what comes of a deed; by POST do it. What asks twice shows its second question first."""
    asked = DEEDS.get(deed)
    if asked is None:
        raise Http404
    member = member_of(request)
    if not asked.may(member):
        raise PermissionDenied
    in_the_way = obstacle(asked, member, broadcast)
    if in_the_way:
        return _not_now(request, asked, broadcast, in_the_way)
    if request.method != "POST":
        return _asking(request, asked, broadcast)
    return _done(request, asked, broadcast)


def _done(request: HttpRequest, deed: Deed, broadcast: Broadcast) -> HttpResponse:
    options: dict[str, Any] = {}
    if deed.asks_for_moment:
        form = MomentForm(request.POST)
        if not form.is_valid():
            return _asking(request, deed, broadcast, form=form)
        options["scheduled_at"] = form.cleaned_data["scheduled_at"]
    if deed.asks_twice:
        if request.POST.get("sure") != "yes":
            return _asking(request, deed, broadcast, is_second=True)
        shown = request.POST.get("may_arrive_twice", "")
        options["may_arrive_twice"] = int(shown) if shown.isdecimal() and len(shown) < 10 else 0
    try:
        changed = deed.verb(
            member=member_of(request),
            broadcast=broadcast,
            address=address_of(request),
            **options,
        )
    except orders.MomentNotAllowed as refusal:
        form = MomentForm(request.POST)
        form.add_error("moment", str(refusal))
        return _asking(request, deed, broadcast, form=form)
    except resending.NotAcknowledged as refusal:
        told_of(request, refusal)
        return redirect(deed.address(broadcast))
    except _REFUSED as refusal:
        told_of(request, refusal)
        return redirect("admin:messaging_broadcast_change", broadcast.pk)
    messages.success(request, deed.done)
    return redirect("admin:messaging_broadcast_change", changed.pk)


def _asking(
    request: HttpRequest,
    deed: Deed,
    broadcast: Broadcast,
    *,
    form: MomentForm | None = None,
    is_second: bool = False,
) -> HttpResponse:
    """Show what comes of it, in numbers."""
    shown: dict[str, Any] = {}
    foreseen = None
    if deed.resent:
        try:
            foreseen = _foreseen(request, deed, broadcast)
        except _REFUSED as refusal:
            return _not_now(request, deed, broadcast, str(refusal))
        shown = {"facts": _facts_of(broadcast, foreseen)}
    elif deed.shows_facts:
        shown = following.as_previewed(broadcast)
    return page(
        request,
        "control",
        title=deed.question,
        deed=deed,
        broadcast=broadcast,
        consequences=list(deed.consequences(broadcast)),
        **shown,
        lacking=number(-foreseen.balance_after) if foreseen and foreseen.balance_after < 0 else "",
        needs_approval=bool(foreseen and foreseen.needs_approval),
        form=form or (MomentForm() if deed.asks_for_moment else None),
        is_second=is_second,
    )


def _foreseen(request: HttpRequest, deed: Deed, broadcast: Broadcast) -> estimates.Estimate:
    return estimates.estimate(
        member=member_of(request),
        audience=resending.audience_of(broadcast=broadcast, resent=Broadcast.Resent(deed.resent)),
        text=broadcast.text,
        kind=broadcast.kind,
        country=broadcast.country,
    )


def _facts_of(broadcast: Broadcast, foreseen: estimates.Estimate) -> Facts:
    return Facts(
        text=broadcast.text,
        encoding=foreseen.encoding,
        segments_a_message=foreseen.segments_per_message,
        recipient_count=foreseen.recipients,
        credit_count=foreseen.credits,
        skipped=foreseen.skipped,
        by_country=foreseen.by_country,
        samples=foreseen.sample_recipients,
    )


def _not_now(request: HttpRequest, deed: Deed, broadcast: Broadcast, why: str) -> HttpResponse:
    resent = (
        resending.earlier(broadcast=broadcast, resent=Broadcast.Resent(deed.resent))
        if deed.resent
        else None
    )
    if resent is not None and request.method == "POST":
        messages.info(
            request, _("This was resent before, and not a second time. Here is how it goes.")
        )
        return redirect("admin:messaging_broadcast_change", resent.pk)
    return page(
        request,
        "control",
        title=deed.question,
        status=409,
        deed=deed,
        broadcast=broadcast,
        refusal=why,
        resent=resent,
    )

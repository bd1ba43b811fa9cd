"""The admin's start page: what stands in the way of sending, how it goes, the last broadcasts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET

from accounts import roles, terms
from accounts.doors.organization import member_of
from accounts.models import Member
from billing import ledger
from billing.ledger import Balance
from contacts.models import Contact
from messaging import dispatching
from messaging.admin import deeds, traffic
from messaging.admin.labels import number
from messaging.admin.previewing import duration_in_words
from messaging.admin.standing import Share, Standing
from messaging.admin.traffic import Held, RunningOut, Traffic
from messaging.models import Broadcast

LAST: Final = 10
"""Broadcasts that the start page shows."""

_EVERY: Final = 5  # seconds between two looks at broadcasts that move

_WORTH_TELLING: Final = 5  # seconds; less is the time between two looks


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that is looked at first, and what it means."""

    text: str
    amount: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Last:
    """The last broadcasts, and after how many seconds they are asked for again: 0 where none moves."""

    standings: list[Standing]
    is_platform: bool

    @property
    def every(self) -> int:
        return 0 if all(standing.is_finished for standing in self.standings) else _EVERY


@dataclass(frozen=True, slots=True)
class Start:
    """What the member finds on the start page."""

    notices: list[str]  # what is in the way, and what to do about it
    is_platform: bool = False
    may_send: bool = False
    figures: list[Figure] = field(default_factory=list)
    awaiting: list[Broadcast] = field(default_factory=list)  # this member's decision
    last: Last | None = None
    traffic: Traffic | None = None
    reasons: list[Share] = field(default_factory=list)  # why messages failed today
    providers: list[Held] = field(default_factory=list)
    running_out: list[RunningOut] = field(default_factory=list)  # for the platform


def fill(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Return the start page's context. Who must change a one-time password first finds only that."""
    member = member_of(request)
    pages = admin.site.get_model_admin(Broadcast)
    if not pages.has_view_permission(request):
        return {**context, "title": _("Start"), "start": Start([_password_first()])}
    last = _last(request)
    of_last_days = traffic.of_last_days(member.organization_id)
    going = list(_going(of_last_days, member.organization_id)) if last.standings else []
    if member.organization_id is None:
        notices, balance = list(_notices_of_platform()), []
    else:
        held = ledger.balance(member.organization_id)
        notices = list(_notices_of(member, held))
        balance = list(_balance(held, of_last_days))
    start = Start(
        notices=notices,
        is_platform=last.is_platform,
        may_send=roles.may(member, roles.Right.SEND),
        figures=[*balance, *going],
        awaiting=_awaiting(member),
        last=last,
        traffic=of_last_days if of_last_days.most else None,
        reasons=traffic.reasons_of_today(member.organization_id)
        if of_last_days.today.messages
        else [],
        providers=traffic.providers(tells_why=last.is_platform),
        running_out=traffic.running_out() if last.is_platform else [],
    )
    return {**context, "title": _("Start"), "start": start}


@require_GET
def show_last(request: HttpRequest) -> HttpResponse:
    """Show the last broadcasts again, as they stand now."""
    if not admin.site.get_model_admin(Broadcast).has_view_permission(request):
        raise PermissionDenied
    return render(request, "admin/messaging/last_broadcasts.html", {"last": _last(request)})


def _last(request: HttpRequest) -> Last:
    rows = admin.site.get_model_admin(Broadcast).get_queryset(request)
    latest = rows.select_related("member", "organization").order_by("-created_at", "-id")[:LAST]
    return Last([Standing(one) for one in latest], member_of(request).organization_id is None)


def _awaiting(member: Member) -> list[Broadcast]:
    """Return the broadcasts that wait for this member's decision, those that wait longest first."""
    if not deeds.DEEDS["approve"].may(member):
        return []
    waiting = Broadcast.objects.filter(
        organization=member.organization_id,
        status=Broadcast.Status.PAUSED,
        paused_because=Broadcast.PausedBecause.APPROVAL,
    ).exclude(member=member)
    return list(waiting.select_related("member").order_by("created_at")[:LAST])


def _balance(balance: Balance, days: Traffic) -> Iterator[Figure]:
    left = days.days_left(balance.available)
    if left is None:
        hint = _("Nothing was spent in the last 7 days.")
    else:
        hint = ngettext(
            "About %(days)s day left at the pace of the last 7 days.",
            "About %(days)s days left at the pace of the last 7 days.",
            left,
        ) % {"days": number(left)}
    yield Figure(_("Credits available"), number(balance.available), hint)
    yield Figure(_("Credits reserved"), number(balance.reserved), _("For messages on their way."))
    yield Figure(_("Credits spent"), number(balance.spent), _("Since the beginning."))


def _going(days: Traffic, organization_id: UUID | None) -> Iterator[Figure]:
    today = days.today
    yield Figure(
        _("Messages accepted today"),
        number(today.messages),
        _("%(failed)s of them failed.") % {"failed": number(today.failed)} if today.failed else "",
    )
    yield Figure(
        _("Delivery rate today"),
        today.rate_in_words,
        _("Delivered, of those whose end is known."),
    )
    count, age = traffic.waiting(organization_id)
    yield Figure(
        _("Messages waiting"),
        number(count),
        _("The first is due for %(time)s.") % {"time": duration_in_words(max(1, round(age)))}
        if age is not None and age >= _WORTH_TELLING
        else _("None is late."),
    )


def _password_first() -> SafeString:
    return format_html(
        _(
            'You signed in with a one-time password. <a href="{}">Change it</a>, then everything '
            "shows here."
        ),
        reverse("admin:password_change"),
    )


def _notices_of_platform() -> Iterator[str]:
    if not settings.SENDING:
        yield _(
            "Sending is switched off: broadcasts are accepted and nothing is handed to a carrier. "
            "Set PREGON_SENDING to on, and start the parts again."
        )
    if dispatching.are_workers_late():
        yield _(
            "No worker has taken anything from some queue for a minute: the dispatcher delivers alone, "
            "and slowly. Start one as docs/deployment.md says."
        )
    if dispatching.is_late():
        yield _(
            "No dispatcher has worked for 30 seconds: what was left behind is not picked up. "
            "Start one with manage.py dispatcher."
        )
    if terms.current() is None:
        yield format_html(
            _(
                "No terms are published, so nobody can send. "
                '<a href="{}">Write them and publish them</a>.'
            ),
            reverse("admin:accounts_terms_changelist"),
        )


def _notices_of(member: Member, balance: Balance) -> Iterator[str]:
    if not settings.SENDING:
        yield _(
            "Sending is switched off for now: broadcasts are accepted and wait. Ask the platform."
        )
    if not roles.may(member, roles.Right.SEND):
        return
    if terms.current() is None:
        yield _("No terms are published yet, so nobody can send. Ask the platform.")
    elif not terms.has_accepted(member):
        yield format_html(
            _(
                "You have not accepted the current terms, so you cannot send. "
                '<a href="{}">Read and accept them</a>.'
            ),
            reverse("admin:current_terms"),
        )
    if not balance.available:
        yield _("No credits are available, so nothing can be sent. Ask the platform for credits.")
    if not Contact.objects.living().filter(organization=member.organization_id).exists():
        yield format_html(
            _(
                "You have no contacts yet, so there is nobody to write to. "
                '<a href="{}">Bring them in from a file</a>, or <a href="{}">add one</a>.'
            ),
            reverse("admin:contacts_importjob_upload"),
            reverse("admin:contacts_contact_add"),
        )

"""The admin's start page: what stands in the way of sending, the balance, the last broadcasts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from accounts import roles, terms
from accounts.doors.organization import member_of
from accounts.models import Member
from billing import ledger
from billing.ledger import Balance
from messaging import dispatching
from messaging.admin.broadcasts import Standing
from messaging.admin.labels import number
from messaging.models import Broadcast

LAST: Final = 10
"""Broadcasts that the start page shows."""


@dataclass(frozen=True, slots=True)
class Start:
    """What the member finds on the start page."""

    notices: list[str]  # what is in the way, and what to do about it
    figures: list[tuple[str, str]]
    last: list[Standing]
    is_platform: bool


def fill(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Return the start page's context. Who must change a one-time password first finds only that."""
    member = member_of(request)
    pages = admin.site.get_model_admin(Broadcast)
    if not pages.has_view_permission(request):
        start = Start([_password_first()], [], [], is_platform=False)
        return {**context, "title": _("Start"), "start": start}
    broadcasts = pages.get_queryset(request).select_related("member", "organization")
    last = [Standing(one) for one in broadcasts.order_by("-created_at", "-id")[:LAST]]
    if member.organization_id is None:
        start = Start(list(_notices_of_platform()), [], last, is_platform=True)
    else:
        balance = ledger.balance(member.organization_id)
        figures = [
            (_("Credits available"), number(balance.available)),
            (_("Credits reserved"), number(balance.reserved)),
            (_("Credits spent"), number(balance.spent)),
        ]
        start = Start(list(_notices_of(member, balance)), figures, last, is_platform=False)
    return {**context, "title": _("Start"), "start": start}


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
        yield _("No terms are published, so nobody can send. Write them and publish them.")


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

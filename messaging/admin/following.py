"""Following a broadcast on its page: what moves by itself, its course over time, why messages failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Count, Sum
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from accounts.acts import LABELS
from accounts.models import AuditEntry
from billing import ledger
from messaging import estimates
from messaging.admin import deeds, pace
from messaging.admin.labels import number, short_provider
from messaging.admin.previewing import Facts, Line, duration_in_words
from messaging.admin.standing import Standing, messages_of
from messaging.classification import CountryShare
from messaging.models import Broadcast, Message

MOST_FAILURES: Final = 10_000
"""Failed messages that are counted of each reason; of more only that there are more is told."""

_MOST_REASONS: Final = 20

_ENTRIES: Final = 100  # of the audit trail
_SETTLING: Final = timedelta(hours=1)  # after the end, while delivery reports come in

# Seconds between two looks of a page at what moves.
_RUNNING_EVERY, _WAITING_EVERY, _SETTLING_EVERY = 2, 5, 10

_FAILED: Final = """messaging_message WHERE broadcast_id = %(broadcast_id)s
  AND status IN ('FAILED', 'UNDELIVERED', 'UNKNOWN')"""

# From reason to reason along messaging_message_failures, and of each so many entries at most.
_FAILURES: Final = f"""
WITH RECURSIVE reason AS (
  (SELECT error_code FROM {_FAILED} ORDER BY error_code LIMIT 1)
  UNION ALL
  SELECT (SELECT error_code FROM {_FAILED} AND error_code > reason.error_code
    ORDER BY error_code LIMIT 1)
  FROM reason WHERE reason.error_code IS NOT NULL
)
SELECT error_code, (SELECT error_message FROM {_FAILED} AND error_code = reason.error_code LIMIT 1),
  (SELECT count(*) FROM (
    SELECT FROM {_FAILED} AND error_code = reason.error_code LIMIT {MOST_FAILURES}
  ) counted) AS messages
FROM (SELECT error_code FROM reason WHERE error_code IS NOT NULL LIMIT {_MOST_REASONS}) reason
ORDER BY messages DESC, error_code
"""

# Pairs are compared as in `pace`, so that no other broadcast's messages are walked through.
_FIRST: Final = """
SELECT recipient FROM (
  SELECT broadcast_id, recipient FROM messaging_message
  WHERE (broadcast_id, id) >= (%s, '00000000-0000-0000-0000-000000000000')
  ORDER BY broadcast_id, id LIMIT 5
) first WHERE broadcast_id = %s
"""

View = Callable[..., HttpResponse]


def of_own(view: View) -> View:
    """Give the view the broadcast of its address; another organization's answers as what is not there."""

    @wraps(view)
    def shown(request: HttpRequest, queue_id: UUID, **kwargs: Any) -> HttpResponse:
        pages = admin.site.get_model_admin(Broadcast)
        if not pages.has_view_permission(request):
            raise PermissionDenied
        rows = pages.get_queryset(request).select_related("member", "organization")
        broadcast = rows.filter(pk=queue_id).first()
        if broadcast is None:
            raise Http404
        return view(request, broadcast, **kwargs)

    return shown


# --- what moves by itself -------------------------------------------------------------------------
@dataclass(frozen=True)
class Live:
    """The part of a broadcast's page that is asked for again and again, and what it was asked with."""

    standing: Standing
    trail: pace.Trail
    pace: pace.Pace
    offers: list[deeds.Offer]
    said: str  # the step that was read out last

    @property
    def broadcast(self) -> Broadcast:
        return self.standing.broadcast

    @property
    def version(self) -> str:
        """What changes with everything that is shown here."""
        return f"{self.broadcast.updated_at.timestamp()}-{self.broadcast.status}"

    @property
    def every(self) -> int:
        """Seconds until the page asks again; 0 where nothing moves any more."""
        broadcast = self.broadcast
        is_canceling = self.standing.is_finished and broadcast.waiting > 0
        if broadcast.status == Broadcast.Status.RUNNING or is_canceling:
            return _RUNNING_EVERY
        if not self.standing.is_finished:
            return _WAITING_EVERY
        ended = broadcast.finished_at or broadcast.updated_at
        is_settling = timezone.now() - ended < _SETTLING
        return _SETTLING_EVERY if is_settling and (broadcast.sent or broadcast.unknown) else 0

    @property
    def step(self) -> str:
        """What is read out when it changes: the status, and every tenth of the way."""
        return f"{self.broadcast.status}-{self.standing.percent // 10}"

    @property
    def announcement(self) -> str:
        """The sentence for screen readers; "" where nothing is new since the last one."""
        if self.step == self.said:
            return ""
        return _("%(status)s: %(percent)d percent handed over.") % {
            "status": self.broadcast.get_status_display(),
            "percent": self.standing.percent,
        }

    @property
    def providers(self) -> SafeString:
        """The credentials that messages were handed over to."""
        names = ((short_provider(name),) for name in self.broadcast.providers)
        return format_html_join(", ", "{}", names)

    @property
    def address(self) -> str:
        """Where the page asks next, with what it saw now."""
        query = urlencode({"v": self.version, "trail": self.trail, "said": self.step})
        return f"{reverse('admin:messaging_broadcast_live', args=[self.broadcast.pk])}?{query}"

    @property
    def told(self) -> list[str]:
        """How fast it goes and when it began and ended, as far as that is known."""
        broadcast, told = self.broadcast, []
        if broadcast.status == Broadcast.Status.SCHEDULED and broadcast.scheduled_at:
            told.append(_("Goes out %(moment)s") % {"moment": _clock(broadcast.scheduled_at)})
        if broadcast.started_at:
            told.append(_("Began %(moment)s") % {"moment": _clock(broadcast.started_at)})
        if broadcast.finished_at:
            told.append(_("Ended %(moment)s") % {"moment": _clock(broadcast.finished_at)})
        if self.pace.rate is not None:
            told.append(_("%(rate)s messages a second") % {"rate": self.pace.rate_in_words})
        if self.pace.seconds_left:
            left = duration_in_words(self.pace.seconds_left)
            told.append(_("about %(left)s left") % {"left": left})
        return told


def _clock(at: datetime) -> str:
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S}"


def live_of(request: HttpRequest, broadcast: Broadcast) -> Live:
    """Return what moves of a broadcast, as this page has not seen it yet."""
    now = timezone.now()
    trail = pace.Trail.of(request.GET.get("trail", ""))
    return Live(
        standing=Standing(broadcast),
        trail=trail.followed_by(broadcast, now),
        pace=trail.pace(broadcast, now),
        offers=deeds.possible(request, broadcast),
        said=request.GET.get("said", ""),
    )


@require_GET
@of_own
def show_live(request: HttpRequest, broadcast: Broadcast) -> HttpResponse:
    """Show what moved since the page looked last; 204 where nothing did: htmx leaves the page alone."""
    live = live_of(request, broadcast)
    if request.GET.get("v") == live.version and live.every:
        return HttpResponse(status=204)
    context = {"live": live, "is_update": True, **happened(broadcast)}
    return render(request, "admin/messaging/broadcast/live.html", context)


# --- over time, and by reason ---------------------------------------------------------------------
@require_GET
@of_own
def show_course(request: HttpRequest, broadcast: Broadcast) -> HttpResponse:
    """Show what was taken and delivered over time, and why messages failed."""
    return render(
        request,
        "admin/messaging/broadcast/course.html",
        {
            "broadcast": broadcast,
            "course": pace.course(broadcast),
            "failures": failures_of(broadcast),
            "every": _SETTLING_EVERY if live_of(request, broadcast).every else 0,
            "is_update": True,  # that somebody resent what failed moves no counter of this one
            **happened(broadcast),
        },
    )


def failures_of(broadcast: Broadcast) -> list[Line]:
    """Return why messages failed, the most frequent reason first, with how many that is."""
    if not broadcast.failed + broadcast.undelivered + broadcast.unknown:
        return []
    with connection.cursor() as cursor:
        cursor.execute(_FAILURES, {"broadcast_id": broadcast.pk})
        rows = cursor.fetchall()
    own = dict(Message.ErrorCode.choices)
    return [
        Line(
            text=": ".join(filter(None, [str(own.get(code, code)), reason]))
            or _("No result came back"),
            number=number(count)
            if count < MOST_FAILURES
            else _("%(number)s or more") % {"number": number(count)},
            address=messages_of(broadcast.pk, **_failed_by(code)),
        )
        for code, reason, count in rows
    ]


def _failed_by(code: str) -> dict[str, str]:
    return {"reason": code} if code else {"status__exact": Message.Status.UNKNOWN}


# --- what an approver sees ------------------------------------------------------------------------
def facts_of(broadcast: Broadcast) -> Facts:
    """Return of an accepted broadcast what its preview showed: the approver sees the same.

    Reads the countries of all its messages: asked for once, where somebody decides.
    """
    countries = (
        Message.objects.filter(broadcast=broadcast)
        .order_by()
        .values("country")
        .annotate(recipients=Count("pk"), credits=Sum("credits"))
    )
    with connection.cursor() as cursor:
        cursor.execute(_FIRST, [broadcast.pk, broadcast.pk])
        samples = [recipient for (recipient,) in cursor.fetchall()]
    return Facts(
        text=broadcast.text,
        encoding=broadcast.encoding,
        segments_a_message=broadcast.segments,
        recipient_count=broadcast.messages_total,
        credit_count=broadcast.credits,
        skipped=broadcast.skipped_by_reason,
        by_country=[CountryShare(**share) for share in countries],
        samples=samples,
        queue_id=broadcast.pk,
    )


def as_previewed(broadcast: Broadcast) -> dict[str, Any]:
    """Return what an approver's pages show of the broadcast: what its preview showed, as it is now."""
    available = ledger.balance(broadcast.organization_id).available
    return {
        "facts": facts_of(broadcast),
        "duration": duration_in_words(
            estimates.eta_seconds(kind=broadcast.kind, recipients=broadcast.messages_total)
        ),
        # Its own credits are reserved already.
        "balance": number(available + broadcast.credits_reserved),
        "balance_after": number(available),
        "lately": estimates.sent_lately(
            organization_id=broadcast.organization_id, text=broadcast.text, besides=broadcast.pk
        ),
    }


@require_GET
@of_own
def show_facts(request: HttpRequest, broadcast: Broadcast) -> HttpResponse:
    """Show what the preview showed."""
    context = {**as_previewed(broadcast), "broadcast": broadcast}
    return render(request, "admin/messaging/broadcast/facts.html", context)


# --- what happened --------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Happening:
    """An entry of the audit trail about a broadcast, in words."""

    entry: AuditEntry

    @property
    def title(self) -> str:
        return str(LABELS.get(self.entry.act, self.entry.act))

    @property
    def by(self) -> str:
        return str(self.entry.member) if self.entry.member_id else _("Pregón itself")


def happened(broadcast: Broadcast) -> dict[str, Any]:
    """Return what the page tells of what was done: to the broadcast, and once more what was of it."""
    return {
        "broadcast": broadcast,
        "happenings": happenings_of(broadcast),
        "resent_by": list(broadcast.resent_by.all()),
    }


def happenings_of(broadcast: Broadcast) -> list[Happening]:
    """Return what was done to the broadcast and by whom, earliest first."""
    entries = (
        AuditEntry.objects.filter(
            organization=broadcast.organization_id, subject=f"broadcast:{broadcast.pk}"
        )
        .select_related("member")
        .order_by("created_at", "id")[:_ENTRIES]
    )
    return [Happening(entry) for entry in entries]

"""The preview of a broadcast: what sending it would come to, and the confirmation that sends it once."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, NamedTuple
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.core import signing
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts.doors.addresses import address_of
from accounts.doors.organization import member_of
from accounts.models import Member
from billing import caps, ledger
from messaging import broadcasts, estimates, idempotency, sms_text
from messaging.admin import moments
from messaging.admin.composing import REFUSALS, for_senders, page, told_of
from messaging.admin.drafts import Draft, kept
from messaging.admin.labels import number
from messaging.admin.standing import skips_of
from messaging.classification import CountryShare
from messaging.confirmations import ConfirmationVoid
from messaging.estimates import Estimate
from messaging.models import Broadcast, Skip

_SALT: Final = "messaging.admin.previewing"

# Where the contacts concerned are found, before there are skips to point at.
_CONTACTS_SKIPPED: Final[Mapping[str, Mapping[str, str]]] = {
    Skip.Reason.CONTACT_BLOCKED: {"status__exact": "BLOCKED"},
    Skip.Reason.CONTACT_INACTIVE: {"status__exact": "INACTIVE"},
    Skip.Reason.INVALID_NUMBER: {"refusal__exact": "invalid_number"},
    Skip.Reason.UNSUPPORTED_NUMBER: {"refusal__exact": "unsupported_number"},
}

# What refuses at the last moment and leaves the draft as it is: the preview says so, with its new numbers.
_REFUSED_NOW: Final[tuple[type[Exception], ...]] = (
    ConfirmationVoid,
    ledger.InsufficientCredits,
    caps.SpendingCapReached,
    idempotency.SentJustNow,
    idempotency.KeyStillRunning,
    idempotency.KeyUsedForAnother,
)


class Piece(NamedTuple):
    """A part of a text, and whether no phone shows it in GSM-7."""

    text: str
    is_marked: bool


class Line(NamedTuple):
    """A count with its words, and where those that it counts are found."""

    text: str
    number: str
    address: str = ""


class Bar(NamedTuple):
    """One country's part of a broadcast, as a bar."""

    country: str
    recipients: str
    credits: str
    length: int  # in thousandths of the longest
    percent: str


@dataclass(frozen=True)
class Facts:
    """What sending comes to, in words: of a draft and of a broadcast that waits for approval alike."""

    text: str
    encoding: str
    segments_a_message: int
    recipient_count: int
    credit_count: int
    skipped: Mapping[str, int]
    by_country: Sequence[CountryShare]
    samples: Sequence[str]
    list_address: str = ""  # of the contacts' list, for a draft
    queue_id: UUID | None = None  # of an accepted broadcast, which has its skips

    @property
    def pieces(self) -> list[Piece]:
        return pieces_of(self.text)

    @property
    def forcing(self) -> Sequence[str]:
        return sms_text.measure(self.text).non_gsm

    @property
    def recipients(self) -> str:
        return number(self.recipient_count)

    @property
    def credits(self) -> str:
        return number(self.credit_count)

    @property
    def segments(self) -> str:
        return number(self.recipient_count * self.segments_a_message)

    @property
    def skips(self) -> list[Line]:
        """The contacts that get nothing, by reason, in the order in which reasons are tried."""
        return [
            Line(str(reason.label), number(self.skipped[reason]), self._skipped_address(reason))
            for reason in Skip.Reason
            if self.skipped.get(reason)
        ]

    @property
    def skip_count(self) -> str:
        return number(sum(self.skipped.values()))

    @cached_property
    def bars(self) -> list[Bar]:
        """The countries, the largest first; bars are in proportion to it."""
        largest = max((share.recipients for share in self.by_country), default=1)
        return [
            Bar(
                country=share.country,
                recipients=number(share.recipients),
                credits=number(share.credits),
                length=max(1000 * share.recipients // largest, 5),
                percent=_percent(share.recipients, self.recipient_count),
            )
            for share in sorted(self.by_country, key=lambda share: -share.recipients)
        ]

    def _skipped_address(self, reason: str) -> str:
        if self.queue_id is not None:
            return skips_of(self.queue_id, reason__exact=reason)
        if reason == Skip.Reason.OPTED_OUT:
            return reverse("admin:contacts_suppression_changelist")
        lookups = _CONTACTS_SKIPPED.get(reason)
        if lookups is None or not self.list_address:
            return ""
        joint = "&" if "?" in self.list_address else "?"
        return f"{self.list_address}{joint}{urlencode(lookups)}"


def pieces_of(text: str) -> list[Piece]:
    """Return the text in parts: what forces UCS-2, and the rest."""
    forcing = sms_text.measure(text).non_gsm
    if not forcing:
        return [Piece(text, is_marked=False)]
    parts = re.split(f"([{re.escape(''.join(forcing))}]+)", text)
    return [Piece(part, bool(place % 2)) for place, part in enumerate(parts) if part]


def facts_of(draft: Draft, estimate: Estimate) -> Facts:
    """Return what a draft comes to."""
    return Facts(
        text=draft.text,
        encoding=estimate.encoding,
        segments_a_message=estimate.segments_per_message,
        recipient_count=estimate.recipients,
        credit_count=estimate.credits,
        skipped=estimate.skipped,
        by_country=estimate.by_country,
        samples=estimate.sample_recipients,
        list_address="" if draft.choice.contacts else draft.choice.list_address,
    )


@for_senders
def preview(request: HttpRequest, draft_id: str) -> HttpResponse:
    """Show what sending the draft comes to; by POST send what was shown, once however often it is sent."""
    draft = kept(request, draft_id)
    if draft.queue_id:
        return _sent_before(request, draft.queue_id)
    if request.method == "POST":
        return _confirmed(request, draft)
    return _previewed(request, draft)


def _previewed(request: HttpRequest, draft: Draft, *, mistyped: str = "") -> HttpResponse:
    member = member_of(request)
    try:
        # However many tabs show this draft, it is confirmed once.
        estimate = estimates.estimate(
            member=member, confirm_name=f"draft:{draft.id}", **draft.ordered(request)
        )
    except REFUSALS as refusal:
        told_of(request, refusal)
        return redirect(f"{reverse('admin:messaging_broadcast_compose')}?draft={draft.id}")
    most = member.organization.confirm_above if member.organization else 0
    return page(
        request,
        "preview",
        title=_("Look before it leaves"),
        draft=draft,
        facts=facts_of(draft, estimate),
        estimate=estimate,
        confirmation=_sealed(estimate),
        asks_for_number=estimate.recipients > most,
        mistyped=mistyped,
        moment=moments.in_words(draft.scheduled_at, draft.time_zone) if draft.scheduled_at else "",
        duration=duration_in_words(estimate.eta_seconds),
        lacking=number(-estimate.balance_after) if estimate.balance_after < 0 else "",
        balance=number(estimate.balance),
        balance_after=number(estimate.balance_after),
        cap_text=_over_the_cap(member, estimate),
        lately=estimate.sent_lately,
        button=_button(draft, estimate.recipients),
    )


def _over_the_cap(member: Member, estimate: Estimate) -> str:
    """Return that the spending cap leaves too little room now; "" where it leaves enough."""
    room = caps.room(member.organization_id) if member.organization_id else None
    if room is None or estimate.credits <= room:
        return ""
    return _(
        "Your organization's spending cap leaves %(room)s credits at this moment. Wait until it begins"
        " anew, or ask an owner to raise it."
    ) % {"room": number(room)}


def _confirmed(request: HttpRequest, draft: Draft) -> HttpResponse:
    """Send what the page showed, or say why not. Whatever happens there is one broadcast or none."""
    member = member_of(request)
    token, recipients = _unsealed(request.POST.get("confirmation", ""))
    most = member.organization.confirm_above if member.organization else 0
    typed = re.sub(r"[\s.,'’]", "", request.POST.get("typed", ""))  # noqa: RUF001 - thousands, as people write them
    if recipients is not None and recipients > most and typed != str(recipients):
        return _previewed(
            request,
            draft,
            mistyped=_("Type the number of recipients, %(recipients)s, to confirm it.")
            % {"recipients": number(recipients)},
        )
    try:
        broadcast = broadcasts.send(
            member=member,
            address=address_of(request),
            confirm_token=token,
            **draft.ordered(request),
        )
    except idempotency.CarriedOutBefore as before:
        draft.became(request, before.broadcast.pk)
        return _sent_before(request, str(before.broadcast.pk))
    except _REFUSED_NOW as refusal:
        told_of(request, refusal)
        return redirect("admin:messaging_broadcast_preview", draft.id)
    except REFUSALS as refusal:
        told_of(request, refusal)
        return redirect(f"{reverse('admin:messaging_broadcast_compose')}?draft={draft.id}")
    except broadcasts.AcceptanceUnknown as refusal:
        told_of(request, refusal)
        return redirect("admin:messaging_broadcast_changelist")
    draft.became(request, broadcast.pk)
    messages.success(request, _accepted(broadcast))
    return redirect("admin:messaging_broadcast_change", broadcast.pk)


def _sent_before(request: HttpRequest, queue_id: str) -> HttpResponse:
    messages.info(request, _("This was sent before, and not a second time. Here is how it goes."))
    return redirect("admin:messaging_broadcast_change", queue_id)


def _accepted(broadcast: Broadcast) -> str:
    messages_total = broadcast.messages_total
    if broadcast.status == Broadcast.Status.PAUSED:
        return _("Accepted. It waits until another member approves it.")
    if broadcast.status == Broadcast.Status.SCHEDULED:
        return _("Accepted. It goes out at its moment; until then you may move or cancel it.")
    return ngettext(
        "Accepted: %(messages)s message goes out.",
        "Accepted: %(messages)s messages go out.",
        messages_total,
    ) % {"messages": number(messages_total)}


def _button(draft: Draft, recipients: int) -> str:
    if draft.scheduled_at:
        text = ngettext(
            "Schedule for %(number)s person", "Schedule for %(number)s people", recipients
        )
    else:
        text = ngettext("Send to %(number)s person", "Send to %(number)s people", recipients)
    return text % {"number": number(recipients)}


def _sealed(estimate: Estimate) -> str:
    """Return the confirm token with the number that is typed, so that neither is another's."""
    return signing.dumps([estimate.confirm_token, estimate.recipients], salt=_SALT)


def _unsealed(written: str) -> tuple[str, int | None]:
    """Return the confirm token and the number shown; what is not ours is refused as a void token."""
    try:
        token, recipients = signing.loads(written, salt=_SALT)
    except (signing.BadSignature, UnicodeError):
        return "", None
    return str(token), int(recipients)


def _percent(part: int, whole: int) -> str:
    share = 100 * part / whole if whole else 0
    return f"{share:.0f} %" if share >= 1 else "< 1 %"


_UNITS: Final = (
    (timedelta(days=1), gettext_lazy("%(count)d d")),
    (timedelta(hours=1), gettext_lazy("%(count)d h")),
    (timedelta(minutes=1), gettext_lazy("%(count)d min")),
    (timedelta(seconds=1), gettext_lazy("%(count)d s")),
)


def duration_in_words(seconds: int) -> str:
    """Return a duration by its two largest units, as `2 h 5 min`."""
    left = timedelta(seconds=max(seconds, 1))
    told: list[str] = []
    for unit, written in _UNITS:
        count, left = divmod(left, unit)
        if count:
            told.append(str(written) % {"count": count})
    return " ".join(told[:2])

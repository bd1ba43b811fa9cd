"""Estimates: what sending something would come to, seen before anything is written or charged."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Now

from accounts.models import Member
from billing import ledger
from messaging import classification, confirmations, orders, providers
from messaging.audiences import Audience
from messaging.classification import CountryShare, Foreseen
from messaging.models import Broadcast, Kind
from messaging.orders import Order
from messaging.providers.base import Provider

LATELY: Final = timedelta(hours=24)
"""How long the same text counts as one that went out already."""

_SHOWN: Final = 5  # broadcasts with the same text

_REQUEST: Final = 0.25  # seconds a carrier usually takes, where it declares no rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What sending it now would come to, and the token that confirms exactly this."""

    audience: int
    recipients: int
    skipped: dict[str, int]
    encoding: str
    segments_per_message: int
    segments: int
    credits: int
    balance: int
    """Credits that are available now; those that other broadcasts hold are not."""
    balance_after: int
    """Below 0 where there are too few."""
    by_country: Sequence[CountryShare]
    non_gsm_characters: Sequence[str]
    """The characters that force UCS-2, each once."""
    sample_recipients: Sequence[str]
    eta_seconds: int
    """From its start to the last hand-over, at the pace that the providers declare."""
    confirm_token: str
    needs_approval: bool
    """Whether it waits for another member of the organization."""
    sent_lately: Sequence[Broadcast]
    """What went out of the same text within 24 hours, newest first, a few of them."""


def estimate(
    *,
    member: Member,
    audience: Audience,
    text: str,
    kind: str = Kind.SMS,
    country: str = "",
    scheduled_at: datetime | None = None,
    confirm_name: str = "",
) -> Estimate:
    """Return what `broadcasts.send` would do with the same arguments at this moment.

    Tokens of one `confirm_name` are good for one broadcast together: it names what is looked at again.

    No broadcast is written and no credit moves. It refuses what `send` refuses, in the same order, but
    not for too few credits.

    Raises: RoleMissing, TermsNotAccepted, TextNotAllowed, TextTooLong, KindNotCarried,
    CountryNotAllowed, MomentNotAllowed, TagNotFound, AudienceTooLarge, ContactsKeepChanging.
    """
    organization = orders.require_may_send(member)
    order = orders.read(
        member=member,
        organization=organization,
        audience=audience,
        text=text,
        kind=kind,
        country=country,
        scheduled_at=scheduled_at,
    )
    foreseen = _foreseen(order)
    orders.require_size(foreseen)
    available = ledger.balance(organization.pk).available
    approval_above = organization.approval_above
    return Estimate(
        audience=foreseen.audience,
        recipients=foreseen.recipients,
        skipped=dict(foreseen.skipped),
        encoding=order.measure.encoding,
        segments_per_message=order.measure.segments,
        segments=order.measure.segments * foreseen.recipients,
        credits=foreseen.credits,
        balance=available,
        balance_after=available - foreseen.credits,
        by_country=foreseen.by_country,
        non_gsm_characters=order.measure.non_gsm,
        sample_recipients=classification.sample(rules=order.rules, audience=audience),
        eta_seconds=eta_seconds(kind=kind, recipients=foreseen.recipients),
        confirm_token=confirmations.token(order=order, classified=foreseen, name=confirm_name),
        needs_approval=approval_above is not None and foreseen.recipients > approval_above,
        sent_lately=list(sent_lately(organization_id=organization.pk, text=order.text)),
    )


def _foreseen(order: Order) -> Foreseen:
    for _reading in orders.readings(order):
        foreseen = classification.foresee(rules=order.rules, audience=order.audience)
        if not foreseen.unread:
            return foreseen
    raise AssertionError("unreachable: the readings end by an exception")


def eta_seconds(*, kind: str, recipients: int) -> int:
    """Return the seconds from the start to the last hand-over, at the pace that the providers declare."""
    pace = sum(_pace(provider) for provider in providers.candidates(kind=kind))
    return math.ceil(recipients / pace)


def _pace(provider: Provider) -> float:
    """Return the messages a second that a provider takes: its rate, as far as its requests allow."""
    at_once: int = provider.concurrency * settings.DELIVERY_LANES * provider.max_batch
    return min(provider.rate or math.inf, at_once / _REQUEST)


def sent_lately(
    *, organization_id: UUID, text: str, besides: UUID | None = None
) -> QuerySet[Broadcast]:
    """Return the last broadcasts of the same text of which something left, or still will."""
    left_or_will = ~Q(status=Broadcast.Status.CANCELED) | Q(started_at__isnull=False)
    return (
        Broadcast.objects.filter(
            left_or_will,
            organization=organization_id,
            created_at__gte=Now() - LATELY,
            text=text,
            messages_total__gt=0,
        )
        .exclude(pk__in=[] if besides is None else [besides])
        .select_related("member")
        .order_by("-created_at", "-id")[:_SHOWN]
    )

"""Broadcasts: what is sent, to whom, for how much. `send` is the only way anything is ever sent."""

import logging
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils.translation import gettext as _
from psycopg import errors

from accounts import audit, roles, terms
from accounts.models import Member
from accounts.roles import Right
from billing import caps, ledger, rates
from billing.ledger import InsufficientCredits
from messaging import classification, confirmations, idempotency, orders, tasks
from messaging.audiences import Audience
from messaging.classification import Classified
from messaging.confirmations import Confirmation
from messaging.failpoints import failpoint
from messaging.idempotency import Once
from messaging.models import Approval, Broadcast, Kind
from messaging.orders import Order

log = logging.getLogger(__name__)

Status = Broadcast.Status
AudienceKind = Broadcast.AudienceKind

TRIES: Final = 3  # of a transaction that PostgreSQL broke off to end a deadlock
RETRY_AFTER: Final = 5  # seconds, until a lost database is likely to be back

# What is known of a broadcast once its audience is classified.
_COUNTED: Final = (
    "audience",
    "messages_total",
    "queued",
    "skipped_total",
    "skipped_by_reason",
    "credits",
    "fingerprint",
    "status",
    "paused_because",
    "finished_at",
)

# Accepting a million contacts takes longer than any other statement may; sorting them, more memory.
_SETTINGS: Final = "SET LOCAL statement_timeout = '300s'; SET LOCAL work_mem = '64MB'"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """An order, and how it was asked for."""

    order: Order
    address: str | None
    key: Once | None
    confirmed: Once | None
    confirmation: Confirmation | None

    @property
    def names(self) -> list[Once]:
        """By what the request is known, so that it is carried out once."""
        return [once for once in (self.key, self.confirmed) if once is not None]


class AcceptanceUnknown(Exception):
    """The database was lost in the moment of accepting: the broadcast exists whole, or not at all."""

    def __init__(self, *, is_named: bool) -> None:
        # Without a key whoever asked must look before he tries again.
        self.retry_after = RETRY_AFTER if is_named else None
        super().__init__(
            _(
                "The database was lost while the broadcast was being accepted: the outcome is unknown."
                " Retry with the same Idempotency-Key or confirmToken: if it was accepted you get its"
                " answer, if not it is accepted then."
            )
            if is_named
            else _(
                "The database was lost while the broadcast was being accepted. Look in the admin whether"
                " it is there before you send it again."
            )
        )


class _Unread(Exception):
    """Numbers came in that nobody has read yet: read them, then classify once more."""


def send(
    *,
    member: Member,
    audience: Audience,
    text: str,
    kind: str = Kind.SMS,
    country: str = "",
    scheduled_at: datetime | None = None,
    address: str | None = None,
    once: Once | None = None,
    confirm_token: str | None = None,
) -> Broadcast:
    """Accept one text to everybody of the audience and return its broadcast.

    All or nothing: when this raises, no message exists and no credit moved. Once it returns, everybody
    is accounted for by a Message or a Skip, the credits are reserved, and the messages will be handed
    over whether or not the broker is there: at once, from `scheduled_at` on, or when another member
    approves it, where it has more recipients than the organization allows without. A broadcast that
    reaches nobody is COMPLETED. With `once` or a `confirm_token` of `estimates.estimate`, the request is
    carried out by one call alone; all others get `CarriedOutBefore`.

    Raises: RoleMissing, TermsNotAccepted, TextNotAllowed, TextTooLong, KindNotCarried,
    CountryNotAllowed, MomentNotAllowed, TagNotFound, AudienceTooLarge, InsufficientCredits,
    SpendingCapReached, ContactsKeepChanging, AcceptanceUnknown, SentJustNow; with `once` also
    CarriedOutBefore, KeyUsedForAnother, KeyStillRunning; with a `confirm_token` CarriedOutBefore,
    KeyStillRunning, ConfirmationVoid.
    """
    organization = orders.require_may_send(member)
    confirmed = (
        confirmations.once(
            token=confirm_token,
            member=member,
            audience=audience,
            text=text,
            kind=kind,
            country=country,
            scheduled_at=scheduled_at,
        )
        if confirm_token is not None
        else None
    )
    for name in filter(None, (once, confirmed)):
        idempotency.require_not_carried_out(organization_id=organization.pk, once=name)
    order = orders.read(
        member=member,
        organization=organization,
        audience=audience,
        text=text,
        kind=kind,
        country=country,
        scheduled_at=scheduled_at,
    )
    if once is not None:
        idempotency.require_free(organization_id=organization.pk, once=once)
    request = _Request(
        order=order,
        address=address,
        key=once,
        confirmed=confirmed,
        confirmation=(
            confirmations.read(token=confirm_token, order=order)
            if confirm_token is not None
            else None
        ),
    )
    for _reading in orders.readings(order):
        _require_credits_for_one(request)
        try:
            return _retried(request)
        except _Unread:
            continue
    raise AssertionError("unreachable: the readings end by an exception")


def _require_credits_for_one(request: _Request) -> None:
    """Refuse before anything is written when not even one message could be paid, or a cap has no room."""
    rules = request.order.rules
    available = ledger.balance(rules.organization_id).available
    room = caps.room(rules.organization_id)
    least = rules.segments * rates.lowest(rules.allowed_countries or ())
    if available < least or (room is not None and room < least):
        foreseen = classification.foresee(rules=rules, audience=request.order.audience)
        orders.require_size(foreseen)
        if foreseen.credits:  # else nobody can be reached, which costs nothing
            for name in request.names:  # a twin may have spent them a moment ago
                idempotency.require_free(organization_id=rules.organization_id, once=name)
            if request.confirmation is not None:
                request.confirmation.require_unchanged(foreseen)
            caps.require_room(organization_id=rules.organization_id, amount=foreseen.credits)
            if available < least:
                raise InsufficientCredits(required=foreseen.credits, available=available)


def _retried(request: _Request) -> Broadcast:
    """Return the accepted broadcast; begin anew when PostgreSQL broke the transaction off for another."""
    for attempt in range(1, TRIES + 1):
        try:
            return _accept(request)
        except OperationalError as error:
            is_ours_to_retry = isinstance(
                error.__cause__, errors.SerializationFailure | errors.DeadlockDetected
            )
            if attempt == TRIES or not is_ours_to_retry:
                raise
            time.sleep(0.05 * attempt)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _accept(request: _Request) -> Broadcast:
    is_written = False
    try:
        with transaction.atomic():
            broadcast = _write(request)
            is_written = True
    except (OperationalError, InterfaceError) as error:
        if not is_written:
            raise
        raise AcceptanceUnknown(is_named=bool(request.names)) from error
    return broadcast


def _write(request: _Request) -> Broadcast:
    """Write the broadcast with all that belongs to it, inside the caller's transaction."""
    order = request.order
    queue_id = uuid4()
    with connection.cursor() as cursor:
        cursor.execute(_SETTINGS)
    _claim(request, queue_id)
    if (resends := order.audience.columns.get("resends_id")) is not None:
        _hold_resends(resends)
    broadcast = Broadcast.objects.create(
        id=queue_id,
        organization=order.organization,
        member=order.member,
        text=order.text,
        kind=order.kind,
        country=order.country,
        encoding=order.measure.encoding,
        segments=order.measure.segments,
        status=Status.RUNNING,
        scheduled_at=order.scheduled_at,
        **order.audience.columns,
    )
    classified = classification.write(
        broadcast_id=queue_id, rules=order.rules, audience=order.audience
    )
    if classified.unread:
        raise _Unread
    orders.require_size(classified)
    if request.confirmation is not None:
        request.confirmation.require_unchanged(classified)
    broadcast.audience = classified.audience
    broadcast.messages_total = broadcast.queued = classified.recipients
    broadcast.skipped_total = sum(classified.skipped.values())
    broadcast.skipped_by_reason = dict(classified.skipped)
    broadcast.credits = classified.credits
    broadcast.fingerprint = classified.fingerprint
    _set_status(broadcast, order, classified)
    broadcast.save(update_fields=_COUNTED)
    audit.record(
        act="broadcast.accepted",
        subject=broadcast,
        member=order.member,
        details={
            "messages": classified.recipients,
            "credits": classified.credits,
            "audience": broadcast.audience_kind,
            "status": broadcast.status,
            **_origin(broadcast),
        },
        address=request.address,
    )
    # Once more, without a lock on the member's row: it would block that member's sign-in.
    failpoint("api.after_insert", order.text)
    _require_still_allowed(order.member)
    if classified.credits:
        caps.take(organization_id=order.organization.pk, amount=classified.credits)
        # Last, so that the organization's one hot row is held for the shortest time.
        ledger.reserve(
            organization_id=order.organization.pk,
            amount=classified.credits,
            reference=f"broadcast:{queue_id}",
        )
    failpoint("api.after_reserve", order.text)
    log.info(
        "broadcast_accepted",
        extra={
            "broadcast": str(queue_id),
            "status": broadcast.status,
            "recipients": classified.recipients,
            "skipped": broadcast.skipped_total,
            "credits": classified.credits,
        },
    )
    if broadcast.status == Status.RUNNING:
        # No `partial`: Django asks a callback that failed for its name, and a partial has none.
        transaction.on_commit(lambda: _wake(broadcast), robust=True)
    failpoint("api.before_commit", order.text)
    return broadcast


def _origin(broadcast: Broadcast) -> dict[str, str]:
    """Return what the audit entry says of a resend: of which broadcast it is, and of what."""
    if broadcast.resends_id is None:
        return {}
    return {"resends": str(broadcast.resends_id), "resent": broadcast.resent}


def _claim(request: _Request, queue_id: UUID) -> None:
    """Let one of several equal requests pass: the others wait here until it is known how that one ended."""
    order = request.order
    for name in request.names:
        idempotency.claim(organization_id=order.organization.pk, once=name, queue_id=queue_id)
    if order.organization.repeat_guard_seconds:
        idempotency.claim_text(
            organization_id=order.organization.pk,
            queue_id=queue_id,
            seconds=order.organization.repeat_guard_seconds,
            is_meant=bool(request.names) or order.audience.kind == AudienceKind.RESEND,
            what={
                "text": order.text,
                "kind": order.kind,
                "country": order.country,
                "audience": [order.audience.kind, *order.audience.names],
            },
        )


def _hold_resends(queue_id: UUID) -> None:
    """Let one resend of a broadcast after the other see its audience, the second what the first took.

    What is unknown and what failed may be resent at once, and a report may move a message from the one to
    the other meanwhile.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"resend {queue_id}"]
        )


def _set_status(broadcast: Broadcast, order: Order, classified: Classified) -> None:
    """Say whether it runs, is over, waits for its moment, or first of all for another member."""
    approval_above = order.organization.approval_above
    if not classified.recipients:
        broadcast.status = Status.COMPLETED
        broadcast.finished_at = broadcast.created_at
    elif approval_above is not None and classified.recipients > approval_above:
        broadcast.status = Status.PAUSED
        broadcast.paused_because = Broadcast.PausedBecause.APPROVAL
        Approval.objects.create(broadcast=broadcast)
    elif order.scheduled_at is not None:
        broadcast.status = Status.SCHEDULED


def _wake(broadcast: Broadcast) -> None:
    failpoint("api.after_commit", broadcast.text)
    tasks.try_waking(broadcast.pk, messages=broadcast.messages_total, first=True)
    failpoint("api.after_publish", broadcast.text)


def _require_still_allowed(member: Member) -> None:
    fresh = Member.objects.select_related("organization").get(pk=member.pk)
    roles.require(fresh, Right.SEND)
    terms.require_accepted(member)

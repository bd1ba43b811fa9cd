"""Broadcasts: what is sent, to whom, for how much. `send` is the only way anything is ever sent."""

import logging
import time
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from psycopg import errors

from accounts import audit, roles, terms
from accounts.models import Member, Organization
from accounts.roles import Right
from billing import ledger, rates
from billing.ledger import InsufficientCredits
from contacts import number_readings
from messaging import audiences, idempotency, providers, sms_text, tasks
from messaging.audiences import Audience, Classified, Rules
from messaging.failpoints import failpoint
from messaging.idempotency import Once
from messaging.models import Broadcast, Kind
from messaging.sms_text import Measure

log = logging.getLogger(__name__)

Status = Broadcast.Status

TRIES: Final = 3  # of a transaction that PostgreSQL broke off to end a deadlock
READINGS: Final = 3  # of numbers, while contacts are being added
RETRY_AFTER: Final = 5  # seconds, until a lost database is likely to be back

# Accepting a million contacts takes longer than any other statement may; sorting them, more memory.
_SETTINGS: Final = "SET LOCAL statement_timeout = '300s'; SET LOCAL work_mem = '64MB'"


class TextTooLong(Exception):
    """No provider that may carry it takes a text this long; nothing was written."""


class TextNotAllowed(Exception):
    """The text has nothing to see in it; nothing was written."""


class KindNotCarried(Exception):
    """No provider of this installation carries this type; nothing was written."""


class CountryNotAllowed(Exception):
    """The organization may not send to this country; nothing was written."""


class AudienceTooLarge(Exception):
    """The audience is over the ceiling of this installation; nothing was written."""


class ContactsKeepChanging(Exception):
    """Contacts changed faster than their numbers could be read; nothing was written."""


@dataclass(frozen=True, slots=True)
class _Order:
    """What a member asked to be sent, read and measured."""

    member: Member
    audience: Audience
    text: str
    kind: str
    country: str
    address: str | None
    once: Once | None
    measure: Measure
    rules: Rules
    repeat_guard_seconds: int


class AcceptanceUnknown(Exception):
    """The database was lost in the moment of accepting: the broadcast exists whole, or not at all."""

    def __init__(self, once: Once | None) -> None:
        # Without a key whoever asked must look before he tries again.
        self.retry_after = RETRY_AFTER if once is not None else None
        super().__init__(
            _(
                "The database was lost while the broadcast was being accepted: the outcome is unknown."
                " Retry with the same Idempotency-Key: if it was accepted you get its answer, if not it"
                " is accepted then."
            )
            if once is not None
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
    address: str | None = None,
    once: Once | None = None,
) -> Broadcast:
    """Accept one text to everybody of the audience and return its broadcast.

    All or nothing: when this raises, no message exists and no credit moved. Once it returns, every
    contact is accounted for by a Message or a Skip, the credits are reserved, and the messages will be
    handed over whether or not the broker is there. A broadcast that reaches nobody is COMPLETED. With
    `once`, the request is carried out by one call alone; all others get `CarriedOutBefore`.

    Raises: RoleMissing, TermsNotAccepted, TextNotAllowed, TextTooLong, KindNotCarried,
    CountryNotAllowed, AudienceTooLarge, InsufficientCredits, ContactsKeepChanging, AcceptanceUnknown,
    SentJustNow; with `once` also CarriedOutBefore, KeyUsedForAnother, KeyStillRunning.
    """
    roles.require(member, Right.SEND)
    terms.require_accepted(member)
    organization = Organization.objects.get(members=member)
    if once is not None:
        idempotency.require_not_carried_out(organization_id=organization.pk, once=once)
    measure = _require_sendable(text, kind)
    rules = Rules(
        organization_id=organization.pk,
        countries=list(dict.fromkeys(filter(None, [country, organization.country]))),
        allowed_countries=_reachable_countries(organization, kind, country),
        allows_special_numbers=organization.allows_special_numbers,
        segments=measure.segments,
    )
    order = _Order(
        member=member,
        audience=audience,
        text=text,
        kind=kind,
        country=country,
        address=address,
        once=once,
        measure=measure,
        rules=rules,
        repeat_guard_seconds=organization.repeat_guard_seconds,
    )
    _require_free(order)
    for _reading in range(READINGS):
        number_readings.ensure(organization_id=organization.pk, countries=rules.countries)
        _require_credits_for_one(order)
        try:
            return _retried(order)
        except _Unread:
            continue
    raise ContactsKeepChanging(
        _(
            "Your contacts are changing faster than their numbers can be read. Try again in a minute."
        )
    )


def require_visible(text: str) -> None:
    """Pass when a phone can show the text, and something of it can be seen.

    Raises: TextNotAllowed.
    """
    if sms_text.is_blank(text):
        raise TextNotAllowed(_("Write a message: this one has nothing to see in it."))
    if "\0" in text or _has_lone_surrogate(text):
        raise TextNotAllowed(_("The message holds a character that no phone can show. Remove it."))


def _require_sendable(text: str, kind: str) -> Measure:
    """Return the text's measure when some provider carries it whole."""
    require_visible(text)
    try:
        limits = providers.limits(kind)
    except providers.NoProvider as error:
        raise KindNotCarried(
            _(
                "No provider of this installation carries messages of type %(kind)s. Send another type,"
                " or ask the operator to add a provider to SMS_PROVIDERS."
            )
            % {"kind": kind}
        ) from error
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2
    if limits.max_characters is not None and units > limits.max_characters:
        raise TextTooLong(
            _("The message has %(units)d characters; at most %(most)d can be sent. Shorten it.")
            % {"units": units, "most": limits.max_characters}
        )
    measure = sms_text.measure(text)
    if limits.max_segments is not None and measure.segments > limits.max_segments:
        raise TextTooLong(
            ngettext(
                "The message takes %(segments)d segment; at most %(most)d can be sent. Shorten it.",
                "The message takes %(segments)d segments; at most %(most)d can be sent. Shorten it.",
                measure.segments,
            )
            % {"segments": measure.segments, "most": limits.max_segments}
        )
    return measure


def _has_lone_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _reachable_countries(
    organization: Organization, kind: str, country: str
) -> frozenset[str] | None:
    """Return the countries that the organization may send to and a provider carries; None is every one.

    Raises: CountryNotAllowed when the request's own country is none of them.
    """
    allowed = frozenset(organization.allowed_countries)
    carried = providers.countries(kind)
    if country and allowed and country not in allowed:
        raise CountryNotAllowed(
            _("Your organization may not send to %(country)s. It may send to: %(allowed)s.")
            % {"country": country, "allowed": ", ".join(sorted(allowed))}
        )
    if country and carried is not None and country not in carried:
        raise CountryNotAllowed(
            _(
                "No provider of this installation carries messages to %(country)s."
                " They go to: %(carried)s."
            )
            % {"country": country, "carried": ", ".join(sorted(carried))}
        )
    if carried is None:
        return allowed or None
    return allowed & carried if allowed else carried


def _require_free(order: _Order) -> None:
    if order.once is not None:
        idempotency.require_free(organization_id=order.rules.organization_id, once=order.once)


def _require_credits_for_one(order: _Order) -> None:
    """Refuse before anything is written when not even one message could be paid."""
    rules = order.rules
    available = ledger.balance(rules.organization_id).available
    if available < rules.segments * rates.lowest(rules.allowed_countries or ()):
        estimate = audiences.estimate(rules=rules, audience=order.audience)
        _require_size(estimate)
        if estimate.credits:  # else nobody can be reached, which costs nothing
            _require_free(order)  # a twin may have spent them a moment ago
            raise InsufficientCredits(required=estimate.credits, available=available)


def _require_size(classified: Classified) -> None:
    if classified.audience > settings.MAX_AUDIENCE:
        raise AudienceTooLarge(
            _(
                "%(audience)d contacts are more than one broadcast may have (%(most)d)."
                " Ask the operator to raise MAX_AUDIENCE."
            )
            % {"audience": classified.audience, "most": settings.MAX_AUDIENCE}
        )


def _retried(order: _Order) -> Broadcast:
    """Return the accepted broadcast; begin anew when PostgreSQL broke the transaction off for another."""
    for attempt in range(1, TRIES + 1):
        try:
            return _accept(order)
        except OperationalError as error:
            is_ours_to_retry = isinstance(
                error.__cause__, errors.SerializationFailure | errors.DeadlockDetected
            )
            if attempt == TRIES or not is_ours_to_retry:
                raise
            time.sleep(0.05 * attempt)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _accept(order: _Order) -> Broadcast:
    is_written = False
    try:
        with transaction.atomic():
            broadcast = _write(order)
            is_written = True
    except (OperationalError, InterfaceError) as error:
        if not is_written:
            raise
        raise AcceptanceUnknown(order.once) from error
    return broadcast


def _write(order: _Order) -> Broadcast:
    """Write the broadcast with all that belongs to it, inside the caller's transaction."""
    rules = order.rules
    queue_id = uuid4()
    with connection.cursor() as cursor:
        cursor.execute(_SETTINGS)
    _claim(order, queue_id)
    broadcast = Broadcast.objects.create(
        id=queue_id,
        organization_id=rules.organization_id,
        member=order.member,
        text=order.text,
        kind=order.kind,
        country=order.country,
        encoding=order.measure.encoding,
        segments=order.measure.segments,
        status=Status.RUNNING,
    )
    classified = audiences.write(broadcast_id=queue_id, rules=rules, audience=order.audience)
    if classified.unread:
        raise _Unread
    _require_size(classified)
    broadcast.audience = classified.audience
    broadcast.messages_total = broadcast.queued = classified.recipients
    broadcast.skipped_total = sum(classified.skipped.values())
    broadcast.skipped_by_reason = dict(classified.skipped)
    broadcast.credits = classified.credits
    broadcast.fingerprint = classified.fingerprint
    if not classified.recipients:
        broadcast.status = Status.COMPLETED
        broadcast.finished_at = broadcast.created_at
    broadcast.save()
    audit.record(
        act="broadcast.accepted",
        subject=broadcast,
        member=order.member,
        details={"messages": classified.recipients, "credits": classified.credits},
        address=order.address,
    )
    # Once more, without a lock on the member's row: it would block that member's sign-in.
    failpoint("api.after_insert", order.text)
    _require_still_allowed(order.member)
    if classified.credits:
        # Last, so that the organization's one hot row is held for the shortest time.
        ledger.reserve(
            organization_id=rules.organization_id,
            amount=classified.credits,
            reference=f"broadcast:{queue_id}",
        )
    failpoint("api.after_reserve", order.text)
    log.info(
        "broadcast_accepted",
        extra={
            "broadcast": str(queue_id),
            "recipients": classified.recipients,
            "skipped": broadcast.skipped_total,
            "credits": classified.credits,
        },
    )
    if classified.recipients:
        # No `partial`: Django asks a callback that failed for its name, and a partial has none.
        transaction.on_commit(lambda: _wake(broadcast), robust=True)
    failpoint("api.before_commit", order.text)
    return broadcast


def _claim(order: _Order, queue_id: UUID) -> None:
    """Let one of several equal requests pass: the others wait here until it is known how that one ended."""
    organization_id = order.rules.organization_id
    if order.once is not None:
        idempotency.claim(organization_id=organization_id, once=order.once, queue_id=queue_id)
    if order.repeat_guard_seconds:
        idempotency.claim_text(
            organization_id=organization_id,
            queue_id=queue_id,
            seconds=order.repeat_guard_seconds,
            is_meant=order.once is not None,
            what={
                "text": order.text,
                "kind": order.kind,
                "country": order.country,
                "audience": order.audience.name,
            },
        )


def _wake(broadcast: Broadcast) -> None:
    failpoint("api.after_commit", broadcast.text)
    tasks.try_waking(broadcast.pk, messages=broadcast.messages_total, first=True)
    failpoint("api.after_publish", broadcast.text)


def _require_still_allowed(member: Member) -> None:
    roles.require(Member.objects.get(pk=member.pk), Right.SEND)
    terms.require_accepted(member)

"""Broadcasts: what is sent, to whom, for how much. `send` is the only way anything is ever sent."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
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
from messaging import audiences, providers, sms_text, tasks
from messaging.audiences import Audience, Classified, Rules
from messaging.failpoints import failpoint
from messaging.models import Broadcast, Kind
from messaging.sms_text import Measure

log = logging.getLogger(__name__)

Status = Broadcast.Status

PAGE: Final = 5_000  # messages a page of the answer
TRIES: Final = 3  # of a transaction that PostgreSQL broke off to end a deadlock
READINGS: Final = 3  # of numbers, while contacts are being added

# Accepting a million contacts takes longer than any other statement may; sorting them, more memory.
_SETTINGS: Final = "SET LOCAL statement_timeout = '300s'; SET LOCAL work_mem = '64MB'"

# Messages that were just written are not in PostgreSQL's statistics yet: expecting a handful it would
# fetch and sort the whole broadcast for every page, which is quadratic. The index has them in order.
_IN_ORDER: Final = "SET LOCAL enable_bitmapscan = off"

_PAGE: Final = """
SELECT string_agg(format('{"id":"%%s","recipient":"%%s"}', id, recipient), ',' ORDER BY id),
  count(*), max(id::text)
FROM (
  SELECT id, recipient FROM messaging_message
  WHERE broadcast_id = %s AND id > %s ORDER BY id LIMIT %s
) page
"""


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
    measure: Measure
    rules: Rules


class AcceptanceUnknown(Exception):
    """The database was lost in the moment of accepting: the broadcast exists whole, or not at all."""


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
) -> Broadcast:
    """Accept one text to everybody of the audience and return its broadcast.

    All or nothing: when this raises, no message exists and no credit moved. Once it returns, every
    contact is accounted for by a Message or a Skip, the credits are reserved, and the messages will be
    handed over whether or not the broker is there. A broadcast that reaches nobody is COMPLETED.

    Raises: RoleMissing, TermsNotAccepted, TextNotAllowed, TextTooLong, KindNotCarried,
    CountryNotAllowed, AudienceTooLarge, InsufficientCredits, ContactsKeepChanging.
    """
    roles.require(member, Right.SEND)
    terms.require_accepted(member)
    organization = Organization.objects.get(members=member)
    measure = _require_sendable(text, kind)
    _require_allowed(organization, country)
    rules = Rules(
        organization_id=organization.pk,
        countries=list(dict.fromkeys(filter(None, [country, organization.country]))),
        allowed_countries=organization.allowed_countries,
        allows_special_numbers=organization.allows_special_numbers,
        segments=measure.segments,
    )
    order = _Order(member, audience, text, kind, country, address, measure, rules)
    for _reading in range(READINGS):
        number_readings.ensure(organization_id=organization.pk, countries=rules.countries)
        _require_credits_for_one(rules, audience)
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


def _require_allowed(organization: Organization, country: str) -> None:
    if country and organization.allowed_countries and country not in organization.allowed_countries:
        raise CountryNotAllowed(
            _("Your organization may not send to %(country)s. It may send to: %(allowed)s.")
            % {"country": country, "allowed": ", ".join(sorted(organization.allowed_countries))}
        )


def _require_credits_for_one(rules: Rules, audience: Audience) -> None:
    """Refuse before anything is written when not even one message could be paid."""
    available = ledger.balance(rules.organization_id).available
    if available < rules.segments * rates.lowest(rules.allowed_countries):
        estimate = audiences.estimate(rules=rules, audience=audience)
        _require_size(estimate)
        if estimate.credits:  # else nobody can be reached, which costs nothing
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
        raise AcceptanceUnknown(
            _(
                "The database was lost while the broadcast was being accepted. Look in the admin whether"
                " it is there before you send it again."
            )
        ) from error
    return broadcast


def _write(order: _Order) -> Broadcast:
    """Write the broadcast with all that belongs to it, inside the caller's transaction."""
    rules = order.rules
    queue_id = uuid4()
    with connection.cursor() as cursor:
        cursor.execute(_SETTINGS)
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
        transaction.on_commit(partial(_wake, broadcast), robust=True)
    failpoint("api.before_commit", order.text)
    return broadcast


def _wake(broadcast: Broadcast) -> None:
    failpoint("api.after_commit", broadcast.text)
    tasks.try_waking(broadcast.pk, messages=broadcast.messages_total, first=True)
    failpoint("api.after_publish", broadcast.text)


def _require_still_allowed(member: Member) -> None:
    roles.require(Member.objects.get(pk=member.pk), Right.SEND)
    terms.require_accepted(member)


def answer_pages(*, queue_id: UUID) -> Iterator[str]:
    """Yield the entries of an accepted broadcast's answer, as JSON text, page by page.

    Each page is a short transaction of its own, so a slow reader holds nothing in PostgreSQL, and its
    text is made there, so that memory stays flat at a million messages.
    """
    after = "00000000-0000-0000-0000-000000000000"
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(_IN_ORDER)
            cursor.execute(_PAGE, [queue_id, after, PAGE])
            text, count, last = cursor.fetchone()
        if count:
            yield text
        if count < PAGE:
            return
        after = last

"""Opt-outs: numbers that an organization must not write to, and who may lift them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from accounts import audit, roles
from accounts.models import Member, Organization
from accounts.roles import Right
from contacts import phone_numbers
from contacts.models import Suppression


class InvalidRecipient(ValueError):
    """The text is no phone number; no opt-out was written or lifted."""


@transaction.atomic
def add(
    *,
    organization: Organization,
    recipient: str,
    source: str,
    member: Member | None = None,
    address: str | None = None,
) -> Suppression:
    """Stop everything to this number, from the next hand-over on. Doing it again changes nothing.

    A national number is read with the organization's country. An opt-out that a keyword set becomes
    the member's or the carrier's when they say so too, since the keyword START would lift it.

    Raises: InvalidRecipient; RoleMissing when the member may not add opt-outs.
    """
    if member is not None:
        roles.require(member, Right.ADD_SUPPRESSIONS)
    number = require_recipient(recipient, country=organization.country)
    return _stop(organization.pk, number, source=source, member=member, address=address)


@transaction.atomic
def add_from_carrier(*, organization_id: UUID, recipients: Sequence[str]) -> None:
    """Stop everything to these recipients, as the carrier told; `add` says what a repeat does.

    They are E.164 as messages have them and are not read again: a number that a newer numbering plan
    no longer knows was written to all the same, and may be opted out.
    """
    for recipient in sorted(set(recipients)):  # in one order, so that two never wait in a circle
        _stop(organization_id, recipient, source=Suppression.Source.CARRIER)


@transaction.atomic
def add_from_keyword(*, recipient: str, organization_ids: Collection[UUID]) -> None:
    """Stop everything to a recipient who answered STOP, for each organization that wrote to it.

    An opt-out that a member or the carrier set stays theirs, which START does not lift.
    """
    for organization_id in sorted(set(organization_ids)):
        _stop(organization_id, recipient, source=Suppression.Source.KEYWORD)


@transaction.atomic
def lift_from_keyword(*, recipient: str, organization_ids: Collection[UUID]) -> int:
    """Allow a recipient who answered START again, where a keyword had set the opt-out.

    Return for how many organizations that was. What a member or the carrier set stays.
    """
    keyword = Suppression.Source.KEYWORD
    set_by_keyword = Suppression.objects.filter(
        recipient=recipient, organization_id__in=organization_ids, source=keyword
    ).select_related("organization")
    lifted = 0
    for suppression in set_by_keyword.order_by("organization_id"):
        # A member or the carrier may take it over at this moment: then it stays.
        gone, _rows = Suppression.objects.filter(pk=suppression.pk, source=keyword).delete()
        if gone:
            lifted += 1
            _record("suppression.lifted", suppression, source=keyword, member=None, address=None)
    return lifted


@transaction.atomic
def lift(*, suppression: Suppression, member: Member, address: str | None = None) -> None:
    """Allow the number again. Of two at once one lifts it and is recorded.

    Raises: RoleMissing when the member may not lift opt-outs.
    """
    roles.require(member, Right.LIFT_SUPPRESSIONS)
    deleted, _rows = Suppression.objects.filter(pk=suppression.pk).delete()
    if deleted:
        _record(
            "suppression.lifted",
            suppression,
            source=suppression.source,
            member=member,
            address=address,
        )


def require_recipient(text: str, *, country: str) -> str:
    """Return the number's E.164.

    Raises: InvalidRecipient.
    """
    reading = phone_numbers.read(text, country)
    if not reading.e164:
        raise InvalidRecipient(
            _("This is no valid phone number. Write it with its country, as +57 300 123 4567.")
        )
    return reading.e164


def digest(recipient: str) -> str:
    """Return what stands for a number in the audit: always the same, and no way back."""
    return salted_hmac(
        "contacts.recipient", recipient, secret=settings.AUDIT_KEY, algorithm="sha256"
    ).hexdigest()


def _stop(
    organization_id: UUID,
    recipient: str,
    *,
    source: str,
    member: Member | None = None,
    address: str | None = None,
) -> Suppression:
    """Return the opt-out of this number; it is recorded when this made it or took it over."""
    suppression, has_changed = Suppression.objects.get_or_create(
        organization_id=organization_id,
        recipient=recipient,
        defaults={"source": source, "member": member},
    )
    keyword = Suppression.Source.KEYWORD
    if not has_changed and source != keyword:
        taken_over = Suppression.objects.filter(pk=suppression.pk, source=keyword)
        has_changed = bool(taken_over.update(source=source, member=member))
        suppression.refresh_from_db()
    if has_changed:
        _record("suppression.added", suppression, source=source, member=member, address=address)
    return suppression


def _record(
    act: str, suppression: Suppression, *, source: str, member: Member | None, address: str | None
) -> None:
    audit.record(
        act=act,
        subject=suppression,
        member=member,
        organization=suppression.organization,
        details={"recipient_digest": digest(suppression.recipient), "source": source},
        address=address,
    )

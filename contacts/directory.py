"""An organization's contacts as a directory: adding and changing them, finding them, taking them out."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now
from django.utils.translation import gettext

from accounts import audit, roles
from accounts.models import Member
from accounts.roles import Right
from contacts import phone_numbers, words
from contacts.models import SEARCHED, Contact, ContactQuerySet, Tag

_LIKE_A_NUMBER: Final = re.compile(r"\(?\+[\d\s().\-/]+|[\d\s().\-/]{3,}")
_LONGEST_SEARCH: Final = 200
_READ_TOGETHER: Final = frozenset({"phone", "country"})  # what a number's reading is made of


class ContactNotFound(Exception):
    """The organization has no such contact, or had it deleted; nothing was done."""


class InvalidPhone(ValueError):
    """The number as written is no phone number; nothing was written."""


class DuplicatePhone(Exception):
    """Another contact of the organization has this number; nothing was written."""


@transaction.atomic
def add(
    *,
    contact: Contact,
    tags: Collection[Tag] = (),
    by: Member,
    address: str | None = None,
    takes_doubtful: bool = False,
) -> None:
    """Keep the new contact, with these tags.

    A number that cannot be read, or that another contact has, is refused, also of two requests at the
    same moment. A door that shows it and warns of it takes it all the same: `takes_doubtful`.

    Raises: RoleMissing; InvalidPhone; DuplicatePhone.
    """
    roles.require(by, Right.MANAGE_CONTACTS)
    _read_number(contact, takes_doubtful=takes_doubtful)
    contact.save()
    if tags:
        contact.tags.set(tags)
    _record("contact.added", contact, by, address)


@transaction.atomic
def change(
    *,
    contact: Contact,
    fields: Collection[str],
    tags: Collection[Tag] | None = None,
    by: Member,
    address: str | None = None,
    takes_doubtful: bool = False,
) -> None:
    """Keep these fields of the contact as they are in memory; None leaves its tags alone.

    A changed number is refused as `add` refuses it; one that was doubtful before stays as it is.

    Raises: RoleMissing; InvalidPhone; DuplicatePhone.
    """
    roles.require(by, Right.MANAGE_CONTACTS)
    if not fields and tags is None:
        return
    if _READ_TOGETHER.intersection(fields):
        _take_over(contact, _READ_TOGETHER.difference(fields))
    _read_number(contact, takes_doubtful=takes_doubtful)
    contact.save(update_fields=[*fields, "updated_at"])
    if tags is not None:
        contact.tags.set(tags)
    changed = {*fields, *(() if tags is None else ("tags",))}
    _record("contact.changed", contact, by, address, fields=sorted(changed))


@transaction.atomic
def remove(
    *, contacts: ContactQuerySet, by: Member | None = None, address: str | None = None
) -> int:
    """Take the contacts out of every list and audience; their messages stay. Return how many.

    Raises: RoleMissing when the member may not remove contacts.
    """
    if by is not None:
        roles.require(by, Right.MANAGE_CONTACTS)
    living = contacts.living().select_related("organization").order_by("pk")
    removed = list(living.select_for_update(of=("self",)))
    Contact.objects.filter(pk__in=[contact.pk for contact in removed]).update(
        deleted_at=Now(), updated_at=Now()
    )
    for contact in removed:
        _record("contact.removed", contact, by, address)
    return len(removed)


def find(*, contacts: ContactQuerySet, text: str, country: str = "") -> ContactQuerySet:
    """Return those of the contacts that the text means: a number or its beginning, or words.

    A national number is read with `country`, or with all where that is empty; it is also looked up
    as it was written among the numbers that depend on a country. Of words all must begin a word of
    the names or the e-mail address, with or without accents. Each is answered from an index.
    """
    text = text.strip()[:_LONGEST_SEARCH]
    if _LIKE_A_NUMBER.fullmatch(text):
        return contacts.filter(_of_number(text, country))
    query = words.query(text)
    if query is None:
        return contacts
    # Said twice for the planner, which never expects a beginning of a word in less than 0.5 % of the
    # rows, and reads a million of them in their order to find the twenty newest of a rare name.
    return contacts.alias(words=words.vector(*SEARCHED)).filter(words=query).filter(words=query)


def narrow(
    *,
    contacts: ContactQuerySet,
    search: str = "",
    status: str = "",
    tag_ids: Collection[UUID] = (),
    countries: Collection[str] = (),
    origin: str = "",
    country: str = "",
) -> ContactQuerySet:
    """Return those of the contacts for which all holds that is given.

    `tag_ids`: they carry any of them. `countries`: their number belongs to any of them. `search` is what
    `find` takes, with `country`.
    """
    equal = {"status": status, "origin": origin}
    contacts = contacts.filter(**{name: value for name, value in equal.items() if value})
    if countries:
        contacts = contacts.filter(region__in=countries)
    if tag_ids:
        carried = Contact.tags.through.objects.filter(contact=OuterRef("pk"), tag__in=tag_ids)
        contacts = contacts.filter(Exists(carried))
    return find(contacts=contacts, text=search, country=country) if search else contacts


def first_with_number_of(contact: Contact) -> Contact | None:
    """Return the oldest other contact with the same number: a broadcast writes to the oldest alone.

    A number whose country is not known yet is the same where it is written alike.
    """
    same = Q(e164=contact.e164) if contact.e164 else Q(e164="", phone=contact.phone)
    others = Contact.objects.living().filter(same, organization=contact.organization_id)
    return others.exclude(pk=contact.pk).order_by("created_at", "id").first()


def obstacle(*, contact: Contact, is_opted_out: bool) -> str:
    """Return the first reason for which a broadcast of now would skip the contact; "" where none.

    In the order in which broadcasts try them, for the number as it was read at the door.
    """
    organization = contact.organization
    allowed = organization.allowed_countries
    if contact.status != Contact.Status.ACTIVE:
        return contact.get_status_display()
    if not contact.e164:
        return contact.get_refusal_display()
    if contact.refusal and not organization.allows_special_numbers:
        return contact.get_refusal_display()
    if allowed and contact.region not in allowed:
        return gettext("Country that may not be written to")
    return gettext("Opted out") if is_opted_out else ""


def begins(**number: str) -> Q:
    """Return the condition that the column of digits, as `e164`, begins like this.

    A range and not LIKE: it is answered from an index under every collation.
    """
    [(column, beginning)] = number.items()
    last = beginning.ljust(phone_numbers.LONGEST, "9")
    return Q(**{f"{column}__gte": beginning, f"{column}__lte": last})


def is_number(text: str, country: str, *, column: str) -> Q:
    """Return the condition that the column in E.164 is, or begins, as the text is typed."""
    condition = Q(pk__in=[])
    for beginning in phone_numbers.beginnings(text, country):
        condition |= begins(**{column: beginning})
    return condition


def _of_number(text: str, country: str) -> Q:
    """Return the condition on a number that is, or begins, as the text."""
    as_written = begins(phone=text) & Q(read_as__gt="")
    return is_number(text, country, column="e164") | as_written


def _take_over(contact: Contact, fields: Collection[str]) -> None:
    """Hold the contact's row, and take these fields from it as they are now.

    Of two at once who change number and country, each would keep the reading of the other's old one.
    """
    rows = Contact.objects.select_for_update(no_key=True).filter(pk=contact.pk)
    now = rows.only("pk", *fields).get()
    for name in fields:
        setattr(contact, name, getattr(now, name))


def _read_number(contact: Contact, *, takes_doubtful: bool) -> None:
    """Read a number that is new, and refuse what is none or another contact's.

    Raises: InvalidPhone; DuplicatePhone.
    """
    known = contact.e164
    if not contact.read_number() or takes_doubtful:
        return
    if not contact.e164:
        raise InvalidPhone(_why_not(contact))
    if contact.e164 == known:
        return
    with connection.cursor() as cursor:  # of two at the same moment the second waits, and then sees
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))",
            [f"contact {contact.organization_id} {contact.e164}"],
        )
    first = first_with_number_of(contact)
    if first is not None:
        raise DuplicatePhone(
            gettext("Contact %(id)s has this number already. Change that one instead.")
            % {"id": first.pk}
        )


def _why_not(contact: Contact) -> str:
    if contact.read_as == phone_numbers.NOWHERE:
        return gettext(
            "This number is written without its country and none is known. Write it as "
            "+57 300 123 4567, or give the contact or your organization a country."
        )
    return gettext("This is no valid phone number. Write it with its country, as +57 300 123 4567.")


def _record(
    act: str, contact: Contact, by: Member | None, address: str | None, **details: object
) -> None:
    audit.record(
        act=act,
        subject=contact,
        member=by,
        organization=contact.organization,
        details=details,
        address=address,
    )

"""An organization's contacts as a directory: finding them, taking them out."""

from __future__ import annotations

import re
from typing import Final

from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext

from contacts import phone_numbers, words
from contacts.models import SEARCHED, Contact, ContactQuerySet

_LIKE_A_NUMBER: Final = re.compile(r"\(?\+[\d\s().\-/]+|[\d\s().\-/]{3,}")
_LONGEST_SEARCH: Final = 200


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
    return contacts.alias(words=words.vector(*SEARCHED)).filter(words=query)


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


def remove(*, contacts: ContactQuerySet) -> int:
    """Take the contacts out of every list and audience; their messages stay. Return how many."""
    return contacts.living().update(deleted_at=Now(), updated_at=Now())


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

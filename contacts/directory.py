"""An organization's contacts as a directory: finding them, taking them out."""

from __future__ import annotations

import re
from typing import Final

from django.db.models import Q
from django.db.models.functions import Now

from contacts import phone_numbers, words
from contacts.models import SEARCHED, ContactQuerySet

_LIKE_A_NUMBER: Final = re.compile(r"\(?\+[\d\s().\-/]+|[\d\s().\-/]{3,}")
_LONGEST_SEARCH: Final = 200


def find(*, contacts: ContactQuerySet, text: str, country: str = "") -> ContactQuerySet:
    """Return those of the contacts that the text means: a number or its beginning, or words.

    A national number is read with `country`, and is also looked up as it was written among the
    numbers that depend on a country. Of words all must begin a word of the names or the e-mail
    address, with or without accents. Each is answered from an index.
    """
    text = text.strip()[:_LONGEST_SEARCH]
    if _LIKE_A_NUMBER.fullmatch(text):
        return contacts.filter(_of_number(text, country))
    query = words.query(text)
    if query is None:
        return contacts
    return contacts.alias(words=words.vector(*SEARCHED)).filter(words=query)


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


def _of_number(text: str, country: str) -> Q:
    """Return the condition on a number that is, or begins, as the text."""
    as_written = begins(phone=text) & Q(read_as__gt="")
    beginning = phone_numbers.beginning(text, country)
    if not beginning:
        return as_written
    return begins(e164=beginning) | as_written

"""One row of a file as a contact: its fields read and checked, or the reason why not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from contacts import phone_numbers
from contacts.import_rows import UntakenRow
from contacts.imports.mapping import FIELDS
from contacts.models import Contact, Tag

Reason = UntakenRow.Reason

_LIMITS: Final = tuple(
    (FIELDS.index(field), field, limit)
    for field, limit in {
        "phone": phone_numbers.LONGEST,
        "name": Contact._meta.get_field("name").max_length or 0,
        "lastName": Contact._meta.get_field("last_name").max_length or 0,
        "email": Contact._meta.get_field("email").max_length or 0,
    }.items()
)
_PHONE: Final = FIELDS.index("phone")
_LONGEST_TAG: Final = Tag._meta.get_field("name").max_length or 0
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_TAG_ENDS: Final = re.compile(r"[;,|\n]")
_ISO: Final = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ].*)?", re.ASCII)
_DAY_FIRST: Final = re.compile(r"(\d{1,2})[-/.](\d{1,2})[-/.](\d{4})", re.ASCII)
# Django takes all of these, and four more microseconds for each.
_USUAL_EMAIL: Final = re.compile(
    r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*@(?:[A-Za-z0-9](?:[A-Za-z0-9-]{0,40}[A-Za-z0-9])?\.)+[A-Za-z]{2,12}"
)
_EARLIEST_YEAR: Final = 1900


@dataclass(frozen=True, slots=True)
class Untaken:
    """Why a row is not taken."""

    reason: str
    detail: str = ""


Record = tuple[str, str, str, str, str, str, str, str, str, str, str, str, str]
"""Key, phone, country, e164, region, read_as, refusal, name, last name, e-mail, birth, status, tags."""

TOO_MANY_CELLS: Final = "\x00"
"""Stands as the only cell for a row with more cells than headers."""


def read(cells: list[str], *, default_country: str) -> Record | Untaken:
    """Return the row as it is written to contacts, or why it is not taken.

    `cells` are in the order of `FIELDS`, trimmed, empty where there is nothing. Tags are parted by
    line ends. A number is invalid in the country it has to be read with, or kept unread where none is
    known, as everywhere else.
    """
    if (untaken := _unfit(cells)) is not None:
        return untaken
    phone, calling_code, country, name, last_name, email, birth, status, tags = cells
    own_country = _country(country or calling_code)
    if own_country is None:
        return Untaken(Reason.UNKNOWN_COUNTRY)
    reading, read_as = phone_numbers.read_contact(phone, own_country, default_country)
    if reading.refusal == phone_numbers.INVALID and read_as != phone_numbers.NOWHERE:
        return Untaken(Reason.INVALID_NUMBER)
    if email and not _is_email(email):
        return Untaken(Reason.INVALID_EMAIL)
    born = _day(birth)
    if born is None:
        return Untaken(Reason.INVALID_DATE)
    if status and status.upper() not in Contact.Status.values:
        return Untaken(Reason.INVALID_STATUS)
    named = tag_names(tags) if tags else []
    if any(len(tag) > _LONGEST_TAG for tag in named):
        return Untaken(Reason.TOO_LONG, "tags")
    return (
        reading.e164 or f"~{phone}",
        phone,
        own_country,
        reading.e164,
        reading.region,
        read_as,
        reading.refusal,
        name,
        last_name,
        email,
        born,
        status.upper(),
        "\n".join(named),
    )


def tag_names(cell: str) -> list[str]:
    """Return the names in a cell, parted by semicolons, commas or bars, each once."""
    names = (" ".join(name.split()) for name in _TAG_ENDS.split(cell))
    return list(dict.fromkeys(name for name in names if name))


def _unfit(cells: list[str]) -> Untaken | None:
    """Return why the texts cannot be a contact's; None where they can."""
    if cells == [TOO_MANY_CELLS]:
        return Untaken(Reason.TOO_MANY_CELLS)
    if _UNSTORABLE.search("\n".join(cells)):
        return Untaken(Reason.UNREADABLE)
    for position, field, limit in _LIMITS:
        if len(cells[position]) > limit:
            return Untaken(Reason.TOO_LONG, field)
    return None if cells[_PHONE] else Untaken(Reason.NO_NUMBER)


@lru_cache(maxsize=1_024)
def _country(text: str) -> str | None:
    """Return the two letters of a country, "" where there is nothing, None for what is none."""
    try:
        return phone_numbers.country_of(text) if text else ""
    except phone_numbers.UnsupportedCountry:
        return None


def _is_email(text: str) -> bool:
    if _USUAL_EMAIL.fullmatch(text):
        return True
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


def _day(text: str) -> str | None:
    """Return the day in ISO 8601, "" where there is nothing, None for what is no date of birth.

    Year first or day first: 01/02/1990 is the first of February, as everywhere but in the United States.
    """
    if not text:
        return ""
    if found := _ISO.fullmatch(text):
        year, month, day = (int(part) for part in found.groups())
    elif found := _DAY_FIRST.fullmatch(text):
        day, month, year = (int(part) for part in found.groups())
    else:
        return None
    try:
        return date(year, month, day).isoformat() if year >= _EARLIEST_YEAR else None
    except ValueError:
        return None

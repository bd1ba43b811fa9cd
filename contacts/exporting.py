"""Exporting contacts: all of a filter, in pages of texts that can be imported again."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date, datetime
from typing import Final
from uuid import UUID

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import OuterRef

from accounts import audit
from accounts.doors.fields import written
from accounts.doors.pagination import newer_than
from accounts.models import Member
from contacts import phone_numbers
from contacts.models import ContactQuerySet, Tag

HEADER: Final = (
    "phone",
    "countryCode",
    "country",
    "name",
    "lastName",
    "email",
    "birthDate",
    "status",
    "tags",
    "e164",
    "origin",
    "id",
    "createdAt",
    "updatedAt",
)
"""The columns, by the names that the API and the import know them by."""

TAGS_APART: Final = "; "

PAGE: Final = 5_000
"""Contacts read by one statement."""

_COLUMNS: Final = (
    "phone",
    "country",
    "region",
    "name",
    "last_name",
    "email",
    "birth_date",
    "status",
    "tag_names",
    "e164",
    "origin",
    "created_at",
    "updated_at",
    "id",
)


def record(*, kind: str, filters: Collection[str], by: Member, address: str | None = None) -> None:
    """Write down that the member takes contacts out of the house: as what, and by which filters."""
    audit.record(
        act="contacts.exported",
        subject="contact",
        member=by,
        details={"format": kind, "filters": sorted(filters)},
        address=address,
    )


def has_more_than(rows: int, *, contacts: ContactQuerySet) -> bool:
    """Return whether there are more contacts than that, without counting further."""
    return contacts.order_by()[: rows + 1].count() > rows


def pages(*, contacts: ContactQuerySet) -> Iterator[list[tuple[str, ...]]]:
    """Yield the contacts as rows of texts under `HEADER`, oldest first, in pages.

    Each page is a short statement of its own, outside any transaction: however slowly it is read,
    nothing is held in PostgreSQL, and memory stays flat at a million.
    """
    names = Tag.objects.filter(contacts=OuterRef("pk")).order_by("name").values("name")
    rows = (
        contacts.annotate(tag_names=ArraySubquery(names))
        .order_by("created_at", "id")
        .values_list(*_COLUMNS)
    )
    page = list(rows[:PAGE])
    while page:
        yield [_row(*contact) for contact in page]
        if len(page) < PAGE:
            return
        created_at, last = page[-1][-3], page[-1][-1]
        page = list(rows.filter(newer_than(created_at, last))[:PAGE])


def _row(
    phone: str,
    country: str,
    region: str,
    name: str,
    last_name: str,
    email: str,
    birth_date: date | None,
    status: str,
    tag_names: list[str],
    e164: str,
    origin: str,
    created_at: datetime,
    updated_at: datetime,
    contact_id: UUID,
) -> tuple[str, ...]:
    country = region or country
    return (
        phone,
        phone_numbers.calling_code_of(country),
        country,
        name,
        last_name,
        email,
        birth_date.isoformat() if birth_date else "",
        status,
        TAGS_APART.join(tag_names),
        e164,
        origin,
        str(contact_id),
        written(created_at),
        written(updated_at),
    )

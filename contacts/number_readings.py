"""Numbers that depend on the country in force, read ahead of the statement that needs them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import UUID

from django.db import connection

from contacts import phone_numbers
from contacts.models import Contact, NumberReading

PAGE: Final = 50_000
"""Contacts looked through by one statement, far below its timeout."""

CHUNK: Final = 5_000
"""Numbers read and written at once: a fifth of a second, and a few megabytes."""

_CONTACT: Final = Contact._meta.db_table
_READING: Final = NumberReading._meta.db_table

# Which countries the living contacts were read with. DISTINCT would read a million index entries;
# this hops from one country to the next.
_READ_AS: Final = f"""
WITH RECURSIVE country(read_as) AS (
    (SELECT read_as FROM {_CONTACT}
     WHERE organization_id = %(organization)s AND deleted_at IS NULL AND read_as <> ''
     ORDER BY read_as LIMIT 1)
  UNION ALL
    SELECT (SELECT c.read_as FROM {_CONTACT} c
            WHERE c.organization_id = %(organization)s AND c.deleted_at IS NULL AND c.read_as <> ''
              AND c.read_as > country.read_as
            ORDER BY c.read_as LIMIT 1)
    FROM country WHERE country.read_as IS NOT NULL
)
SELECT read_as FROM country WHERE read_as IS NOT NULL
"""

_END_OF_PAGE: Final = f"""
SELECT phone FROM {_CONTACT}
WHERE organization_id = %(organization)s AND deleted_at IS NULL AND read_as <> ''
  AND read_as = %(read_as)s AND phone > %(after)s
ORDER BY phone OFFSET %(page)s - 1 LIMIT 1
"""

# One stretch of an index less the same stretch of another: a number that was read before costs half
# a microsecond. An anti-join cut off by LIMIT was planned as a hash of everything for every chunk, and
# a nested loop costs four times as much. What the earlier country made valid, or knows as a number
# that may not be texted, is settled and not tried in the later one.
_MISSING: Final = f"""
SELECT phone FROM {_CONTACT}
WHERE organization_id = %(organization)s AND deleted_at IS NULL AND read_as <> ''
  AND read_as = %(read_as)s AND phone > %(after)s
  AND (%(last)s::text IS NULL OR phone <= %(last)s)
  AND (%(earlier)s::text IS DISTINCT FROM %(read_as)s OR refusal = '{phone_numbers.INVALID}')
EXCEPT
SELECT number FROM {_READING}
WHERE organization_id = %(organization)s AND country = %(country)s AND number > %(after)s
  AND (%(last)s::text IS NULL OR number <= %(last)s)
EXCEPT
SELECT number FROM {_READING}
WHERE organization_id = %(organization)s AND country = %(earlier)s AND number > %(after)s
  AND (%(last)s::text IS NULL OR number <= %(last)s) AND refusal <> '{phone_numbers.INVALID}'
ORDER BY 1
"""

_INSERT: Final = f"""
INSERT INTO {_READING} (organization_id, country, number, e164, region, refusal)
SELECT %(organization)s, %(country)s, number, e164, region, refusal
FROM unnest(%(numbers)s::text[], %(e164s)s::text[], %(regions)s::text[], %(refusals)s::text[])
  AS reading(number, e164, region, refusal)
ON CONFLICT DO NOTHING
"""


def ensure(*, organization_id: UUID, countries: Sequence[str]) -> int:
    """Read every living contact's number that is not known for these countries; return how many.

    `countries` are those in force, in their order: the request's, the organization's default. A
    number that one of them makes valid is not read with the next. Afterwards a contact's reading is
    its own columns where `read_as` is empty or the country in force, else the `NumberReading`.
    Outside a transaction each chunk is kept as it is read, and two at once do no harm. Memory does
    not grow with the contacts.
    """
    in_force = [c for c in dict.fromkeys(countries) if c and c != phone_numbers.NOWHERE]
    if not in_force:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(_READ_AS, {"organization": organization_id})
        known = [read_as for (read_as,) in cursor.fetchall()]
    count, earlier = 0, None
    for country in in_force:
        for read_as in known:
            if read_as == country:
                continue
            for numbers in _missing(organization_id, country, read_as=read_as, earlier=earlier):
                count += _read(organization_id, country, numbers)
        earlier = country
    return count


def _missing(
    organization_id: UUID, country: str, *, read_as: str, earlier: str | None
) -> Iterator[list[str]]:
    """Yield, a chunk at a time, the numbers read as of one country that another one lacks."""
    page: dict[str, Any] = {
        "organization": organization_id,
        "country": country,
        "read_as": read_as,
        "earlier": earlier,
        "page": PAGE,
        "after": "",
    }
    while page["after"] is not None:
        with connection.cursor() as cursor:
            cursor.execute(_END_OF_PAGE, page)
            page["last"] = next((phone for (phone,) in cursor.fetchall()), None)
            cursor.execute(_MISSING, page)
            numbers = [phone for (phone,) in cursor.fetchall()]
        for start in range(0, len(numbers), CHUNK):
            yield numbers[start : start + CHUNK]
        page["after"] = page["last"]


def _read(organization_id: UUID, country: str, numbers: list[str]) -> int:
    """Keep the readings of these numbers in this country; return how many numbers were read."""
    readings = [phone_numbers.read(number, country) for number in numbers]
    with connection.cursor() as cursor:
        cursor.execute(
            _INSERT,
            {
                "organization": organization_id,
                "country": country,
                "numbers": numbers,
                "e164s": [reading.e164 for reading in readings],
                "regions": [reading.region for reading in readings],
                "refusals": [reading.refusal for reading in readings],
            },
        )
    return len(numbers)

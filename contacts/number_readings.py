"""Numbers that depend on the country in force, read ahead of the statement that needs them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

from django.db import connection

from contacts import phone_numbers
from contacts.models import Contact, NumberReading

CHUNK: Final = 5_000
"""Numbers read and written at once: a tenth of a second, and a few megabytes."""

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
"""  # noqa: S608 - the names of our own tables

_MISSING: Final = f"""
SELECT DISTINCT c.phone FROM {_CONTACT} c
WHERE c.organization_id = %(organization)s AND c.deleted_at IS NULL AND c.read_as <> ''
  AND c.read_as = %(read_as)s AND c.phone > %(after)s
  AND NOT EXISTS (SELECT FROM {_READING} r
      WHERE r.organization_id = %(organization)s AND r.country = %(country)s AND r.number = c.phone)
  {{unless_settled}}
ORDER BY c.phone LIMIT {CHUNK}
"""  # noqa: S608 - the names of our own tables

# A number that an earlier country made valid, or recognised as one that may not be texted, is not
# tried in a later one.
_UNLESS_READ: Final = f"""
  AND NOT EXISTS (SELECT FROM {_READING} r
      WHERE r.organization_id = %(organization)s AND r.country = %(earlier)s AND r.number = c.phone
        AND r.refusal <> '{phone_numbers.INVALID}')
"""
_UNLESS_OWN: Final = f"AND c.refusal = '{phone_numbers.INVALID}'"

_INSERT: Final = f"""
INSERT INTO {_READING} (organization_id, country, number, e164, region, refusal)
SELECT %(organization)s, %(country)s, number, e164, region, refusal
FROM unnest(%(numbers)s::text[], %(e164s)s::text[], %(regions)s::text[], %(refusals)s::text[])
  AS reading(number, e164, region, refusal)
ON CONFLICT DO NOTHING
"""  # noqa: S608 - the names of our own tables


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
    return sum(
        _read_chunk(organization_id, country, numbers)
        for position, country in enumerate(in_force)
        for read_as in known
        if read_as != country
        for numbers in _missing(organization_id, read_as, country, in_force[:position])
    )


def _missing(
    organization_id: UUID, read_as: str, country: str, earlier: Sequence[str]
) -> Iterator[list[str]]:
    """Yield, a chunk at a time, the numbers read as of one country that another one lacks."""
    conditions, parameters = [], {}
    for position, settled_by in enumerate(earlier):
        if settled_by == read_as:
            conditions.append(_UNLESS_OWN)
        else:
            conditions.append(_UNLESS_READ.replace("%(earlier)s", f"%(earlier_{position})s"))
            parameters[f"earlier_{position}"] = settled_by
    statement = _MISSING.format(unless_settled="".join(conditions))
    after = ""
    while True:
        with connection.cursor() as cursor:
            cursor.execute(
                statement,
                {
                    "organization": organization_id,
                    "read_as": read_as,
                    "country": country,
                    "after": after,
                    **parameters,
                },
            )
            numbers = [number for (number,) in cursor.fetchall()]
        if numbers:
            yield numbers
        if len(numbers) < CHUNK:
            return
        after = numbers[-1]


def _read_chunk(organization_id: UUID, country: str, numbers: list[str]) -> int:
    """Write the readings of these numbers in this country; return how many numbers were read."""
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

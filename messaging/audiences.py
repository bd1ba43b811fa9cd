"""Who gets a broadcast and who is skipped, and why: one SQL statement accounts for every contact."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction

from billing import rates


@dataclass(frozen=True, slots=True)
class Everyone:
    """Every contact of the organization that is not deleted."""

    name = "all"
    condition = "TRUE"


Audience = Everyone


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What decides about each contact of one broadcast."""

    organization_id: UUID
    countries: Sequence[str]  # national numbers are read with these, the first valid reading counts
    allowed_countries: Collection[str] | None  # that it may be sent to; None: every country
    allows_special_numbers: bool
    segments: int  # of the text


@dataclass(frozen=True, slots=True)
class Classified:
    """What became of an audience: as many messages and skips as there are contacts in it."""

    recipients: int = 0
    credits: int = 0
    fingerprint: int = 0  # bit_xor of the hashed recipients
    skipped: Mapping[str, int] = field(default_factory=dict)
    unread: int = (
        0  # contacts whose number has no reading yet; the caller must read them and repeat
    )

    @property
    def audience(self) -> int:
        return self.recipients + sum(self.skipped.values())


def _reading(position: int) -> str:
    """Return the JOIN of what national numbers come to in one of the countries."""
    return f"""
  LEFT JOIN contacts_numberreading r{position} ON r{position}.organization_id = c.organization_id
    AND r{position}.number = c.phone AND r{position}.country = %(country_{position})s
    AND c.read_as NOT IN ('', %(country_{position})s)"""


def _read(column: str, count: int) -> str:
    """Return the expression of a number's column: the contact's own, or of the first valid reading.

    The contact's own counts where no country was needed, or where it was read with the one in force.
    """
    choices = [
        f"WHEN c.read_as = %(country_{position})s AND c.e164 <> '' THEN c.{column}"
        f" WHEN r{position}.e164 <> '' THEN r{position}.{column}"
        for position in range(count)
    ]
    if not choices:
        return f"CASE WHEN c.read_as = '' THEN c.{column} ELSE '' END"
    return f"CASE WHEN c.read_as = '' THEN c.{column} {' '.join(choices)} ELSE '' END"


def _unread(count: int) -> str:
    """Return the condition under which a contact's number was not read with a country it needs."""
    conditions = []
    valid_before: list[str] = []
    for position in range(count):
        missing = f"c.read_as <> %(country_{position})s AND r{position}.id IS NULL"
        conditions.append(" AND ".join([*valid_before, missing]))
        valid_before.append(
            f"(c.read_as <> %(country_{position})s OR c.e164 = '')"
            f" AND coalesce(r{position}.e164, '') = ''"
        )
    any_missing = " OR ".join(f"({condition})" for condition in conditions)
    return f"c.read_as <> '' AND ({any_missing})" if conditions else "FALSE"


def _classify(audience: Audience, count: int) -> str:
    """Return the CTEs that give every contact of the audience its place, number and outcome.

    `row_number` follows the index in which contacts stand as they were created, so nothing is sorted by
    name or number. Duplicates are few: only numbers that occur twice are looked up again.
    """
    return f"""
numbered AS (
  SELECT row_number() OVER (ORDER BY c.created_at, c.id) AS place, c.id AS contact_id, c.phone,
    c.status, {_read("e164", count)} AS e164, {_read("region", count)} AS region,
    {_read("refusal", count)} AS refusal, {_unread(count)} AS unread
  FROM contacts_contact c {"".join(_reading(position) for position in range(count))}
  WHERE c.organization_id = %(organization_id)s AND c.deleted_at IS NULL AND {audience.condition}
),
judged AS MATERIALIZED (
  SELECT place, contact_id, phone, e164, region,
    CASE WHEN n.status = 'BLOCKED' THEN 'contact_blocked'
      WHEN n.status = 'INACTIVE' THEN 'contact_inactive'
      WHEN unread THEN 'unread'
      WHEN e164 = '' THEN 'invalid_number'
      WHEN refusal <> '' AND NOT %(allows_special_numbers)s THEN 'unsupported_number'
      WHEN %(only_allowed)s AND region <> ALL(%(allowed_countries)s) THEN 'unsupported_country'
      WHEN EXISTS (SELECT FROM contacts_suppression s
        WHERE s.organization_id = %(organization_id)s AND s.recipient = n.e164) THEN 'opted_out'
    END AS reason
  FROM numbered n
),
repeated AS (
  SELECT e164, min(place) AS place FROM judged WHERE reason IS NULL GROUP BY e164 HAVING count(*) > 1
),
outcome AS (
  SELECT j.place, j.contact_id, j.phone, j.e164, j.region,
    CASE WHEN j.reason IS NULL AND repeated.place < j.place THEN 'duplicate' ELSE j.reason END AS reason,
    CASE WHEN j.reason IS NULL AND repeated.place < j.place THEN repeated.place END AS first_place
  FROM judged j LEFT JOIN repeated ON repeated.e164 = j.e164
)"""


def _parameters(rules: Rules) -> dict[str, Any]:
    return {
        "organization_id": rules.organization_id,
        "allows_special_numbers": rules.allows_special_numbers,
        "only_allowed": rules.allowed_countries is not None,
        "allowed_countries": sorted(rules.allowed_countries or ()),
        "segments": rules.segments,
        **{f"country_{position}": country for position, country in enumerate(rules.countries)},
    }


# Contacts that were just imported are not in PostgreSQL's statistics yet: it expects one row and joins by
# nested loops, which takes 20 s for 12,000 contacts and for ever for a million. Hashing takes 0.1 s.
_PLANNING: Final = "SET LOCAL enable_nestloop = off"


def estimate(*, rules: Rules, audience: Audience) -> Classified:
    """Return what would become of the audience at this moment; write nothing."""
    statement = f"""
WITH {_classify(audience, len(rules.countries))}
SELECT count(*) FILTER (WHERE reason IS NULL),
  coalesce(sum(%(segments)s * {rates.PRICE}) FILTER (WHERE reason IS NULL), 0)::bigint,
  coalesce(bit_xor(hashtextextended(e164, 0)) FILTER (WHERE reason IS NULL), 0),
  (SELECT coalesce(jsonb_object_agg(reason, number), '{{}}'::jsonb) FROM (
    SELECT reason, count(*) AS number FROM outcome WHERE reason IS NOT NULL GROUP BY reason
  ) left_out)
FROM outcome {rates.join("outcome.region")}"""
    with transaction.atomic():
        return _classified(statement, _parameters(rules))


def write(*, broadcast_id: UUID, rules: Rules, audience: Audience) -> Classified:
    """Write a Message or a Skip for every contact of the audience, and return how many of which.

    All of it is one statement that sees one moment. Messages stand in the order in which the contacts
    were created. Where `unread` is not 0 the outcome is not to be kept.
    """
    statement = f"""
WITH {_classify(audience, len(rules.countries))},
messages AS (
  INSERT INTO messaging_message
    (id, organization_id, broadcast_id, contact_id, recipient, country, segments, credits)
  SELECT uuidv7(), %(organization_id)s, %(broadcast_id)s, contact_id, e164, region, %(segments)s,
    %(segments)s * price
  FROM (
    SELECT outcome.contact_id, outcome.e164, outcome.region, {rates.PRICE} AS price
    FROM outcome {rates.join("outcome.region")}
    WHERE outcome.reason IS NULL ORDER BY outcome.place
  ) ordered
  RETURNING recipient, credits
),
skips AS (
  INSERT INTO messaging_skip (broadcast_id, contact_id, phone, reason, duplicate_of_id)
  SELECT %(broadcast_id)s, skipped.contact_id, skipped.phone, skipped.reason, skipped.first_id
  FROM (
    SELECT outcome.contact_id, outcome.phone, outcome.reason, first.contact_id AS first_id
    FROM outcome LEFT JOIN judged first ON first.place = outcome.first_place
    WHERE outcome.reason IS NOT NULL ORDER BY outcome.place
  ) skipped
  RETURNING reason
)
SELECT recipients, credits, fingerprint, coalesce(reasons, '{{}}'::jsonb)
FROM (
  SELECT count(*) AS recipients, coalesce(sum(credits), 0)::bigint AS credits,
    coalesce(bit_xor(hashtextextended(recipient, 0)), 0) AS fingerprint
  FROM messages
) written, (
  SELECT jsonb_object_agg(reason, number) AS reasons
  FROM (SELECT reason, count(*) AS number FROM skips GROUP BY reason) counted
) left_out"""
    return _classified(statement, _parameters(rules) | {"broadcast_id": broadcast_id})


def _classified(statement: str, parameters: Mapping[str, Any]) -> Classified:
    with connection.cursor() as cursor:
        cursor.execute(_PLANNING)
        cursor.execute(statement, parameters)
        recipients, amount, fingerprint, skipped = cursor.fetchone()
    reasons: dict[str, int] = json.loads(skipped)  # Django hands jsonb over as text
    unread = reasons.pop("unread", 0)
    return Classified(recipients, amount, fingerprint, reasons, unread)

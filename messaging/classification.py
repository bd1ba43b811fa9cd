"""Who of an audience gets a message and who is skipped, and why: one SQL statement accounts for all."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from billing import rates
from messaging.audiences import Audience, Source

SAMPLES: Final = 5  # recipients that an estimate shows


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What decides about each contact of one broadcast."""

    organization_id: UUID
    countries: Sequence[str]  # national numbers are read with these, the first valid reading counts
    allowed_countries: Collection[str] | None  # that it may be sent to; None: every country
    allows_special_numbers: bool
    segments: int  # of the text


@dataclass(frozen=True, slots=True)
class CountryShare:
    """What of a broadcast goes to one country."""

    country: str  # two letters; empty for numbers of no country
    recipients: int
    credits: int


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


@dataclass(frozen=True, slots=True)
class Foreseen(Classified):
    """What would become of an audience."""

    by_country: Sequence[CountryShare] = ()  # the one with the most recipients first


_JUDGED: Final = """
    CASE WHEN n.status = 'BLOCKED' THEN 'contact_blocked'
      WHEN n.status = 'INACTIVE' THEN 'contact_inactive'
      WHEN unread THEN 'unread'
      WHEN e164 = '' THEN 'invalid_number'
      WHEN refusal <> '' AND NOT %(allows_special_numbers)s THEN 'unsupported_number'
      WHEN %(only_allowed)s AND region <> ALL(%(allowed_countries)s) THEN 'unsupported_country'
      WHEN s.recipient IS NOT NULL THEN 'opted_out'
    END AS reason
  FROM numbered n LEFT JOIN contacts_suppression s
    ON s.organization_id = %(organization_id)s AND s.recipient = n.e164"""

# Duplicates are few: only numbers that occur twice are looked up again.
_OUTCOME: Final = f"""
judged AS MATERIALIZED (
  SELECT place, contact_id, phone, e164, region, {_JUDGED}
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


def write(*, broadcast_id: UUID, rules: Rules, audience: Audience) -> Classified:
    """Write a Message or a Skip for everybody of the audience, and return how many of which.

    All of it is one statement that sees one moment. Messages stand in the order of the audience. Where
    `unread` is not 0 the outcome is not to be kept.
    """
    source = audience.source(rules.countries)
    statement = f"""
WITH {source.ctes}, {_OUTCOME},
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
    with connection.cursor() as cursor:
        _plan(cursor, source)
        cursor.execute(
            statement, {**_parameters(rules), **source.parameters, "broadcast_id": broadcast_id}
        )
        recipients, amount, fingerprint, skipped = cursor.fetchone()
    reasons: dict[str, int] = json.loads(skipped)  # Django hands jsonb over as text
    unread = reasons.pop("unread", 0)
    return Classified(recipients, amount, fingerprint, reasons, unread)


def foresee(*, rules: Rules, audience: Audience) -> Foreseen:
    """Return what `write` would write at this moment, and by country; write nothing.

    It sorts and numbers nobody: recipients are counted by their numbers, at a seventh of the cost or less.
    """
    source = audience.source(rules.countries)
    statement = f"""
WITH {source.ctes},
judged AS (
  SELECT e164, region, {_JUDGED}
),
grouped AS (
  SELECT reason, e164, region, count(*) AS contacts FROM judged GROUP BY reason, e164, region
),
tallied AS (
  SELECT reason, CASE WHEN reason IS NULL THEN region ELSE '' END AS region, count(*) AS recipients,
    sum(contacts)::bigint AS contacts, bit_xor(hashtextextended(e164, 0)) AS fingerprint
  FROM grouped GROUP BY 1, 2
)
SELECT reason, region, recipients, contacts, fingerprint, recipients * {rates.PRICE}
FROM tallied {rates.join("tallied.region")}
ORDER BY recipients DESC, region"""
    with transaction.atomic(), connection.cursor() as cursor:
        _plan(cursor, source)
        cursor.execute("SET LOCAL work_mem = '64MB'")
        cursor.execute(statement, {**_parameters(rules), **source.parameters})
        rows = cursor.fetchall()
    fingerprint = 0
    skipped: dict[str, int] = {}
    by_country: list[CountryShare] = []
    for reason, region, recipients, contacts, hashed, price in rows:
        if reason is None:
            by_country.append(CountryShare(region, recipients, price * rules.segments))
            fingerprint ^= hashed
            if contacts > recipients:
                skipped["duplicate"] = skipped.get("duplicate", 0) + contacts - recipients
        else:
            skipped[reason] = contacts
    unread = skipped.pop("unread", 0)
    return Foreseen(
        recipients=sum(share.recipients for share in by_country),
        credits=sum(share.credits for share in by_country),
        fingerprint=fingerprint,
        skipped=skipped,
        unread=unread,
        by_country=by_country,
    )


def sample(*, rules: Rules, audience: Audience) -> list[str]:
    """Return the numbers of the first few recipients, in the order of the audience."""
    source = audience.source(rules.countries)
    # In the order of the index, so that it ends as soon as there are enough: no sorting.
    statement = f"""
WITH {source.ctes},
judged AS (
  SELECT place, e164, region, {_JUDGED}
)
SELECT place, e164 FROM judged WHERE reason IS NULL LIMIT {5 * SAMPLES}"""
    with transaction.atomic(), connection.cursor() as cursor:
        _plan(cursor, source)
        cursor.execute("SET LOCAL enable_sort = off")
        cursor.execute(statement, {**_parameters(rules), **source.parameters})
        numbers = [e164 for _place, e164 in sorted(cursor.fetchall())]
    return list(dict.fromkeys(numbers))[:SAMPLES]


def _plan(cursor: CursorWrapper, source: Source) -> None:
    """Say how the statement is to be planned.

    Contacts that were just imported are not in PostgreSQL's statistics yet: it expects one row and joins
    by nested loops, which takes 20 s for 12,000 contacts and for ever for a million. Hashing takes 0.1 s.
    A few numbers are better looked up than hashed against every opt-out there is.
    """
    if not source.is_small:
        cursor.execute("SET LOCAL enable_nestloop = off")


def _parameters(rules: Rules) -> dict[str, Any]:
    return {
        "organization_id": rules.organization_id,
        "allows_special_numbers": rules.allows_special_numbers,
        "only_allowed": rules.allowed_countries is not None,
        "allowed_countries": sorted(rules.allowed_countries or ()),
        "segments": rules.segments,
    }

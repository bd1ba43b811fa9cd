"""Fills a migrated database with messages that were sent long ago: `python -m bench.fill 1000000`.

A tenth of them belongs to one broadcast that still runs. Most are ordinary: delivered, to Colombia, by one
carrier. For each filter there is a value that nearly all messages have and one that seven have, among the
oldest, so that a search without an index passes by all others. Everything is written by SQL; counters of
broadcasts are those of their rows.
"""

import os
import sys
import time
from dataclasses import dataclass
from uuid import UUID

import psycopg
from psycopg import sql

RAREST = 7  # messages
OLDEST = 400  # days ago

_ORGANIZATIONS = """
INSERT INTO accounts_organization (id, name, email, country, status, allowed_countries,
  allows_special_numbers, repeat_guard_seconds, updated_at)
SELECT md5('organization ' || number)::uuid, 'Bench ' || number, '', 'CO', 'ACTIVE', '{}', false, 0, now()
FROM generate_series(1, 2) AS number
"""

_MEMBER = """
INSERT INTO accounts_member (id, password, is_superuser, email, name, organization_id, role, is_active,
  has_one_time_password, updated_at)
SELECT md5('member ' || number)::uuid, '!', false, 'bench' || number || '@example.org', 'Bench',
  md5('organization ' || number)::uuid, 'OWNER', true, false, now()
FROM generate_series(1, 2) AS number
"""

_BROADCAST = """
INSERT INTO messaging_broadcast (id, created_at, organization_id, member_id, text, kind, country, encoding,
  segments, status, paused_because, audience, messages_total, skipped_total, skipped_by_reason, queued,
  sending, unknown, sent, delivered, undelivered, failed, canceled, credits, credits_captured,
  credits_released, fingerprint, providers, started_at, broken_drains)
VALUES (%(id)s, now() - %(age)s * interval '1 second', md5('organization ' || %(organization)s)::uuid,
  md5('member ' || %(organization)s)::uuid, %(text)s, %(kind)s, '', 'GSM-7', 1, %(status)s, '', 0, 0, 0,
  '{}', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, '{}', now() - %(age)s * interval '1 second', 0)
"""

# A hash instead of random(): the same rows at each run. `place` says how ordinary a message is.
_MESSAGES = """
INSERT INTO messaging_message (id, created_at, organization_id, broadcast_id, contact_id, recipient, country,
  segments, credits, status, charge, attempts, provider, provider_message_id, error_code, claimed_at,
  submit_started_at, sent_at, delivered_at, updated_at)
SELECT uuidv7(at - clock_timestamp()), at, organization, broadcast, md5('contact ' || number)::uuid,
  CASE country WHEN 'CO' THEN '+573' WHEN 'MX' THEN '+5255' WHEN 'US' THEN '+1212' WHEN 'CA' THEN '+1416'
    ELSE '+3763' END || lpad(number::text, 8, '0'),
  country, 1, 1, status, CASE WHEN status IN ('QUEUED', 'SENDING', 'UNKNOWN') THEN 'RESERVED'
    WHEN status IN ('FAILED', 'CANCELED') THEN 'RELEASED' ELSE 'CAPTURED' END,
  1, CASE WHEN status IN ('QUEUED', 'CANCELED') THEN '' ELSE provider END,
  CASE WHEN status IN ('SENT', 'DELIVERED', 'UNDELIVERED') THEN md5(broadcast::text || number) ELSE '' END,
  CASE status WHEN 'FAILED' THEN '21211' WHEN 'CANCELED' THEN 'canceled' ELSE '' END,
  at, at, at, CASE status WHEN 'DELIVERED' THEN at + interval '3 s' END, at + interval '3 s'
FROM (
  SELECT number, b.id AS broadcast, b.created_at AS at, b.organization_id AS organization,
    CASE WHEN is_oldest AND number <= %(rarest)s THEN 'AD' WHEN drawn.country < 9000 THEN 'CO'
      WHEN drawn.country < 9800 THEN 'MX' WHEN drawn.country < 9990 THEN 'US' ELSE 'CA' END AS country,
    CASE WHEN is_oldest AND number <= %(rarest)s THEN 'vonage:old'
      WHEN %(is_earlier)s THEN 'infobip:acme' ELSE 'twilio:AC1' END AS provider,
    CASE WHEN is_oldest AND number <= %(rarest)s THEN 'UNKNOWN'
      WHEN %(is_running)s AND number <= %(rarest)s THEN 'SENDING'
      WHEN %(is_running)s AND number > %(count)s / 2 THEN 'QUEUED'
      WHEN drawn.status < 9200 THEN 'DELIVERED' WHEN drawn.status < 9500 THEN 'SENT'
      WHEN drawn.status < 9750 THEN 'UNDELIVERED' WHEN drawn.status < 9950 THEN 'FAILED'
      ELSE 'CANCELED' END AS status
  FROM (
    SELECT number, abs(hashint8(number * 7919 + %(salt)s)) %% 10000 AS status,
      abs(hashint8(number * 104729 + %(salt)s)) %% 10000 AS country, %(is_oldest)s AS is_oldest
    FROM generate_series(1::bigint, %(count)s) AS number
  ) drawn, messaging_broadcast b WHERE b.id = %(id)s
) ordinary
"""

# Built when the rows are there: ten million keys one by one, in random order, take hours.
_INDEXES = """
SELECT indexname, indexdef FROM pg_indexes
WHERE tablename = 'messaging_message' AND indexname <> 'messaging_message_pkey'
"""

_COUNTERS = """
UPDATE messaging_broadcast b SET audience = c.total, messages_total = c.total, queued = c.queued,
  sending = c.sending, unknown = c.unknown, sent = c.sent, delivered = c.delivered,
  undelivered = c.undelivered, failed = c.failed, canceled = c.canceled, credits = c.total,
  credits_captured = c.sent + c.delivered + c.undelivered, credits_released = c.failed + c.canceled,
  providers = c.providers
FROM (
  SELECT broadcast_id, count(*) AS total, count(*) FILTER (WHERE status = 'QUEUED') AS queued,
    count(*) FILTER (WHERE status = 'SENDING') AS sending,
    count(*) FILTER (WHERE status = 'UNKNOWN') AS unknown,
    count(*) FILTER (WHERE status = 'SENT') AS sent,
    count(*) FILTER (WHERE status = 'DELIVERED') AS delivered,
    count(*) FILTER (WHERE status = 'UNDELIVERED') AS undelivered,
    count(*) FILTER (WHERE status = 'FAILED') AS failed,
    count(*) FILTER (WHERE status = 'CANCELED') AS canceled,
    coalesce(array_agg(DISTINCT provider) FILTER (WHERE provider <> ''), '{}') AS providers
  FROM messaging_message GROUP BY broadcast_id
) c WHERE b.id = c.broadcast_id
"""


@dataclass(frozen=True)
class Filled:
    """Where to look: the organization, and for each filter the most frequent and the rarest value."""

    organization: UUID
    member: UUID
    values: dict[str, tuple[str, str]]


def fill(connection: psycopg.Connection, *, messages: int) -> Filled:
    """Write so many messages, nearly all of one organization, as some two hundred broadcasts."""
    broadcasts = max(20, messages // 50_000)
    running = messages // 10
    size = (messages - running) // (broadcasts - 1)
    began = time.monotonic()
    with connection.cursor() as cursor:
        indexes = cursor.execute(_INDEXES).fetchall()
        for name, _definition in indexes:
            cursor.execute(sql.SQL("DROP INDEX {}").format(sql.Identifier(name)))
        cursor.execute(_ORGANIZATIONS)
        cursor.execute(_MEMBER)
        for place in range(broadcasts):
            is_running = place == broadcasts - 1
            _broadcast(cursor, place, last=broadcasts - 1, size=running if is_running else size)
            if place % 20 == 19:
                _say(began, f"broadcast {place + 1} of {broadcasts}")
        cursor.execute(_COUNTERS)
        _say(began, "counters")
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        for name, definition in indexes:
            cursor.execute(definition)
            _say(began, name)
    connection.commit()
    connection.autocommit = True
    connection.execute("VACUUM (ANALYZE) messaging_message, messaging_broadcast")
    connection.autocommit = False
    return described(connection)


def _say(began: float, what: str) -> None:
    print(f"{time.monotonic() - began:7.0f} s  {what}", flush=True)


def _broadcast(cursor: psycopg.Cursor, place: int, *, last: int, size: int) -> None:
    cursor.execute("SELECT gen_random_uuid()")
    row = cursor.fetchone()
    assert row
    is_oldest, is_running = place == 0, place == last
    given = {
        "id": row[0],
        "age": (last - place + 1) * OLDEST * 86_400 // (last + 1),
        "organization": 2 if place == last // 2 else 1,
        "kind": "FLASH" if is_oldest else "SMS",
        "text": f"Hola, {'aniversario' if is_oldest else 'novedades'} {place}",
        "status": "RUNNING" if is_running else "COMPLETED_WITH_FAILURES",
        "salt": place * 1_000_003,
        "count": size,
        "rarest": RAREST,
        "is_oldest": is_oldest,
        "is_running": is_running,
        "is_earlier": place < last // 3,
    }
    cursor.execute(_BROADCAST, given)
    cursor.execute(_MESSAGES, given)


def described(connection: psycopg.Connection) -> Filled:
    """Return where to look in a database that was filled before."""
    ends = connection.execute("""
        SELECT organization_id, md5('member 1')::uuid, (array_agg(id ORDER BY created_at))[1],
          (array_agg(id ORDER BY created_at DESC))[1], min(created_at)
        FROM messaging_broadcast WHERE organization_id = md5('organization 1')::uuid
        GROUP BY organization_id""").fetchone()
    assert ends
    organization, member, oldest, newest, began = ends
    day = began.date().isoformat()
    contact = connection.execute(
        "SELECT md5('contact 1')::uuid, md5('contact ' || (SELECT messages_total "
        "FROM messaging_broadcast WHERE id = %s))::uuid",
        [oldest],
    ).fetchone()
    assert contact
    return Filled(
        organization,
        member,
        {
            "": ("", ""),
            "status": ("DELIVERED", "UNKNOWN"),
            "status=": ("PENDING", "SENDING"),
            "type": ("SMS", "FLASH"),
            "startDate": ("2000-01-01", "2100-01-01"),
            "endDate": ("2100-01-01", day),
            "search": ("hola", "aniversario"),
            "recipient": ("+57", "+376300000001"),
            "countryCode": ("CO", "AD"),
            "queueId": (str(newest), str(oldest)),
            "contactId": (str(contact[0]), str(contact[1])),
            "provider": ("twilio:AC1", "vonage:old"),
        },
    )


def main() -> None:
    began = time.monotonic()
    messages = int(sys.argv[1])
    with psycopg.connect(os.environ["DATABASE_URL"]) as connection:
        for name, (frequent, rarest) in fill(connection, messages=messages).values.items():
            print(f"{name.strip('=') or '-':12} {frequent:38} {rarest}")
    print(f"{messages:,} messages in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()

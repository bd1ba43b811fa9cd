"""Retention: numbers and texts are removed when their organization keeps them no longer; counts stay.

What a broadcast was, how it ended and what it cost is never touched: only the text, the numbers, and the
words of carriers and people, which may hold either.
"""

from __future__ import annotations

import logging
import time
from typing import Final

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from accounts import audit
from accounts.models import Organization

log = logging.getLogger(__name__)

BITE: Final = 2_000
"""Rows that one call blanks: a sweep comes every two seconds, and those who send come first."""

PATIENCE: Final = 0.2
"""Seconds after which one call begins no further broadcast: they may be many, of one recipient each."""

# The longest ended first. While somebody may still say what became of a message, its text and number are
# needed to ask; what is asked again after 72 hours has an outcome.
_NEXT: Final = """
SELECT next.id FROM accounts_organization o CROSS JOIN LATERAL (
  SELECT b.id, b.finished_at FROM messaging_broadcast b
  WHERE b.organization_id = o.id AND b.unblanked_from IS NOT NULL AND b.finished_at IS NOT NULL
    AND b.finished_at < statement_timestamp() - o.retention_days * interval '1 day'
    AND (b.blanked_at IS NOT NULL OR b.unknown = 0 OR NOT EXISTS (SELECT FROM messaging_message m
      WHERE m.broadcast_id = b.id AND m.status = 'UNKNOWN' AND m.charge = 'RESERVED'))
  ORDER BY b.finished_at LIMIT 1
) next
WHERE o.retention_days IS NOT NULL
ORDER BY next.finished_at LIMIT 1
"""

# Against a report of its messages, a resend that refers to it, and another who blanks it.
_HOLD: Final = """
SELECT organization_id, unblanked_from, blanked_at IS NULL FROM messaging_broadcast
WHERE id = %s AND unblanked_from IS NOT NULL FOR UPDATE SKIP LOCKED
"""

# The fingerprint is made of the numbers: of one recipient's it gives the number away.
_BEGIN: Final = """
UPDATE messaging_broadcast SET text = '', fingerprint = 0, blanked_at = clock_timestamp(),
  updated_at = clock_timestamp()
WHERE id = %s
"""

# Compared as pairs, so that the last bite does not look for its rows among all that came later.
_PAIRS: Final = """(SELECT broadcast_id, id FROM {}
  WHERE (broadcast_id, id) > (%(broadcast_id)s, %(after)s) ORDER BY broadcast_id, id LIMIT {})"""

_BLANK: Final = f"""
WITH bite AS MATERIALIZED (
  SELECT id FROM (
    {_PAIRS.format("messaging_message", BITE)}
    UNION ALL
    {_PAIRS.format("messaging_skip", BITE)}
  ) next WHERE broadcast_id = %(broadcast_id)s ORDER BY id LIMIT {BITE}
), messages AS (
  UPDATE messaging_message m SET recipient = '', error_message = '', provider_metadata = NULL
  FROM bite WHERE m.id = bite.id
), skips AS (
  UPDATE messaging_skip s SET phone = '' FROM bite WHERE s.id = bite.id
), events AS (
  UPDATE messaging_messageevent e SET detail = '' FROM bite
  WHERE e.message_id = bite.id AND e.kind = 'PUT_BACK' AND e.detail <> ''
), reports AS (
  UPDATE messaging_deliveryreport r SET raw = '{{}}', reason = '' FROM bite
  WHERE r.message_id = bite.id
)
SELECT count(*), (SELECT id FROM bite ORDER BY id DESC LIMIT 1) FROM bite
"""

_GO_ON_FROM: Final = "UPDATE messaging_broadcast SET unblanked_from = %s WHERE id = %s"

# What people write, and reports of messages that nobody knows, belong to no organization: they are kept
# as long as any organization keeps its own.
_KEPT_BY_ALL: Final = """
(SELECT statement_timestamp() - max(retention_days) * interval '1 day' FROM accounts_organization
 HAVING bool_and(retention_days IS NOT NULL))"""

_BLANK_INBOUND: Final = f"""
UPDATE messaging_inboundmessage SET sender = '', text = '', raw = '{{}}', blanked_at = clock_timestamp()
WHERE id IN (SELECT id FROM messaging_inboundmessage
  WHERE blanked_at IS NULL AND created_at < {_KEPT_BY_ALL} ORDER BY created_at LIMIT {BITE})
"""

_BLANK_UNMATCHED: Final = f"""
UPDATE messaging_deliveryreport SET raw = '{{}}', reason = ''
WHERE id IN (SELECT id FROM messaging_deliveryreport
  WHERE outcome = 'UNMATCHED' AND NOT raw = '{{}}'::jsonb AND created_at < {_KEPT_BY_ALL}
  ORDER BY created_at LIMIT {BITE})
"""


def blank() -> bool:
    """Blank some of what is kept no longer; the dispatcher calls this at every sweep.

    A broadcast's text, its messages' numbers, its skips' numbers and the words of carriers go for good.
    What waits, or is still asked about, is left alone; ids, statuses, counts, credits and the audit trail
    stay, so that a late report finds its message by the provider's id. Run it anywhere, any number of times
    at once: a bite is one short transaction under its broadcast's lock. Never in a hurry: returns False.
    """
    until, blanked = time.monotonic() + PATIENCE, 0
    with connection.cursor() as cursor:
        while (count := _blank_next(cursor)) is not None:
            blanked += count
            if blanked >= BITE or time.monotonic() >= until:
                break
        cursor.execute(_BLANK_INBOUND)
        cursor.execute(_BLANK_UNMATCHED)
    return False


def _blank_next(cursor: CursorWrapper) -> int | None:
    """Return how many rows of the next broadcast went; None where there is none, or another one has it."""
    cursor.execute(_NEXT)
    row = cursor.fetchone()
    if row is None:
        return None
    (broadcast_id,) = row
    with transaction.atomic():
        cursor.execute(_HOLD, [broadcast_id])
        held = cursor.fetchone()
        if held is None:
            return None
        organization_id, after, is_first = held
        if is_first:
            cursor.execute(_BEGIN, [broadcast_id])
            audit.record(
                act="broadcast.blanked",
                subject=f"broadcast:{broadcast_id}",
                organization=Organization(pk=organization_id),
            )
        cursor.execute(_BLANK, {"broadcast_id": broadcast_id, "after": after})
        count, last = cursor.fetchone()
        cursor.execute(_GO_ON_FROM, [last if count == BITE else None, broadcast_id])
    if count < BITE:
        log.info("broadcast_blanked", extra={"broadcast": str(broadcast_id)})
    return int(count)

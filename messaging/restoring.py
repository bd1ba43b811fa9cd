"""After a backup was restored: what may have left since it was made is not sent again."""

import logging
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import connection

from messaging import journeys, providers
from messaging.journeys import Status
from messaging.models import Broadcast, Message, MessageEvent

log = logging.getLogger(__name__)

BITE: Final = 50_000  # messages of one broadcast that are moved in one transaction

# What is to start later is held instead, by `scheduling.hold_all`; what was canceled before the backup
# did not leave, unless a worker held it.
_WAITING: Final = """
SELECT b.id, b.kind, CASE b.status WHEN 'CANCELED' THEN b.sending ELSE b.queued + b.sending END AS messages
FROM messaging_broadcast b
WHERE CASE
    WHEN b.status = 'CANCELED' THEN b.sending > 0
    WHEN b.status IN ('SCHEDULED', 'PAUSED') AND b.scheduled_at > clock_timestamp() THEN FALSE
    ELSE b.queued + b.sending > 0
  END
ORDER BY b.id
"""

# Whoever took it may say so: by a report, by a look-up. The old lease is nobody's any more.
_DOUBT: Final = f"""
WITH moved AS (
  UPDATE messaging_message m SET status = 'UNKNOWN', unknown_since = now(), lease_token = NULL,
    lease_until = NULL, submit_started_at = coalesce(m.submit_started_at, clock_timestamp()),
    look_up_at = clock_timestamp(), updated_at = clock_timestamp(),
    -- What was marked already is known to have gone there.
    provider = CASE WHEN m.submit_started_at IS NULL THEN %(provider)s ELSE m.provider END
  WHERE m.id IN (SELECT id FROM messaging_message
    WHERE broadcast_id = %(broadcast_id)s AND status = ANY(%(statuses)s) LIMIT {BITE})
  RETURNING m.id, old.status AS was
), noted AS (
  INSERT INTO messaging_messageevent (message_id, kind, detail)
  SELECT id, %(kind)s, 'the database was restored from a backup' FROM moved
)
SELECT was, count(*) FROM moved GROUP BY was
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A broadcast with messages that a restored database takes for unsent."""

    queue_id: UUID
    kind: str
    messages: int


def waiting() -> list[Waiting]:
    """Return the broadcasts whose messages may have left after the backup was made."""
    with connection.cursor() as cursor:
        cursor.execute(_WAITING)
        return [Waiting(*row) for row in cursor.fetchall()]


def doubt(broadcast: Waiting) -> int:
    """Make what waits of a broadcast UNKNOWN, and return how many messages that is.

    Nothing of it is handed over again by itself. Reports and look-ups settle what was sent; the credits
    of the rest go back after 72 hours. Its transactions take 50,000 messages each: when it breaks off,
    run it again.
    """
    try:
        carriers = providers.candidates(kind=broadcast.kind)
    except providers.NoProvider:
        carriers = []  # SMS_PROVIDERS was changed since: it was sent all the same
    # Of several nobody knows which one took it, and each is believed.
    provider = carriers[0].name if len(carriers) == 1 else ""
    moved = 0
    while bite := _doubt_bite(broadcast.queue_id, provider):
        moved += bite
    log.warning(
        "restored_messages_unknown",
        extra={"broadcast": str(broadcast.queue_id), "messages": moved},
    )
    return moved


def _doubt_bite(queue_id: UUID, provider: str) -> int:
    with journeys.of_broadcast(queue_id) as journey:
        if journey is None:
            return 0
        is_canceled = journey.status == Broadcast.Status.CANCELED
        journey.cursor.execute(
            _DOUBT,
            {
                "broadcast_id": queue_id,
                "provider": provider,
                "kind": MessageEvent.Kind.UNKNOWN,
                "statuses": [Status.SENDING] if is_canceled else list(Message.WAITING_STATUSES),
            },
        )
        moved = journey.cursor.fetchall()
        for was, count in moved:
            journey.count(messages=count, was=was, to=Status.UNKNOWN)
    return sum(count for _was, count in moved)

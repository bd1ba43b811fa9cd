"""What must be true of messages, counters and credits together; `audit_ledger` asks these too.

The chain is one: accounts = ledger entries = counters of broadcasts = rows of messages. Every link is
asked by its own query, so that a finding says where it broke.
"""

import logging
from typing import Final

from django.db import OperationalError
from psycopg.errors import QueryCanceled

from billing import invariants
from billing.invariants import Finding, Invariant
from messaging.journeys import COUNTERS

log = logging.getLogger(__name__)

BITE: Final = 1_000_000  # messages that the chore reads of the broadcasts that moved last
PATIENCE: Final = "30s"  # of the chore, for one query
_TOLD: Final = 5  # rows of one invariant that a log line names

_OF = "(%(organization_id)s::uuid IS NULL OR {} = %(organization_id)s)"

# Without `everything`: what is open or moved within the hour, the latest first, up to a bite of
# messages. What has stood still for longer was asked while it moved.
_RECENT: Final = f"""(%(everything)s OR b.id IN (
  SELECT id FROM (
    SELECT id, sum(messages_total) OVER (ORDER BY updated_at DESC, id) - messages_total AS before
    FROM messaging_broadcast
    WHERE status IN ('SCHEDULED', 'RUNNING', 'PAUSED') OR updated_at > now() - interval '1 hour'
  ) moved WHERE before < {BITE}))"""

_COUNTED: Final = ", ".join(
    f"count(*) FILTER (WHERE status = '{status}') AS {counter}"
    for status, counter in COUNTERS.items()
)
_COUNTERS_OF: Final = "({})".format(", ".join(f"{{0}}.{counter}" for counter in COUNTERS.values()))

# The movements of one broadcast: their references begin with `broadcast:<id>`, and go on with a colon
# if at all. Compared byte by byte, as the index is ordered; a semicolon follows the colon.
_ENTRIES: Final = """
  SELECT coalesce(sum(amount) FILTER (WHERE kind = 'RESERVE'), 0) AS reserved,
    coalesce(sum(amount) FILTER (WHERE kind IN ('CAPTURE', 'LATE_CAPTURE')), 0) AS captured,
    coalesce(sum(CASE kind WHEN 'RELEASE' THEN amount WHEN 'LATE_CAPTURE' THEN -amount END), 0) AS released
  FROM billing_ledgerentry
  WHERE reference ~>=~ ('broadcast:' || b.id) AND reference ~<~ ('broadcast:' || b.id || ';')
"""

EVERY: Final = [
    Invariant(
        name="account_equals_its_broadcasts",
        says="reserved and spent are what its broadcasts hold and have spent",
        sql=f"""
            SELECT format('account %%s: reserved %%s, broadcasts %%s; spent %%s, broadcasts %%s',
              a.id, a.reserved, coalesce(b.reserved, 0), a.spent, coalesce(b.spent, 0))
            FROM billing_creditaccount a
            LEFT JOIN (
              SELECT organization_id, sum(credits - credits_captured - credits_released) AS reserved,
                sum(credits_captured) AS spent
              FROM messaging_broadcast GROUP BY 1
            ) b ON b.organization_id = a.organization_id
            WHERE (a.reserved, a.spent) <> (coalesce(b.reserved, 0), coalesce(b.spent, 0))
              AND {_OF.format("a.organization_id")}
            ORDER BY a.id
        """,
    ),
    Invariant(
        name="reserved_and_spent_are_in_messages",
        says="reserved and spent are the credits of the messages that are RESERVED and CAPTURED",
        is_thorough=True,
        sql=f"""
            SELECT format('account %%s: reserved %%s, messages %%s; spent %%s, messages %%s',
              a.id, a.reserved, coalesce(m.reserved, 0), a.spent, coalesce(m.spent, 0))
            FROM billing_creditaccount a
            LEFT JOIN (
              SELECT organization_id,
                coalesce(sum(credits) FILTER (WHERE charge = 'RESERVED'), 0) AS reserved,
                coalesce(sum(credits) FILTER (WHERE charge = 'CAPTURED'), 0) AS spent
              FROM messaging_message GROUP BY 1
            ) m ON m.organization_id = a.organization_id
            WHERE (a.reserved, a.spent) <> (coalesce(m.reserved, 0), coalesce(m.spent, 0))
              AND {_OF.format("a.organization_id")}
            ORDER BY a.id
        """,
    ),
    Invariant(
        name="counters_equal_rows",
        says="a broadcast's counters are the numbers of its messages by status",
        sql=f"""
            SELECT format('broadcast %%s: %%s, messages %%s', b.id,
              {_COUNTERS_OF.format("b")}, {_COUNTERS_OF.format("m")})
            FROM messaging_broadcast b CROSS JOIN LATERAL (
              SELECT {_COUNTED} FROM messaging_message WHERE broadcast_id = b.id
            ) m
            WHERE {_COUNTERS_OF.format("b")} <> {_COUNTERS_OF.format("m")}
              AND {_OF.format("b.organization_id")} AND {_RECENT}
            ORDER BY b.id
        """,
    ),
    Invariant(
        name="broadcast_credits_equal_rows",
        says="a broadcast's credits, spent and returned, are those of its messages",
        sql=f"""
            SELECT format('broadcast %%s: %%s, %%s, %%s, messages %%s, %%s, %%s', b.id,
              b.credits, b.credits_captured, b.credits_released, m.credits, m.captured, m.released)
            FROM messaging_broadcast b CROSS JOIN LATERAL (
              SELECT coalesce(sum(credits), 0) AS credits,
                coalesce(sum(credits) FILTER (WHERE charge = 'CAPTURED'), 0) AS captured,
                coalesce(sum(credits) FILTER (WHERE charge IN ('RELEASED', 'UNCOLLECTED')), 0) AS released
              FROM messaging_message WHERE broadcast_id = b.id
            ) m
            WHERE (b.credits, b.credits_captured, b.credits_released)
                <> (m.credits, m.captured, m.released)
              AND {_OF.format("b.organization_id")} AND {_RECENT}
            ORDER BY b.id
        """,
    ),
    Invariant(
        name="broadcast_credits_equal_entries",
        says="each message was captured or released at most once: a broadcast's entries are its credits",
        sql=f"""
            SELECT format('broadcast %%s: %%s, %%s, %%s, entries %%s, %%s, %%s', b.id,
              b.credits, b.credits_captured, b.credits_released, e.reserved, e.captured, e.released)
            FROM messaging_broadcast b CROSS JOIN LATERAL ({_ENTRIES}) e
            WHERE (b.credits, b.credits_captured, b.credits_released)
                <> (e.reserved, e.captured, e.released)
              AND {_OF.format("b.organization_id")} AND {_RECENT}
            ORDER BY b.id
        """,
    ),
    Invariant(
        name="charge_fits_status",
        says="what waits is RESERVED, what a provider took is spent, what never left is returned",
        sql=f"""
            SELECT format('message %%s: %%s and %%s', m.id, m.status, m.charge)
            FROM messaging_broadcast b JOIN messaging_message m ON m.broadcast_id = b.id
            WHERE CASE
                WHEN m.status IN ('QUEUED', 'SENDING') THEN m.charge = 'RESERVED'
                WHEN m.status = 'UNKNOWN' THEN m.charge IN ('RESERVED', 'RELEASED')
                WHEN m.status IN ('SENT', 'DELIVERED', 'UNDELIVERED')
                  THEN m.charge IN ('CAPTURED', 'UNCOLLECTED')
                WHEN m.status IN ('FAILED', 'CANCELED') THEN m.charge = 'RELEASED'
              END IS NOT TRUE
              AND {_OF.format("b.organization_id")} AND {_RECENT}
            ORDER BY m.id
        """,
    ),
    Invariant(
        name="audience_equals_rows",
        says="a broadcast has as many messages and skips as its audience had contacts",
        is_thorough=True,
        sql=f"""
            SELECT format('broadcast %%s: audience %%s, messages %%s, skips %%s',
              b.id, b.audience, coalesce(m.messages, 0), coalesce(s.skips, 0))
            FROM messaging_broadcast b
            LEFT JOIN (SELECT broadcast_id, count(*) AS messages FROM messaging_message GROUP BY 1) m
              ON m.broadcast_id = b.id
            LEFT JOIN (SELECT broadcast_id, count(*) AS skips FROM messaging_skip GROUP BY 1) s
              ON s.broadcast_id = b.id
            WHERE (b.messages_total, b.skipped_total)
                <> (coalesce(m.messages, 0), coalesce(s.skips, 0))
              AND {_OF.format("b.organization_id")}
            ORDER BY b.id
        """,
    ),
    Invariant(
        name="one_organization_a_message",
        says="a message, its broadcast and its contact belong to one organization",
        is_thorough=True,
        sql=f"""
            SELECT format('message %%s', m.id)
            FROM messaging_message m
            LEFT JOIN messaging_broadcast b ON b.id = m.broadcast_id
            LEFT JOIN contacts_contact c ON c.id = m.contact_id
            WHERE (b.id IS NULL OR m.organization_id <> b.organization_id
                OR c.organization_id <> b.organization_id)
              AND {_OF.format("m.organization_id")}
            ORDER BY m.id
        """,
    ),
]


def watch() -> list[Finding]:
    """Log one error for each invariant that does not hold at this moment, and return those.

    Asks what can be asked often: the totals of every account, and the broadcasts that are open or moved
    within the hour, the latest first, up to a million messages. It writes nothing and holds nothing up:
    run it anywhere, any number of times at once. What takes too long is broken off, and said.
    """
    broken: list[Finding] = []
    for invariant in invariants.EVERY:
        if invariant.is_thorough:
            continue
        try:
            (found,) = invariants.check(among=[invariant], patience=PATIENCE)
        except OperationalError as error:
            if not isinstance(error.__cause__, QueryCanceled):
                raise
            log.warning("invariant_not_asked", extra={"invariant": invariant.name})
            continue
        if found.rows:
            broken.append(found)
            log.error(
                "invariant_broken",
                extra={
                    "invariant": invariant.name,
                    "count": len(found.rows),
                    "rows": found.rows[:_TOLD],
                },
            )
    return broken

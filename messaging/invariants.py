"""What must be true of messages, counters and credits together; `audit_ledger` asks these too."""

from typing import Final

from billing.invariants import Invariant
from messaging.journeys import COUNTERS

_OF = "(%(organization_id)s::uuid IS NULL OR {} = %(organization_id)s)"

_COUNTED: Final = ", ".join(
    f"count(*) FILTER (WHERE status = '{status}') AS {counter}"
    for status, counter in COUNTERS.items()
)
_DIFFERS: Final = " OR ".join(
    f"b.{counter} <> coalesce(m.{counter}, 0)" for counter in COUNTERS.values()
)

EVERY: Final = [
    Invariant(
        name="reserved_and_spent_are_in_messages",
        says="reserved and spent are the credits of the messages that are RESERVED and CAPTURED",
        is_thorough=True,
        sql=f"""
            SELECT format('account %%s: reserved %%s, messages %%s; spent %%s, messages %%s',
              a.id, a.reserved, m.reserved, a.spent, m.spent)
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
        is_thorough=True,
        sql=f"""
            SELECT format('broadcast %%s', b.id)
            FROM messaging_broadcast b
            LEFT JOIN (
              SELECT broadcast_id, {_COUNTED} FROM messaging_message GROUP BY 1
            ) m ON m.broadcast_id = b.id
            WHERE ({_DIFFERS}) AND {_OF.format("b.organization_id")}
            ORDER BY b.id
        """,
    ),
    Invariant(
        name="audience_equals_rows",
        says="a broadcast has as many messages and skips as its audience had contacts",
        is_thorough=True,
        sql=f"""
            SELECT format('broadcast %%s: audience %%s, messages %%s, skips %%s',
              b.id, b.audience, m.messages, s.skips)
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
        name="broadcast_credits_equal_rows",
        says="a broadcast's credits, spent and returned, are those of its messages",
        is_thorough=True,
        sql=f"""
            SELECT format('broadcast %%s', b.id)
            FROM messaging_broadcast b
            LEFT JOIN (
              SELECT broadcast_id, sum(credits) AS credits,
                sum(credits) FILTER (WHERE charge = 'CAPTURED') AS captured,
                sum(credits) FILTER (WHERE charge IN ('RELEASED', 'UNCOLLECTED')) AS released
              FROM messaging_message GROUP BY 1
            ) m ON m.broadcast_id = b.id
            WHERE (b.credits, b.credits_captured, b.credits_released)
                <> (coalesce(m.credits, 0), coalesce(m.captured, 0), coalesce(m.released, 0))
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
            JOIN messaging_broadcast b ON b.id = m.broadcast_id
            LEFT JOIN contacts_contact c ON c.id = m.contact_id
            WHERE (m.organization_id <> b.organization_id OR c.organization_id <> b.organization_id)
              AND {_OF.format("m.organization_id")}
            ORDER BY m.id
        """,
    ),
]

"""What is true of credits at every moment: one query an invariant, finding the rows at fault.

An app above extends the list when it is ready, since billing must not know it:

    from billing import invariants
    invariants.EVERY.append(Invariant(name="…", says="…", sql="…"))
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import connection, transaction

PATIENCE: Final = "30min"  # for one query: the thorough ones read every message there is


@dataclass(frozen=True, slots=True, kw_only=True)
class Invariant:
    """One thing that is always true, and the query that finds where it is not.

    The query returns one text column that names the row at fault and says how, with ids and never a
    number or a text of a message. It holds itself to one organization with
    `(%(organization_id)s::uuid IS NULL OR … = %(organization_id)s)`. Where it can be asked of a part, of
    what moved last say, `%(everything)s` is false unless all is to be looked at.
    """

    name: str
    says: str
    sql: str
    is_thorough: bool = False  # reads what grows for ever: asked by `audit_ledger --all` alone


@dataclass(frozen=True, slots=True)
class Finding:
    """An invariant and the rows that break it; without rows it holds."""

    invariant: Invariant
    rows: list[str]


CREDITS: Final[tuple[Invariant, ...]] = (
    Invariant(
        name="account_equals_its_entries",
        says="available, reserved and spent are each the sum of their deltas in the ledger",
        sql="""
            SELECT format(
              'account %%s: available %%s, reserved %%s, spent %%s; its entries: %%s, %%s, %%s',
              account.id, account.available, account.reserved, account.spent,
              total.available, total.reserved, total.spent)
            FROM billing_creditaccount AS account
            CROSS JOIN LATERAL (
              SELECT coalesce(sum(available_delta), 0) AS available,
                coalesce(sum(reserved_delta), 0) AS reserved, coalesce(sum(spent_delta), 0) AS spent
              FROM billing_ledgerentry WHERE account_id = account.id
            ) AS total
            WHERE (account.available, account.reserved, account.spent)
                <> (total.available, total.reserved, total.spent)
              AND (%(organization_id)s::uuid IS NULL
                OR account.organization_id = %(organization_id)s)
            ORDER BY account.id
        """,
    ),
    Invariant(
        name="account_not_negative",
        says="no account has less than nothing available, reserved or spent",
        sql="""
            SELECT format('account %%s: available %%s, reserved %%s, spent %%s',
              id, available, reserved, spent)
            FROM billing_creditaccount
            WHERE least(available, reserved, spent) < 0
              AND (%(organization_id)s::uuid IS NULL OR organization_id = %(organization_id)s)
            ORDER BY id
        """,
    ),
    Invariant(
        name="entry_kind_ties_deltas",
        says="every entry moves its amount as its kind says, and no other way",
        is_thorough=True,
        sql="""
            SELECT format('entry %%s: %%s of %%s moves %%s, %%s, %%s',
              entry.id, kind, amount, available_delta, reserved_delta, spent_delta)
            FROM billing_ledgerentry AS entry
            JOIN billing_creditaccount AS account ON account.id = entry.account_id
            WHERE (amount > 0 AND (kind, available_delta, reserved_delta, spent_delta) IN (
                ('GRANT', amount, 0, 0), ('RESERVE', -amount, amount, 0),
                ('CAPTURE', 0, -amount, amount), ('RELEASE', amount, -amount, 0),
                ('LATE_CAPTURE', -amount, 0, amount))) IS NOT TRUE
              AND (%(organization_id)s::uuid IS NULL
                OR account.organization_id = %(organization_id)s)
            ORDER BY entry.id
        """,
    ),
    Invariant(
        name="movement_made_once",
        says="an account has at most one entry of a kind with a reference",
        is_thorough=True,
        sql="""
            SELECT format('account %%s: %%s %%s is there %%s times',
              account.id, kind, reference, count(*))
            FROM billing_ledgerentry AS entry
            JOIN billing_creditaccount AS account ON account.id = entry.account_id
            WHERE (%(organization_id)s::uuid IS NULL
                OR account.organization_id = %(organization_id)s)
            GROUP BY account.id, kind, reference HAVING count(*) > 1
            ORDER BY account.id, kind, reference
        """,
    ),
    Invariant(
        name="settled_within_what_was_reserved",
        says="no broadcast settles more than it reserved, or captures late more than it released",
        is_thorough=True,
        # The movements of one broadcast are told by how their reference begins: broadcast:<id>.
        sql="""
            SELECT format(
              'account %%s: %%s reserved %%s, captured %%s, released %%s, captured late %%s',
              account_id, broadcast, reserved, captured, released, late)
            FROM (
              SELECT account_id, substring(reference FROM '^broadcast:[^:]+') AS broadcast,
                coalesce(sum(amount) FILTER (WHERE kind = 'RESERVE'), 0) AS reserved,
                coalesce(sum(amount) FILTER (WHERE kind = 'CAPTURE'), 0) AS captured,
                coalesce(sum(amount) FILTER (WHERE kind = 'RELEASE'), 0) AS released,
                coalesce(sum(amount) FILTER (WHERE kind = 'LATE_CAPTURE'), 0) AS late
              FROM billing_ledgerentry AS entry
              JOIN billing_creditaccount AS account ON account.id = entry.account_id
              WHERE reference LIKE 'broadcast:%%'
                AND (%(organization_id)s::uuid IS NULL
                OR account.organization_id = %(organization_id)s)
              GROUP BY 1, 2
            ) AS movements
            WHERE captured + released > reserved OR late > released
            ORDER BY account_id, broadcast
        """,
    ),
)
"""What billing knows by itself."""

EVERY: Final[list[Invariant]] = [*CREDITS]
"""What the whole house knows: apps above add theirs."""


def check(
    *,
    organization_id: UUID | None = None,
    thorough: bool = False,
    among: Sequence[Invariant] | None = None,
    patience: str = PATIENCE,
) -> list[Finding]:
    """Return every invariant with the rows that break it, each seen at one moment.

    Movements go on meanwhile: a query sees only whole transactions. Without an organization all are
    looked at; thorough asks also the invariants that read everything there is, and all of them of
    everything. Asks `EVERY`, or only those among others.

    Raises: OperationalError when a query takes longer than `patience`, as PostgreSQL writes durations.
    """
    asked = EVERY if among is None else among
    chosen = [invariant for invariant in asked if thorough or not invariant.is_thorough]
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('statement_timeout', %s, true)", [patience])
        findings = []
        for invariant in chosen:
            cursor.execute(
                invariant.sql, {"organization_id": organization_id, "everything": thorough}
            )
            findings.append(Finding(invariant, [row for (row,) in cursor.fetchall()]))
    return findings

"""An audit trail to be sealed, and somebody who writes to it past the database's guard."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from accounts.models import AuditEntry, AuditHead

LONG_AGO = timezone.now() - timedelta(hours=1)


def recorded(count: int) -> list[AuditEntry]:
    return [
        AuditEntry.objects.create(
            act="credits.granted",
            subject=f"x:{number}",
            details={"amount": number},
            created_at=LONG_AGO,
        )
        for number in range(count)
    ]


@contextmanager
def unguarded(table: str = "accounts_auditentry") -> Iterator[Any]:
    """Write as a superuser who switched the triggers off."""
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        yield cursor
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")


def verified(**options: Any) -> tuple[bool, str]:
    """Return whether the command is content, and what it says."""
    output = io.StringIO()
    try:
        call_command("verify_audit", stdout=output, **options)
    except CommandError:
        return False, output.getvalue()
    return True, output.getvalue()


def head() -> str:
    row = AuditHead.objects.get()
    return f"{row.sequence}:{bytes(row.mac).hex()}"


def faults(**options: Any) -> list[str]:
    content, said = verified(**options)
    assert not content
    return [line for line in said.splitlines() if "are sealed. The chain" not in line]

"""The floor of delivering in batches: the same claim, mark and record statements, run bare.

The verbs are run once with every statement noted; then the notes are run again by themselves, on other
messages, a transaction a verb. What is left out is Python, HTTP, tasks and routing. (A drain whose messages
were all taken marks what leaves next in the transaction that records them, so it begins one less.)
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid4

import psycopg

if TYPE_CHECKING:
    from tests.faults.harness.stack import Stack

_CLAIM: Final = 100
_PROVIDER: Final = "infobip:acme"
Noted = list[tuple[str, Any]]


def claim_mark_record(link: psycopg.Connection, verbs: list[Noted], count: int) -> float:
    """Move so many messages of the broadcast to SENT, and return how many a second that is."""
    moved, began = 0, time.perf_counter()
    while moved < count - _CLAIM:
        moved += _window(link, verbs)
    return moved / (time.perf_counter() - began)


def noted(stack: Stack, queue_id: UUID) -> list[Noted]:
    """Return the statements of claim, mark and record, of one window that they really moved."""
    from django.db import connections

    from messaging import leases, recording
    from messaging.leases import Lease
    from messaging.providers.results import Accepted

    found: list[Noted] = []

    def note(execute: Any, statement: str, parameters: Any, many: Any, context: Any) -> Any:
        found[-1].append((statement, parameters))
        return execute(statement, parameters, many, context)

    lease = Lease(queue_id, uuid4())
    with stack.django(), connections["default"].execute_wrapper(note):
        found.append([])
        claimed = leases.claim(lease, most=_CLAIM)
        found.append([])
        leases.mark(lease, [one.id for one in claimed], provider=_PROVIDER)
        found.append([])
        recording.record(
            queue_id=queue_id,
            token=lease.token,
            provider=_PROVIDER,
            results={one.id: Accepted(uuid4().hex, {"status": "PENDING"}) for one in claimed},
            segments=1,
        )
    return found


def _window(link: psycopg.Connection, verbs: list[Noted]) -> int:
    """Run one window's statements with ids of its own; return how many messages it claimed."""
    token = uuid4()
    ids: list[UUID] = []
    for place, statements in enumerate(verbs):
        with link.transaction():
            for statement, parameters in statements:
                if statement.startswith(("SAVEPOINT", "RELEASE")):
                    continue
                given = _anew(parameters, token, ids)
                cursor = link.execute(statement, given)
                if place == 0 and cursor.description and "UPDATE messaging_message" in statement:
                    ids = [row[0] for row in cursor.fetchall()]
    return len(ids)


def _anew(parameters: Any, token: UUID, ids: list[UUID]) -> Any:
    """Return the parameters for other messages, under another lease and another reference."""
    if isinstance(parameters, Mapping):
        changed: dict[str, Any] = {
            "token": token,
            "ids": ids,
            "provider_ids": [uuid4().hex for _ in ids],
            "reference": f"bench:{uuid4()}",
        }
        return {name: changed.get(name, value) for name, value in parameters.items()}
    if parameters is None:
        return None
    return [
        f"bench:{uuid4()}" if isinstance(value, str) and value.startswith("broadcast:") else value
        for value in parameters
    ]

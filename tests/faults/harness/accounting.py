"""E0: what is true after every fault, asked of every test by `everything_is_accounted_for`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable
from http import HTTPStatus
from typing import TYPE_CHECKING
from uuid import UUID

from django.utils.translation import override

from accounts.doors.schema import phrase
from billing import invariants
from messaging.models import Message
from tests.faults.harness.http import Answer
from tests.faults.harness.waiting import until
from tests.house import source

if TYPE_CHECKING:
    from tests.faults.harness.stack import Stack

REST = 240.0  # seconds in which everything must come to rest; a good machine takes one or two

# With one of these the carrier cannot have taken it, with one of those it must have.
NEVER_TAKEN = {"QUEUED", "FAILED", "CANCELED"}
TAKEN = {"SENT", "DELIVERED", "UNDELIVERED"}

_STUCK = """
SELECT m.broadcast_id, b.status, b.paused_because, m.status, count(*), min(m.next_attempt_at),
  min(m.lease_until), now()
FROM messaging_message m JOIN messaging_broadcast b ON b.id = m.broadcast_id
WHERE m.broadcast_id = ANY(%s) AND m.status IN ('QUEUED', 'SENDING')
GROUP BY 1, 2, 3, 4
"""


def everything_is_accounted_for(stack: Stack, queue_ids: Collection[UUID]) -> None:
    """Let the mended stack come to rest, then hold all of E0 against it.

    1. every accepted message has one status of the table, and none is stuck;
    2. the carrier, by its own record, accepted each message at most once; and what is shown fits it;
    3. the invariants of counters, credits and ledger hold;
    4. every answer a client got was documented, with the contract's error body;
    5. /readyz tells the truth: all is up again.
    """
    _come_to_rest(stack, queue_ids)
    _statuses_fit_the_carriers_record(stack, queue_ids)
    _invariants_hold(stack)
    _answers_were_documented(stack.answers)
    until(stack.says_that_all_is_up, 60, "/readyz says that all is up", tell=stack.readyz)


def _come_to_rest(stack: Stack, queue_ids: Collection[UUID]) -> None:
    asked = [queue_id for queue_id in queue_ids if queue_id not in stack.may_wait]

    def is_at_rest() -> bool:
        return not stack.revive().sql(_STUCK, asked)

    try:
        until(is_at_rest, REST)
    except AssertionError:
        stuck = "\n".join(str(row) for row in stack.sql(_STUCK, asked))
        raise AssertionError(f"E0: messages are stuck:\n{stuck}") from None


def _statuses_fit_the_carriers_record(stack: Stack, queue_ids: Collection[UUID]) -> None:
    # Asked before and after: what may wait is still being handed over.
    before = Counter(stack.accepted())
    rows = stack.sql(
        "SELECT id, status FROM messaging_message WHERE broadcast_id = ANY(%s)", list(queue_ids)
    )
    accepted = stack.accepted()
    known = set(Message.Status.values)
    doubled = {str(id_): accepted[id_] for id_, _ in rows if accepted[id_] > 1}
    lost = Counter(status for id_, status in rows if status in TAKEN and not accepted[id_])
    denied = Counter(status for id_, status in rows if status in NEVER_TAKEN and before[id_])
    assert {status for _, status in rows} <= known
    assert not doubled, f"E0: the carrier accepted these more than once: {doubled}"
    assert not lost, f"E0: shown as taken, and the carrier never saw them: {lost}"
    assert not denied, f"E0: shown as never taken, and the carrier took them: {denied}"


def _invariants_hold(stack: Stack) -> None:
    with stack.django():
        for house in stack.houses:
            for finding in invariants.check(organization_id=house.organization.pk, thorough=True):
                assert not finding.rows, f"E0: not so: {finding.invariant.says}: {finding.rows}"


def _documented() -> dict[str, int]:
    """Return the status that belongs to each error code of docs/api.md."""
    return {
        code.strip("`"): int(status)
        for code, status, *_ in source.table("docs/api.md", "## Error codes")
    }


def _answers_were_documented(answers: Iterable[Answer]) -> None:
    documented = _documented()
    for answer in answers:
        if answer.broke:
            assert answer.may_break, f"E0: the connection broke: {answer.text}"
        elif answer.path.startswith("/api/") and answer.status >= 400:
            _is_documented(answer, documented)
        else:
            assert answer.status < 500 or answer.path == "/readyz", f"E0: {answer.text}"


def _is_documented(answer: Answer, documented: dict[str, int]) -> None:
    assert answer.headers["content-type"].startswith("application/json"), f"E0: {answer.text}"
    body = json.loads(answer.body)
    with override("en"):
        expected = phrase(answer.status)
    assert body["statusCode"] == answer.status, f"E0: {answer.text}"
    assert documented.get(body["code"]) == answer.status, f"E0: {answer.text}"
    assert body["error"] == expected, f"E0: {answer.text}"
    assert body["message"], f"E0: {answer.text}"
    assert answer.status != HTTPStatus.INTERNAL_SERVER_ERROR, f"E0: {answer.text}"

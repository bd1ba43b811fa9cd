"""Moving messages along: every change of status with its counters and its credits, in one transaction.

Whatever moves messages (a drain, a report, the sweep, an operator) opens `of_broadcast`, and runs its
UPDATEs through `Journey.move`. What those returned is what is counted and charged: a message that did
not move moves nothing else.
"""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from accounts import audit
from accounts.models import Organization
from billing import ledger
from contacts import suppressions
from messaging.models import Broadcast, Message

log = logging.getLogger(__name__)

Status = Message.Status
Charge = Message.Charge

# The counter of Broadcast that a status is kept in.
COUNTERS: Final[Mapping[str, str]] = {
    Status.QUEUED: "queued",
    Status.SENDING: "sending",
    Status.UNKNOWN: "unknown",
    Status.SENT: "sent",
    Status.DELIVERED: "delivered",
    Status.UNDELIVERED: "undelivered",
    Status.FAILED: "failed",
    Status.CANCELED: "canceled",
}

# Of the last so many messages that were handed over, half FAILED or UNKNOWN hold a broadcast up.
RESULTS: Final = 200
_RESULT_OF: Final[Mapping[str, str]] = {Status.SENT: "+", Status.FAILED: "-", Status.UNKNOWN: "-"}


def _added_up(statuses: Iterable[str]) -> str:
    return " + ".join(sorted(COUNTERS[status] for status in statuses))


_SETTLE: Final = f"""
UPDATE messaging_broadcast SET
  {", ".join(f"{counter} = {counter} + %({counter})s" for counter in COUNTERS.values())},
  credits_captured = credits_captured + %(captured)s,
  credits_released = credits_released + %(released)s,
  providers = CASE WHEN %(provider)s = '' OR %(provider)s = ANY(providers) THEN providers
    ELSE providers || %(provider)s::varchar END,
  recent_results = right(recent_results || %(results)s, {RESULTS}),
  updated_at = clock_timestamp()
WHERE id = %(id)s
RETURNING {_added_up(Message.WAITING_STATUSES)} = 0, {_added_up(Message.FAILURE_STATUSES)} > 0,
  length(replace(recent_results, '+', '')) >= {RESULTS // 2} AND length(recent_results) = {RESULTS}
"""

_PAUSE: Final = """
UPDATE messaging_broadcast SET status = 'PAUSED', paused_because = %s, broken_drains = 0,
  updated_at = clock_timestamp()
WHERE id = %s AND status = 'RUNNING'
"""


@dataclass(slots=True)
class Journey:
    """The open transaction of one broadcast whose messages are being moved."""

    broadcast_id: UUID
    organization_id: UUID
    status: str
    cursor: CursorWrapper
    counters: Counter[str] = field(default_factory=Counter)
    captured: int = 0
    released: int = 0
    collected_late: int = 0  # moved from released to captured by `ledger.late_capture`
    provider: str = ""
    results: Counter[str] = field(default_factory=Counter)  # of handing over: "+" taken, "-" not

    def move(
        self, update: str, parameters: Mapping[str, Any], *, to: str, charge: str | None = None
    ) -> int:
        """Run an UPDATE of messages `m` and count what it moved; return how many messages that is.

        The statement stands without RETURNING, sets the status to `to` itself and, with `charge`, the
        charge. It names the statuses it may leave, so that a message never moves twice.
        """
        self.cursor.execute(
            f"WITH moved AS ({update} RETURNING old.status AS was, old.charge AS charged, m.credits)"
            " SELECT was, charged, count(*), sum(credits) FROM moved GROUP BY 1, 2",
            {"broadcast_id": self.broadcast_id, **parameters},
        )
        messages = 0
        for was, charged, count, amount in self.cursor.fetchall():
            messages += count
            self.count(messages=count, was=was, to=to)
            if charged == Charge.RESERVED and charge == Charge.CAPTURED:
                self.captured += int(amount)
            elif charged == Charge.RESERVED and charge == Charge.RELEASED:
                self.released += int(amount)
        return messages

    def opt_out(self, recipients: Iterable[str]) -> None:
        """Stop everything else to these numbers: the carrier says that the person asked for it."""
        suppressions.add_from_carrier(
            organization_id=self.organization_id, recipients=list(recipients)
        )

    def count(self, *, messages: int, was: str, to: str) -> None:
        """Count messages whose UPDATE the caller ran itself, because it needs the rows."""
        self.counters[COUNTERS[was]] -= messages
        self.counters[COUNTERS[to]] += messages
        if was == Status.SENDING and to in _RESULT_OF:
            self.results[_RESULT_OF[to]] += messages


@contextmanager
def of_broadcast(
    queue_id: UUID, *, lease: UUID | None = None, waits: bool = True
) -> Iterator[Journey | None]:
    """Hold one broadcast while its messages move; then settle counters, credits and its own status.

    All or nothing: an exception in the block leaves every message, counter and credit as it was. None
    when there is no such broadcast, or without `waits` when somebody else holds it. The lock order is
    broadcast → messages → credit account.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT organization_id, status FROM messaging_broadcast"
            f" WHERE id = %s FOR NO KEY UPDATE {'' if waits else 'SKIP LOCKED'}",
            [queue_id],
        )
        row = cursor.fetchone()
        if row is None:
            yield None
            return
        journey = Journey(queue_id, row[0], row[1], cursor)
        yield journey
        _settle(journey, reference=f"broadcast:{queue_id}:{lease or uuid4()}:{uuid4().hex}")


def _settle(journey: Journey, *, reference: str) -> None:
    if not (
        any(journey.counters.values()) or journey.captured or journey.released or journey.provider
    ):
        return
    journey.cursor.execute(
        _SETTLE,
        {
            **{counter: journey.counters[counter] for counter in COUNTERS.values()},
            "captured": journey.captured + journey.collected_late,
            "released": journey.released - journey.collected_late,
            "provider": journey.provider,
            "results": _mixed(journey.results),
            "id": journey.broadcast_id,
        },
    )
    is_finished, has_failures, fails_too_often = journey.cursor.fetchone()
    if is_finished:
        _finish(journey, has_failures=has_failures)
    elif fails_too_often and journey.results and journey.status == Broadcast.Status.RUNNING:
        pause(
            broadcast_id=journey.broadcast_id,
            organization_id=journey.organization_id,
            because=Broadcast.PausedBecause.ERROR_RATE,
        )
    ledger.capture(
        organization_id=journey.organization_id, amount=journey.captured, reference=reference
    )
    ledger.release(
        organization_id=journey.organization_id, amount=journey.released, reference=reference
    )


def _finish(journey: Journey, *, has_failures: bool) -> None:
    """Give the broadcast its end; a late report may turn one finished status into the other."""
    status = (
        Broadcast.Status.COMPLETED_WITH_FAILURES if has_failures else Broadcast.Status.COMPLETED
    )
    if journey.status == Broadcast.Status.CANCELED:
        status = Broadcast.Status.CANCELED
    journey.cursor.execute(
        "UPDATE messaging_broadcast SET status = %s, paused_because = '',"
        " finished_at = coalesce(finished_at, clock_timestamp())"
        " WHERE id = %s AND (status <> %s OR finished_at IS NULL)",
        [status, journey.broadcast_id, status],
    )
    if journey.cursor.rowcount:
        log.info(
            "broadcast_finished", extra={"broadcast": str(journey.broadcast_id), "status": status}
        )


def _mixed(results: Counter[str]) -> str:
    """Return one window's results spread evenly: what is cut off later is a fair sample of it."""
    failed, total = results["-"], results.total()
    return "".join(
        "-" if (number + 1) * failed // total > number * failed // total else "+"
        for number in range(max(0, total - RESULTS), total)
    )


def pause(*, broadcast_id: UUID, organization_id: UUID, because: Broadcast.PausedBecause) -> None:
    """Hold a running broadcast up by ourselves, and say so; somebody of the organization resumes it."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_PAUSE, [because, broadcast_id])
        if not cursor.rowcount:
            return
        audit.record(
            act="broadcast.paused",
            subject=f"broadcast:{broadcast_id}",
            organization=Organization(pk=organization_id),
            details={"paused_because": because},
        )
    log.error("broadcast_paused", extra={"broadcast": str(broadcast_id), "because": because})

"""Delivery reports: kept first, applied after, in sets, and only ever forward."""

import json
import logging
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Any, Final, TypeAlias
from uuid import UUID

from django.db import connection

from billing import ledger
from messaging import journeys
from messaging.failpoints import failpoint
from messaging.gathering import Gathering
from messaging.journeys import Charge, Journey, Status
from messaging.models import DeliveryReport, Message, MessageEvent
from messaging.providers import references
from messaging.providers.callbacks import Report
from messaging.timings import TIMINGS

log = logging.getLogger(__name__)

Outcome = DeliveryReport.Outcome

BITE: Final = 1_000  # reports looked at together

# Where a message goes, by its status and the report's. What is not here moves nothing: forward only,
# and of two final reports the first wins. QUEUED stands for what was put back after a refusal: a carrier
# that took it all the same has sent it, and it must not leave again.
FORWARD: Final[Mapping[tuple[str, str], Status]] = {
    (Status.QUEUED, Status.SENT): Status.SENT,
    (Status.QUEUED, Status.DELIVERED): Status.DELIVERED,
    (Status.UNKNOWN, Status.SENT): Status.SENT,
    (Status.UNKNOWN, Status.DELIVERED): Status.DELIVERED,
    (Status.UNKNOWN, Status.UNDELIVERED): Status.UNDELIVERED,
    (Status.UNKNOWN, Status.FAILED): Status.FAILED,
    (Status.SENT, Status.DELIVERED): Status.DELIVERED,
    (Status.SENT, Status.UNDELIVERED): Status.UNDELIVERED,
    (Status.SENT, Status.FAILED): Status.UNDELIVERED,  # the carrier took it, and bills it
}

# The statuses that a final report agrees with; a message that ended otherwise contradicts it.
_AGREES: Final[Mapping[str, frozenset[str]]] = {
    Status.DELIVERED: frozenset({Status.DELIVERED}),
    Status.UNDELIVERED: frozenset({Status.UNDELIVERED}),
    Status.FAILED: frozenset({Status.FAILED, Status.UNDELIVERED}),
}
_GOOD: Final = frozenset({Status.SENT, Status.DELIVERED})
_BAD: Final = frozenset({Status.UNDELIVERED, Status.FAILED})

# One parameter for all of them: this runs hundreds of times a second.
_KEEP: Final = """
INSERT INTO messaging_deliveryreport
  (provider, looked_up, message_id, provider_message_id, status, code, reason, opts_out, raw, outcome)
SELECT r.*, ''
FROM jsonb_to_recordset(%s) AS r(provider text, looked_up bool, message_id uuid,
  provider_message_id text, status text, code text, reason text, opts_out bool, raw jsonb)
"""

# Only who was handed a message is believed about it, also where our own signed id names it: of two
# accounts at one carrier, neither speaks for the other.
_DUE: Final = """
SELECT r.id, m.id, m.broadcast_id, r.created_at < statement_timestamp() - %(keep)s * interval '1 second'
FROM messaging_deliveryreport r
LEFT JOIN LATERAL (
  SELECT id, broadcast_id FROM messaging_message
  WHERE id = r.message_id AND provider IN (r.provider, '')
  UNION ALL
  SELECT id, broadcast_id FROM messaging_message
  WHERE r.message_id IS NULL AND provider_message_id = r.provider_message_id
    AND provider_message_id <> ''  -- what the index is made of
    AND provider = r.provider
  LIMIT 1
) m ON TRUE
WHERE r.applied_at IS NULL AND r.due_at <= statement_timestamp()
ORDER BY r.due_at, r.id LIMIT %(bite)s
"""

_OPEN: Final = """
SELECT r.id, r.status, r.code, r.reason, r.provider_message_id, r.opts_out, r.looked_up,
  NOT r.looked_up AND r.created_at < m.submit_started_at, put_back.is_so,
  m.submit_started_at, m.id, m.status, m.recipient
FROM unnest(%s::uuid[], %s::uuid[]) AS pair(report_id, message_id)
JOIN messaging_deliveryreport r ON r.id = pair.report_id
JOIN messaging_message m ON m.id = pair.message_id
CROSS JOIN LATERAL (SELECT EXISTS (
  SELECT FROM messaging_messageevent e WHERE e.message_id = m.id AND e.kind = 'PUT_BACK') AS is_so
) put_back
WHERE r.applied_at IS NULL
ORDER BY r.id FOR UPDATE OF r
"""

_MOVE: Final = """
UPDATE messaging_message m SET status = %(to)s,
  charge = CASE WHEN m.charge = 'RESERVED' THEN %(charge)s ELSE m.charge END,
  sent_at = CASE WHEN %(to)s = 'FAILED' THEN m.sent_at ELSE coalesce(m.sent_at, clock_timestamp()) END,
  delivered_at = CASE WHEN %(to)s = 'DELIVERED' THEN clock_timestamp() END,
  error_code = r.code, error_message = r.reason, lease_until = NULL, unknown_since = NULL,
  provider_message_id = CASE WHEN m.provider_message_id = '' AND NOT EXISTS (
      SELECT FROM messaging_message other
      WHERE other.provider_message_id = r.provider_message_id AND other.provider_message_id <> ''
        AND other.provider = m.provider)
    THEN r.provider_message_id ELSE m.provider_message_id END,
  updated_at = clock_timestamp()
FROM unnest(%(ids)s::uuid[], %(codes)s::text[], %(reasons)s::text[], %(provider_ids)s::text[])
  AS r(id, code, reason, provider_message_id)
WHERE m.id = r.id AND (m.status IN ('UNKNOWN', 'SENT')
  OR m.status IN ('QUEUED', 'SENDING') AND m.submit_started_at IS NULL)
"""

_SETTLE: Final = """
UPDATE messaging_deliveryreport r SET applied_at = clock_timestamp(), outcome = done.outcome,
  message_id = coalesce(r.message_id, done.message_id)
FROM unnest(%s::uuid[], %s::uuid[], %s::text[]) AS done(id, message_id, outcome) WHERE r.id = done.id
"""

# Of a message whose number was blanked meanwhile: the carrier's words may hold it.
_BLANK: Final = "UPDATE messaging_deliveryreport SET raw = '{}', reason = '' WHERE id = ANY(%s)"

# The longer it was waited for, the rarer it is looked for.
_WAIT: Final = """
UPDATE messaging_deliveryreport SET due_at = clock_timestamp()
  + least(greatest(statement_timestamp() - created_at, %s * interval '1 second'), interval '1 hour')
WHERE id = ANY(%s)
"""


@dataclass(frozen=True, slots=True)
class _Open:
    """A report that is not applied yet, beside the message it is about."""

    id: UUID
    status: str
    code: str
    reason: str
    provider_message_id: str
    opts_out: bool
    looked_up: bool
    was_here_before: bool  # the message was handed over, for the last time
    was_put_back: bool  # the message, once at least
    marked_at: datetime | None  # the message, for the attempt that stands
    message_id: UUID
    message_status: str
    recipient: str

    @property
    def is_blanked(self) -> bool:
        """Return whether the message has no number any more: then its reports keep no words either."""
        return not self.recipient

    @property
    def is_of_an_earlier_attempt(self) -> bool:
        """Return whether it is about one that never left: the message was handed over again since."""
        if not self.was_put_back or self.marked_at is None:
            return False
        return self.was_here_before or (
            references.message_of(self.provider_message_id) == self.message_id
            and self.provider_message_id != references.of(self.message_id, self.marked_at)
        )

    @property
    def waits_again(self) -> bool:
        """Return whether the message was put back and is not marked: another attempt is to come."""
        is_waiting = self.message_status in Message.WAITING_STATUSES
        return self.was_put_back and is_waiting and self.marked_at is None

    @property
    def ends_the_wait(self) -> bool:
        """Return whether the carrier took what it had refused: another attempt would be a second text."""
        return self.waits_again and (Status.QUEUED, self.status) in FORWARD


# A report as `_KEEP` reads it.
_Row: TypeAlias = dict[str, Any]

# A report, the message it was found to be about, and what came of it.
_Settled = tuple[UUID, UUID | None, Outcome]


def keep(*, provider: str, reports: Sequence[Report], looked_up: bool = False) -> None:
    """Put reports of one provider (`slug:account`) into the inbox.

    Once this returns, the carrier may be told "received". `looked_up` are answers to our own questions.
    """
    rows: list[_Row] = [
        {
            "provider": provider,
            "looked_up": looked_up,
            "message_id": report.message_id and report.message_id.hex,
            "provider_message_id": report.provider_message_id[:128],
            "status": report.status,
            "code": report.code[:64],
            "reason": report.reason[:300],
            "opts_out": report.opts_out,
            "raw": dict(report.raw),
        }
        for report in reports
    ]
    if not rows:
        return
    if connection.in_atomic_block:  # kept when the caller commits: no other thread's report may be
        _insert([rows])
    else:
        _gathering.add(rows)


def _insert(gathered: Sequence[list[_Row]]) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_KEEP, [json.dumps(list(chain.from_iterable(gathered)))])


_gathering: Final = Gathering(_insert)  # the threads of a web process


def apply() -> bool:
    """Apply what is due in the inbox for about two seconds; return whether more is due.

    Safe to run anywhere, any number of times at once: a report is applied under its broadcast's lock,
    and one that is applied already moves nothing.
    """
    deadline = time.monotonic() + TIMINGS.drain
    while time.monotonic() < deadline:
        if _apply_bite() < BITE:
            return False
    return True


def _apply_bite() -> int:
    """Look at one bite of due reports and return how many there were."""
    with connection.cursor() as cursor:
        cursor.execute(_DUE, {"keep": TIMINGS.unknown_released, "bite": BITE})
        due = cursor.fetchall()
    by_broadcast: dict[UUID, list[tuple[UUID, UUID]]] = defaultdict(list)
    unmatched: list[tuple[UUID, bool]] = []
    for report_id, message_id, broadcast_id, is_old in due:
        if message_id is None:
            unmatched.append((report_id, is_old))
        else:
            by_broadcast[broadcast_id].append((report_id, message_id))
    _settle([(report_id, None, Outcome.UNMATCHED) for report_id, is_old in unmatched if is_old])
    _wait([report_id for report_id, is_old in unmatched if not is_old])
    for broadcast_id in sorted(by_broadcast):
        pairs = by_broadcast[broadcast_id]
        try:
            _apply_to(broadcast_id, pairs)
        except Exception:
            # One broadcast whose reports cannot be applied must not hold up all the others.
            if not connection.is_usable():
                raise
            log.exception("reports_not_applied", extra={"broadcast": str(broadcast_id)})
            _wait([report_id for report_id, _ in pairs])
    return len(due)


def _apply_to(broadcast_id: UUID, pairs: Sequence[tuple[UUID, UUID]]) -> None:
    with journeys.of_broadcast(broadcast_id) as journey:
        if journey is None:
            return
        journey.cursor.execute(
            _OPEN, [[report for report, _ in pairs], [message for _, message in pairs]]
        )
        opened = [_Open(*row) for row in journey.cursor.fetchall()]
        moves, outcomes, early = _decide(opened)
        # In the order of all locks: opt-outs by number, then messages, the credit account last.
        journey.opt_out(_opted_out(broadcast_id, opened))
        for status, reports in moves.items():
            _move(journey, status, reports)
        _collect_late(journey, [report.message_id for report in opened])
        _settle(outcomes)
        _wait(early)
        _blank([report.id for report in opened if report.is_blanked])
    failpoint("report.after_apply", broadcast_id)


def _opted_out(broadcast_id: UUID, opened: Iterable[_Open]) -> list[str]:
    """Return the numbers that the carrier says asked for it, in the order of all opt-outs."""
    told = [report for report in opened if report.opts_out]
    if any(report.is_blanked for report in told):
        log.error("opt_out_of_a_blanked_message", extra={"broadcast": str(broadcast_id)})
    return sorted({report.recipient for report in told if not report.is_blanked})


def _decide(
    opened: Iterable[_Open],
) -> tuple[dict[Status, list[_Open]], list[_Settled], list[UUID]]:
    """Return what moves where, the outcome of each report, and the reports that came too early."""
    now: dict[UUID, str] = {}
    last: dict[UUID, tuple[Status, _Open]] = {}
    outcomes: list[_Settled] = []
    early: list[UUID] = []
    for report in opened:
        status = now.setdefault(
            report.message_id,
            Status.QUEUED if report.waits_again else report.message_status,
        )
        if report.status and status in Message.WAITING_STATUSES and not report.ends_the_wait:
            early.append(report.id)
            continue
        if report.is_of_an_earlier_attempt and report.status in _BAD:
            outcomes.append((report.id, report.message_id, Outcome.NO_CHANGE))
            continue
        forward = FORWARD.get((status, report.status))
        if forward is not None:
            now[report.message_id] = forward
            last[report.message_id] = (forward, report)
            outcomes.append((report.id, report.message_id, Outcome.APPLIED))
        elif report.status in _AGREES and status not in _AGREES[report.status]:
            outcomes.append((report.id, report.message_id, Outcome.CONFLICT))
        else:
            outcomes.append((report.id, report.message_id, Outcome.NO_CHANGE))
    moves: dict[Status, list[_Open]] = defaultdict(list)
    for forward, report in last.values():
        moves[forward].append(report)
    return moves, outcomes, early


def _move(journey: Journey, status: Status, reports: Sequence[_Open]) -> None:
    ids = [report.message_id for report in reports]
    if taken := [report.message_id for report in reports if report.waits_again]:
        log.error(
            "refused_and_taken",
            extra={"broadcast": str(journey.broadcast_id), "messages": [str(m) for m in taken]},
        )
    # Where a carrier gives two messages one id, the first keeps it: the column is unique.
    first = {report.provider_message_id: report.message_id for report in reversed(reports)}
    charge = Charge.RELEASED if status == Status.FAILED else Charge.CAPTURED
    journey.move(
        _MOVE,
        {
            "to": status,
            "charge": charge,
            "ids": ids,
            "codes": ["" if status in _GOOD else report.code for report in reports],
            "reasons": [
                "" if status in _GOOD or report.is_blanked else report.reason for report in reports
            ],
            "provider_ids": [
                r.provider_message_id if first[r.provider_message_id] == r.message_id else ""
                for r in reports
            ],
        },
        to=status,
        charge=charge,
    )
    MessageEvent.objects.bulk_create(
        MessageEvent(
            message_id=report.message_id,
            kind=MessageEvent.Kind.RESOLVED,
            detail="by a look-up" if report.looked_up else "by a delivery report",
        )
        for report in reports
        if report.message_status == Status.UNKNOWN or report.waits_again
    )


def _collect_late(journey: Journey, ids: Sequence[UUID]) -> None:
    """Charge messages whose credits went back because nobody could tell what became of them."""
    journey.cursor.execute(
        "SELECT id, credits FROM messaging_message WHERE id = ANY(%s) AND charge = 'RELEASED'"
        " AND status IN ('SENT', 'DELIVERED', 'UNDELIVERED') ORDER BY id",
        [list(ids)],
    )
    for message_id, amount in journey.cursor.fetchall():
        is_covered = ledger.late_capture(
            organization_id=journey.organization_id,
            amount=amount,
            reference=f"broadcast:{journey.broadcast_id}:late:{message_id}",
        )
        if is_covered:
            journey.collected_late += amount
        journey.cursor.execute(
            "UPDATE messaging_message SET charge = %s WHERE id = %s",
            [Charge.CAPTURED if is_covered else Charge.UNCOLLECTED, message_id],
        )
        MessageEvent.objects.create(message_id=message_id, kind=MessageEvent.Kind.LATE)


def _settle(outcomes: Sequence[_Settled]) -> None:
    if outcomes:
        with connection.cursor() as cursor:
            cursor.execute(_SETTLE, [list(column) for column in zip(*outcomes, strict=True)])


def _blank(report_ids: Sequence[UUID]) -> None:
    if report_ids:
        with connection.cursor() as cursor:
            cursor.execute(_BLANK, [list(report_ids)])


def _wait(report_ids: Sequence[UUID]) -> None:
    if report_ids:
        with connection.cursor() as cursor:
            cursor.execute(_WAIT, [TIMINGS.report_again, list(report_ids)])

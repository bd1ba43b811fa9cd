"""Handing a broadcast's messages to a provider: claim → mark → call → record.

The row is the truth, the queue a hint. A message is marked, in a committed transaction, just before the
request that carries it starts; what is marked and has no result is UNKNOWN and never sent again, what
is not marked provably never left.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Final
from uuid import UUID, uuid4

import aiohttp
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from accounts import rate_limits
from messaging import journeys, locks, providers, recording
from messaging.failpoints import failpoint
from messaging.journeys import Charge, Journey, Status
from messaging.models import Broadcast, Message
from messaging.providers import signing
from messaging.providers.base import Batch, Kind, Outgoing, Provider, http_session
from messaging.providers.results import Misconfigured, Result, Unavailable
from messaging.timings import TIMINGS

log = logging.getLogger(__name__)

CLAIM: Final = 100  # messages of one claim: what a crash before the mark puts back
MOST_BROKEN_DRAINS: Final = 20

_BEGIN: Final = """
UPDATE messaging_broadcast SET broken_drains = broken_drains + 1, woken_at = clock_timestamp(),
  started_at = coalesce(started_at, clock_timestamp())
WHERE id = %s AND status = 'RUNNING'
RETURNING organization_id, text, kind, broken_drains, queued
"""

_CLAIM: Final = """
UPDATE messaging_message m SET status = 'SENDING', claimed_at = clock_timestamp(),
  lease_token = %(token)s, lease_until = clock_timestamp() + %(lease)s * interval '1 second',
  submit_started_at = NULL
FROM (
  SELECT id FROM messaging_message
  WHERE broadcast_id = %(broadcast_id)s AND status = 'QUEUED' AND next_attempt_at <= statement_timestamp()
    AND (expires_at IS NULL OR expires_at > statement_timestamp())
  ORDER BY next_attempt_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
) due
WHERE m.id = due.id
RETURNING m.id, m.recipient
"""

# Only what this returns may be sent.
_MARK: Final = """
UPDATE messaging_message m SET submit_started_at = clock_timestamp(), attempts = attempts + 1,
  provider = %(provider)s,
  expires_at = coalesce(expires_at, statement_timestamp() + %(validity)s * interval '1 second')
WHERE m.id = ANY(%(ids)s) AND m.lease_token = %(token)s AND m.status = 'SENDING'
  AND m.submit_started_at IS NULL
  AND m.lease_until > clock_timestamp() + %(margin)s * interval '1 second'
  AND EXISTS (SELECT FROM messaging_broadcast b WHERE b.id = m.broadcast_id AND b.status = 'RUNNING')
  AND NOT EXISTS (SELECT FROM contacts_suppression s
    WHERE s.organization_id = m.organization_id AND s.recipient = m.recipient)
  AND NOT EXISTS (SELECT FROM contacts_contact c WHERE c.id = m.contact_id AND c.status = 'BLOCKED')
RETURNING m.id
"""

_OURS_UNMARKED: Final = """
m.id = ANY(%(ids)s) AND m.lease_token = %(token)s AND m.status = 'SENDING'
  AND m.submit_started_at IS NULL"""

_END_UNMARKED: Final = f"""
UPDATE messaging_message m SET status = 'CANCELED', charge = 'RELEASED', error_code = %(code)s,
  lease_token = NULL, lease_until = NULL, updated_at = clock_timestamp()
WHERE {_OURS_UNMARKED}"""

# Why a message that was claimed must not leave any more: error code → condition.
_CANCELED: Final = {Message.ErrorCode.CANCELED: "TRUE"}
_NOT_WANTED: Final = {
    Message.ErrorCode.CONTACT_BLOCKED: """EXISTS (
  SELECT FROM contacts_contact c WHERE c.id = m.contact_id AND c.status = 'BLOCKED')""",
    Message.ErrorCode.OPTED_OUT: """EXISTS (
  SELECT FROM contacts_suppression s
  WHERE s.organization_id = m.organization_id AND s.recipient = m.recipient)""",
}

_PUT_BACK_UNMARKED: Final = f"""
UPDATE messaging_message m SET status = 'QUEUED', lease_token = NULL, lease_until = NULL
WHERE {_OURS_UNMARKED}"""


@dataclass(frozen=True, slots=True)
class _Lane:
    """One drain at work: what it sends, by whom, under which lease."""

    queue_id: UUID
    organization_id: UUID
    text: str
    kind: Kind
    queued: int  # when it began
    token: UUID


@dataclass(frozen=True, slots=True)
class _Claimed:
    id: UUID
    recipient: str


def drain(*, queue_id: UUID, lane: int) -> bool:
    """Hand over what is due of a broadcast, for about two seconds; return whether rows are left.

    At most one drain works a lane; a second returns False at once. No message is handed over twice, whatever
    ends this process: a message leaves only after its mark is committed, and a marked one is never claimed.

    Raises: DatabaseError when PostgreSQL cannot be reached; what was claimed comes back by its lease.
    """
    if not settings.SENDING:
        return False
    failpoint("worker.on_task", queue_id)
    with locks.held(_number(queue_id), lane) as is_ours:
        if not is_ours:
            return False
        begun = _begin(queue_id)
        if begun is None:
            return False
        try:
            return _work(begun)
        except providers.NoProvider:
            # SMS_PROVIDERS was changed: the messages wait until somebody carries them again.
            log.exception("no_provider_for_broadcast", extra={"broadcast": str(queue_id)})
            return False
        finally:
            # Reached by every end but a kill: what kills its worker each time is counted.
            _end(queue_id)


def _number(queue_id: UUID) -> int:
    """Return the broadcast as a 32-bit number, as a lock is named by."""
    return int.from_bytes(queue_id.bytes[:4], signed=True) ^ int.from_bytes(
        queue_id.bytes[12:], signed=True
    )


def _begin(queue_id: UUID) -> _Lane | None:
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN, [queue_id])
        row = cursor.fetchone()
        if row is None:
            return None
        organization_id, text, kind, broken_drains, queued = row
        if broken_drains > MOST_BROKEN_DRAINS:
            cursor.execute(
                "UPDATE messaging_broadcast SET status = 'PAUSED', paused_because = %s,"
                " broken_drains = 0, updated_at = clock_timestamp()"
                " WHERE id = %s AND status = 'RUNNING'",
                [Broadcast.PausedBecause.NO_PROGRESS, queue_id],
            )
            log.error("broadcast_without_progress", extra={"broadcast": str(queue_id)})
            return None
    return _Lane(queue_id, organization_id, text, kind, queued, uuid4())


def _end(queue_id: UUID) -> None:
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE messaging_broadcast SET broken_drains = 0 WHERE id = %s", [queue_id]
            )
    except (OperationalError, InterfaceError):
        # The database is away: the drain that finds it again starts from this count.
        log.warning("drain_end_not_recorded", extra={"broadcast": str(queue_id)})
        connection.close()


def _work(lane: _Lane) -> bool:
    provider = providers.choose(kind=lane.kind)
    deadline = time.monotonic() + TIMINGS.drain
    with asyncio.Runner() as runner:
        http = runner.run(_open_http(provider))
        try:
            while time.monotonic() < deadline:
                granted, wait = _tokens(provider, lane.queued)
                if not granted:
                    time.sleep(max(0, min(wait, deadline - time.monotonic())))
                    continue
                claimed = _claim(lane, granted)
                if not claimed:
                    return False
                failpoint("worker.after_claim", lane.text)
                if not _hand_over(lane, provider, claimed, deadline, runner, http):
                    # Nothing gets through: the dispatcher tries again in a while, with one window.
                    return False
                if len(claimed) < granted:
                    return False  # nothing else is due
        finally:
            runner.run(http.close())
    return True


def _tokens(provider: Provider, queued: int) -> tuple[int, float]:
    """Return how many messages may be claimed now, and where none, the seconds until some may.

    All workers share one window a credential, so broadcasts on it share its rate, and none takes more
    tokens than it had messages.
    """
    if provider.rate is None:
        return CLAIM, 0
    # Windows of a second; a rate below one a second gets a longer window with one message in it.
    seconds = max(1, ceil(1 / provider.rate))
    limit = rate_limits.Limit(count=max(1, int(provider.rate * seconds)), seconds=seconds)
    taken = rate_limits.take(
        f"provider:{provider.name}", limit=limit, amount=min(CLAIM, max(1, queued))
    )
    return taken.granted, taken.resets_in


async def _open_http(provider: Provider) -> aiohttp.ClientSession:
    return http_session(
        concurrency=provider.concurrency, connect=TIMINGS.connect, read=TIMINGS.read
    )


def _claim(lane: _Lane, most: int) -> list[_Claimed]:
    with journeys.of_broadcast(lane.queue_id, lease=lane.token) as journey:
        if journey is None or journey.status != Broadcast.Status.RUNNING:
            return []
        journey.cursor.execute(
            _CLAIM,
            {
                "broadcast_id": lane.queue_id,
                "token": lane.token,
                "lease": TIMINGS.lease,
                "limit": most,
            },
        )
        claimed = [_Claimed(*row) for row in journey.cursor.fetchall()]
        journey.count(messages=len(claimed), was=Status.QUEUED, to=Status.SENDING)
    return sorted(claimed, key=lambda message: message.id)


def _hand_over(
    lane: _Lane,
    provider: Provider,
    claimed: Sequence[_Claimed],
    deadline: float,
    runner: asyncio.Runner,
    http: aiohttp.ClientSession,
) -> bool:
    """Send a claim in windows of the requests that may run at once; what time did not allow goes back.

    Return whether the last window got through: not, where all of it provably never left.
    """
    window = provider.concurrency * provider.max_batch
    gets_through = True
    for start in range(0, len(claimed), window):
        if start and (time.monotonic() >= deadline or not gets_through):
            _put_back(lane, [message.id for message in claimed[start:]])
            break
        part = claimed[start : start + window]
        marked = _mark(lane, provider, [message.id for message in part])
        if marked:
            failpoint("worker.after_mark", lane.text)
            sendable = [message for message in part if message.id in marked]
            results = runner.run(_call(lane, provider, sendable, http))
            failpoint("worker.after_http_ok", lane.text)
            recording.record(
                queue_id=lane.queue_id,
                token=lane.token,
                provider=provider.name,
                results=results,
            )
            failpoint("worker.after_record", lane.text)
            gets_through = not all(
                isinstance(result, Unavailable | Misconfigured) for result in results.values()
            )
    return gets_through


def _mark(lane: _Lane, provider: Provider, ids: list[UUID]) -> set[UUID]:
    """Return the messages that may be sent now; their mark is committed."""
    ours: dict[str, Any] = {"ids": ids, "token": lane.token}
    with journeys.of_broadcast(lane.queue_id, lease=lane.token) as journey:
        if journey is None:
            return set()
        journey.cursor.execute(
            _MARK,
            {
                **ours,
                "provider": provider.name,
                "validity": TIMINGS.validity,
                "margin": TIMINGS.margin,
            },
        )
        marked = {row[0] for row in journey.cursor.fetchall()}
        if marked:
            journey.provider = provider.name
        if len(marked) < len(ids):
            _settle_unmarked(journey, ours)
    return marked


def _settle_unmarked(journey: Journey, ours: Mapping[str, Any]) -> None:
    """End what must not be sent any more; put back what only has to wait."""
    ends = _CANCELED if journey.status == Broadcast.Status.CANCELED else _NOT_WANTED
    for code, condition in ends.items():
        journey.move(
            f"{_END_UNMARKED} AND {condition}",
            {**ours, "code": code},
            to=Status.CANCELED,
            charge=Charge.RELEASED,
        )
    journey.move(_PUT_BACK_UNMARKED, ours, to=Status.QUEUED)


def _put_back(lane: _Lane, ids: list[UUID]) -> None:
    with journeys.of_broadcast(lane.queue_id, lease=lane.token) as journey:
        if journey is not None:
            journey.move(_PUT_BACK_UNMARKED, {"ids": ids, "token": lane.token}, to=Status.QUEUED)


async def _call(
    lane: _Lane,
    provider: Provider,
    messages: Sequence[_Claimed],
    http: aiohttp.ClientSession,
) -> dict[UUID, Result]:
    """Return what became of each message. No transaction is open while this runs."""
    outgoing = [
        Outgoing(
            id=message.id,
            recipient=message.recipient,
            callback_url=signing.callback_url(provider.slug, message.id),
        )
        for message in messages
    ]
    size = provider.max_batch
    batches = [
        Batch(messages=outgoing[start : start + size], text=lane.text, kind=lane.kind)
        for start in range(0, len(outgoing), size)
    ]
    answers = await asyncio.gather(*(provider.send(batch, http) for batch in batches))
    return {message_id: result for answer in answers for message_id, result in answer.items()}

"""Handing a broadcast's messages to a provider: claim → mark → call → record.

The row is the truth, the queue a hint. A message is marked, in a committed transaction, just before the
request that carries it starts; what is marked and has no result is UNKNOWN and never sent again, what
is not marked provably never left.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID, uuid4

import aiohttp
from django.conf import settings
from django.db import InterfaceError, OperationalError, connection

from messaging import breaker, journeys, leases, locks, providers, recording, routing
from messaging.failpoints import failpoint
from messaging.leases import Claimed, Lease
from messaging.models import Broadcast
from messaging.providers import signing
from messaging.providers.base import Batch, Kind, Outgoing, Provider, http_session
from messaging.providers.results import Misconfigured, Result, Unavailable
from messaging.routing import Turn
from messaging.timings import TIMINGS

log = logging.getLogger(__name__)

CLAIM: Final = 100  # messages of one claim: what a crash before the mark puts back
MOST_BROKEN_DRAINS: Final = 20

# What a suspended organization accepted is canceled: nothing of it begins any more.
_BEGIN: Final = """
UPDATE messaging_broadcast b SET broken_drains = broken_drains + 1, woken_at = clock_timestamp(),
  started_at = coalesce(started_at, clock_timestamp())
FROM accounts_organization o
WHERE b.id = %s AND b.status = 'RUNNING' AND o.id = b.organization_id AND o.status = 'ACTIVE'
RETURNING b.organization_id, b.text, b.kind, b.segments, b.providers, b.queued, b.broken_drains
"""

_NOT_CARRIED: Final = """
SELECT DISTINCT country FROM messaging_message
WHERE broadcast_id = %s AND status = 'QUEUED' AND next_attempt_at <= statement_timestamp()
  AND country <> ALL(%s)
"""


@dataclass(slots=True)
class _Lane:
    """One drain at work: what it sends, under which lease, and what it learnt of the providers."""

    lease: Lease
    text: str
    kind: Kind
    segments: int
    known_providers: set[str]  # of this broadcast, so far
    queued: int  # when it began
    has_nothing_for: set[str] = field(default_factory=set)
    leaves_alone: set[str] = field(default_factory=set)  # what could not take a message just now

    @property
    def queue_id(self) -> UUID:
        return self.lease.queue_id


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
    organization_id, text, kind, segments, known, queued, broken_drains = row
    if broken_drains > MOST_BROKEN_DRAINS:
        journeys.pause(
            broadcast_id=queue_id,
            organization_id=organization_id,
            because=Broadcast.PausedBecause.NO_PROGRESS,
        )
        return None
    return _Lane(Lease(queue_id, uuid4()), text, kind, segments, set(known), queued)


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
    deadline = time.monotonic() + TIMINGS.drain
    with asyncio.Runner() as runner:
        sessions = _Sessions()
        try:
            while (left := deadline - time.monotonic()) > 0:
                turn = routing.choose(
                    kind=lane.kind,
                    most=min(CLAIM, lane.queued),
                    patience=left,
                    without=lane.has_nothing_for | lane.leaves_alone,
                )
                if isinstance(turn, Turn):
                    if not _waited_in_vain(turn):
                        _take_turn(lane, turn, deadline, runner, sessions)
                elif turn.wait < TIMINGS.wake_again:
                    time.sleep(min(turn.wait, left))
                else:
                    # Nothing is due, or nobody works: the dispatcher wakes it again in a while.
                    _tell_what_nobody_carries(lane)
                    return False
        finally:
            runner.run(sessions.close())
    return True


def _waited_in_vain(turn: Turn) -> bool:
    """Wait for the tokens of a turn; return whether its provider's breaker opened meanwhile."""
    if not turn.wait:
        return False
    time.sleep(turn.wait)
    name = turn.provider.name
    if turn.is_probe or not breaker.states([name]).get(name, breaker.WELL).is_open:
        return False
    turn.give_back(turn.tokens)
    return True


def _take_turn(
    lane: _Lane, turn: Turn, deadline: float, runner: asyncio.Runner, sessions: "_Sessions"
) -> None:
    """Claim what a provider takes now and hand it over."""
    provider = turn.provider
    claimed = leases.claim(lane.lease, most=turn.tokens, countries=provider.countries)
    if len(claimed) < turn.tokens:
        lane.has_nothing_for.add(provider.name)
        turn.give_back(turn.tokens - len(claimed))
    if not claimed:
        return
    failpoint("worker.after_claim", lane.text)
    # Windows of the requests that may run at once: what one crash can leave of unknown outcome.
    window = provider.concurrency * provider.max_batch
    for start in range(0, len(claimed), window):
        if start and (time.monotonic() >= deadline or provider.name in lane.leaves_alone):
            rest = [message.id for message in claimed[start:]]
            leases.put_back(lane.lease, rest)
            turn.give_back(len(rest))
            break
        _hand_over(lane, turn, claimed[start : start + window], runner, sessions)


def _hand_over(
    lane: _Lane,
    turn: Turn,
    window: Sequence[Claimed],
    runner: asyncio.Runner,
    sessions: "_Sessions",
) -> None:
    """Mark a window, send what is marked, and record what became of it."""
    provider = turn.provider
    marked = leases.mark(
        lane.lease,
        [message.id for message in window],
        provider=provider.name,
        is_new_provider=provider.name not in lane.known_providers,
    )
    turn.give_back(len(window) - len(marked))
    if not marked:
        return
    lane.known_providers.add(provider.name)
    failpoint("worker.after_mark", lane.text)
    outgoing = [
        Outgoing(
            id=message.id,
            recipient=message.recipient,
            callback_url=signing.callback_url(provider.slug, message.id),
            again_at=marked[message.id],
        )
        for message in window
        if message.id in marked
    ]
    answers = runner.run(_call(lane, provider, outgoing, sessions))
    failpoint("worker.after_http_ok", lane.text)
    turn.states[provider.name] = breaker.note(
        name=provider.name, answers=answers, state=turn.state, is_probe=turn.is_probe
    )
    results = {message_id: result for answer in answers for message_id, result in answer.items()}
    elsewhere = _look_elsewhere(lane, turn, results)
    recording.record(
        queue_id=lane.queue_id,
        token=lane.lease.token,
        provider=provider.name,
        results=results,
        segments=lane.segments,
        elsewhere=elsewhere,
    )
    failpoint("worker.after_record", lane.text)


def _look_elsewhere(
    lane: _Lane, turn: Turn, results: Mapping[UUID, Result]
) -> frozenset[str] | None:
    """Return the countries whose unsent messages another provider may take at once; None is all of them.

    What could not take a message is left alone for the rest of the drain where another one can, and
    where nothing got through to it: so a message that nobody can take tries each but once in a drain.
    """
    provider = turn.provider
    unsent = [r for r in results.values() if isinstance(r, Unavailable | Misconfigured)]
    busy = [r for r in unsent if isinstance(r, Unavailable) and r.gives_attempt_back]
    if turn.state.is_open or (len(unsent) == len(results) and not busy):
        lane.leaves_alone.add(provider.name)
    if busy:
        # What was asked to wait longer does so by its own row; a credential is tried again before.
        longest = max(recording.retry_after(result) for result in busy)
        routing.bucket(provider).hold(
            min(max(longest, TIMINGS.retry_after_least), TIMINGS.breaker_open)
        )
    if not unsent:
        return frozenset()
    elsewhere = routing.elsewhere(
        kind=lane.kind, states=turn.states, without=lane.leaves_alone | {provider.name}
    )
    if elsewhere != frozenset():
        lane.leaves_alone.add(provider.name)
    return elsewhere


def _tell_what_nobody_carries(lane: _Lane) -> None:
    """Log the countries whose messages wait until SMS_PROVIDERS has somebody for them again."""
    carriers = providers.candidates(kind=lane.kind)
    if any(not p.countries or p.name not in lane.has_nothing_for for p in carriers):
        return
    carried = frozenset().union(*(provider.countries for provider in carriers))
    with connection.cursor() as cursor:
        cursor.execute(_NOT_CARRIED, [lane.queue_id, list(carried)])
        countries = sorted(country for (country,) in cursor.fetchall())
    if countries:
        log.error(
            "no_provider_for_countries",
            extra={"broadcast": str(lane.queue_id), "countries": countries},
        )


class _Sessions:
    """One HTTP session a provider, for the time of a drain."""

    def __init__(self) -> None:
        self._open: dict[str, aiohttp.ClientSession] = {}

    def of(self, provider: Provider) -> aiohttp.ClientSession:
        """Return the session; the first call must come from inside the event loop."""
        if provider.name not in self._open:
            self._open[provider.name] = http_session(
                concurrency=provider.concurrency, connect=TIMINGS.connect, read=TIMINGS.read
            )
        return self._open[provider.name]

    async def close(self) -> None:
        for session in self._open.values():
            await session.close()


async def _call(
    lane: _Lane, provider: Provider, messages: Sequence[Outgoing], sessions: _Sessions
) -> list[dict[UUID, Result]]:
    """Return what became of the messages of each request. No transaction is open while this runs."""
    http = sessions.of(provider)
    size = provider.max_batch
    batches = [
        Batch(messages=messages[start : start + size], text=lane.text, kind=lane.kind)
        for start in range(0, len(messages), size)
    ]
    answers = await asyncio.gather(*(provider.send(batch, http) for batch in batches))
    return [dict(answer) for answer in answers]

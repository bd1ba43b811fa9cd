"""Handing a broadcast's messages to a provider: claim → mark → call → record.

The row is the truth, the queue a hint. A message is marked, in a committed transaction, just before the
request that carries it starts; what is marked and has no result is UNKNOWN and never sent again, what
is not marked provably never left.
"""

import logging
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any, Final, TypeVar
from uuid import UUID, uuid4

from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, connection

from messaging import breaker, journeys, leases, locks, providers, recording, routing
from messaging.air import Air, Flight
from messaging.breaker import State
from messaging.failpoints import failpoint
from messaging.journeys import Journey
from messaging.leases import Claimed, Lease, Marked
from messaging.models import Broadcast
from messaging.providers import signing
from messaging.providers.base import Batch, Kind, Outgoing, Provider
from messaging.providers.results import Accepted, Misconfigured, Unavailable
from messaging.routing import Turn
from messaging.timings import TIMINGS

log = logging.getLogger(__name__)

_T = TypeVar("_T")

CLAIM: Final = 100  # messages of one claim: what a crash before the mark puts back
MOST_BROKEN_DRAINS: Final = 20
LEAST_PART: Final = (
    25  # messages of a window that are settled together: fewer cost the database as much
)

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
    turn: Turn = field(init=False)  # whose the claimed messages are
    claimed: list[Claimed] = field(default_factory=list)  # and not marked
    states: dict[str, State] = field(default_factory=dict)  # of credentials, as last heard
    has_nothing_for: set[str] = field(default_factory=set)
    leaves_alone: set[str] = field(default_factory=set)  # what could not take a message just now
    patience: float = TIMINGS.record_retry  # of a record, while the database is away

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
    """Claim, launch, and record what has landed, in turn, until the time is over or nothing is due."""
    deadline = time.monotonic() + TIMINGS.drain
    with Air() as air:
        try:
            while (left := deadline - time.monotonic()) > 0:
                _land(lane, air)
                if lane.claimed:
                    if not _launch(lane, air):
                        air.wait()
                    continue
                # Whoever has requests under way does not wait for tokens: their answers come first.
                turn = routing.choose(
                    kind=lane.kind,
                    most=min(CLAIM, lane.queued),
                    patience=0 if air.flights else left,
                    without=lane.has_nothing_for | lane.leaves_alone,
                )
                if isinstance(turn, Turn):
                    if not _waited_in_vain(turn):
                        _claim(lane, turn)
                elif air.flights:
                    air.wait()
                elif turn.wait < TIMINGS.wake_again:
                    time.sleep(min(turn.wait, left))
                else:
                    # Nothing is due, or nobody works: the dispatcher wakes it again in a while.
                    _tell_what_nobody_carries(lane)
                    return False
        finally:
            # Whatever ended it: what did not leave is free for others, what left is recorded.
            _put_back(lane)
            while air.flights:
                air.wait()
                _land(lane, air)
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


def _claim(lane: _Lane, turn: Turn) -> None:
    """Claim what a provider takes next. Nothing of it has left when this process dies."""
    provider = turn.provider
    lane.turn, lane.states = turn, turn.states
    try:
        lane.claimed = leases.claim(lane.lease, most=turn.tokens, countries=provider.countries)
    except Error:
        turn.give_back(turn.tokens)
        raise
    if len(lane.claimed) < turn.tokens:
        lane.has_nothing_for.add(provider.name)
        turn.give_back(turn.tokens - len(lane.claimed))
    if lane.claimed:
        failpoint("worker.after_claim", lane.text)


def _launch(lane: _Lane, air: Air) -> bool:
    """Mark what there is room for and let it leave; return whether there was room."""
    leaving = _leaving(lane, under_way=air.requests)
    if leaving:
        _depart(lane, air, leaving, leases.mark(lane.lease, **_mark(lane, leaving)))
    return bool(leaving)


def _leaving(lane: _Lane, *, under_way: int) -> list[Claimed]:
    """Return the claimed messages that may leave beside so many requests.

    Together they are never more than the provider's `concurrency`: what one crash can leave of unknown
    outcome. Nor are they crumbs of a part, which would cost the database as much as a whole one.
    """
    provider = lane.turn.provider
    free = provider.concurrency - under_way
    if free < min(_part(provider), ceil(len(lane.claimed) / provider.max_batch)):
        return []
    return lane.claimed[: free * provider.max_batch]


def _part(provider: Provider) -> int:
    """Return how many requests fly together: while one half of a window is settled the other is under way."""
    half = ceil(provider.concurrency / 2)
    return min(provider.concurrency, max(half, ceil(LEAST_PART / provider.max_batch)))


def _mark(lane: _Lane, leaving: Sequence[Claimed]) -> dict[str, Any]:
    """Return what the mark of these messages wants to know."""
    name = lane.turn.provider.name
    return {
        "ids": [message.id for message in leaving],
        "provider": name,
        "is_new_provider": name not in lane.known_providers,
    }


def _depart(lane: _Lane, air: Air, leaving: Sequence[Claimed], marked: Marked) -> None:
    """Let what is marked leave, part by part."""
    turn, provider = lane.turn, lane.turn.provider
    del lane.claimed[: len(leaving)]
    turn.give_back(len(leaving) - len(marked))
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
        for message in leaving
        if message.id in marked
    ]
    batches = [
        Batch(messages=some, text=lane.text, kind=lane.kind)
        for some in _parts(outgoing, provider.max_batch)
    ]
    for some in _parts(batches, _part(provider)):
        air.launch(turn, some)


def _land(lane: _Lane, air: Air) -> None:
    """Record what became of the messages whose answers are there."""
    landed = air.landed()
    if not landed:
        return
    failpoint("worker.after_http_ok", lane.text)
    for flight in landed:
        if not flight.is_judged:
            flight.is_judged = True  # once: should this fail, the answers are recorded all the same
            _judge(lane, flight)
    together = defaultdict(list)
    for flight in landed:
        together[flight.turn.provider.name, flight.elsewhere].append(flight)
    for flights in together.values():
        _record(lane, air, flights)
    failpoint("worker.after_record", lane.text)


def _judge(lane: _Lane, flight: Flight) -> None:
    """Learn from a flight how its provider is doing, and who else may take what was not sent.

    What could not take a message is left alone for the rest of the drain where another one can, and
    where nothing got through to it: so a message that nobody can take tries each but once in a drain.
    """
    turn, provider = flight.turn, flight.turn.provider
    answers = flight.answers.result()
    state = lane.states[provider.name] = breaker.note(
        name=provider.name,
        answers=answers,
        state=lane.states.get(provider.name, breaker.WELL),
        is_probe=turn.is_probe,
    )
    results = [result for answer in answers for result in answer.values()]
    unsent = [r for r in results if isinstance(r, Unavailable | Misconfigured)]
    busy = [r for r in unsent if isinstance(r, Unavailable) and r.gives_attempt_back]
    if state.is_open or (len(unsent) == len(results) and not busy):
        lane.leaves_alone.add(provider.name)
    if unsent:
        flight.elsewhere = routing.elsewhere(
            kind=lane.kind, states=lane.states, without=lane.leaves_alone | {provider.name}
        )
    if flight.elsewhere != frozenset():
        lane.leaves_alone.add(provider.name)
        lane.has_nothing_for.clear()
    is_next = bool(lane.claimed) and lane.turn.provider.name == provider.name
    if is_next and (busy or provider.name in lane.leaves_alone):
        _put_back(lane)
    if busy:
        # What was asked to wait longer does so by its own row; a credential is tried again before.
        longest = max(recording.retry_after(result) for result in busy)
        routing.bucket(provider).hold(
            min(max(longest, TIMINGS.retry_after_least), TIMINGS.breaker_open)
        )


def _record(lane: _Lane, air: Air, flights: Sequence[Flight]) -> None:
    """Write down what became of the messages of flights to one provider, and let them go.

    Where all were taken, what leaves next is marked in the same transaction. Otherwise it waits for the
    next one: these results may have paused the broadcast.
    """
    provider = flights[0].turn.provider
    results = {
        message_id: result
        for flight in flights
        for answer in flight.answers.result()
        for message_id, result in answer.items()
    }
    leaving: list[Claimed] = []
    if (
        lane.claimed
        and lane.turn.provider is provider
        and all(isinstance(r, Accepted) for r in results.values())
    ):
        under_way = air.requests - sum(flight.requests for flight in flights)
        leaving = _leaving(lane, under_way=under_way)

    def mark(journey: Journey) -> Marked:
        return leases.mark_within(journey, lane.lease, **_mark(lane, leaving))

    # After a failure nobody waits for the database again: what lands later has waited as long.
    patience, lane.patience = lane.patience, 0.0
    try:
        marked = recording.record(
            queue_id=lane.queue_id,
            token=lane.lease.token,
            provider=provider.name,
            results=results,
            segments=lane.segments,
            elsewhere=flights[0].elsewhere,
            patience=patience,
            also=mark if leaving else None,
        )
    except Error:
        air.let_go(flights)
        raise
    lane.patience = patience
    air.let_go(flights)
    if marked is not None:
        _depart(lane, air, leaving, marked)


def _put_back(lane: _Lane) -> None:
    """Put back what is claimed and not marked."""
    if not lane.claimed:
        return
    claimed, lane.claimed = lane.claimed, []
    try:
        lane.turn.give_back(len(claimed))
        leases.put_back(lane.lease, [message.id for message in claimed])
    except Error:
        # The database is away: what is claimed comes back by its lease.
        log.warning("claim_not_put_back", extra={"broadcast": str(lane.queue_id)})
        connection.close()


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


def _parts(things: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    for start in range(0, len(things), size):
        yield things[start : start + size]

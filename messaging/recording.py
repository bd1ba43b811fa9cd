"""Writing down what became of the messages of one window: taken, refused, never left, or not known."""

import json
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar
from uuid import UUID

from django.db import DataError, IntegrityError, InterfaceError, OperationalError, connection

from messaging import journeys
from messaging.failpoints import failpoint
from messaging.journeys import Charge, Journey, Status
from messaging.models import Message, MessageEvent
from messaging.providers.results import (
    Accepted,
    Misconfigured,
    Refused,
    Result,
    Unavailable,
    Unclear,
)
from messaging.timings import TIMINGS

_T = TypeVar("_T")

log = logging.getLogger(__name__)

MOST_ATTEMPTS: Final = 8
INTERNAL_ATTEMPTS: Final = 3  # of a message that our own code cannot put into a request

# Results land on UNKNOWN rows too: the late result of the same token is the best answer there is.
_OURS_SENT: Final = """
m.id = r.id AND m.lease_token = %(token)s AND m.status IN ('SENDING', 'UNKNOWN')
  AND m.charge = 'RESERVED' AND m.submit_started_at IS NOT NULL"""

_ACCEPTED: Final = f"""
UPDATE messaging_message m SET status = 'SENT', charge = 'CAPTURED', sent_at = clock_timestamp(),
  provider = %(provider)s, provider_message_id = r.provider_message_id,
  provider_metadata = r.metadata::jsonb, lease_until = NULL, unknown_since = NULL,
  error_code = '', error_message = '', updated_at = clock_timestamp()
FROM unnest(%(ids)s::uuid[], %(provider_ids)s::text[], %(metadata)s::text[])
  AS r(id, provider_message_id, metadata)
WHERE {_OURS_SENT}"""

_FAILED: Final = f"""
UPDATE messaging_message m SET status = 'FAILED', charge = 'RELEASED', provider = %(provider)s,
  error_code = r.code, error_message = r.reason, lease_until = NULL, unknown_since = NULL,
  updated_at = clock_timestamp()
FROM unnest(%(ids)s::uuid[], %(codes)s::text[], %(reasons)s::text[]) AS r(id, code, reason)
WHERE {_OURS_SENT}"""

# Another provider carries its country now: at once, and at no cost.
_GOES_ELSEWHERE: Final = "r.may_move AND (%(everywhere)s OR m.country = ANY(%(elsewhere)s))"

_UNSENT: Final = f"""
UPDATE messaging_message m SET status = 'QUEUED', lease_token = NULL, lease_until = NULL,
  submit_started_at = NULL, unknown_since = NULL, error_code = r.code, error_message = r.reason,
  attempts = m.attempts - CASE WHEN {_GOES_ELSEWHERE} THEN 1 ELSE r.given_back END,
  next_attempt_at = clock_timestamp() + CASE WHEN {_GOES_ELSEWHERE} THEN 0 ELSE greatest(r.retry_after,
    least(%(backoff)s * power(2, m.attempts - 1), %(backoff_most)s) * (0.5 + random() / 2)
  ) END * interval '1 second'
FROM unnest(%(ids)s::uuid[], %(codes)s::text[], %(reasons)s::text[], %(retry_after)s::float8[],
    %(given_back)s::int[], %(may_move)s::bool[], %(attempts)s::int[])
  AS r(id, code, reason, retry_after, given_back, may_move, most)
WHERE {_OURS_SENT} AND m.status = 'SENDING' AND m.attempts - r.given_back < r.most"""

_UNCLEAR: Final = f"""
UPDATE messaging_message m SET status = 'UNKNOWN', provider = %(provider)s,
  unknown_since = coalesce(m.unknown_since, clock_timestamp()), lease_until = NULL,
  look_up_at = coalesce(m.look_up_at, clock_timestamp() + %(look_up_first)s * interval '1 second'),
  error_code = r.code, error_message = r.reason, updated_at = clock_timestamp()
FROM unnest(%(ids)s::uuid[], %(codes)s::text[], %(reasons)s::text[]) AS r(id, code, reason)
WHERE {_OURS_SENT}"""

_EVENTS: Final = """
INSERT INTO messaging_messageevent (message_id, kind, detail)
SELECT m.id, %s, e.detail FROM unnest(%s::uuid[], %s::text[]) AS e(id, detail)
JOIN messaging_message m ON m.id = e.id AND m.status = %s
WHERE NOT EXISTS (  -- told once, however often it is tried
  SELECT FROM messaging_messageevent told
  WHERE told.message_id = m.id AND told.kind = %s AND told.detail = e.detail)"""


@dataclass(frozen=True, slots=True)
class _Window:
    """Messages that were handed over together, and what is known about all of them."""

    queue_id: UUID
    token: UUID
    provider: str
    segments: int | None
    elsewhere: frozenset[str] | None


def record(
    *,
    queue_id: UUID,
    token: UUID,
    provider: str,
    results: Mapping[UUID, Result],
    segments: int | None = None,
    elsewhere: frozenset[str] | None = frozenset(),
    patience: float = TIMINGS.record_retry,
    also: Callable[[Journey], _T] | None = None,
) -> _T | None:
    """Move the messages of a window by their results; counters and credits move with them.

    All or nothing, and only rows that still belong to this lease. While PostgreSQL is away it is tried
    again for `patience` seconds; after that reports and look-ups own the rows, which the sweep makes UNKNOWN.
    `segments` is what each was charged for; `elsewhere` the countries that another provider carries now
    (None: all), where what was not sent goes at once. `also` is done in the same transaction, and what it
    returned is returned once that is committed; nothing where messages had to be recorded one by one.

    Raises: DatabaseError when PostgreSQL stayed away.
    """
    window = _Window(queue_id, token, provider, segments, elsewhere)
    until = time.monotonic() + patience
    is_one_by_one = False
    while True:
        try:
            if not is_one_by_one:
                return _record(window, results, also=also)
            _record_one_by_one(window, results)
        except (IntegrityError, DataError):
            # An id of the provider's that another message has already, or a value PostgreSQL refuses:
            # one bad row must not leave the others, which are marked, without their result.
            if is_one_by_one:
                raise
            is_one_by_one = True
        except (OperationalError, InterfaceError) as error:
            connection.close()
            if time.monotonic() >= until:
                taken = [
                    str(id_) for id_, result in results.items() if isinstance(result, Accepted)
                ]
                log.error(  # noqa: TRY400 - ids and nothing else: the caller raises what happened
                    "accepted_unrecorded",
                    extra={
                        "broadcast": str(queue_id),
                        "provider": provider,
                        "messages": taken,
                        "error": type(error).__name__,
                    },
                )
                raise
            time.sleep(random.uniform(0.25, 0.5))  # noqa: S311 - spreads the workers' tries
        else:
            return None


def _record(
    window: _Window,
    results: Mapping[UUID, Result],
    *,
    also: Callable[[Journey], _T] | None = None,
) -> _T | None:
    accepted = {id_: r for id_, r in results.items() if isinstance(r, Accepted)}
    refused = {id_: r for id_, r in results.items() if isinstance(r, Refused)}
    unsent = {id_: r for id_, r in results.items() if isinstance(r, Unavailable | Misconfigured)}
    unclear = {id_: r for id_, r in results.items() if isinstance(r, Unclear)}
    if unsent or unclear:
        log.warning(
            "not_taken",
            extra={
                "broadcast": str(window.queue_id),
                "provider": window.provider,
                "put_back": len(unsent),
                "unknown": len(unclear),
                "because": next(iter((unsent | unclear).values())).reason,
            },
        )
    ours = {"token": window.token, "provider": window.provider}
    with journeys.of_broadcast(window.queue_id, lease=window.token) as journey:
        if journey is None:
            return None
        journey.provider = window.provider
        if accepted:
            _record_accepted(journey, ours, accepted, window)
        if refused:
            _record_refused(journey, ours, refused)
        if unsent:
            _record_unsent(journey, ours, unsent, window, account_works=bool(accepted))
        if unclear:
            _record_unclear(journey, ours, unclear)
        done = also(journey) if also else None
        failpoint("worker.mid_record", window.queue_id)
    return done


def _columns(
    results: Mapping[UUID, Refused | Unavailable | Misconfigured | Unclear],
) -> dict[str, list[Any]]:
    """Return what all but an acceptance have, as columns that fit the table's."""
    return {
        "ids": list(results),
        "codes": [result.code[:64] for result in results.values()],
        "reasons": [result.reason[:300] for result in results.values()],
    }


def _record_accepted(
    journey: Journey,
    ours: Mapping[str, Any],
    results: Mapping[UUID, Accepted],
    window: _Window,
) -> None:
    journey.move(
        _ACCEPTED,
        {
            **ours,
            "ids": list(results),
            "provider_ids": [result.provider_message_id for result in results.values()],
            "metadata": [json.dumps(metadata) for metadata in _metadata(results, window)],
        },
        to=Status.SENT,
        charge=Charge.CAPTURED,
    )


def _metadata(results: Mapping[UUID, Accepted], window: _Window) -> list[dict[str, object]]:
    """Return the provider's words; where it counts other segments than were charged, with our count."""
    told = [dict(result.metadata) for result in results.values()]
    differing = [
        metadata
        for metadata in told
        # Nothing, or 0, is what a carrier says that has not counted yet.
        if window.segments and metadata.get("segments") and metadata["segments"] != window.segments
    ]
    for metadata in differing:
        metadata["segments_charged"] = window.segments
    if differing:
        log.warning(
            "segments_differ",
            extra={
                "broadcast": str(window.queue_id),
                "provider": window.provider,
                "messages": len(differing),
                "charged": window.segments,
                "counted": differing[0]["segments"],
            },
        )
    return told


def _record_refused(
    journey: Journey, ours: Mapping[str, Any], results: Mapping[UUID, Refused]
) -> None:
    journey.move(
        _FAILED,
        {**ours, **_columns(results)},
        to=Status.FAILED,
        charge=Charge.RELEASED,
    )
    if opted_out := [id_ for id_, result in results.items() if result.opts_out]:
        journey.cursor.execute(
            "SELECT recipient FROM messaging_message WHERE id = ANY(%s)", [opted_out]
        )
        journey.opt_out(sorted(recipient for (recipient,) in journey.cursor.fetchall()))


def _record_unsent(
    journey: Journey,
    ours: Mapping[str, Any],
    results: Mapping[UUID, Unavailable | Misconfigured],
    window: _Window,
    *,
    account_works: bool,
) -> None:
    """Put back what provably never left; what was tried too often ends here."""
    internal = [getattr(result, "internal", False) for result in results.values()]
    # An account that needs repair and a busy provider are not the message's fault.
    given_back = [
        not account_works if isinstance(result, Misconfigured) else result.gives_attempt_back
        for result in results.values()
    ]
    rows = {
        **ours,
        **_columns(results),
        "retry_after": [retry_after(result) for result in results.values()],
        "given_back": [int(given) for given in given_back],
        "may_move": [not own for own in internal],
        "everywhere": window.elsewhere is None,
        "elsewhere": list(window.elsewhere or ()),
        "attempts": [INTERNAL_ATTEMPTS if own else MOST_ATTEMPTS for own in internal],
        "final_codes": [
            Message.ErrorCode.INTERNAL if own else Message.ErrorCode.EXPIRED for own in internal
        ],
        "backoff": TIMINGS.backoff,
        "backoff_most": TIMINGS.backoff_most,
    }
    put_back = journey.move(_UNSENT, rows, to=Status.QUEUED)
    if put_back < len(results):
        # What was not put back was tried often enough, or was UNKNOWN before we learnt better.
        ends = rows | {"codes": rows["final_codes"]}
        journey.move(_FAILED, ends, to=Status.FAILED, charge=Charge.RELEASED)
    _note(journey, MessageEvent.Kind.PUT_BACK, Status.QUEUED, results)


def retry_after(result: Unavailable | Misconfigured) -> float:
    """Return the seconds that a message waits at least for its next try at the same provider."""
    if isinstance(result, Misconfigured):
        return TIMINGS.repair
    asked = result.retry_after
    if asked is None:
        return 0.0
    # Floats all: psycopg refuses an array of whole and broken numbers.
    return float(min(max(asked, TIMINGS.retry_after_least), TIMINGS.retry_after_most))


def _record_unclear(
    journey: Journey, ours: Mapping[str, Any], results: Mapping[UUID, Unclear]
) -> None:
    journey.move(
        _UNCLEAR,
        {**ours, **_columns(results), "look_up_first": TIMINGS.look_up_first},
        to=Status.UNKNOWN,
    )
    _note(journey, MessageEvent.Kind.UNKNOWN, Status.UNKNOWN, results)


def _note(
    journey: Journey,
    kind: MessageEvent.Kind,
    status: Status,
    results: Mapping[UUID, Unavailable | Misconfigured | Unclear],
) -> None:
    """Keep what a message's own columns will not tell once it has moved on."""
    reasons = [result.reason[:300] for result in results.values()]
    journey.cursor.execute(_EVENTS, [kind, list(results), reasons, status, kind])


def _record_one_by_one(window: _Window, results: Mapping[UUID, Result]) -> None:
    for message_id, result in results.items():
        try:
            _record(window, {message_id: result})
        except (IntegrityError, DataError) as error:
            log.error(  # noqa: TRY400 - the trace says nothing that the ids do not
                "result_not_recorded_as_given",
                extra={
                    "broadcast": str(window.queue_id),
                    "message_id": str(message_id),
                    "error": type(error).__name__,
                },
            )
            _record(window, {message_id: _bare(result)})


def _bare(result: Result) -> Result:
    """Return the same outcome without the provider's own words, which could not be stored."""
    match result:
        case Accepted():
            return Accepted("")
        case Refused():
            return Refused("", "", opts_out=result.opts_out)
        case Unavailable():
            return Unavailable(
                "not recorded",
                gives_attempt_back=result.gives_attempt_back,
                internal=result.internal,
            )
        case Misconfigured():
            return Misconfigured("", "")
        case Unclear():
            return Unclear("")

"""Circuit breakers: a credential that does not work is left alone for a while, then tried with one message.

One row of `ProviderState` a credential, shared by all workers, on PostgreSQL's clock. While all is well
nothing is written: a credential without a row, or with a clean one, works.
"""

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from django.db import InterfaceError, OperationalError, connection

from messaging.providers.results import (
    Accepted,
    Misconfigured,
    Refused,
    Result,
    Unavailable,
    Unclear,
)
from messaging.timings import TIMINGS

log = logging.getLogger(__name__)

IN_A_ROW: Final = 5  # requests that failed one after the other
REMEMBERED: Final = 20  # requests, half of which failed

ANSWERED: Final = "+"
FAILED: Final = "-"
DOUBTFUL: Final = "?"  # remembered as failed, and no part of a row of failures

_READ: Final = """
SELECT name, recent_results <> '', open_until IS NOT NULL,
  open_until <= clock_timestamp() AND coalesce(probing_until <= clock_timestamp(), TRUE)
FROM messaging_providerstate WHERE name = ANY(%s)
"""

_BEGIN: Final = """
INSERT INTO messaging_providerstate (name) VALUES (%s) ON CONFLICT (name) DO NOTHING
"""

# What is not remembered went well. Requests that were under way as the breaker opened say nothing new.
_NOTE: Final = f"""
WITH counted AS (
  SELECT name, right(lpad(recent_results, {REMEMBERED}, '{ANSWERED}') || %(results)s, {REMEMBERED})
      AS results,
    least(1000, %(in_a_row)s
      + CASE WHEN %(all_failed)s THEN failures_in_a_row ELSE 0 END) AS in_a_row
  FROM messaging_providerstate WHERE name = %(name)s AND open_until IS NULL FOR NO KEY UPDATE
), judged AS (
  SELECT *, %(at_once)s OR in_a_row >= {IN_A_ROW}
    OR length(replace(results, '{ANSWERED}', '')) >= {REMEMBERED // 2} AS opens
  FROM counted
)
UPDATE messaging_providerstate s SET
  recent_results = CASE WHEN strpos(j.results, '{FAILED}') > 0 THEN j.results ELSE '' END,
  failures_in_a_row = j.in_a_row,
  open_until = CASE WHEN j.opens THEN clock_timestamp() + %(open)s * interval '1 second' END,
  because = CASE WHEN j.opens THEN %(because)s ELSE '' END, updated_at = clock_timestamp()
FROM judged j WHERE s.name = j.name
RETURNING j.opens
"""

_PROBE: Final = """
UPDATE messaging_providerstate SET probing_until = clock_timestamp() + %s * interval '1 second'
WHERE name = %s AND open_until <= clock_timestamp()
  AND coalesce(probing_until <= clock_timestamp(), TRUE)
"""

_WITHDRAW: Final = "UPDATE messaging_providerstate SET probing_until = NULL WHERE name = %s"

_CLOSE: Final = """
UPDATE messaging_providerstate SET open_until = NULL, probing_until = NULL, recent_results = '',
  failures_in_a_row = 0, because = '', updated_at = clock_timestamp()
WHERE name = %s AND open_until IS NOT NULL
"""

_STAY_OPEN: Final = """
UPDATE messaging_providerstate SET open_until = clock_timestamp() + %s * interval '1 second',
  probing_until = NULL, because = %s, updated_at = clock_timestamp()
WHERE name = %s AND open_until IS NOT NULL
"""


@dataclass(frozen=True, slots=True)
class State:
    """How a credential is doing, as read a moment ago."""

    is_open: bool = False  # it gets nothing, but for one message where `may_probe`
    may_probe: bool = False
    has_failures: bool = False  # among its last requests


WELL: Final = State()


def states(names: Collection[str]) -> dict[str, State]:
    """Return the state of those credentials that are not simply well."""
    with connection.cursor() as cursor:
        cursor.execute(_READ, [list(names)])
        return {
            name: State(is_open=is_open, may_probe=bool(may_probe), has_failures=has_failures)
            for name, has_failures, is_open, may_probe in cursor.fetchall()
        }


def begin_probe(name: str) -> bool:
    """Return whether the caller may hand one message to a credential whose breaker is open.

    Exactly one caller may, until it told how that went or its time for it is over.
    """
    with connection.cursor() as cursor:
        cursor.execute(_PROBE, [TIMINGS.connect + TIMINGS.read + TIMINGS.drain, name])
        return bool(cursor.rowcount)


def withdraw_probe(name: str) -> None:
    """Let another one try: nothing was handed over after all."""
    with connection.cursor() as cursor:
        cursor.execute(_WITHDRAW, [name])


def note(
    *,
    name: str,
    answers: Sequence[Mapping[UUID, Result]],
    state: State,
    is_probe: bool = False,
) -> State:
    """Note how the requests of one window went; return the state after them.

    `answers` holds the results of each request. It opens where nobody can send with the account, at 5
    failed requests in a row, and at 10 of the last 20; a message taken, refused for ever or put off by a
    busy carrier is an answer as a working carrier gives it. A 4xx with a code that nobody knows may
    concern one message or the account: it counts among the 20 alone. Where all went well and nothing had
    failed before, nothing is written. While PostgreSQL is away nothing is noted.
    """
    if state == WELL and all(
        isinstance(result, Accepted) for answer in answers for result in answer.values()
    ):
        return state  # nearly always: the rest of this is for the other times
    outcomes = [outcome for answer in answers if (outcome := _outcome(answer.values()))]
    results = [result for answer in answers for result in answer.values()]
    # An account that took another message a moment ago works: what it cannot do concerns this one.
    is_working = any(isinstance(result, Accepted) for result in results)
    refusal = next((r for r in results if isinstance(r, Misconfigured) and not is_working), None)
    is_well = not state.is_open and not state.has_failures and {*outcomes} <= {ANSWERED}
    if is_well or not (outcomes or is_probe):
        return state
    because = refusal.reason if refusal else _why(answers)
    try:
        if is_probe:
            return _after_probe(name, outcomes, because)
        return _after_window(name, "".join(outcomes), because, at_once=refusal is not None)
    except (OperationalError, InterfaceError) as error:
        # The results themselves come first: `recording.record` waits for the database.
        log.warning(
            "provider_state_not_noted", extra={"provider": name, "error": type(error).__name__}
        )
        connection.close()
        return state


def _outcome(results: Iterable[Result]) -> str:
    """Return what one request says of the carrier: "+", "-", "?", or nothing where none was made."""
    told = [
        result
        for result in results
        if not (isinstance(result, Unavailable) and result.internal)  # our own defect
    ]
    if not told:
        return ""
    if any(isinstance(result, Accepted) for result in told):
        return ANSWERED
    if any(isinstance(result, Misconfigured) for result in told):
        return FAILED
    if any(_is_an_answer(result) for result in told):
        return ANSWERED
    is_doubtful = any(isinstance(r, Unclear) and r.is_an_answer for r in told)
    return DOUBTFUL if is_doubtful else FAILED


def _is_an_answer(result: Result) -> bool:
    """Return whether a working carrier answers so. What it names by a code of its own, it has looked at."""
    if isinstance(result, Unavailable):
        return result.gives_attempt_back or bool(result.code)
    return isinstance(result, Accepted | Refused)


def _why(answers: Sequence[Mapping[UUID, Result]]) -> str:
    reasons = (
        result.reason
        for answer in answers
        for result in answer.values()
        if not isinstance(result, Accepted) and not _is_an_answer(result)
    )
    return next(reasons, "")


def _after_window(name: str, results: str, because: str, *, at_once: bool) -> State:
    with connection.cursor() as cursor:
        cursor.execute(_BEGIN, [name])
        cursor.execute(
            _NOTE,
            {
                "name": name,
                "results": results[-REMEMBERED:].replace(DOUBTFUL, FAILED),
                "in_a_row": len(results) - len(results.rstrip(FAILED)),
                "all_failed": {*results} <= {FAILED},
                "at_once": at_once,
                "because": because[:300],
                "open": TIMINGS.breaker_open,
            },
        )
        row = cursor.fetchone()
    if row is None:
        return State(is_open=True)  # another window opened it
    (opens,) = row
    if opens:
        # What waits for this credential waits until somebody looks after it, or it works again.
        log.error("provider_breaker_opened", extra={"provider": name, "because": because})
    return State(is_open=opens, has_failures=True)


def _after_probe(name: str, outcomes: Sequence[str], because: str) -> State:
    if not outcomes:
        withdraw_probe(name)
        return State(is_open=True)
    with connection.cursor() as cursor:
        if ANSWERED not in outcomes:
            cursor.execute(_STAY_OPEN, [TIMINGS.breaker_open, because[:300], name])
            return State(is_open=True)
        cursor.execute(_CLOSE, [name])
        if cursor.rowcount:
            log.warning("provider_breaker_closed", extra={"provider": name})
    return WELL

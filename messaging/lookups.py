"""Asking carriers what became of messages whose outcome we do not know.

What is found goes into the inbox of delivery reports and moves the message as a report of the same
words would: forward only. What is not found proves nothing, and is asked again ever more rarely until
72 hours are over.
"""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias
from uuid import UUID
from zlib import crc32

import aiohttp
from django.db import connection

from messaging import locks, providers, reports
from messaging.providers.base import Found, Handed, LookUpFailed, Provider, Report, http_session
from messaging.timings import TIMINGS

log = logging.getLogger(__name__)

AT_ONCE: Final = 10  # questions to one carrier, however many messages it takes at once

_UNKNOWN: Final = (
    "status = 'UNKNOWN' AND charge = 'RESERVED' AND look_up_at <= statement_timestamp()"
)

_DUE: Final = f"""
SELECT name FROM unnest(%s::text[]) AS name
WHERE EXISTS (SELECT FROM messaging_message WHERE {_UNKNOWN} AND provider = name)
"""

# Nobody can be asked about these: they leave the front of the index for a while.
_PUT_OFF: Final = f"""
UPDATE messaging_message SET look_up_at = clock_timestamp() + %s * interval '1 second'
WHERE id IN (
  SELECT id FROM messaging_message WHERE {_UNKNOWN} AND provider <> ALL(%s)
  LIMIT 10000 FOR UPDATE SKIP LOCKED
)
"""

# Taken by moving the next question away: twice as long as the outcome is unknown by now. Whoever dies
# meanwhile has cost one question.
_TAKE: Final = f"""
UPDATE messaging_message m SET look_up_at = clock_timestamp()
  + least(greatest(clock_timestamp() - m.unknown_since, %(first)s * interval '1 second'),
    %(most)s * interval '1 second')
FROM (
  SELECT id FROM messaging_message WHERE {_UNKNOWN} AND provider = %(provider)s
  ORDER BY look_up_at LIMIT {AT_ONCE} FOR UPDATE SKIP LOCKED
) due, messaging_broadcast b
WHERE m.id = due.id AND b.id = m.broadcast_id
RETURNING m.id, m.recipient, b.text, m.submit_started_at, CASE WHEN EXISTS (
  SELECT FROM messaging_messageevent e WHERE e.message_id = m.id AND e.kind = 'PUT_BACK'
) THEN m.submit_started_at END
"""

_ASK_LATER: Final = """
UPDATE messaging_message m SET look_up_at =
  greatest(m.look_up_at, clock_timestamp() + later.seconds * interval '1 second')
FROM unnest(%s::uuid[], %s::float8[]) AS later(id, seconds) WHERE m.id = later.id
"""

_OWNERS: Final = """
SELECT provider_message_id, id FROM messaging_message
WHERE provider = %s AND provider_message_id = ANY(%s) AND provider_message_id <> ''
"""

# Another message of ours that a find without our reference fits as well: the same words to the same
# number at about that time, under way or taken under an id that we never learnt. Whatever the carrier
# has was marked by us before, so that no message can join them after the answer came.
_RIVALLED: Final = """
SELECT m.id FROM messaging_message m JOIN messaging_broadcast b ON b.id = m.broadcast_id
WHERE m.id = ANY(%s) AND EXISTS (
  SELECT FROM messaging_message other JOIN messaging_broadcast its ON its.id = other.broadcast_id
  WHERE other.recipient = m.recipient AND other.id <> m.id AND other.provider = m.provider
    AND other.provider_message_id = '' AND its.text = b.text
    AND other.status IN ('SENDING', 'UNKNOWN', 'SENT', 'DELIVERED', 'UNDELIVERED')
    AND other.submit_started_at BETWEEN m.submit_started_at - interval '1 hour'
      AND m.submit_started_at + interval '1 hour')
"""

_Answer: TypeAlias = Sequence[Found] | LookUpFailed


@dataclass(frozen=True, slots=True)
class _Asked:
    """A message, and what the carrier said when asked about it."""

    id: UUID
    answer: _Answer


def due() -> list[str]:
    """Return the names of the providers that have messages to be asked about."""
    able = [provider.name for provider in providers.configured() if provider.lookup]
    with connection.cursor() as cursor:
        cursor.execute(_PUT_OFF, [TIMINGS.look_up_most, able])
        cursor.execute(_DUE, [able])
        return [row[0] for row in cursor.fetchall()]


def look_up(*, provider: str) -> bool:
    """Ask one provider about its unknown messages for about two seconds; return whether more are due.

    Of several at once for one provider, one asks and all others end. Nothing is settled by a find that
    could be another message's. It ends early where the carrier answers nothing.
    """
    asked = providers.by_name(provider)
    if asked is None or not asked.lookup:
        return False
    with locks.held(crc32(provider.encode()) - 2**31, locks.LOOKING_UP) as is_ours:
        return is_ours and _look_up(asked)


def _look_up(asked: Provider) -> bool:
    provider = asked.name
    deadline = time.monotonic() + TIMINGS.drain
    while time.monotonic() < deadline:
        handed = _take(provider)
        if not handed:
            return False
        answers = asyncio.run(_ask(asked, handed))
        failed = _ask_later(answers)
        found = _believed(provider, answers)
        reports.keep(provider=provider, reports=found, looked_up=True)
        log.info(
            "looked_up",
            extra={
                "provider": provider,
                "messages": len(handed),
                "failed": failed,
                "settled": len(found),
            },
        )
        if failed == len(handed) or len(handed) < AT_ONCE:
            return False
    return True


def _take(provider: str) -> list[Handed]:
    with connection.cursor() as cursor:
        cursor.execute(
            _TAKE,
            {
                "provider": provider,
                "first": TIMINGS.look_up_first,
                "most": TIMINGS.look_up_most,
            },
        )
        return [Handed(*row) for row in cursor.fetchall()]


async def _ask(provider: Provider, handed: Sequence[Handed]) -> list[_Asked]:
    """Return what the carrier says of each message. No transaction is open while this runs."""
    async with http_session(
        concurrency=AT_ONCE, connect=TIMINGS.connect, read=TIMINGS.read
    ) as http:
        answers = await asyncio.gather(*(_ask_about(provider, one, http) for one in handed))
    return [_Asked(one.id, answer) for one, answer in zip(handed, answers, strict=True)]


async def _ask_about(provider: Provider, handed: Handed, http: aiohttp.ClientSession) -> _Answer:
    try:
        return await provider.look_up(handed, http)
    except LookUpFailed as failure:
        return failure


def _ask_later(asked: Sequence[_Asked]) -> int:
    """Wait at least as long as the carrier wants us to; return how many questions came to nothing."""
    failures = {one.id: one.answer for one in asked if isinstance(one.answer, LookUpFailed)}
    if failures:
        log.warning("look_up_failed", extra={"because": next(iter(failures.values())).reason})
        waits = [
            float(min(failure.retry_after or 0.0, TIMINGS.retry_after_most))
            for failure in failures.values()
        ]
        with connection.cursor() as cursor:
            cursor.execute(_ASK_LATER, [list(failures), waits])
    return len(failures)


def _believed(provider: str, asked: Sequence[_Asked]) -> list[Report]:
    """Return what was found, as reports of our messages, where it can be no other message's."""
    found = {one.id: one.answer for one in asked if not isinstance(one.answer, LookUpFailed)}
    # Rivals first: whoever is recorded between the two questions is an owner in the second.
    rivalled = _rivalled([id_ for id_, all_ in found.items() if not _certain(all_) and all_])
    owners = _owners(
        provider, [each.provider_message_id for all_ in found.values() for each in all_]
    )
    believed: list[Report] = []
    for message_id, all_ in found.items():
        finds = _certain(all_) or [
            each
            for each in all_
            if message_id not in rivalled
            and owners.get(each.provider_message_id, message_id) == message_id
        ]
        if len({each.provider_message_id for each in finds}) == 1:
            believed.append(_report(message_id, finds[0]))
        elif finds:
            log.warning("look_up_ambiguous", extra={"message_id": str(message_id)})
    return believed


def _certain(found: Sequence[Found]) -> list[Found]:
    return [each for each in found if each.is_certain]


def _owners(provider: str, provider_ids: Sequence[str]) -> Mapping[str, UUID]:
    if not provider_ids:
        return {}
    with connection.cursor() as cursor:
        cursor.execute(_OWNERS, [provider, list(provider_ids)])
        return dict(cursor.fetchall())


def _rivalled(ids: Sequence[UUID]) -> set[UUID]:
    if not ids:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(_RIVALLED, [list(ids)])
        return {row[0] for row in cursor.fetchall()}


def _report(message_id: UUID, found: Found) -> Report:
    return Report(
        provider_message_id=found.provider_message_id,
        status=found.status,
        code=found.code,
        reason=found.reason,
        opts_out=found.opts_out,
        raw=found.raw,
        message_id=message_id,
    )

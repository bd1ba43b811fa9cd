"""Leases on messages: claimed by one drain for a while, marked just before they leave, put back unsent."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

from messaging import journeys
from messaging.journeys import Charge, Journey, Status
from messaging.models import Broadcast, Message
from messaging.timings import TIMINGS

_CLAIM: Final = """
UPDATE messaging_message m SET status = 'SENDING', claimed_at = clock_timestamp(),
  lease_token = %(token)s, lease_until = clock_timestamp() + %(lease)s * interval '1 second',
  submit_started_at = NULL
FROM (
  SELECT id FROM messaging_message
  WHERE broadcast_id = %(broadcast_id)s AND status = 'QUEUED' AND next_attempt_at <= statement_timestamp()
    AND (expires_at IS NULL OR expires_at > statement_timestamp()) {}
  ORDER BY next_attempt_at, id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
) due
WHERE m.id = due.id
RETURNING m.id, m.recipient
"""
_CLAIM_ALL: Final = _CLAIM.format("")
_CLAIM_COUNTRIES: Final = _CLAIM.format("AND country = ANY(%(countries)s)")

# Who must not be written to any more. Each is looked up by its index, a message at a time, which OFFSET and
# `coalesce` hold PostgreSQL to: joined, it may read all contacts and opt-outs there are for one window.
_OPTED_OUT: Final = """EXISTS (
  SELECT FROM contacts_suppression s
  WHERE s.organization_id = m.organization_id AND s.recipient = m.recipient OFFSET 0)"""
_BLOCKED: Final = """(
  SELECT c.status = 'BLOCKED' FROM contacts_contact c WHERE c.id = m.contact_id)"""
# Unless the directory has the number still, as after an import that replaces everybody: by its own reading,
# or as it was written, which the request's country may have read.
_DELETED: Final = """(
  SELECT c.deleted_at IS NOT NULL AND NOT EXISTS (
    SELECT FROM contacts_contact still
    WHERE still.organization_id = c.organization_id AND still.e164 = m.recipient
      AND still.status <> 'BLOCKED' AND coalesce(still.deleted_at, 'infinity') = 'infinity' OFFSET 0)
  AND NOT EXISTS (
    SELECT FROM contacts_contact still
    WHERE still.organization_id = c.organization_id AND still.read_as = c.read_as
      AND still.phone = c.phone AND still.read_as <> '' AND still.deleted_at IS NULL
      AND still.status <> 'BLOCKED' OFFSET 0)
  FROM contacts_contact c WHERE c.id = m.contact_id)"""

# Only what this returns may be sent.
_MARK: Final = f"""
UPDATE messaging_message m SET submit_started_at = clock_timestamp(), attempts = attempts + 1,
  provider = %(provider)s,
  expires_at = coalesce(expires_at, statement_timestamp() + %(validity)s * interval '1 second')
WHERE m.id = ANY(%(ids)s) AND m.lease_token = %(token)s AND m.status = 'SENDING'
  AND m.submit_started_at IS NULL
  AND m.lease_until > clock_timestamp() + %(margin)s * interval '1 second'
  AND EXISTS (SELECT FROM messaging_broadcast b WHERE b.id = m.broadcast_id AND b.status = 'RUNNING')
  AND NOT {_OPTED_OUT} AND {_BLOCKED} IS NOT TRUE AND {_DELETED} IS NOT TRUE
RETURNING m.id, CASE WHEN old.expires_at IS NOT NULL THEN m.submit_started_at END
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
    Message.ErrorCode.CONTACT_BLOCKED: _BLOCKED,
    Message.ErrorCode.OPTED_OUT: _OPTED_OUT,
    Message.ErrorCode.CONTACT_DELETED: _DELETED,
}

# What may be sent now; with the moment of the mark, where it is not a message's first.
Marked: TypeAlias = dict[UUID, datetime | None]

_PUT_BACK_UNMARKED: Final = f"""
UPDATE messaging_message m SET status = 'QUEUED', lease_token = NULL, lease_until = NULL
WHERE {_OURS_UNMARKED}"""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one drain to hand over the messages that it claimed of one broadcast."""

    queue_id: UUID
    token: UUID


@dataclass(frozen=True, slots=True)
class Claimed:
    """A message of a lease that is not marked yet: should its drain die, nothing was sent."""

    id: UUID
    recipient: str


def claim(lease: Lease, *, most: int, countries: Collection[str] = ()) -> list[Claimed]:
    """Return at most so many messages that are due, now this lease's: of these countries, if any are given.

    None where the broadcast is not running.
    """
    with journeys.of_broadcast(lease.queue_id, lease=lease.token) as journey:
        if journey is None or journey.status != Broadcast.Status.RUNNING:
            return []
        journey.cursor.execute(
            _CLAIM_COUNTRIES if countries else _CLAIM_ALL,
            {
                "broadcast_id": lease.queue_id,
                "token": lease.token,
                "lease": TIMINGS.lease,
                "limit": most,
                "countries": list(countries),
            },
        )
        claimed = [Claimed(*row) for row in journey.cursor.fetchall()]
        journey.count(messages=len(claimed), was=Status.QUEUED, to=Status.SENDING)
    return sorted(claimed, key=lambda message: message.id)


def mark(lease: Lease, ids: list[UUID], *, provider: str, is_new_provider: bool = True) -> Marked:
    """Return the messages that may be sent now, to this provider; their mark is committed.

    What must not be sent any more has ended, and what only has to wait is put back.
    """
    with journeys.of_broadcast(lease.queue_id, lease=lease.token) as journey:
        if journey is None:
            return {}
        return mark_within(journey, lease, ids, provider=provider, is_new_provider=is_new_provider)


def mark_within(
    journey: Journey, lease: Lease, ids: list[UUID], *, provider: str, is_new_provider: bool
) -> Marked:
    """Mark as part of a journey. Nothing may be sent before that is committed."""
    ours: dict[str, Any] = {"ids": ids, "token": lease.token}
    journey.cursor.execute(
        _MARK,
        {
            **ours,
            "provider": provider,
            "validity": TIMINGS.validity,
            "margin": TIMINGS.margin,
        },
    )
    marked = dict(journey.cursor.fetchall())
    if marked and is_new_provider:
        journey.provider = provider
    if len(marked) < len(ids):
        _settle_unmarked(journey, ours)
    return marked


def put_back(lease: Lease, ids: list[UUID]) -> None:
    """Put back what is claimed and not marked: it is due at once, for anybody."""
    with journeys.of_broadcast(lease.queue_id, lease=lease.token) as journey:
        if journey is not None:
            journey.move(_PUT_BACK_UNMARKED, {"ids": ids, "token": lease.token}, to=Status.QUEUED)


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

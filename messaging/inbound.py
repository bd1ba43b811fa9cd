"""What people write back: kept as the evidence, and a STOP obeyed before the carrier hears "received"."""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper

from contacts import phone_numbers, suppressions
from messaging import keywords
from messaging.models import InboundMessage
from messaging.providers.callbacks import Inbound

log = logging.getLogger(__name__)

Effect = InboundMessage.Effect

_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")

# Whoever handed something to this carrier for the number; what never left was not written.
_WRITERS: Final = """
SELECT recipient, organization_id FROM messaging_message
WHERE recipient = ANY(%(numbers)s) AND submit_started_at IS NOT NULL
  AND provider IN (%(provider)s, '')  -- after a restored backup nobody knows by whom it went
UNION
-- Where numbers are blanked after a while, nobody knows any more: whoever has the number may have written.
SELECT known.number, o.id FROM accounts_organization o CROSS JOIN LATERAL (
  SELECT c.e164 AS number FROM contacts_contact c
  WHERE c.organization_id = o.id AND c.e164 = ANY(%(numbers)s) AND c.deleted_at IS NULL
  UNION ALL
  SELECT s.recipient FROM contacts_suppression s
  WHERE s.organization_id = o.id AND s.recipient = ANY(%(numbers)s)
) known WHERE o.retention_days IS NOT NULL
ORDER BY organization_id
"""

# A twin that is being taken at this moment is waited for here.
_KEEP: Final = """
INSERT INTO messaging_inboundmessage
  (provider, provider_message_id, sender, recipient, text, effect, organizations, raw)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s::jsonb)
ON CONFLICT (provider, provider_message_id) WHERE provider_message_id <> '' DO NOTHING
"""


@dataclass(frozen=True, slots=True)
class _Sender:
    """Who wrote, as far as the carrier's words tell, and who had written to them."""

    number: str  # E.164; empty where the sender is no number
    # Who had written, by the number as it stood in their messages.
    writers: Mapping[str, Sequence[UUID]] = field(default_factory=dict)

    @property
    def organization_ids(self) -> frozenset[UUID]:
        return frozenset().union(*self.writers.values())


def take(*, provider: str, messages: Sequence[Inbound]) -> None:
    """Keep what people wrote through this provider (`slug:account`), and do what its keywords ask for.

    All or nothing: once this returns, every message is kept and every STOP is an opt-out for each
    organization that has written to that number through this provider, so nothing that is not handed
    over yet will be; one that blanks its numbers counts as having written to those of its contacts.
    START lifts of these opt-outs what a keyword had set. A message that came before, by the carrier's
    id, does nothing again. A sender that is no number is kept alone.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        # In the order of all opt-outs, so that two never wait in a circle; each person's as they came.
        for message in sorted(messages, key=lambda message: message.sender):
            _take(cursor, provider, message)


def _take(cursor: CursorWrapper, provider: str, message: Inbound) -> None:
    effect = _effect(message)
    sender = _sender(cursor, provider, message, writers=effect in {Effect.STOP, Effect.START})
    cursor.execute(
        _KEEP,
        [
            provider,
            message.provider_message_id[:128],
            sender.number or message.sender[:32],
            message.recipient[:32],
            message.text,
            effect,
            len(sender.organization_ids),
            json.dumps(dict(message.raw)),
        ],
    )
    if not cursor.rowcount:
        return
    for number in sorted({sender.number, *sender.writers} if sender.writers else ()):
        if effect == Effect.STOP:
            suppressions.add_from_keyword(
                recipient=number, organization_ids=sender.organization_ids
            )
        elif effect == Effect.START:
            suppressions.lift_from_keyword(
                recipient=number, organization_ids=sender.organization_ids
            )
    if effect == Effect.STOP and not sender.writers:
        # Mostly a stranger's. But where a carrier writes numbers in another way, nobody else notices.
        log.warning("inbound_stop_for_nobody", extra={"provider": provider})
    log.info(
        "inbound_message",
        extra={
            "provider": provider,
            "effect": effect,
            "organizations": len(sender.organization_ids),
        },
    )


def _effect(message: Inbound) -> Effect:
    """Return what it asks for: a STOP if we or the carrier read one, else the carrier's reading."""
    ours = keywords.read(message.text, further_stops=settings.STOP_KEYWORDS)
    if Effect.STOP in {ours, message.keyword}:
        return Effect.STOP
    return Effect(message.keyword or ours)


def _sender(cursor: CursorWrapper, provider: str, message: Inbound, *, writers: bool) -> _Sender:
    """Return who wrote: of the numbers that the sender may mean, the first that was written to."""
    numbers = _meanings(message)
    if not numbers:
        return _Sender("")
    spellings = {number: phone_numbers.spellings(number) for number in numbers}
    found: dict[str, list[UUID]] = {}
    if writers:
        every = [one for all_ in spellings.values() for one in all_]
        cursor.execute(_WRITERS, {"numbers": every, "provider": provider})
        for recipient, organization_id in cursor.fetchall():
            found.setdefault(recipient, []).append(organization_id)
    number = next(
        (one for one in numbers if not found.keys().isdisjoint(spellings[one])), numbers[0]
    )
    return _Sender(number, {one: found[one] for one in spellings[number] if one in found})


def _meanings(message: Inbound) -> list[str]:
    """Return the numbers in E.164 that the sender may be; none for a name or a short code.

    Some carriers leave out the `+`, some tell a number as it is dialed in the country of ours. A number
    that newer numbering plans do not know any more counts as it stands, if it has its `+`.
    """
    country = phone_numbers.read(message.recipient, phone_numbers.NOWHERE).region
    numbers = phone_numbers.meanings(message.sender, country or phone_numbers.NOWHERE)
    if not numbers and _E164.fullmatch(message.sender):
        return [message.sender]
    return numbers

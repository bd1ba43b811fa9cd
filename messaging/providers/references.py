"""What a carrier that takes an id of ours is given: one for each time that a message is handed over.

It keeps what it said under an id, also of a request that it refused. Handed over again under the same id,
the message could be refused as a repeat, and what is told later of the first time would settle the second.
"""

from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

_LENGTH: Final = 36  # characters of an id with its dashes
_SINCE: Final = datetime(1970, 1, 1, tzinfo=UTC)


def of(message_id: UUID, again_at: datetime | None = None) -> str:
    """Return the message's id alone, or with the moment where it was handed over before: 52 characters.

    Alone, so that a restored backup, which does not know the moment, still finds nearly all of them.
    """
    if again_at is None:
        return str(message_id)
    return f"{message_id}-{(again_at - _SINCE) // timedelta(microseconds=1):x}"


def message_of(reference: str) -> UUID | None:
    """Return our message that a reference names, written as we write it: others use an account too."""
    written, moment = reference[:_LENGTH], reference[_LENGTH:]
    if moment and not (moment[0] == "-" and len(moment) < 17 and _is_hexadecimal(moment[1:])):
        return None
    try:
        message_id = UUID(written)
    except ValueError:
        return None
    return message_id if str(message_id) == written else None


def _is_hexadecimal(text: str) -> bool:
    return bool(text) and set(text) <= set("0123456789abcdef")

"""What the sandbox carrier accepted, in order: the witness of every test about lost and doubled."""

import secrets
import time
from array import array
from collections.abc import Iterator
from typing import Final, NamedTuple

_NO_ID: Final = bytes(16)


class Acceptance(NamedTuple):
    """One accepted request."""

    provider_id: str
    recipient: str
    message_id: str | None  # hexadecimal, as the status callback named it
    at: float  # seconds since 1970


class Record:
    """Every acceptance since the start or the last reset, about 100 bytes each.

    Objects would take ten times as much: a million messages must fit beside everything else.
    """

    def __init__(self) -> None:
        # Two runs never give the same id, also when both write to one database.
        self._run = secrets.token_hex(8)
        self._first = 0  # number of the oldest acceptance that is kept
        self._recipients = array("Q")
        self._times = array("d")
        self._message_ids = bytearray()
        self._seen: set[int] = set()  # hashes; equal ones are compared in full
        self.doubled = 0  # acceptances of a message that had been accepted before

    def clear(self) -> None:
        """Forget every acceptance. Ids given out before are not given out again."""
        self._first += len(self)
        del self._recipients[:]
        del self._times[:]
        self._message_ids.clear()
        self._seen.clear()
        self.doubled = 0

    def __len__(self) -> int:
        return len(self._times)

    def add(self, recipient: str, message_id: str | None) -> int:
        """Note an acceptance and return its number, from which `provider_id` makes the id."""
        raw = bytes.fromhex(message_id) if message_id else _NO_ID
        if message_id:
            mark = hash(raw)
            if mark in self._seen and self._holds(raw):
                self.doubled += 1
            self._seen.add(mark)
        self._recipients.append(int(recipient[1:]))
        self._times.append(time.time())
        self._message_ids += raw
        return self._first + len(self._times) - 1

    def provider_id(self, number: int) -> str:
        """Return the id the carrier gave this acceptance: 34 characters, as Twilio's."""
        return f"SM{self._run}{number:016x}"

    def recipient(self, number: int) -> str:
        """Return whom the acceptance of this number was for; empty when it was forgotten since."""
        index = number - self._first
        return f"+{self._recipients[index]}" if index >= 0 else ""

    def acceptances(self, start: int = 0) -> Iterator[Acceptance]:
        """Yield the acceptances in order, leaving out the first `start`."""
        for index in range(start, len(self)):
            raw = self._message_ids[16 * index : 16 * index + 16]
            yield Acceptance(
                self.provider_id(self._first + index),
                f"+{self._recipients[index]}",
                None if raw == _NO_ID else raw.hex(),
                self._times[index],
            )

    def _holds(self, raw: bytes) -> bool:
        at = self._message_ids.find(raw)
        while at > 0 and at % 16:  # found across the border of two ids
            at = self._message_ids.find(raw, at + 1)
        return at >= 0

"""What the sandbox carrier accepted, in order: the witness of every test about lost and doubled."""

import re
import secrets
import time
from array import array
from collections.abc import Iterator
from typing import Final, NamedTuple
from uuid import UUID

_NO_ID: Final = bytes(16)


class Shared(NamedTuple):
    """What many acceptances have in common, so that it is kept once."""

    dialect: str
    account: str
    sender: str  # a number, a name or a messaging service
    text: str
    final: tuple[str, str] = ("delivered", "")  # status word and error code it ends with
    lag: float = 0.0  # seconds until it does
    style: str = "SM"  # of its id: what the carrier's own begin with, or HEX or DASHES


HEX: Final = "hex"  # the id is the message's own, as it came
DASHES: Final = "dashes"


class Named(NamedTuple):
    """Which message it is."""

    provider_id: str
    recipient: str
    message_id: str | None  # hexadecimal, as the request named it
    at: float  # when it was taken, seconds since 1970


class Acceptance(NamedTuple):
    """One accepted message."""

    provider_id: str
    recipient: str
    message_id: str | None  # hexadecimal, as the request named it
    at: float  # seconds since 1970
    shared: Shared

    @property
    def state(self) -> tuple[str, str]:
        """The status word and error code that the carrier knows of it now."""
        return self.shared.final if time.time() >= self.at + self.shared.lag else ("sent", "")


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
        self._shared = array("I")
        self._all_shared: list[Shared] = []
        self._shared_numbers: dict[Shared, int] = {}
        self._given_ids: dict[int, str] = {}  # those that follow from nothing
        self._seen: set[int] = set()  # hashes; equal ones are compared in full
        self.doubled = 0  # acceptances of a message that had been accepted before

    def clear(self) -> None:
        """Forget every acceptance. Ids given out before are not given out again."""
        self._first += len(self)
        del self._recipients[:]
        del self._times[:]
        del self._shared[:]
        self._message_ids.clear()
        self._all_shared.clear()
        self._shared_numbers.clear()
        self._given_ids.clear()
        self._seen.clear()
        self.doubled = 0

    def __len__(self) -> int:
        return len(self._times)

    def add(
        self, recipient: str, message_id: str | None, shared: Shared, *, provider_id: str = ""
    ) -> int:
        """Note an acceptance and return its number, from which `provider_id` makes the id.

        `provider_id` is given where the id is neither the carrier's own nor the message's.
        """
        raw = bytes.fromhex(message_id) if message_id else _NO_ID
        if message_id:
            mark = hash(raw)
            if mark in self._seen and self._index(raw) is not None:
                self.doubled += 1
            self._seen.add(mark)
        shared_number = self._shared_numbers.get(shared)
        if shared_number is None:
            shared_number = self._shared_numbers[shared] = len(self._all_shared)
            self._all_shared.append(shared)
        self._recipients.append(int(recipient[1:]))
        self._times.append(time.time())
        self._shared.append(shared_number)
        self._message_ids += raw
        number = self._first + len(self._times) - 1
        if provider_id:
            self._given_ids[number] = provider_id
        return number

    def provider_id(self, number: int) -> str:
        """Return the id the carrier gave this acceptance, which must be kept still."""
        index = number - self._first
        if self._given_ids and (given := self._given_ids.get(number)):
            return given
        style = self._all_shared[self._shared[index]].style
        if style not in (HEX, DASHES):
            return f"{style}{self._run}{number:016x}"  # 34 characters, as Twilio's
        raw = bytes(self._message_ids[16 * index : 16 * index + 16])
        return raw.hex() if style == HEX else str(UUID(bytes=raw))

    def named(self, number: int) -> Named:
        """Return which message the acceptance of this number was of; it must be kept still."""
        index = number - self._first
        raw = self._message_ids[16 * index : 16 * index + 16]
        return Named(
            self.provider_id(number),
            f"+{self._recipients[index]}",
            None if raw == _NO_ID else raw.hex(),
            self._times[index],
        )

    def acceptances(self, start: int = 0) -> Iterator[Acceptance]:
        """Yield the acceptances in order, leaving out the first `start`."""
        index = start
        while index < len(self):  # which may grow meanwhile, or be reset
            yield self._at(index)
            index += 1

    def of_recipient(self, recipient: str) -> Iterator[Acceptance]:
        """Yield what was accepted for a recipient, in order."""
        wanted = int(recipient[1:]) if re.fullmatch(r"\+[0-9]{1,15}", recipient) else 0
        index = -1
        while wanted:
            try:
                index = self._recipients.index(wanted, index + 1)
            except ValueError:
                return
            yield self._at(index)

    def of_provider_id(self, provider_id: str) -> Acceptance | None:
        """Return the acceptance that the carrier gave this id; the last where several have it."""
        for number in reversed(self._given_ids):
            if self._given_ids[number] == provider_id:
                return self._at(number - self._first)
        candidates: list[int | None] = []
        if re.fullmatch(r"[0-9a-f]{16}", last := provider_id[-16:]):
            candidates.append(int(last, 16) - self._first)
        if re.fullmatch(r"[0-9a-f]{32}", plain := provider_id.replace("-", "")):
            candidates.append(self._index(bytes.fromhex(plain)))
        for index in candidates:
            if index is not None and 0 <= index < len(self):
                found = self._at(index)
                if found.provider_id == provider_id:
                    return found
        return None

    def _at(self, index: int) -> Acceptance:
        return Acceptance(
            *self.named(self._first + index),
            self._all_shared[self._shared[index]],
        )

    def _index(self, raw: bytes) -> int | None:
        """Return where a message's own id stands first."""
        at = self._message_ids.find(raw)
        while at > 0 and at % 16:  # found across the border of two ids
            at = self._message_ids.find(raw, at + 1)
        return at // 16 if at >= 0 else None

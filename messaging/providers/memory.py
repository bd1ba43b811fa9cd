"""A provider that keeps what it is given in a list and answers as it is told: for tests."""

from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Self
from uuid import UUID, uuid4

import aiohttp

from messaging.providers.base import (
    Accepted,
    Batch,
    Capacity,
    Credential,
    Kind,
    Outgoing,
    Provider,
    ProviderURL,
    Result,
)


@dataclass(frozen=True, slots=True)
class Kept:
    """One message the provider took."""

    message: Outgoing
    text: str
    kind: Kind


class Memory(Provider):
    """Takes every message unless it was told an answer for its recipient."""

    slug: ClassVar[str] = "memory"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"SMS", "OTP", "FLASH"})
    max_batch = 100

    def __init__(self, credential: Credential, capacity: Capacity | None = None) -> None:
        super().__init__(credential, capacity)
        self.messages: list[Kept] = []
        self._answers: defaultdict[str, deque[Result | Exception]] = defaultdict(deque)

    @classmethod
    def from_url(cls, url: ProviderURL) -> Self:
        return cls(Credential(url.host or "local"), url.capacity())

    @property
    def simulated(self) -> bool:
        return True

    def will_answer(self, recipient: str, *answers: Result | Exception) -> None:
        """Give these answers to the next messages to this recipient, in turn; then take them again.

        An exception is raised for the whole batch, as a defect in a provider would be.
        """
        self._answers[recipient].extend(answers)

    def clear(self) -> None:
        """Forget everything."""
        self.messages.clear()
        self._answers.clear()

    async def hand_over(self, batch: Batch, http: aiohttp.ClientSession) -> Mapping[UUID, Result]:  # noqa: ARG002 - there is no wire
        results: dict[UUID, Result] = {}
        for message in batch.messages:
            waiting = self._answers.get(message.recipient)
            answer = waiting.popleft() if waiting else Accepted(f"memory-{uuid4().hex}")
            if isinstance(answer, Exception):
                raise answer
            if isinstance(answer, Accepted):
                self.messages.append(Kept(message, batch.text, batch.kind))
            results[message.id] = answer
        return results

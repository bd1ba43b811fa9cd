"""A provider that writes a line for each message to standard output: for trying things out."""

import sys
from collections.abc import Mapping
from typing import ClassVar, Self
from uuid import UUID

import aiohttp

from messaging.providers.base import (
    Accepted,
    Batch,
    Credential,
    Kind,
    Provider,
    ProviderURL,
    Result,
)


class Console(Provider):
    """Takes every message and sends none. Numbers are masked and texts left out, as in the logs."""

    slug: ClassVar[str] = "console"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"SMS", "OTP", "FLASH"})
    max_batch = 100

    @classmethod
    def from_url(cls, url: ProviderURL) -> Self:
        return cls(Credential(url.host or "local"), url.capacity())

    @property
    def simulated(self) -> bool:
        return True

    async def hand_over(self, batch: Batch, http: aiohttp.ClientSession) -> Mapping[UUID, Result]:  # noqa: ARG002 - there is no wire
        sys.stdout.writelines(
            f"{batch.kind} to {masked(message.recipient)}: {len(batch.text)} characters, "
            f"message {message.id}\n"
            for message in batch.messages
        )
        sys.stdout.flush()
        return {message.id: Accepted(f"console-{message.id.hex}") for message in batch.messages}


def masked(number: str) -> str:
    """Return a number with all but its last three digits hidden."""
    return "•" * (len(number) - 3) + number[-3:]

"""Batches to hand over in tests, and what is done with them."""

import asyncio
import json
from collections.abc import Mapping
from uuid import UUID, uuid4

from hypothesis import strategies as st

from messaging.providers.base import (
    Accepted,
    Batch,
    Kind,
    Misconfigured,
    Outgoing,
    Provider,
    Refused,
    Result,
    Unavailable,
    Unclear,
    http_session,
)

PATIENT, IMPATIENT = 60.0, 0.5  # seconds: never to be reached; to be waited for in a test

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)

TEXT = "Hola, su pedido 123456 está listo ☕"


def a_batch(size: int = 1, *, kind: Kind = "SMS", text: str = TEXT) -> Batch:
    messages = []
    for number in range(size):
        message_id = uuid4()
        callback = f"https://sms.example.org/api/providers/x/reports?m={message_id.hex}&s=aA-_9"
        messages.append(Outgoing(message_id, f"+5730012{number:05}", callback))
    return Batch(messages, text, kind)


def sent(
    provider: Provider,
    batch: Batch,
    *,
    times: int = 1,
    connect: float = PATIENT,
    read: float = PATIENT,
) -> Mapping[UUID, Result]:
    """Send a batch through a session of its own and return the results of the last time."""

    async def run() -> Mapping[UUID, Result]:
        async with http_session(concurrency=10, connect=connect, read=read) as http:
            for _ in range(times):
                results = await provider.send(batch, http)
            return results

    return asyncio.run(run())


def is_fit_to_be_stored(result: Result) -> bool:
    """Return whether PostgreSQL takes every part of it: no NUL, no half of a surrogate pair."""
    words: list[str]
    match result:
        case Accepted(provider_message_id, metadata):
            words = [provider_message_id, json.dumps(metadata, ensure_ascii=False, allow_nan=False)]
        case Unavailable(reason, code=code) | Unclear(reason, code=code):
            words = [reason, code]
        case Refused(code, reason) | Misconfigured(reason, code):
            words = [reason, code]
    return all("\x00" not in word and word.encode() and len(word) <= 400 for word in words if word)

"""The floor of delivering: one aiohttp loop that posts the provider's own requests, and no database.

`python -m bench.carrier_floor COUNT CONCURRENCY` in a process of its own, as a worker is, with SMS_PROVIDERS
as the worker has it. The requests are built before the clock starts; the answers are read and decoded.
"""

# ruff: noqa: E402 - Django wants its settings before what asks them is imported

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from uuid import uuid4

import aiohttp
import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from messaging import providers
from messaging.providers import signing
from messaging.providers.base import Batch, HTTPProvider, Outgoing
from messaging.providers.wire import Request


def _requests(provider: HTTPProvider, count: int) -> list[Request]:
    messages = [
        Outgoing(id_ := uuid4(), f"+57310{number:07d}", signing.callback_url(provider.slug, id_))
        for number in range(count)
    ]
    size = provider.max_batch
    return [
        provider.build(Batch(messages[start : start + size], "Hola", "SMS"))
        for start in range(0, count, size)
    ]


async def _post(requests: list[Request], concurrency: int) -> float:
    """Post them all and return how long it took, in seconds."""
    waiting = iter(requests)

    async def client(http: aiohttp.ClientSession) -> None:
        for request in waiting:
            async with http.post(request.url, data=request.body, headers=request.headers) as answer:
                content = await answer.read()
            assert answer.status in {200, 201}, content
            json.loads(content)

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) as http:
        began = time.perf_counter()
        await asyncio.gather(*(client(http) for _ in range(concurrency)))
        return time.perf_counter() - began


def main() -> None:
    count, concurrency = (int(word) for word in sys.argv[1:])
    (provider,) = providers.configured()
    assert isinstance(provider, HTTPProvider)
    made = _requests(provider, count)
    worked = time.process_time()
    seconds = asyncio.run(_post(made, concurrency))
    print(json.dumps({"seconds": seconds, "cpu": time.process_time() - worked}))


if __name__ == "__main__":
    main()

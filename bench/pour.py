"""A client that does nothing but ask: `python -m bench.pour PORT FILE CONNECTIONS` sends what is in the file.

The file holds whole requests, each after its length in four bytes. Connections stay open; each asks again as
soon as it is answered. Prints the seconds until all were answered.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path


def write(path: Path, requests: Sequence[bytes]) -> None:
    """Write requests for another process to send."""
    path.write_bytes(b"".join(len(one).to_bytes(4, "big") + one for one in requests))


def _read(path: Path) -> list[bytes]:
    content, at, found = path.read_bytes(), 0, []
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        found.append(content[at + 4 : at + 4 + size])
        at += 4 + size
    return found


async def _pour(port: int, requests: list[bytes], connections: int) -> float:
    waiting = iter(requests)

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for request in waiting:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head[9:12] in {b"200", b"204"}, head
            length = head.lower().partition(b"content-length: ")[2].split(b"\r", 1)[0]
            if length:
                await reader.readexactly(int(length))
            if b"connection: close" in head.lower():
                writer.close()
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        await writer.wait_closed()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    return time.perf_counter() - began


def main() -> None:
    port, path, connections = sys.argv[1:]
    requests = _read(Path(path))
    print(json.dumps({"seconds": asyncio.run(_pour(int(port), requests, int(connections)))}))


if __name__ == "__main__":
    main()

"""How fast delivery reports are taken in and applied, beside a view of the same processes that does nothing.

`python -m bench.reporting [REPORTS]`. A second process asks on twenty connections, as many as the carrier
holds; reports are signed beforehand. The clock stops when the last report is applied to its message.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from bench import pour, table
from bench.stage import ROOT, forget, one_a_request, organization, setup, stage, use
from bench.table import Row, say

if TYPE_CHECKING:
    from tests.faults.harness.houses import House
    from tests.faults.harness.stack import Stack

_CONNECTIONS = 20
_EMPTY = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


def _poured(stack: Stack, path: Path) -> float:
    answer = subprocess.run(
        [sys.executable, "-m", "bench.pour", str(stack.port), str(path), str(_CONNECTIONS)],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
    )
    return float(json.loads(answer.stdout)["seconds"])


def measure(count: int) -> list[Row]:
    """Return the row of delivery reports."""
    rows: list[Row] = []
    with stage() as stack, table.watched(rows):
        use(stack, provider=one_a_request(concurrency=50), pool=2)
        house = organization(stack, count)
        file = stack.state / "requests"
        empty, taken, applied = [], [], []
        for _ in range(3):
            pour.write(file, [_EMPTY] * count)
            empty.append(count / _poured(stack, file))
            speeds = _reported(stack, house, file)
            taken.append(speeds[0])
            applied.append(speeds[1])
            say(
                f"empty view {empty[-1]:,.0f}/s, taken {taken[-1]:,.0f}/s, applied {applied[-1]:,.0f}/s"
            )
        rows.append(
            Row(
                measure="Delivery reports taken in and applied ÷ an empty view",
                figure=max(applied),
                unit="/s",
                floor=max(empty),
                ratio=max(applied) / max(empty),
                mark=("≥", 0.6),
                note=f"taken in at {max(taken):,.0f}/s",
            )
        )
    return rows


def _reported(stack: Stack, house: House, file: Path) -> tuple[float, float]:
    """Report on every message of a new broadcast; return how many a second were taken in, and applied."""
    from tests.faults.test_reports_load import requests

    forget(stack)
    queue_id = house.send()
    house.wait_until_sent(queue_id, seconds=600)
    ids = stack.sql("SELECT id FROM messaging_message WHERE broadcast_id = %s", queue_id)
    pour.write(file, requests(stack, [message_id for (message_id,) in ids]))
    began = time.perf_counter()
    seconds = _poured(stack, file)
    while house.broadcast(queue_id, "delivered") < len(ids):
        assert time.perf_counter() - began < 600, "reports are not applied"
        time.sleep(0.1)
    return len(ids) / seconds, len(ids) / (time.perf_counter() - began)


def main() -> None:
    setup()
    counts = [int(word) for word in sys.argv[1:] if word.isdigit()] or [10_000]
    table.run(lambda: measure(counts[0]))


if __name__ == "__main__":
    main()

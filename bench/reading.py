"""What reading costs at ten million messages, beside a hundred thousand: `python -m bench.reading`.

There is no floor: what counts is that a list takes no longer in the large database than in the small one.
BENCH_KEPT names a folder in which the filled databases are kept; without it they are made and thrown away,
which takes ten minutes more.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import kept, table
from bench.table import Row, say

_SIZES = [100_000, 10_000_000]


def _measured(folder: Path, messages: int) -> dict[str, Any]:
    with kept.running(folder) as layout:
        kept.filled(layout, messages)
        answer = subprocess.run(
            [sys.executable, "-m", "bench.lists"],
            cwd=kept.ROOT,
            env=os.environ | kept.environment(layout),
            check=True,
            stdout=subprocess.PIPE,
        )
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def measure(small: int, large: int) -> list[Row]:
    """Return the rows of reading."""
    rows: list[Row] = []
    parent = Path(os.environ.get("BENCH_KEPT") or tempfile.mkdtemp(prefix="pregon-bench-"))
    parent.mkdir(exist_ok=True)
    parent.chmod(0o711)
    try:
        with table.watched(rows):
            found = {}
            for messages in (small, large):
                say(f"lists at {messages:,}")
                found[messages] = _measured(parent / str(messages), messages)
            lists = {messages: one["lists"] for messages, one in found.items()}
            for prefix, name in (("API", "GET /api/messages"), ("admin", "Admin message audit")):
                rows += _compared(name, prefix, lists[small], lists[large], large)
            rows += _rest(found[large])
    finally:
        if "BENCH_KEPT" not in os.environ:
            shutil.rmtree(parent)
    return rows


def _compared(
    name: str, prefix: str, small: dict[str, list[float]], large: dict[str, list[float]], size: int
) -> list[Row]:
    """Return the slowest list and the one that grew most, and which others are above the mark."""
    labels = [label for label in large if label.startswith(prefix)]
    grown = {label: large[label][0] / small[label][0] for label in labels}
    worst = max(labels, key=lambda label: grown[label])
    slowest = max(labels, key=lambda label: large[label][0])
    above = sorted((one for one in labels if grown[one] > 2), key=lambda one: -grown[one])
    at_best = {label: large[label][1] / small[label][1] for label in labels}
    return [
        Row(
            measure=f"{name} at {size:,}, p95 of the filter that grew most",
            figure=large[worst][0],
            unit="ms",
            floor=small[worst][0],
            ratio=grown[worst],
            mark=("≤", 2.0),
            note=f"{len(above)} of {len(labels)} lists above 2"
            + "".join(
                f"; {one.removeprefix(prefix).strip()} {grown[one]:.1f}, best times {at_best[one]:.1f}"
                for one in above
            ),
        ),
        Row(
            measure=f"{name} at {size:,}, p95 of the slowest filter",
            figure=large[slowest][0],
            unit="ms",
            mark=("≤", 300.0),
            note=slowest.removeprefix(prefix).strip(),
        ),
    ]


def _rest(large: dict[str, Any]) -> list[Row]:
    queue, export = large["queue"], large["export"]
    return [
        Row(
            measure=f"GET of a running broadcast of {queue['messages']:,}: time of the database, p95",
            figure=queue["milliseconds"],
            unit="ms",
            mark=("≤", 20.0),
        ),
        Row(
            measure=f"CSV export of {export['rows']:,} messages, from the database's side",
            figure=export["in database"],
            unit="rows/s",
            mark=("≥", 100_000.0),
            note=f"{export['a second of CPU']:,.0f} a second of its CPU; {export['in all']:,.0f} in all",
        ),
        Row(measure="… memory above the first page", figure=export["memory"], unit="MB"),
    ]


def main() -> None:
    sizes = [int(word) for word in sys.argv[1:]] or _SIZES
    table.run(lambda: measure(*sizes))


if __name__ == "__main__":
    main()

"""All benchmarks, one table: `python -m bench [--quick]`, as `make bench` and `make bench-quick` run it.

Each topic is a process of its own, so that one that fails costs the others nothing. What it comes to is
written to bench/results.json too, after every topic: a run that is broken off keeps what it measured.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import table
from bench.table import Row, say

ROOT = Path(__file__).resolve().parent.parent

# Topic and its words; the quick run has no reading, which needs ten million rows first.
_ALL = (
    ("bench.accepting", "10000", "100000", "1000000"),
    ("bench.delivering", "20000"),
    ("bench.reporting", "20000"),
    ("bench.retention", "20000"),
    ("bench.reading",),
    ("bench.importing", "1000000"),
)
_QUICK = (
    ("bench.accepting", "10000", "100000", "--quick"),
    ("bench.delivering", "4000", "--quick"),
)


def _rows_of(command: tuple[str, ...]) -> list[Row]:
    """Run one topic and return its rows; one that failed is a row that is not reached."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.json"
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=ROOT,
            env=os.environ | {"BENCH_ROWS": str(path)},
            stdout=subprocess.DEVNULL,
            check=False,
        )
        say(f"{' '.join(command)}: {time.monotonic() - began:.0f} s")
        if done.returncode:
            return [Row(measure=f"{command[0]} failed", figure=0, unit="", mark=("≥", 1))]
        return [Row(**{**row, "mark": tuple(row["mark"]) if row["mark"] else None})
                for row in json.loads(path.read_text())]  # fmt: skip


def main() -> None:
    load = os.getloadavg()[0]
    rows: list[Row] = []
    for topic in _QUICK if "--quick" in sys.argv else _ALL:
        rows += _rows_of(topic)
        table.keep(rows, load)
    table.told(rows, load)


if __name__ == "__main__":
    main()

"""The table of figures: what was measured, its floor in the same run, and whether the mark is reached.

A floor is the bare work that nobody can leave out, measured beside the figure: the ratio says what this
program adds. Ratios hold on a busy machine too; figures without a floor do not, and are marked "busy" where
others used the processors meanwhile.
"""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

RESULTS = Path(__file__).resolve().parent / "results.json"
_BUSY = 0.25  # cores that others used on average


@dataclass(kw_only=True)
class Row:
    """One measure. Where it has a floor, the ratio is judged, else the figure itself."""

    measure: str
    figure: float
    unit: str
    floor: float | None = None  # in the same unit
    ratio: float | None = None
    mark: tuple[Literal["≤", "≥"], float] | None = None  # None: reported, not judged
    note: str = ""
    others: float = 0.0  # cores that other programs used meanwhile

    @property
    def reached(self) -> bool | None:
        """Return whether the mark is reached; None where there is none."""
        if self.mark is None:
            return None
        which, limit = self.mark
        judged = self.figure if self.ratio is None else self.ratio
        return judged <= limit if which == "≤" else judged >= limit

    @property
    def verdict(self) -> str:
        """Return the last column."""
        if self.ratio is None and self.others > _BUSY:
            return "busy" if self.reached is not True else "yes, busy"
        return {None: "", True: "yes", False: "NO"}[self.reached]


def _number(value: float | None) -> str:
    if value is None:
        return ""
    if value and abs(value) < 100:
        return f"{value:.3g}" if abs(value) < 10 else f"{value:.1f}"
    return f"{value:,.0f}"


def lines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the table as people read it, in Markdown."""
    yield "| Measure | Floor | Figure | Ratio | Mark | Reached |"
    yield "|---|---:|---:|---:|---:|---|"
    for row in rows:
        floor = f"{_number(row.floor)} {row.unit}" if row.floor is not None else ""
        mark = f"{row.mark[0]} {row.mark[1]:g}" if row.mark else "report"
        note = f" ({row.note})" if row.note else ""
        yield (
            f"| {row.measure}{note} | {floor} | {_number(row.figure)} {row.unit} "
            f"| {_number(row.ratio)} | {mark} | {row.verdict} |"
        )


def machine() -> str:
    """Return in one line what the figures were measured on."""
    with Path("/proc/cpuinfo").open() as file:
        names = {line.partition(":")[2].strip() for line in file if line.startswith("model name")}
    memory = psutil.virtual_memory().total / 2**30
    name = ", ".join(sorted(names)) or "unknown processor"
    return f"{psutil.cpu_count()} cores ({name}), {memory:.0f} GB, Python {sys.version.split()[0]}"


class Neighbours:
    """What other programs use of the processors: all that is busy, without this process and its own."""

    def __init__(self) -> None:
        self._began = self._look()

    @staticmethod
    def _look() -> tuple[float, float, float]:
        every = psutil.cpu_times()
        busy = sum(every) - every.idle - every.iowait - every.guest - every.guest_nice
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        here = psutil.Process()
        own = sum(here.cpu_times()[:2]) + ended.ru_utime + ended.ru_stime
        for child in here.children(recursive=True):
            try:
                own += sum(child.cpu_times()[:4])
            except psutil.NoSuchProcess:
                continue
        return time.monotonic(), busy, own

    def cores(self) -> float:
        """Return the cores that others used, on average since the beginning."""
        began, busy_then, own_then = self._began
        now, busy, own = self._look()
        return max(0.0, (busy - busy_then - (own - own_then)) / (now - began))


@contextmanager
def watched(rows: list[Row]) -> Iterator[None]:
    """Note in the rows that are added meanwhile what others used of the machine."""
    neighbours, before = Neighbours(), len(rows)
    yield
    cores = round(neighbours.cores(), 2)
    for row in rows[before:]:
        row.others = cores


def told(rows: Sequence[Row], load: float) -> None:
    """Print the table, with the machine and how busy it was."""
    print(f"\n{machine()}")
    others = max((row.others for row in rows), default=0.0)
    print(
        f"Load average at the start {load:.2f}; others used up to {others:.2f} cores meanwhile.\n"
    )
    print("\n".join(lines(rows)), flush=True)


def keep(rows: Sequence[Row], load: float) -> None:
    """Write bench/results.json: what was measured, where and when."""
    RESULTS.write_text(
        json.dumps(
            {
                "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "machine": machine(),
                "load at the start": round(load, 2),
                "rows": [dataclasses.asdict(row) | {"reached": row.reached} for row in rows],
            },
            ensure_ascii=False,
            indent=1,
        )
        + "\n"
    )


def run(measure: Callable[..., list[Row]], *given: object) -> None:
    """Run one topic alone: print its table, and hand its rows to whoever asked for them by BENCH_ROWS."""
    load = os.getloadavg()[0]
    rows = measure(*given)
    told(rows, load)
    if path := os.environ.get("BENCH_ROWS"):
        Path(path).write_text(json.dumps([dataclasses.asdict(row) for row in rows]))


def say(line: str) -> None:
    """Tell how far it is, with the time: some measures take minutes."""
    print(f"{time.strftime('%H:%M:%S')}  {line}", file=sys.stderr, flush=True)

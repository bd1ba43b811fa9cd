"""What each index of messages costs: `python -m bench.indexes [MESSAGES]`.

Each is left out once. Counted are what PostgreSQL's own process uses of a processor and the WAL it writes,
which other programs on the machine hardly change: of the floor's INSERT, and of claim, mark and record.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench import floors
from bench.stage import forget, organization, rest, setup, stage
from bench.statements import claim_mark_record, noted
from bench.table import say

if TYPE_CHECKING:
    import psycopg

    from tests.faults.harness.houses import House
    from tests.faults.harness.stack import Stack

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class _Cost:
    """What so many messages cost PostgreSQL."""

    cpu: float  # µs a message
    wal: float  # bytes a message


class _Meter:
    """Counts what one connection's process does."""

    def __init__(self, link: psycopg.Connection, count: int) -> None:
        self._link, self._count = link, count
        self._began = self._now()

    def _now(self) -> tuple[float, int]:
        fields = Path(f"/proc/{self._link.info.backend_pid}/stat").read_text().rpartition(")")[2]
        user, system = fields.split()[11:13]
        row = self._link.execute("SELECT pg_current_wal_lsn() - '0/0'").fetchone()
        assert row
        return (int(user) + int(system)) / _TICKS, int(row[0])

    def cost(self) -> _Cost:
        (cpu, wal), (cpu_then, wal_then) = self._now(), self._began
        return _Cost((cpu - cpu_then) / self._count * 1e6, (wal - wal_then) / self._count)


def _accepting(stack: Stack, house: House, count: int) -> _Cost:
    forget(stack)
    broadcast = floors.floor_broadcast(house)
    with stack.connect() as link:
        link.execute("SET work_mem = '64MB'")
        meter = _Meter(link, count)
        link.execute(floors.INSERT, [broadcast, house.organization.pk])
        return meter.cost()


def _delivering(stack: Stack, house: House, count: int) -> _Cost:
    """Claim, mark and record all of a broadcast that a POST made."""
    forget(stack)
    queue_id = house.send()
    stack.sql("ANALYZE messaging_message")
    verbs = noted(stack, queue_id)
    with stack.connect() as link:
        link.execute("SET jit = off")
        meter = _Meter(link, count)
        claim_mark_record(link, verbs, count)
        return meter.cost()


def compare(count: int) -> None:
    """Print what is saved by leaving out each index."""
    with stage() as stack:
        rest(stack)
        house = organization(stack, count)
        found = stack.sql(
            "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'messaging_message'"
            " AND indexname <> 'messaging_message_pkey' ORDER BY 1"
        )
        print(f"{'index left out':40} {'accept':>18} {'deliver':>20}  µs and WAL bytes a message")
        for name, definition in [("-", ""), *found, ("all of them", "")]:
            say(name)
            left_out = found if name == "all of them" else [(name, definition)] * bool(definition)
            for one, _definition in left_out:
                stack.sql(f'DROP INDEX "{one}"')
            accepted = _accepting(stack, house, count)
            keeps_moving = name not in {"all of them", "messaging_message_due"}
            delivered = _delivering(stack, house, count) if keeps_moving else _Cost(0, 0)
            forget(stack)
            for _name, again in left_out:
                stack.sql(again)
            print(
                f"{name:40} {accepted.cpu:8.2f} {accepted.wal:9.0f} {delivered.cpu:10.1f}"
                f" {delivered.wal:9.0f}",
                flush=True,
            )


def main() -> None:
    setup()
    compare(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)


if __name__ == "__main__":
    main()

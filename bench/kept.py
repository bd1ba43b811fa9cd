"""A database of ten million messages that is filled once and kept: `python -m bench.kept FOLDER [MESSAGES]`.

Filling takes a quarter of an hour; `BENCH_KEPT=FOLDER` lets the reading measures use what is there. The
server is this process's child and ends with it; nothing else uses the folder meanwhile.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bench.fill import fill
from config.embedded import Layout, Lock
from config.processes import Supervisor
from config.servers import PostgreSQL

ROOT = Path(__file__).resolve().parent.parent
_FILLED = "filled-with"  # the file that says how many messages are in there


@contextmanager
def running(folder: Path) -> Iterator[Layout]:
    """Run PostgreSQL on the folder meanwhile, migrated to what the code needs."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)
    layout = Layout.of(folder)
    lock = Lock(layout, address="a benchmark")
    supervisor = Supervisor(record=layout.children, say=print)
    server = PostgreSQL(layout)
    try:
        supervisor.end_orphans()
        server.prepare()
        supervisor.start(server.program())
        supervisor.wait_until(server.name, server.is_ready, seconds=300)
        server.settle()
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity=0"],
            cwd=ROOT,
            env=os.environ | environment(layout),
            check=True,
        )
        yield layout
    finally:
        supervisor.stop()
        lock.release()


def environment(layout: Layout) -> dict[str, str]:
    """Return what a process needs to work in there, as the owner of the tables."""
    return {"DATABASE_URL": layout.owner_database_url, "PREGON_STATE": str(layout.state)}


def filled(layout: Layout, messages: int) -> None:
    """Fill it, unless it was filled with so many already."""
    note = layout.state / _FILLED
    if note.exists() and int(note.read_text()) == messages:
        return
    assert not note.exists(), f"{layout.state} holds another number of messages: remove it"
    with psycopg.connect(layout.owner_database_url) as connection:
        connection.execute("SET synchronous_commit = off; SET maintenance_work_mem = '1GB'")
        fill(connection, messages=messages)
    note.write_text(str(messages))


def main() -> None:
    folder = Path(sys.argv[1])
    messages = int(sys.argv[2]) if len(sys.argv) > 2 else 10_000_000
    with running(folder) as layout:
        filled(layout, messages)
        if "--serve" in sys.argv:
            print(f"DATABASE_URL='{layout.owner_database_url}'", flush=True)
            threading.Event().wait()


if __name__ == "__main__":
    main()

"""A whole Pregón of real processes on this machine's disk, for benchmarks: the fault tests' stack, unbroken.

The commands are those of `make run` (config/parts.py), PostgreSQL has the embedded server's own settings,
durations are the usual ones, and no proxy stands on any wire. `setup()` comes before any import of models.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import psutil
import psycopg

if TYPE_CHECKING:
    from tests.faults.harness.houses import House
    from tests.faults.harness.parts import Part
    from tests.faults.harness.stack import Stack

# Of config/servers.py; the fault tests make do with less.
_POSTGRESQL: Final = {
    "shared_buffers": "256MB",
    "max_wal_size": "4GB",
    "maintenance_work_mem": "256MB",
}
ROOT: Final = Path(__file__).resolve().parent.parent
_TWILIO: Final = "twilio://AC00000000000000000000000000000000:sandbox-token@api.twilio.com"
_INFOBIP: Final = "infobip://acme:sandbox-token@x.api.infobip.com"


def setup() -> None:
    """Let this process be Django, with keys of its own that the stage's processes get too."""
    import django

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    for key in ("SECRET_KEY", "JWT_SIGNING_KEY", "AUDIT_KEY"):
        os.environ.setdefault(key, secrets.token_hex(32))
    os.environ.setdefault("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    os.environ.setdefault("REDIS_URL", "redis://127.0.0.1:1/0")
    django.setup()


def one_a_request(*, concurrency: int) -> str:
    """Return a provider that takes one message a request, so many at a time."""
    return f"{_TWILIO}?from=%2B15005550006&concurrency={concurrency}&base_url={{carrier}}"


def batched(*, concurrency: int) -> str:
    """Return a provider that takes a hundred messages a request."""
    return f"{_INFOBIP}?from=Acme&concurrency={concurrency}&base_url={{carrier}}"


class _Unguarded:
    """What pytest-django's guard of the database is to tests: here nothing is forbidden."""

    def unblock(self) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()


@contextlib.contextmanager
def stage(*, reports: str = "none", **environment: str) -> Iterator[Stack]:
    """Run a Pregón meanwhile: web, worker (four processes), dispatcher, carrier, servers."""
    from tests.faults.harness.stack import Stack

    folder = Path(tempfile.mkdtemp(prefix="pregon-bench-"))
    folder.chmod(0o711)  # the servers' account passes through it
    options: dict[str, Any] = {"PREGON_TIMINGS": "", "LOG_LEVEL": "WARNING", **environment}
    made = Stack(
        _Unguarded(),  # type: ignore[arg-type] # only `unblock` is ever asked of it
        direct=True,
        state=folder,
        postgresql=_POSTGRESQL,
        reports=reports,
        delay=0.0,
        **options,
    )
    try:
        yield made
    finally:
        if "BENCH_LOGS" in os.environ:
            shutil.copytree(made.layout.logs, os.environ["BENCH_LOGS"], dirs_exist_ok=True)
        made.stop()


def use(stack: Stack, *, provider: str, pool: int) -> None:
    """Have everything send by this provider alone, with so many processes of the worker."""
    command = list(stack.worker.program.argv)
    command[command.index("--concurrency") + 1] = str(pool)
    stack.pool = pool
    address = f"http://127.0.0.1:{stack.carriers[0].port}"
    providers = provider.replace("{carrier}", address)
    for part in stack.ours:
        argv = tuple(command) if part is stack.worker else None
        part.restart(argv=argv, SMS_PROVIDERS=providers)
    stack.wait_until_ready()


def rest(stack: Stack) -> None:
    """End worker and dispatcher: what is accepted now waits, and nobody works beside the web."""
    for part in (stack.worker, stack.dispatcher):
        part.kill()


def carry_on(stack: Stack) -> None:
    """Start them again, and wait until they work."""
    for part in (stack.worker, stack.dispatcher):
        if not part.is_running:
            part.start()
    stack.wait_until_ready()


def forget(stack: Stack) -> None:
    """Remove every message there is, so that the next run meets the same empty tables and indexes."""
    with psycopg.connect(
        host=str(stack.layout.run), user="postgres", dbname="pregon", autocommit=True
    ) as link:
        link.execute("SET session_replication_role = replica")  # evidence is kept by triggers
        link.execute("TRUNCATE messaging_message, messaging_skip, messaging_idempotencykey CASCADE")
        link.execute("CHECKPOINT")


def organization(stack: Stack, contacts: int, **fields: Any) -> House:
    """Return a new organization with so many contacts, in statistics that are true."""
    house = stack.house(contacts=contacts, credits_=1_000_000_000, **fields)
    stack.sql("VACUUM (ANALYZE) contacts_contact")
    return house


def cpu_seconds(*parts_: Part) -> float:
    """Return what these process groups have used of the processors, those that ended included."""
    total = 0.0
    for part in parts_:
        leader = psutil.Process(part.pid)
        for process in (leader, *leader.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
                total += times.children_user + times.children_system
    return total


def peak_memory(pids: list[int]) -> dict[int, int]:
    """Return the most memory that each process had since `forget_peaks`, in bytes."""
    return {pid: _memory(pid, "VmHWM") for pid in pids}


def forget_peaks(pids: list[int]) -> dict[int, int]:
    """Begin to look for peaks anew, and return what each process has now, in bytes."""
    for pid in pids:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    return {pid: _memory(pid, "VmRSS") for pid in pids}


def _memory(pid: int, name: str) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"{name} is not told of process {pid}")

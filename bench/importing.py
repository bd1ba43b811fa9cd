"""Import of a million contacts: time and memory of web and worker, beside the bare loop.

The floor is what a database engineer would type: read the CSV, read each number with phonenumbers, COPY
the contacts into the same table with the same indexes. Everything that makes an import of it is above: the
rows are kept so that any machine may work on them, compared with each other and with the contacts there
are, reported, and committed in bites.

`python -m bench.importing [ROWS]` starts a PostgreSQL of its own and throws it away.
"""

from __future__ import annotations

import csv
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from bench import table
from bench.table import Row

ROOT = Path(__file__).resolve().parent.parent
_NAMES = ("Ana", "Beto", "Camila", "Daniel", "Elena", "Felipe", "Inés", "María", "Úrsula")
_LAST_NAMES = ("Álvarez", "Castro", "Díaz", "García", "Londoño", "Núñez", "Pérez", "Rojas")


def write_file(path: Path, rows: int) -> None:
    """Write a CSV of different Colombian mobile numbers, as people write them."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=";")
        writer.writerow(["Nombre", "Apellido", "Celular", "Correo"])
        for i in range(rows):
            digits = f"310{i * 7_919 % 10_000_000:07d}"  # each once
            writer.writerow(
                [
                    _NAMES[i % 9],
                    _LAST_NAMES[i % 8],
                    f"{digits[:3]} {digits[3:6]} {digits[6:]}",
                    f"p{i}@example.org",
                ]
            )


def _memory() -> float:
    """Return the most memory this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _setup() -> Any:
    import django

    django.setup()
    from accounts.models import Member

    return Member.objects.select_related("organization").get(email="bench@example.org")


def floor(path: Path) -> dict[str, float]:
    """The bare loop, in chunks of the same size."""
    member = _setup()
    from django.db import connection, transaction

    from contacts import phone_numbers

    began, before, seen = time.perf_counter(), _memory(), set()
    columns = (
        "organization_id, updated_at, name, last_name, email, phone, country, e164, region, read_as"
    )
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file, delimiter=";")
        next(rows)
        more = True
        while more:
            with (
                transaction.atomic(),
                connection.cursor() as cursor,
                cursor.copy(
                    f"COPY contacts_contact ({columns}, refusal, status, origin) FROM STDIN"
                ) as copy,
            ):
                for count, (name, last_name, phone, email) in enumerate(rows, start=1):
                    reading, read_as = phone_numbers.read_contact(phone, "", "CO")
                    if reading.e164 not in seen:
                        seen.add(reading.e164)
                        given = (member.organization_id, "now", name, last_name, email, phone, "")
                        read = (reading.e164, reading.region, read_as, reading.refusal)
                        copy.write_row((*given, *read, "ACTIVE", "IMPORT"))
                    if count == 5_000:
                        break
                else:
                    more = False
    return {"seconds": time.perf_counter() - began, "memory": _memory() - before}


def web(path: Path, mode: str) -> dict[str, float]:
    """What the request does: read the whole file and keep its rows."""
    member = _setup()
    from contacts.imports import jobs

    before, began = _memory(), time.perf_counter()
    with path.open("rb") as file:
        job = jobs.start(member=member, file=file, file_name=path.name, mode=mode)
    return {"seconds": time.perf_counter() - began, "memory": _memory() - before, "rows": job.total}


def worker() -> dict[str, float]:
    """What one worker process does, bite after bite."""
    _setup()
    from contacts.import_rows import ImportJob
    from contacts.imports import working

    job = ImportJob.objects.get(status="PROCESSING")
    working.work(job_id=job.pk)  # what every process loads once
    before, longest, began = _memory(), 0.0, time.perf_counter()
    more = True
    while more:
        bite = time.perf_counter()
        more = working.work(job_id=job.pk)
        longest = max(longest, time.perf_counter() - bite)
    job.refresh_from_db()
    return {
        "seconds": time.perf_counter() - began + 2,
        "memory": _memory() - before,
        "longest": longest,
        "added": job.added,
        "updated": job.updated,
        "not_taken": job.not_taken,
    }


def measure(rows: int) -> dict[str, Any]:
    """Run floor, import into nothing, and import of the same again, each in a process of its own."""
    folder = Path(tempfile.mkdtemp(prefix="pregon-bench-"))
    path = folder / "people.csv"
    write_file(path, rows)
    figures: dict[str, Any] = {"rows": rows, "megabytes": path.stat().st_size / 2**20}
    figures["floor"] = _costed("floor", str(path))
    _apart("clean")
    figures["web"] = _costed("web", str(path), "UPDATE")
    figures["worker"] = _costed("worker")
    for unit in ("seconds", "cpu"):
        total = figures["web"][unit] + figures["worker"][unit]
        figures[f"ratio of {unit}"] = figures["floor"][unit] / total
    path.unlink()
    folder.rmdir()
    return figures


def clean() -> dict[str, float]:
    _setup()
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE contacts_contact CASCADE")
        cursor.execute("VACUUM")
    return {}


def _costed(what: str, *given: str) -> dict[str, Any]:
    """Run a part, and add what it took of the processors, in PostgreSQL and in its own process."""
    before = _cpu()
    figures = _apart(what, *given)
    return {**figures, "cpu": _cpu() - before}


def _cpu() -> float:
    """Return the seconds that PostgreSQL and this process's children have used of the processors.

    Unlike the time that passes, they hardly depend on what else the machine does.
    """
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = used.ru_utime + used.ru_stime
    for child in psutil.Process().children(recursive=True):
        times = child.cpu_times()
        seconds += times.user + times.system + times.children_user + times.children_system
    return seconds


def _apart(what: str, *given: str) -> dict[str, Any]:
    answer = subprocess.run(
        [sys.executable, "-m", "bench.importing", what, *given],
        cwd=ROOT,
        env=os.environ,
        check=True,
        stdout=subprocess.PIPE,
    )
    return dict(json.loads(answer.stdout.splitlines()[-1]))


def _with_servers(rows: int) -> dict[str, Any]:
    """Measure on a PostgreSQL that is thrown away."""
    from tests.servers import Servers

    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    servers = Servers()
    try:
        servers.start()
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity=0"], cwd=ROOT, check=True
        )
        _apart("people")
        return measure(rows)
    finally:
        servers.stop()


def people() -> dict[str, Any]:
    import django

    django.setup()
    from accounts.models import Member, Organization

    house = Organization.objects.create(name="Bench", country="CO")
    Member.objects.create(email="bench@example.org", organization=house, role="OWNER")
    return {}


_PARTS: dict[str, Callable[..., dict[str, Any]]] = {
    "floor": floor,
    "web": web,
    "worker": worker,
    "clean": clean,
    "people": people,
}


def rows_of(count: int) -> list[Row]:
    """Return the rows of importing so many contacts."""
    rows: list[Row] = []
    with table.watched(rows):
        figures = _with_servers(count)
        floor, web_, worker_ = (figures[name] for name in ("floor", "web", "worker"))
        seconds = web_["seconds"] + worker_["seconds"]
        rows += [
            Row(
                measure=f"Bare normalise-and-COPY loop of {count:,} contacts ÷ their import",
                figure=count / seconds,
                unit="/s",
                floor=count / floor["seconds"],
                ratio=floor["seconds"] / seconds,
                mark=("≥", 0.5),
                note=f"by CPU {figures['ratio of cpu']:.2f}",
            ),
            Row(measure="… memory of the web process", figure=web_["memory"], unit="MB"),
            Row(measure="… memory of the worker", figure=worker_["memory"], unit="MB"),
            Row(measure="… its longest bite", figure=worker_["longest"], unit="s"),
        ]
    return rows


def main() -> None:
    what, *given = sys.argv[1:] or ["1000000"]
    if what in _PARTS:
        paths = [Path(one) if "/" in one else one for one in given]
        print(json.dumps(_PARTS[what](*paths)))
        return
    table.run(lambda: rows_of(int(what)))


if __name__ == "__main__":
    main()

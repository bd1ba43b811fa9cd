"""How long the admin's lists of messages take: each filter by itself, most frequent and rarest value.

`python -m bench.admin_filters [SMALL LARGE]` fills two databases of its own and throws them away; with
`DATABASE_URL` of one that `bench.fill` filled and without numbers, it measures that one. What is timed is
the whole page but its HTML: filters read, rows, total, what the columns ask. There is no floor: what counts
is that the large one takes no longer than the small one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

REPEATS = 15
ROOT = Path(__file__).resolve().parent.parent


def measured() -> dict[str, float]:
    """Return the 95th percentile of each first page, in milliseconds, of the database of DATABASE_URL."""
    import django
    import psycopg

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()

    from django.db import connection

    from accounts.models import Member, Organization
    from bench.fill import described
    from messaging.models import Message

    with psycopg.connect(os.environ["DATABASE_URL"]) as plain:
        filled = described(plain)
        day, message, provider_id = plain.execute(
            "SELECT created_at::date, id, provider_message_id FROM messaging_message"
            " WHERE organization_id = %s AND provider_message_id <> '' ORDER BY id LIMIT 1",
            [filled.organization],
        ).fetchone() or ("", "", "")
    values = filled.values
    ana = Member.objects.select_related("organization").get(pk=filled.member)
    root = Member(email="root@example.org", is_superuser=True)
    other = Organization.objects.exclude(pk=filled.organization).values_list("pk", flat=True)[0]
    queues, providers = values["queueId"], values["provider"]
    questions: list[tuple[Any, dict[str, str]]] = [
        (who, question)
        for who in (ana, root)
        for question in (
            {},
            *({"status__exact": status} for status in ("DELIVERED", "SENDING", "UNKNOWN")),
            *({"group": group} for group in ("final", "pending", "failed", "no_report")),
            *({"type": kind} for kind in values["type"]),
            *({"accepted": period} for period in ("month", "today")),
            {"created_at_from": "2000-01-01", "created_at_to": "2100-01-01"},
            {"created_at_to": str(day)},
            *({"country": country} for country in values["countryCode"]),
            *({"broadcast": queue_id} for queue_id in queues),
            *({"provider": provider} for provider in providers),
            *({"reason": code} for code in ("21211", "expired")),
            *({"charge__exact": charge} for charge in Message.Charge.values),
            *({"credits": amount} for amount in ("1", "9")),
            {"broadcast__member__id__exact": str(filled.member)},
            {"group": "failed", "accepted": "today"},
            *({"q": text} for text in (str(message), provider_id, str(queues[1]))),
        )
    ]
    questions += [
        (root, {"organization__id__exact": str(one)}) for one in (filled.organization, other)
    ]
    found: dict[str, float] = {}
    for who, question in questions:
        asked = " ".join(f"{name}={value[:24]}" for name, value in question.items())
        label = f"{'platform' if who is root else 'member'} {asked or 'all'}"[:76].strip()
        times, total = [], 0
        connection.ensure_connection()
        for _repeat in range(REPEATS):
            began = time.perf_counter()
            total = _page(who, question)
            times.append((time.perf_counter() - began) * 1000)
            if sum(times) > 20_000:
                break
        found[label] = sorted(times)[int(len(times) * 0.95)]
        print(
            f"{label:76} {found[label]:9.1f} ms  best {min(times):8.1f} ms {total:12,}", flush=True
        )
    return found


def _page(member: Any, question: dict[str, str]) -> int:
    """Read the first page as the list does; return how many rows it believes there are."""
    from django.contrib import admin
    from django.test import RequestFactory

    from messaging.models import Message

    request = RequestFactory().get("/admin/messaging/message/", question)
    request.user = member
    pages = admin.site.get_model_admin(Message)
    shown = pages.get_changelist_instance(request)
    for row in shown.result_list:
        assert row.organization, row.broadcast
    return int(shown.paginator.total)


def compared(small: int, large: int) -> dict[str, float]:
    """Return how many times as long each first page takes at `large` messages as at `small`."""
    of_small, of_large = _apart(small), _apart(large)
    for label, milliseconds in sorted(of_large.items(), key=lambda one: -one[1] / of_small[one[0]]):
        ratio = milliseconds / of_small[label]
        print(f"{label:76} {of_small[label]:9.1f} {milliseconds:9.1f} ms {ratio:6.2f} times")
    return {label: milliseconds / of_small[label] for label, milliseconds in of_large.items()}


def _apart(messages: int) -> dict[str, float]:
    """Measure on a PostgreSQL that is thrown away, by a process of its own: Django reads settings once."""
    from tests.servers import Servers

    before = dict(os.environ)
    servers = Servers()
    try:
        servers.start()
        own = [sys.executable, "-m"]
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--verbosity=0"], cwd=ROOT, check=True
        )
        subprocess.run([*own, "bench.fill", str(messages)], cwd=ROOT, check=True)
        told = subprocess.run(
            [*own, "bench.admin_filters"], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
        ).stdout
    finally:
        servers.stop()
        os.environ.clear()
        os.environ.update(before)  # the servers wrote there where they are
    print(told)
    return {line[:76].strip(): float(line[76:].split()[0]) for line in told.splitlines() if line}


if __name__ == "__main__":
    if len(sys.argv) == 3:
        compared(int(sys.argv[1]), int(sys.argv[2]))
    else:
        measured()

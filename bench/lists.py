"""How long lists of messages take, of the API and of the admin: each filter by itself, and what is kept.

`DATABASE_URL=… python -m bench.lists [--explain]` on a database that `bench.fill` filled; `bench.reading`
runs it on a small and on a large one. Timed is the whole view of the API, and of the admin all but the HTML.
Prints JSON: [95th percentile, best] in milliseconds of each list, and figures of export and queue.
"""

# ruff: noqa: E402 - Django wants its settings before its models are imported

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import django
import psutil
import psycopg

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("RATE_LIMIT", "off")
django.setup()

from django.contrib import admin
from django.db import connection
from django.test import RequestFactory
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIRequestFactory, force_authenticate

from accounts.models import Member, Organization
from bench.fill import Filled, described
from messaging import exporting
from messaging.models import Broadcast, Message
from messaging.views.following import QueueView
from messaging.views.messages import MessagesView

REPEATS = int(os.environ.get("REPEATS", "15"))
LONG = 15.0  # seconds of one list, after which it is not repeated any more
EXPORTED = 1_000_000

Question = tuple[str, Callable[[], object]]


def _api(filled: Filled, member: Member) -> Iterator[Question]:
    """Yield each list of the API by the filter's name and whether its value is frequent or rare."""
    view: Callable[..., Any] = MessagesView.as_view()
    for name, values in filled.values.items():
        for value in dict.fromkeys(values):
            query = {name.strip("="): value} if name else {}
            request = APIRequestFactory().get("/api/messages", query)
            force_authenticate(request, member)

            def ask(request: Any = request) -> None:
                answer = view(request).render()
                assert answer.status_code == 200, answer.content

            which = "" if not name else " frequent" if value == values[0] else " rarest"
            yield f"API {name or 'all'}{which}", ask


def _admin(filled: Filled, member: Member) -> Iterator[Question]:
    """Yield each list of the admin, as a member and as the platform's superuser see it."""
    root = Member(email="root@example.org", is_superuser=True)
    for who, name in ((member, "member"), (root, "platform")):
        for label, question in _filters(filled):
            yield f"admin {name} {label}", partial(_page, who, question)
    other = Organization.objects.exclude(pk=filled.organization).values_list("pk", flat=True)[0]
    for label, organization in (("frequent", filled.organization), ("rarest", other)):
        asked = {"organization__id__exact": str(organization)}
        yield f"admin platform organization {label}", partial(_page, root, asked)


def _filters(filled: Filled) -> Iterator[tuple[str, dict[str, str]]]:
    values = filled.values
    message, provider_id, day = (
        Message.objects.filter(organization_id=filled.organization)
        .exclude(provider_message_id="")
        .order_by("id")
        .values_list("id", "provider_message_id", "created_at")[0]
    )
    by_name: dict[str, tuple[str, ...]] = {
        "status__exact": ("DELIVERED", "SENDING", "UNKNOWN"),
        "group": ("final", "pending", "failed", "no_report"),
        "type": values["type"],
        "accepted": ("month", "today"),
        "created_at_from": ("2000-01-01",),
        "created_at_to": ("2100-01-01", str(day.date())),
        "country": values["countryCode"],
        "provider": values["provider"],
        "reason": ("21211", "expired"),
        "charge__exact": tuple(Message.Charge.values),
        "credits": ("1", "9"),
    }
    yield "all", {}
    for name, several in by_name.items():
        for value in several:
            yield f"{name}={value}", {name: value}
    for label, queue_id in zip(("newest", "oldest"), values["queueId"], strict=True):
        yield f"broadcast {label}", {"broadcast": queue_id}
    yield "by member", {"broadcast__member__id__exact": str(filled.member)}
    yield "failed today", {"group": "failed", "accepted": "today"}
    for label, text in (
        ("message", str(message)),
        ("provider's id", provider_id),
        ("queue id", values["queueId"][1]),
        ("number", values["recipient"][1]),
    ):
        yield f"search by {label}", {"q": text}


def _page(member: Member, question: dict[str, str]) -> int:
    """Read the first page as the list does; return how many rows it believes there are."""
    request = RequestFactory().get("/admin/messaging/message/", question)
    request.user = member
    shown = admin.site.get_model_admin(Message).get_changelist_instance(request)
    for row in shown.result_list:
        assert row.organization, row.broadcast
    return int(shown.paginator.total)


def _timed(question: Callable[[], object]) -> list[float]:
    """Return the 95th percentile and the best of so many times, in milliseconds."""
    connection.ensure_connection()
    question()
    times: list[float] = []
    while len(times) < REPEATS and sum(times) < 1000 * LONG:
        began = time.perf_counter()
        question()
        times.append((time.perf_counter() - began) * 1000)
    return [sorted(times)[int(len(times) * 0.95)], min(times)]


def explain(question: Callable[[], object]) -> None:
    """Print how PostgreSQL answered each statement of a list."""
    with CaptureQueriesContext(connection) as captured:
        question()
    for query in captured.captured_queries:
        if query["sql"].startswith("SELECT") and "messaging_" in query["sql"]:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {query['sql']}")
                plan = [line for (line,) in cursor.fetchall()]
            print("   ", query["sql"][-300:].replace("\n", " "), file=sys.stderr)
            print("\n".join(f"        {line[:200]}" for line in plan), file=sys.stderr)


def _queue(member: Member) -> dict[str, float]:
    """Return the database's time for a broadcast that is running, in milliseconds."""
    running = Broadcast.objects.filter(status="RUNNING").order_by("-messages_total")[0]
    request = APIRequestFactory().get(f"/api/messages/queues/{running.pk}")
    force_authenticate(request, member)
    view: Callable[..., Any] = QueueView.as_view()
    times = []
    for _ in range(REPEATS):
        with CaptureQueriesContext(connection) as captured:
            assert view(request, queue_id=running.pk).status_code == 200
        times.append(1000 * sum(float(query["time"]) for query in captured.captured_queries))
    return {"milliseconds": sorted(times)[int(REPEATS * 0.95)], "messages": running.messages_total}


def _exported(filled: Filled) -> dict[str, float]:
    """Return how fast an export is, by the database alone and in all, and what memory it took."""
    pages = exporting.messages(Message.objects.filter(organization=filled.organization))
    rows = len(next(iter(pages)))
    Path("/proc/self/clear_refs").write_text("5")
    before, began, in_database = _memory("VmRSS"), time.perf_counter(), 0.0
    connection.force_debug_cursor = True
    worked = _backend_cpu()
    for page in pages:
        rows += len(page)
        in_database += sum(float(query["time"]) for query in connection.queries_log)
        connection.queries_log.clear()
        if rows >= EXPORTED:
            break
    connection.force_debug_cursor = False
    return {
        "rows": rows,
        "in database": rows / in_database,
        "a second of CPU": rows / (_backend_cpu() - worked),
        "in all": rows / (time.perf_counter() - began),
        "memory": (_memory("VmHWM") - before) / 1024,
    }


def _backend_cpu() -> float:
    """Return the seconds of a processor that this connection's process in PostgreSQL has used."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    return sum(psutil.Process(pid).cpu_times()[:2])


def _memory(name: str) -> int:
    """Return a figure of this process's memory, in kB."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith(f"{name}:"))


def main() -> None:
    gc.collect()
    gc.freeze()  # as the web's processes, config/wsgi.py
    with psycopg.connect(os.environ["DATABASE_URL"]) as plain:
        filled = described(plain)
    member = Member.objects.select_related("organization").get(pk=filled.member)
    wanted = [word for word in sys.argv[1:] if not word.startswith("--")]
    found: dict[str, list[float]] = {}
    for label, question in (*_api(filled, member), *_admin(filled, member)):
        if wanted and not any(word in label for word in wanted):
            continue
        found[label] = _timed(question)
        print(f"{label:56} {found[label][0]:9.1f} ms  best {found[label][1]:8.1f}", file=sys.stderr)
        if "--explain" in sys.argv:
            explain(question)
    told: dict[str, Any] = {"lists": found}
    if not wanted:
        told |= {"queue": _queue(member), "export": _exported(filled)}
    print(json.dumps(told))


if __name__ == "__main__":
    main()

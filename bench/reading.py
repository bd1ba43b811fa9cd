"""How long lists of messages take: each filter by itself, with its most frequent and its rarest value.

`DATABASE_URL=… python -m bench.reading [--explain]` on a database that `bench.fill` filled. The whole view
is timed: filters read, page, total, JSON. There is no floor: what counts is that ten million messages take
no longer than a hundred thousand.
"""

# ruff: noqa: E402 - Django wants its settings before its models are imported

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import django
import psycopg

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
os.environ.setdefault("RATE_LIMIT", "off")
django.setup()

from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIRequestFactory, force_authenticate

from accounts.models import Member
from bench.fill import described
from messaging import exporting
from messaging.models import Message
from messaging.views.messages import MessagesView

REPEATS = int(os.environ.get("REPEATS", "15"))


def measured(url: str | None = None) -> dict[str, float]:
    """Return the 95th percentile of each list, in milliseconds."""
    with psycopg.connect(url or os.environ["DATABASE_URL"]) as plain:
        filled = described(plain)
    member = Member.objects.select_related("organization").get(pk=filled.member)
    view: Callable[..., Any] = MessagesView.as_view()
    found = {}
    for name, values in filled.values.items():
        for value in dict.fromkeys(values):
            query = {name.strip("="): value} if name else {}
            request = APIRequestFactory().get("/api/messages", query)
            force_authenticate(request, member)
            times = []
            for _ in range(REPEATS):
                began = time.perf_counter()
                answer = view(request).render()
                times.append((time.perf_counter() - began) * 1000)
                assert answer.status_code == 200, answer.content
            total = json.loads(answer.content)["meta"]["totalRecords"]
            label = f"{name.strip('=') or 'all'} {value}".strip()
            found[label] = sorted(times)[int(REPEATS * 0.95)]
            best = f"best {min(times):7.1f} ms"
            print(f"{label:52} {found[label]:8.1f} ms  {best} {total:12,} rows", flush=True)
            if "--explain" in sys.argv:
                explain(view, request)
    return found


def explain(view: Callable[..., Any], request: Any) -> None:
    """Print how PostgreSQL answered each statement of a list."""
    with CaptureQueriesContext(connection) as captured:
        view(request).render()
    for query in captured.captured_queries:
        if query["sql"].startswith("SELECT") and "messaging_" in query["sql"]:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN (ANALYZE, BUFFERS OFF, TIMING OFF) {query['sql']}")
                plan = [line for (line,) in cursor.fetchall()]
            print("   ", query["sql"][-150:].replace("\n", " "))
            for line in plan:
                print("       ", line[:180])


def exported(organization: Any, most: int) -> None:
    """Print how fast an export is: the database's statements alone, and all of it."""
    rows, began, in_database = 0, time.perf_counter(), 0.0
    pages = exporting.messages(Message.objects.filter(organization=organization))
    connection.force_debug_cursor = True
    for page in pages:
        rows += len(page)
        in_database += sum(float(query["time"]) for query in connection.queries_log)
        connection.queries_log.clear()
        if rows >= most:
            break
    seconds = time.perf_counter() - began
    connection.force_debug_cursor = False
    print(
        f"export: {rows:,} rows, {rows / in_database:,.0f}/s in PostgreSQL, {rows / seconds:,.0f}/s"
    )


if __name__ == "__main__":
    measured()
    with psycopg.connect(os.environ["DATABASE_URL"]) as link:
        exported(described(link).organization, 1_000_000)

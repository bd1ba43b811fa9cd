"""A PostgreSQL that accepts and never answers: the web refuses at once, and its probes go on answering."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import pytest
from rest_framework_simplejwt.tokens import AccessToken

from config.embedded import Layout
from config.processes import Supervisor
from config.servers import PostgreSQL
from tests.api.web import ROOT, Web, serving

LIMIT = 60.0  # seconds


@pytest.fixture
def layout(state_folder: Path) -> Iterator[Layout]:
    """A migrated PostgreSQL of this test's own."""
    layout = Layout.of(state_folder)
    supervisor = Supervisor(record=layout.children, say=lambda _: None)
    server = PostgreSQL(layout, durable=False)
    server.prepare()
    supervisor.start(server.program())
    try:
        supervisor.wait_until(server.name, server.is_ready, seconds=LIMIT)
        server.settle()
        subprocess.run(
            [sys.executable, "manage.py", "migrate", "--no-input", "--verbosity", "0"],
            cwd=ROOT,
            env=os.environ | {"DATABASE_URL": layout.owner_database_url},
            check=True,
        )
        yield layout
    finally:
        supervisor.stop()


def signal_all(layout: Layout, number: signal.Signals) -> None:
    """Signal the postmaster and all of its processes."""
    postmaster = psutil.Process(int((layout.data / "postmaster.pid").read_text().split()[0]))
    for process in (postmaster, *postmaster.children(recursive=True)):
        process.send_signal(number)


def a_token() -> str:
    """Return an access token that we signed, for a member whom only the database knows not to exist."""
    token = AccessToken()
    token["sub"], token["sid"] = str(uuid4()), uuid4().hex
    return str(token)


def asked(web: Web, path: str) -> tuple[int, Any]:
    """Return status and JSON of an answer; 0 where none came in half a minute."""
    try:
        return web.request("GET", path, token=a_token())
    except (TimeoutError, http.client.HTTPException):
        return 0, None


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.2)


def test_a_frozen_database_is_503_and_the_probes_answer(layout: Layout, tmp_path: Path) -> None:
    with serving(tmp_path / "log", DATABASE_URL=layout.owner_database_url) as web:
        until(lambda: asked(web, "/readyz")[0] == 200)
        before = [asked(web, "/api/terms/current")[0] for _ in range(20)]
        signal_all(layout, signal.SIGSTOP)
        try:
            # More than the threads of all web processes.
            with ThreadPoolExecutor(40) as clients:
                meanwhile = [*clients.map(lambda _: asked(web, "/api/terms/current"), range(40))]
            began = time.monotonic()
            probes = [asked(web, path)[0] for path in ("/healthz", "/readyz")]
            later = [asked(web, "/api/terms/current") for _ in range(20)]
            admin = web.raw(
                b"GET /admin/login/ HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
            )
            took = time.monotonic() - began
        finally:
            signal_all(layout, signal.SIGCONT)
        until(lambda: asked(web, "/readyz")[0] == 200)
        after = [asked(web, "/api/terms/current")[0] for _ in range(20)]

    assert {status for status, _ in meanwhile} == {503}
    assert {(status, body["code"]) for status, body in later} == {(503, "4090")}
    assert probes == [200, 503]
    assert admin.startswith(b"HTTP/1.1 503")
    assert b"Traceback" not in admin
    assert took < 25  # each at once: twenty that hang until they are cut would take two minutes
    assert set(before) == set(after) == {401}
    events = (tmp_path / "log").read_text()
    assert "database_is_silent" in events
    assert "database_answers_again" in events

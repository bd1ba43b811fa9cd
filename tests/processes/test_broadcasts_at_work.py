"""Whole broadcasts through every real process: many contacts, and a broker that is not there."""

import http.client
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from config import demo
from tests.processes.running import ROOT, Up, free_port

MANY = 100_000
MOST_MEMORY = 48 * 2**20  # bytes that the answer may add to a web process


class Client:
    """A member who is signed in to a running Pregón."""

    def __init__(self, up: Up) -> None:
        self.port = up.port
        signed_in = self.call(
            "POST", "/api/auth/sign-in", {"email": demo.EMAIL, "password": demo.PASSWORD}
        )
        self.token = signed_in["accessToken"]

    token = ""

    def call(self, method: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.token}"}
        connection.request(method, path, json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        text = response.read()
        connection.close()
        assert response.status in {200, 201}, text[:500]
        answer: dict[str, Any] = json.loads(text)
        return answer

    def send(self) -> dict[str, Any]:
        return self.call("POST", "/api/messages/sms/all", {"message": "Hola", "country": "CO"})

    def wait_until_delivered(self, queue_id: str, *, seconds: float) -> dict[str, int]:
        until = time.monotonic() + seconds
        while True:
            counts: dict[str, int] = self.call("GET", f"/api/messages/queues/{queue_id}")["counts"]
            if counts["delivered"] == counts["messages"]:
                return counts
            assert time.monotonic() < until, counts
            time.sleep(1)  # as a client that follows its broadcast


def manage(up: Up, *arguments: str) -> str:
    """Return what a command prints, typed in a second terminal."""
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=up.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def web_memory(up: Up) -> dict[int, int]:
    """Return the bytes each web process holds, by its process id."""
    return {
        process.pid: process.memory_info().rss
        for process in psutil.process_iter(["cmdline"])
        if any("gunicorn" in part for part in process.info["cmdline"] or ())
        and process.environ().get("PREGON_STATE") == str(up.state)
    }


@pytest.fixture
def up(state_folder: Path) -> Iterator[Up]:
    running = Up(state_folder, free_port())
    running.wait_until_ready()
    yield running
    running.end(signal.SIGINT)


@pytest.fixture
def up_without_a_broker(state_folder: Path) -> Iterator[Up]:
    away = f"redis://127.0.0.1:{free_port()}/0"  # nobody listens there
    running = Up(state_folder, free_port(), BROKER_URL=away)
    running.wait_until_ready()
    yield running
    running.end(signal.SIGINT)


def test_a_hundred_thousand_contacts_are_answered_in_little_memory_and_delivered(up: Up):
    manage(
        up,
        "make_contacts",
        "--organization",
        demo.ORGANIZATION,
        "--count",
        str(MANY),
        "--seed",
        "7",
    )
    client = Client(up)
    before = web_memory(up)

    answer = client.send()

    grown = {pid: after - before[pid] for pid, after in web_memory(up).items() if pid in before}
    assert grown
    assert max(grown.values()) < MOST_MEMORY, grown
    assert len(answer["messages"]) >= MANY
    assert len({message["recipient"] for message in answer["messages"]}) == len(answer["messages"])
    counts = client.wait_until_delivered(answer["queueId"], seconds=420)
    assert counts["messages"] == len(answer["messages"])
    assert "hold" in manage(up, "audit_ledger", "--all")


def test_without_a_broker_it_accepts_at_once_and_delivers_all_the_same(up_without_a_broker: Up):
    client = Client(up_without_a_broker)
    began = time.monotonic()

    answer = client.send()

    assert time.monotonic() - began < 4
    counts = client.wait_until_delivered(answer["queueId"], seconds=60)
    assert counts["messages"] == len(answer["messages"]) > 0
    assert client.call("GET", "/readyz")["broker"] == "down"

"""`manage.py up`, as people start and end it."""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from config.embedded import Layout
from tests.servers import new_state_folder

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with contextlib.closing(socket.socket()) as trial:
        trial.bind(("127.0.0.1", 0))
        port: int = trial.getsockname()[1]
        return port


class Up:
    """One `manage.py up` with a state and a port of its own."""

    def __init__(self, state: Path, port: int) -> None:
        self.state, self.port = state, port
        given = ("DATABASE_URL", "REDIS_URL", "BROKER_URL", "SMS_PROVIDERS")
        environment = {name: value for name, value in os.environ.items() if name not in given}
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env=environment | {"PREGON_STATE": str(state), "PORT": str(port)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.output = ""

    def wait_until_ready(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line
            if "Ctrl-C stops everything" in line:
                return
        pytest.fail(f"It ended instead:\n{self.output}")

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        self.output += self.process.communicate(timeout=90)[0]
        return self.process.returncode

    def health(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        with contextlib.closing(connection):
            connection.request("GET", "/healthz")
            return connection.getresponse().status

    def left(self) -> list[str]:
        """Return the command lines of everything that still runs for this state."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                    continue
                command = " ".join(process.cmdline())
                if str(self.state) in command + process.environ().get("PREGON_STATE", ""):
                    found.append(command)
        return found


@pytest.fixture
def another_state_folder() -> Iterator[Path]:
    folder = new_state_folder()
    yield folder
    shutil.rmtree(folder)


def test_two_run_side_by_side_and_each_ends_with_ctrl_c_leaving_nothing(
    state_folder: Path, another_state_folder: Path
) -> None:
    both = [Up(state_folder, free_port()), Up(another_state_folder, free_port())]
    for up in both:
        up.wait_until_ready()

    health = [up.health() for up in both]
    endings = [up.end(signal.SIGINT) for up in both]

    assert health == [200, 200]
    assert endings == [0, 0]
    assert [up.left() for up in both] == [[], []]
    assert "starting it again" not in both[0].output + both[1].output


def test_it_names_what_is_in_the_way_leaves_nothing_when_killed_and_keeps_its_data(
    state_folder: Path, another_state_folder: Path
) -> None:
    first = Up(state_folder, free_port())
    first.wait_until_ready()
    second = Up(state_folder, free_port())
    third = Up(another_state_folder, first.port)
    said = [refused.process.communicate(timeout=60)[0] for refused in (second, third)]
    refusals = [refused.process.returncode for refused in (second, third)]
    url = Layout.of(state_folder).owner_database_url
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("CREATE TABLE kept AS SELECT 42 AS answer")

    first.end(signal.SIGKILL)
    limit = time.monotonic() + 60
    while (left := first.left()) and time.monotonic() < limit:
        time.sleep(0.1)
    again = Up(state_folder, first.port)
    again.wait_until_ready()
    with psycopg.connect(url) as owner:
        answer = owner.execute("SELECT answer FROM kept").fetchone()
    ending = again.end(signal.SIGTERM)

    assert refusals == [1, 1]
    assert "Pregón is already running" in said[0]
    assert f"process {first.process.pid}, http://127.0.0.1:{first.port}" in said[0]
    assert f"Port {first.port} is taken. Set PORT to a free one" in said[1]
    assert left == []
    assert answer == (42,)
    assert ending == 0
    assert again.left() == []

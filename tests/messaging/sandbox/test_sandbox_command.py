"""`manage.py sandbox_carrier` starts, stops and refuses in order."""

import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from messaging.providers.base import (
    Accepted,
)
from tests.messaging.sandbox.carrier import (
    ROOT,
    Carrier,
)


@contextmanager
def command(*options: str, folder: Path) -> "Iterator[subprocess.Popen[str]]":
    """The command as a process; whatever the test finds, nothing of it is left."""
    process = subprocess.Popen(
        [sys.executable, "manage.py", "sandbox_carrier", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ
        | {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "PREGON_STATE": str(folder),
            "DATABASE_URL": "postgres://nobody@127.0.0.1:9/nothing",
            "REDIS_URL": "redis://127.0.0.1:9/0",
        },
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_without_a_database_and_stops_in_order(
    number: signal.Signals, tmp_path: Path
) -> None:
    owed = tmp_path / "owed"
    options = ("--port", "0", "--delay", "60", "--state", str(owed))
    with command(*options, folder=tmp_path) as process:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 120)[0]
        said = process.stdout.readline()
        carrier = Carrier(said.split()[-1])
        _, result = carrier.send("+573001112233")
        process.send_signal(number)

        _, errors = process.communicate(timeout=60)

    assert said.startswith("The sandbox carrier listens on http://127.0.0.1:")
    assert isinstance(result, Accepted)
    assert process.returncode == 0
    assert errors == ""
    assert owed.stat().st_size


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--host", "192.0.2.1"), "not a loopback address"),
        (("--host", "carrier.example"), "not a loopback address"),
        (("--delay", "-1"), "--delay must be"),
        (("--delay", "nan"), "--delay must be"),
        (("--state", "/nowhere/owed"), "--state: there is no folder /nowhere; create it first."),
        (("--port", "70000"), "choose another --port"),
        (("--port", "{taken}"), "choose another --port"),
    ],
)
def test_the_command_says_what_is_wrong(
    options: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        given = [option.replace("{taken}", port) for option in options]
        with command("--port", "0", *given, folder=tmp_path) as process:
            _, errors = process.communicate(timeout=120)

    assert process.returncode == 1
    assert said in errors
    assert "Traceback" not in errors

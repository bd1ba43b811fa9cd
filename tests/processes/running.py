"""A whole Pregón as `manage.py up` starts it, for tests that need every process."""

import contextlib
import http.client
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]


class Up:
    """One `manage.py up` with a state and a port of its own, and these variables."""

    def __init__(self, state: Path, port: int, **variables: str) -> None:
        self.state, self.port = state, port
        given = ("DATABASE_URL", "REDIS_URL", "BROKER_URL", "SMS_PROVIDERS")
        inherited = {name: value for name, value in os.environ.items() if name not in given}
        own = {"PREGON_STATE": str(state), "PORT": str(port)}
        self.environment = inherited | own | variables
        self.process = subprocess.Popen(
            [sys.executable, "manage.py", "up"],
            cwd=ROOT,
            env=self.environment,
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
        self.output += self.process.communicate(timeout=240)[0]
        return self.process.returncode

    def health(self) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
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

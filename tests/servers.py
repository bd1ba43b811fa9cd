"""The tests' own PostgreSQL and Valkey, up before Django reads its settings.

Loaded by `-p tests.servers` (pyproject.toml): a conftest is read after the settings are. Where
DATABASE_URL or REDIS_URL is given, that server is used instead.
"""

import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from config.embedded import Layout
from config.processes import Supervisor
from config.servers import PostgreSQL, Server, Valkey

_MEMORY = Path("/dev/shm")  # noqa: S108 - only ever a folder of a random name in it
_ROOM = 8 * 2**30  # bytes; the servers' state of one test at a time takes one or two


def new_state_folder() -> Path:
    """Return a new folder that the servers' account can pass through, which pytest's cannot.

    In memory where there is room: a hundred thousand reports are as many commits, and a disk that others
    use too takes minutes for them.
    """
    is_roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM
    folder = Path(tempfile.mkdtemp(prefix="pregon-tests-", dir=_MEMORY if is_roomy else None))
    folder.chmod(0o711)
    return folder


@pytest.fixture
def state_folder() -> Iterator[Path]:
    """A state folder for servers of a test's own."""
    folder = new_state_folder()
    yield folder
    shutil.rmtree(folder)


class Servers:
    """Both servers on a folder that is thrown away; nothing of it survives a crash."""

    def __init__(self) -> None:
        self.state = new_state_folder()
        try:
            self.layout = Layout.of(self.state)
            self.supervisor = Supervisor(record=self.layout.children, say=_say)
        except BaseException:  # SIGTERM too: nobody else knows of the folder yet
            shutil.rmtree(self.state)
            raise

    def start(self) -> None:
        """Start what no URL replaces, and say in the environment where it is."""
        os.environ["PREGON_STATE"] = str(self.state)
        wanted: list[Server] = []
        if not os.environ.get("DATABASE_URL"):
            wanted.append(PostgreSQL(self.layout, durable=False))
            # The owner: he may make the test databases, and owns the tables in them.
            os.environ["DATABASE_URL"] = self.layout.owner_database_url
        if not os.environ.get("REDIS_URL"):
            wanted.append(Valkey(self.layout))
            os.environ["REDIS_URL"] = self.layout.redis_url
            os.environ["BROKER_URL"] = self.layout.broker_url
        for server in wanted:
            server.prepare()
            self.supervisor.start(server.program())
            self.supervisor.wait_until(server.name, server.is_ready, seconds=60)
            server.settle()

    def stop(self) -> None:
        """Stop them and remove what they left, even where they do not stop in order."""
        try:
            self.supervisor.stop()
        finally:
            shutil.rmtree(self.layout.run, ignore_errors=True)  # elsewhere, where the path is long
            shutil.rmtree(self.state)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


def _end(number: int, _frame: FrameType | None) -> None:
    pytest.exit("ended by SIGTERM", returncode=128 + number)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Start them: with `-n`, a pair for each of pytest-xdist's workers, which so share nothing."""
    is_worker = "PYTEST_XDIST_WORKER" in os.environ
    if not is_worker and getattr(early_config.known_args_namespace, "numprocesses", None):
        return  # it hands tests out and runs none
    signal.signal(signal.SIGTERM, _end)
    servers = Servers()
    early_config.add_cleanup(servers.stop)  # after Ctrl-C too, and where settings do not load
    servers.start()

"""Real workers and dispatchers on the tests' database and broker, all durations divided by ten."""

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import redis

from config import env, parts
from config.celery import QUEUES, app
from tests.api.web import ROOT, database_url

LIMIT: Final = 90.0  # seconds


def until(condition: Callable[[], Any], log: Path) -> None:
    """Wait for the condition; fail with what the worker said."""
    limit = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < limit, log.read_text()
        time.sleep(0.1)


def broker() -> redis.Redis:
    """Return the tests' broker as Redis sees it."""
    return redis.Redis.from_url(env.redis_address(os.environ["BROKER_URL"]))


def empty_queues() -> None:
    """Take away what waits, of this test or another."""
    with broker() as client:
        client.delete(*QUEUES)


@contextlib.contextmanager
def working(log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a worker until the block ends; what it says goes to the file."""
    with _running(parts.worker(), log, environment) as process:
        until(lambda: app.control.inspect(timeout=1).active_queues(), log)
        yield process


@contextlib.contextmanager
def dispatching(log: Path, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a dispatcher until the block ends; what it says goes to the file."""
    with _running(parts.DISPATCHER, log, environment) as process:
        yield process


@contextlib.contextmanager
def _running(
    command: parts.Command, log: Path, environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    given = {
        **os.environ,
        "DATABASE_URL": database_url(),
        "PREGON_TIMINGS": "tenth",
        **environment,
    }
    with log.open("wb") as output:
        process = subprocess.Popen(
            parts.here(command), cwd=ROOT, env=given, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=LIMIT)

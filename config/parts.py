"""The commands of the running parts: `manage.py up` starts these, and `compose.yaml` the same."""

import sys
from pathlib import Path
from typing import Final

from config.celery import QUEUES

Command = tuple[str, ...]

DISPATCHER: Final[Command] = ("python", "manage.py", "dispatcher")
MIGRATE: Final[Command] = ("python", "manage.py", "migrate", "--no-input")

_MODULES: Final = ("gunicorn", "celery")


def web(*, bind: str) -> Command:
    """Return the web server's command: threads, since a streamed answer occupies one."""
    return (
        *("gunicorn", "config.wsgi"),
        *("--worker-class", "config.web_worker.WebWorker", "--workers", "2", "--threads", "8"),
        *("--limit-request-line", "8190"),  # the most it can: fifty ids and what else a filter has
        "--no-control-socket",
        *("--logger-class", "config.web_log.WebServerLog"),
        # Whose X-Forwarded-* is believed is TRUSTED_PROXIES' business; the server would believe loopback.
        *("--forwarded-allow-ips", ""),
        *("--bind", bind),
    )


def worker(*, queues: tuple[str, ...] = QUEUES) -> Command:
    """Return the command of one worker process group, which consumes these queues."""
    return (
        *("celery", "--quiet", "--app", "config", "worker"),  # without its banner
        *("--queues", ",".join(queues)),
        *("--concurrency", "4"),
        # Both talk among workers through the broker, and leave zombies after a lost connection.
        *("--without-gossip", "--without-mingle"),
    )


def sandbox_carrier(*, port: int, state: Path | None = None) -> Command:
    """Return the sandbox carrier's command; development only. `state` keeps the reports that it owes."""
    kept = ("--state", str(state)) if state else ()
    return ("python", "manage.py", "sandbox_carrier", "--port", str(port), *kept)


def here(command: Command) -> Command:
    """Return the command as this very environment runs it, whatever PATH says."""
    program, *arguments = command
    module = ("-m", program) if program in _MODULES else ()
    return (sys.executable, *module, *arguments)

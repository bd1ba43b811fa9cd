"""The process groups of a stack, and what may be done to them: kill, stop, continue, end, restart."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import psutil

from config import processes
from config.processes import Program
from tests.faults.harness.proxies import Proxy
from tests.faults.harness.waiting import until


class Part:
    """One program in a process group of its own, with a log. It stays down until it is started again."""

    is_extra = False  # started by one test beside the usual ones

    def __init__(self, program: Program, *, before: Callable[[], object] = lambda: None) -> None:
        assert program.log is not None
        self.program = program
        self.log_file: Path = program.log
        self._before = before
        self._process: subprocess.Popen[bytes] | None = None
        self._seen = 0  # bytes of the log that belong to earlier tests

    @property
    def name(self) -> str:
        return self.program.name

    # --- running ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Start it; what it needs before it is useful is for `wait_until_ready` to know."""
        assert not self.is_running, f"{self.name} is running already"
        self._before()
        self._process = processes.start(self.program)

    def restart(self) -> None:
        """Kill what is left of it, and start it."""
        self.kill()
        self.start()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The group's leader: Celery's consumer, gunicorn's arbiter, PostgreSQL's postmaster."""
        assert self._process is not None
        return self._process.pid

    def children(self) -> list[int]:
        """Return the processes below the leader that are alive: Celery's pool, gunicorn's workers."""
        if not self.is_running:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            return [
                child.pid
                for child in psutil.Process(self.pid).children()
                if child.status() != psutil.STATUS_ZOMBIE
            ]
        return []

    # --- breaking ---------------------------------------------------------------------------------

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the leader alone, as an operator or `up` does."""
        os.kill(self.pid, number)

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to every process of the group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def kill(self) -> None:
        """SIGKILL to the whole group at once, and wait until nobody of it is left."""
        if self._process is None:
            return
        self.signal_group(signal.SIGKILL)
        self._process.wait()
        until(lambda: not self._members(), 30, f"the killed group of {self.name} is gone")

    def pause(self) -> None:
        """SIGSTOP to the whole group: a machine that hangs."""
        self.signal_group(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT to the whole group."""
        self.signal_group(signal.SIGCONT)

    def end(self, number: signal.Signals | None = None, *, seconds: float = 90) -> int:
        """Ask it to end in order (by its own signal, or this one), and return its exit code."""
        assert self._process is not None
        self.resume()
        self.send_signal(number or self.program.stop_signal)
        code = self._process.wait(timeout=seconds)
        until(lambda: not self._members(), 30, f"the group of {self.name} is gone")
        return code

    def wait_for_end(self, *, seconds: float = 90) -> int:
        """Wait until it ends by itself, and return its exit code."""
        assert self._process is not None
        return self._process.wait(timeout=seconds)

    def stop(self) -> None:
        """End it one way or the other; for the end of the stack."""
        if self.is_running:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.end(seconds=self.program.grace)
        self.kill()

    def _members(self) -> list[int]:
        found = []
        for process in psutil.process_iter(["status"]):
            with contextlib.suppress(ProcessLookupError, psutil.NoSuchProcess):
                if (
                    process.info["status"] != psutil.STATUS_ZOMBIE
                    and os.getpgid(process.pid) == self.pid
                ):
                    found.append(process.pid)
        return found

    # --- the log ----------------------------------------------------------------------------------

    def log(self) -> str:
        """Return what it has written since this test began."""
        if not self.log_file.exists():
            return ""
        with self.log_file.open("rb") as file:
            file.seek(self._seen)
            return file.read().decode(errors="replace")

    def begin_log(self) -> None:
        """Take everything written so far as an earlier test's."""
        self._seen = self.log_file.stat().st_size if self.log_file.exists() else 0


class ServerPart(Part):
    """PostgreSQL or Valkey."""

    def __init__(
        self, program: Program, *, before: Callable[[], object], is_ready: Callable[[], bool]
    ) -> None:
        super().__init__(program, before=before)
        self.is_ready = is_ready


class Carrier(Part):
    """A sandbox carrier; whoever kills it loses its record, which E0 asks."""

    def __init__(self, program: Program, *, port: int) -> None:
        super().__init__(program)
        self.port = port


class Ours(Part):
    """A part of Pregón (web, worker, dispatcher) with proxies of its own before each server.

    A fault in `stack.worker.broker` meets the worker alone. `environment` is what it was started with;
    `restart(NAME="value")` changes it until the end of the test.
    """

    database: Proxy
    broker: Proxy
    cache: Proxy
    carrier: Proxy
    carrier2: Proxy  # the same as `carrier` where there is only one

    def __init__(self, program: Program, failpoints: Path) -> None:
        super().__init__(program)
        assert program.env is not None
        self._usual = program
        self.failpoints = failpoints
        failpoints.mkdir(exist_ok=True)

    @property
    def environment(self) -> Mapping[str, str]:
        assert self.program.env is not None
        return self.program.env

    @property
    def is_usual(self) -> bool:
        """Return whether it runs with the command and the environment it had in the beginning."""
        return self.program == self._usual

    def restart(self, *, argv: tuple[str, ...] | None = None, **environment: str) -> None:
        """Kill what is left of it and start it with the usual environment and these variables."""
        self.kill()
        assert self._usual.env is not None
        self.program = replace(
            self._usual,
            argv=argv or self._usual.argv,
            env={**self._usual.env, **environment},
        )
        self.start()

    # --- failpoints -------------------------------------------------------------------------------

    def arm(self, point: str, action: str) -> None:
        """Have the next process of this part that comes by `point` do this, once.

        `action` is one of messaging/failpoints.py: "kill", "stop", "raise", "sleep:3", "barrier:PATH", and
        with "?word" only where the broadcast's text (or id) contains the word. With "*" before it every
        process does it each time, until `disarm`.
        """
        file = self.failpoints / point
        new = file.with_name(f"{point}.new")
        new.write_text(action)
        file.with_name(f"{point}.taken").unlink(missing_ok=True)
        new.rename(file)

    def disarm(self) -> None:
        """Take back every failpoint, and let everybody pass who waits at a barrier."""
        for file in self.failpoints.iterdir():
            written = file.read_text() if file.is_file() else ""
            if "barrier:" in written:
                Path(written.partition("barrier:")[2].partition("?")[0]).touch()
            file.unlink(missing_ok=True)

    def has_hit(self, point: str) -> bool:
        """Return whether somebody did what the failpoint was armed with (not with "*")."""
        return (self.failpoints / f"{point}.taken").exists()

    @contextlib.contextmanager
    def held_at(
        self, point: str, *, word: str = "", seconds: float = 60
    ) -> Iterator[Callable[[], object]]:
        """Arm a barrier; yield a function that waits until somebody stands there; let go after the block.

        with stack.worker.held_at("worker.after_claim") as wait:
            house.send("Hola")
            wait()
            ...  # the worker stands between claim and mark
        """
        barrier = self.failpoints.parent / f"barrier-{self.name}-{time.monotonic_ns()}"
        reached = barrier.with_name(f"{barrier.name}.reached")
        self.arm(point, f"barrier:{barrier}" + (f"?{word}" if word else ""))
        try:
            yield lambda: until(reached.exists, seconds, f"{self.name} stands at {point}")
        finally:
            barrier.touch()
            (self.failpoints / point).unlink(missing_ok=True)

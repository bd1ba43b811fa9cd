"""Child processes that end with their parent: started, watched, started again, stopped in order."""

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_PR_SET_PDEATHSIG: Final = 1
# Loaded before any fork: a child between fork and exec must not take the loader's lock.
_libc: Final = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None

FAST_SHUTDOWN: Final = signal.SIGINT  # PostgreSQL's word for: end now, in order

_TICK: Final = 0.1  # seconds between two looks at the children
_LIVED: Final = (
    60.0  # seconds after which a child counts as having worked, and its back-off as over
)
_LONGEST_PAUSE: Final = 30.0  # seconds before a child that keeps dying is started again

# A server's whole environment: a stray PGDATA or PGOPTIONS of the caller must not steer it.
BARE_ENVIRONMENT: Final[Mapping[str, str]] = {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True, slots=True)
class Account:
    """A system account that a child runs as."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What one child is started with, and how it is ended in order."""

    name: str
    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str] | None = None  # None: the parent's own
    account: Account | None = None  # None: the parent's own
    log: Path | None = None  # None: the parent's terminal
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 45.0  # seconds from the stop signal until it is killed
    hurries: bool = True  # a second Ctrl-C kills it; a database would have to repair itself


def _dies_with_parent(stop_signal: signal.Signals) -> Callable[[], None] | None:
    """Return what a child runs before its exec, so that its parent's death sends it the signal.

    The kernel forgets the wish when the process changes its account, so this must run after the
    drop; and it watches the *thread* that forks, so only the main thread may start children.
    On other systems than Linux there is no such wish: the next start ends what was left.
    """
    libc = _libc
    if libc is None:
        return None
    parent = os.getpid()

    def wish() -> None:
        if libc.prctl(_PR_SET_PDEATHSIG, int(stop_signal), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl")
        if os.getppid() != parent:  # it died before the wish was heard
            os._exit(1)

    return wish


def start(program: Program) -> subprocess.Popen[bytes]:
    """Start the program as leader of a process group of its own, and return it.

    It gets its stop signal when this process dies, however that happens (on Linux).
    Raises: OSError when the command cannot be executed, by that account or at all.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("Children are started by the main thread: they die with the thread.")
    account = program.account
    output = program.log.open("ab") if program.log else None
    try:
        return subprocess.Popen(  # noqa: S603 - the commands are our own constants
            program.argv,
            cwd=program.cwd,
            env=program.env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            process_group=0,  # the terminal's Ctrl-C reaches the parent alone: it keeps the order
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            preexec_fn=_dies_with_parent(program.stop_signal),
        )
    finally:
        if output:
            output.close()


def _running() -> Iterator[tuple[int, int, str]]:
    """Yield pid, process group and command line of every process that can be seen."""
    if Path("/proc/self/stat").exists():
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            with suppress(OSError):  # ended while we looked
                # The name in parentheses may hold blanks; what follows it does not.
                state, _, group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
                arguments = (entry / "cmdline").read_bytes().decode(errors="replace")
                if state != "Z":
                    yield int(entry.name), int(group), arguments.replace("\0", " ").strip()
        return
    listing = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,pgid=,stat=,args="],  # noqa: S607 - every system's own
        check=True,
        capture_output=True,
        text=True,
    )
    for line in listing.stdout.splitlines():
        pid, group, state, *command = line.split(None, 3)
        if not state.startswith("Z"):
            yield int(pid), int(group), "".join(command).strip()


def command_of(pid: int) -> str:
    """Return the command line of a running process, or nothing when there is none."""
    return next((arguments for running, _, arguments in _running() if running == pid), "")


def _signal_group(group: int, number: int) -> bool:
    """Return whether the process group still had a member to get the signal."""
    try:
        os.killpg(group, number)
    except (ProcessLookupError, PermissionError):  # macOS says EPERM where only zombies are left
        return False
    return True


def _members(group: int) -> bool:
    return any(running_group == group for _, running_group, _ in _running())


def _end_group(group: int, *, stop_signal: signal.Signals, grace: float) -> None:
    """End every process of the group: in order within the grace, else by force."""
    _signal_group(group, stop_signal)
    until = time.monotonic() + grace
    while _members(group):
        if time.monotonic() > until:
            _signal_group(group, signal.SIGKILL)
        time.sleep(_TICK)


@dataclass(slots=True)
class _Child:
    program: Program
    before: Callable[[], None]
    process: subprocess.Popen[bytes]
    started: float = field(default_factory=time.monotonic)
    failures: int = 0
    again_at: float | None = None  # when it is started again; None while it runs


class Stopped(Exception):
    """The supervisor was asked to stop."""


class Supervisor:
    """The parent of the running parts: whatever it started is running, until it stops all of it.

    The record lists its children, so that the next supervisor can end what this one left behind
    where no death signal exists, or while a part still drains after this one was killed.
    """

    def __init__(self, *, record: Path, say: Callable[[str], None]) -> None:
        self._record = record
        self._say = say
        self._children: list[_Child] = []
        self._asked_to_stop = 0

    def listen(self) -> None:
        """Take Ctrl-C, SIGTERM and the closing of the terminal as the wish to stop in order."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._heard)

    def _heard(self, _number: int, _frame: object) -> None:
        self._asked_to_stop += 1

    def end_orphans(self) -> None:
        """End what a former supervisor of this record left running; the caller holds the lock."""
        if not self._record.exists():
            return
        for entry in reversed(json.loads(self._record.read_text())):
            # A number alone proves nothing, it may be another process's by now: its command must
            # be in that group too (the interpreter's path may be rewritten, the rest is not).
            command = " ".join(entry["argv"][1:])
            if any(
                group == entry["pid"] and arguments.endswith(command)
                for _, group, arguments in _running()
            ):
                self._say(f"Ending {entry['name']}, left running by a former start.")
                _end_group(
                    entry["pid"], stop_signal=signal.Signals(entry["signal"]), grace=entry["grace"]
                )
        self._record.unlink()

    def start(self, program: Program, *, before: Callable[[], None] = lambda: None) -> None:
        """Start the program and keep it running; `before` is done before each start of it."""
        before()
        self._children.append(_Child(program, before, start(program)))
        self._write()

    def is_running(self, name: str) -> bool:
        """Return whether the child of that name runs at this moment."""
        return any(
            child.program.name == name and child.process.poll() is None for child in self._children
        )

    def _write(self) -> None:
        entries = [
            {
                "name": child.program.name,
                "pid": child.process.pid,
                "argv": list(child.program.argv),
                "signal": int(child.program.stop_signal),
                "grace": child.program.grace,
            }
            for child in self._children
        ]
        new = self._record.with_suffix(".new")
        new.write_text(json.dumps(entries))
        new.replace(self._record)

    def look(self) -> None:
        """Start again what died: at once, and when it keeps dying after a growing pause."""
        for child in self._children:
            now = time.monotonic()
            if child.again_at is None:
                code = child.process.poll()
                if code is None:
                    continue
                # A leader that was killed may leave members that hold its port and its place.
                _end_group(child.process.pid, stop_signal=signal.SIGTERM, grace=3)
                child.failures = 0 if now - child.started > _LIVED else child.failures + 1
                pause = (
                    min(2.0 ** (child.failures - 2), _LONGEST_PAUSE) if child.failures > 1 else 0.0
                )
                self._say(
                    f"{child.program.name} {_ending(code)}; starting it again"
                    + (f" in {pause:g} s." if pause else ".")
                )
                child.again_at = now + pause
            elif now >= child.again_at:
                child.before()
                child.process = start(child.program)
                child.started, child.again_at = time.monotonic(), None
                self._write()

    def wait(self, seconds: float) -> None:
        """Keep the children running for so long.

        Raises: Stopped as soon as somebody asks for the stop.
        """
        until = time.monotonic() + seconds
        while True:
            if self._asked_to_stop:
                raise Stopped
            self.look()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(_TICK, left))

    def wait_until(self, name: str, is_ready: Callable[[], bool], *, seconds: float) -> None:
        """Return when `is_ready` says so.

        Raises: NotReady after so many seconds, Stopped when somebody asks for the stop.
        """
        until = time.monotonic() + seconds
        while not is_ready():
            if time.monotonic() > until:
                raise NotReady(f"{name} was not ready after {seconds:g} s.")
            self.wait(_TICK)

    def stop(self) -> None:
        """End all children in the reverse of their order; none is left, nor a child of theirs.

        Each gets its grace; being asked to stop a second time ends the parts without it.
        """
        patience = max(self._asked_to_stop, 1)
        while self._children:
            child = self._children[-1]
            program, process = child.program, child.process
            if process.poll() is None:
                process.send_signal(program.stop_signal)
            until = time.monotonic() + program.grace
            while process.poll() is None:
                hurried = program.hurries and self._asked_to_stop > patience
                if hurried or time.monotonic() > until:
                    self._say(f"Killing {program.name}, which had not ended yet.")
                    _signal_group(process.pid, signal.SIGKILL)
                    process.wait()
                else:
                    time.sleep(_TICK / 2)
            _end_group(process.pid, stop_signal=signal.SIGKILL, grace=0)
            self._children.pop()
            self._write()
        self._record.unlink(missing_ok=True)


class NotReady(Exception):
    """A part runs, or tries to, and does not answer."""


def _ending(code: int) -> str:
    if code < 0:
        return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def run_to_end(argv: Sequence[str], *, cwd: Path, account: Account | None, log: Path) -> int:
    """Run a command of ours to its end, its output to the log, and return its exit code."""
    process = start(
        Program(
            name=Path(argv[0]).name,
            argv=tuple(argv),
            cwd=cwd,
            env=BARE_ENVIRONMENT,
            account=account,
            log=log,
        )
    )
    return process.wait()

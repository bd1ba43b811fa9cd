"""Children: they die with their parent, come back when they die, and leave nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from config.processes import Program, Supervisor

ROOT = Path(__file__).resolve().parents[2]

# A leader with a child of its own, as web servers and workers have; it says both numbers.
WITH_CHILD = 'sleep 600 & echo "$$ $!" >> {pids}; wait'


def until(condition: Callable[[], bool], meanwhile: Callable[[], None] = lambda: None) -> None:
    """Wait for the condition; fail after a minute."""
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        meanwhile()
        time.sleep(0.02)


def runs(pid: int) -> bool:
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def shell(name: str, script: str, folder: Path, *, grace: float = 60) -> Program:
    return Program(name=name, argv=("/bin/sh", "-c", script), cwd=folder, grace=grace)


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def supervisor(tmp_path: Path, said: list[str]) -> Supervisor:
    return Supervisor(record=tmp_path / "children.json", say=said.append)


def last_pids(pids: Path) -> tuple[int, int]:
    leader, child = pids.read_text().splitlines()[-1].split()
    return int(leader), int(child)


def test_a_child_dies_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = """
import sys, time
from pathlib import Path
from config import processes
child = processes.start(processes.Program(name="x", argv=("/bin/sleep", "600"), cwd=Path("/")))
print(child.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert runs(child)

        parent.kill()

    until(lambda: not runs(child))


def test_a_child_that_dies_is_started_again_and_its_own_children_are_ended(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    supervisor.start(shell("worker", WITH_CHILD.format(pids=pids), tmp_path))
    until(lambda: pids.exists() and len(pids.read_text().splitlines()) == 1)
    leader, child = last_pids(pids)

    os.kill(leader, signal.SIGKILL)
    until(lambda: len(pids.read_text().splitlines()) == 2, meanwhile=supervisor.look)
    again, _ = last_pids(pids)

    assert said == ["worker was killed by SIGKILL; starting it again."]
    until(lambda: not runs(child))
    assert runs(again)
    supervisor.stop()


def test_a_child_that_keeps_dying_is_started_after_growing_pauses(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    supervisor.start(shell("worker", "exit 3", tmp_path))

    until(lambda: len(said) == 3, meanwhile=supervisor.look)

    assert said == [
        "worker ended with exit code 3; starting it again.",
        "worker ended with exit code 3; starting it again in 1 s.",
        "worker ended with exit code 3; starting it again in 2 s.",
    ]
    supervisor.stop()


def test_children_are_stopped_in_reverse_each_with_all_that_it_started(
    supervisor: Supervisor, tmp_path: Path
) -> None:
    pids, order = tmp_path / "pids", tmp_path / "order"
    for name in ("first", "second"):
        script = f"trap 'echo {name} >> {order}; exit' TERM; " + WITH_CHILD.format(pids=pids)
        supervisor.start(shell(name, script, tmp_path))
    until(lambda: pids.exists() and len(pids.read_text().splitlines()) == 2)
    started = [int(pid) for pid in pids.read_text().split()]

    supervisor.stop()

    assert order.read_text().split() == ["second", "first"]
    until(lambda: not any(runs(pid) for pid in started))


def test_a_child_that_ignores_the_stop_is_killed_after_its_grace(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    ready = tmp_path / "ready"
    script = f"trap '' TERM; touch {ready}; while :; do sleep 0.1; done"
    supervisor.start(shell("worker", script, tmp_path, grace=0.3))
    until(ready.exists)

    supervisor.stop()

    assert said == ["Killing worker, which had not ended yet."]


def test_what_a_former_supervisor_left_is_ended_and_nobody_else(
    supervisor: Supervisor, said: list[str], tmp_path: Path
) -> None:
    ours = subprocess.Popen(["/bin/sleep", "601"], process_group=0)
    foreign = subprocess.Popen(["/bin/sleep", "602"], process_group=0)
    rest = {"argv": ["/bin/sleep", "601"], "signal": int(signal.SIGTERM), "grace": 5}
    (tmp_path / "children.json").write_text(
        json.dumps(
            [{"name": "web", "pid": ours.pid} | rest, {"name": "x", "pid": foreign.pid} | rest]
        )
    )

    supervisor.end_orphans()

    assert ours.wait() == -signal.SIGTERM
    assert foreign.poll() is None
    assert said == ["Ending web, left running by a former start."]
    foreign.kill()
    foreign.wait()


def test_a_child_is_never_started_by_a_thread_that_could_end(tmp_path: Path) -> None:
    program = """
import threading
from pathlib import Path
from config import processes
refusals = []
def attempt():
    try:
        processes.start(processes.Program(name="x", argv=("/bin/true",), cwd=Path("/")))
    except RuntimeError as error:
        refusals.append(str(error))
thread = threading.Thread(target=attempt)
thread.start()
thread.join()
assert refusals == ["Children are started by the main thread: they die with the thread."]
"""
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True)

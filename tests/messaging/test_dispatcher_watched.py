"""A dispatcher that hangs ends itself, and is started again by whoever started it."""

import os
import socket
import subprocess
import sys

from tests.api.web import ROOT

_SETUP = """
import threading, time, django
django.setup()
from messaging.management.commands import dispatcher
"""
_WATCH = """
watch = dispatcher.Watch(seconds=0.5, every=0.05)
watch.start()
"""
# Ten steps of the watch are too long; it makes one a round, whatever the clock says.
_STEP_BY_STEP = """
from types import SimpleNamespace
goes, stepped = threading.Semaphore(0), threading.Semaphore(0)
def step(seconds):
    stepped.release()
    goes.acquire()
def go_round():
    goes.release()
    stepped.acquire()
dispatcher.time = SimpleNamespace(sleep=step)
"""
_COMMAND = """
for name, seconds in (("dispatcher_stuck", 0.5), ("sweep", 0.05)):
    object.__setattr__(dispatcher.TIMINGS, name, seconds)
class Stop(threading.Event):
    rounds = 0
    def wait(self, seconds):
        go_round()
        self.rounds += 1
        if self.rounds == 40:
            self.set()
command = dispatcher.Command()
command.stop = Stop()
"""


def ended(program: str, **environment: str) -> tuple[int, str]:
    """Run this, where half a second is too long; return its exit code and what it logged."""
    done = subprocess.run(
        [sys.executable, "-c", _SETUP + program],
        cwd=ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    return done.returncode, done.stderr + done.stdout


def test_one_that_shows_nothing_is_ended_and_says_so() -> None:
    code, said = ended(_WATCH + "time.sleep(55)")

    assert code == 1
    assert "dispatcher_is_stuck" in said


def test_one_that_goes_round_is_left_alone() -> None:
    code, said = ended(
        _STEP_BY_STEP + _WATCH + "stepped.acquire()\nfor _ in range(40): go_round(); watch.show()"
    )

    assert code == 0, said
    assert "dispatcher_is_stuck" not in said


def test_a_dispatcher_whose_database_is_away_goes_round() -> None:
    away = "postgres://x@127.0.0.1:1/x"

    code, said = ended(
        _STEP_BY_STEP + _COMMAND + "command._sweep_until_stopped()", DATABASE_URL=away
    )

    assert (code, "dispatcher_is_stuck" in said) == (0, False), said


def test_a_dispatcher_whose_database_never_answers_is_ended() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:  # which accepts, and that is all
        silent = f"postgres://x@127.0.0.1:{server.getsockname()[1]}/x?connect_timeout=50"

        code, said = ended(_COMMAND + "command._sweep_until_stopped()", DATABASE_URL=silent)

    assert (code, "dispatcher_is_stuck" in said) == (1, True), said

"""Failpoints: nothing without the variable, and exactly what it says with it."""

import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from messaging.failpoints import POINTS, Broken, failpoint

ROOT = Path(__file__).resolve().parents[2]


def test_without_the_variable_nothing_happens(settings: Settings) -> None:
    settings.FAILPOINTS = ""

    for point in POINTS:
        failpoint(point)


def test_it_raises_at_the_hit_that_is_named_and_at_no_other(settings: Settings) -> None:
    settings.FAILPOINTS = "worker.after_claim=raise@2,worker.on_task=sleep:0"

    failpoint("worker.on_task")
    failpoint("worker.after_claim")
    with pytest.raises(Broken):
        failpoint("worker.after_claim")
    failpoint("worker.after_claim")


def test_it_breaks_only_what_it_is_told_about(settings: Settings) -> None:
    settings.FAILPOINTS = "worker.after_mark=raise?poison"

    failpoint("worker.after_mark", "Hola")
    with pytest.raises(Broken):
        failpoint("worker.after_mark", "a poison text")


def test_a_barrier_says_that_it_was_reached_and_waits(settings: Settings, tmp_path: Path) -> None:
    barrier = tmp_path / "go"
    settings.FAILPOINTS = f"api.after_insert=barrier:{barrier}"
    waiting = threading.Thread(target=failpoint, args=["api.after_insert"])

    waiting.start()

    until = time.monotonic() + 60
    while not (tmp_path / "go.reached").exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    assert waiting.is_alive()
    barrier.touch()
    waiting.join(60)
    assert not waiting.is_alive()


def test_kill_leaves_no_time_for_anything() -> None:
    program = """
import os
os.environ["PREGON_FAILPOINTS"] = "worker.after_mark=kill"
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
import django
django.setup()
from messaging.failpoints import failpoint
try:
    failpoint("worker.after_mark")
finally:
    print("cleaned up")
"""

    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize(
    "written", ["worker.after_lunch=kill", "worker.after_mark", "worker.after_mark=explode", "=,"]
)
def test_what_cannot_be_read_is_refused(settings: Settings, written: str) -> None:
    settings.FAILPOINTS = written

    with pytest.raises(ImproperlyConfigured, match="PREGON_FAILPOINTS"):
        failpoint("worker.after_mark")


def test_every_point_stands_in_the_code_once_at_least() -> None:
    hits = set()
    for path in (ROOT / "messaging").rglob("*.py"):
        hits |= set(re.findall(r'failpoint\(\s*"([a-z_.]+)"', path.read_text()))

    assert hits == POINTS

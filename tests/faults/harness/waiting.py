"""Waiting for what must come, with a limit that a slow machine does not reach."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(
    condition: Callable[[], T], seconds: float, what: str = "", *, tell: Callable[[], object] = str
) -> T:
    """Return the condition's value as soon as it is true.

    Fail after so many seconds, saying what was waited for and what `tell` knows then.
    """
    end = time.monotonic() + seconds
    pause = 0.02
    while True:
        if found := condition():
            return found
        assert time.monotonic() < end, f"not so after {seconds:g} s: {what or condition} {tell()}"
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)


def holds(condition: Callable[[], object], seconds: float, what: str = "") -> None:
    """Fail as soon as the condition is not true within so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), f"not so any more: {what or condition}"
        time.sleep(0.05)

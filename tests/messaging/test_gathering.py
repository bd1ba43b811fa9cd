"""Threads that write at the same moment: one does it for all, and each is answered for its own."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from messaging.gathering import Gathering

LIMIT = 60.0  # seconds


class Bad(Exception):
    """What was given cannot be written."""


class Writing:
    """Writes to a list, slowly where it is held; refuses what is below zero, all of it."""

    def __init__(self) -> None:
        self.written: list[list[int]] = []
        self.is_under_way = threading.Event()
        self.may_end = threading.Event()
        self.may_end.set()

    def __call__(self, items: Sequence[int]) -> None:
        self.is_under_way.set()
        assert self.may_end.wait(LIMIT)
        if min(items) < 0:
            raise Bad(min(items))
        self.written.append(list(items))


def gathered(writing: Writing, first: int, *others: int) -> list[Future[None]]:
    """Add the first; while it is written, the others, each by a thread of its own."""
    gathering = Gathering(writing)
    writing.may_end.clear()
    with ThreadPoolExecutor(1 + len(others)) as pool:
        calls = [pool.submit(gathering.add, first)]
        assert writing.is_under_way.wait(LIMIT)
        calls += [pool.submit(gathering.add, item) for item in others]
        until(lambda: len(gathering._waiting) == len(others))
        writing.may_end.set()
    return calls


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


def test_whoever_is_alone_writes_at_once() -> None:
    writing = Writing()
    gathering = Gathering(writing)

    gathering.add(1)
    gathering.add(2)

    assert writing.written == [[1], [2]]


def test_who_comes_while_one_writes_is_written_together() -> None:
    writing = Writing()

    calls = gathered(writing, 1, 2, 3, 4)

    assert [call.exception() for call in calls] == [None] * 4
    assert [sorted(items) for items in writing.written] == [[1], [2, 3, 4]]


def test_what_cannot_be_written_fails_alone() -> None:
    writing = Writing()

    calls = gathered(writing, 1, 2, -3, 4, -5)

    assert [type(call.exception()) for call in calls] == [
        *(type(None), type(None)),
        *(Bad, type(None), Bad),
    ]
    assert [str(calls[2].exception()), str(calls[4].exception())] == ["-3", "-5"]  # each its own
    assert sorted(item for items in writing.written for item in items) == [1, 2, 4]


def test_where_nothing_can_be_written_everybody_hears_it() -> None:
    writing = Writing()

    calls = gathered(writing, -1, -2, -3)

    assert [str(call.exception()) for call in calls] == ["-1", "-2", "-3"]
    with pytest.raises(Bad):
        Gathering(writing).add(-4)


def test_after_a_failure_the_next_is_written() -> None:
    writing = Writing()
    gathering = Gathering(writing)
    with pytest.raises(Bad):
        gathering.add(-1)

    gathering.add(2)

    assert writing.written == [[2]]


def test_anothers_connection_that_broke_costs_nothing() -> None:
    broken: set[int] = set()
    writing = Writing()

    def write(items: Sequence[int]) -> None:
        if len(items) > 1:
            broken.add(threading.get_ident())  # the connection of whoever writes for all
        if threading.get_ident() in broken:
            raise Bad("the connection is gone")
        writing(items)

    gathering = Gathering(write)
    writing.may_end.clear()
    with ThreadPoolExecutor(4) as pool:
        calls = [pool.submit(gathering.add, 1)]
        assert writing.is_under_way.wait(LIMIT)
        calls += [pool.submit(gathering.add, item) for item in (2, 3, 4)]
        until(lambda: len(gathering._waiting) == 3)
        writing.may_end.set()

    assert sum(call.exception() is None for call in calls) == 3
    assert len(writing.written) == 3

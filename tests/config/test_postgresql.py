"""Connections between requests: not asked while they stand, replaced where they ended meanwhile."""

import time
from typing import cast

import psycopg
import pytest
from django.db import connections

from config.postgresql.base import DatabaseWrapper


@pytest.fixture
def asked(transactional_db, monkeypatch) -> list[bool]:
    """What the server said each time it was asked whether the connection stands."""
    answers: list[bool] = []
    ask = DatabaseWrapper.is_usable

    def noted(self) -> bool:
        answers.append(ask(self))
        return answers[-1]

    monkeypatch.setattr(DatabaseWrapper, "is_usable", noted)
    return answers


def ours() -> DatabaseWrapper:
    return cast(DatabaseWrapper, connections["default"])


def served_by() -> int:
    """Begin a request, as Django does, and return the server's process that answers it."""
    connection = ours()
    connection.close_if_unusable_or_obsolete()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    return int(pid)


def end(pid: int) -> None:
    """End that connection of the server's, from another, and return when it is over."""
    with psycopg.connect(**ours().get_connection_params()) as other:
        assert other.execute("SELECT pg_terminate_backend(%s, 60000)", [pid]).fetchone() == (True,)


def test_a_connection_that_stands_is_not_asked(asked) -> None:
    pids = {served_by() for _ in range(3)}

    assert len(pids) == 1
    assert asked == []


def test_one_that_the_server_ended_is_replaced_before_a_request_meets_it(asked) -> None:
    first = served_by()
    end(first)

    assert served_by() != first
    assert asked == [False]


def test_one_that_heard_something_else_is_asked_and_kept(asked) -> None:
    first = served_by()
    with ours().cursor() as cursor:
        cursor.execute("LISTEN news")
    with psycopg.connect(**ours().get_connection_params()) as other:
        other.execute("NOTIFY news")
    limit = time.monotonic() + 60
    while not ours()._was_told():  # on its way
        assert time.monotonic() < limit

    assert served_by() == first
    assert asked == [True]
    assert served_by() == first
    assert asked == [True]


def test_one_that_was_closed_here_is_opened_anew(asked) -> None:
    first = served_by()
    ours().connection.close()

    assert served_by() != first

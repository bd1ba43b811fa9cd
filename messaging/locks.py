"""Locks of a database session: whoever holds one is alone, and whoever dies lets go."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from django.db import InterfaceError, OperationalError, connection

# Whom each number stands for. A lane of a broadcast is a pair: the broadcast's number and the lane's.
SWEEPING: Final = 7_267_534  # one dispatcher at a time
AUDITING: Final = 7_267_535  # one check of the invariants
APPLYING_REPORTS: Final = 7_267_536  # one worker at the inbox
LOOKING_UP: Final = 7_267_537  # beside a provider's number: one worker asks it


@contextmanager
def held(*key: int) -> Iterator[bool]:
    """Hold the lock of one or two numbers, if nobody else does; yield whether it is ours.

    It never waits. It belongs to this process's connection, so workers and dispatcher connect directly
    or through a pooler in session mode.
    """
    is_ours = _ask("pg_try_advisory_lock", key)
    try:
        yield is_ours
    finally:
        if is_ours:
            _let_go(key)


def _let_go(key: Sequence[int]) -> None:
    try:
        _ask("pg_advisory_unlock", key)
    except (OperationalError, InterfaceError):
        connection.close()  # the lock went with the session


def _ask(function: str, key: Sequence[int]) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}({', '.join(['%s'] * len(key))})", key)
        return bool(cursor.fetchone()[0])

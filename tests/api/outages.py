"""Parts of the system that are away for the length of a block."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection


@contextmanager
def database_away() -> Iterator[None]:
    """No connection to PostgreSQL can be made; only in tests with `transactional_db`."""
    host = connection.settings_dict["HOST"]
    connection.close()
    connection.settings_dict["HOST"] = "/nowhere"
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["HOST"] = host


@contextmanager
def database_only_reads() -> Iterator[None]:
    """PostgreSQL is as after a failover: it reads, and refuses to write; with `transactional_db`."""
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
        yield
        cursor.execute("SET default_transaction_read_only = off")

"""Making things happen at once: threads on real PostgreSQL, each with a connection of its own."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connection


def patient() -> None:
    """Let this thread's statements wait for others' locks a minute, not five seconds: many wait in line."""
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '60s'")


def at_once(*calls: Callable[[], Any]) -> list[Any]:
    """Make all calls begin together; return what each returned or raised, in their order."""
    ready = threading.Barrier(len(calls))

    def begun(call: Callable[[], Any]) -> Any:
        try:
            patient()
            ready.wait(60)
            return call()
        except Exception as error:  # noqa: BLE001 - the test looks at what was raised
            return error
        finally:
            connection.close()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(begun, calls))

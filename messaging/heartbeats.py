"""Signs of life: what lets one process see that another works, on PostgreSQL's clock."""

from math import inf
from typing import Final

from django.db import connection

from messaging.timings import TIMINGS

DISPATCHER: Final = "dispatcher"
AUDIT: Final = "audit"  # every invariant held
WORKER_BEAT: Final = TIMINGS.canary / 6  # seconds between two signs of life of a worker that works

_BEAT: Final = """
INSERT INTO messaging_heartbeat (part, beat_at) VALUES (%s, clock_timestamp())
ON CONFLICT (part) DO UPDATE SET beat_at = excluded.beat_at
"""


def worker(queue: str) -> str:
    """Return the part that shows itself whenever a worker takes something from the queue."""
    return f"worker {queue}"


def beat(part: str) -> None:
    """Show that the part works now."""
    with connection.cursor() as cursor:
        cursor.execute(_BEAT, [part])


def age(part: str) -> float:
    """Return the seconds since the part last showed that it works; infinite where it never did."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT extract(epoch FROM clock_timestamp() - beat_at)::float FROM messaging_heartbeat"
            " WHERE part = %s",
            [part],
        )
        row = cursor.fetchone()
    return float(row[0]) if row else inf

"""Delivering while the numbers of an older broadcast are blanked, beside the same without.

`python -m bench.retention [MESSAGES]`. The older broadcast, ten times as large, ended a month ago; in every
other run its organization keeps numbers for a week only. The dispatcher blanks a bite a sweep meanwhile.
"""

from __future__ import annotations

import statistics
import sys
import time
from typing import TYPE_CHECKING, Final
from uuid import UUID

from bench import table
from bench.delivering import _accepted, _moments, _send, _speed, _wait_for
from bench.stage import batched, forget, organization, setup, stage, use
from bench.table import Row, say

if TYPE_CHECKING:
    from tests.faults.harness.houses import House
    from tests.faults.harness.stack import Stack

_TIMES: Final = 3

_FINISH: Final = """
UPDATE messaging_broadcast SET finished_at = now() - interval '31 days', blanked_at = NULL, text = 'Hola',
  unblanked_from = '00000000-0000-0000-0000-000000000000'
WHERE id = %s
"""

_MANY: Final = """
INSERT INTO messaging_message (organization_id, broadcast_id, contact_id, recipient, country, segments,
  credits, status, charge, attempts, provider, provider_message_id, sent_at, provider_metadata)
SELECT b.organization_id, b.id, gen_random_uuid(), '+57301' || lpad(number::text, 7, '0'), 'CO', 1, 0,
  'SENT', 'CAPTURED', 1, 'infobip:acme', 'old' || number, now(), '{"to": "+573010000000"}'
FROM messaging_broadcast b, generate_series(1, %s) AS number WHERE b.id = %s
"""


def measure(count: int) -> list[Row]:
    """Return the row of delivering beside retention, and that of its bites."""
    rows: list[Row] = []
    with stage() as stack, table.watched(rows):
        use(stack, provider=batched(concurrency=4), pool=1)
        house, past = organization(stack, count), organization(stack, 1)
        old = _send(past)
        past.wait_until_sent(old)
        _run(stack, house, past, old, count, days=None)
        speeds: dict[int | None, list[float]] = {None: [], 7: []}
        for _ in range(_TIMES):
            for days, found in speeds.items():
                found.append(_run(stack, house, past, old, count, days=days))
        rows.append(
            Row(
                measure="Delivering beside retention ÷ without",
                figure=max(speeds[7]),
                unit="/s",
                floor=max(speeds[None]),
                ratio=max(speeds[7]) / max(speeds[None]),
                note=f"median {statistics.median(speeds[7]) / statistics.median(speeds[None]):.2f}",
            )
        )
        rows += _bites(stack, old, 10 * count)
    return rows


def _run(
    stack: Stack, house: House, past: House, old: UUID, count: int, *, days: int | None
) -> float:
    """Deliver to everybody of the house, and return how many a second the carrier got."""
    stack.sql("UPDATE accounts_organization SET retention_days = NULL")
    forget(stack)
    stack.sql(_FINISH, old)
    stack.sql(_MANY, 10 * count, old)
    stack.sql("ANALYZE messaging_message")
    stack.sql(
        "UPDATE accounts_organization SET retention_days = %s WHERE id = %s",
        days,
        past.organization.pk,
    )
    before = _accepted(stack)
    queue_id = _send(house)
    _wait_for(stack, before + count)
    speed = _speed(_moments(stack, before))
    house.wait_until_sent(queue_id)
    [(blanked,)] = stack.sql(
        "SELECT count(*) FROM messaging_message WHERE broadcast_id = %s AND recipient = ''", old
    )
    say(f"{speed:,.0f}/s, {blanked:,} blanked meanwhile")
    return speed


def _bites(stack: Stack, old: UUID, count: int) -> list[Row]:
    """Blank the rest as fast as it goes, here."""
    from messaging import retention

    stack.dispatcher.kill()
    with stack.django():
        times = []
        while stack.sql(
            "SELECT 1 FROM messaging_broadcast WHERE id = %s AND unblanked_from IS NOT NULL", old
        ):
            began = time.perf_counter()
            retention.blank()
            times.append(time.perf_counter() - began)
        began = time.perf_counter()
        retention.blank()
        idle = time.perf_counter() - began
    [(left,)] = stack.sql(
        "SELECT count(*) FROM messaging_message WHERE broadcast_id = %s AND recipient <> ''", old
    )
    assert left == 0, f"{left} are not blanked"
    return [
        Row(
            measure=f"Blanking a bite of {retention.BITE:,} messages",
            figure=statistics.median(times),
            unit="s",
            note=f"the slowest {max(times):.2f}; of {count:,} messages, {len(times)} bites",
        ),
        Row(measure="… looking when nothing is to be blanked", figure=1000 * idle, unit="ms"),
    ]


def main() -> None:
    setup()
    counts = [int(word) for word in sys.argv[1:] if word.isdigit()] or [20_000]
    table.run(lambda: measure(counts[0]))


if __name__ == "__main__":
    main()

"""How fast messages reach the carrier, beside one aiohttp loop without a database.

`python -m bench.delivering [MESSAGES] [--quick]`. Speeds are those of the carrier's own record, between a
tenth and nine tenths of a run, so that starting counts nowhere. Floor and run alternate.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from bench import table
from bench.floors import percentile
from bench.stage import (
    ROOT,
    batched,
    carry_on,
    cpu_seconds,
    forget,
    one_a_request,
    organization,
    rest,
    setup,
    stage,
    use,
)
from bench.statements import claim_mark_record, noted
from bench.table import Row, say
from tests.faults.harness.waiting import until

if TYPE_CHECKING:
    from tests.faults.harness.houses import House
    from tests.faults.harness.stack import Stack

_SLOW: Final = 0.05  # seconds until a slow carrier answers
_PATIENCE: Final = 60.0  # seconds without progress


@dataclass
class Run:
    """What one delivery took."""

    speed: float  # messages a second
    cpu: float = 0.0  # seconds of the worker, a thousand messages
    commits: float = 0.0  # a thousand messages
    statements: float = 0.0


def _moments(stack: Stack, after: int) -> list[float]:
    """Return when the carrier took each message since that many, in order."""
    import urllib.request

    address = f"http://127.0.0.1:{stack.carriers[0].port}/_sandbox/accepted?after={after}"
    with urllib.request.urlopen(address, timeout=60) as answer:
        return [json.loads(line)["at"] for line in answer]


def _accepted(stack: Stack) -> int:
    return int(stack.carrier_stats()["accepted"])


def _speed(moments: Sequence[float]) -> float:
    first, last = len(moments) // 10, len(moments) * 9 // 10
    return (last - first) / (moments[last] - moments[first])


@contextmanager
def _latency(stack: Stack, seconds: float) -> Iterator[None]:
    """Let the carrier answer so late meanwhile."""
    from tests.faults.harness.carrier import behaving

    if not seconds:
        yield
        return
    with behaving(stack, {"delay": seconds}):
        yield


def _wait_for(stack: Stack, count: int) -> None:
    """Return when the carrier has taken so many; asking it disturbs neither database nor worker."""
    seen, moved = -1, time.monotonic()
    while seen < count:
        now = _accepted(stack)
        if now > seen:
            seen, moved = now, time.monotonic()
        assert time.monotonic() - moved < _PATIENCE, f"{seen} of {count} were taken"
        time.sleep(0.2)


def _send(house: House) -> UUID:
    answer = house.client.call(
        "POST", "/api/messages/sms/all", {"message": "Hola"}, headers={"Prefer": "return=minimal"}
    )
    return answer.queue_id


def deliver(stack: Stack, house: House, count: int, *, workers: Sequence[Any] = ()) -> Run:
    """Send to all of an organization, and return how fast the carrier got it and at what cost."""
    forget(stack)
    busy = workers or [stack.worker]
    before = _accepted(stack)
    stack.sql("SELECT pg_stat_statements_reset()")
    commits, worked = _commits(stack), cpu_seconds(*busy)
    queue_id = _send(house)
    _wait_for(stack, before + count)
    house.wait_until_sent(queue_id)
    worked = cpu_seconds(*busy) - worked
    time.sleep(1.2)  # PostgreSQL's counters are a second late
    commits = _commits(stack) - commits
    [(statements,)] = stack.sql(
        "SELECT coalesce(sum(calls), 0)::bigint FROM pg_stat_statements s"
        " JOIN pg_roles r ON r.oid = s.userid WHERE r.rolname = 'pregon_app' AND toplevel"
    )
    each = 1000 / count
    run = Run(
        _speed(_moments(stack, before)), worked * each, commits * each, float(statements) * each
    )
    say(
        f"  delivered {count:,} at {run.speed:,.0f}/s, CPU {run.cpu:.3f} s,"
        f" {run.commits:.0f} commits a thousand"
    )
    return run


def _commits(stack: Stack) -> int:
    [(commits,)] = stack.sql(
        "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()"
    )
    return int(commits)


@dataclass
class Floor:
    """What the bare loop took."""

    speed: float  # messages a second
    cpu: float  # seconds a thousand messages


def floor(stack: Stack, count: int, concurrency: int, *, processes: int = 1) -> Floor:
    """Return the messages a second that so many bare loops hand to the carrier."""
    before = _accepted(stack)
    command = [sys.executable, "-m", "bench.carrier_floor", str(count), str(concurrency)]
    environment = dict(stack.worker.environment)
    loops = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
        for _ in range(processes)
    ]
    cpu = 0.0
    for loop in loops:
        told, _errors = loop.communicate()
        assert loop.returncode == 0, "the floor failed"
        cpu += json.loads(told)["cpu"]
    found = Floor(_speed(_moments(stack, before)), 1000 * cpu / count / processes)
    say(f"  floor {found.speed:,.0f}/s, CPU {found.cpu:.3f} s a thousand")
    return found


@dataclass
class _Pair:
    """A way of delivering and its floor, each so often."""

    runs: list[Run]
    floors: list[float]
    floor_cpu: float = float("inf")  # seconds a thousand messages

    @property
    def best(self) -> Run:
        return max(self.runs, key=lambda run: run.speed)

    def row(self, measure: str, mark: float, *, ceiling: float | None = None) -> Row:
        """Return the row; the floor is at most `ceiling`."""
        least = min(max(self.floors), ceiling or float("inf"))
        return Row(
            measure=measure,
            figure=self.best.speed,
            unit="/s",
            floor=least,
            ratio=self.best.speed / least,
            mark=("≥", mark),
        )


def _pair(stack: Stack, house: House, count: int, concurrency: int, repeats: int = 2) -> _Pair:
    found = _Pair([], [])
    for _ in range(repeats):
        bare = floor(stack, count, concurrency)
        found.floors.append(bare.speed)
        found.floor_cpu = min(found.floor_cpu, bare.cpu)
        found.runs.append(deliver(stack, house, count))
    return found


def measure(count: int, *, quick: bool = False) -> list[Row]:
    """Return the rows of delivering, with so many messages a run."""
    rows: list[Row] = []
    with stage() as stack:
        house = organization(stack, count)
        with table.watched(rows):
            single = _one_a_request(stack, house, count, rows)
            _batched(stack, house, count, single, rows)
        if quick:
            return rows
        with table.watched(rows):
            rows.append(_slow(stack, house, count))
            rows.append(_two_workers(stack, house, count))
        with table.watched(rows):
            use(stack, provider=one_a_request(concurrency=25), pool=4)
            rows.append(_first_call(stack))
            rows.append(_behind_a_large_one(stack, 20 * count))
            rows.append(_rescue(stack, 2 * count))
    return rows


def _one_a_request(stack: Stack, house: House, count: int, rows: list[Row]) -> Run:
    say("one a request, carrier at 0 ms, one worker process")
    use(stack, provider=one_a_request(concurrency=100), pool=1)
    deliver(stack, house, count)  # every process has loaded what it needs
    pair = _pair(stack, house, count, 100)
    most = floor(stack, count, 100, processes=2).speed
    run = pair.best
    measure_ = "One a request, carrier at 0 ms, one worker process"
    row = pair.row(measure_, 0.6)
    row.note = f"the carrier takes {most:,.0f}/s from two loops"
    rows.append(row)
    rows += [
        Row(
            measure="… CPU of the worker a 1,000 messages, beside the bare loop's",
            figure=run.cpu,
            unit="s",
            floor=pair.floor_cpu,
            ratio=run.cpu / pair.floor_cpu,
        ),
        Row(
            measure="… commits a 1,000 messages",
            figure=min(one.commits for one in pair.runs),
            unit="",
            mark=("≤", 60),
        ),
        Row(measure="… statements a 1,000 messages", figure=run.statements, unit=""),
    ]
    return run


def _batched(stack: Stack, house: House, count: int, single: Run, rows: list[Row]) -> None:
    say("a hundred a request, one worker process")
    use(stack, provider=batched(concurrency=4), pool=1)
    deliver(stack, house, count)
    pair = _Pair([], [])
    for _ in range(2):
        pair.runs.append(deliver(stack, house, count))
        rest(stack)
        forget(stack)
        queue_id = _send(house)
        verbs = noted(stack, queue_id)
        with stack.connect() as link:
            link.execute("SET jit = off")
            pair.floors.append(claim_mark_record(link, verbs, count))
        say(f"  statements bare {pair.floors[-1]:,.0f}/s")
        carry_on(stack)
    rows.append(pair.row("A hundred a request ÷ claim, mark and record run bare", 0.5))
    rows += [
        Row(
            measure="A hundred a request ÷ one a request",
            figure=pair.best.speed,
            unit="/s",
            floor=single.speed,
            ratio=pair.best.speed / single.speed,
            mark=("≥", 3.0),
        ),
        Row(measure="… CPU of the worker a 1,000 messages", figure=pair.best.cpu, unit="s"),
        Row(measure="… commits a 1,000 messages", figure=pair.best.commits, unit=""),
        Row(measure="… statements a 1,000 messages", figure=pair.best.statements, unit=""),
    ]


def _slow(stack: Stack, house: House, count: int) -> Row:
    say("one a request, carrier at 50 ms")
    use(stack, provider=one_a_request(concurrency=100), pool=1)
    with _latency(stack, _SLOW):
        deliver(stack, house, count)
        pair = _pair(stack, house, count, 100)
    measure_ = "One a request, carrier at 50 ms, concurrency 100, one worker process"
    return pair.row(measure_, 0.9, ceiling=100 / _SLOW)


def _two_workers(stack: Stack, house: House, count: int) -> Row:
    say("two workers and one, carrier at 50 ms, concurrency 25")
    use(stack, provider=one_a_request(concurrency=25), pool=1)
    with _latency(stack, _SLOW):
        deliver(stack, house, count)
        one = [deliver(stack, house, count).speed]
        second = stack.second("worker2", like=stack.worker)
        until(second.children, 90, "the second worker's pool stands")
        deliver(stack, house, count)
        two = [deliver(stack, house, count, workers=[stack.worker, second]).speed for _ in "ab"]
        second.end()
        one.append(deliver(stack, house, count).speed)
    return Row(
        measure="Two worker processes ÷ one, carrier at 50 ms, concurrency 25 each",
        figure=max(two),
        unit="/s",
        floor=max(one),
        ratio=max(two) / max(one),
        mark=("≥", 1.8),
    )


def _first_call(stack: Stack, times: int = 40) -> Row:
    """From the request to the first message at the carrier, by the clock that both share."""
    say("accept → first provider call")
    forget(stack)
    house = organization(stack, 1)
    delays = []
    for _ in range(times):
        before = _accepted(stack)
        asked = time.time()
        _send(house)
        _wait_for(stack, before + 1)
        delays.append(_moments(stack, before)[0] - asked)
        time.sleep(0.2)
    return Row(
        measure="Accept → first provider call on an idle system, p95",
        figure=percentile(delays, 0.95),
        unit="s",
        mark=("≤", 0.5),
        note=f"from the request on; p50 {percentile(delays, 0.5):.2f}",
    )


def _behind_a_large_one(stack: Stack, large: int) -> Row:
    say(f"ten behind {large:,}")
    forget(stack)
    big, small = organization(stack, large), organization(stack, 10)
    _send(big)
    _wait_for(stack, _accepted(stack) + large // 20)
    asked = time.monotonic()
    queue_id = _send(small)
    while small.broadcast(queue_id, "sent") < 10:
        assert time.monotonic() - asked < _PATIENCE, "the small one waits for ever"
        time.sleep(0.02)
    seconds = time.monotonic() - asked
    is_running = big.broadcast(_newest(big)) == "RUNNING"
    big.client.call("POST", f"/api/messages/queues/{_newest(big)}/cancel")
    return Row(
        measure=f"A broadcast of 10 behind a running one of {large:,}",
        figure=seconds,
        unit="s",
        mark=("≤", 5.0),
        note="" if is_running else "the large one had ended",
    )


def _newest(house: House) -> UUID:
    [(queue_id,)] = house.stack.sql(
        "SELECT id FROM messaging_broadcast WHERE organization_id = %s"
        " ORDER BY created_at DESC LIMIT 1",
        house.organization.pk,
    )
    return UUID(str(queue_id))


def _rescue(stack: Stack, count: int) -> Row:
    """Kill the worker in the middle and start it again at once, as whoever supervises it does."""
    from messaging.timings import TIMINGS

    say(f"kill -9 at {count:,}")
    forget(stack)
    house = organization(stack, count)
    queue_id = _send(house)
    _wait_for(stack, _accepted(stack) + count // 4)
    stack.worker.kill()
    killed = time.monotonic()
    stack.worker.start()
    until(lambda: not house.waiting(queue_id), 300, "all of it is rescued")
    return Row(
        measure=f"kill -9 of the worker at {count:,} messages: until all is handed over",
        figure=time.monotonic() - killed,
        unit="s",
        mark=("≤", TIMINGS.lease + 5),
        note=f"{house.statuses(queue_id)['UNKNOWN']} of unknown outcome",
    )


def main() -> None:
    setup()
    counts = [int(word) for word in sys.argv[1:] if word.isdigit()] or [10_000]
    quick = "--quick" in sys.argv
    table.run(lambda: measure(counts[0], quick=quick))


if __name__ == "__main__":
    main()

"""What accepting a broadcast costs, beside the bare SQL: `python -m bench.accepting [CONTACTS …]`.

POST and floor alternate, each on empty tables after a checkpoint. The time of a POST runs from connecting
until the last byte is read; its JSON is parsed whole afterwards. Worker and dispatcher rest meanwhile.
"""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench import floors, table
from bench.stage import (
    cpu_seconds,
    forget,
    forget_peaks,
    organization,
    peak_memory,
    rest,
    setup,
    stage,
)
from bench.table import Row, say

if TYPE_CHECKING:
    from tests.faults.harness.houses import House
    from tests.faults.harness.stack import Stack

_SEND = "/api/messages/sms/all"
_USUAL = 100_000  # contacts of the measures that are taken at one size alone


def _post(house: House, path: str = _SEND, **fields: Any) -> tuple[float, list[bytes]]:
    """Return how long the whole answer took, and its pieces."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {house.client.token}"}
    body = json.dumps({"message": "Hola", **fields}).encode()
    pieces: list[bytes] = []
    began = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", house.stack.port, timeout=900)
    connection.request("POST", path, body, headers)
    response = connection.getresponse()
    while piece := response.read(1 << 18):
        pieces.append(piece)
    seconds = time.perf_counter() - began
    connection.close()
    assert response.status in {200, 201}, b"".join(pieces)[:500]
    return seconds, pieces


def _accepted(house: House, contacts: int, **fields: Any) -> float:
    """Send to all, and see that everybody is in the answer; return the seconds."""
    seconds, pieces = _post(house, **fields)
    listed = json.loads(b"".join(pieces))["messages"]
    assert len(listed) == contacts, (len(listed), contacts)
    return seconds


@dataclass
class _Pair:
    """POST and floor at one size, each so often, best of all; what they use of processors, too."""

    posts: list[float] = field(default_factory=list)
    floors: list[float] = field(default_factory=list)
    dry_runs: list[float] = field(default_factory=list)
    memory: float = 0.0  # MB above idle
    posts_cpu: list[float] = field(default_factory=list)
    floors_cpu: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return min(self.posts) / min(self.floors)

    @property
    def ratio_of_cpu(self) -> float:
        return min(self.posts_cpu) / min(self.floors_cpu)


def _worked(stack: Stack) -> float:
    """Return the seconds of processors that web and PostgreSQL used: others on the machine hardly matter."""
    return cpu_seconds(stack.web, stack.postgresql)


def _pair(stack: Stack, house: House, contacts: int, repeats: int) -> _Pair:
    broadcast = floors.floor_broadcast(house)
    found = _Pair()
    workers = stack.web.children()
    for number in range(repeats):
        forget(stack)
        idle = forget_peaks(workers)
        worked = _worked(stack)
        found.posts.append(_accepted(house, contacts))
        found.posts_cpu.append(_worked(stack) - worked)
        peaks = peak_memory(workers)
        grown = max(peaks[pid] - idle[pid] for pid in workers) / 2**20
        found.memory = max(found.memory, grown)
        forget(stack)
        worked = _worked(stack) + time.process_time()
        found.floors.append(floors.insert_and_copy(house, broadcast))
        found.floors_cpu.append(_worked(stack) + time.process_time() - worked)
        found.dry_runs.append(_post(house, f"{_SEND}?dryRun=true")[0])
        say(
            f"accept {contacts:,}: POST {found.posts[-1]:.3f} s, floor {found.floors[-1]:.3f} s,"
            f" dry run {found.dry_runs[-1]:.3f} s, memory +{grown:.1f} MB ({number + 1}/{repeats})"
        )
    return found


def measure(*sizes: int, quick: bool = False) -> list[Row]:
    """Return the rows of accepting at these sizes; `quick` leaves out what needs sizes of its own."""
    rows: list[Row] = []
    with stage(MAX_AUDIENCE="1000000") as stack:
        rest(stack)
        warm = organization(stack, 10)
        for _ in range(8):  # both web processes have loaded all they need
            _accepted(warm, 10)
        pairs: dict[int, _Pair] = {}
        houses: dict[int, House] = {}
        for size in sizes:
            with table.watched(rows):
                houses[size] = organization(stack, size)
                repeats = 5 if size <= 10_000 else 3
                pairs[size] = _pair(stack, houses[size], size, repeats)
                rows += _rows_of(size, pairs[size])
        _compared(rows, pairs)
        usual = min(_USUAL, max(houses))
        with table.watched(rows):
            house = houses.get(usual) or organization(stack, usual)
            rows.append(_heap(stack, house, usual))
            if not quick:
                rows.append(_usual_way(stack, house, usual))
                rows += _small(stack)
                rows.append(_foreign_country(stack, usual))
    return rows


def _rows_of(size: int, pair: _Pair) -> list[Row]:
    reach = {10_000: 1.6, 100_000: 1.4, 1_000_000: 1.25}
    post = Row(
        measure=f"POST to {size:,} contacts ÷ floor",
        figure=min(pair.posts),
        unit="s",
        floor=min(pair.floors),
        ratio=pair.ratio,
        mark=("≤", reach.get(size, 1.6)),
        note=f"by CPU {pair.ratio_of_cpu:.2f}",
    )
    memory = Row(
        measure=f"Peak memory of a web process at {size:,}, above idle",
        figure=pair.memory,
        unit="MB",
        mark=("≤", 48.0),
    )
    dry = Row(
        measure=f"Dry run at {size:,} ÷ send",
        figure=min(pair.dry_runs),
        unit="s",
        floor=min(pair.posts),
        ratio=min(pair.dry_runs) / min(pair.posts),
        mark=("≤", 0.15) if size >= 1_000_000 else None,
    )
    return [post, memory, dry]


def _compared(rows: list[Row], pairs: dict[int, _Pair]) -> None:
    """Add what a message costs at the largest size beside the smallest."""
    small, large = min(pairs), max(pairs)
    if small == large:
        return
    each = {size: min(pairs[size].posts) / size * 1e6 for size in (small, large)}
    rows.append(
        Row(
            measure=f"Cost a message, {large:,} ÷ {small:,}",
            figure=each[large],
            unit="µs",
            floor=each[small],
            ratio=each[large] / each[small],
            mark=("≤", 1.3),
        )
    )


def _heap(stack: Stack, house: House, size: int) -> Row:
    """Indexes and constraints that are not worth it show here."""
    broadcast = floors.floor_broadcast(house)
    bare, heap = [], []
    for _ in range(3):
        forget(stack)
        bare.append(floors.insert_and_copy(house, broadcast))
        heap.append(floors.copied_into_heap(stack))
    return Row(
        measure=f"Floor at {size:,} ÷ COPY into a heap with a primary key",
        figure=min(bare),
        unit="s",
        floor=min(heap),
        ratio=min(bare) / min(heap),
        mark=("≤", 3.0),
    )


def _usual_way(stack: Stack, house: House, size: int) -> Row:
    say(f"the usual Django way at {size:,}")
    broadcast = floors.floor_broadcast(house)
    forget(stack)
    seconds = floors.usual_django_way(house, broadcast)
    posts = []
    for _ in range(3):
        forget(stack)
        posts.append(_accepted(house, size))
    post = min(posts)
    return Row(
        measure=f"The usual Django way at {size:,} ÷ POST",
        figure=seconds,
        unit="s",
        floor=post,
        ratio=seconds / post,
        mark=("≥", 5.0),
    )


def _small(stack: Stack) -> list[Row]:
    """Ten contacts, by one client and by eight at once, beside reading one contact."""
    house = organization(stack, 10)
    with stack.django():
        from contacts.models import Contact

        contact = Contact.objects.filter(organization=house.organization).values_list("pk").first()
    assert contact
    rows = []
    for clients in (1, 8):
        say(f"ten contacts, {clients} clients")
        posts: list[float] = []
        gets: list[float] = []
        by_cpu = [0.0, 0.0]
        for _ in range(3):
            began = _worked(stack)
            posts += _asked(house, clients, 40, "POST", _SEND)
            between = _worked(stack)
            gets += _asked(house, clients, 40, "GET", f"/api/contacts/{contact[0]}")
            by_cpu = [by_cpu[0] + between - began, by_cpu[1] + _worked(stack) - between]
        p50, p99 = floors.percentile(posts, 0.5), floors.percentile(posts, 0.99)
        least = floors.percentile(gets, 0.5)
        rows.append(
            Row(
                measure=f"POST to 10 contacts by {clients} at once, p50 ÷ GET of one contact",
                figure=1000 * p50,
                unit="ms",
                floor=1000 * least,
                ratio=p50 / least,
                mark=("≤", 3.0),
                note=f"p99 {1000 * p99:.0f} ms; by CPU {by_cpu[0] / by_cpu[1]:.1f}",
            )
        )
    return rows


def _asked(house: House, clients: int, times: int, method: str, path: str) -> list[float]:
    """Have so many clients ask so often each, on connections that stay open; return the seconds."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {house.client.token}"}
    body = json.dumps({"message": "Hola"}).encode() if method == "POST" else None
    seconds: list[float] = []

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", house.stack.port, timeout=120)
        for _ in range(times):
            began = time.perf_counter()
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            content = response.read()
            seconds.append(time.perf_counter() - began)
            assert response.status in {200, 201}, content
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seconds) == clients * times, "a client failed"
    return seconds


# Numbers that are mobile in Colombia and valid in the United States: Tigo's 310, and Los Angeles'.
_NATIONAL = """
INSERT INTO contacts_contact (organization_id, created_at, updated_at, name, last_name, email, phone,
  country, e164, region, read_as, refusal, status, origin)
SELECT %s, now() + i * interval '1 microsecond', now(), 'Contact', i::text, '', (3102000000 + i)::text, '',
  '+57' || (3102000000 + i), 'CO', 'CO', '', 'ACTIVE', 'IMPORT'
FROM generate_series(0, %s - 1) AS i
"""


def _foreign_country(stack: Stack, size: int) -> Row:
    """All contacts need the request's country: read for the first time, then read before."""
    say(f"another country, {size:,}")
    house = organization(stack, 0, allowed_countries=["CO", "US"])
    stack.sql(_NATIONAL, house.organization.pk, size)
    stack.sql("VACUUM (ANALYZE) contacts_contact")
    forget(stack)
    first = _accepted(house, size, country="US")
    stack.sql("VACUUM (ANALYZE) contacts_numberreading")
    again, usual = [], []
    for _ in range(3):
        forget(stack)
        again.append(_accepted(house, size, country="US"))
        forget(stack)
        usual.append(_accepted(house, size, country="CO"))
    return Row(
        measure=f"All {size:,} need the request's country, the second time ÷ the ordinary case",
        figure=min(again),
        unit="s",
        floor=min(usual),
        ratio=min(again) / min(usual),
        mark=("≤", 1.3),
        note=f"first time {first:.1f} s",
    )


def main() -> None:
    setup()
    quick = "--quick" in sys.argv
    sizes = [int(word) for word in sys.argv[1:] if word.isdigit()] or [10_000, 100_000, 1_000_000]
    table.run(lambda: measure(*sizes, quick=quick))


if __name__ == "__main__":
    main()

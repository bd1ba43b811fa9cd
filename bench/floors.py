"""The floors of accepting: the SQL that a database engineer would type for the same outcome.

None of it knows terms, roles, opt-outs, duplicates, prices, credits or repeated requests: what those cost
is what the ratios show.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final
from uuid import UUID

import psycopg

if TYPE_CHECKING:
    from tests.faults.harness.houses import House
    from tests.faults.harness.stack import Stack

# The same columns into the same table, in the order in which the contacts were created.
INSERT: Final = """
INSERT INTO messaging_message
  (id, organization_id, broadcast_id, contact_id, recipient, country, segments, credits)
SELECT uuidv7(), organization_id, %s, id, e164, region, 1, 1 FROM contacts_contact
WHERE organization_id = %s AND deleted_at IS NULL ORDER BY created_at, id
"""


def floor_broadcast(house: House) -> UUID:
    """Make the broadcast that the floor's messages are of, outside of its time."""
    from messaging.models import Broadcast

    with house.stack.django():
        made = Broadcast.objects.create(
            organization=house.organization,
            member=house.ana,
            text="Hola",
            kind="SMS",
            encoding="GSM-7",
            segments=1,
            status=Broadcast.Status.COMPLETED,  # so that nobody delivers them
        )
    return made.pk


def insert_and_copy(house: House, broadcast_id: UUID) -> float:
    """Insert the messages by one statement and read them all back; return the seconds."""
    stack = house.stack
    with stack.connect() as link:
        link.execute("SET jit = off")
        link.execute("SET work_mem = '64MB'")  # as the program sets it: sorting decides much
        began = time.perf_counter()
        link.execute(INSERT, [broadcast_id, house.organization.pk])
        read = _copied_out(link, broadcast_id)
        seconds = time.perf_counter() - began
    assert read, "nothing was inserted"
    return seconds


def _copied_out(link: psycopg.Connection, broadcast_id: UUID) -> int:
    """Read id and recipient of each, as fast as libpq hands them over; return the bytes."""
    from psycopg import pq

    statement = (
        "COPY (SELECT id, recipient FROM messaging_message"
        f" WHERE broadcast_id = '{broadcast_id}') TO STDOUT"
    )
    low = link.pgconn
    result = low.exec_(statement.encode())
    assert result.status == pq.ExecStatus.COPY_OUT, result.error_message
    total = 0
    while True:
        count, data = low.get_copy_data(0)
        if count == -1:
            break
        total += len(data)
    result = low.get_result()  # type: ignore[assignment] # there is one: the COPY's own end
    assert result is not None
    while low.get_result() is not None:
        pass
    return total


def copied_into_heap(stack: Stack) -> float:
    """COPY the messages there are into a table with a primary key and nothing else; return the seconds.

    What the floor itself takes longer is what indexes and constraints cost.
    """
    with stack.connect() as link:
        link.execute("DROP TABLE IF EXISTS bench_heap")
        link.execute("CREATE TABLE bench_heap (LIKE messaging_message INCLUDING DEFAULTS)")
        link.execute("ALTER TABLE bench_heap ADD PRIMARY KEY (id)")
        rows: list[bytes] = []
        with link.cursor().copy(
            "COPY (SELECT * FROM messaging_message ORDER BY id) TO STDOUT"
        ) as out:
            rows.extend(bytes(row) for row in out)
        blocks = [b"".join(rows[start : start + 500]) for start in range(0, len(rows), 500)]
        link.execute("CHECKPOINT")
        began = time.perf_counter()
        with link.cursor().copy("COPY bench_heap FROM STDIN") as into:
            for block in blocks:
                into.write(block)
        seconds = time.perf_counter() - began
        link.execute("DROP TABLE bench_heap")
    return seconds


def usual_django_way(house: House, broadcast_id: UUID) -> float:
    """Do it with objects, as most programs would; return the seconds.

    Contacts are read as objects, each number is parsed, duplicates are dropped in a set, messages are
    created two thousand at a time, the answer is made of dicts.
    """
    import phonenumbers
    from django.db import connections, transaction

    from contacts.models import Contact
    from messaging.models import Message

    with house.stack.django(), transaction.atomic():
        with connections["default"].cursor() as cursor:  # it takes longer than ours may
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            cursor.execute("SET LOCAL statement_timeout = 0")
        began = time.perf_counter()
        seen: set[str] = set()
        messages: list[Message] = []
        people = Contact.objects.filter(organization=house.organization, deleted_at=None)
        for contact in people.order_by("created_at", "id"):
            number = phonenumbers.parse(contact.phone, house.organization.country)
            if not phonenumbers.is_valid_number(number):
                continue
            recipient = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
            if recipient in seen:
                continue
            seen.add(recipient)
            messages.append(
                Message(
                    organization_id=house.organization.pk,
                    broadcast_id=broadcast_id,
                    contact_id=contact.pk,
                    recipient=recipient,
                    country=contact.region,
                    segments=1,
                    credits=1,
                )
            )
        Message.objects.bulk_create(messages, batch_size=2_000)
        answer = json.dumps(
            {"messages": [{"id": str(m.pk), "recipient": m.recipient} for m in messages]}
        )
        transaction.set_rollback(True)
        assert answer
        return time.perf_counter() - began


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which this share of them lies."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]

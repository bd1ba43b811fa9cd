"""A message has a broadcast, the one it was written for, and a broadcast with messages is kept.

Triggers see to it, in place of a foreign key.
"""

import threading
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from django.db import IntegrityError, connection, transaction

from accounts.models import Member
from messaging.models import Broadcast, Message
from tests.faults.harness.waiting import until

COLUMNS = "organization_id, broadcast_id, recipient, country, segments, credits"


def broadcast_of(ana: Member) -> Broadcast:
    assert ana.organization
    return Broadcast.objects.create(
        organization=ana.organization,
        member=ana,
        text="Hola",
        encoding="GSM-7",
        segments=1,
        status=Broadcast.Status.COMPLETED,
    )


def message_of(broadcast: Broadcast) -> Message:
    return Message(
        organization=broadcast.organization,
        broadcast=broadcast,
        recipient="+573001234567",
        segments=1,
        credits=1,
    )


@pytest.fixture
def broadcast(ana: Member) -> Broadcast:
    return broadcast_of(ana)


# --- writing --------------------------------------------------------------------------------------
def test_messages_of_several_broadcasts_are_written_by_one_statement(
    ana: Member, broadcast: Broadcast
) -> None:
    Message.objects.bulk_create([message_of(broadcast), message_of(broadcast_of(ana))])

    assert Message.objects.count() == 2


def test_one_message_of_no_broadcast_refuses_its_whole_statement(broadcast: Broadcast) -> None:
    orphan = message_of(broadcast)
    orphan.broadcast_id = uuid4()

    with pytest.raises(IntegrityError, match="does not exist"), transaction.atomic():
        Message.objects.bulk_create([message_of(broadcast), orphan])

    assert Message.objects.count() == 0


def test_a_message_of_no_broadcast_is_refused_by_copy_too(broadcast: Broadcast) -> None:
    row = (broadcast.organization_id, uuid4(), "+573001234567", "CO", 1, 1)
    statement = f"COPY messaging_message ({COLUMNS}) FROM STDIN"

    with (
        pytest.raises(psycopg.errors.ForeignKeyViolation, match="does not exist"),
        connection.cursor() as cursor,
        cursor.copy(statement) as copy,
    ):
        copy.write_row(row)


def test_a_message_stays_with_its_broadcast(ana: Member, broadcast: Broadcast) -> None:
    message = message_of(broadcast)
    message.save()
    message.save()  # names its broadcast again
    message.broadcast = broadcast_of(ana)

    with pytest.raises(IntegrityError, match="stays with its broadcast"):
        message.save()


# --- ending a broadcast ---------------------------------------------------------------------------
@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM messaging_broadcast", "UPDATE messaging_broadcast SET id = uuidv7()"],
    ids=["deleted", "renamed"],
)
def test_a_broadcast_with_messages_is_kept(broadcast: Broadcast, statement: str) -> None:
    message_of(broadcast).save()

    with pytest.raises(IntegrityError, match="it is kept"), connection.cursor() as cursor:
        cursor.execute(statement)


def test_a_broadcast_without_messages_may_be_deleted(ana: Member, broadcast: Broadcast) -> None:
    message_of(broadcast_of(ana)).save()

    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM messaging_broadcast WHERE id = %s", [broadcast.pk])

    assert not Broadcast.objects.filter(pk=broadcast.pk).exists()


# --- at once --------------------------------------------------------------------------------------
@pytest.fixture
def other(broadcast: Broadcast) -> Iterator[psycopg.Connection]:
    """Somebody else's connection, in a transaction."""
    with psycopg.connect(**connection.get_connection_params()) as link:
        yield link


def waits(link: psycopg.Connection) -> bool:
    """Whether the connection's statement waits for somebody's lock."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT cardinality(pg_blocking_pids(%s))", [link.info.backend_pid])
        return bool(cursor.fetchone()[0])


class Elsewhere(threading.Thread):
    """A statement that somebody else runs meanwhile; `result` is what it raised, if anything."""

    def __init__(self, link: psycopg.Connection, statement: str, *values: object) -> None:
        super().__init__(daemon=True)
        self.result: psycopg.Error | None = None
        self._link, self._statement, self._values = link, statement, values
        self.start()

    def run(self) -> None:
        try:
            self._link.execute(self._statement, self._values)
        except psycopg.Error as error:
            self.result = error


DELETE = "DELETE FROM messaging_broadcast WHERE id = %s"
INSERT = f"INSERT INTO messaging_message ({COLUMNS}) VALUES (%s, %s, '+573001234567', 'CO', 1, 1)"


@pytest.mark.django_db(transaction=True)
def test_who_deletes_while_messages_are_written_waits_and_is_refused(
    broadcast: Broadcast, other: psycopg.Connection
) -> None:
    with transaction.atomic():
        message_of(broadcast).save()
        deleting = Elsewhere(other, DELETE, broadcast.pk)
        until(lambda: waits(other), 30)
    deleting.join(30)

    assert isinstance(deleting.result, psycopg.errors.ForeignKeyViolation)


@pytest.mark.django_db(transaction=True)
def test_who_writes_while_the_broadcast_is_deleted_waits_and_is_refused(
    broadcast: Broadcast, other: psycopg.Connection
) -> None:
    with transaction.atomic():
        Broadcast.objects.all().delete()
        writing = Elsewhere(other, INSERT, broadcast.organization_id, broadcast.pk)
        until(lambda: waits(other), 30)
    writing.join(30)

    assert isinstance(writing.result, psycopg.errors.ForeignKeyViolation)


@pytest.mark.django_db(transaction=True)
def test_who_could_not_see_messages_that_were_just_written_deletes_no_broadcast(
    broadcast: Broadcast, other: psycopg.Connection
) -> None:
    other.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
    other.execute("SELECT count(*) FROM messaging_message")  # from here on it sees this moment
    message_of(broadcast).save()

    with pytest.raises(psycopg.errors.FeatureNotSupported, match="READ COMMITTED"):
        other.execute(DELETE, [broadcast.pk])

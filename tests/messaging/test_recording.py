"""What is kept of a result: when to look it up, what the carrier counted, and what nobody could record."""

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone

from accounts.models import Organization
from messaging import delivery, leases, recording
from messaging.leases import Lease
from messaging.models import Broadcast
from messaging.providers.results import Accepted, Refused, Unclear
from messaging.timings import TIMINGS
from tests.api.outages import database_away
from tests.messaging.test_delivery import PHONE, broadcast, drained, only_message

__all__ = ["broadcast"]  # a fixture

pytestmark = pytest.mark.usefixtures("books_balance")


def test_an_unknown_message_is_looked_up_soon(broadcast, memory):
    memory.will_answer(PHONE, Unclear("read timeout"))

    before = timezone.now()
    drained(broadcast)

    look_up_at = only_message(broadcast).look_up_at
    assert look_up_at is not None
    wait = look_up_at - before
    soon = timedelta(seconds=TIMINGS.look_up_first)
    assert soon <= wait <= soon + timedelta(seconds=30)


@pytest.mark.parametrize("counted", [2, 7])
def test_a_carrier_that_counts_other_segments_is_told_beside_ours(
    acme, broadcast, memory, caplog, counted
):
    memory.will_answer(PHONE, Accepted("x", {"segments": counted, "status": "queued"}))

    drained(broadcast)

    message = only_message(broadcast)
    assert message.provider_metadata == {
        "segments": counted,
        "segments_charged": 1,
        "status": "queued",
    }
    assert broadcast.credits_captured == message.credits == 1
    (told,) = [record for record in caplog.records if record.msg == "segments_differ"]
    assert (told.messages, told.charged, told.counted) == (1, 1, counted)


@pytest.mark.parametrize("counted", [1, 0, None])
def test_a_carrier_that_counts_as_we_do_or_not_at_all_is_no_news(
    broadcast, memory, caplog, counted
):
    memory.will_answer(PHONE, Accepted("x", {"segments": counted}))

    drained(broadcast)

    assert only_message(broadcast).provider_metadata == {"segments": counted}
    assert "segments_differ" not in [record.msg for record in caplog.records]


@pytest.mark.django_db(transaction=True)
def test_what_could_not_be_recorded_is_told_by_ids_alone(broadcast, memory, monkeypatch, caplog):
    taken, refused = only_message(broadcast).pk, uuid4()
    monkeypatch.setattr(recording, "TIMINGS", replace(TIMINGS, record_retry=0))

    with database_away(), pytest.raises(DatabaseError):
        recording.record(
            queue_id=broadcast.pk,
            token=uuid4(),
            provider="memory:local",
            results={taken: Accepted("x"), refused: Refused("1", "no")},
        )

    (told,) = [record for record in caplog.records if record.msg == "accepted_unrecorded"]
    assert (told.broadcast, told.messages) == (str(broadcast.pk), [str(taken)])
    assert told.exc_info is None


@pytest.mark.django_db(transaction=True)
def test_a_connection_that_broke_costs_no_result(broadcast, memory):
    lease = Lease(broadcast.pk, uuid4())
    (claimed,) = leases.claim(lease, most=1)
    leases.mark(lease, [claimed.id], provider="memory:local")
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (own,) = cursor.fetchone()
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_terminate_backend(%s)", [own])
    other.close()

    recording.record(
        queue_id=broadcast.pk,
        token=lease.token,
        provider="memory:local",
        results={claimed.id: Accepted("x")},
    )

    assert only_message(broadcast).status == "SENT"


def test_a_suspended_organizations_broadcast_does_not_begin(acme, broadcast, memory):
    Organization.objects.update(status=Organization.Status.SUSPENDED)

    assert not delivery.drain(queue_id=broadcast.pk, lane=0)

    assert not memory.messages
    message = only_message(broadcast)
    assert (message.status, message.claimed_at) == ("QUEUED", None)
    assert Broadcast.objects.get().broken_drains == 0

"""Lanes and leases: who may hand a message over, and who may say how that ended."""

import threading
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from billing import ledger
from messaging import delivery, leases, locks, recording
from messaging.leases import Lease
from messaging.models import Broadcast, Message
from messaging.providers.results import Accepted, Unclear
from tests.messaging.test_delivery import broadcast, drained, only_message

__all__ = ["broadcast"]  # a fixture

pytestmark = pytest.mark.usefixtures("books_balance")


@pytest.mark.django_db(transaction=True)
def test_a_lane_that_is_taken_ends_at_once(broadcast, memory):
    taken, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with locks.held(delivery._number(broadcast.pk), 0):
            taken.set()
            let_go.wait()
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait()
    assert not delivery.drain(queue_id=broadcast.pk, lane=0)
    assert not memory.messages
    let_go.set()
    holder.join()

    assert drained(broadcast).sent == 1


@pytest.mark.django_db(transaction=True)
def test_a_wake_up_that_comes_ten_times_sends_once(broadcast, memory):
    def drain(lane: int) -> None:
        delivery.drain(queue_id=broadcast.pk, lane=lane)
        connection.close()

    threads = [threading.Thread(target=drain, args=[number % 2]) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(memory.messages) == 1
    assert only_message(broadcast).status == "SENT"


def test_a_broadcast_whose_drains_all_break_off_is_paused(broadcast, memory):
    Broadcast.objects.update(broken_drains=delivery.MOST_BROKEN_DRAINS)

    drained(broadcast)

    assert (broadcast.status, broadcast.paused_because) == ("PAUSED", "no_progress")
    assert not memory.messages


def test_a_drain_that_ends_in_order_forgets_those_that_broke_off(broadcast, memory):
    Broadcast.objects.update(broken_drains=5)

    assert drained(broadcast).broken_drains == 0


def test_a_mark_is_refused_when_the_lease_is_nearly_over(broadcast, memory):
    lease = Lease(broadcast.pk, uuid4())
    (claimed,) = leases.claim(lease, most=1)
    Message.objects.update(lease_until=timezone.now() + timedelta(seconds=5))

    assert leases.mark(lease, [claimed.id], provider=memory.name) == {}

    assert only_message(broadcast).status == "QUEUED"


def test_a_stranger_cannot_mark_or_record(broadcast, memory):
    lease = Lease(broadcast.pk, uuid4())
    (claimed,) = leases.claim(lease, most=1)
    Message.objects.update(lease_token=uuid4())

    assert leases.mark(lease, [claimed.id], provider=memory.name) == {}
    recording.record(
        queue_id=lease.queue_id,
        token=lease.token,
        provider=memory.name,
        results={claimed.id: Accepted("x")},
    )

    assert only_message(broadcast).status == "SENDING"


def test_a_late_result_of_the_same_lease_resolves_an_unknown_message(acme, broadcast, memory):
    lease = Lease(broadcast.pk, uuid4())
    (claimed,) = leases.claim(lease, most=1)
    leases.mark(lease, [claimed.id], provider=memory.name)
    recording.record(
        queue_id=lease.queue_id,
        token=lease.token,
        provider=memory.name,
        results={claimed.id: Unclear("no answer yet")},
    )

    recording.record(
        queue_id=lease.queue_id,
        token=lease.token,
        provider=memory.name,
        results={claimed.id: Accepted("late")},
    )

    broadcast.refresh_from_db()
    assert (broadcast.sent, broadcast.unknown, broadcast.status) == (1, 0, "COMPLETED")
    assert ledger.balance(acme.pk) == ledger.Balance(available=999, spent=1)

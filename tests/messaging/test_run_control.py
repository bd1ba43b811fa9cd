"""Pausing, resuming and canceling: nothing is handed over that should not be, and credits come back."""

import asyncio
import threading
import time

import pytest
from django.db import connection

from accounts import roles
from accounts.models import AuditEntry, Member, Organization
from billing import ledger
from messaging import delivery, run_control, tasks
from messaging.models import Broadcast, Message, MessageEvent
from tests.messaging.factories import many_contacts

pytestmark = pytest.mark.usefixtures("books_balance", "memory")


@pytest.fixture
def broadcast(acme, contacts, grant, send):
    grant(acme, 10)
    contacts("+573001234567", "+573001234568", "+573001234569")
    return send()


# --- resume ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("because", ["operator", "error_rate", "no_progress"])
def test_resuming_counts_failures_anew_and_wakes_the_workers(
    ana, broadcast, monkeypatch, because, django_capture_on_commit_callbacks
):
    Broadcast.objects.filter(pk=broadcast.pk).update(
        status="PAUSED", paused_because=because, recent_results="-" * 200, broken_drains=21
    )
    woken = []
    monkeypatch.setattr(tasks, "try_waking", lambda queue_id, **_: woken.append(queue_id))

    with django_capture_on_commit_callbacks(execute=True):
        resumed = run_control.resume(member=ana, broadcast=broadcast)

    assert (resumed.status, resumed.paused_because) == ("RUNNING", "")
    assert (resumed.recent_results, resumed.broken_drains, resumed.woken_at) == ("", 0, None)
    assert woken == [broadcast.pk]


def test_the_broadcast_as_it_stands_decides_not_as_it_was_read(ana, broadcast):
    as_read = Broadcast.objects.get(pk=broadcast.pk)
    run_control.cancel(member=ana, broadcast=broadcast)

    assert as_read.status == "RUNNING"
    with pytest.raises(run_control.StateDoesNotAllow, match="canceled"):
        run_control.pause(member=ana, broadcast=as_read)


@pytest.mark.parametrize("verb", [run_control.pause, run_control.resume, run_control.cancel])
@pytest.mark.parametrize("who", ["vera", "root", "carla"])
def test_who_may_not_changes_nothing(request, broadcast, verb, who):
    with pytest.raises(roles.RoleMissing):
        verb(member=request.getfixturevalue(who), broadcast=broadcast)

    broadcast.refresh_from_db()
    assert broadcast.status == "RUNNING"


# --- cancel ---------------------------------------------------------------------------------------
def test_what_was_canceled_is_canceled_released_and_noted(acme, ana, broadcast):
    run_control.cancel(member=ana, broadcast=broadcast)

    assert run_control.cancel_bite() is False

    assert ledger.balance(acme.pk) == ledger.Balance(available=10)
    found = Message.objects.values_list("status", "charge", "error_code").distinct()
    assert list(found) == [("CANCELED", "RELEASED", "canceled")]
    assert MessageEvent.objects.filter(kind="CANCELED").count() == 3
    broadcast.refresh_from_db()
    assert (broadcast.status, broadcast.canceled, broadcast.queued) == ("CANCELED", 3, 0)
    assert broadcast.finished_at is not None
    assert (broadcast.credits_released, broadcast.credits_reserved) == (3, 0)


def test_rows_follow_in_bites(acme, ana, contacts, grant, send, monkeypatch):
    monkeypatch.setattr(
        run_control, "_CANCEL", run_control._CANCEL.replace(f"LIMIT {run_control.BITE}", "LIMIT 2")
    )
    monkeypatch.setattr(run_control, "BITE", 2)
    grant(acme, 10)
    contacts("+573001234567", "+573001234568", "+573001234569")
    broadcast = send()
    run_control.cancel(member=ana, broadcast=broadcast)

    more = [run_control.cancel_bite() for _ in range(3)]

    assert more == [True, False, False]
    broadcast.refresh_from_db()
    assert (broadcast.canceled, broadcast.queued) == (3, 0)


def test_a_canceled_broadcast_that_was_paused_is_canceled_too(ana, broadcast):
    run_control.pause(member=ana, broadcast=broadcast)
    canceled = run_control.cancel(member=ana, broadcast=broadcast)
    run_control.cancel_bite()

    canceled.refresh_from_db()
    assert (canceled.status, canceled.paused_because, canceled.canceled) == ("CANCELED", "", 3)


def test_what_left_already_ends_as_it_ends_and_the_rest_is_canceled(acme, ana, broadcast):
    leaving = Message.objects.order_by("id")[0]
    token = "00000000-0000-4000-8000-000000000001"
    Message.objects.filter(pk=leaving.pk).update(
        status="SENDING", lease_token=token, submit_started_at="2026-01-01T00:00Z"
    )
    Broadcast.objects.filter(pk=broadcast.pk).update(queued=2, sending=1)

    run_control.cancel(member=ana, broadcast=broadcast)
    run_control.cancel_bite()

    broadcast.refresh_from_db()
    assert (broadcast.status, broadcast.sending, broadcast.canceled) == ("CANCELED", 1, 2)
    assert broadcast.finished_at is None
    assert ledger.balance(acme.pk).reserved == 1


def test_a_row_that_came_back_after_the_bite_is_canceled_by_the_next(ana, broadcast):
    returned = Message.objects.order_by("id")[0]
    Message.objects.filter(pk=returned.pk).update(status="SENDING")
    Broadcast.objects.filter(pk=broadcast.pk).update(queued=2, sending=1)
    run_control.cancel(member=ana, broadcast=broadcast)
    run_control.cancel_bite()
    Message.objects.filter(pk=returned.pk).update(status="QUEUED")
    Broadcast.objects.filter(pk=broadcast.pk).update(queued=1, sending=0)

    run_control.cancel_bite()

    broadcast.refresh_from_db()
    assert (broadcast.canceled, broadcast.queued) == (3, 0)
    assert broadcast.finished_at is not None


@pytest.mark.django_db(transaction=True)
def test_a_broadcast_that_somebody_holds_is_left_for_the_next_time(ana, broadcast):
    run_control.cancel(member=ana, broadcast=broadcast)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("SELECT 1 FROM messaging_broadcast FOR NO KEY UPDATE")
            held.set()
            done.wait(30)
            cursor.execute("COMMIT")
        connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)

    assert run_control.cancel_bite() is False
    assert Message.objects.filter(status="CANCELED").count() == 0
    done.set()
    thread.join()
    run_control.cancel_bite()
    assert Message.objects.filter(status="CANCELED").count() == 3


@pytest.mark.django_db(transaction=True)
def test_canceling_and_delivering_at_once_sends_or_cancels_each_message_once(
    acme, ana, grant, send, memory, monkeypatch
):
    many_contacts(acme, 300)
    grant(acme, 300)
    broadcast = send()
    requests: list[object] = []
    is_canceled = threading.Event()
    hand_over = memory.hand_over

    async def the_second_is_under_way_until_it_is_canceled(batch, http):
        requests.append(batch)
        async with asyncio.timeout(60):
            while len(requests) > 1 and not is_canceled.is_set():
                await asyncio.sleep(0.01)
        return await hand_over(batch, http)

    monkeypatch.setattr(memory, "hand_over", the_second_is_under_way_until_it_is_canceled)

    def drain() -> None:
        while delivery.drain(queue_id=broadcast.pk, lane=0):
            pass
        connection.close()

    thread = threading.Thread(target=drain)
    thread.start()
    while thread.is_alive() and not _any_sent(broadcast):
        time.sleep(0.005)
    run_control.cancel(member=ana, broadcast=broadcast)
    is_canceled.set()
    thread.join()
    run_control.cancel_bite()

    broadcast.refresh_from_db()
    assert broadcast.status == "CANCELED"
    assert 100 <= broadcast.sent < 300
    assert broadcast.sent + broadcast.canceled == 300
    balance = ledger.balance(acme.pk)
    assert (balance.spent, balance.available) == (broadcast.sent, broadcast.canceled)


def _any_sent(broadcast: Broadcast) -> bool:
    return Message.objects.filter(broadcast=broadcast, status="SENT").exists()


# --- a suspended organization ---------------------------------------------------------------------
@pytest.mark.parametrize("status", ["RUNNING", "PAUSED", "SCHEDULED"])
def test_S21_broadcasts_of_a_suspended_organization_are_canceled(acme, ana, broadcast, status):
    Broadcast.objects.filter(pk=broadcast.pk).update(status=status)
    Organization.objects.filter(pk=acme.pk).update(status="SUSPENDED")

    assert run_control.cancel_suspended() is False
    run_control.cancel_bite()

    broadcast.refresh_from_db()
    assert (broadcast.status, broadcast.canceled) == ("CANCELED", 3)
    assert ledger.balance(acme.pk) == ledger.Balance(available=10)
    entry = AuditEntry.objects.get(act="broadcast.canceled")
    assert (entry.member, entry.organization) == (None, acme)


def test_S21_others_go_on(acme, borealis, broadcast):
    Organization.objects.filter(pk=borealis.pk).update(status="SUSPENDED")

    run_control.cancel_suspended()

    broadcast.refresh_from_db()
    assert broadcast.status == "RUNNING"
    assert not AuditEntry.objects.filter(act="broadcast.canceled").exists()


def test_S21_what_had_ended_stays_as_it_ended(acme, ana, broadcast):
    delivery.drain(queue_id=broadcast.pk, lane=0)
    Organization.objects.filter(pk=acme.pk).update(status="SUSPENDED")

    run_control.cancel_suspended()

    broadcast.refresh_from_db()
    assert broadcast.status == "COMPLETED"


def test_S21_nobody_of_a_suspended_organization_resumes(acme, ana, broadcast):
    Broadcast.objects.filter(pk=broadcast.pk).update(status="PAUSED", paused_because="operator")
    Organization.objects.filter(pk=acme.pk).update(status="SUSPENDED")

    with pytest.raises(roles.RoleMissing):
        run_control.resume(member=Member.objects.get(pk=ana.pk), broadcast=broadcast)

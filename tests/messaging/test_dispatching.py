"""The sweep: what a dead drain left behind, what nobody woke, what is too late."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import Organization
from billing import ledger
from messaging import delivery, dispatching, leases, reports, tasks
from messaging.dispatching import Dispatcher
from messaging.journeys import Journey
from messaging.leases import Lease
from messaging.models import Broadcast, Heartbeat, Message, MessageEvent
from messaging.timings import TIMINGS

pytestmark = pytest.mark.usefixtures("books_balance", "memory")

LONG_AGO = timedelta(hours=73)


@pytest.fixture
def broadcast(acme, contacts, grant, send) -> Broadcast:
    grant(acme, 10)
    contacts("+573001234567")
    return send()


def claimed(broadcast: Broadcast, *, marked: bool) -> None:
    """Leave the broadcast's messages as a worker does that dies after the claim, or after the mark."""
    lease = Lease(broadcast.pk, uuid4())
    ids = [message.id for message in leases.claim(lease, most=delivery.CLAIM)]
    if marked:
        leases.mark(lease, ids, provider="memory:local")
    Message.objects.update(lease_until=timezone.now() - timedelta(seconds=1))


@contextlib.contextmanager
def somebody_holding(broadcast: Broadcast) -> Iterator[None]:
    """Hold the broadcast's row from another connection until the block ends.

    Whoever of ours waits for it waits for a minute: that is told from any slowness.
    """
    taken, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            list(Broadcast.objects.select_for_update().filter(pk=broadcast.pk))
            taken.set()
            let_go.wait()
        connection.close()

    holder = threading.Thread(target=hold)
    holder.start()
    taken.wait()
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '60s'")
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET lock_timeout")
        let_go.set()
        holder.join()


def test_what_was_claimed_and_never_marked_goes_back(broadcast, wakes):
    claimed(broadcast, marked=False)

    Dispatcher().sweep()

    message = broadcast.messages.get()
    assert (message.status, message.lease_token) == ("QUEUED", None)
    broadcast.refresh_from_db()
    assert (broadcast.queued, broadcast.sending) == (1, 0)


def test_what_was_marked_becomes_unknown_and_keeps_its_lease(acme, broadcast, wakes):
    claimed(broadcast, marked=True)

    Dispatcher().sweep()

    message = broadcast.messages.get()
    assert (message.status, message.charge) == ("UNKNOWN", "RESERVED")
    assert message.lease_token is not None
    assert message.events.get().kind == MessageEvent.Kind.UNKNOWN
    broadcast.refresh_from_db()
    assert broadcast.status == "COMPLETED_WITH_FAILURES"
    assert ledger.balance(acme.pk).reserved == 1


def test_a_broadcast_that_somebody_holds_does_not_stop_the_sweep(
    transactional_db, broadcast, wakes, acme, send
):
    claimed(broadcast, marked=False)
    other = send(text="Another")
    Broadcast.objects.filter(pk=other.pk).update(created_at=timezone.now() - LONG_AGO)
    began = time.monotonic()
    with somebody_holding(broadcast):
        Dispatcher().sweep()

    assert time.monotonic() - began < 30
    assert [str(other.pk), 0] in wakes()
    assert not dispatching.is_late()


def test_a_step_that_breaks_off_does_not_stop_the_others_and_is_no_sign_of_life(
    transactional_db, broadcast, wakes, monkeypatch
):
    Broadcast.objects.update(created_at=timezone.now() - LONG_AGO)
    monkeypatch.setattr(reports, "BITE", "a defect")

    Dispatcher().sweep()

    assert [str(broadcast.pk), 0] in wakes()
    assert dispatching.is_late()


def test_an_unknown_message_is_looked_up_after_a_while(broadcast, wakes):
    claimed(broadcast, marked=True)

    Dispatcher().sweep()

    message = broadcast.messages.get()
    waits = message.look_up_at - message.unknown_since
    assert abs(waits.total_seconds() - TIMINGS.look_up_first) < 5


def test_a_lease_that_still_runs_is_left_alone(broadcast, wakes):
    claimed(broadcast, marked=False)
    Message.objects.update(lease_until=timezone.now() + timedelta(seconds=30))

    Dispatcher().sweep()

    assert broadcast.messages.get().status == "SENDING"


def test_what_was_tried_and_waited_too_long_expires(acme, broadcast, wakes):
    Message.objects.update(expires_at=timezone.now() - timedelta(seconds=1))

    Dispatcher().sweep()

    message = broadcast.messages.get()
    assert (message.status, message.error_code) == ("FAILED", "expired")
    assert ledger.balance(acme.pk) == ledger.Balance(available=10)


def test_what_is_much_is_freed_in_bites_without_a_pause(acme, contacts, grant, send, monkeypatch):
    monkeypatch.setattr(dispatching, "BITE", 2)
    for name in ("_EXPIRE", "_LEFT_BEHIND"):
        statement = getattr(dispatching, name).replace("LIMIT 10000", "LIMIT 2")
        monkeypatch.setattr(dispatching, name, statement)
    grant(acme, 10)
    contacts(*(f"+57300123456{digit}" for digit in range(3)))
    broadcast = send()
    Message.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    dispatcher = Dispatcher()

    goes_on = [dispatcher.sweep(), dispatcher.sweep()]

    broadcast.refresh_from_db()
    assert goes_on == [True, False]
    assert broadcast.failed == 3


@pytest.mark.parametrize("is_held", [True, False], ids=["held", "a defect"])
def test_what_cannot_be_freed_of_one_does_not_hide_the_others(
    transactional_db, acme, contacts, grant, send, wakes, monkeypatch, is_held
):
    statement = dispatching._LEFT_BEHIND.replace("LIMIT 10000", "LIMIT 2")
    monkeypatch.setattr(dispatching, "_LEFT_BEHIND", statement)
    grant(acme, 10)
    contacts(*(f"+57300123456{digit}" for digit in range(2)))
    one, other = send(text="One"), send(text="Another")
    claimed(one, marked=False)
    Message.objects.update(lease_until=timezone.now() - timedelta(hours=1))  # the oldest
    claimed(other, marked=False)
    Message.objects.filter(broadcast=one).update(lease_until=timezone.now() - timedelta(hours=1))
    real = dispatching._free

    def broken(journey: Journey) -> bool:
        if journey.broadcast_id == one.pk:
            raise ArithmeticError
        return real(journey)

    with somebody_holding(one) if is_held else contextlib.nullcontext():
        monkeypatch.setattr(dispatching, "_free", broken)
        Dispatcher().sweep()

    one.refresh_from_db()
    other.refresh_from_db()
    assert (one.sending, other.sending, other.queued) == (2, 0, 2)


def test_what_only_waits_never_expires(broadcast, wakes):
    Message.objects.update(created_at=timezone.now() - LONG_AGO)

    Dispatcher().sweep()

    assert broadcast.messages.get().status == "QUEUED"


def test_an_unknown_message_keeps_its_status_and_gives_its_credits_back_after_72_hours(
    acme, broadcast, wakes
):
    claimed(broadcast, marked=True)
    Dispatcher().sweep()
    Message.objects.update(unknown_since=timezone.now() - LONG_AGO)

    Dispatcher().sweep()

    message = broadcast.messages.get()
    assert (message.status, message.charge) == ("UNKNOWN", "RELEASED")
    assert message.error_code == Message.ErrorCode.UNDETERMINED
    assert ledger.balance(acme.pk) == ledger.Balance(available=10)


def test_it_wakes_what_nobody_woke_for_a_while(broadcast, wakes):
    Broadcast.objects.update(created_at=timezone.now() - timedelta(seconds=TIMINGS.wake_again + 1))

    Dispatcher().sweep()

    assert [str(broadcast.pk), 0] in wakes()


def test_it_does_not_wake_what_was_woken_a_moment_ago(broadcast, wakes):
    Broadcast.objects.update(woken_at=timezone.now())

    Dispatcher().sweep()

    assert not wakes()


@pytest.fixture
def forgotten(broadcast, send) -> tuple[Broadcast, Broadcast]:
    """Two broadcasts that nobody woke for a while, the one longer than the other."""
    other = send(text="Another")
    long_ago = timezone.now() - timedelta(seconds=TIMINGS.wake_again + 1)
    Broadcast.objects.filter(pk=other.pk).update(woken_at=long_ago)
    Broadcast.objects.filter(pk=broadcast.pk).update(woken_at=long_ago - timedelta(seconds=1))
    return broadcast, other


def woken(wakes: Callable[[], list[list[object]]]) -> list[object]:
    """Return the broadcasts whose lane 0 was woken, in order."""
    return [queue_id for queue_id, lane in wakes() if lane == 0]


def test_one_that_somebody_holds_does_not_keep_the_next_from_being_woken(
    transactional_db, wakes, published, forgotten
):
    held, other = forgotten
    published.clear()
    began = time.monotonic()
    with somebody_holding(held):
        Dispatcher()._wake_due()

    assert woken(wakes) == [str(other.pk)]
    assert time.monotonic() - began < 30


def test_one_that_somebody_holds_does_not_keep_the_next_from_being_sent_without_a_broker(
    transactional_db, no_broker, forgotten
):
    held, other = forgotten
    with somebody_holding(held):
        Dispatcher()._wake_due()

    other.refresh_from_db()
    assert other.sent == 1


@pytest.mark.parametrize(
    ("waiting", "expected"),
    [(0, 2), (1, 2), (2, 1), (3, 1), (4, 0)],
    ids=["nothing, or unknown", "one of four", "half", "three of four", "all of them"],
)
def test_wake_ups_that_wait_for_their_turn_are_not_doubled(
    forgotten, wakes, published, monkeypatch, waiting, expected
):
    monkeypatch.setattr(tasks, "waiting", lambda _: waiting)
    published.clear()

    Dispatcher()._wake_due()

    assert woken(wakes) == [str(broadcast.pk) for broadcast in forgotten[:expected]]


def test_wake_ups_do_not_multiply_while_workers_are_busy(broadcast, wakes, published, monkeypatch):
    # `published` is the queue: what was accepted waits in it behind other broadcasts.
    published[:] = [("messaging.drain", str(broadcast.pk), lane) for lane in range(2)]
    monkeypatch.setattr(tasks, "waiting", lambda _: len(published))
    dispatcher = Dispatcher()
    for _ in range(6):
        waited = timezone.now() - timedelta(seconds=TIMINGS.wake_again + 1)
        Broadcast.objects.update(woken_at=waited)
        dispatcher._wake_due()

    assert len(wakes()) == 2


def test_B36_a_wake_up_that_was_lost_is_made_up_for_though_the_queue_is_full_of_others(
    forgotten, wakes, published, monkeypatch
):
    lost, _ = forgotten
    monkeypatch.setattr(tasks, "waiting", lambda _: 100)
    turn = timedelta(seconds=100 * (TIMINGS.drain + TIMINGS.connect + TIMINGS.read))
    Broadcast.objects.filter(pk=lost.pk).update(woken_at=timezone.now() - turn)
    published.clear()

    dispatcher = Dispatcher()
    dispatcher._wake_due()
    dispatcher._wake_due()

    assert woken(wakes) == [str(lost.pk)]


def test_S21_what_a_suspended_organization_has_is_not_woken(forgotten, wakes, published):
    Organization.objects.update(status=Organization.Status.SUSPENDED)
    published.clear()

    Dispatcher()._wake_due()

    assert not wakes()


@pytest.mark.parametrize("status", ["PAUSED", "CANCELED"])
def test_it_wakes_only_what_runs(broadcast, wakes, status):
    Broadcast.objects.update(status=status, created_at=timezone.now() - LONG_AGO)

    Dispatcher().sweep()

    assert not wakes()


def test_it_delivers_by_itself_while_the_broker_is_away(broadcast, no_broker, memory):
    Broadcast.objects.update(created_at=timezone.now() - timedelta(seconds=TIMINGS.wake_again + 1))

    Dispatcher().sweep()

    broadcast.refresh_from_db()
    assert (broadcast.sent, len(memory.messages)) == (1, 1)


def test_once_the_broker_is_known_to_be_away_it_waits_for_nothing(
    acme, broadcast, no_broker, memory, send
):
    dispatcher = Dispatcher()
    Broadcast.objects.update(created_at=timezone.now() - timedelta(seconds=TIMINGS.wake_again + 1))
    dispatcher.sweep()
    second = send(text="A second one")

    dispatcher.sweep()

    second.refresh_from_db()
    assert second.sent == 1


def test_it_leaves_the_messages_to_the_workers_when_the_broker_is_back(broadcast, memory, wakes):
    dispatcher = Dispatcher()
    dispatcher.broker_is_away = True
    dispatcher.sweep()

    assert not dispatcher.broker_is_away
    assert wakes() == [[str(broadcast.pk), 0], [str(broadcast.pk), 1]]
    assert not memory.messages


def test_nothing_is_woken_while_sending_is_off(broadcast, wakes, settings):
    settings.SENDING = False
    Broadcast.objects.update(created_at=timezone.now() - LONG_AGO)

    Dispatcher().sweep()

    assert not wakes()


def test_it_shows_that_it_lives(db, wakes):
    assert dispatching.is_late()

    Dispatcher().sweep()

    assert not dispatching.is_late()
    Heartbeat.objects.update(beat_at=timezone.now() - timedelta(minutes=1))
    assert dispatching.is_late()

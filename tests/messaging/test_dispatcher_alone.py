"""What the dispatcher wakes, and what it does by itself while nobody else does: canaries, chores."""

import contextlib
import threading
from datetime import timedelta
from math import inf

import pytest
from celery import current_app
from django.conf import settings
from django.db import connection
from django.db.models import F
from django.utils import timezone

from accounts.models import Organization
from billing import ledger
from billing.models import CreditAccount
from config.celery import QUEUES
from messaging import delivery, dispatching, heartbeats, journeys, locks, tasks
from messaging.dispatching import Dispatcher
from messaging.journeys import Status
from messaging.models import Broadcast, Heartbeat, IdempotencyKey, Message, ProviderState
from messaging.timings import TIMINGS
from tests.config.working import empty_queues

pytestmark = pytest.mark.usefixtures("books_balance", "memory")


@pytest.fixture
def broadcast(acme, contacts, grant, send) -> Broadcast:
    """One that nobody woke for a while."""
    grant(acme, 10)
    contacts("+573001234567")
    broadcast = send()
    Broadcast.objects.update(created_at=timezone.now() - timedelta(seconds=TIMINGS.wake_again + 1))
    return broadcast


@pytest.fixture
def unknown(broadcast, memory, monkeypatch) -> Message:
    """A message that was marked and has no result, of a provider that can be asked about it."""
    monkeypatch.setattr(memory, "lookup", True)
    with journeys.of_broadcast(broadcast.pk) as journey:
        assert journey is not None
        journey.move(
            "UPDATE messaging_message m SET status = 'UNKNOWN', unknown_since = now(),"
            " provider = 'memory:local', look_up_at = now() - interval '1 second'",
            {},
            to=Status.UNKNOWN,
        )
    return broadcast.messages.get()


# --- workers --------------------------------------------------------------------------------------
def taken(*queues: str, ago: float = 0) -> None:
    """Leave the sign of a worker that took something from each of these queues so many seconds ago."""
    for queue in queues or QUEUES:
        Heartbeat.objects.update_or_create(
            part=heartbeats.worker(queue),
            defaults={"beat_at": timezone.now() - timedelta(seconds=ago)},
        )


def old_dispatcher() -> Dispatcher:
    """A dispatcher that has worked long enough to know whether there are workers."""
    dispatcher = Dispatcher()
    dispatcher._began -= TIMINGS.canary
    return dispatcher


def test_a_canary_goes_through_each_queue_that_nothing_was_taken_from(db, published):
    taken(ago=heartbeats.WORKER_BEAT)
    taken("reports")

    Dispatcher().sweep()

    assert sorted(published.queues) == ["chores", "delivery"]


def test_one_canary_under_way_is_enough(db, published):
    dispatcher = Dispatcher()

    dispatcher.sweep()
    dispatcher.sweep()

    assert sorted(published.queues) == sorted(QUEUES)


def test_a_canary_that_was_taken_is_followed_by_the_next(db, published, monkeypatch):
    dispatcher = Dispatcher()
    dispatcher.sweep()
    taken(ago=heartbeats.WORKER_BEAT)
    for queue in QUEUES:
        dispatcher._done_at[f"canary {queue}"] -= heartbeats.WORKER_BEAT + 1

    dispatcher.sweep()

    assert sorted(published.queues) == sorted(QUEUES * 2)


def test_B39_it_delivers_by_itself_while_no_worker_takes_anything(broadcast, published, memory):
    taken(ago=TIMINGS.canary + 1)
    dispatcher = old_dispatcher()

    dispatcher.sweep()  # learns of it, and wakes once more
    Broadcast.objects.update(woken_at=None)
    dispatcher.sweep()

    broadcast.refresh_from_db()
    assert (broadcast.sent, len(memory.messages)) == (1, 1)
    assert dispatcher.untaken == set(QUEUES)


def test_what_a_stopped_worker_holds_does_not_keep_it_from_delivering(
    transactional_db, broadcast, published, memory
):
    taken(ago=TIMINGS.canary + 1)
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with contextlib.ExitStack() as lanes:
            for lane in range(settings.DELIVERY_LANES):
                lanes.enter_context(locks.held(delivery._number(broadcast.pk), lane))
            held.set()
            let_go.wait()
        connection.close()

    stopped = threading.Thread(target=hold)
    stopped.start()
    held.wait()
    dispatcher = old_dispatcher()
    dispatcher.untaken.add("delivery")
    dispatcher.sweep()
    let_go.set()
    stopped.join()

    assert len(memory.messages) == 1


def test_workers_that_are_back_get_the_work_back(broadcast, published, memory, wakes):
    dispatcher = old_dispatcher()
    dispatcher.untaken.update(QUEUES)
    taken()
    Broadcast.objects.update(status="PAUSED")
    dispatcher.sweep()
    Broadcast.objects.update(status="RUNNING")

    dispatcher.sweep()

    assert dispatcher.untaken == set()
    assert wakes() == [[str(broadcast.pk), 0], [str(broadcast.pk), 1]]
    assert not memory.messages


def test_a_dispatcher_that_has_just_begun_gives_workers_time_to_start(broadcast, published, memory):
    dispatcher = Dispatcher()

    dispatcher.sweep()
    dispatcher.sweep()

    assert dispatcher.untaken == set()
    assert not memory.messages


def test_workers_are_late_when_one_queue_is_left_alone(db):
    assert dispatching.are_workers_late()

    taken()
    assert not dispatching.are_workers_late()

    taken("chores", ago=TIMINGS.canary + 1)
    assert dispatching.are_workers_late()


def test_a_worker_shows_that_it_takes_what_comes(db):
    tasks._life.last.clear()

    tasks.canary.apply(routing_key="chores")

    assert heartbeats.age(heartbeats.worker("chores")) < TIMINGS.canary


@pytest.mark.parametrize("queue", QUEUES)
def test_the_length_of_a_queue_is_asked_of_the_broker(queue):
    empty_queues()
    assert tasks.waiting(queue) == 0

    for _ in range(3):
        tasks.send_canary(queue)

    assert tasks.waiting(queue) == 3
    empty_queues()


@pytest.mark.parametrize(
    "address",
    ["redis://127.0.0.1:1/0", "amqp://guest:guest@127.0.0.1:1//"],
    ids=["Redis", "RabbitMQ"],
)
def test_the_length_of_a_queue_is_unknown_while_the_broker_is_away(address, monkeypatch):
    away = tasks._Broker()
    impatient = tasks._Broker()._connection.transport_options
    monkeypatch.setattr(
        away,
        "_connection",
        current_app.connection(address, transport_options=impatient),
        raising=False,
    )

    assert away.waiting("delivery") == 0


# --- chores ---------------------------------------------------------------------------------------
def test_the_invariants_are_asked_every_ten_minutes(db, published):
    dispatcher = Dispatcher()
    dispatcher.sweep()
    dispatcher.sweep()
    assert len(published.of("check_invariants")) == 1

    tasks.check_invariants()
    Dispatcher().sweep()  # another one reads when it was done
    assert len(published.of("check_invariants")) == 1

    Heartbeat.objects.filter(part=heartbeats.AUDIT).update(
        beat_at=timezone.now() - timedelta(seconds=TIMINGS.audit + 1)
    )
    Dispatcher().sweep()
    assert len(published.of("check_invariants")) == 2


def test_an_invariant_that_does_not_hold_gives_no_sign_of_life(broadcast, caplog):
    CreditAccount.objects.update(reserved=F("reserved") + 1)

    tasks.check_invariants()

    assert heartbeats.age(heartbeats.AUDIT) == inf
    assert "invariant_broken" in caplog.text
    CreditAccount.objects.update(reserved=F("reserved") - 1)


def test_a_look_up_that_was_dropped_is_woken_again(unknown, published):
    dispatcher = Dispatcher()
    dispatcher.sweep()
    dispatcher.sweep()
    assert len(published.of("look_up")) == 1

    dispatcher._done_at[f"look up {unknown.provider}"] -= TIMINGS.wake_again
    dispatcher.sweep()
    assert published.of("look_up") == [[unknown.provider]] * 2


def test_without_a_broker_it_looks_up_by_itself(unknown, no_broker):
    before = unknown.look_up_at

    Dispatcher().sweep()

    unknown.refresh_from_db()
    assert unknown.look_up_at > before


def test_S21_what_a_suspended_organization_has_queued_is_canceled(acme, broadcast, wakes):
    Organization.objects.update(status=Organization.Status.SUSPENDED)

    dispatcher = Dispatcher()
    dispatcher.sweep()

    broadcast.refresh_from_db()
    assert (broadcast.status, broadcast.canceled) == ("CANCELED", 1)
    assert ledger.balance(acme.pk) == ledger.Balance(available=10)


def test_keys_older_than_a_day_are_forgotten_now_and_then(acme, db, published):
    def key(name: str) -> None:
        IdempotencyKey.objects.create(
            organization=acme,
            key=name,
            fingerprint="x",
            created_at=timezone.now() - timedelta(hours=25),
        )

    dispatcher = Dispatcher()
    key("first")
    dispatcher.sweep()
    assert not IdempotencyKey.objects.exists()

    key("second")
    dispatcher.sweep()
    assert IdempotencyKey.objects.exists()  # some minutes later


def test_a_breaker_that_is_open_makes_no_busy_loop(broadcast, no_broker, memory):
    ProviderState.objects.create(
        name="memory:local", open_until=timezone.now() + timedelta(minutes=5)
    )
    dispatcher = Dispatcher()

    goes_on = [dispatcher.sweep() for _ in range(3)]

    assert goes_on == [False, False, False]
    assert not memory.messages

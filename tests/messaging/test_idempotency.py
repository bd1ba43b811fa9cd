"""Keys of requests: twins wait, what is old is forgotten, what is refused leaves nothing."""

import queue
import threading
from collections import Counter

import pytest
from django.db import connection, transaction

from accounts.models import Organization
from billing import ledger
from messaging import audiences, broadcasts, idempotency
from messaging.models import Broadcast, IdempotencyKey
from tests.races import patient

pytestmark = pytest.mark.usefixtures("books_balance", "memory")

EVERYONE = audiences.Everyone()


def once(key: str = "k", text: str = "Hola") -> idempotency.Once:
    return idempotency.once(key=key, method="POST", path="/send", fields={"message": text})


@pytest.fixture
def ready(acme, contacts, grant):
    grant(acme, 100)
    contacts("+573001234567", "+573001234568")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        ({"a": "1"}, {"a": 1}, False),
        ({"a": ["1", "2"]}, {"a": ["2", "1"]}, False),
        ({"a": "bc"}, {"ab": "c"}, False),
        ({"a": "x", "b": "y"}, {"a": 'x","b":"y'}, False),
    ],
)
def test_a_fingerprint_tells_requests_apart(one, other, same):
    prints = [
        idempotency.once(key="k", method="POST", path="/send", fields=fields).fingerprint
        for fields in (one, other)
    ]

    assert (prints[0] == prints[1]) is same


def test_method_and_path_are_part_of_the_request():
    prints = {
        idempotency.once(key="k", method=method, path=path, fields={}).fingerprint
        for method, path in [("POST", "/a"), ("POST", "/b"), ("PUT", "/a")]
    }

    assert len(prints) == 3


@pytest.mark.django_db(transaction=True)
def test_B15_of_twenty_at_once_one_is_carried_out_and_all_hear_the_same(ready, ana, monkeypatch):
    monkeypatch.setattr(idempotency, "SHORT_PATIENCE", 60)
    outcomes: Counter[str] = Counter()
    ids = set()
    start = threading.Barrier(20)

    def post() -> None:
        patient()
        start.wait()
        try:
            ids.add(broadcasts.send(member=ana, audience=EVERYONE, text="Hola", once=once()).pk)
            outcomes["carried out"] += 1
        except idempotency.CarriedOutBefore as before:
            ids.add(before.broadcast.pk)
            outcomes["before"] += 1
        finally:
            connection.close()

    threads = [threading.Thread(target=post) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes == {"carried out": 1, "before": 19}
    assert ids == {Broadcast.objects.get().pk}


@pytest.mark.django_db(transaction=True)
def test_where_the_first_is_refused_its_twin_is_carried_out(acme, ana, contacts, grant):
    contacts("+573001234567")
    grant(acme, 1)
    claimed, go_on = threading.Event(), threading.Event()

    def first() -> None:
        with transaction.atomic():
            broadcasts.send(member=ana, audience=EVERYONE, text="Hola", once=once())
            claimed.set()
            go_on.wait(30)
            transaction.set_rollback(True)
        connection.close()

    thread = threading.Thread(target=first)
    thread.start()
    claimed.wait(30)
    timer = threading.Timer(0.3, go_on.set)  # while the twin waits, or before: both end the same
    timer.start()

    broadcast = broadcasts.send(member=ana, audience=EVERYONE, text="Hola", once=once())
    thread.join()

    assert Broadcast.objects.get() == broadcast
    assert IdempotencyKey.objects.get().broadcast == broadcast
    assert ledger.balance(acme.pk) == ledger.Balance(available=0, reserved=1)


@pytest.mark.django_db(transaction=True)
def test_a_twin_that_waited_too_long_is_told_that_the_first_still_runs(ready, ana):
    claimed, go_on = threading.Event(), threading.Event()

    def first() -> None:
        with transaction.atomic():
            broadcasts.send(member=ana, audience=EVERYONE, text="Hola", once=once())
            claimed.set()
            go_on.wait(60)
        connection.close()

    thread = threading.Thread(target=first)
    thread.start()
    claimed.wait(30)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '100ms'")  # instead of five seconds

    with pytest.raises(idempotency.KeyStillRunning) as refusal:
        broadcasts.send(member=ana, audience=EVERYONE, text="Hola", once=once())

    assert refusal.value.retry_after == 5
    go_on.set()
    thread.join()
    with connection.cursor() as cursor:
        cursor.execute("RESET lock_timeout")
    with pytest.raises(idempotency.CarriedOutBefore):
        broadcasts.send(member=ana, audience=EVERYONE, text="Hola", once=once())
    assert Broadcast.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_B18_of_two_clicks_at_the_same_moment_one_is_taken(ready, acme, ana):
    Organization.objects.filter(pk=acme.pk).update(repeat_guard_seconds=60)
    outcomes: Counter[str] = Counter()
    start = threading.Barrier(8)

    def click() -> None:
        patient()
        start.wait()
        try:
            broadcasts.send(member=ana, audience=EVERYONE, text="Hola")
            outcomes["taken"] += 1
        except idempotency.SentJustNow:
            outcomes["repeated"] += 1
        finally:
            connection.close()

    threads = [threading.Thread(target=click) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes == {"taken": 1, "repeated": 7}
    assert Broadcast.objects.count() == 1


# --- forgetting -----------------------------------------------------------------------------------
def make_older(hours: float) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE messaging_idempotencykey SET created_at = created_at - %s * interval '1 hour'",
            [hours],
        )


def test_a_key_is_kept_for_24_hours(ready, ana):
    broadcasts.send(member=ana, audience=EVERYONE, text="Hola", once=once())
    make_older(23.9)
    assert idempotency.forget_old() is False
    assert IdempotencyKey.objects.count() == 1

    make_older(0.2)
    assert idempotency.forget_old() is False

    assert not IdempotencyKey.objects.exists()
    broadcasts.send(member=ana, audience=EVERYONE, text="Hola", once=once())
    assert Broadcast.objects.count() == 2


def test_a_guard_that_looks_further_back_is_kept_as_long(ready, acme, ana):
    Organization.objects.filter(pk=acme.pk).update(repeat_guard_seconds=48 * 3600)
    broadcasts.send(member=ana, audience=EVERYONE, text="Hola")
    make_older(47)
    idempotency.forget_old()

    with pytest.raises(idempotency.SentJustNow):
        broadcasts.send(member=ana, audience=EVERYONE, text="Hola")

    make_older(2)
    idempotency.forget_old()
    assert not IdempotencyKey.objects.exists()


def test_old_keys_are_forgotten_in_bites(ready, ana, monkeypatch):
    monkeypatch.setattr(idempotency, "BITE", 2)
    for number in range(3):
        broadcasts.send(member=ana, audience=EVERYONE, text="Hola", once=once(f"k{number}"))
    make_older(25)

    assert [idempotency.forget_old() for _ in range(2)] == [True, False]
    assert not IdempotencyKey.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_twins_that_would_hold_every_thread_are_told_sooner(ready, ana):
    claimed, go_on = threading.Event(), threading.Event()
    told: queue.Queue[type[Exception]] = queue.Queue()

    def first() -> None:
        with transaction.atomic():
            broadcasts.send(member=ana, audience=EVERYONE, text="Hola", once=once())
            claimed.set()
            go_on.wait(60)
        connection.close()

    def twin() -> None:
        patient()
        try:
            broadcasts.send(member=ana, audience=EVERYONE, text="Hola", once=once())
        except (idempotency.KeyStillRunning, idempotency.CarriedOutBefore) as outcome:
            told.put(type(outcome))
        finally:
            connection.close()

    threads = [threading.Thread(target=one) for one in [first, *[twin] * 7]]
    threads[0].start()
    assert claimed.wait(60)
    for thread in threads[1:]:
        thread.start()
    soon = [told.get(timeout=60) for _ in range(3)]  # the four others wait still
    go_on.set()
    later = [told.get(timeout=60) for _ in range(4)]
    for thread in threads:
        thread.join(60)

    assert soon == [idempotency.KeyStillRunning] * 3
    assert later == [idempotency.CarriedOutBefore] * 4


@pytest.mark.django_db
def test_whoever_waits_less_for_a_twin_waits_for_all_else_as_ever(ready, ana):
    for _ in range(4):
        idempotency._PLACES.acquire()
    try:
        with transaction.atomic():
            broadcasts.send(member=ana, audience=EVERYONE, text="Hola", once=once())
            with connection.cursor() as cursor:
                cursor.execute("SHOW lock_timeout")
                assert cursor.fetchone() == ("5s",)
    finally:
        for _ in range(4):
            idempotency._PLACES.release()

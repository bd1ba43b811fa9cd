"""Sealing the audit trail: every entry once, however late it is committed, and nobody waits for it."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from accounts import audit, seals
from accounts.models import AuditEntry, AuditHead, AuditSeal, UnsealedEntry
from tests.accounts.sealing import head, recorded, verified

pytestmark = pytest.mark.django_db


@pytest.fixture
def entries(db: None) -> list[AuditEntry]:
    """Five entries of an hour ago, sealed."""
    made = recorded(5)
    assert not seals.seal()
    return made


def test_an_entry_waits_for_its_seal_from_its_own_transaction_on(db: None) -> None:
    entry = audit.record(act="x", subject="x")
    waiting = UnsealedEntry.objects.get()

    assert waiting.entry_id == entry.pk
    assert not seals.seal()
    assert not UnsealedEntry.objects.exists()
    assert entry.seal.sequence == 1


def test_every_entry_is_sealed_once_and_in_the_order_of_writing(entries: list[AuditEntry]) -> None:
    more = recorded(3)
    seals.seal()
    seals.seal()

    sealed = AuditSeal.objects.order_by("sequence").values_list("sequence", "entry_id")
    expected = [entry.pk for entry in [*entries, *more]]
    assert list(sealed) == list(enumerate(expected, start=1))


def test_it_seals_in_bites(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals, "BITE", 2)
    recorded(5)

    assert [seals.seal(), seals.seal(), seals.seal()] == [True, True, False]
    assert AuditSeal.objects.count() == 5


def test_what_waits_again_after_a_restore_is_not_sealed_twice(entries: list[AuditEntry]) -> None:
    UnsealedEntry.objects.create(entry=entries[0])
    UnsealedEntry.objects.create(entry=entries[0])

    seals.seal()

    assert AuditSeal.objects.count() == 5
    assert not UnsealedEntry.objects.exists()


def test_the_end_of_the_chain_is_logged(db: None, caplog: pytest.LogCaptureFixture) -> None:
    recorded(1)
    with caplog.at_level(logging.INFO, "accounts.seals"):
        seals.seal()

    (line,) = caplog.records
    assert (line.message, line.__dict__["head"]) == ("audit_sealed", head())


def test_the_database_refuses_to_change_a_seal(entries: list[AuditEntry]) -> None:
    for act in (
        lambda: AuditSeal.objects.filter(pk=1).update(digest=b""),
        lambda: AuditSeal.objects.filter(pk=5).delete(),
        lambda: AuditHead.objects.all().delete(),
    ):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            act()


@pytest.mark.django_db(transaction=True)
def test_a_transaction_that_ends_late_is_sealed_all_the_same() -> None:
    begun, may_end = Event(), Event()
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(in_a_transaction, lambda: recorded(1), begun, may_end)
        assert begun.wait(60)
        recorded(2)
        seals.seal()
        before = AuditSeal.objects.count()
        may_end.set()
        late.result(60)
    seals.seal()

    assert (before, AuditSeal.objects.count()) == (2, 3)
    assert verified()[0]


def in_a_transaction(act: Callable[[], Any], begun: Event, may_end: Event) -> None:
    """Do this in a transaction of its own, which ends when it may."""
    try:
        with transaction.atomic():
            act()
            begun.set()
            assert may_end.wait(60)
    finally:
        connection.close()


def hold_seals() -> None:
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE accounts_auditseal IN SHARE MODE")


def somebody_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)")
        return bool(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_what_is_committed_while_a_bite_is_written_is_not_taken_for_sealed() -> None:
    begun, may_commit, held, may_let_go = Event(), Event(), Event(), Event()
    with ThreadPoolExecutor(3) as pool:
        late = pool.submit(in_a_transaction, lambda: recorded(1), begun, may_commit)
        assert begun.wait(60)
        recorded(2)  # with higher numbers than the one that is not committed yet
        holds = pool.submit(in_a_transaction, hold_seals, held, may_let_go)
        assert held.wait(60)
        sealing = pool.submit(sealed_apart)
        until(somebody_waits)
        may_commit.set()
        late.result(60)
        may_let_go.set()
        holds.result(60)
        sealing.result(60)
    seals.seal()

    assert AuditSeal.objects.count() == 3


def sealed_apart() -> None:
    try:
        seals.seal()
    finally:
        connection.close()


def until(found: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not found():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.django_db(transaction=True)
def test_two_dispatchers_seal_each_entry_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals, "BITE", 7)
    recorded(60)
    together = Barrier(4)

    def run(_number: int) -> None:
        try:
            together.wait(60)
            while seals.seal():
                pass
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))

    assert AuditSeal.objects.count() == 60
    assert verified()[0]


@pytest.mark.django_db(transaction=True)
def test_recording_waits_for_no_seal() -> None:
    recorded(1)
    seals.seal()
    with transaction.atomic():
        AuditHead.objects.select_for_update().get()

        def record() -> None:
            try:
                recorded(1)
            finally:
                connection.close()

        with ThreadPoolExecutor(1) as pool:
            pool.submit(record).result(60)

    assert AuditEntry.objects.count() == 2

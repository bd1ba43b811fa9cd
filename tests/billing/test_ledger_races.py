"""Movements that meet: threads on real PostgreSQL, each with a connection of its own."""

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

import pytest
from django.db import connection, transaction

from accounts.models import Member, Organization
from billing import invariants, ledger
from billing.ledger import Balance, InsufficientCredits
from billing.models import LedgerEntry
from tests.races import patient

pytestmark = pytest.mark.django_db(transaction=True)

THREADS = 40
Result = TypeVar("Result")


def test_forty_threads_reserve_exactly_what_there_is(acme: Organization, root: Member) -> None:
    ledger.grant(organization=acme, amount=142, member=root, note="")

    def reserve_ten(thread: int) -> int:
        return sum(_is_reserved(acme, f"broadcast:{thread}-{number}") for number in range(10))

    reserved = sum(_all_at_once(reserve_ten, range(THREADS)))

    assert reserved == 142
    assert ledger.balance(acme.pk) == Balance(available=0, reserved=142, spent=0)
    assert LedgerEntry.objects.filter(kind="RESERVE").count() == 142
    _assert_invariants_hold()


def test_of_equal_movements_at_once_one_moves(acme: Organization, root: Member) -> None:
    ledger.grant(organization=acme, amount=1_000, member=root, note="")

    def reserve_the_same(_thread: int) -> list[bool]:
        return [
            ledger.reserve(organization_id=acme.pk, amount=7, reference=f"broadcast:{number}")
            for number in range(10)
        ]

    moved = [
        sum(each) for each in zip(*_all_at_once(reserve_the_same, range(THREADS)), strict=True)
    ]

    assert moved == [1] * 10
    assert ledger.balance(acme.pk) == Balance(available=930, reserved=70, spent=0)
    _assert_invariants_hold()


def test_a_repeat_that_waited_for_the_last_credits_is_no_refusal(
    acme: Organization, root: Member
) -> None:
    ledger.grant(organization=acme, amount=7, member=root, note="")

    def reserve_the_same(_thread: int) -> bool:
        return ledger.reserve(organization_id=acme.pk, amount=7, reference="broadcast:1")

    # Each but the first finds too little available; none of them may call that InsufficientCredits.
    moved = _all_at_once(reserve_the_same, range(THREADS))

    assert sorted(moved) == [False] * (THREADS - 1) + [True]


def test_equal_settlements_at_once_settle_once(acme: Organization, root: Member) -> None:
    ledger.grant(organization=acme, amount=100, member=root, note="")
    ledger.reserve(organization_id=acme.pk, amount=100, reference="broadcast:1")

    def settle(thread: int) -> bool:
        verb = ledger.capture if thread % 2 else ledger.release
        return verb(organization_id=acme.pk, amount=50, reference="broadcast:1:a:1")

    moved = _all_at_once(settle, range(THREADS))

    assert sum(moved) == 2
    assert ledger.balance(acme.pk) == Balance(available=50, reserved=0, spent=50)
    _assert_invariants_hold()


def test_first_grants_at_once_make_one_account(acme: Organization, root: Member) -> None:
    def grant(_thread: int) -> bool:
        return ledger.grant(organization=acme, amount=1, member=root, note="")

    _all_at_once(grant, range(THREADS))

    assert ledger.balance(acme.pk).available == THREADS


def test_a_movement_waits_for_the_transaction_before_it_and_sees_what_it_left(
    acme: Organization, root: Member
) -> None:
    ledger.grant(organization=acme, amount=10, member=root, note="")
    first_moved, may_end = threading.Event(), threading.Event()

    @transaction.atomic
    def reserve_then_give_up() -> None:
        ledger.reserve(organization_id=acme.pk, amount=10, reference="broadcast:1")
        first_moved.set()
        assert may_end.wait(60)
        transaction.set_rollback(True)

    def reserve_after_it() -> bool:
        assert first_moved.wait(60)
        threading.Timer(0.2, may_end.set).start()
        return ledger.reserve(organization_id=acme.pk, amount=10, reference="broadcast:1")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(_with_own_connection(reserve_then_give_up))
        second = pool.submit(_with_own_connection(reserve_after_it))
        first.result()
        moved = second.result()

    # The same reference: the first transaction rolled back, so the second is no repeat.
    assert moved
    assert ledger.balance(acme.pk) == Balance(available=0, reserved=10, spent=0)


def test_credits_that_come_and_go_are_refused_only_with_numbers_that_explain_it(
    acme: Organization, root: Member
) -> None:
    ledger.grant(organization=acme, amount=10, member=root, note="")
    somebody_was_refused = threading.Event()

    def come_and_go(thread: int) -> list[int]:
        shortfalls = []
        for number in range(10_000):
            reference = f"broadcast:{thread}-{number}"
            try:
                ledger.reserve(organization_id=acme.pk, amount=8, reference=reference)
            except InsufficientCredits as refusal:
                shortfalls.append(refusal.shortfall)
                somebody_was_refused.set()
            else:
                ledger.release(organization_id=acme.pk, amount=8, reference=reference)
            if number >= 100 and somebody_was_refused.is_set():
                break
        return shortfalls

    shortfalls = [each for found in _all_at_once(come_and_go, range(4)) for each in found]

    # Outside a transaction, numbers read a moment later could say that nothing is missing; and a
    # balance computed from the statement's snapshot could break a CHECK that the real one keeps.
    assert set(shortfalls) == {6}


def test_movements_in_any_order_never_wait_for_each_other(acme: Organization, root: Member) -> None:
    ledger.grant(organization=acme, amount=10_000, member=root, note="")
    ledger.reserve(organization_id=acme.pk, amount=5_000, reference="broadcast:1")

    def move_several(thread: int) -> None:
        verbs = [ledger.reserve, ledger.capture, ledger.release]
        if thread % 2:
            verbs.reverse()
        for number in range(5):
            with transaction.atomic():
                for verb in verbs:
                    # Half of the references are shared, so that transactions repeat each other.
                    name = number if number % 2 else f"{thread}-{number}"
                    verb(organization_id=acme.pk, amount=2, reference=f"broadcast:1:{name}")

    _all_at_once(move_several, range(10))  # a deadlock would raise here

    _assert_invariants_hold(thorough=False)


def test_B14_every_balance_read_meanwhile_is_the_sum_of_its_entries(
    acme: Organization, root: Member
) -> None:
    ledger.grant(organization=acme, amount=1_000, member=root, note="")
    are_writing, was_read = threading.Event(), threading.Event()
    are_writing.set()

    def write(thread: int) -> None:
        for number in range(40):
            name = f"broadcast:{thread}-{number}"
            if _is_reserved(acme, name, amount=20):
                ledger.capture(organization_id=acme.pk, amount=5, reference=f"{name}:a:1")
                ledger.release(organization_id=acme.pk, amount=15, reference=f"{name}:a:1")
                ledger.late_capture(organization_id=acme.pk, amount=2, reference=f"{name}:b:1")
            ledger.grant(organization=acme, amount=3, member=root, note="")
            if number == 20:
                assert was_read.wait(120)  # so that others follow

    def read() -> int:
        reads = 0
        while are_writing.is_set():
            _assert_invariants_hold()
            reads += 1
            if reads > 2:
                was_read.set()
        return reads

    with ThreadPoolExecutor(1) as pool:
        reader = pool.submit(_with_own_connection(read))
        try:
            _all_at_once(write, range(4))
        finally:
            are_writing.clear()
        reads = reader.result()

    assert reads > 2
    _assert_invariants_hold()


def _is_reserved(organization: Organization, reference: str, amount: int = 1) -> bool:
    try:
        return ledger.reserve(organization_id=organization.pk, amount=amount, reference=reference)
    except InsufficientCredits:
        return False


def _assert_invariants_hold(*, thorough: bool = True) -> None:
    # No messages are written here, so only what credits know by themselves can hold.
    findings = invariants.check(thorough=thorough, among=invariants.CREDITS)
    assert [finding for finding in findings if finding.rows] == []


def _with_own_connection(work: Callable[[], Result]) -> Callable[[], Result]:
    def run() -> Result:
        try:
            return work()
        finally:
            connection.close()

    return run


def _all_at_once(work: Callable[[int], Result], threads: Iterable[int]) -> list[Result]:
    """Run the work in one thread each, all released together, and return what they returned."""
    numbers = list(threads)
    barrier = threading.Barrier(len(numbers))

    def start(number: int) -> Result:
        patient()
        barrier.wait(60)
        return work(number)

    with ThreadPoolExecutor(len(numbers)) as pool:
        futures = [pool.submit(_with_own_connection(partial(start, number))) for number in numbers]
        return [future.result() for future in futures]

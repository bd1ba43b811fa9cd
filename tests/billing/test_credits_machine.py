"""Broadcasts in any order: accepted, handed over, broken off, canceled, reported, paid for late.

Every step is a verb of the house on a real database, which commits. Meanwhile a reader looks at all
accounts in one snapshot after another: what must be true, is true at every commit.
"""

import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from django.db import connection, transaction
from django.test import override_settings
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from hypothesis.stateful import run_state_machine_as_test as run

from accounts.models import Member, Terms
from accounts.roles import Role
from billing import invariants, ledger
from billing.ledger import InsufficientCredits
from messaging import audiences, broadcasts, delivery, dispatching, recording, reports, run_control
from messaging.failpoints import Broken
from messaging.models import Broadcast, Message
from messaging.providers.callbacks import Report, ReportStatus
from messaging.providers.memory import Memory
from messaging.providers.results import Accepted, Refused, Result, Unavailable, Unclear
from messaging.timings import TIMINGS
from tests.billing.test_ledger_machine import EXAMPLES
from tests.factories import MemberFactory, OrganizationFactory, TermsAcceptanceFactory
from tests.figures import figure
from tests.messaging.conftest import memory
from tests.messaging.factories import many_contacts

__all__ = ["memory"]  # a fixture

Status, Charge = Message.Status, Message.Charge

STEPS: Final = 50

NUMBERS: Final = ("+573009999998", "+573009999997")  # as `many_contacts` makes them
MOST: Final = 5  # broadcasts of one example: enough to be mixed up
AMOUNTS: Final = st.integers(min_value=1, max_value=9)
TEXTS: Final = st.sampled_from(["Hola", "a" * 161, "ñandú €" * 30])  # one, two and four segments
HOUSES: Final = st.integers(min_value=0, max_value=1)
ANY: Final = st.integers(min_value=0, max_value=10**6)  # which of those there are
ANSWERS: Final = st.sampled_from(
    [
        Accepted(""),
        Accepted(""),
        Refused("21211", "not a valid number"),
        Unavailable("refused"),
        Unclear("reset"),
    ]
)
SAID: Final[st.SearchStrategy[ReportStatus]] = st.sampled_from(
    ["SENT", "DELIVERED", "UNDELIVERED", "FAILED", "DELIVERED"]
)
# Longer than any run: what is tried or looked at again is so by a step, so that an example repeats
# whatever the machine is busy with.
NEVER: Final = 10 * 3600.0
STEPS_ALONE: Final = replace(
    TIMINGS, drain=NEVER, backoff=NEVER, backoff_most=NEVER, report_again=NEVER
)
BREAKS: Final = st.sampled_from(["after_claim", "after_mark", "after_http_ok", "mid_record"])

# Where a message may be a step later. A step is a whole verb, so QUEUED may come to anything.
MAY_BECOME: Final[dict[str, set[str]]] = {
    Status.QUEUED: set(Status.values),
    Status.SENDING: set(Status.values),
    Status.UNKNOWN: {
        *(Status.UNKNOWN, Status.SENT, Status.DELIVERED, Status.UNDELIVERED, Status.FAILED)
    },
    Status.SENT: {Status.SENT, Status.DELIVERED, Status.UNDELIVERED},
    **{status: {status} for status in Message.FINAL_STATUSES},
}
MAY_BE_CHARGED: Final[dict[str, set[str]]] = {
    Charge.RESERVED: set(Charge.values),
    Charge.RELEASED: {Charge.RELEASED, Charge.CAPTURED, Charge.UNCOLLECTED},
    Charge.CAPTURED: {Charge.CAPTURED},
    Charge.UNCOLLECTED: {Charge.UNCOLLECTED},
}


class Houses(RuleBasedStateMachine):
    """Two organizations that send, beside what each of their messages may come to."""

    root: Member
    terms: Terms
    memory: Memory
    reader: "Reader"

    @initialize()
    def found(self) -> None:
        self.members: list[Member] = []
        for _ in range(2):
            house = OrganizationFactory.create(name=f"Organization {uuid4()}", country="CO")
            member = MemberFactory.create(organization=house, role=Role.OWNER)
            TermsAcceptanceFactory.create(member=member, terms=self.terms)
            assert many_contacts(house, len(NUMBERS)) == list(NUMBERS)
            self.members.append(member)
        self.granted = [0, 0]
        self.last_grant = ["", ""]
        self.was_tried = False  # and may have been put back, so that it can expire
        self.seen: dict[UUID, tuple[str, str]] = {}
        self.broadcasts: list[Broadcast] = []
        self.reader.houses = [house.pk for house in self.houses]
        self.memory.clear()
        for number in (0, 1):
            self.grant(house=number, amount=7, which="new")
            self.send(house=number, text="Hola")

    @property
    def houses(self) -> list[Any]:
        return [member.organization for member in self.members]

    # --- money --------------------------------------------------------------------------------
    @rule(house=HOUSES, amount=AMOUNTS, which=st.sampled_from(["new", "new", "the last one"]))
    def grant(self, house: int, amount: int, which: str) -> None:
        is_repeat = which != "new" and bool(self.last_grant[house])
        reference = self.last_grant[house] if is_repeat else f"grant:{uuid4()}"

        moved = ledger.grant(
            organization=self.houses[house],
            amount=amount,
            member=self.root,
            note="",
            reference=reference,
        )

        assert moved is not is_repeat
        if moved:
            self.granted[house] += amount
            self.last_grant[house] = reference

    # --- sending ------------------------------------------------------------------------------
    @precondition(lambda self: len(self.broadcasts) < MOST)
    @rule(house=HOUSES, text=TEXTS)
    def send(self, house: int, text: str) -> None:
        before = ledger.balance(self.houses[house].pk)
        try:
            sent = broadcasts.send(
                member=self.members[house], audience=audiences.Everyone(), text=text
            )
        except InsufficientCredits as error:
            refusal = error
        else:
            assert sent.credits == len(NUMBERS) * sent.segments <= before.available
            self.broadcasts.append(sent)
            return
        assert refusal.required > before.available == refusal.available

    @precondition(lambda self: self.has(Status.QUEUED))
    @rule(which=ANY, first=ANSWERS, second=ANSWERS)
    def hand_over(self, which: int, first: Result, second: Result) -> None:
        if sent := self._broadcast(which, Broadcast.Status.RUNNING):
            self._answer(first, second)
            self.was_tried = True
            delivery.drain(queue_id=sent.pk, lane=0)

    @precondition(lambda self: self.has(Status.QUEUED))
    @rule(which=ANY, point=BREAKS, first=ANSWERS)
    def break_off(self, which: int, point: str, first: Result) -> None:
        """A worker that dies: its lease ends, and the dispatcher looks after what it left."""
        if sent := self._broadcast(which, Broadcast.Status.RUNNING):
            self._answer(first, Accepted(""))
            try:
                with override_settings(FAILPOINTS=f"worker.{point}=raise"):
                    delivery.drain(queue_id=sent.pk, lane=0)
            except Broken:
                _execute(
                    "UPDATE messaging_message SET lease_until = now() - interval '1 second'"
                    " WHERE broadcast_id = %s AND status = 'SENDING'",
                    sent.pk,
                )
                dispatching.Dispatcher().sweep()

    @precondition(lambda self: self.has(Status.UNKNOWN))
    @rule(which=ANY, answer=st.sampled_from([Accepted(""), Refused("1", "no"), Unclear("late")]))
    def hear_late(self, which: int, answer: Result) -> None:
        """The result of a request whose lease is over, by the same token."""
        unknown = Message.objects.filter(status=Status.UNKNOWN, lease_token__isnull=False)
        if row := _one_of(list(unknown.filter(pk__in=self.seen)), which, key=self._place):
            recording.record(
                queue_id=row.broadcast_id,
                token=row.lease_token,
                provider="memory:local",
                results={row.pk: answer},
            )

    @precondition(lambda self: self.has(Status.QUEUED))
    @rule(which=ANY)
    def cancel(self, which: int) -> None:
        if sent := self._broadcast(which, *run_control.OPEN_STATUSES):
            owner = self.members[self._house_of(sent)]
            run_control.cancel(member=owner, broadcast=sent)
            run_control.cancel_bite()

    # --- time -----------------------------------------------------------------------------------
    @precondition(lambda self: self.has(Status.QUEUED))
    @rule(which=ANY)
    def try_again(self, which: int) -> None:
        """The next try is due, and what failures paused goes on."""
        _execute(
            "UPDATE messaging_message SET next_attempt_at = now() WHERE status = 'QUEUED'"
            " AND broadcast_id = ANY(%s)",
            self._ids(),
        )
        if sent := self._broadcast(which, Broadcast.Status.PAUSED):
            run_control.resume(member=self.members[self._house_of(sent)], broadcast=sent)

    @precondition(lambda self: self.was_tried and self.has(Status.QUEUED))
    @rule()
    def wait_four_hours(self) -> None:
        self.was_tried = False
        _execute(
            "UPDATE messaging_message SET expires_at = now() - interval '1 second'"
            " WHERE broadcast_id = ANY(%s) AND status = 'QUEUED' AND expires_at IS NOT NULL",
            self._ids(),
        )
        dispatching.Dispatcher().sweep()

    @precondition(lambda self: self.has(Status.UNKNOWN))
    @rule()
    def wait_three_days(self) -> None:
        _execute(
            "UPDATE messaging_message SET unknown_since = now() - interval '80 hours'"
            " WHERE broadcast_id = ANY(%s) AND status = 'UNKNOWN'",
            self._ids(),
        )
        dispatching.Dispatcher().sweep()

    # --- carriers -----------------------------------------------------------------------------
    @precondition(lambda self: self.seen)
    @rule(which=ANY, said=SAID, times=st.integers(1, 2))
    def report(self, which: int, said: ReportStatus, times: int) -> None:
        """A carrier speaks of a message: early, again, against what it said before, after the release."""
        left = [id_ for id_, (status, _charge) in self.seen.items() if status != Status.QUEUED]
        row = _one_of(left or list(self.seen), which)
        said_of_it = Report(message_id=row, provider_message_id="", status=said)
        reports.keep(provider="memory:local", reports=[said_of_it] * times)
        _execute(
            "UPDATE messaging_deliveryreport SET due_at = now()"
            " WHERE applied_at IS NULL AND message_id = ANY(%s)",
            list(self.seen),
        )
        reports.apply()

    # --- what holds after every step ------------------------------------------------------------
    @invariant()
    def messages_move_forward_and_accounts_are_what_they_come_to(self) -> None:
        if not hasattr(self, "members"):
            return
        held: Counter[tuple[UUID, str]] = Counter()
        for message_id, house_id, status, charge, price in _rows(_MESSAGES, ids=self._ids()):
            was, charged = self.seen.get(message_id, (Status.QUEUED, Charge.RESERVED))
            assert status in MAY_BECOME[was], (message_id, was, status)
            assert charge in MAY_BE_CHARGED[charged], (message_id, charged, charge)
            self.seen[message_id] = status, charge
            held[house_id, charge] += price
        balances = {row[0]: row[1:] for row in _rows(_BALANCES, ids=list(self.reader.houses))}
        for house, granted in zip(self.houses, self.granted, strict=True):
            reserved, spent = held[house.pk, Charge.RESERVED], held[house.pk, Charge.CAPTURED]
            assert balances.get(house.pk, (0, 0, 0)) == (
                granted - reserved - spent,
                reserved,
                spent,
            )

    @invariant()
    def nobody_was_written_to_twice(self) -> None:
        taken = [kept.message.id for kept in self.memory.messages]
        assert len(taken) == len(set(taken))

    @invariant()
    def the_reader_found_no_fault(self) -> None:
        assert self.reader.faults == []

    def teardown(self) -> None:
        for house in getattr(self, "members", []) and self.houses:
            findings = invariants.check(organization_id=house.pk, thorough=True)
            assert [finding for finding in findings if finding.rows] == []

    # --- parts of steps -------------------------------------------------------------------------
    def has(self, status: str) -> bool:
        return any(is_now == status for is_now, _charge in self.seen.values())

    def _answer(self, *answers: Result) -> None:
        self.memory._answers.clear()
        _execute("DELETE FROM messaging_providerstate")  # the breaker is another test's subject
        for number, answer in zip(NUMBERS, answers, strict=True):
            self.memory.will_answer(number, answer)

    def _broadcast(self, which: int, *statuses: str) -> Broadcast | None:
        of_them = Broadcast.objects.filter(pk__in=self._ids(), status__in=statuses)
        return _one_of(list(of_them), which, key=lambda sent: self._ids().index(sent.pk))

    def _place(self, row: Message) -> int:
        return list(self.seen).index(row.pk)

    def _ids(self) -> list[UUID]:
        return [sent.pk for sent in self.broadcasts]

    def _house_of(self, sent: Broadcast) -> int:
        return [house.pk for house in self.houses].index(sent.organization_id)


class Reader:
    """Looks at all accounts of the moment, in one snapshot after another, until it is stopped."""

    def __init__(self) -> None:
        self.houses: Sequence[UUID] = []
        self.faults: list[str] = []
        self.snapshots = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._is_over.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            while not self._is_over.wait(0.1):
                self._look()
        except Exception as error:  # noqa: BLE001 - told in the test's own thread
            self.faults.append(repr(error))
        finally:
            connection.close()

    def _look(self) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            for house in self.houses:
                for asked in invariants.EVERY:
                    cursor.execute(asked.sql, {"organization_id": house, "everything": True})
                    self.faults += [f"{asked.name}: {row}" for (row,) in cursor.fetchall()]
        self.snapshots += 1


@contextmanager
def reading() -> Iterator[Reader]:
    reader = Reader()
    reader.start()
    try:
        yield reader
    finally:
        reader.stop()


def _one_of(there_are: list[Any], which: int, *, key: Any = None) -> Any:
    """Return one of them, the same in a repetition: ids are random, so they give no order."""
    if key:
        there_are = sorted(there_are, key=key)
    return there_are[which % len(there_are)] if there_are else None


_MESSAGES: Final = """
SELECT id, organization_id, status, charge, credits FROM messaging_message
WHERE broadcast_id = ANY(%(ids)s) ORDER BY array_position(%(ids)s, broadcast_id), recipient
"""
_BALANCES: Final = """
SELECT organization_id, available, reserved, spent FROM billing_creditaccount
WHERE organization_id = ANY(%(ids)s)
"""


def _rows(query: str, **parameters: Any) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchall()


def _execute(statement: str, *parameters: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)


@pytest.mark.django_db(transaction=True)
def test_B14_what_messages_come_to_is_what_accounts_hold_at_every_commit(
    root: Member,
    terms_in_force: Terms,
    memory: Memory,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (delivery, recording, reports):
        monkeypatch.setattr(module, "TIMINGS", STEPS_ALONE)
    caplog.set_level(logging.ERROR)
    logging.disable(logging.WARNING)
    Houses.root, Houses.terms, Houses.memory = root, terms_in_force, memory
    began = time.monotonic()
    try:
        with reading() as reader:
            Houses.reader = reader
            run(
                Houses,
                settings=settings(
                    max_examples=EXAMPLES,
                    stateful_step_count=STEPS,
                    deadline=None,
                    suppress_health_check=list(HealthCheck),
                ),
            )
    finally:
        logging.disable(logging.NOTSET)
    figure(
        "ledger, examples x steps beside a reader",
        f"{EXAMPLES} x {STEPS} in {time.monotonic() - began:.0f} s, {reader.snapshots} snapshots",
        f"{EXAMPLES} x {STEPS}, no violation",
    )

    assert reader.faults == []
    assert reader.snapshots > EXAMPLES / 10

"""Two who control one broadcast at the same moment: one wins, and the other is told."""

import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from accounts.models import AuditEntry, Member, Organization
from billing import caps, ledger
from billing.models import SpendingCap
from messaging import (
    approvals,
    audiences,
    broadcasts,
    idempotency,
    reports,
    resending,
    run_control,
    scheduling,
)
from messaging.models import Approval, Broadcast, Message
from messaging.providers.callbacks import Report
from messaging.providers.memory import Memory
from messaging.run_control import StateDoesNotAllow
from tests.factories import MemberFactory, TermsAcceptanceFactory
from tests.messaging.conftest import Contacts
from tests.messaging.factories import grant
from tests.races import at_once

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("transactional_db", "books_balance", "published"),
]

ROUNDS = 5


@pytest.fixture
def send(
    acme: Organization, sara: Member, contacts: Contacts, memory: Memory
) -> Callable[..., Broadcast]:
    """Send as Sara to two people."""
    grant(acme, 100)
    contacts("+573001234567", "+573001234568")
    return partial(broadcasts.send, member=sara, audience=audiences.Everyone(), text="Hola")


def refused(outcomes: list[Any]) -> int:
    assert all(isinstance(each, Broadcast | StateDoesNotAllow | list) for each in outcomes), (
        outcomes
    )
    return sum(isinstance(each, StateDoesNotAllow) for each in outcomes)


def acts(broadcast: Broadcast) -> list[str]:
    entries = AuditEntry.objects.filter(subject=f"broadcast:{broadcast.pk}")
    return sorted(set(entries.values_list("act", flat=True)) - {"broadcast.accepted"})


def make_due(broadcast: Broadcast) -> None:
    moment = timezone.now() - timedelta(seconds=1)
    Broadcast.objects.filter(pk=broadcast.pk).update(scheduled_at=moment)


@pytest.mark.parametrize("other", [approvals.approve, approvals.reject])
def test_of_two_approvers_one_decides(
    acme: Organization, ana: Member, send: Callable[..., Broadcast], other: Callable[..., Any]
) -> None:
    Organization.objects.filter(pk=acme.pk).update(approval_above=1)
    olga = MemberFactory.create(organization=acme, role="OWNER")
    TermsAcceptanceFactory.create(member=olga, terms=ana.acceptances.get().terms)
    for _round in range(ROUNDS):
        broadcast = send()

        outcomes = at_once(
            partial(approvals.approve, member=ana, broadcast=broadcast),
            partial(other, member=olga, broadcast=broadcast),
        )

        assert refused(outcomes) == 1
        (decided,) = [each for each in outcomes if isinstance(each, Broadcast)]
        row = Approval.objects.get(broadcast=broadcast)
        assert row.member == (ana if outcomes[0] is decided else olga)
        expected = {"RUNNING": "broadcast.approved", "CANCELED": "broadcast.rejected"}
        assert acts(broadcast) == [expected[decided.status]]


def test_started_or_canceled_and_canceled_counts(
    ana: Member, send: Callable[..., Broadcast]
) -> None:
    for _round in range(ROUNDS):
        broadcast = send(scheduled_at=timezone.now() + timedelta(hours=1))
        make_due(broadcast)

        outcomes = at_once(
            scheduling.start_due, partial(run_control.cancel, member=ana, broadcast=broadcast)
        )
        scheduling.start_due()

        assert refused(outcomes) == 0
        broadcast.refresh_from_db()
        assert broadcast.status == "CANCELED"
        assert acts(broadcast).count("broadcast.canceled") == 1


def test_rescheduled_or_started_and_never_both(ana: Member, send: Callable[..., Broadcast]) -> None:
    later = timezone.now() + timedelta(days=1)
    for _round in range(ROUNDS):
        broadcast = send(scheduled_at=timezone.now() + timedelta(hours=1))
        make_due(broadcast)

        outcomes = at_once(
            scheduling.start_due,
            partial(scheduling.reschedule, member=ana, broadcast=broadcast, scheduled_at=later),
        )

        broadcast.refresh_from_db()
        if refused(outcomes):
            assert (broadcast.status, acts(broadcast)) == ("RUNNING", ["broadcast.started"])
        else:
            assert (broadcast.status, broadcast.scheduled_at) == ("SCHEDULED", later)
            assert acts(broadcast) == ["broadcast.rescheduled"]


def test_two_dispatchers_start_it_once(send: Callable[..., Broadcast]) -> None:
    broadcast = send(scheduled_at=timezone.now() + timedelta(hours=1))
    make_due(broadcast)

    started = at_once(*[scheduling.start_due] * 4)

    assert sum(len(each) for each in started) == 1
    assert AuditEntry.objects.filter(act="broadcast.started").count() == 1


def test_whoever_holds_it_goes_first(ana: Member, send: Callable[..., Broadcast]) -> None:
    broadcast = send(scheduled_at=timezone.now() + timedelta(hours=1))
    make_due(broadcast)

    with transaction.atomic():
        Broadcast.objects.select_for_update().get(pk=broadcast.pk)
        meanwhile = at_once(scheduling.start_due)

    assert meanwhile == [[]]
    assert scheduling.start_due() == [broadcast]


@pytest.fixture
def failed(acme: Organization, send: Callable[..., Broadcast]) -> Broadcast:
    """Finished, and nobody got it."""
    broadcast = send()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE messaging_message SET status = 'UNDELIVERED', charge = 'CAPTURED'")
    Broadcast.objects.update(queued=0, undelivered=2, credits_captured=2, status="COMPLETED")
    ledger.capture(organization_id=acme.pk, amount=2, reference=f"broadcast:{broadcast.pk}:x")
    return broadcast


def test_of_two_who_resend_one_does(
    acme: Organization, ana: Member, sara: Member, failed: Broadcast
) -> None:
    outcomes = at_once(
        *[
            partial(resending.resend_failed, member=member, broadcast=failed)
            for member in (ana, sara)
        ]
    )

    assert refused(outcomes) == 1
    assert Broadcast.objects.filter(resends=failed).count() == 1
    assert ledger.balance(acme.pk).reserved == 2


def test_a_twin_that_read_the_keys_before_the_first_committed_hears_its_answer(
    ana: Member, sara: Member, failed: Broadcast
) -> None:
    once = idempotency.once(key="k", method="POST", path="/resend-failed", fields={})
    accepted: list[Broadcast] = []

    def the_first_commits_after_the_keys_are_read(
        execute: Any, sql: str, parameters: Any, many: Any, context: Any
    ) -> Any:
        answer = execute(sql, parameters, many, context)
        if not accepted and "SELECT" in sql and "messaging_idempotencykey" in sql:
            accepted.append(
                *at_once(partial(resending.resend_failed, member=ana, broadcast=failed, once=once))
            )
        return answer

    with (
        connection.execute_wrapper(the_first_commits_after_the_keys_are_read),
        pytest.raises(idempotency.CarriedOutBefore) as before,
    ):
        resending.resend_failed(member=sara, broadcast=failed, once=once)

    assert before.value.broadcast == accepted[0]


def test_what_fails_while_the_unknown_is_resent_is_sent_once_more_once(
    ana: Member, sara: Member, send: Callable[..., Broadcast], monkeypatch: pytest.MonkeyPatch
) -> None:
    broadcast = send()
    with connection.cursor() as cursor:
        cursor.execute("UPDATE messaging_message SET status = 'UNKNOWN', unknown_since = now()")
    Broadcast.objects.update(queued=0, unknown=2, status="COMPLETED_WITH_FAILURES")
    one = Message.objects.order_by("id")[0]
    unknown_is_taken = threading.Event()

    def report_one() -> bool:
        late = Report("SM-late", "UNDELIVERED", message_id=one.pk)
        reports.keep(provider="memory:local", reports=[late])
        return reports.apply()

    def wait_for_the_other(name: str, *_context: object) -> None:
        """Once the unknown are taken, report one of them and have the failed resent meanwhile."""
        if name != "api.after_insert" or unknown_is_taken.is_set():
            return
        assert at_once(report_one) == [False]
        unknown_is_taken.set()
        with connection.cursor() as cursor:
            for _look in range(6_000):  # until the other waits for us, or is through
                cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
                if cursor.fetchone()[0] or Broadcast.objects.filter(resent="FAILED").exists():
                    return
                time.sleep(0.01)

    monkeypatch.setattr(broadcasts, "failpoint", wait_for_the_other)

    def resend_failed() -> Any:
        assert unknown_is_taken.wait(60)
        return resending.resend_failed(member=sara, broadcast=broadcast)

    outcomes = at_once(
        partial(resending.resend_unknown, member=ana, broadcast=broadcast, may_arrive_twice=2),
        resend_failed,
    )

    assert [each.messages_total for each in outcomes] == [2, 0]
    again = Message.objects.exclude(broadcast=broadcast).values_list("recipient", flat=True)
    assert sorted(again) == ["+573001234567", "+573001234568"]


def test_S22_of_two_sends_at_once_a_cap_accepts_what_fits(
    acme: Organization, send: Callable[..., Broadcast]
) -> None:
    SpendingCap.objects.create(organization=acme, per_day=3)

    outcomes = at_once(*[send] * 4)

    assert sum(isinstance(each, Broadcast) for each in outcomes) == 1
    assert sum(isinstance(each, caps.SpendingCapReached) for each in outcomes) == 3
    assert caps.room(acme.pk) == 1
    assert ledger.balance(acme.pk) == ledger.Balance(available=98, reserved=2)
    assert Broadcast.objects.count() == 1

"""Schedules: what was accepted for later starts once when it is due, and not before."""

import io
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings

from accounts import roles
from accounts.models import AuditEntry, Member, Organization
from billing import ledger
from contacts import suppressions
from contacts.models import Contact, Suppression
from messaging import delivery, dispatching, orders, run_control, scheduling
from messaging.models import Broadcast, Message
from messaging.providers.memory import Memory
from tests.factories import TermsFactory
from tests.messaging.conftest import Contacts, Published, Send

pytestmark = pytest.mark.usefixtures("books_balance")

Status = Broadcast.Status
Grant = Callable[[Organization, int], None]
HOUR = timedelta(hours=1)


@pytest.fixture
def scheduled(acme: Organization, grant: Grant, contacts: Contacts, send: Send) -> Broadcast:
    """Accepted for two people, for an hour from now."""
    grant(acme, 10)
    contacts("+573001234567", "+573001234568")
    return send(scheduled_at=timezone.now() + HOUR)


def make_due(*broadcasts: Broadcast, since: timedelta = HOUR) -> None:
    ids = [broadcast.pk for broadcast in broadcasts]
    Broadcast.objects.filter(pk__in=ids).update(scheduled_at=timezone.now() - since)


def status_of(broadcast: Broadcast) -> str:
    return str(Broadcast.objects.values_list("status", flat=True).get(pk=broadcast.pk))


def recipients(memory: Memory) -> list[str]:
    return sorted(kept.message.recipient for kept in memory.messages)


def acts_of(broadcast: Broadcast, act: str) -> list[AuditEntry]:
    return list(AuditEntry.objects.filter(subject=f"broadcast:{broadcast.pk}", act=act))


# --- the start ------------------------------------------------------------------------------------
def test_nothing_of_it_leaves_before_its_moment(
    scheduled: Broadcast, memory: Memory, published: Published
) -> None:
    dispatching.Dispatcher().sweep()
    delivery.drain(queue_id=scheduled.pk, lane=0)

    assert status_of(scheduled) == "SCHEDULED"
    assert memory.messages == []
    assert published.of("drain") == []


def test_it_starts_when_it_is_due_and_the_same_sweep_wakes_the_workers(
    scheduled: Broadcast, published: Published
) -> None:
    make_due(scheduled)

    dispatching.Dispatcher().sweep()

    assert status_of(scheduled) == "RUNNING"
    assert published.of("drain") == [[str(scheduled.pk), 0]]  # one claim takes both


def test_the_first_wake_up_is_the_task_that_the_queue_id_names(
    scheduled: Broadcast, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_due(scheduled)
    ids: list[Any] = []
    monkeypatch.setattr(
        "messaging.tasks._Broker.publish", lambda *_, task_id=None, **__: ids.append(task_id)
    )
    monkeypatch.setattr("messaging.tasks._Broker.waiting", lambda *_: 0)

    dispatching.Dispatcher().sweep()

    assert str(scheduled.pk) in ids


@pytest.mark.usefixtures("no_broker")
def test_without_a_broker_the_dispatcher_hands_it_over_itself(
    scheduled: Broadcast, memory: Memory
) -> None:
    make_due(scheduled)

    dispatching.Dispatcher().sweep()

    assert recipients(memory) == ["+573001234567", "+573001234568"]
    assert status_of(scheduled) == "COMPLETED"


def test_without_workers_the_dispatcher_hands_it_over_and_publishes_nothing(
    scheduled: Broadcast, memory: Memory, published: Published
) -> None:
    make_due(scheduled)
    dispatcher = dispatching.Dispatcher()
    dispatcher.untaken.add("delivery")

    dispatcher._start_due()
    dispatcher._wake_due()

    assert published.of("drain") == []
    assert len(memory.messages) == 2


def test_a_wake_up_that_got_lost_is_made_good(scheduled: Broadcast, published: Published) -> None:
    make_due(scheduled)
    dispatching.Dispatcher().sweep()
    Broadcast.objects.update(woken_at=timezone.now() - timedelta(seconds=11))

    dispatching.Dispatcher().sweep()

    assert published.of("drain") == [[str(scheduled.pk), lane] for lane in (0, 0, 1)]


def test_it_starts_once_with_one_entry_of_the_system(scheduled: Broadcast) -> None:
    make_due(scheduled)

    scheduling.start_due()
    scheduling.start_due()

    (entry,) = acts_of(scheduled, "broadcast.started")
    assert (entry.member, entry.organization) == (None, scheduled.organization)


def test_what_is_overdue_starts_at_once_the_longest_first_and_in_bites(
    scheduled: Broadcast, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = send("Otra vez", scheduled_at=timezone.now() + HOUR)
    make_due(later, since=timedelta(days=3))
    make_due(scheduled)
    monkeypatch.setattr(scheduling, "BITE", 1)

    started = scheduling.start_due()

    assert started == [later]
    assert (status_of(later), status_of(scheduled)) == ("RUNNING", "SCHEDULED")


def test_while_sending_is_off_nothing_starts(scheduled: Broadcast, settings: Settings) -> None:
    make_due(scheduled)
    settings.SENDING = False

    scheduling.start_due()

    assert status_of(scheduled) == "SCHEDULED"


# --- what is asked anew, and what is not ----------------------------------------------------------
def test_its_audience_is_that_of_the_acceptance(
    scheduled: Broadcast, contacts: Contacts, memory: Memory
) -> None:
    contacts("+573001234569")
    make_due(scheduled)

    scheduling.start_due()
    delivery.drain(queue_id=scheduled.pk, lane=0)

    assert recipients(memory) == ["+573001234567", "+573001234568"]


def test_opt_outs_and_blocks_of_the_time_between_are_honoured(
    acme: Organization, ana: Member, scheduled: Broadcast, memory: Memory
) -> None:
    suppressions.add(
        organization=acme, recipient="+573001234567", source=Suppression.Source.MEMBER, member=ana
    )
    Contact.objects.filter(phone="+573001234568").update(status=Contact.Status.BLOCKED)
    make_due(scheduled)

    scheduling.start_due()
    delivery.drain(queue_id=scheduled.pk, lane=0)

    assert memory.messages == []
    assert set(Message.objects.values_list("recipient", "error_code")) == {
        ("+573001234567", "opted_out"),
        ("+573001234568", "contact_blocked"),
    }
    assert ledger.balance(acme.pk) == ledger.Balance(available=10)


def test_new_terms_do_not_stop_it(scheduled: Broadcast, memory: Memory) -> None:
    TermsFactory.create(version="2026-2")
    make_due(scheduled)

    scheduling.start_due()
    delivery.drain(queue_id=scheduled.pk, lane=0)

    assert len(memory.messages) == 2


def test_S21_a_suspended_organizations_is_canceled_and_never_starts(
    acme: Organization, scheduled: Broadcast, published: Published, memory: Memory
) -> None:
    Organization.objects.filter(pk=acme.pk).update(status=Organization.Status.SUSPENDED)
    make_due(scheduled)

    scheduling.start_due()
    assert status_of(scheduled) == "SCHEDULED"
    dispatching.Dispatcher().sweep()

    assert status_of(scheduled) == "CANCELED"
    assert memory.messages == []
    assert ledger.balance(acme.pk) == ledger.Balance(available=10)


def test_a_canceled_one_never_starts_and_its_credits_come_back(
    acme: Organization, ana: Member, scheduled: Broadcast
) -> None:
    run_control.cancel(member=ana, broadcast=scheduled)
    make_due(scheduled)

    scheduling.start_due()
    run_control.cancel_bite()

    assert status_of(scheduled) == "CANCELED"
    assert ledger.balance(acme.pk) == ledger.Balance(available=10)
    assert acts_of(scheduled, "broadcast.started") == []


# --- rescheduling ---------------------------------------------------------------------------------
def test_rescheduling_moves_the_moment_and_nothing_else(
    acme: Organization, sara: Member, scheduled: Broadcast
) -> None:
    before = scheduled.scheduled_at
    moment = timezone.now() + timedelta(days=89)

    moved = scheduling.reschedule(member=sara, broadcast=scheduled, scheduled_at=moment)

    assert (moved.status, moved.scheduled_at) == (Status.SCHEDULED, moment)
    assert ledger.balance(acme.pk).reserved == 2
    (entry,) = acts_of(scheduled, "broadcast.rescheduled")
    assert before is not None
    assert entry.details == {"from": before.isoformat(), "to": moment.isoformat()}


def test_an_earlier_moment_counts(ana: Member, scheduled: Broadcast) -> None:
    soon = timezone.now() + timedelta(milliseconds=200)
    scheduling.reschedule(member=ana, broadcast=scheduled, scheduled_at=soon)

    while status_of(scheduled) == "SCHEDULED":
        assert timezone.now() < soon + timedelta(seconds=60)
        scheduling.start_due()

    assert timezone.now() >= soon


@pytest.mark.parametrize("by", [timedelta(0), -HOUR, timedelta(days=90, minutes=1)])
def test_a_moment_that_has_passed_or_is_too_far_away_is_refused(
    ana: Member, scheduled: Broadcast, by: timedelta
) -> None:
    with pytest.raises(orders.MomentNotAllowed):
        scheduling.reschedule(member=ana, broadcast=scheduled, scheduled_at=timezone.now() + by)

    scheduled.refresh_from_db()
    assert acts_of(scheduled, "broadcast.rescheduled") == []


@pytest.mark.parametrize(
    "status", sorted(set(Status.values) - {Status.SCHEDULED, Status.COMPLETED_WITH_FAILURES})
)
def test_only_a_scheduled_one_is_rescheduled(
    ana: Member, scheduled: Broadcast, status: str
) -> None:
    Broadcast.objects.update(status=status)

    with pytest.raises(run_control.StateDoesNotAllow, match="Only a scheduled one"):
        scheduling.reschedule(
            member=ana, broadcast=scheduled, scheduled_at=timezone.now() + 2 * HOUR
        )


@pytest.mark.parametrize("who", ["vera", "root", "carla"])
def test_who_may_not_control_broadcasts_does_not_reschedule(
    request: pytest.FixtureRequest, scheduled: Broadcast, who: str
) -> None:
    with pytest.raises(roles.RoleMissing):
        scheduling.reschedule(
            member=request.getfixturevalue(who),
            broadcast=scheduled,
            scheduled_at=timezone.now() + 2 * HOUR,
        )


# --- after a backup was restored ------------------------------------------------------------------
def test_B91_a_restored_database_holds_it_until_somebody_who_knows_resumes_it(
    ana: Member, scheduled: Broadcast, settings: Settings
) -> None:
    settings.SENDING = False
    told = io.StringIO()

    call_command("after_restore", stdout=told)
    assert status_of(scheduled) == "SCHEDULED"
    call_command("after_restore", "--yes", stdout=told)
    call_command("after_restore", "--yes", stdout=told)  # doubts nothing that it held before

    settings.SENDING = True
    assert "1 broadcasts are scheduled for later" in told.getvalue()
    assert "1 scheduled broadcasts are PAUSED now" in told.getvalue()
    assert status_of(scheduled) == "PAUSED"
    assert set(Message.objects.values_list("status", flat=True)) == {"QUEUED"}
    resumed = run_control.resume(member=ana, broadcast=scheduled)
    assert (resumed.status, resumed.paused_because) == ("SCHEDULED", "")

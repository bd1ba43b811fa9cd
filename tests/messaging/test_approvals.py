"""Approvals: what is large waits until another member lets it go, or does not."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.test import TestCase
from django.utils import timezone

from accounts import roles, terms
from accounts.models import AuditEntry, Member, Organization
from billing import ledger
from messaging import approvals, audiences, broadcasts, delivery, run_control, tasks
from messaging.models import Approval, Broadcast
from messaging.providers.memory import Memory
from tests.factories import MemberFactory, TermsFactory
from tests.messaging.conftest import Contacts

pytestmark = pytest.mark.usefixtures("books_balance")

Grant = Callable[[Organization, int], None]
DECISIONS = [approvals.approve, approvals.reject]


@pytest.fixture
def waiting(
    acme: Organization, sara: Member, grant: Grant, contacts: Contacts, memory: Memory
) -> Broadcast:
    """Sent by Sara to more people than go without approval."""
    Organization.objects.filter(pk=acme.pk).update(approval_above=1)
    grant(acme, 10)
    contacts("+573001234567", "+573001234568")
    return broadcasts.send(member=sara, audience=audiences.Everyone(), text="Hola")


def test_until_somebody_decides_nothing_leaves_and_the_credits_are_held(
    acme: Organization, waiting: Broadcast, memory: Memory
) -> None:
    delivery.drain(queue_id=waiting.pk, lane=0)

    assert (waiting.status, waiting.paused_because) == ("PAUSED", "approval")
    assert memory.messages == []
    assert ledger.balance(acme.pk).reserved == 2
    assert waiting.approval.decision == ""


def test_approved_it_runs_and_says_who_decided_when(
    ana: Member, waiting: Broadcast, memory: Memory
) -> None:
    approved = approvals.approve(member=ana, broadcast=waiting, address="192.0.2.7")
    delivery.drain(queue_id=waiting.pk, lane=0)

    assert (approved.status, approved.paused_because) == ("RUNNING", "")
    assert len(memory.messages) == 2
    decided = Approval.objects.get()
    assert (decided.decision, decided.member) == ("APPROVED", ana)
    assert decided.decided_at is not None
    entry = AuditEntry.objects.get(act="broadcast.approved")
    assert (entry.subject, entry.member, entry.address) == (
        f"broadcast:{waiting.pk}",
        ana,
        "192.0.2.7",
    )


def test_approving_wakes_the_workers(
    ana: Member,
    waiting: Broadcast,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    woken = []
    monkeypatch.setattr(tasks, "try_waking", lambda queue_id, **how: woken.append((queue_id, how)))

    with TestCase.captureOnCommitCallbacks(execute=True):
        approvals.approve(member=ana, broadcast=waiting)

    assert woken == [(waiting.pk, {"messages": 2, "first": True})]


def test_rejected_it_is_canceled_and_its_credits_come_back(
    acme: Organization, ana: Member, waiting: Broadcast, memory: Memory
) -> None:
    rejected = approvals.reject(member=ana, broadcast=waiting)
    run_control.cancel_bite()
    delivery.drain(queue_id=waiting.pk, lane=0)

    assert (rejected.status, rejected.paused_because) == ("CANCELED", "")
    assert memory.messages == []
    assert ledger.balance(acme.pk) == ledger.Balance(available=10)
    assert Approval.objects.get().decision == "REJECTED"
    assert AuditEntry.objects.filter(act="broadcast.rejected", member=ana).count() == 1


@pytest.mark.parametrize(("by", "status"), [(1, "SCHEDULED"), (-1, "RUNNING")])
def test_approved_it_waits_for_its_moment_where_that_is_still_to_come(
    ana: Member, waiting: Broadcast, by: int, status: str
) -> None:
    moment = timezone.now() + timedelta(hours=by)
    Broadcast.objects.filter(pk=waiting.pk).update(scheduled_at=moment)

    approved = approvals.approve(member=ana, broadcast=waiting)

    assert (approved.status, approved.paused_because) == (status, "")
    assert approved.scheduled_at == moment


# --- who ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("decide", DECISIONS)
@pytest.mark.parametrize("who", ["sara", "beto", "vera", "root", "carla"])
def test_S27_nobody_without_the_right_decides(
    request: pytest.FixtureRequest,
    waiting: Broadcast,
    who: str,
    decide: Callable[..., Broadcast],
) -> None:
    with pytest.raises(roles.RoleMissing):
        decide(member=request.getfixturevalue(who), broadcast=waiting)

    waiting.refresh_from_db()
    assert waiting.paused_because == "approval"


@pytest.mark.parametrize("decide", DECISIONS)
def test_S27_an_owner_does_not_decide_about_his_own(
    acme: Organization, ana: Member, waiting: Broadcast, decide: Callable[..., Broadcast]
) -> None:
    own = broadcasts.send(member=ana, audience=audiences.Everyone(), text="Otra vez")

    with pytest.raises(roles.RoleMissing, match="another member"):
        decide(member=ana, broadcast=own)

    assert not approvals.may_decide(member=ana, broadcast=own)
    assert approvals.may_decide(member=ana, broadcast=waiting)
    assert run_control.cancel(member=ana, broadcast=own).status == "CANCELED"


def test_whoever_approves_has_accepted_the_current_terms_and_rejecting_asks_for_none(
    ana: Member, waiting: Broadcast
) -> None:
    TermsFactory.create(version="2026-2")

    with pytest.raises(terms.TermsNotAccepted):
        approvals.approve(member=ana, broadcast=waiting)

    waiting.refresh_from_db()
    assert waiting.paused_because == "approval"
    assert approvals.reject(member=ana, broadcast=waiting).status == "CANCELED"


def test_the_senders_own_standing_is_not_asked_again(
    ana: Member, sara: Member, waiting: Broadcast
) -> None:
    Member.objects.filter(pk=sara.pk).update(is_active=False)

    assert approvals.approve(member=ana, broadcast=waiting).status == "RUNNING"


# --- from which state -----------------------------------------------------------------------------
@pytest.mark.parametrize("decide", DECISIONS)
@pytest.mark.parametrize(
    ("status", "because"),
    [
        ("PAUSED", "operator"),
        ("PAUSED", "error_rate"),
        ("RUNNING", ""),
        ("SCHEDULED", ""),
        ("CANCELED", ""),
        ("COMPLETED", ""),
    ],
)
def test_only_what_waits_for_approval_is_decided(
    ana: Member,
    waiting: Broadcast,
    status: str,
    because: str,
    decide: Callable[..., Broadcast],
) -> None:
    Broadcast.objects.update(status=status, paused_because=because)

    with pytest.raises(run_control.StateDoesNotAllow, match="waits for approval"):
        decide(member=ana, broadcast=waiting)

    assert Approval.objects.get().decision == ""


def test_what_was_canceled_meanwhile_stays_undecided(
    ana: Member, sara: Member, waiting: Broadcast
) -> None:
    run_control.cancel(member=sara, broadcast=waiting)

    with pytest.raises(run_control.StateDoesNotAllow):
        approvals.approve(member=ana, broadcast=waiting)

    assert Approval.objects.get().decision == ""


def test_another_owner_may_decide_what_an_owner_sent(
    acme: Organization, ana: Member, waiting: Broadcast
) -> None:
    own = broadcasts.send(member=ana, audience=audiences.Everyone(), text="Otra vez")
    olga = MemberFactory.create(organization=acme, role="OWNER")

    assert approvals.reject(member=olga, broadcast=own).status == "CANCELED"

"""Run control in the admin: pages that show what comes of it, and the deed by POST alone."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, Member, Organization, Terms
from billing import ledger
from messaging.admin.deeds import DEEDS
from messaging.models import Approval, Broadcast, Message
from tests.admin.desk import confirm, control, drafted
from tests.admin.pages import address, text
from tests.messaging.factories import contacts_in_order, grant
from tests.messaging.rows import BroadcastFactory, MessageFactory
from tests.people import AdminOf

pytestmark = pytest.mark.django_db

Status = Broadcast.Status


@pytest.fixture
def paid(acme: Organization) -> Organization:
    """Acme with 1,000 credits and three contacts."""
    grant(acme, 1_000)
    contacts_in_order(acme, "+573001111111", "+573002222222", "+525512345678")
    return acme


def ended(member: Member, **counts: int) -> Broadcast:
    """Return a broadcast that has ended, with a message for each count."""
    broadcast = BroadcastFactory.create(
        member=member,
        status=Status.COMPLETED_WITH_FAILURES,
        finished_at=timezone.now(),
        credits=sum(counts.values()),
        credits_released=sum(counts.values()),
        **counts,
    )
    for name, count in counts.items():
        for _one in range(count):
            MessageFactory.create(
                broadcast=broadcast,
                status=Message.Status(name.upper()),
                charge=Message.Charge.RELEASED,
            )
    return broadcast


def acts_on(broadcast: Broadcast) -> list[str]:
    entries = AuditEntry.objects.filter(subject=f"broadcast:{broadcast.pk}").order_by("created_at")
    return list(entries.values_list("act", flat=True))


# --- pause, resume, cancel ------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("deed", "before", "after", "shows"),
    [
        ("pause", {"status": "RUNNING"}, "PAUSED", "250 messages wait"),
        ("pause", {"status": "RUNNING"}, "PAUSED", "7 messages are being handed over"),
        ("pause", {"status": "RUNNING"}, "PAUSED", "257 credits stay reserved"),
        (
            "resume",
            {"status": "PAUSED", "paused_because": "error_rate"},
            "RUNNING",
            "Why it stands still: Too many failures",
        ),
        (
            "resume",
            {"status": "PAUSED", "paused_because": "operator"},
            "RUNNING",
            "250 messages go out",
        ),
        ("cancel", {"status": "RUNNING"}, "CANCELED", "250 messages are never sent"),
        ("cancel", {"status": "RUNNING"}, "CANCELED", "1,000 messages left already"),
        ("cancel", {"status": "RUNNING"}, "CANCELED", "Up to 257 credits come back"),
        ("cancel", {"status": "PAUSED"}, "CANCELED", "cannot be resumed"),
    ],
)
def test_a_deed_is_shown_in_numbers_before_and_done_by_post(
    sara: Member,
    admin_of: AdminOf,
    deed: str,
    before: dict[str, str],
    after: str,
    shows: str,
) -> None:
    broadcast = BroadcastFactory.create(
        member=sara,
        queued=250,
        sending=7,
        delivered=1_000,
        credits=1_257,
        credits_captured=1_000,
        **before,
    )
    client = admin_of(sara)

    asked = text(client.get(control(broadcast, deed)))
    broadcast.refresh_from_db()
    assert shows in asked
    assert broadcast.status == before["status"]
    assert acts_on(broadcast) == []

    done = client.post(control(broadcast, deed))

    broadcast.refresh_from_db()
    assert done["Location"] == address(broadcast, "change")
    assert broadcast.status == after
    assert acts_on(broadcast) == [f"broadcast.{deed}{'ed' if deed == 'cancel' else 'd'}"]
    assert AuditEntry.objects.get(subject=f"broadcast:{broadcast.pk}").member == sara


def test_a_deed_that_is_not_possible_says_why_and_does_nothing(
    ana: Member, admin_of: AdminOf
) -> None:
    broadcast = BroadcastFactory.create(member=ana, status=Status.COMPLETED, delivered=3)
    client = admin_of(ana)

    for deed in DEEDS:
        for answer in (
            client.get(control(broadcast, deed)),
            client.post(control(broadcast, deed)),
        ):
            assert answer.status_code == 409, deed
            assert "This broadcast is completed" in answer.content.decode()
    assert acts_on(broadcast) == []


def test_what_changed_between_page_and_button_is_told(ana: Member, admin_of: AdminOf) -> None:
    broadcast = BroadcastFactory.create(member=ana, queued=5)
    client = admin_of(ana)
    client.post(control(broadcast, "pause"))

    again = client.post(control(broadcast, "pause"))

    assert again.status_code == 409
    assert acts_on(broadcast) == ["broadcast.paused"]


def test_the_broadcasts_page_offers_what_is_possible_and_allowed(
    ana: Member, vera: Member, root: Member, admin_of: AdminOf
) -> None:
    broadcast = BroadcastFactory.create(member=ana, queued=5)

    def offered(member: Member) -> set[str]:
        page = admin_of(member).get(address(broadcast, "change")).content.decode()
        return {deed for deed in DEEDS if f'id="deed-{deed}"' in page}

    assert offered(ana) == {"pause", "cancel"}
    assert offered(vera) == offered(root) == set()
    Broadcast.objects.update(status=Status.PAUSED, paused_because="operator")
    assert offered(ana) == {"resume", "cancel"}
    Broadcast.objects.update(status=Status.SCHEDULED, scheduled_at=timezone.now())
    assert offered(ana) == {"reschedule", "cancel"}


@pytest.mark.parametrize("deed", DEEDS)
def test_S14_no_deed_is_done_by_who_may_not(
    ana: Member, vera: Member, carla: Member, root: Member, admin_of: AdminOf, deed: str
) -> None:
    broadcast = BroadcastFactory.create(member=ana, queued=5)

    for member, status in ((vera, 403), (root, 403), (carla, 404)):
        client = admin_of(member)
        assert client.get(control(broadcast, deed)).status_code == status
        assert client.post(control(broadcast, deed), {"sure": "yes"}).status_code == status
    assert acts_on(broadcast) == []


def test_there_is_no_other_deed(ana: Member, admin_of: AdminOf) -> None:
    broadcast = BroadcastFactory.create(member=ana, queued=5)

    assert admin_of(ana).get(control(broadcast, "explode")).status_code == 404


# --- reschedule -----------------------------------------------------------------------------------
def test_a_scheduled_broadcast_moves_to_another_moment(ana: Member, admin_of: AdminOf) -> None:
    broadcast = BroadcastFactory.create(
        member=ana,
        status=Status.SCHEDULED,
        queued=2,
        scheduled_at=timezone.now() + timedelta(days=1),
    )
    later = (timezone.now() + timedelta(days=3)).replace(second=0, microsecond=0)
    client = admin_of(ana)

    assert "2 messages go out at the new moment" in text(
        client.get(control(broadcast, "reschedule"))
    )
    client.post(
        control(broadcast, "reschedule"), {"moment": f"{later:%Y-%m-%dT%H:%M}", "time_zone": "UTC"}
    )

    broadcast.refresh_from_db()
    assert broadcast.scheduled_at == later
    assert acts_on(broadcast) == ["broadcast.rescheduled"]


@pytest.mark.parametrize(
    ("moment", "says"),
    [("", "Give the day"), ("2001-01-01T10:00", "has passed"), ("2999-01-01T10:00", "90 days")],
)
def test_a_moment_that_cannot_be_is_told_on_its_field(
    ana: Member, admin_of: AdminOf, moment: str, says: str
) -> None:
    broadcast = BroadcastFactory.create(
        member=ana,
        status=Status.SCHEDULED,
        queued=2,
        scheduled_at=timezone.now() + timedelta(days=1),
    )

    answer = admin_of(ana).post(control(broadcast, "reschedule"), {"moment": moment})

    assert says in str(answer.context["form"].errors["moment"])
    assert acts_on(broadcast) == []


# --- approve, reject ------------------------------------------------------------------------------
@pytest.fixture
def waiting(sara: Member, paid: Organization, admin_of: AdminOf) -> Broadcast:
    """A broadcast of Sara's that waits for approval."""
    Organization.objects.update(approval_above=2)
    client = admin_of(sara)
    confirm(client, drafted(client, "Mañana “cerramos”."))
    return Broadcast.objects.get()


def test_S27_another_member_sees_what_the_sender_saw_and_approves(
    ana: Member, waiting: Broadcast, admin_of: AdminOf
) -> None:
    client = admin_of(ana)

    asked = text(client.get(control(waiting, "approve")))
    for shown in ("3 people get a message", "CO 2 67 %", "MX 1 33 %", "+573001111111", "UCS-2"):
        assert shown in asked
    for shown in ("Available now", "Available after it", "Takes about"):
        assert shown in asked
    client.post(control(waiting, "approve"))

    waiting.refresh_from_db()
    assert waiting.status == Status.RUNNING
    assert Approval.objects.get().member == ana
    assert acts_on(waiting) == ["broadcast.accepted", "broadcast.approved"]


def test_S28_the_approver_is_warned_that_the_same_text_went_out(
    ana: Member, waiting: Broadcast, admin_of: AdminOf
) -> None:
    client = admin_of(ana)
    asked = control(waiting, "approve")
    assert "The same text went out" not in text(client.get(asked))

    BroadcastFactory.create(member=ana, text=waiting.text, delivered=1)

    assert "The same text went out within the last 24 hours" in text(client.get(asked))


def test_S27_another_member_rejects_and_nothing_is_sent(
    ana: Member, waiting: Broadcast, admin_of: AdminOf
) -> None:
    client = admin_of(ana)

    assert "3 messages are never sent" in text(client.get(control(waiting, "reject")))
    client.post(control(waiting, "reject"))

    waiting.refresh_from_db()
    assert waiting.status == Status.CANCELED
    assert Approval.objects.get().decision == Approval.Decision.REJECTED


def test_S27_nobody_approves_the_own_broadcast(
    ana: Member, paid: Organization, admin_of: AdminOf
) -> None:
    Organization.objects.update(approval_above=2)
    client = admin_of(ana)
    confirm(client, drafted(client))
    broadcast = Broadcast.objects.get()

    answer = client.post(control(broadcast, "approve"))

    assert answer.status_code == 409
    assert "another member approves or rejects it" in answer.content.decode()
    assert 'id="deed-approve"' not in client.get(address(broadcast, "change")).content.decode()
    broadcast.refresh_from_db()
    assert broadcast.status == Status.PAUSED


def test_S27_a_sender_may_not_approve(
    ana: Member, sara: Member, waiting: Broadcast, admin_of: AdminOf
) -> None:
    Broadcast.objects.update(member=ana)

    assert admin_of(sara).post(control(waiting, "approve")).status_code == 403


def test_S12_who_approves_has_accepted_the_terms(
    ana: Member, waiting: Broadcast, admin_of: AdminOf
) -> None:
    Terms.objects.create(version="2026-2", title="New", body="New", published_at=timezone.now())

    answer = admin_of(ana).post(control(waiting, "approve"), follow=True)

    waiting.refresh_from_db()
    assert waiting.status == Status.PAUSED
    assert "terms" in text(answer)


# --- resend ---------------------------------------------------------------------------------------
def test_what_failed_is_sent_once_more_as_a_broadcast_of_its_own(
    ana: Member, paid: Organization, admin_of: AdminOf
) -> None:
    first = ended(ana, failed=2, undelivered=1, delivered=5)
    client = admin_of(ana)

    asked = text(client.get(control(first, "resend-failed")))
    done = client.post(control(first, "resend-failed"))
    again = client.post(control(first, "resend-failed"))

    assert "3 messages that failed are sent once more" in asked
    assert "3 people get a message" in asked
    second = Broadcast.objects.exclude(pk=first.pk).get()
    assert (second.resends, second.messages_total) == (first, 3)
    assert done["Location"] == again["Location"] == address(second, "change")
    assert "sent once more" in text(client.get(address(first, "change")))
    assert client.get(control(first, "resend-failed")).status_code == 409


def test_what_cannot_be_paid_is_not_resent(
    ana: Member, acme: Organization, admin_of: AdminOf
) -> None:
    grant(acme, 1)
    first = ended(ana, failed=2)
    client = admin_of(ana)

    assert "1 credits are missing" in text(client.get(control(first, "resend-failed")))
    answer = client.post(control(first, "resend-failed"), follow=True)

    assert "This costs 2 credits" in text(answer)
    assert Broadcast.objects.count() == 1


def test_what_is_unknown_is_asked_about_twice(
    ana: Member, paid: Organization, admin_of: AdminOf
) -> None:
    first = ended(ana, unknown=2, delivered=5)
    client = admin_of(ana)
    shown = {"may_arrive_twice": "2"}

    asked = text(client.get(control(first, "resend-unknown")))
    second = text(client.post(control(first, "resend-unknown"), shown))
    assert "2 people may get the same text twice" in asked
    assert "Are you sure?" in second
    assert Broadcast.objects.count() == 1
    done = client.post(control(first, "resend-unknown"), {**shown, "sure": "yes"})

    resent = Broadcast.objects.exclude(pk=first.pk).get()
    assert done["Location"] == address(resent, "change")
    assert (resent.resent, resent.messages_total) == (Broadcast.Resent.UNKNOWN, 2)


@pytest.mark.parametrize("shown", ["", "1", "two", "9" * 30, "²"])
def test_another_number_of_unknown_ones_is_asked_about_anew(
    ana: Member, paid: Organization, admin_of: AdminOf, shown: str
) -> None:
    first = ended(ana, unknown=2)

    answer = admin_of(ana).post(
        control(first, "resend-unknown"), {"may_arrive_twice": shown, "sure": "yes"}
    )

    assert answer["Location"] == control(first, "resend-unknown")
    assert Broadcast.objects.count() == 1


def test_a_deeds_page_asks_the_database_little(
    ana: Member, waiting: Broadcast, admin_of: AdminOf, django_assert_max_num_queries: Any
) -> None:
    client = admin_of(ana)
    assert ledger.balance(waiting.organization_id).reserved == 3

    with django_assert_max_num_queries(8):
        client.get(control(waiting, "approve"))
    with django_assert_max_num_queries(8):
        client.get(control(waiting, "cancel"))

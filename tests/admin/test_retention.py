"""Retention in the admin: an owner sets it, and pages say what was blanked."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.db.models import Model
from django.utils import timezone

from accounts.models import AuditEntry, Member, Organization
from messaging import retention
from messaging.models import Broadcast, InboundMessage, Message, Skip
from tests.admin.accounts_pages import form, page, texts
from tests.admin.pages import address, rows, text
from tests.messaging.rows import (
    BroadcastFactory,
    DeliveryReportFactory,
    InboundMessageFactory,
    MessageFactory,
    SkipFactory,
)
from tests.people import AdminOf

pytestmark = pytest.mark.django_db

NUMBER, WORDS = "+573001234567", "Hola Ana"


# --- setting it -----------------------------------------------------------------------------------
def test_an_owner_sets_how_long_numbers_and_texts_are_kept(
    admin_of: AdminOf, ana: Member, acme: Organization
) -> None:
    form(admin_of(ana), page(acme), retention_days="90")

    acme.refresh_from_db()
    assert acme.retention_days == 90
    entry = AuditEntry.objects.get(act="organization.changed")
    assert entry.details["fields"] == ["retention_days"]
    assert (entry.details["before"], entry.details["after"]) == (
        {"retention_days": None},
        {"retention_days": 90},
    )


def test_an_empty_field_keeps_them_for_ever(
    admin_of: AdminOf, ana: Member, acme: Organization
) -> None:
    Organization.objects.filter(pk=acme.pk).update(retention_days=90)

    form(admin_of(ana), page(acme), retention_days="")

    acme.refresh_from_db()
    assert acme.retention_days is None


@pytest.mark.parametrize("days", ["0", "6", "-1", "36501", "a week"])
def test_a_time_that_is_none_is_told(
    admin_of: AdminOf, ana: Member, acme: Organization, days: str
) -> None:
    answer = form(admin_of(ana), page(acme), retention_days=days)

    assert answer.context["adminform"].form.errors.keys() == {"retention_days"}
    acme.refresh_from_db()
    assert acme.retention_days is None


def test_a_sender_sees_it_and_changes_nothing(
    admin_of: AdminOf, sara: Member, acme: Organization
) -> None:
    client = admin_of(sara)

    shown = client.get(page(acme))
    answer = client.post(page(acme), {"name": "Acme", "retention_days": "7"})

    assert "blanked" in texts(shown)
    assert answer.status_code == 403
    acme.refresh_from_db()
    assert acme.retention_days is None


# --- what pages show of it ------------------------------------------------------------------------
@pytest.fixture
def blanked(ana: Member, acme: Organization) -> Broadcast:
    """A broadcast of a month ago with a message and a skip, an answer to it, and nothing left of either."""
    Organization.objects.update(retention_days=30)
    then = timezone.now() - timedelta(days=31)
    broadcast: Broadcast = BroadcastFactory.create(
        member=ana,
        text=WORDS,
        status=Broadcast.Status.COMPLETED_WITH_FAILURES,
        finished_at=then,
        failed=1,
        skipped_by_reason={"invalid_number": 1},
    )
    message = MessageFactory.create(
        broadcast=broadcast,
        recipient=NUMBER,
        status="FAILED",
        charge="RELEASED",
        error_code="21211",
        error_message=f"{NUMBER} is not valid",
        provider="twilio:AC1",
        submit_started_at=then,
    )
    DeliveryReportFactory.create(message_id=message.pk, raw={"To": NUMBER}, applied_at=then)
    SkipFactory.create(broadcast=broadcast, phone=NUMBER)
    InboundMessageFactory.create(sender=NUMBER, text=WORDS, raw={"Body": WORDS}, effect="")
    InboundMessage.objects.update(created_at=then)
    retention.blank()
    broadcast.refresh_from_db()
    return broadcast


PAGES: dict[str, Callable[[Broadcast], Model | type[Model]]] = {
    "broadcasts": lambda _: Broadcast,
    "broadcast": lambda broadcast: broadcast,
    "messages": lambda _: Message,
    "message": lambda broadcast: broadcast.messages.get(),
    "skips": lambda _: Skip,
    "skip": lambda broadcast: broadcast.skips.get(),
    "inbound messages": lambda _: InboundMessage,
    "inbound message": lambda _: InboundMessage.objects.get(),
}


@pytest.mark.parametrize("asked", PAGES.values(), ids=PAGES)
def test_pages_say_that_it_was_blanked_and_show_nothing_of_it(
    admin_of: AdminOf,
    root: Member,
    blanked: Broadcast,
    asked: Callable[[Broadcast], Model | type[Model]],
) -> None:
    what = asked(blanked)
    shown = text(
        admin_of(root).get(address(what, "change") if isinstance(what, Model) else address(what))
    )

    assert "(blanked)" in shown
    assert NUMBER not in shown
    assert WORDS not in shown


def test_the_page_of_a_broadcast_tells_who_blanked_it(
    admin_of: AdminOf, ana: Member, blanked: Broadcast
) -> None:
    shown = text(admin_of(ana).get(address(blanked, "change")))

    assert "Numbers and text blanked" in shown


def test_nobody_finds_a_blanked_number_any_more(
    admin_of: AdminOf, ana: Member, blanked: Broadcast
) -> None:
    client = admin_of(ana)

    assert rows(client.get(address(Message), {"q": NUMBER})) == []
    assert len(rows(client.get(address(Message), {"q": str(blanked.pk)}))) == 1


def test_the_button_of_a_resend_is_refused_in_words(
    admin_of: AdminOf, ana: Member, blanked: Broadcast
) -> None:
    answer = admin_of(ana).get(f"/admin/messaging/broadcast/{blanked.pk}/control/resend-failed/")

    assert answer.status_code == 409
    assert "there is nothing left to resend" in texts(answer)

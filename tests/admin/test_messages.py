"""The admin's pages of messages, skips and reports: what finds them, and what a message's life tells."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Member
from messaging.models import Broadcast, DeliveryReport, Message, Skip
from tests.admin.pages import address, rows, text
from tests.contacts.factories import ContactFactory
from tests.messaging.rows import (
    BroadcastFactory,
    DeliveryReportFactory,
    MessageEventFactory,
    MessageFactory,
    SkipFactory,
)
from tests.people import AdminOf

pytestmark = pytest.mark.django_db

Status = Message.Status


# --- messages -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("question", "found"),
    [
        ({"status__exact": "FAILED"}, {"FAILED"}),
        ({"group": "waiting"}, {"QUEUED", "SENDING"}),
        ({"group": "handed_over"}, {"SENT", "DELIVERED", "UNDELIVERED", "UNKNOWN"}),
        ({"group": "failed"}, {"FAILED", "UNDELIVERED", "UNKNOWN"}),
        ({"group": "nonsense"}, set(Status.values)),
        ({"charge__exact": "RELEASED"}, {"FAILED"}),
        ({"country": "us"}, {"SENT"}),
        ({"country": "+1"}, {"SENT"}),
        ({"country": "Atlantis"}, set()),
        ({"broadcast": "not-an-id"}, set()),
        ({"broadcast": "00000000-0000-0000-0000-000000000000"}, set()),
    ],
)
def test_messages_are_filtered_by_what_became_of_them(
    ana: Member, admin_of: AdminOf, question: dict[str, str], found: set[str]
) -> None:
    broadcast = BroadcastFactory.create(member=ana)
    for status in Status:
        charge = "RELEASED" if status == Status.FAILED else "CAPTURED"
        country = "US" if status == Status.SENT else "CO"
        MessageFactory.create(broadcast=broadcast, status=status, charge=charge, country=country)

    page = admin_of(ana).get(address(Message), question)

    assert {row.status for row in rows(page)} == found


def test_what_a_filter_cannot_read_is_said(ana: Member, admin_of: AdminOf) -> None:
    client = admin_of(ana)

    assert "whole queue id" in text(client.get(address(Message), {"broadcast": "a1"}))
    assert "two letters" in text(client.get(address(Message), {"country": "Atlantis"}))
    assert "days of the period" in text(client.get(address(Broadcast), {"created_at_to": "x"}))


@pytest.fixture
def message(ana: Member) -> Message:
    """Ana's message to +573001234567, which the provider calls SM42."""
    MessageFactory.create_batch(3, broadcast__member=ana)
    return MessageFactory.create(
        broadcast__member=ana,
        recipient="+573001234567",
        status=Status.SENT,
        charge="CAPTURED",
        provider="twilio:AC1",
        provider_message_id="SM42",
    )


@pytest.fixture
def without_table_scans(db: None) -> Iterator[None]:
    """The planner reads a table whole only where no index can answer."""
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        yield
        cursor.execute("RESET enable_seqscan")


@pytest.mark.parametrize(
    "written", ["+57 300 123 4567", "3001234567", "SM42", " SM42 ", "{message}", "{queue}"]
)
def test_a_message_is_found_by_whatever_names_it_exactly_and_by_an_index(
    message: Message, ana: Member, admin_of: AdminOf, written: str, without_table_scans: None
) -> None:
    written = written.format(message=message.pk, queue=message.broadcast_id)

    page = admin_of(ana).get(address(Message), {"q": written})

    assert rows(page) == [message]
    plan = page.context["cl"].queryset.order_by().explain()
    assert "Index" in plan
    assert "Seq Scan" not in plan


@pytest.mark.parametrize("written", ["+5730012345", "SM4", "M42", "%", "_M42", "Hola"])
def test_a_part_of_a_name_finds_no_message(
    message: Message, ana: Member, admin_of: AdminOf, written: str
) -> None:
    assert rows(admin_of(ana).get(address(Message), {"q": written})) == []


def test_a_messages_page_tells_its_whole_life_in_order(ana: Member, admin_of: AdminOf) -> None:
    start = timezone.now() - timedelta(hours=1)
    message = MessageFactory.create(
        broadcast__member=ana,
        broadcast__text="Cerramos a las 5",
        created_at=start,
        claimed_at=start + timedelta(seconds=40),
        submit_started_at=start + timedelta(seconds=41),
        sent_at=start + timedelta(seconds=42),
        delivered_at=start + timedelta(seconds=60),
        status=Status.DELIVERED,
        charge=Message.Charge.CAPTURED,
        credits=3,
        segments=3,
        attempts=2,
        provider="twilio:AC1",
        provider_message_id="SM42",
        provider_metadata={"num_segments": "3"},
    )
    MessageEventFactory.create(message=message, created_at=start + timedelta(seconds=20))
    DeliveryReportFactory.create(
        message_id=message.pk,
        created_at=start + timedelta(seconds=59),
        outcome=DeliveryReport.Outcome.APPLIED,
        raw={"MessageStatus": "delivered", "To": "<script>alert(1)</script>"},
    )

    page = admin_of(ana).get(address(message, "change"))

    told = text(page)
    life = [
        "Accepted Queued 3 segments 3 credits reserved",
        "Put back: it never left connection refused",
        "Claimed by a worker",
        "Handed over Sending Attempt 2",
        "Taken by twilio:AC1 Sent SM42 3 credits spent",
        "&quot;num_segments&quot;: &quot;3&quot;",
        "Delivery report of twilio:AC1 Delivered Applied",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
    ]
    places = [told.index(moment) for moment in life]
    assert places == sorted(places)
    assert "Cerramos a las 5" in told
    assert "<script>alert" not in page.content.decode()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"status": "FAILED", "charge": "RELEASED", "error_code": "expired"},
            "Failed Failed Not taken by a provider in time 1 credit returned",
        ),
        (
            {"status": "UNDELIVERED", "error_code": "30003", "error_message": "No such handset"},
            "Undelivered Undelivered 30003 No such handset",
        ),
        (
            {"status": "UNKNOWN", "charge": "RELEASED", "error_code": "undetermined"},
            "Given up as unknown Unknown Outcome never became known 1 credit returned",
        ),
        (
            {"status": "QUEUED", "attempts": 1, "error_message": "busy"},
            "Next attempt Queued busy",
        ),
    ],
)
def test_a_messages_page_tells_how_it_ended_or_goes_on(
    ana: Member, admin_of: AdminOf, fields: dict[str, Any], words: str
) -> None:
    message = MessageFactory.create(broadcast__member=ana, **fields)

    assert words in text(admin_of(ana).get(address(message, "change")))


def test_a_message_is_shown_when_its_contact_is_gone(ana: Member, admin_of: AdminOf) -> None:
    message = MessageFactory.create(broadcast__member=ana, contact_id=uuid4())

    assert admin_of(ana).get(address(message, "change")).status_code == 200


# --- skips, reports, events -----------------------------------------------------------------------
def test_skips_are_filtered_by_broadcast_and_reason(ana: Member, admin_of: AdminOf) -> None:
    first = ContactFactory.create(organization=ana.organization, name="First")
    skip = SkipFactory.create(
        broadcast__member=ana, reason=Skip.Reason.DUPLICATE, duplicate_of=first, contact_id=uuid4()
    )
    SkipFactory.create(broadcast=skip.broadcast)
    SkipFactory.create(broadcast__member=ana, reason=Skip.Reason.DUPLICATE)
    question = {"broadcast": str(skip.broadcast_id), "reason__exact": "duplicate"}

    page = admin_of(ana).get(address(Skip), question)

    assert rows(page) == [skip]
    assert "First" in text(page)


def test_reports_are_filtered_and_found_by_the_message_they_speak_of(
    message: Message, ana: Member, admin_of: AdminOf
) -> None:
    applied = DeliveryReportFactory.create(
        message_id=message.pk, outcome="APPLIED", provider="twilio:AC1"
    )
    DeliveryReportFactory.create(
        message_id=MessageFactory.create(broadcast__member=ana).pk,
        provider="memory:local",
        status="FAILED",
    )
    client = admin_of(ana)

    for question in (
        {"provider": "twilio"},
        {"outcome__exact": "APPLIED"},
        {"status__exact": "DELIVERED"},
        {"q": str(message.pk)},
        {"q": "SM42"},
    ):
        assert rows(client.get(address(DeliveryReport), question)) == [applied]


def test_a_reports_page_shows_the_carriers_own_words_as_text(
    message: Message, ana: Member, admin_of: AdminOf
) -> None:
    report = DeliveryReportFactory.create(
        message_id=message.pk, raw={"Body": "<img src=x onerror=y>"}
    )

    page = admin_of(ana).get(address(report, "change"))

    assert "&lt;img src=x onerror=y&gt;" in page.content.decode()
    assert "<img src=x" not in page.content.decode()

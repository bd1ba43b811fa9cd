"""The admin's pages of what was sent: what their lists show and find, and what a page tells."""

import json
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.db.models import Model
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Member
from messaging.admin.evidence import OpenPaginator
from messaging.models import Broadcast, DeliveryReport, Message, MessageEvent, Skip
from tests.contacts.factories import ContactFactory
from tests.factories import MemberFactory
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


def address(model: type[Model] | Model, page: str = "changelist") -> str:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
    return reverse(name, args=[model.pk] if isinstance(model, Model) else [])


def rows(response: HttpResponse) -> list[Any]:
    assert response.status_code == 200
    return list(response.context["cl"].result_list)  # type: ignore[attr-defined]  # the test client's


def text(response: HttpResponse) -> str:
    """Return the page as it is read: without marks, blanks folded."""
    assert response.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", response.content.decode()))


# --- broadcasts -----------------------------------------------------------------------------------
def test_the_list_shows_how_each_broadcast_stands_by_its_kept_counters(
    ana: Member, admin_of: AdminOf
) -> None:
    BroadcastFactory(
        member=ana,
        text="Mañana cerramos a las cinco de la tarde, y el lunes no abrimos.",
        queued=250,
        sent=500,
        delivered=1_250,
        skipped_by_reason={"opted_out": 7},
        credits=2_000,
    )

    page = admin_of(ana).get(address(Broadcast))

    assert "Mañana cerramos a las cinco de la tarde, y el l…" in text(page)
    for shown in ("Running", "87 %", "2,000", " 7 ", "ana@acme.example"):
        assert shown in text(page)
    assert 'aria-label="Delivered: 1,250, Sent: 500, Queued: 250"' in page.content.decode()


def test_one_message_that_waits_keeps_the_bar_below_100(ana: Member, admin_of: AdminOf) -> None:
    BroadcastFactory(member=ana, queued=1, delivered=999_999)

    assert "99 %" in text(admin_of(ana).get(address(Broadcast)))


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ({"status__exact": "PAUSED"}, {"paused"}),
        ({"kind__exact": "OTP"}, {"code"}),
        ({"created_at_from": "2026-03-05"}, {"last", "after"}),
        ({"created_at_to": "2026-03-05"}, {"paused", "code", "last"}),
        ({"created_at_from": "2026-03-05", "created_at_to": "2026-03-05"}, {"last"}),
        ({"created_at_from": "yesterday"}, set()),
        ({"created_at_to": "9999-12-31"}, set()),
        ({"status__exact": "NONSENSE"}, set()),
        ({"status__exact": "", "q": " "}, {"paused", "code", "last", "after"}),
    ],
)
def test_broadcasts_are_filtered_by_status_type_and_whole_days(
    ana: Member, admin_of: AdminOf, question: dict[str, str], found: set[str]
) -> None:
    noon = datetime(2026, 3, 5, 12, tzinfo=timezone.get_default_timezone())
    end_of_day = noon.replace(hour=23, minute=59, second=59, microsecond=999_999)
    early = noon - timedelta(days=9)
    BroadcastFactory(member=ana, text="paused", status="PAUSED", created_at=early)
    BroadcastFactory(member=ana, text="code", kind="OTP", created_at=early)
    BroadcastFactory(member=ana, text="last", created_at=end_of_day)
    BroadcastFactory(member=ana, text="after", created_at=end_of_day + timedelta(microseconds=1))

    page = admin_of(ana).get(address(Broadcast), question)

    assert {row.text for row in rows(page)} == found


def test_a_day_is_read_as_the_members_language_writes_it(ana: Member, admin_of: AdminOf) -> None:
    BroadcastFactory(
        member=ana, created_at=datetime(2026, 5, 11, tzinfo=timezone.get_default_timezone())
    )
    question = {"created_at_from": "11/05/2026", "created_at_to": "11/05/2026"}
    client = admin_of(ana)

    in_spanish = client.get(address(Broadcast), question, headers={"Accept-Language": "es"})
    in_english = client.get(address(Broadcast), question, headers={"Accept-Language": "en"})

    assert len(rows(in_spanish)) == 1
    assert len(rows(in_english)) == 0


def test_broadcasts_are_filtered_by_the_member_that_sent_them(
    ana: Member, sara: Member, admin_of: AdminOf
) -> None:
    ours = BroadcastFactory(member=sara)
    BroadcastFactory(member=ana)

    page = admin_of(ana).get(address(Broadcast), {"member__id__exact": str(sara.pk)})

    assert rows(page) == [ours]


def test_a_superuser_filters_by_organization(
    ana: Member, carla: Member, root: Member, admin_of: AdminOf
) -> None:
    theirs = BroadcastFactory(member=carla)
    BroadcastFactory(member=ana)
    question = {"organization__id__exact": str(carla.organization_id)}

    assert rows(admin_of(root).get(address(Broadcast), question)) == [theirs]


def test_a_broadcast_is_found_by_its_queue_id_or_its_beginning(
    ana: Member, admin_of: AdminOf
) -> None:
    broadcast = BroadcastFactory(member=ana)
    BroadcastFactory(member=ana, pk=uuid4())
    client, queue_id = admin_of(ana), str(broadcast.pk)

    for written in (queue_id, queue_id.upper(), queue_id[:8], queue_id[:13], f" {queue_id} "):
        assert rows(client.get(address(Broadcast), {"q": written})) == [broadcast]
    for written in ("Hola", "%", "0" * 33, "ffffffff-ffff"):
        assert rows(client.get(address(Broadcast), {"q": written})) == []


def test_a_broadcasts_page_accounts_for_every_contact_and_credit(
    ana: Member, admin_of: AdminOf
) -> None:
    broadcast = BroadcastFactory(
        member=ana,
        text="Hola\n<b>todos</b>",
        status="PAUSED",
        paused_because="operator",
        delivered=3,
        failed=2,
        skipped_by_reason={"duplicate": 4, "contact_blocked": 1},
        credits=50,
        credits_captured=30,
        credits_released=15,
    )

    page = admin_of(ana).get(address(broadcast, "change"))

    told = text(page)
    for figure in ("Delivered 3", "Failed 2", "All messages 5", "All skipped 5", "skipped 10"):
        assert figure in told
    for figure in ("Reserved 5", "Spent 30", "Returned 15", "In all 50"):
        assert figure in told
    assert told.index("Contact is blocked 1") < told.index("Another contact has the same number 4")
    assert "Paused by an operator" in told
    assert "&lt;b&gt;todos" in told


def test_a_broadcasts_page_leads_to_its_messages_and_skips(ana: Member, admin_of: AdminOf) -> None:
    broadcast = BroadcastFactory(member=ana, failed=1, skipped_by_reason={"opted_out": 1})
    failed = MessageFactory(broadcast=broadcast, status=Status.FAILED)
    MessageFactory(broadcast=broadcast)
    MessageFactory(broadcast__member=ana, status=Status.FAILED)
    skip = SkipFactory(broadcast=broadcast, reason=Skip.Reason.OPTED_OUT)
    SkipFactory(broadcast=broadcast)
    client = admin_of(ana)

    page = client.get(address(broadcast, "change")).content.decode()
    links = [link.replace("&amp;", "&") for link in re.findall(r'href="(/[^"]*broadcast=[^"]*)"', page)]

    assert rows(client.get(_only(links, "status__exact=FAILED"))) == [failed]
    assert rows(client.get(_only(links, "reason__exact=opted_out"))) == [skip]
    assert len(rows(client.get(_only(links, f"message/?broadcast={broadcast.pk}")))) == 2
    assert len(rows(client.get(_only(links, f"skip/?broadcast={broadcast.pk}")))) == 2


def _only(links: list[str], end: str) -> str:
    (link,) = [link for link in links if link.endswith(end)]
    return link


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
    broadcast = BroadcastFactory(member=ana)
    for status in Status:
        charge = "RELEASED" if status == Status.FAILED else "CAPTURED"
        country = "US" if status == Status.SENT else "CO"
        MessageFactory(broadcast=broadcast, status=status, charge=charge, country=country)

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
    return MessageFactory(
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
    message = MessageFactory(
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
    MessageEventFactory(message=message, created_at=start + timedelta(seconds=20))
    DeliveryReportFactory(
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
        "Delivery report of twilio Delivered Applied",
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
    message = MessageFactory(broadcast__member=ana, **fields)

    assert words in text(admin_of(ana).get(address(message, "change")))


def test_a_message_is_shown_when_its_contact_is_gone(ana: Member, admin_of: AdminOf) -> None:
    message = MessageFactory(broadcast__member=ana, contact_id=uuid4())

    assert admin_of(ana).get(address(message, "change")).status_code == 200


# --- skips, reports, events -----------------------------------------------------------------------
def test_skips_are_filtered_by_broadcast_and_reason(ana: Member, admin_of: AdminOf) -> None:
    first = ContactFactory(organization=ana.organization, name="First")
    skip = SkipFactory(
        broadcast__member=ana, reason=Skip.Reason.DUPLICATE, duplicate_of=first, contact_id=uuid4()
    )
    SkipFactory(broadcast=skip.broadcast)
    SkipFactory(broadcast__member=ana, reason=Skip.Reason.DUPLICATE)
    question = {"broadcast": str(skip.broadcast_id), "reason__exact": "duplicate"}

    page = admin_of(ana).get(address(Skip), question)

    assert rows(page) == [skip]
    assert "First" in text(page)


def test_reports_are_filtered_and_found_by_the_message_they_speak_of(
    message: Message, ana: Member, admin_of: AdminOf
) -> None:
    applied = DeliveryReportFactory(message_id=message.pk, outcome="APPLIED", provider="twilio")
    DeliveryReportFactory(
        message_id=MessageFactory(broadcast__member=ana).pk, provider="memory", status="FAILED"
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
    report = DeliveryReportFactory(message_id=message.pk, raw={"Body": "<img src=x onerror=y>"})

    page = admin_of(ana).get(address(report, "change"))

    assert "&lt;img src=x onerror=y&gt;" in page.content.decode()
    assert "<img src=x" not in page.content.decode()


# --- what all lists share -------------------------------------------------------------------------
def _one_of_each(member: Member) -> None:
    contact = ContactFactory(organization=member.organization)
    sender = MemberFactory(organization=member.organization)
    message = MessageFactory(broadcast__member=sender, contact=contact)
    SkipFactory(broadcast=message.broadcast, contact=contact)
    MessageEventFactory(message=message)
    DeliveryReportFactory(message_id=message.pk)


@pytest.mark.parametrize("model", [Broadcast, Message, Skip, DeliveryReport, MessageEvent])
def test_a_list_asks_the_database_the_same_however_many_rows_it_shows(
    ana: Member, root: Member, admin_of: AdminOf, model: type[Model]
) -> None:
    for member in (ana, root):
        client, asked = admin_of(member), []
        for _more in range(2):
            for _row in range(5):
                _one_of_each(ana)
            with CaptureQueriesContext(connection) as queries:
                client.get(address(model))
            asked.append(len(queries))

        assert asked[0] == asked[1]
        assert asked[0] <= 6


@pytest.mark.parametrize("model", [Message, Skip, DeliveryReport, MessageEvent])
def test_no_list_of_millions_is_ever_counted(
    ana: Member, admin_of: AdminOf, model: type[Model]
) -> None:
    _one_of_each(ana)
    client = admin_of(ana)

    with CaptureQueriesContext(connection) as queries:
        client.get(address(model), {"_facets": "True"})

    assert not [query["sql"] for query in queries if "COUNT(" in query["sql"]]


def test_a_list_is_paged_without_a_count(ana: Member, admin_of: AdminOf) -> None:
    MessageFactory.create_batch(120, broadcast=BroadcastFactory(member=ana))
    client = admin_of(ana)

    first, last = client.get(address(Message)), client.get(address(Message), {"p": 3})

    assert "1–50 of about" in text(first)
    assert "Next" in text(first)
    assert "101–120 of 120" in text(last)
    assert "Next" not in text(last)
    seen = [row.pk for page in (1, 2, 3) for row in rows(client.get(address(Message), {"p": page}))]
    assert len(set(seen)) == 120
    assert client.get(address(Message), {"p": 201})["Location"].endswith("e=1")


def test_pages_end_at_row_10000_and_say_so(ana: Member) -> None:
    class Many:
        def __getitem__(self, part: slice) -> range:
            return range(1_000_000)[part]

    paginator = OpenPaginator(Many(), 50)

    assert paginator.page(199).has_next()
    assert not paginator.page(200).has_next()
    assert not paginator.is_complete


@pytest.mark.parametrize(
    ("model", "lookup"),
    [
        (Message, "error_message__icontains"),
        (Message, "recipient__regex"),
        (Message, "organization__id__exact"),
        (Message, "broadcast__text__icontains"),
        (Broadcast, "text__icontains"),
        (Broadcast, "member__password__startswith"),
        (Broadcast, "organization__name__startswith"),
        (Skip, "phone__icontains"),
        (DeliveryReport, "raw__icontains"),
    ],
)
def test_only_what_a_filter_offers_can_be_asked_by_the_address(
    ana: Member, admin_of: AdminOf, model: type[Model], lookup: str
) -> None:
    assert admin_of(ana).get(address(model), {lookup: "a"}).status_code == 400


def test_no_address_sorts_a_list_anew(ana: Member, admin_of: AdminOf) -> None:
    old = timezone.now() - timedelta(days=1)
    BroadcastFactory(member=ana, text="b", created_at=old)
    BroadcastFactory(member=ana, text="a")

    page = admin_of(ana).get(address(Broadcast), {"o": "2"})

    assert [row.text for row in rows(page)] == ["a", "b"]


def test_json_is_what_autocomplete_answers(ana: Member, admin_of: AdminOf) -> None:
    broadcast = BroadcastFactory(member=ana)
    question = {"app_label": "messaging", "model_name": "message", "field_name": "broadcast"}

    answer = admin_of(ana).get(reverse("admin:autocomplete"), question)

    assert [found["id"] for found in json.loads(answer.content)["results"]] == [str(broadcast.pk)]

"""The admin's message audit: every filter, by an index; saved views; all of a filter as CSV."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, Member
from messaging import exporting
from messaging.models import Kind, Message
from tests.admin.pages import address, rows, text
from tests.factories import MemberFactory
from tests.messaging.rows import BroadcastFactory, MessageFactory
from tests.people import AdminOf

pytestmark = pytest.mark.django_db

Status, Charge = Message.Status, Message.Charge
EXPORT = "admin:messaging_message_export"


@pytest.fixture
def messages(ana: Member, sara: Member, carla: Member) -> dict[str, Message]:
    """Messages of Acme by what is special of them, and one of Carla's that is like the first."""
    ordinary = BroadcastFactory.create(member=ana)
    flash = BroadcastFactory.create(member=sara, kind=Kind.FLASH, segments=3)
    scheduled = BroadcastFactory.create(member=ana, status="SCHEDULED")
    old = timezone.now() - timedelta(days=2)
    aged = BroadcastFactory.create(member=ana, created_at=old)
    delivered: dict[str, Any] = {"status": Status.DELIVERED, "charge": Charge.CAPTURED}
    refused = {"status": Status.FAILED, "charge": Charge.RELEASED, "error_code": "21211"}

    def made(broadcast: Any, **fields: Any) -> Message:
        fields.setdefault("created_at", broadcast.created_at)
        return MessageFactory.create(broadcast=broadcast, **fields)

    made(BroadcastFactory.create(member=carla), **delivered, provider="twilio:AC1")
    return {
        "delivered": made(ordinary, **delivered, provider="twilio:AC1"),
        "refused": made(ordinary, **refused, provider="infobip:acme"),
        "flash": made(flash, **delivered, segments=3, credits=3),
        "scheduled": made(scheduled),
        "silent": made(
            aged, status=Status.SENT, charge=Charge.CAPTURED, sent_at=old, provider="twilio:AC1"
        ),
        "expired": made(aged, **{**refused, "error_code": "expired"}),
        "unknown": made(aged, status=Status.UNKNOWN, country="US"),
        "uncollected": made(ordinary, status=Status.DELIVERED, charge=Charge.UNCOLLECTED),
    }


QUESTIONS = [
    ({"status__exact": "UNKNOWN"}, {"unknown"}),
    ({"status__exact": "SCHEDULED"}, {"scheduled"}),
    ({"status__exact": "QUEUED"}, set()),
    ({"group": "waiting"}, {"scheduled"}),
    ({"group": "pending"}, {"scheduled", "silent", "unknown"}),
    ({"group": "failed"}, {"refused", "expired", "unknown"}),
    ({"group": "final"}, {"delivered", "refused", "flash", "expired", "uncollected"}),
    ({"group": "no_report"}, {"silent"}),
    ({"type": "FLASH"}, {"flash"}),
    ({"provider": "twilio:AC1"}, {"delivered", "silent"}),
    ({"country": "US"}, {"unknown"}),
    ({"country": "+1"}, {"unknown"}),
    ({"reason": "21211"}, {"refused"}),
    ({"reason": "Not taken by a provider in time"}, {"expired"}),
    ({"charge__exact": "RELEASED"}, {"refused", "expired"}),
    ({"charge__exact": "RESERVED"}, {"scheduled", "unknown"}),
    ({"charge__exact": "UNCOLLECTED"}, {"uncollected"}),
    ({"charge__exact": "CAPTURED"}, {"delivered", "flash", "silent"}),
    ({"credits": "3"}, {"flash"}),
    ({"credits": "1", "group": "final"}, {"delivered", "refused", "expired", "uncollected"}),
    ({"broadcast": "{flash.broadcast_id}"}, {"flash"}),
    ({"broadcast__member__id__exact": "{flash.broadcast.member_id}"}, {"flash"}),
    ({"created_at_to": "{yesterday}"}, {"silent", "expired", "unknown"}),
    ({"created_at_from": "{yesterday}", "group": "failed"}, {"refused"}),
    ({"accepted": "today", "group": "failed"}, {"refused"}),
    ({"accepted": "yesterday"}, set()),
    ({"accepted": "week", "status__exact": "SENT"}, {"silent"}),
]


def _asked(question: dict[str, str], messages: dict[str, Message]) -> dict[str, str]:
    yesterday = timezone.localdate() - timedelta(days=1)
    return {name: value.format(**messages, yesterday=yesterday) for name, value in question.items()}


@pytest.fixture
def without_table_scans(db: None) -> Iterator[None]:
    """The planner reads a table whole only where no index can answer."""
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
        yield
        cursor.execute("RESET enable_seqscan")


@pytest.mark.parametrize(("question", "found"), QUESTIONS)
def test_each_filter_finds_its_messages_by_an_index_for_member_and_platform(
    vera: Member,
    root: Member,
    admin_of: AdminOf,
    messages: dict[str, Message],
    without_table_scans: None,
    question: dict[str, str],
    found: set[str],
) -> None:
    own = {"organization__id__exact": str(vera.organization_id)}
    for member, more in ((vera, {}), (root, own), (root, {})):
        page = admin_of(member).get(address(Message), _asked(question, messages) | more)

        names = {message.pk: name for name, message in messages.items()}
        assert {names.get(row.pk, "Carla's") for row in rows(page)} - {"Carla's"} == found
        if more or member is vera:
            assert "Carla's" not in {names.get(row.pk, "Carla's") for row in rows(page)}
        assert "Seq Scan on messaging_message" not in page.context["cl"].queryset.explain()


@pytest.mark.parametrize(
    "question",
    [
        {},
        {"organization__id__exact": "{delivered.organization_id}"},
        {"broadcast": "{delivered.broadcast_id}"},
        {"broadcast__member__id__exact": "{delivered.broadcast.member_id}"},
        {"q": "{delivered.recipient}"},
        {"q": "{delivered.pk}"},
        {"reason": "21211"},
        {"type": "FLASH"},
    ],
)
def test_another_organizations_messages_are_in_no_list_and_no_export(
    carla: Member, admin_of: AdminOf, messages: dict[str, Message], question: dict[str, str]
) -> None:
    client, asked = admin_of(carla), _asked(question, messages)
    acmes = {message.pk for message in messages.values()}

    page = client.get(address(Message), asked)
    export = client.get(reverse(EXPORT), asked)

    if "organization__id__exact" in question:
        assert (page.status_code, export.status_code) == (400, 400)
        return
    assert not acmes & {row.pk for row in rows(page)}
    assert not acmes & {line["id"] for line in _lines(export)}
    assert client.get(address(messages["delivered"], "change")).status_code == 404


@pytest.mark.parametrize(
    ("question", "said"),
    [({"credits": "two"}, "whole number"), ({"credits": "-1"}, "whole number")],
)
def test_what_no_filter_can_read_is_said(
    ana: Member, admin_of: AdminOf, question: dict[str, str], said: str
) -> None:
    page = admin_of(ana).get(address(Message), question)

    assert rows(page) == []
    assert said in text(page)


@pytest.mark.parametrize(
    "lookup", ["provider__startswith", "credits__gt", "country__regex", "reason__x", "type__in"]
)
def test_a_filters_name_opens_no_other_lookup(ana: Member, admin_of: AdminOf, lookup: str) -> None:
    assert admin_of(ana).get(address(Message), {lookup: "1"}).status_code == 400


def test_the_provider_filter_offers_those_in_use_and_of_the_latest_broadcasts(
    ana: Member, carla: Member, admin_of: AdminOf
) -> None:
    BroadcastFactory.create(member=ana, providers=["vonage:old"])
    BroadcastFactory.create(member=carla, providers=["twilio:theirs"])

    shown = admin_of(ana).get(address(Message)).content.decode()

    assert "vonage:old" in shown
    assert "twilio:theirs" not in shown


def test_no_list_of_members_is_sent_with_the_page(ana: Member, admin_of: AdminOf) -> None:
    MemberFactory.create(organization=ana.organization, name="Zacarías", email="zac@acme.example")

    assert "Zacar" not in admin_of(ana).get(address(Message)).content.decode()


def test_saved_views_lead_to_what_is_asked_most(
    vera: Member, admin_of: AdminOf, messages: dict[str, Message]
) -> None:
    client = admin_of(vera)
    found = {}
    for title, link, is_current in client.get(address(Message)).context["saved_views"]:
        page = client.get(link)
        found[str(title)] = {row.pk for row in rows(page)}
        current = {str(title): now for title, _link, now in page.context["saved_views"]}
        assert [name for name, now in current.items() if now] == [str(title)]
        assert is_current == (str(title) == "All")

    assert found == {
        "All": {message.pk for message in messages.values()},
        "Failed today": {messages["refused"].pk},
        "Unknown": {messages["unknown"].pk},
        "No report after 24 h": {messages["silent"].pk},
    }


def test_the_platforms_saved_views_keep_its_organization(
    carla: Member, root: Member, admin_of: AdminOf
) -> None:
    chosen = {"organization__id__exact": str(carla.organization_id)}

    views = admin_of(root).get(address(Message), chosen).context["saved_views"]

    assert all(str(carla.organization_id) in link for _title, link, _current in views)


# --- export ---------------------------------------------------------------------------------------
def _lines(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200
    assert answer.streaming
    written = answer.getvalue().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(written, newline="")))


def test_an_export_holds_all_of_the_lists_filter_and_is_written_down(
    vera: Member, admin_of: AdminOf, messages: dict[str, Message]
) -> None:
    client = admin_of(vera)
    question = {"group": "failed", "status__exact": ""}
    page = client.get(address(Message), question)

    lines = _lines(client.get(reverse(EXPORT), question))

    assert f"{reverse(EXPORT)}?" in page.content.decode()
    assert list(lines[0]) == list(exporting.MESSAGES)
    assert {line["id"] for line in lines} == {str(row.pk) for row in rows(page)}
    entry = AuditEntry.objects.get(act="messages.exported")
    assert (entry.member, entry.subject) == (vera, "message")
    assert entry.details == {"format": "csv", "filters": ["group"]}


def test_the_platform_exports_one_organization_after_the_other(
    root: Member, admin_of: AdminOf, messages: dict[str, Message]
) -> None:
    lines = _lines(admin_of(root).get(reverse(EXPORT)))

    assert {line["id"] for line in lines} == {
        str(pk) for pk in Message.objects.values_list("pk", flat=True)
    }


def test_S59_an_exported_cell_is_never_a_formula(ana: Member, admin_of: AdminOf) -> None:
    MessageFactory.create(
        broadcast__member=ana, broadcast__text="=1+1", error_message="@SUM(A1)", error_code="-x"
    )

    [line] = _lines(admin_of(ana).get(reverse(EXPORT)))

    assert [line[name] for name in ("message", "errorMessage", "errorCode")] == [
        *("'=1+1", "'@SUM(A1)", "'-x")
    ]


def test_who_may_see_nothing_exports_nothing(
    ana: Member, admin_of: AdminOf, messages: dict[str, Message]
) -> None:
    ana.has_one_time_password = True
    ana.save(update_fields=["has_one_time_password"])

    answer = admin_of(ana).get(reverse(EXPORT))

    assert answer.status_code in {302, 403}
    assert not AuditEntry.objects.filter(act="messages.exported").exists()


def test_an_export_is_asked_for_by_get_alone(ana: Member, admin_of: AdminOf) -> None:
    assert admin_of(ana).post(reverse(EXPORT)).status_code == 405


def test_an_export_of_a_filter_that_cannot_be_read_leads_back(
    ana: Member, admin_of: AdminOf
) -> None:
    assert admin_of(ana).get(reverse(EXPORT), {"p": "999"}).status_code == 302
    assert _lines(admin_of(ana).get(reverse(EXPORT), {"broadcast": str(uuid4())})) == []


# --- what is asked --------------------------------------------------------------------------------
def filtered(page: Any) -> str:
    """Return the line that says what the list is narrowed by; "" where there is none."""
    found = re.search(r'<p id="filtered".*?</p>', page.content.decode(), flags=re.DOTALL)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", found[0])).strip() if found else ""


def test_the_list_says_in_words_what_it_is_narrowed_by(ana: Member, admin_of: AdminOf) -> None:
    client = admin_of(ana)
    asked = {
        "status__exact": "UNKNOWN",
        "group": "",
        "broadcast__member__id__exact": str(ana.pk),
        "created_at_from": "2026-01-01",
        "q": "+573001234567",
    }

    told = filtered(client.get(address(Message), asked))

    assert filtered(client.get(address(Message))) == ""
    for words in ("Search: +573001234567", "Status: Unknown", ana.email, "2026-01-01"):
        assert words in told
    assert told.endswith("Show everything")


@pytest.mark.parametrize("key", ["abc", "1", "00000000-0000-0000-0000-000000000000"])
def test_what_names_nobody_is_shown_as_it_was_asked(
    ana: Member, admin_of: AdminOf, key: str
) -> None:
    page = admin_of(ana).get(address(Message), {"broadcast__member__id__exact": key})

    assert f"Member: {key}" in filtered(page)


def test_what_is_asked_names_nobody_of_another_organization(
    ana: Member, carla: Member, admin_of: AdminOf
) -> None:
    page = admin_of(ana).get(address(Message), {"broadcast__member__id__exact": str(carla.pk)})

    assert carla.email not in page.content.decode()

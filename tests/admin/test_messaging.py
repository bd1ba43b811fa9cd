"""What all lists of what was sent share: pages without a count, one order, filters on offer only."""

import json
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.doors.lists import BoundedPaginator
from accounts.models import AuditEntry, Member
from billing.models import LedgerEntry
from contacts.models import Contact, Suppression
from messaging.admin.broadcasts import BroadcastPages
from messaging.models import (
    Broadcast,
    DeliveryReport,
    InboundMessage,
    Message,
    MessageEvent,
    Skip,
)
from tests.admin.pages import address, rows, text
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


def _one_of_each(member: Member) -> None:
    contact = ContactFactory.create(organization=member.organization)
    sender = MemberFactory.create(organization=member.organization)
    message = MessageFactory.create(broadcast__member=sender, contact=contact)
    SkipFactory.create(broadcast=message.broadcast, contact=contact)
    MessageEventFactory.create(message=message)
    DeliveryReportFactory.create(message_id=message.pk)


@pytest.mark.parametrize(
    "model", [Broadcast, Message, Skip, DeliveryReport, MessageEvent, InboundMessage]
)
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


def let_the_planner_expect_millions(model: type[Model]) -> None:
    """Give PostgreSQL the statistics of a large table: no row of it is needed for the plan."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_restore_relation_stats('schemaname', 'public', 'relname', %s,"
            " 'relpages', 1::integer, 'reltuples', 30000000::real)",
            [model._meta.db_table],
        )


@pytest.mark.parametrize("model", [Message, Skip, DeliveryReport, MessageEvent, Contact])
def test_no_list_of_millions_is_ever_counted(
    ana: Member, root: Member, admin_of: AdminOf, model: type[Model]
) -> None:
    for _row in range(51):
        _one_of_each(ana)
    let_the_planner_expect_millions(model)
    client = admin_of(root)

    with CaptureQueriesContext(connection) as queries:
        page = client.get(address(model), {"_facets": "True"})

    assert not [query["sql"] for query in queries if "COUNT(" in query["sql"]]
    assert "1 to 50 of about" in text(page)
    assert "Show all" not in text(page)
    assert "10000 results" not in text(page)


def test_a_list_of_few_is_counted_exactly(ana: Member, admin_of: AdminOf) -> None:
    MessageFactory.create_batch(120, broadcast=BroadcastFactory.create(member=ana))
    client = admin_of(ana)

    first, last = client.get(address(Message)), client.get(address(Message), {"p": 3})

    assert "1 to 50 of 120" in text(first)
    assert "Next" in text(first)
    assert "101 to 120 of 120" in text(last)
    assert "Next" not in text(last)
    seen = [row.pk for page in (1, 2, 3) for row in rows(client.get(address(Message), {"p": page}))]
    assert len(set(seen)) == 120


def test_some_thousands_are_counted_exactly_though_each_row_is_looked_up_elsewhere(
    ana: Member, admin_of: AdminOf
) -> None:
    assert ana.organization is not None
    Contact.objects.bulk_create(
        Contact(organization=ana.organization, phone=f"+57300{n:07}") for n in range(4_000)
    )

    assert "1 to 50 of 4,000" in text(admin_of(ana).get(address(Contact)))


@pytest.mark.parametrize(
    ("model", "wrong"), [(Message, {"p": "4"}), (Contact, {"p": "2"}), (Contact, {"nope": "1"})]
)
def test_an_address_that_asks_for_what_the_list_lacks_is_told(
    ana: Member, admin_of: AdminOf, model: type[Model], wrong: dict[str, str]
) -> None:
    page = admin_of(ana).get(address(model), wrong, follow=True)

    assert "a page or a filter that this list does not have" in text(page)


@pytest.mark.parametrize("order", ["1", "-7", "3.-1", "x", "99"])
@pytest.mark.parametrize("model", [Contact, Suppression, LedgerEntry, AuditEntry, Message])
def test_a_list_is_not_sorted_by_a_column_that_is_not_on_offer(
    ana: Member, admin_of: AdminOf, model: type[Model], order: str
) -> None:
    usual = admin_of(ana).get(address(model)).context["cl"].queryset.query.order_by

    asked = admin_of(ana).get(address(model), {"o": order}).context["cl"].queryset.query.order_by

    assert asked == usual


def test_pages_end_at_row_10000_and_say_so() -> None:
    paginator = BoundedPaginator(range(1_000_000), 50)

    assert paginator.page(199).has_next()
    assert not paginator.page(200).has_next()
    assert paginator.exact is None
    assert paginator.total_in_words == "1,000,000"


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
        (InboundMessage, "text__icontains"),
        (InboundMessage, "sender__startswith"),
    ],
)
def test_only_what_a_filter_offers_can_be_asked_by_the_address(
    ana: Member, admin_of: AdminOf, model: type[Model], lookup: str
) -> None:
    assert admin_of(ana).get(address(model), {lookup: "a"}).status_code == 400


@pytest.mark.parametrize(
    "model", [Broadcast, Message, Skip, DeliveryReport, MessageEvent, InboundMessage]
)
@pytest.mark.parametrize(
    "question",
    [
        {"organization__id__exact": "nobody"},
        {"organization__id__gt": "x"},
        {"broadcast__organization__id__exact": "nobody"},
        {"member__id__exact": "' OR 1=1 --"},
        {"broadcast": "' OR 1=1 --"},
        {"status__exact__regex": "("},
        {"status__in": ","},
        {"kind__isnull": "perhaps"},
        {"created_at_from": "0000-00-00"},
        {"created_at_to": "99999-01-01"},
        {"country": "\U0001f600"},
        {"p": "-1"},
        {"p": "9" * 30},
        {"p": "one"},
        {"o": "1.2.-9999"},
        {"all": ""},
        {"q": "+" * 5000},
        {"q": "\u202e\u0665"},
        {"_to_field": "password"},
        {"e": "1"},
    ],
)
def test_a_hostile_question_is_answered_or_refused_and_breaks_nothing(
    ana: Member, root: Member, admin_of: AdminOf, model: type[Model], question: dict[str, str]
) -> None:
    MessageFactory.create(broadcast=BroadcastFactory.create(member=ana))

    for member in (ana, root):
        answer = admin_of(member).get(address(model), question)
        assert answer.status_code in {200, 302, 400}


def test_no_address_sorts_a_list_anew(ana: Member, admin_of: AdminOf) -> None:
    old = timezone.now() - timedelta(days=1)
    BroadcastFactory.create(member=ana, kind="FLASH", created_at=old)
    BroadcastFactory.create(member=ana, kind="SMS")
    by_kind = str(BroadcastPages.list_display.index("kind"))

    page = admin_of(ana).get(address(Broadcast), {"o": by_kind})

    assert [row.kind for row in rows(page)] == ["SMS", "FLASH"]


def test_json_is_what_autocomplete_answers(ana: Member, admin_of: AdminOf) -> None:
    broadcast = BroadcastFactory.create(member=ana)
    question = {"app_label": "messaging", "model_name": "message", "field_name": "broadcast"}

    answer = admin_of(ana).get(reverse("admin:autocomplete"), question)

    assert [found["id"] for found in json.loads(answer.content)["results"]] == [str(broadcast.pk)]

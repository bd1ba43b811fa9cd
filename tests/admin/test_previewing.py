"""The preview of a broadcast: what it shows, what it warns about, and what it costs to look."""

import re
from typing import Any

import pytest
from django.urls import reverse

from accounts.models import Member, Organization
from billing import ledger
from billing.models import SpendingCap
from contacts.models import Contact
from messaging.models import Broadcast
from tests.admin.desk import COMPOSE, confirm, drafted
from tests.admin.pages import address, text
from tests.contacts.factories import ContactFactory, SuppressionFactory
from tests.messaging.factories import contacts_in_order, grant, many_contacts
from tests.people import AdminOf

pytestmark = pytest.mark.django_db


@pytest.fixture
def paid(acme: Organization) -> Organization:
    """Acme with 1,000 credits and three contacts."""
    grant(acme, 1_000)
    contacts_in_order(acme, "+573001111111", "+573002222222", "+525512345678")
    return acme


def page_of(broadcast: Broadcast) -> str:
    return address(broadcast, "change")


# --- what it shows --------------------------------------------------------------------------------
def test_it_shows_who_gets_it_who_does_not_and_what_it_costs(
    ana: Member, paid: Organization, admin_of: AdminOf
) -> None:
    contacts_in_order(
        paid,
        {"phone": "+573003333333", "status": Contact.Status.BLOCKED},
        {"phone": "+573004444444", "status": Contact.Status.INACTIVE},
        "12",
        "+573001111111",
        "+573005555555",
    )
    SuppressionFactory.create(organization=paid, recipient="+573005555555")
    client = admin_of(ana)

    page = client.get(drafted(client, "Mañana “cerramos”. " * 6))

    told = text(page)
    for shown in (
        "3 people get a message",
        "Credits 6 ",
        "Available now 1,000",
        "Available after it 994",
        "Segments a message 2",
        "Encoding UCS-2",
        "Contact is blocked 1",
        "Contact is inactive 1",
        "Invalid number 1",
        "Opted out 1",
        "Another contact has the same number 1",
        "All skipped 5",
        "CO 2 67 % 4",
        "MX 1 33 % 2",
        "+573001111111",
        "Takes about 1 s",
        "Send to 3 people",
    ):
        assert shown in told, shown
    assert page.content.decode().count("<mark>“</mark>") == 6
    assert not Broadcast.objects.exists()
    assert ledger.balance(paid.pk).available == 1_000


def test_its_skips_lead_to_the_contacts_concerned(
    ana: Member, paid: Organization, admin_of: AdminOf
) -> None:
    blocked, wrong = contacts_in_order(
        paid, {"phone": "+573003333333", "status": Contact.Status.BLOCKED}, "12"
    )
    client = admin_of(ana)

    page = client.get(drafted(client)).content.decode()
    skips = page.split('id="facts-skips"')[1].split("</dl>")[0]
    ways = [way.replace("&amp;", "&") for way in re.findall(r'href="([^"]+)"', skips)]

    found = [list(client.get(way).context["cl"].result_list) for way in ways]
    assert found == [[blocked], [wrong]]


def test_S56_a_text_is_shown_and_never_run(
    ana: Member, paid: Organization, admin_of: AdminOf
) -> None:
    Contact.objects.update(name="<img src=x onerror=alert(1)>")
    client = admin_of(ana)
    hostile = "<script>alert(1)</script> {{ 7|add:7 }} “&” </p><b>"

    preview = drafted(client, hostile)
    shown = client.get(preview).content.decode()
    sent = client.get(confirm(client, preview).url).content.decode()

    for page in (shown, sent):
        assert "<script>alert(1)" not in page
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
        assert "{{ 7|add:7 }}" in page
        assert "</p><b>" not in page
        assert "onerror=" not in page


SCRIPT = re.compile(r"<script(?P<how>[^>]*)>(?P<what>.*?)</script>", re.DOTALL)


def test_S57_no_page_of_the_desk_brings_a_script_along(
    ana: Member, paid: Organization, admin_of: AdminOf
) -> None:
    client = admin_of(ana)
    preview = drafted(client)
    sent = confirm(client, preview).url
    pages = [reverse(COMPOSE), drafted(client), sent]
    pages += [reverse("admin:messaging_broadcast_control", args=[sent.split("/")[-3], "cancel"])]

    for page in pages:
        answer = client.get(page)
        content = answer.content.decode()
        inline = [found["what"].strip() for found in SCRIPT.finditer(content)]
        assert not any(inline), page
        assert not re.search(r"\son(click|load|submit|error|input|change)=", content)
        assert "javascript:" not in content
        assert "pregon/desk.js" in content
        assert "script-src 'self'" in answer["Content-Security-Policy"]


def test_S28_the_same_text_of_late_is_warned_about(
    ana: Member, sara: Member, paid: Organization, admin_of: AdminOf
) -> None:
    first = admin_of(sara)
    sent = confirm(first, drafted(first, "Cerramos a las 5.")).url
    client = admin_of(ana)

    again = client.get(drafted(client, "Cerramos a las 5.")).content.decode()
    other = client.get(drafted(client, "Cerramos a las 6.")).content.decode()

    assert "The same text went out within the last 24 hours" in again
    assert sent in again
    assert "The same text went out" not in other


def test_nothing_can_be_confirmed_where_nobody_is_reached(
    ana: Member, acme: Organization, admin_of: AdminOf
) -> None:
    grant(acme, 10)
    ContactFactory.create(organization=acme, phone="12")
    client = admin_of(ana)

    page = client.get(drafted(client))

    assert "There is nobody to write to" in text(page)
    assert "Send to" not in text(page).split("There is nobody to write to")[1]


def test_what_cannot_be_paid_is_told_with_what_is_missing(
    ana: Member, paid: Organization, admin_of: AdminOf
) -> None:
    ledger.reserve(organization_id=paid.pk, amount=999, reference="broadcast:1")
    client = admin_of(ana)

    page = text(client.get(drafted(client)))

    assert "2 credits are missing" in page
    assert "Ask the platform for credits" in page
    assert "Send to 3 people" not in page


def test_what_is_over_the_spending_cap_is_told(
    ana: Member, paid: Organization, admin_of: AdminOf
) -> None:
    cap = SpendingCap.objects.create(organization=paid, per_day=2)
    client = admin_of(ana)
    preview = drafted(client)

    assert "spending cap leaves 2 credits" in text(client.get(preview))
    assert "Send to 3 people" not in text(client.get(preview))
    SpendingCap.objects.filter(pk=cap.pk).update(per_day=3)
    assert "Send to 3 people" in text(client.get(preview))


# --- approval -------------------------------------------------------------------------------------
def test_S27_above_the_approval_size_it_waits_and_says_so_before(
    ana: Member, paid: Organization, admin_of: AdminOf
) -> None:
    Organization.objects.update(approval_above=2)
    client = admin_of(ana)
    preview = drafted(client)

    assert "it waits until somebody else approves it" in text(client.get(preview))
    sent = text(client.get(confirm(client, preview).url))

    assert "waits until another member approves it" in sent
    assert "Waits for approval" in sent
    assert Broadcast.objects.get().status == Broadcast.Status.PAUSED
    assert ledger.balance(paid.pk).reserved == 3


# --- what it costs to look ------------------------------------------------------------------------
def test_a_preview_asks_the_database_the_same_however_many_contacts_there_are(
    ana: Member, acme: Organization, admin_of: AdminOf, django_assert_max_num_queries: Any
) -> None:
    grant(acme, 5_000)
    many_contacts(acme, 300)
    client = admin_of(ana)
    preview = drafted(client)

    with django_assert_max_num_queries(25):
        client.get(preview)

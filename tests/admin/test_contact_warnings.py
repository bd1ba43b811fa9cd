"""What the contact pages say of numbers: who is written to, who has the number, what a search means."""

import re
from typing import Any

import pytest
from django.urls import reverse

from accounts.models import AuditEntry, Member, Organization
from contacts import directory
from contacts.models import Contact, Suppression
from messaging.models import Message, Skip
from tests.admin.pages import address, rows, text
from tests.contacts.factories import ContactFactory, SuppressionFactory
from tests.messaging.rows import BroadcastFactory, MessageFactory, SkipFactory
from tests.people import AdminOf

pytestmark = pytest.mark.django_db


def fields(**changes: str) -> dict[str, str]:
    """Return what the contact's form sends."""
    sent = {"name": "", "last_name": "", "phone": "", "country": "", "status": "ACTIVE"}
    return {**sent, "email": "", "birth_date": "", **changes}


# --- can be written to --------------------------------------------------------------------------
def test_a_contact_says_in_words_whether_it_can_be_written_to(
    acme: Organization, sara: Member, admin_of: AdminOf
) -> None:
    contact = ContactFactory.create(organization=acme)

    for page in (address(contact, "change"), address(Contact)):
        shown = text(admin_of(sara).get(page))
        assert "Yes" in shown
        assert "(&#x27;yes" not in shown
        assert "('yes" not in shown


def test_the_add_page_says_nothing_of_a_number_it_does_not_know(
    sara: Member, admin_of: AdminOf
) -> None:
    shown = text(admin_of(sara).get(address(Contact, "add")))

    assert "an be written to" not in shown
    assert "DatabaseDefault" not in shown


def opt_out(contact: Contact) -> None:
    SuppressionFactory.create(organization=contact.organization, recipient=contact.e164)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (opt_out, "No: Opted out"),
        (lambda contact: contact.refresh_from_db(), "Yes"),
        (lambda _contact: Contact.objects.update(status="BLOCKED"), "No: Blocked"),
        (lambda _contact: Contact.objects.update(status="INACTIVE"), "No: Inactive"),
        (
            lambda _contact: Organization.objects.update(allowed_countries=["MX"]),
            "No: Country that may not be written to",
        ),
    ],
)
def test_who_would_be_skipped_is_not_said_to_be_written_to(
    acme: Organization, sara: Member, admin_of: AdminOf, change: Any, told: str
) -> None:
    contact = ContactFactory.create(organization=acme)

    change(contact)

    for page in (address(contact, "change"), address(Contact)):
        assert re.search(rf">\s*{told}\s*<", admin_of(sara).get(page).content.decode())


def test_an_opt_out_of_another_organization_stops_nobody_here(
    acme: Organization, borealis: Organization, sara: Member, admin_of: AdminOf
) -> None:
    contact = ContactFactory.create(organization=acme)
    SuppressionFactory.create(organization=borealis, recipient=contact.e164)

    assert "Opted out" not in text(admin_of(sara).get(address(contact, "change")))


def test_a_special_number_can_be_written_to_where_the_organization_may(
    acme: Organization, sara: Member, admin_of: AdminOf
) -> None:
    contact = ContactFactory.create(organization=acme, phone="+19002345678")
    page = address(contact, "change")
    assert "No: Premium" in text(admin_of(sara).get(page))

    Organization.objects.update(allows_special_numbers=True)

    assert "No: Premium" not in text(admin_of(sara).get(page))


# --- numbers that are there already -------------------------------------------------------------
@pytest.mark.parametrize("phone", ["3001234567", "+57 300 123 4567"])
def test_a_number_that_another_contact_has_is_kept_with_a_warning_that_names_him(
    acme: Organization, sara: Member, admin_of: AdminOf, phone: str
) -> None:
    first = ContactFactory.create(organization=acme, name="Ana", phone="+573001234567")

    answer = admin_of(sara).post(
        address(Contact, "add"), fields(name="Beto", phone=phone), follow=True
    )

    assert "Another contact has this number" in text(answer)
    assert f'<a href="{address(first, "change")}">Ana</a>' in answer.content.decode()
    assert Contact.objects.count() == 2


def test_a_number_without_a_country_is_compared_as_it_is_written(
    acme: Organization, sara: Member, admin_of: AdminOf
) -> None:
    Organization.objects.update(country="")
    ContactFactory.create(organization=Organization.objects.get(pk=acme.pk), phone="3001234567")

    answer = admin_of(sara).post(address(Contact, "add"), fields(phone="3001234567"), follow=True)

    assert "Another contact has this number" in text(answer)


def test_nobody_else_is_no_reason_to_warn(
    acme: Organization, borealis: Organization, sara: Member, admin_of: AdminOf
) -> None:
    ContactFactory.create(organization=borealis, phone="+573001234567")
    ContactFactory.create(organization=acme, phone="+573001234567")
    directory.remove(contacts=Contact.objects.filter(organization=acme))
    client = admin_of(sara)

    added = client.post(address(Contact, "add"), fields(phone="+573001234567"), follow=True)
    contact = Contact.objects.living().get(organization=acme)
    changed = client.post(
        address(contact, "change"), fields(phone="+57 300 1234567", name="x"), follow=True
    )

    assert "Another contact" not in text(added) + text(changed)


# --- opt-outs -----------------------------------------------------------------------------------
def test_opt_outs_are_named_by_number(acme: Organization, ana: Member, admin_of: AdminOf) -> None:
    client = admin_of(ana)

    added = client.post(address(Suppression, "add"), {"recipient": "303 123 4567"}, follow=True)
    opted_out = Suppression.objects.get()
    asked = client.get(address(opted_out, "delete"))
    lifted = client.post(address(opted_out, "delete"), {"post": "yes"}, follow=True)

    for page in (added, asked, lifted):
        assert "+573031234567" in text(page)
        assert str(opted_out.pk) not in text(page)


def test_opting_out_again_does_not_say_added(
    acme: Organization, ana: Member, admin_of: AdminOf
) -> None:
    client = admin_of(ana)
    client.post(address(Suppression, "add"), {"recipient": "+573031234567"}, follow=True)

    again = client.post(address(Suppression, "add"), {"recipient": "3031234567"}, follow=True)

    assert "+573031234567 was opted out already. It stays so." in text(again)
    assert "successfully" not in text(again)
    assert AuditEntry.objects.filter(act="suppression.added").count() == 1


# --- searching by number ------------------------------------------------------------------------
SPELLINGS = ["+573105550101", "573105550101", "3105550101", "310 555 0101", "0057 310 5550101"]


@pytest.mark.parametrize("country", ["CO", ""])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_number_is_found_in_every_list_however_it_is_written(
    sara: Member, admin_of: AdminOf, country: str, spelling: str
) -> None:
    Organization.objects.update(country=country)
    sara.refresh_from_db()
    acme = Organization.objects.get()
    contact = ContactFactory.create(organization=acme, phone="+573105550101")
    ContactFactory.create(organization=acme)
    SuppressionFactory.create(organization=acme)
    opted_out = SuppressionFactory.create(organization=acme, recipient="+573105550101")
    broadcast = BroadcastFactory.create(member=sara)
    message = MessageFactory.create(broadcast=broadcast, recipient="+573105550101")
    MessageFactory.create(broadcast=broadcast)
    skip = SkipFactory.create(broadcast=broadcast, contact=contact, phone=contact.phone)
    SkipFactory.create(broadcast=broadcast, contact=ContactFactory.create(organization=acme))
    client = admin_of(sara)

    for row in (contact, opted_out, message, skip):
        assert rows(client.get(address(type(row)), {"q": spelling})) == [row]


def test_the_beginning_of_a_number_is_found_without_its_plus(
    acme: Organization, sara: Member, admin_of: AdminOf
) -> None:
    Organization.objects.update(country="")
    contact = ContactFactory.create(organization=acme, phone="+573105550101")

    assert rows(admin_of(sara).get(address(Contact), {"q": "57310555"})) == [contact]
    assert rows(admin_of(sara).get(address(Contact), {"q": "57311"})) == []


def test_skips_are_found_by_name_too_and_never_those_of_others(
    acme: Organization, sara: Member, carla: Member, admin_of: AdminOf
) -> None:
    skips = [
        SkipFactory.create(
            broadcast=BroadcastFactory.create(member=member),
            contact=ContactFactory.create(organization=member.organization, name="Dolores"),
        )
        for member in (sara, carla)
    ]

    assert rows(admin_of(sara).get(address(Skip), {"q": "dolor"})) == skips[:1]
    assert rows(admin_of(sara).get(address(Skip), {"q": "Ana"})) == []
    assert rows(admin_of(sara).get(address(Message), {"q": "not a number"})) == []


# --- empty lists --------------------------------------------------------------------------------
def test_an_empty_list_offers_only_what_one_may(
    sara: Member, vera: Member, admin_of: AdminOf
) -> None:
    add = f'href="{reverse("admin:contacts_contact_add")}"'

    for member, may_add in ((sara, True), (vera, False)):
        page = admin_of(member).get(address(Contact))
        assert "Nobody to write to yet." in text(page)
        assert "Create a new item" not in text(page)
        assert (add in page.content.decode()) is may_add
    assert "Show everything" in text(admin_of(vera).get(address(Contact), {"q": "x"}))

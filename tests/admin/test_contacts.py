"""The admin's pages about contacts: who sees what, searching, adding, deleting."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, Member, Organization
from contacts import admin as pages
from contacts import directory
from contacts.models import Contact, NumberReading, Suppression, Tag
from tests.contacts.factories import ContactFactory, TagFactory
from tests.people import AdminOf

pytestmark = pytest.mark.django_db


def address(model: type[Model] | Model, page: str = "changelist") -> str:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
    return reverse(name, args=[model.pk] if isinstance(model, Model) else [])


def names(response: Any) -> set[str]:
    """Return the names of the contacts that the list shows."""
    assert response.status_code == 200
    return {row.name for row in response.context["cl"].result_list}


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", response.content.decode())


def fields(**changes: Any) -> dict[str, Any]:
    """Return what the contact's form sends."""
    sent = {"name": "", "last_name": "", "phone": "", "country": "", "status": "ACTIVE"}
    return {**sent, "email": "", "birth_date": "", **changes}


def select(client: Client, *contacts: Contact, **more: str) -> Any:
    """Choose contacts in the list and ask to delete them."""
    chosen = {"action": "delete_selected", "_selected_action": [str(c.pk) for c in contacts]}
    return client.post(address(Contact), {**chosen, **more}, follow=True)


# --- the list -------------------------------------------------------------------------------------
def test_a_member_sees_the_own_organizations_contacts_and_no_others(
    acme: Organization, borealis: Organization, vera: Member, carla: Member, admin_of: AdminOf
) -> None:
    ContactFactory.create(organization=acme, name="Of Acme")
    foreign = ContactFactory.create(organization=borealis, name="Of Borealis")

    assert names(admin_of(vera).get(address(Contact))) == {"Of Acme"}
    assert names(admin_of(carla).get(address(Contact))) == {"Of Borealis"}
    for page in ("change", "delete", "history"):
        response = admin_of(vera).get(address(foreign, page))
        assert response.status_code in {403, 404}


def test_a_superuser_sees_all_and_changes_none(
    acme: Organization, borealis: Organization, root: Member, admin_of: AdminOf
) -> None:
    contact = ContactFactory.create(organization=acme, name="Of Acme")
    ContactFactory.create(organization=borealis, name="Of Borealis")
    client = admin_of(root)

    assert names(client.get(address(Contact))) == {"Of Acme", "Of Borealis"}
    assert names(client.get(address(Contact), {"organization__id__exact": str(acme.pk)})) == {
        "Of Acme"
    }
    assert client.get(address(Contact, "add")).status_code == 403
    assert client.post(address(contact, "change"), fields(name="X")).status_code == 403


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ({"status__exact": "BLOCKED"}, {"Blocked"}),
        ({"refusal__exact": "invalid_number"}, {"Invalid"}),
        ({"region": "us"}, {"American"}),
        ({"region": "+1"}, {"American"}),
        ({"region": "57"}, {"Blocked", "Tagged"}),
        ({"region": "nowhere"}, set()),
        ({"region": ""}, {"Blocked", "American", "Invalid", "Tagged"}),
        ({"origin__exact": "API"}, {"American"}),
        ({"q": "+1202"}, {"American"}),
        ({"q": "tagg"}, {"Tagged"}),
        ({"q": "3001234567"}, {"Tagged"}),
        ({"q": "\u200b'\\&!:*"}, set()),
    ],
)
def test_what_filters_and_search_find(
    acme: Organization,
    vera: Member,
    admin_of: AdminOf,
    question: dict[str, str],
    found: set[str],
) -> None:
    ContactFactory.create(organization=acme, name="Blocked", status=Contact.Status.BLOCKED)
    ContactFactory.create(organization=acme, name="American", phone="+12025550123", origin="API")
    ContactFactory.create(organization=acme, name="Invalid", phone="123")
    ContactFactory.create(organization=acme, name="Tagged", phone="300 123 4567")

    assert names(admin_of(vera).get(address(Contact), question)) == found


def test_the_tag_filter_offers_and_finds_the_own_tags_alone(
    acme: Organization, borealis: Organization, vera: Member, admin_of: AdminOf
) -> None:
    ours, theirs = (
        TagFactory.create(organization=acme),
        TagFactory.create(organization=borealis, name="Secret"),
    )
    ContactFactory.create(organization=acme, name="Tagged").tags.add(ours)
    ContactFactory.create(organization=acme, name="Bare")
    ContactFactory.create(organization=borealis, name="Theirs").tags.add(theirs)
    client = admin_of(vera)

    assert names(client.get(address(Contact), {"tags__id__exact": str(ours.pk)})) == {"Tagged"}
    assert names(client.get(address(Contact), {"tags__id__exact": str(theirs.pk)})) == set()
    assert "Secret" not in text(client.get(address(Contact)))


def test_the_list_says_which_numbers_cannot_be_written_to_and_why(
    acme: Organization, vera: Member, admin_of: AdminOf
) -> None:
    ContactFactory.create(organization=acme, phone="+57 123")
    ContactFactory.create(organization=acme, phone="+19002345678")
    Organization.objects.update(country="")
    ContactFactory.create(organization=Organization.objects.get(), phone="3001234567")

    shown = text(admin_of(vera).get(address(Contact)))

    assert "No: Invalid number" in shown
    assert "No: Premium, shared-cost or satellite number" in shown
    assert "Needs a country" in shown


def test_names_are_shown_and_never_run(acme: Organization, ana: Member, admin_of: AdminOf) -> None:
    contact = ContactFactory.create(organization=acme, name="<script>alert(1)</script>")
    client = admin_of(ana)

    for response in (
        client.get(address(Contact)),
        client.get(address(contact, "change")),
        client.get(address(contact, "delete")),
        select(client, contact),
    ):
        assert "<script>alert(1)" not in text(response)
        assert "&lt;script&gt;alert(1)" in text(response)


def test_a_page_asks_the_database_the_same_however_many_contacts_it_shows(
    acme: Organization, vera: Member, admin_of: AdminOf
) -> None:
    client, asked = admin_of(vera), []
    for _more in range(2):
        ContactFactory.create_batch(10, organization=acme)
        with CaptureQueriesContext(
            connection,
        ) as queries:
            client.get(address(Contact))
        asked.append(len(queries))

    assert asked[0] == asked[1]


def test_deleted_contacts_are_in_no_page(
    acme: Organization, ana: Member, admin_of: AdminOf
) -> None:
    gone = ContactFactory.create(organization=acme)
    directory.remove(contacts=Contact.objects.all())
    client = admin_of(ana)

    assert names(client.get(address(Contact))) == set()
    assert client.get(address(gone, "change")).status_code == 404
    assert client.post(address(gone, "delete"), {"post": "yes"}).status_code == 404


# --- adding and changing --------------------------------------------------------------------------
def test_a_sender_adds_a_contact_to_his_own_organization_whatever_the_form_says(
    acme: Organization, borealis: Organization, sara: Member, admin_of: AdminOf
) -> None:
    admin_of(sara).post(
        address(Contact, "add"),
        fields(
            name="Ana",
            phone="300 123 4567",
            country="co",
            organization=str(borealis.pk),
            e164="+10000000000",
            origin="API",
        ),
    )

    contact = Contact.objects.get()
    assert (contact.organization, contact.e164, contact.country) == (acme, "+573001234567", "CO")
    assert (contact.read_as, contact.origin) == ("", Contact.Origin.ADMIN)


@pytest.mark.parametrize(
    ("phone", "words"),
    [
        ("123", "This is no valid phone number"),
        ("+19002345678", "This is a premium, shared-cost or satellite number"),
    ],
)
def test_a_number_that_cannot_be_written_to_is_kept_with_a_warning(
    acme: Organization, sara: Member, admin_of: AdminOf, phone: str, words: str
) -> None:
    response = admin_of(sara).post(address(Contact, "add"), fields(phone=phone), follow=True)

    assert words in text(response)
    assert Contact.objects.get().phone == phone


def test_a_number_without_a_country_is_kept_with_the_advice_to_give_one(
    acme: Organization, sara: Member, admin_of: AdminOf
) -> None:
    Organization.objects.update(country="")

    response = admin_of(sara).post(address(Contact, "add"), fields(phone="3001234567"), follow=True)

    assert "give the contact or the organization a country" in text(response)


def test_a_changed_number_is_read_anew(acme: Organization, sara: Member, admin_of: AdminOf) -> None:
    contact = ContactFactory.create(organization=acme, phone="3001234567")

    admin_of(sara).post(address(contact, "change"), fields(phone="3007654321"))

    contact.refresh_from_db()
    assert contact.e164 == "+573007654321"


def test_a_viewer_neither_adds_nor_changes_nor_deletes(
    acme: Organization, vera: Member, admin_of: AdminOf
) -> None:
    contact = ContactFactory.create(organization=acme, name="Ana")
    client = admin_of(vera)

    assert client.get(address(contact, "change")).status_code == 200
    assert client.get(address(Contact, "add")).status_code == 403
    assert client.post(address(contact, "change"), fields(name="X")).status_code == 403
    assert client.post(address(contact, "delete"), {"post": "yes"}).status_code == 403
    select(client, contact, post="yes")
    contact.refresh_from_db()
    assert (contact.name, contact.deleted_at) == ("Ana", None)


def test_another_organizations_tag_cannot_be_put_on_a_contact(
    acme: Organization, borealis: Organization, sara: Member, admin_of: AdminOf
) -> None:
    contact, theirs = (
        ContactFactory.create(organization=acme),
        TagFactory.create(organization=borealis),
    )

    response = admin_of(sara).post(
        address(contact, "change"), fields(phone=contact.phone, tags=[str(theirs.pk)])
    )

    assert response.status_code == 200  # the form again, with the error
    assert not contact.tags.exists()


# --- deleting -------------------------------------------------------------------------------------
def test_deleting_asks_first_and_then_keeps_the_row(
    acme: Organization, sara: Member, admin_of: AdminOf
) -> None:
    contact, tag = (
        ContactFactory.create(organization=acme, name="Ana"),
        TagFactory.create(organization=acme),
    )
    contact.tags.add(tag)
    client = admin_of(sara)

    asked = client.get(address(contact, "delete"))
    contact.refresh_from_db()
    assert contact.deleted_at is None
    assert "Ana" in text(asked)

    client.post(address(contact, "delete"), {"post": "yes"})
    contact.refresh_from_db()
    assert contact.deleted_at is not None
    assert timezone.now() - contact.deleted_at < timedelta(minutes=1)
    assert contact.tags.get() == tag


def test_the_action_asks_first_and_deletes_the_selected_alone(
    acme: Organization, sara: Member, admin_of: AdminOf
) -> None:
    gone, kept = ContactFactory.create_batch(2, organization=acme)
    client = admin_of(sara)

    asked = select(client, gone)
    assert Contact.objects.living().count() == 2
    assert gone.name in text(asked)

    select(client, gone, post="yes")
    assert list(Contact.objects.living()) == [kept]
    assert Contact.objects.count() == 2
    assert not LogEntry.objects.exists()
    assert AuditEntry.objects.get(act="contact.removed").member == sara


def test_the_action_deletes_nothing_of_another_organization(
    acme: Organization, borealis: Organization, sara: Member, admin_of: AdminOf
) -> None:
    foreign = ContactFactory.create(organization=borealis)

    select(admin_of(sara), foreign, post="yes")

    foreign.refresh_from_db()
    assert foreign.deleted_at is None


def test_the_action_deletes_everything_a_search_found(
    acme: Organization, sara: Member, admin_of: AdminOf
) -> None:
    gone = ContactFactory.create(organization=acme, name="Ana")
    kept = ContactFactory.create(organization=acme, name="Beto")
    everything = {"action": "delete_selected", "_selected_action": [str(gone.pk)]}

    admin_of(sara).post(
        address(Contact) + "?q=ana", {**everything, "select_across": "1", "post": "yes"}
    )

    assert list(Contact.objects.living()) == [kept]


def test_too_many_at_once_are_refused_in_words(
    acme: Organization, sara: Member, admin_of: AdminOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "REMOVED_AT_ONCE", 2)
    contacts = ContactFactory.create_batch(3, organization=acme)

    response = select(admin_of(sara), *contacts, post="yes")

    assert "At most 2 contacts are deleted at once: narrow the filter." in text(response)
    assert Contact.objects.living().count() == 3


# --- tags -----------------------------------------------------------------------------------------
def test_a_tag_is_made_for_the_own_organization_and_only_once(
    acme: Organization, borealis: Organization, sara: Member, admin_of: AdminOf
) -> None:
    TagFactory.create(organization=borealis, name="VIP")
    client, form = admin_of(sara), {"name": "VIP", "description": "", "color": "#112233"}

    client.post(address(Tag, "add"), form)
    again = client.post(address(Tag, "add"), form)

    assert Tag.objects.filter(organization=acme).count() == 1
    assert again.status_code == 200
    assert "already exists" in text(again)


def test_deleting_a_tag_deletes_no_contact(
    acme: Organization, sara: Member, admin_of: AdminOf
) -> None:
    tag, contact = TagFactory.create(organization=acme), ContactFactory.create(organization=acme)
    contact.tags.add(tag)

    admin_of(sara).post(address(tag, "delete"), {"post": "yes"})

    assert not Tag.objects.exists()
    assert list(Contact.objects.living()) == [contact]


def test_the_choice_of_tags_offers_the_own_alone(
    acme: Organization, borealis: Organization, sara: Member, admin_of: AdminOf
) -> None:
    TagFactory.create(organization=acme, name="VIP")
    TagFactory.create(organization=borealis, name="Secret")

    offered = admin_of(sara).get(
        reverse("admin:autocomplete"),
        {"app_label": "contacts", "model_name": "contact", "field_name": "tags", "term": ""},
    )

    assert [row["text"] for row in offered.json()["results"]] == ["VIP"]


@pytest.mark.parametrize("model", [Contact, Tag, Suppression, NumberReading])
@pytest.mark.parametrize("who", ["ana", "sara", "vera", "root", "carla"])
def test_every_list_opens_for_every_role(
    request: pytest.FixtureRequest, admin_of: AdminOf, model: type[Model], who: str
) -> None:
    client = admin_of(request.getfixturevalue(who))

    assert client.get(address(model)).status_code == 200
    assert client.get(address(model), {"q": "a"}).status_code == 200


# --- what is recorded -----------------------------------------------------------------------------
def test_what_is_done_to_contacts_and_tags_here_is_recorded(
    acme: Organization, sara: Member, admin_of: AdminOf
) -> None:
    tag, client = TagFactory.create(organization=acme, name="VIP"), admin_of(sara)

    client.post(address(Contact, "add"), fields(phone="3001234567", tags=[str(tag.pk)]))
    contact = Contact.objects.get()
    client.post(address(contact, "change"), fields(phone="3001234567", name="Ana"))
    client.post(address(tag, "change"), {"name": "Lead", "description": "", "color": tag.color})
    client.post(address(tag, "delete"), {"post": "yes"})
    client.post(address(contact, "delete"), {"post": "yes"})

    told = AuditEntry.objects.exclude(act__startswith="session.").order_by("created_at", "id")
    assert list(told.filter(member=sara).values_list("act", "subject", "details")) == [
        ("contact.added", f"contact:{contact.pk}", {}),
        ("contact.changed", f"contact:{contact.pk}", {"fields": ["name", "tags"]}),
        ("tag.changed", f"tag:{tag.pk}", {"fields": ["name"]}),
        ("tag.removed", f"tag:{tag.pk}", {}),
        ("contact.removed", f"contact:{contact.pk}", {}),
    ]

"""GET, PATCH and DELETE /api/contacts/{id}."""

from datetime import UTC, date, datetime
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.models import AuditEntry, Member, Organization
from contacts import suppressions
from contacts.models import Contact, Suppression
from messaging.models import Message
from tests.api.refusals import fields, nothing_happens, told
from tests.contacts.factories import ContactFactory, TagFactory
from tests.messaging.rows import BroadcastFactory, MessageFactory
from tests.people import ClientOf

pytestmark = pytest.mark.django_db


def url(contact: Contact) -> str:
    return f"/api/contacts/{contact.pk}"


def changed(client: APIClient, contact: Contact, **body: Any) -> Any:
    return client.patch(url(contact), body, format="json")


@pytest.fixture
def contact(acme: Organization) -> Contact:
    return ContactFactory.create(
        organization=acme, name="Ana", phone="300 123 4567", birth_date=date(1990, 5, 17)
    )


# --- reading --------------------------------------------------------------------------------------
def test_a_viewer_reads_one_as_the_list_shows_it(
    client_of: ClientOf, vera: Member, contact: Contact, acme: Organization
) -> None:
    contact.tags.add(TagFactory.create(organization=acme))
    client = client_of(vera)

    answer = client.get(url(contact))

    assert answer.status_code == 200
    assert answer.json() == client.get("/api/contacts").json()["data"][0]
    assert answer.json()["id"] == str(contact.pk)


def test_reading_one_takes_few_queries(
    client_of: ClientOf,
    vera: Member,
    contact: Contact,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    client = client_of(vera)

    with django_assert_max_num_queries(4):
        client.get(url(contact))


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_anothers_a_deleted_and_nobodys_are_alike_2000(
    client_of: ClientOf,
    ana: Member,
    acme: Organization,
    borealis: Organization,
    method: str,
) -> None:
    foreign = ContactFactory.create(organization=borealis)
    deleted = ContactFactory.create(organization=acme, deleted_at=datetime.now(UTC))
    call = getattr(client_of(ana), method)

    answers = [call(f"/api/contacts/{pk}") for pk in (foreign.pk, deleted.pk, uuid4())]

    assert [told(answer) for answer in answers] == [(404, "2000")] * 3
    assert answers[0].json() == answers[1].json() == answers[2].json()
    foreign.refresh_from_db()
    assert foreign.deleted_at is None


@pytest.mark.parametrize("key", ["1", "x", "00000000-0000-0000-0000-00000000000", "%27", "..%2f"])
def test_what_is_no_id_is_404(client_of: ClientOf, ana: Member, key: str) -> None:
    assert told(client_of(ana).get(f"/api/contacts/{key}")) == (404, "1005")


# --- changing -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ({"name": "Beto"}, {"name": "Beto"}),
        ({"name": None}, {"name": ""}),
        ({"lastName": "Pérez"}, {"lastName": "Pérez"}),
        ({"email": "b@example.org"}, {"email": "b@example.org"}),
        ({"status": "BLOCKED"}, {"status": "BLOCKED"}),
        ({"status": "inactive"}, {"status": "INACTIVE"}),
        ({"birthDate": "2000-02-29"}, {"birthDate": "2000-02-29"}),
        ({"birthDate": None}, {"birthDate": None}),
        ({"phone": "+57 300 123 4567"}, {"phone": "+57 300 123 4567", "e164": "+573001234567"}),
        ({"phone": "3007654321"}, {"phone": "3007654321", "e164": "+573007654321"}),
        (
            {"phone": "5512345678", "country": "MX"},
            {"phone": "5512345678", "country": "MX", "countryCode": "52", "e164": "+525512345678"},
        ),
        (
            {"phone": "5512345678", "countryCode": "52"},
            {"phone": "5512345678", "country": "MX", "countryCode": "52", "e164": "+525512345678"},
        ),
        ({"id": str(uuid4()), "origin": "API", "organizationId": str(uuid4())}, {}),
        ({"e164": "+10000000000", "deletedAt": "2001-01-01T00:00:00Z"}, {}),
        ({}, {}),
    ],
)
def test_a_sender_changes_what_is_given_and_nothing_else(
    client_of: ClientOf,
    sara: Member,
    contact: Contact,
    body: dict[str, Any],
    shown: dict[str, Any],
) -> None:
    client = client_of(sara)
    before = client.get(url(contact)).json()

    answer = changed(client, contact, **body)

    assert answer.status_code == 200
    after = answer.json()
    if shown:
        assert after["updatedAt"] > before["updatedAt"]
    assert after == before | shown | {"updatedAt": after["updatedAt"]}
    assert client.get(url(contact)).json() == after


def test_the_own_country_says_how_the_number_is_read_and_can_be_taken_back(
    client_of: ClientOf, sara: Member, contact: Contact
) -> None:
    client = client_of(sara)
    Contact.objects.update(phone="5512345678", e164="", region="", refusal="invalid_number")

    mexican = changed(client, contact, country="MX").json()
    refused = changed(client, contact, countryCode="")

    assert (mexican["e164"], mexican["countryCode"]) == ("+525512345678", "52")
    assert told(refused) == (400, "2004")  # in Colombia it is no number
    contact.refresh_from_db()
    assert contact.country == "MX"


def test_what_a_client_read_it_may_send_back(
    client_of: ClientOf, sara: Member, contact: Contact, acme: Organization
) -> None:
    contact.tags.add(TagFactory.create(organization=acme))
    client = client_of(sara)
    before = client.get(url(contact)).json()

    after = client.patch(url(contact), before, format="json").json()

    assert after == before | {"updatedAt": after["updatedAt"]}


def test_tags_are_replaced_all_at_once(
    client_of: ClientOf, sara: Member, contact: Contact, acme: Organization
) -> None:
    first, second = TagFactory.create_batch(2, organization=acme)
    contact.tags.add(first)
    client = client_of(sara)

    other = changed(client, contact, tagIds=[str(second.pk)]).json()
    named = changed(client, contact, name="x").json()
    none = changed(client, contact, tagIds=[]).json()

    assert [[tag["id"] for tag in body["tags"]] for body in (other, named, none)] == [
        [str(second.pk)],
        [str(second.pk)],
        [],
    ]


def test_the_change_is_recorded_by_the_names_of_the_fields_that_differ(
    client_of: ClientOf, sara: Member, contact: Contact
) -> None:
    client = client_of(sara)

    changed(client, contact, name="Beto", status="ACTIVE", tagIds=[])
    changed(client, contact, name="Beto")

    entry = AuditEntry.objects.get(act="contact.changed")
    assert (entry.subject, entry.member) == (f"contact:{contact.pk}", sara)
    assert entry.details == {"fields": ["name", "tags"]}


def test_a_number_that_another_contact_has_is_2003(
    client_of: ClientOf, sara: Member, contact: Contact, acme: Organization
) -> None:
    first = ContactFactory.create(organization=acme, phone="+573009999999")

    answer = changed(client_of(sara), contact, phone="300 999 9999", name="x")

    assert told(answer) == (409, "2003")
    assert str(first.pk) in answer.json()["message"]
    contact.refresh_from_db()
    assert (contact.phone, contact.name) == ("300 123 4567", "Ana")


def test_numbers_that_came_together_later_hinder_no_other_change(
    client_of: ClientOf, sara: Member, contact: Contact, acme: Organization
) -> None:
    ContactFactory.create(organization=acme, phone="+573001234567")
    client = client_of(sara)

    assert changed(client, contact, name="x").status_code == 200
    assert changed(client, contact, phone="+57 3001234567").status_code == 200


def test_a_number_that_cannot_be_read_hinders_no_other_change(
    client_of: ClientOf, sara: Member, acme: Organization
) -> None:
    contact = ContactFactory.create(organization=acme, phone="123")
    client = client_of(sara)

    assert changed(client, contact, phone="123", status="BLOCKED").status_code == 200
    assert told(changed(client, contact, phone="1234")) == (400, "2004")


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({"phone": None}, "phone", "4000"),
        ({"phone": ""}, "phone", "2004"),
        ({"phone": "x"}, "phone", "2004"),
        ({"status": ""}, "status", "4000"),
        ({"country": "XX"}, "country", "4002"),
        ({"email": "x"}, "email", "4000"),
        ({"birthDate": "x"}, "birthDate", "4000"),
        ({"tagIds": None}, "tagIds", "4000"),
    ],
)
def test_a_field_that_is_wrong_is_named(
    client_of: ClientOf,
    sara: Member,
    contact: Contact,
    body: dict[str, Any],
    field: str,
    code: str,
) -> None:
    answer = changed(client_of(sara), contact, **body)

    assert told(answer) == (400, code)
    assert fields(answer) == {field}


def test_anothers_tag_is_404_and_changes_nothing(
    client_of: ClientOf, sara: Member, contact: Contact, borealis: Organization
) -> None:
    foreign = TagFactory.create(organization=borealis)

    answer = changed(client_of(sara), contact, name="x", tagIds=[str(foreign.pk)])

    assert told(answer) == (404, "1005")
    contact.refresh_from_db()
    assert contact.name == "Ana"
    assert not contact.tags.exists()


# --- deleting -------------------------------------------------------------------------------------
def test_it_leaves_every_list_and_its_messages_and_opt_out_stay(
    client_of: ClientOf, sara: Member, contact: Contact, acme: Organization
) -> None:
    message = MessageFactory.create(broadcast=BroadcastFactory.create(member=sara), contact=contact)
    suppressions.add(organization=acme, recipient="+573001234567", source="MEMBER")
    client = client_of(sara)

    answer = client.delete(url(contact))

    assert answer.status_code == 200
    assert answer.json() == {
        "message": "The contact was deleted. Its messages stay.",
        "deletedContactId": str(contact.pk),
    }
    contact.refresh_from_db()
    assert contact.deleted_at is not None
    assert Message.objects.get(pk=message.pk).contact_id == contact.pk
    assert Suppression.objects.count() == 1
    assert told(client.get(url(contact))) == (404, "2000")
    assert told(client.delete(url(contact))) == (404, "2000")
    assert client.get("/api/contacts").json()["data"] == []
    entry = AuditEntry.objects.get(act="contact.removed")
    assert (entry.subject, entry.member) == (f"contact:{contact.pk}", sara)


# --- who ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["patch", "delete"])
def test_a_viewer_changes_nothing(
    client_of: ClientOf, vera: Member, contact: Contact, method: str
) -> None:
    client = client_of(vera)

    with nothing_happens():
        assert told(getattr(client, method)(url(contact), {"name": "x"}, format="json")) == (
            403,
            "1003",
        )
    contact.refresh_from_db()
    assert (contact.name, contact.deleted_at) == ("Ana", None)


@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_who_has_no_organization_or_no_credentials_is_refused(
    client_of: ClientOf, root: Member, contact: Contact, anonymous: APIClient, method: str
) -> None:
    assert told(getattr(client_of(root), method)(url(contact))) == (403, "1003")
    assert told(getattr(anonymous, method)(url(contact))) == (401, "1002")


@pytest.mark.parametrize("method", ["put", "post"])
def test_a_wrong_method_is_405(
    client_of: ClientOf, sara: Member, contact: Contact, method: str
) -> None:
    assert told(getattr(client_of(sara), method)(url(contact), {}, format="json")) == (405, "4040")


def test_another_content_type_is_415(client_of: ClientOf, sara: Member, contact: Contact) -> None:
    answer = client_of(sara).patch(url(contact), "name=x", content_type="text/plain")

    assert told(answer) == (415, "4041")

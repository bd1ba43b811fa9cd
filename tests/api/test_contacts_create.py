"""POST /api/contacts."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from accounts.models import AuditEntry, Member, Organization
from contacts.models import Contact
from tests.api.refusals import fields, told
from tests.api.test_contacts import FIELDS, URL
from tests.contacts.factories import ContactFactory, TagFactory
from tests.people import ClientOf

pytestmark = pytest.mark.django_db


def posted(client: APIClient, **body: Any) -> Any:
    return client.post(URL, body, format="json")


# --- adding ---------------------------------------------------------------------------------------
def test_a_sender_adds_a_contact_with_every_field(
    client_of: ClientOf, sara: Member, acme: Organization
) -> None:
    tags = TagFactory.create_batch(2, organization=acme)

    answer = posted(
        client_of(sara),
        phone=" (300) 123-4567 ",
        country="CO",
        countryCode="57",
        name="  Ana María ",
        lastName="Londoño",
        email="ana@example.org",
        status="inactive",
        birthDate="1990-05-17",
        tagIds=[str(tag.pk) for tag in tags],
    )

    body = answer.json()
    assert answer.status_code == 201
    assert set(body) == FIELDS
    contact = Contact.objects.get()
    assert (contact.organization, contact.origin, contact.country) == (acme, "API", "CO")
    assert (contact.e164, contact.read_as, contact.region) == ("+573001234567", "", "CO")
    assert set(contact.tags.all()) == set(tags)
    assert {tag["id"] for tag in body.pop("tags")} == {str(tag.pk) for tag in tags}
    assert body == {
        "id": str(contact.pk),
        "name": "Ana María",
        "lastName": "Londoño",
        "email": "ana@example.org",
        "phone": "(300) 123-4567",
        "countryCode": "57",
        "country": "CO",
        "e164": "+573001234567",
        "status": "INACTIVE",
        "origin": "API",
        "birthDate": "1990-05-17",
        "organizationId": str(acme.pk),
        "createdAt": body["createdAt"],
        "updatedAt": body["updatedAt"],
        "deletedAt": None,
    }
    for moment in ("createdAt", "updatedAt"):
        at = datetime.fromisoformat(body[moment])
        assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)


def test_the_phone_alone_is_needed(client_of: ClientOf, sara: Member) -> None:
    body = posted(client_of(sara), phone="+573001234567").json()

    assert {body[name] for name in ("name", "lastName", "email")} == {""}
    assert (body["status"], body["birthDate"], body["tags"]) == ("ACTIVE", None, [])
    assert (body["countryCode"], body["country"]) == ("57", "CO")


def test_null_says_that_nothing_is_known(client_of: ClientOf, sara: Member) -> None:
    nothing = dict.fromkeys(["name", "lastName", "email", "country", "countryCode", "birthDate"])

    answer = posted(client_of(sara), phone="+573001234567", **nothing)

    assert answer.status_code == 201
    contact = Contact.objects.get()
    assert (contact.name, contact.last_name, contact.email, contact.country) == ("", "", "", "")


@pytest.mark.parametrize(
    ("given", "e164", "country"),
    [
        ({"phone": "3001234567"}, "+573001234567", "CO"),  # the organization's country
        ({"phone": "+57 300-123.4567"}, "+573001234567", "CO"),
        ({"phone": "0057 (300) 1234567"}, "+573001234567", "CO"),
        (
            {"phone": "\u0663\u0660\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667"},
            "+573001234567",
            "CO",
        ),
        ({"phone": "\uff15\uff15 1234 5678", "country": "MX"}, "+525512345678", "MX"),
        ({"phone": "5512345678", "country": "mx"}, "+525512345678", "MX"),
        ({"phone": "5512345678", "country": "52"}, "+525512345678", "MX"),
        ({"phone": "5512345678", "countryCode": "52"}, "+525512345678", "MX"),
        ({"phone": "5512345678", "countryCode": "+52"}, "+525512345678", "MX"),
        ({"phone": "5512345678", "countryCode": "57", "country": "MX"}, "+525512345678", "MX"),
        ({"phone": "5512345678", "countryCode": "52", "country": ""}, "+525512345678", "MX"),
        ({"phone": "5512345678", "countryCode": "52", "country": None}, "+525512345678", "MX"),
        ({"phone": "6135550123", "country": "CA"}, "+16135550123", "CA"),
        ({"phone": "+573001234567", "country": "MX"}, "+573001234567", "CO"),  # it says its own
        ({"phone": "+19002345678"}, "+19002345678", "US"),  # kept; broadcasts skip it
    ],
)
def test_the_number_is_read_with_the_contacts_country_else_the_organizations(
    client_of: ClientOf, sara: Member, given: dict[str, str], e164: str, country: str
) -> None:
    body = posted(client_of(sara), **given).json()

    assert (body["e164"], body["country"], body["phone"]) == (e164, country, given["phone"])
    assert body["countryCode"] == {"CO": "57", "MX": "52"}.get(country, "1")


@pytest.mark.parametrize("key", ["tagIds", "tags"])
def test_tags_are_named_by_their_ids(
    client_of: ClientOf, sara: Member, acme: Organization, key: str
) -> None:
    tag = TagFactory.create(organization=acme)

    body = posted(client_of(sara), phone="3001234567", **{key: [str(tag.pk)]}).json()

    assert [one["id"] for one in body["tags"]] == [str(tag.pk)]


def test_tags_may_be_given_as_they_are_shown_and_their_ids_count_before_them(
    client_of: ClientOf, sara: Member, acme: Organization
) -> None:
    first, second = TagFactory.create_batch(2, organization=acme)
    client = client_of(sara)
    shown = client.get("/api/tags").json()["data"]

    body = posted(client, phone="3001234567", tags=shown).json()
    both = posted(client, phone="3001234568", tags=shown, tagIds=[str(first.pk)]).json()

    assert {tag["id"] for tag in body["tags"]} == {str(first.pk), str(second.pk)}
    assert {tag["id"] for tag in both["tags"]} == {str(first.pk)}


def test_what_is_not_the_clients_to_say_has_no_effect(
    client_of: ClientOf, sara: Member, acme: Organization, borealis: Organization
) -> None:
    answer = posted(
        client_of(sara),
        phone="3001234567",
        id=str(uuid4()),
        organization=str(borealis.pk),
        organizationId=str(borealis.pk),
        origin="IMPORT",
        e164="+10000000000",
        refusal="invalid_number",
        createdAt="2001-01-01T00:00:00Z",
        deletedAt="2001-01-01T00:00:00Z",
    )

    contact = Contact.objects.get()
    assert answer.status_code == 201
    assert (contact.organization, contact.origin, contact.deleted_at) == (acme, "API", None)
    assert (contact.e164, contact.refusal) == ("+573001234567", "")
    assert contact.created_at.year > 2001


def test_adding_is_recorded_without_what_it_is_about(
    client_of: ClientOf, sara: Member, acme: Organization
) -> None:
    body = posted(client_of(sara), phone="3001234567", name="Ana", email="a@example.org").json()

    entry = AuditEntry.objects.get(act="contact.added")
    assert (entry.subject, entry.member, entry.organization) == (
        f"contact:{body['id']}",
        sara,
        acme,
    )
    assert entry.details == {}


# --- refusals -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "phone",
    ["123", "", "   ", "call me", "+", "300 123 4567 x5", "9" * 65, "+57300123456789012345"],
)
def test_a_number_that_is_none_is_2004(client_of: ClientOf, sara: Member, phone: str) -> None:
    answer = posted(client_of(sara), phone=phone)

    assert told(answer) == (400, "2004")
    assert fields(answer) == {"phone"}
    assert not Contact.objects.exists()


def test_a_national_number_needs_a_country_from_somewhere(
    client_of: ClientOf, sara: Member
) -> None:
    Organization.objects.update(country="")
    client = client_of(sara)

    refused = posted(client, phone="3001234567")

    assert told(refused) == (400, "2004")
    assert "give the contact or your organization a country" in refused.json()["message"]
    assert posted(client, phone="3001234567", country="CO").status_code == 201


@pytest.mark.parametrize("phone", ["+573001234567", "300 123 4567", "0057-300-1234567"])
def test_a_number_that_another_contact_has_is_2003_and_says_which(
    client_of: ClientOf, sara: Member, acme: Organization, phone: str
) -> None:
    first = ContactFactory.create(organization=acme, phone="+57 3001234567")

    answer = posted(client_of(sara), phone=phone)

    assert told(answer) == (409, "2003")
    assert str(first.pk) in answer.json()["message"]
    assert Contact.objects.count() == 1


def test_a_deleted_contacts_number_and_another_organizations_are_free(
    client_of: ClientOf, sara: Member, acme: Organization, borealis: Organization
) -> None:
    ContactFactory.create(organization=borealis, phone="+573001234567")
    ContactFactory.create(organization=acme, phone="+573001234567", deleted_at=datetime.now(UTC))

    assert posted(client_of(sara), phone="3001234567").status_code == 201


@pytest.mark.parametrize("whose", ["foreign", "nobodys"])
def test_a_tag_that_is_not_the_organizations_is_404(
    client_of: ClientOf, sara: Member, borealis: Organization, whose: str
) -> None:
    tag_id = TagFactory.create(organization=borealis).pk if whose == "foreign" else uuid4()

    answer = posted(client_of(sara), phone="3001234567", tagIds=[str(tag_id)])

    assert told(answer) == (404, "1005")
    assert str(tag_id) in answer.json()["message"]
    assert not Contact.objects.exists()


@pytest.mark.parametrize(
    ("body", "field", "code"),
    [
        ({}, "phone", "4000"),
        ({"phone": None}, "phone", "4000"),
        ({"phone": 3001234567}, "phone", "4000"),
        ({"phone": ["3001234567"]}, "phone", "4000"),
        ({"country": "XX"}, "country", "4002"),
        ({"country": "Colombia"}, "country", "4002"),
        ({"countryCode": "999"}, "countryCode", "4002"),
        ({"countryCode": 57}, "countryCode", "4000"),
        ({"status": "GONE"}, "status", "4000"),
        ({"status": None}, "status", "4000"),
        ({"birthDate": "17/05/1990"}, "birthDate", "4000"),
        ({"birthDate": "1990-02-30"}, "birthDate", "4000"),
        ({"birthDate": "1899-12-31"}, "birthDate", "4000"),
        ({"birthDate": "2999-01-01"}, "birthDate", "4000"),
        ({"email": "ana"}, "email", "4000"),
        ({"email": "ana@example.org\nBcc: x@example.org"}, "email", "4000"),
        ({"name": "x" * 201}, "name", "4000"),
        ({"tagIds": "x"}, "tagIds", "4000"),
        ({"tagIds": ["x"]}, "tagIds.0", "4000"),
        ({"tagIds": [1]}, "tagIds.0", "4000"),
        ({"tags": [{"name": "VIP"}]}, "tags.0", "4000"),
        ({"tagIds": [str(uuid4())] * 101}, "tagIds", "4000"),
    ],
)
def test_a_field_that_is_wrong_is_named(
    client_of: ClientOf, sara: Member, body: dict[str, Any], field: str, code: str
) -> None:
    answer = posted(client_of(sara), **({"phone": "3001234567"} | body if body else body))

    assert told(answer) == (400, code)
    assert fields(answer) == {field}
    assert not Contact.objects.exists()


def test_a_viewer_reads_and_adds_nothing(client_of: ClientOf, vera: Member) -> None:
    client = client_of(vera)

    assert client.get(URL).status_code == 200
    assert told(posted(client, phone="3001234567")) == (403, "1003")
    # The role is asked before the body is read.
    assert told(client.post(URL, "{", content_type="application/json")) == (403, "1003")


def test_managing_contacts_needs_no_terms(client_of: ClientOf, beto: Member) -> None:
    assert posted(client_of(beto), phone="3001234567").status_code == 201


def test_a_platform_superuser_has_no_contacts(client_of: ClientOf, root: Member) -> None:
    assert told(client_of(root).get(URL)) == (403, "1003")
    assert told(posted(client_of(root), phone="3001234567")) == (403, "1003")


def test_without_credentials_it_is_401(anonymous: APIClient) -> None:
    assert told(anonymous.get(URL)) == (401, "1002")
    assert told(posted(anonymous, phone="3001234567")) == (401, "1002")


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_a_wrong_method_is_405(client_of: ClientOf, sara: Member, method: str) -> None:
    assert told(getattr(client_of(sara), method)(URL, {}, format="json")) == (405, "4040")


def test_another_content_type_is_415(client_of: ClientOf, sara: Member) -> None:
    answer = client_of(sara).post(URL, {"phone": "3001234567"})

    assert told(answer) == (415, "4041")

"""GET /api/contacts."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.models import Member, Organization
from contacts.models import Contact
from tests.api.refusals import fields, told
from tests.contacts.factories import ContactFactory, TagFactory
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/contacts"
FIELDS = {
    "id",
    "name",
    "lastName",
    "email",
    "phone",
    "countryCode",
    "country",
    "e164",
    "status",
    "origin",
    "birthDate",
    "tags",
    "organizationId",
    "createdAt",
    "updatedAt",
    "deletedAt",
}


def names(answer: Any) -> list[str]:
    """Return the names in the list, in its order."""
    assert answer.status_code == 200, answer.json()
    return [contact["name"] for contact in answer.json()["data"]]


# --- the list -------------------------------------------------------------------------------------
def test_it_lists_the_own_contacts_newest_first_with_every_field(
    client_of: ClientOf, vera: Member, acme: Organization, borealis: Organization
) -> None:
    tag = TagFactory.create(organization=acme, name="VIP", description="First", color="#112233")
    older = ContactFactory.create(
        organization=acme,
        name="Ana",
        last_name="Londoño",
        email="ana@example.org",
        phone="300 123 4567",
        birth_date="1990-05-17",
        created_at=datetime(2026, 1, 31, 12, 0, 0, 123456, UTC),
    )
    older.tags.add(tag)
    ContactFactory.create(organization=acme, name="Beto")
    ContactFactory.create(organization=borealis, name="Foreign")

    answer = client_of(vera).get(URL)

    assert names(answer) == ["Beto", "Ana"]
    ana = answer.json()["data"][1]
    assert set(ana) == FIELDS
    assert ana == {
        "id": str(older.pk),
        "name": "Ana",
        "lastName": "Londoño",
        "email": "ana@example.org",
        "phone": "300 123 4567",
        "countryCode": "57",
        "country": "CO",
        "e164": "+573001234567",
        "status": "ACTIVE",
        "origin": "ADMIN",
        "birthDate": "1990-05-17",
        "tags": [
            {
                "id": str(tag.pk),
                "name": "VIP",
                "description": "First",
                "color": "#112233",
                "organizationId": str(acme.pk),
                "createdAt": ana["tags"][0]["createdAt"],
                "updatedAt": ana["tags"][0]["updatedAt"],
            }
        ],
        "organizationId": str(acme.pk),
        "createdAt": "2026-01-31T12:00:00.123Z",
        "updatedAt": ana["updatedAt"],
        "deletedAt": None,
    }
    assert len(ana["updatedAt"]) == len("2026-01-31T12:00:00.123Z")


def test_both_wrappers_tell_the_same(client_of: ClientOf, vera: Member, acme: Organization) -> None:
    ContactFactory.create_batch(5, organization=acme)

    body = client_of(vera).get(URL, {"limit": "2", "page": "2"}).json()

    assert len(body["data"]) == 2
    assert body["meta"] | {"next": ""} == {
        "currentPage": 2,
        "limit": 2,
        "totalPages": 3,
        "totalRecords": 5,
        "hasNextPage": True,
        "hasPreviousPage": True,
        "estimated": False,
        "next": "",
    }
    assert body["pagination"] == {
        "currentPage": 2,
        "totalPages": 3,
        "totalItems": 5,
        "itemsPerPage": 2,
        "hasNextPage": True,
        "hasPreviousPage": True,
    }
    assert len(client_of(vera).get(URL, {"after": body["meta"]["next"]}).json()["data"]) == 1


def test_the_deleted_are_in_no_list(client_of: ClientOf, vera: Member, acme: Organization) -> None:
    ContactFactory.create(organization=acme, deleted_at=datetime.now(UTC))

    body = client_of(vera).get(URL).json()

    assert (body["data"], body["meta"]["totalRecords"]) == ([], 0)


def test_a_page_asks_the_database_the_same_however_many_contacts_it_shows(
    client_of: ClientOf,
    vera: Member,
    acme: Organization,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    tags = TagFactory.create_batch(3, organization=acme)
    for contact in ContactFactory.create_batch(30, organization=acme):
        contact.tags.set(tags)
    client = client_of(vera)

    with django_assert_max_num_queries(7):
        client.get(URL, {"limit": "100"})


FILTERS = [
    ({"status": "BLOCKED"}, {"Blocked"}),
    ({"status": "blocked"}, {"Blocked"}),
    ({"status": ""}, {"Blocked", "American", "Canadian", "Tagged", "Twice", "Invalid"}),
    ({"origin": "API"}, {"American"}),
    ({"origin": "api"}, {"American"}),
    ({"countryCode": "57"}, {"Blocked", "Tagged", "Twice"}),
    ({"countryCode": "+57"}, {"Blocked", "Tagged", "Twice"}),
    ({"countryCode": "CO"}, {"Blocked", "Tagged", "Twice"}),
    ({"countryCode": "1"}, {"American", "Canadian"}),
    ({"countryCode": "us"}, {"American"}),
    ({"countryCode": "SE"}, set()),
    ({"search": "tag"}, {"Tagged"}),
    ({"search": "+1202"}, {"American"}),
    ({"search": "3001234567"}, {"Tagged"}),
    ({"search": "perez"}, {"Twice"}),
    ({"search": "nobody"}, set()),
    ({"tagIds": "{vip}"}, {"Tagged", "Twice"}),
    ({"tagIds": "{vip},{lead}"}, {"Tagged", "Twice"}),
    ({"tagIds": ["{vip}", "{lead}"]}, {"Tagged", "Twice"}),
    ({"tagIds": "{lead}"}, {"Twice"}),
    ({"tagIds": "{foreign}"}, set()),
    ({"tagIds": "{nobodys}"}, set()),
    ({"tagIds": "{vip}", "search": "pér"}, {"Twice"}),
    ({"status": "ACTIVE", "countryCode": "1", "origin": "API"}, {"American"}),
    ({"ordering": "organization__email", "unknown": "x"}, None),
]


@pytest.mark.parametrize(("query", "found"), FILTERS)
def test_what_the_filters_find(
    client_of: ClientOf,
    vera: Member,
    acme: Organization,
    borealis: Organization,
    query: dict[str, Any],
    found: set[str] | None,
) -> None:
    ids = {
        "vip": TagFactory.create(organization=acme),
        "lead": TagFactory.create(organization=acme),
        "foreign": TagFactory.create(organization=borealis),
    }
    ContactFactory.create(organization=acme, name="Blocked", status="BLOCKED")
    ContactFactory.create(organization=acme, name="American", phone="+12025550123", origin="API")
    ContactFactory.create(organization=acme, name="Canadian", phone="+16135550123")
    ContactFactory.create(organization=acme, name="Invalid", phone="123")
    ContactFactory.create(organization=acme, name="Tagged", phone="3001234567").tags.add(ids["vip"])
    twice = ContactFactory.create(organization=acme, name="Twice", last_name="Pérez")
    twice.tags.add(ids["vip"], ids["lead"])
    ContactFactory.create(organization=borealis, name="Foreign").tags.add(ids["foreign"])
    given = {name: str(tag.pk) for name, tag in ids.items()} | {"nobodys": str(uuid4())}
    query = {
        name: [one.format(**given) for one in value]
        if isinstance(value, list)
        else value.format(**given)
        for name, value in query.items()
    }

    answer = client_of(vera).get(URL, query)

    assert sorted(names(answer)) == sorted(found if found is not None else FILTERS[2][1] or ())
    assert answer.json()["meta"]["totalRecords"] == len(names(answer))


@pytest.mark.parametrize(
    ("query", "field", "code"),
    [
        ({"status": "GONE"}, "status", "4000"),
        ({"status": "\u017factive"}, "status", "4000"),
        ({"origin": "x"}, "origin", "4000"),
        ({"tagIds": "x"}, "tagIds.0", "4000"),
        ({"tagIds": "1"}, "tagIds.0", "4000"),
        ({"countryCode": "999"}, "countryCode", "4002"),
        ({"countryCode": "Colombia"}, "countryCode", "4002"),
        ({"limit": "101"}, "limit", "4000"),
        ({"page": "0"}, "page", "4000"),
        ({"page": "501"}, "page", "4000"),
        ({"after": "x"}, "after", "4000"),
    ],
)
def test_a_filter_that_means_nothing_is_400(
    client_of: ClientOf, vera: Member, query: dict[str, str], field: str, code: str
) -> None:
    answer = client_of(vera).get(URL, query)

    assert told(answer) == (400, code)
    assert fields(answer) == {field}


# --- refusals -------------------------------------------------------------------------------------
def test_who_has_no_organization_or_no_credentials_is_refused(
    client_of: ClientOf, root: Member, anonymous: APIClient
) -> None:
    assert told(client_of(root).get(URL)) == (403, "1003")
    assert told(anonymous.get(URL)) == (401, "1002")


# --- at a million contacts ------------------------------------------------------------------------
def test_a_rare_origin_or_country_is_found_from_the_index(acme: Organization) -> None:
    Contact.objects.bulk_create(
        Contact(organization=acme, phone=f"+573{i:09}", e164=f"+573{i:09}", region="CO")
        for i in range(5000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE contacts_contact")
    living = Contact.objects.living().filter(organization=acme).order_by("-created_at", "-id")

    for rare in ({"origin": "API"}, {"region": "MX"}):
        assert "contacts_contact_kinds" in living.filter(**rare)[:21].explain()

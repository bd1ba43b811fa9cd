"""GET /api/contacts/count."""

from datetime import UTC, datetime

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.models import Member, Organization
from tests.api.refusals import fields, told
from tests.contacts.factories import ContactFactory, TagFactory
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/contacts/count"


def test_it_counts_the_own_living_contacts(
    client_of: ClientOf,
    vera: Member,
    acme: Organization,
    borealis: Organization,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    ContactFactory.create_batch(3, organization=acme)
    ContactFactory.create(organization=acme, deleted_at=datetime.now(UTC))
    ContactFactory.create(organization=borealis)
    client = client_of(vera)

    with django_assert_max_num_queries(3):
        answer = client.get(URL)

    assert (answer.status_code, answer.json()) == (200, {"total": 3})


@pytest.mark.parametrize(
    ("query", "total"),
    [
        ({}, 3),
        ({"status": "BLOCKED"}, 1),
        ({"search": "ana"}, 1),
        ({"tagIds": "{tag}"}, 2),
        ({"countryCode": "1"}, 1),
        ({"origin": "IMPORT"}, 0),
    ],
)
def test_it_takes_the_lists_filters(
    client_of: ClientOf, vera: Member, acme: Organization, query: dict[str, str], total: int
) -> None:
    tag = TagFactory.create(organization=acme)
    for contact in (
        ContactFactory.create(organization=acme, name="Ana"),
        ContactFactory.create(organization=acme, status="BLOCKED"),
    ):
        contact.tags.add(tag)
    ContactFactory.create(organization=acme, phone="+12025550123")

    answer = client_of(vera).get(
        URL, {name: value.format(tag=tag.pk) for name, value in query.items()}
    )

    assert answer.json() == {"total": total}


def test_refusals(client_of: ClientOf, vera: Member, root: Member, anonymous: APIClient) -> None:
    wrong = client_of(vera).get(URL, {"status": "x"})

    assert told(wrong) == (400, "4000")
    assert fields(wrong) == {"status"}
    assert told(client_of(root).get(URL)) == (403, "1003")
    assert told(anonymous.get(URL)) == (401, "1002")
    assert told(client_of(vera).post(URL, {}, format="json")) == (405, "4040")

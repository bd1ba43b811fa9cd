"""S16: ids that come in filters, headers and bodies reach nothing of another organization."""

from collections.abc import Callable
from typing import Any, Final

import pytest
from rest_framework.test import APIClient

from accounts.models import Member, Organization
from contacts.models import Contact, Tag
from messaging.models import Broadcast
from tests.messaging.factories import contacts_in_order, grant, sent_broadcast
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

SEND: Final = "/api/messages/sms/all"


@pytest.fixture
def both(acme: Organization, borealis: Organization) -> None:
    """Each organization has the same person, and credits of its own."""
    for house in (acme, borealis):
        contacts_in_order(house, "+573001234567")
        grant(house, 10)


@pytest.mark.usefixtures("both")
def test_S16_an_idempotency_key_is_its_organizations_own(
    client_of: ClientOf, ana: Member, carla: Member
) -> None:
    body, name = {"message": "Hola"}, {"idempotency-key": "newsletter"}

    answers = [
        client_of(member).post(SEND, body, format="json", headers=name) for member in (ana, carla)
    ]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert Broadcast.objects.count() == 2
    assert not any("Idempotent-Replayed" in answer for answer in answers)


@pytest.mark.usefixtures("both")
def test_S16_the_request_limit_is_its_organizations_own(
    client_of: ClientOf, ana: Member, carla: Member
) -> None:
    anas, carlas = client_of(ana), client_of(carla)
    anas.get("/api/auth/me")

    assert carlas.get("/api/auth/me")["RateLimit-Remaining"] == "99"


# Filters that name a row, each with a row of the other organization.
FILTERS: Final[dict[str, Callable[[Member], str]]] = {
    "/api/messages?queueId={}": lambda carla: str(Broadcast.objects.get(member=carla).pk),
    "/api/messages?contactId={}": lambda carla: str(
        Contact.objects.filter(organization=carla.organization)[0].pk
    ),
    "/api/contacts?tagIds={}": lambda carla: str(
        Tag.objects.get(organization=carla.organization).pk
    ),
    "/api/messages/queues?member={}": lambda carla: str(carla.pk),
}


def found(answer: Any) -> list[Any]:
    """Return the rows of a list; a filter that is refused finds none."""
    assert answer.status_code in (200, 400, 404)
    rows: list[Any] = answer.json()["data"] if answer.status_code == 200 else []
    return rows


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize("address", FILTERS)
def test_S16_a_filter_by_anothers_id_finds_nothing(
    client_of: ClientOf, ana: Member, carla: Member, borealis: Organization, address: str
) -> None:
    tag = Tag.objects.create(organization=borealis, name="VIP")
    contacts = Contact.objects.filter(organization=borealis)
    contacts[0].tags.add(tag)
    sent_broadcast(carla)
    asked = address.format(FILTERS[address](carla))

    assert found(client_of(ana).get(asked)) == []
    assert found(client_of(carla).get(asked)) != []


@pytest.mark.usefixtures("both")
@pytest.mark.parametrize(
    ("address", "body"),
    [
        ("/api/messages/sms/tags", {"message": "Hola", "tagIds": ["{tag}"]}),
        ("/api/contacts", {"phone": "+573001234569", "tagIds": ["{tag}"]}),
    ],
)
def test_S16_a_body_that_names_anothers_tag_does_nothing(
    client_of: ClientOf,
    ana: Member,
    borealis: Organization,
    address: str,
    body: dict[str, Any],
) -> None:
    tag = Tag.objects.create(organization=borealis, name="VIP")
    before = Contact.objects.count(), Broadcast.objects.count()
    named = {**body, "tagIds": [str(tag.pk)]}

    client: APIClient = client_of(ana)
    answer = client.post(address, named, format="json")

    assert answer.status_code in (400, 404)
    assert (Contact.objects.count(), Broadcast.objects.count()) == before

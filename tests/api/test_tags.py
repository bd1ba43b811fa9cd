"""/api/tags, /api/tags/with-counts and /api/tags/{id}."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.models import AuditEntry, Member, Organization
from contacts.models import Contact, Tag
from tests.api.refusals import fields, nothing_happens, told
from tests.contacts.factories import ContactFactory, TagFactory
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/tags"
COUNTED = "/api/tags/with-counts"
FIELDS = {"id", "name", "description", "color", "organizationId", "createdAt", "updatedAt"}


def url(tag: Tag) -> str:
    return f"{URL}/{tag.pk}"


# --- lists ----------------------------------------------------------------------------------------
def test_it_lists_the_own_tags_newest_first(
    client_of: ClientOf, vera: Member, acme: Organization, borealis: Organization
) -> None:
    first = TagFactory.create(
        organization=acme,
        name="VIP",
        description="First",
        color="#112233",
        created_at=datetime(2026, 1, 31, 12, tzinfo=UTC),
    )
    TagFactory.create(organization=acme, name="Lead")
    TagFactory.create(organization=borealis)

    body = client_of(vera).get(URL).json()

    assert [tag["name"] for tag in body["data"]] == ["Lead", "VIP"]
    vip = body["data"][1]
    assert set(vip) == FIELDS
    assert vip == {
        "id": str(first.pk),
        "name": "VIP",
        "description": "First",
        "color": "#112233",
        "organizationId": str(acme.pk),
        "createdAt": "2026-01-31T12:00:00.000Z",
        "updatedAt": vip["updatedAt"],
    }
    assert body["meta"]["totalRecords"] == body["pagination"]["totalItems"] == 2
    assert client_of(vera).get(URL, {"limit": 1, "page": 2}).json()["data"] == [vip]


def test_it_counts_the_living_contacts_of_each(
    client_of: ClientOf, vera: Member, acme: Organization, borealis: Organization
) -> None:
    tags = TagFactory.create_batch(3, organization=acme)
    foreign = TagFactory.create(organization=borealis)
    ContactFactory.create(organization=borealis).tags.add(foreign)
    ContactFactory.create(organization=acme).tags.add(*tags[:2])
    ContactFactory.create(organization=acme).tags.add(tags[0])
    ContactFactory.create(organization=acme, deleted_at=datetime.now(UTC)).tags.add(*tags)

    body = client_of(vera).get(COUNTED).json()

    assert set(body["data"][0]) == FIELDS | {"contactCount"}
    assert {tag["id"]: tag["contactCount"] for tag in body["data"]} == {
        str(tags[0].pk): 2,
        str(tags[1].pk): 1,
        str(tags[2].pk): 0,
    }
    assert body["meta"]["totalRecords"] == 3


@pytest.mark.parametrize("address", [URL, COUNTED])
def test_a_list_asks_the_database_the_same_however_many_tags_there_are(
    client_of: ClientOf,
    vera: Member,
    acme: Organization,
    django_assert_max_num_queries: DjangoAssertNumQueries,
    address: str,
) -> None:
    contact = ContactFactory.create(organization=acme)
    contact.tags.set(TagFactory.create_batch(30, organization=acme))
    client = client_of(vera)

    with django_assert_max_num_queries(5):
        client.get(address, {"limit": "100"})


@pytest.mark.parametrize("address", [URL, COUNTED])
def test_a_page_that_is_none_is_400(client_of: ClientOf, vera: Member, address: str) -> None:
    assert told(client_of(vera).get(address, {"page": "x"})) == (400, "4000")


# --- making ---------------------------------------------------------------------------------------
def test_a_sender_makes_a_tag(client_of: ClientOf, sara: Member, acme: Organization) -> None:
    answer = client_of(sara).post(
        URL,
        {"name": " VIP ", "description": "First", "color": "#AABBCC", "organizationId": "x"},
        format="json",
    )

    body, tag = answer.json(), Tag.objects.get()
    assert answer.status_code == 201
    assert set(body) == FIELDS
    assert (tag.organization, tag.name, tag.description) == (acme, "VIP", "First")
    assert (body["id"], body["name"], body["color"]) == (str(tag.pk), "VIP", "#AABBCC")
    entry = AuditEntry.objects.get(act="tag.added")
    assert (entry.subject, entry.member, entry.organization) == (f"tag:{tag.pk}", sara, acme)


def test_the_name_alone_is_needed(client_of: ClientOf, sara: Member) -> None:
    body = client_of(sara).post(URL, {"name": "VIP", "description": None}, format="json").json()

    assert (body["description"], body["color"]) == ("", "#7c3aed")


def test_a_name_is_unique_in_the_organization(
    client_of: ClientOf, sara: Member, acme: Organization, borealis: Organization
) -> None:
    TagFactory.create(organization=borealis, name="VIP")
    other = TagFactory.create(organization=acme, name="Lead")
    client = client_of(sara)

    made = client.post(URL, {"name": "VIP"}, format="json")
    again = client.post(URL, {"name": "VIP"}, format="json")
    renamed = client.patch(url(other), {"name": "VIP"}, format="json")

    assert made.status_code == 201
    for answer in (again, renamed):
        assert told(answer) == (400, "4000")
        assert fields(answer) == {"name"}
    assert Tag.objects.filter(organization=acme).count() == 2
    other.refresh_from_db()
    assert other.name == "Lead"


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"name": None}, "name"),
    ({"name": ""}, "name"),
    ({"name": "  "}, "name"),
    ({"name": 5}, "name"),
    ({"name": "x" * 101}, "name"),
    ({"description": "x" * 301}, "description"),
    ({"description": ["x"]}, "description"),
    ({"color": "red"}, "color"),
    ({"color": "#12345"}, "color"),
    ({"color": "#112233\n"}, "color"),
    ({"color": "#\uff11\uff112233"}, "color"),
    ({"color": None}, "color"),
    ({"color": 112233}, "color"),
]


@pytest.mark.parametrize(("body", "field"), [*WRONG, ({"name": ...}, "name")])
def test_a_field_that_is_wrong_is_named(
    client_of: ClientOf, sara: Member, body: dict[str, Any], field: str
) -> None:
    given = {name: value for name, value in ({"name": "VIP"} | body).items() if value is not ...}

    answer = client_of(sara).post(URL, given, format="json")

    if body == {"color": "#112233\n"}:
        assert answer.json()["color"] == "#112233"  # a break at the end was trimmed
        return
    assert told(answer) == (400, "4000")
    assert fields(answer) == {field}
    assert not Tag.objects.exists()


# --- one ------------------------------------------------------------------------------------------
def test_a_viewer_reads_one(client_of: ClientOf, vera: Member, acme: Organization) -> None:
    tag = TagFactory.create(organization=acme)
    client = client_of(vera)

    assert client.get(url(tag)).json() == client.get(URL).json()["data"][0]


def test_a_sender_changes_what_is_given(
    client_of: ClientOf, sara: Member, acme: Organization
) -> None:
    tag = TagFactory.create(organization=acme, name="VIP", description="First")
    client = client_of(sara)
    before = client.get(url(tag)).json()

    answer = client.patch(url(tag), {"color": "#000000", "id": str(uuid4())}, format="json")
    same = client.patch(url(tag), {"color": "#000000", "name": "VIP"}, format="json")

    after = answer.json()
    assert (answer.status_code, same.json()) == (200, after)
    assert after == before | {"color": "#000000", "updatedAt": after["updatedAt"]}
    assert after["updatedAt"] > before["updatedAt"]
    entry = AuditEntry.objects.get(act="tag.changed")
    assert (entry.subject, entry.details) == (f"tag:{tag.pk}", {"fields": ["color"]})


@pytest.mark.parametrize(
    ("body", "field"), [row for row in WRONG if row[0] != {"color": "#112233\n"}]
)
def test_a_wrong_change_is_named(
    client_of: ClientOf, sara: Member, acme: Organization, body: dict[str, Any], field: str
) -> None:
    tag = TagFactory.create(organization=acme)

    answer = client_of(sara).patch(url(tag), body, format="json")

    assert told(answer) == (400, "4000")
    assert fields(answer) == {field}


def test_deleting_takes_it_off_its_contacts_which_stay(
    client_of: ClientOf, sara: Member, acme: Organization
) -> None:
    tag, contact = TagFactory.create(organization=acme), ContactFactory.create(organization=acme)
    contact.tags.add(tag)
    client = client_of(sara)

    answer = client.delete(url(tag))

    assert answer.status_code == 200
    assert answer.json() == {
        "message": "The tag was deleted. Its contacts stay.",
        "id": str(tag.pk),
    }
    assert list(Contact.objects.living()) == [contact]
    assert not Tag.objects.exists()
    assert told(client.delete(url(tag))) == (404, "1005")
    entry = AuditEntry.objects.get(act="tag.removed")
    assert (entry.subject, entry.member, entry.organization) == (f"tag:{tag.pk}", sara, acme)


# --- who ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["get", "patch", "delete"])
def test_anothers_and_nobodys_are_alike_404(
    client_of: ClientOf, ana: Member, borealis: Organization, method: str
) -> None:
    foreign = TagFactory.create(organization=borealis, name="Secret")
    call = getattr(client_of(ana), method)

    answers = [call(url(foreign)), call(f"{URL}/{uuid4()}")]

    assert [told(answer) for answer in answers] == [(404, "1005")] * 2
    assert answers[0].json() == answers[1].json()
    assert Tag.objects.get().name == "Secret"


def test_a_viewer_changes_nothing(client_of: ClientOf, vera: Member, acme: Organization) -> None:
    tag = TagFactory.create(organization=acme)
    client = client_of(vera)

    with nothing_happens():
        for answer in (
            client.post(URL, {"name": "VIP"}, format="json"),
            client.patch(url(tag), {"name": "VIP"}, format="json"),
            client.delete(url(tag)),
        ):
            assert told(answer) == (403, "1003")
    assert list(Tag.objects.all()) == [tag]


@pytest.mark.parametrize("address", [URL, COUNTED, f"{URL}/17a95741-8785-4d9f-a546-ef9b67dc7760"])
def test_who_has_no_organization_or_no_credentials_is_refused(
    client_of: ClientOf, root: Member, anonymous: APIClient, address: str
) -> None:
    assert told(client_of(root).get(address)) == (403, "1003")
    assert told(anonymous.get(address)) == (401, "1002")


def test_wrong_methods_and_content_types(
    client_of: ClientOf, sara: Member, acme: Organization
) -> None:
    tag, client = TagFactory.create(organization=acme), client_of(sara)

    assert told(client.put(url(tag), {}, format="json")) == (405, "4040")
    assert told(client.delete(URL)) == (405, "4040")
    assert told(client.post(COUNTED, {}, format="json")) == (405, "4040")
    assert told(client.post(URL, {"name": "VIP"})) == (415, "4041")

"""GET, POST /api/api-keys and DELETE /api/api-keys/{id}: keys of programs."""

import re
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from accounts import api_keys
from accounts.models import ApiKey, AuditEntry, Member
from tests.api.refusals import fields, nothing_happens, told
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

ADDRESS = "/api/api-keys"
FIELDS = {
    "id",
    "key",
    "name",
    "organizationId",
    "memberId",
    "isActive",
    "lastUsedAt",
    "createdAt",
    "updatedAt",
}


def added(client: APIClient, name: str = "web shop") -> Any:
    return client.post(ADDRESS, {"name": name}, format="json")


def key_of_member(member: Member, name: str = "shop") -> ApiKey:
    key = ApiKey(name=name)
    api_keys.add(key=key, by=member)
    return key


# --- making one -----------------------------------------------------------------------------------
def test_S13_the_whole_key_is_shown_once_and_only_its_digest_is_kept(
    client_of: ClientOf, ana: Member
) -> None:
    client = client_of(ana)

    answer = added(client)

    body = answer.json()
    assert answer.status_code == 201
    assert answer["Cache-Control"] == "no-store"
    assert set(body) == FIELDS
    assert re.fullmatch(r"pregon_[\w-]{43}", body["key"])
    row = ApiKey.objects.get()
    assert body["key"] not in str(vars(row))
    assert body["key"] not in client.get(ADDRESS).content.decode()
    assert body["key"] not in str(AuditEntry.objects.values_list("details", flat=True))


def test_it_tells_whose_it_is(client_of: ClientOf, ana: Member) -> None:
    body = added(client_of(ana)).json()

    row = ApiKey.objects.get()
    assert (body["id"], body["name"]) == (str(row.pk), "web shop")
    assert (body["organizationId"], body["memberId"]) == (str(ana.organization_id), str(ana.pk))
    assert (body["isActive"], body["lastUsedAt"]) == (True, None)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["createdAt"])


def test_making_one_is_recorded(client_of: ClientOf, ana: Member) -> None:
    added(client_of(ana))

    entry = AuditEntry.objects.get(act="api_key.added")
    assert (entry.subject, entry.member_id) == (f"apikey:{ApiKey.objects.get().pk}", ana.pk)
    assert entry.address == "127.0.0.1"


def test_S19_whose_key_it_is_does_not_come_from_the_body(
    client_of: ClientOf, ana: Member, carla: Member
) -> None:
    given = {
        "id": str(uuid4()),
        "key": "pregon_chosen",
        "organizationId": str(carla.organization_id),
        "organization": str(carla.organization_id),
        "memberId": str(carla.pk),
        "member": str(carla.pk),
        "isActive": False,
        "prefix": "x",
        "digest": "x",
        "createdBy": str(carla.pk),
    }

    body = client_of(ana).post(ADDRESS, {"name": "shop", **given}, format="json").json()

    row = ApiKey.objects.get()
    assert (row.organization_id, row.member_id) == (ana.organization_id, ana.pk)
    assert row.is_active
    assert (body["id"] == given["id"], body["key"] == given["key"]) == (False, False)


@pytest.mark.parametrize(
    "body", [{}, {"name": ""}, {"name": " "}, {"name": None}, {"name": 1}, {"name": "x" * 101}]
)
def test_a_name_that_is_none_is_400(client_of: ClientOf, ana: Member, body: Any) -> None:
    client = client_of(ana)
    with nothing_happens():
        answer = client.post(ADDRESS, body, format="json")

    assert told(answer) == (400, "4000")
    assert fields(answer) == {"name"}


# --- the list -------------------------------------------------------------------------------------
def test_the_list_has_the_organizations_keys_newest_first_by_their_beginnings(
    client_of: ClientOf, ana: Member, carla: Member
) -> None:
    first, second = key_of_member(ana, "first"), key_of_member(ana, "second")
    key_of_member(carla)

    body = client_of(ana).get(ADDRESS).json()

    assert [row["id"] for row in body["data"]] == [str(second.pk), str(first.pk)]
    assert all(set(row) == FIELDS for row in body["data"])
    assert body["data"][0]["key"] == f"{second.prefix}…"
    assert body["meta"]["totalRecords"] == body["pagination"]["totalItems"] == 2


def test_the_list_takes_no_query_per_row(
    client_of: ClientOf, ana: Member, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(5):
        key_of_member(ana, str(number))
    client = client_of(ana)

    with django_assert_max_num_queries(3):  # who asks, the page, the count
        assert len(client.get(ADDRESS).json()["data"]) == 5


# --- ending one -----------------------------------------------------------------------------------
def test_an_ended_key_is_refused_at_once_and_stays_on_the_list(
    client_of: ClientOf, key_of: ClientOf, ana: Member
) -> None:
    program = key_of(ana)
    assert program.get("/api/auth/me").status_code == 200
    key = ApiKey.objects.get()
    client = client_of(ana)

    answer = client.delete(f"{ADDRESS}/{key.pk}")

    assert answer.status_code == 200
    assert set(answer.json()) == {"message", "id"}
    assert answer.json()["id"] == str(key.pk)
    assert told(program.get("/api/auth/me")) == (401, "1008")
    (row,) = client.get(ADDRESS).json()["data"]
    assert row["isActive"] is False
    assert row["updatedAt"] > row["createdAt"]


def test_ending_it_again_changes_nothing(client_of: ClientOf, ana: Member) -> None:
    key = key_of_member(ana)
    client = client_of(ana)
    client.delete(f"{ADDRESS}/{key.pk}")

    with nothing_happens():
        assert client.delete(f"{ADDRESS}/{key.pk}").status_code == 200


def test_another_owner_of_the_organization_may_end_it(
    client_of: ClientOf, ana: Member, sara: Member
) -> None:
    key = key_of_member(ana)
    Member.objects.filter(pk=sara.pk).update(role="OWNER")

    client_of(sara).delete(f"{ADDRESS}/{key.pk}")

    entry = AuditEntry.objects.get(act="api_key.ended")
    assert (entry.member_id, entry.details["of"]) == (sara.pk, str(ana.pk))


def test_S16_anothers_key_is_404_as_one_that_does_not_exist(
    client_of: ClientOf, ana: Member, carla: Member
) -> None:
    key = key_of_member(carla)
    client = client_of(ana)

    anothers, nobodys = (client.delete(f"{ADDRESS}/{row}") for row in (key.pk, uuid4()))

    assert told(anothers) == (404, "1005")
    assert anothers.content == nobodys.content
    key.refresh_from_db()
    assert key.is_active


# --- who may --------------------------------------------------------------------------------------
@pytest.mark.parametrize("who", ["sara", "vera", "beto", "root"])
@pytest.mark.parametrize("method", ["get", "post", "delete"])
def test_only_owners_manage_keys(
    client_of: ClientOf, request: pytest.FixtureRequest, ana: Member, who: str, method: str
) -> None:
    key = key_of_member(ana)
    client = client_of(request.getfixturevalue(who))
    address = f"{ADDRESS}/{key.pk}" if method == "delete" else ADDRESS

    with nothing_happens():
        answer = getattr(client, method)(address, {"name": "x"}, format="json")

    assert told(answer) == (403, "1003")


def test_without_credentials_nobody_does(anonymous: APIClient) -> None:
    assert told(anonymous.get(ADDRESS)) == (401, "1002")
    assert told(anonymous.post(ADDRESS, {"name": "x"}, format="json")) == (401, "1002")
    assert told(anonymous.delete(f"{ADDRESS}/{uuid4()}")) == (401, "1002")


def test_other_methods_are_405(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)

    assert told(client.put(ADDRESS, {"name": "x"}, format="json")) == (405, "4040")
    assert told(client.get(f"{ADDRESS}/{uuid4()}")) == (405, "4040")


def test_the_role_is_asked_before_the_limit_and_the_limit_before_the_body(
    client_of: ClientOf, ana: Member, vera: Member, settings: Settings
) -> None:
    settings.RATE_LIMIT = "1/min"
    owner, viewer = client_of(ana), client_of(vera)
    owner.get(ADDRESS)

    assert told(viewer.post(ADDRESS, "{", content_type="application/json")) == (403, "1003")
    assert told(owner.post(ADDRESS, "{", content_type="application/json")) == (429, "4029")


def test_a_form_is_415_and_a_large_body_413(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)

    assert told(client.post(ADDRESS, {"name": "x"})) == (415, "4041")
    large = client.post(ADDRESS, {"name": "x" * 300_000}, format="json")
    assert told(large) == (413, "4042")

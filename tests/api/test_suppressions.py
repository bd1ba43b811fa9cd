"""/api/suppressions and /api/suppressions/{id}."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.models import AuditEntry, Member, Organization
from contacts.models import Suppression
from tests.api.refusals import fields, nothing_happens, told
from tests.contacts.factories import SuppressionFactory
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/suppressions"


def recipients(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.json()
    return [row["recipient"] for row in answer.json()["data"]]


# --- the list -------------------------------------------------------------------------------------
def test_it_lists_the_own_opt_outs_newest_first(
    client_of: ClientOf, vera: Member, acme: Organization, borealis: Organization
) -> None:
    first = SuppressionFactory.create(
        organization=acme,
        recipient="+573001234567",
        source="KEYWORD",
        created_at=datetime(2026, 1, 31, 12, tzinfo=UTC),
    )
    SuppressionFactory.create(organization=acme, recipient="+573009999999")
    SuppressionFactory.create(organization=borealis)

    answer = client_of(vera).get(URL)

    assert recipients(answer) == ["+573009999999", "+573001234567"]
    body = answer.json()
    assert body["data"][1] == {
        "id": str(first.pk),
        "recipient": "+573001234567",
        "source": "KEYWORD",
        "createdAt": "2026-01-31T12:00:00.000Z",
    }
    assert body["meta"]["totalRecords"] == body["pagination"]["totalItems"] == 2


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"recipient": "+573001234567"}, {"+573001234567"}),
        ({"recipient": "300 123 4567"}, {"+573001234567"}),
        ({"recipient": "57300"}, {"+573001234567", "+573009999999"}),
        ({"recipient": "+5255"}, {"+525512345678"}),
        ({"recipient": "+999"}, set()),
        ({"recipient": "nobody"}, set()),
        ({"recipient": ""}, {"+573001234567", "+573009999999", "+525512345678"}),
        ({"source": "carrier"}, {"+525512345678"}),
        ({"source": "CARRIER", "recipient": "+57"}, set()),
    ],
)
def test_what_the_filters_find(
    client_of: ClientOf,
    vera: Member,
    acme: Organization,
    borealis: Organization,
    query: dict[str, str],
    found: set[str],
) -> None:
    for recipient in ("+573001234567", "+573009999999"):
        SuppressionFactory.create(organization=acme, recipient=recipient)
    SuppressionFactory.create(organization=acme, recipient="+525512345678", source="CARRIER")
    SuppressionFactory.create(organization=borealis, recipient="+573001111111")

    assert set(recipients(client_of(vera).get(URL, query))) == found


def test_a_list_takes_few_queries(
    client_of: ClientOf,
    vera: Member,
    acme: Organization,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    SuppressionFactory.create_batch(30, organization=acme)
    client = client_of(vera)

    with django_assert_max_num_queries(4):
        client.get(URL, {"limit": "100"})


@pytest.mark.parametrize(
    ("query", "field"), [({"source": "x"}, "source"), ({"limit": "1000"}, "limit")]
)
def test_a_filter_that_means_nothing_is_400(
    client_of: ClientOf, vera: Member, query: dict[str, str], field: str
) -> None:
    answer = client_of(vera).get(URL, query)

    assert told(answer) == (400, "4000")
    assert fields(answer) == {field}


# --- adding ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("written", ["+57 300 123 4567", "3001234567", "0057-300-1234567"])
def test_a_sender_opts_a_number_out_and_again_changes_nothing(
    client_of: ClientOf, sara: Member, acme: Organization, written: str
) -> None:
    client = client_of(sara)

    answers = [client.post(URL, {"recipient": written}, format="json") for _twice in range(2)]

    row = Suppression.objects.get()
    assert (row.organization, row.member, row.source) == (acme, sara, "MEMBER")
    assert [answer.status_code for answer in answers] == [201, 201]
    for answer in answers:
        body = answer.json()
        assert body == {
            "id": str(row.pk),
            "recipient": "+573001234567",
            "source": "MEMBER",
            "createdAt": body["createdAt"],
        }
    entry = AuditEntry.objects.get(act="suppression.added")
    assert entry.member == sara
    assert "3001234567" not in str(entry.details)


def test_who_said_so_is_not_the_clients_to_say(client_of: ClientOf, sara: Member) -> None:
    body = {"recipient": "3001234567", "source": "CARRIER", "id": str(uuid4())}

    assert client_of(sara).post(URL, body, format="json").json()["source"] == "MEMBER"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"recipient": "123"}, "2004"),
        ({"recipient": ""}, "2004"),
        ({"recipient": "x" * 10_000}, "2004"),
        ({}, "4000"),
        ({"recipient": None}, "4000"),
        ({"recipient": 3001234567}, "4000"),
        ({"recipient": ["3001234567"]}, "4000"),
    ],
)
def test_what_is_no_number_is_400(
    client_of: ClientOf, sara: Member, body: dict[str, Any], code: str
) -> None:
    answer = client_of(sara).post(URL, body, format="json")

    assert told(answer) == (400, code)
    assert fields(answer) == {"recipient"}
    assert not Suppression.objects.exists()


# --- lifting --------------------------------------------------------------------------------------
def test_an_owner_lifts_by_id(client_of: ClientOf, ana: Member, acme: Organization) -> None:
    row, kept = SuppressionFactory.create_batch(2, organization=acme)
    client = client_of(ana)

    answer = client.delete(f"{URL}/{row.pk}")

    assert answer.status_code == 200
    assert answer.json() == {"message": "The number may be written to again.", "id": str(row.pk)}
    assert list(Suppression.objects.all()) == [kept]
    assert told(client.delete(f"{URL}/{row.pk}")) == (404, "1005")
    entry = AuditEntry.objects.get(act="suppression.lifted")
    assert (entry.subject, entry.member) == (f"suppression:{row.pk}", ana)


@pytest.mark.parametrize(
    "query", ["%2B573001234567", "+573001234567", "300%20123%204567", "0057-3001234567"]
)
def test_an_owner_lifts_by_number(
    client_of: ClientOf, ana: Member, acme: Organization, borealis: Organization, query: str
) -> None:
    row = SuppressionFactory.create(organization=acme, recipient="+573001234567")
    theirs = SuppressionFactory.create(organization=borealis, recipient="+573001234567")

    answer = client_of(ana).delete(f"{URL}?recipient={query}")

    assert (answer.status_code, answer.json()["id"]) == (200, str(row.pk))
    assert list(Suppression.objects.all()) == [theirs]


@pytest.mark.parametrize(
    ("query", "refusal"),
    [
        ("", (400, "4000")),
        ("?recipient=", (400, "4000")),
        ("?recipient=x", (400, "2004")),
        ("?recipient=3009999999", (404, "1005")),
        ("?recipient=3001111111", (404, "1005")),
    ],
)
def test_nothing_is_lifted_unless_one_number_is_named(
    client_of: ClientOf,
    ana: Member,
    acme: Organization,
    borealis: Organization,
    query: str,
    refusal: tuple[int, str],
) -> None:
    SuppressionFactory.create(organization=acme, recipient="+573001234567")
    SuppressionFactory.create(organization=borealis, recipient="+573001111111")

    answer = client_of(ana).delete(URL + query)

    assert told(answer) == refusal
    assert Suppression.objects.count() == 2


def test_anothers_and_nobodys_are_alike_404(
    client_of: ClientOf, ana: Member, borealis: Organization
) -> None:
    foreign = SuppressionFactory.create(organization=borealis)
    client = client_of(ana)

    answers = [client.delete(f"{URL}/{pk}") for pk in (foreign.pk, uuid4())]

    assert [told(answer) for answer in answers] == [(404, "1005")] * 2
    assert answers[0].json() == answers[1].json()
    assert Suppression.objects.get() == foreign


# --- who ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("who", "statuses"),
    [
        ("vera", {"get": 200, "post": 403, "delete": 403}),
        ("sara", {"get": 200, "post": 201, "delete": 403}),
        ("beto", {"get": 200, "post": 201, "delete": 403}),
        ("ana", {"get": 200, "post": 201, "delete": 200}),
        ("root", {"get": 403, "post": 403, "delete": 403}),
    ],
)
def test_viewers_read_senders_add_owners_lift(
    request: pytest.FixtureRequest,
    client_of: ClientOf,
    acme: Organization,
    who: str,
    statuses: dict[str, int],
) -> None:
    row = SuppressionFactory.create(organization=acme)
    client = client_of(request.getfixturevalue(who))

    answers = {
        "get": client.get(URL),
        "post": client.post(URL, {"recipient": "3001234567"}, format="json"),
        "delete": client.delete(f"{URL}/{row.pk}"),
    }

    assert {method: answer.status_code for method, answer in answers.items()} == statuses
    for answer in answers.values():
        assert answer.status_code < 400 or told(answer) == (403, "1003")


def test_the_role_is_asked_before_what_is_named(
    client_of: ClientOf, sara: Member, acme: Organization
) -> None:
    client = client_of(sara)

    with nothing_happens():
        for address in (URL, f"{URL}?recipient=x", f"{URL}/{uuid4()}"):
            assert told(client.delete(address)) == (403, "1003")


def test_who_shows_no_credentials_is_refused(anonymous: APIClient) -> None:
    assert told(anonymous.get(URL)) == (401, "1002")
    assert told(anonymous.post(URL, {}, format="json")) == (401, "1002")
    assert told(anonymous.delete(URL)) == (401, "1002")
    assert told(anonymous.delete(f"{URL}/{uuid4()}")) == (401, "1002")


def test_wrong_methods_and_content_types(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)

    assert told(client.put(URL, {}, format="json")) == (405, "4040")
    assert told(client.get(f"{URL}/{uuid4()}")) == (405, "4040")
    assert told(client.post(URL, {"recipient": "3001234567"})) == (415, "4041")

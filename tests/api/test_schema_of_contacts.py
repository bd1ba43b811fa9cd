"""The schema of contacts, tags and opt-outs is true: each status it names occurs as it is described."""

import json
from collections.abc import Callable
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import Member, Organization
from tests.api import test_schema
from tests.api.outages import database_away
from tests.api.test_schema import schema
from tests.contacts.factories import ContactFactory, SuppressionFactory, TagFactory
from tests.people import ClientOf

__all__ = ["schema"]  # a fixture

pytestmark = pytest.mark.django_db

Schema = dict[str, Any]
Call = Callable[[APIClient], Any]

ONE: Final = UUID(int=1)
"""The contact, the tag and the opt-out that every test has."""
OTHER: Final = UUID(int=2)
TAKEN: Final = "+573009999999"
NUL: Final = "x=%00"
"""A query that nothing reads: refused before anybody looks at what is asked."""


def posting(path: str, **body: Any) -> Call:
    return lambda client: client.post(f"/api/{path}", body, format="json")


def patching(path: str, **body: Any) -> Call:
    return lambda client: client.patch(f"/api/{path}", body, format="json")


def getting(path: str) -> Call:
    return lambda client: client.get(f"/api/{path}")


def deleting(path: str) -> Call:
    return lambda client: client.delete(f"/api/{path}")


# Each operation: what answers each of its statuses, beside those that every one has.
OPERATIONS: Final[dict[str, dict[int, Call]]] = {
    "listContacts": {200: getting("contacts"), 400: getting("contacts?status=x")},
    "countContacts": {200: getting("contacts/count"), 400: getting("contacts/count?origin=x")},
    "exportContacts": {200: getting("contacts/export"), 400: getting("contacts/export?format=x")},
    "createContact": {
        201: posting("contacts", phone="3001234567", tagIds=[str(ONE)]),
        400: posting("contacts", phone="123"),
        404: posting("contacts", phone="3001234567", tagIds=[str(uuid4())]),
        409: posting("contacts", phone=TAKEN),
    },
    "getContact": {
        200: getting(f"contacts/{ONE}"),
        400: getting(f"contacts/{ONE}?{NUL}"),
        404: getting(f"contacts/{uuid4()}"),
    },
    "changeContact": {
        200: patching(f"contacts/{ONE}", name="Ana", birthDate="1990-05-17"),
        400: patching(f"contacts/{ONE}", status="x", email="x"),
        404: patching(f"contacts/{uuid4()}", name="Ana"),
        409: patching(f"contacts/{ONE}", phone=TAKEN),
    },
    "deleteContact": {
        200: deleting(f"contacts/{ONE}"),
        400: deleting(f"contacts/{ONE}?{NUL}"),
        404: deleting(f"contacts/{uuid4()}"),
    },
    "listTags": {200: getting("tags"), 400: getting("tags?page=x")},
    "listTagsWithCounts": {
        200: getting("tags/with-counts"),
        400: getting("tags/with-counts?limit=0"),
    },
    "createTag": {201: posting("tags", name="VIP"), 400: posting("tags", name="")},
    "getTag": {
        200: getting(f"tags/{ONE}"),
        400: getting(f"tags/{ONE}?{NUL}"),
        404: getting(f"tags/{uuid4()}"),
    },
    "changeTag": {
        200: patching(f"tags/{ONE}", color="#112233"),
        400: patching(f"tags/{ONE}", color="red"),
        404: patching(f"tags/{uuid4()}", name="x"),
    },
    "deleteTag": {
        200: deleting(f"tags/{ONE}"),
        400: deleting(f"tags/{ONE}?{NUL}"),
        404: deleting(f"tags/{uuid4()}"),
    },
    "listSuppressions": {200: getting("suppressions"), 400: getting("suppressions?source=x")},
    "addSuppression": {
        201: posting("suppressions", recipient="3001234567"),
        400: posting("suppressions", recipient="x"),
    },
    "liftSuppression": {
        200: deleting(f"suppressions/{ONE}"),
        400: deleting(f"suppressions/{ONE}?{NUL}"),
        404: deleting(f"suppressions/{uuid4()}"),
    },
    "liftSuppressionOfRecipient": {
        200: deleting("suppressions?recipient=3009999999"),
        400: deleting("suppressions"),
        404: deleting("suppressions?recipient=3001111111"),
    },
}
BODIES: Final[dict[str, tuple[str, str]]] = {
    "createContact": ("POST", "contacts"),
    "changeContact": ("PATCH", f"contacts/{ONE}"),
    "createTag": ("POST", "tags"),
    "changeTag": ("PATCH", f"tags/{ONE}"),
    "addSuppression": ("POST", "suppressions"),
}
SUCCESSES: Final = {name: calls.get(200) or calls[201] for name, calls in OPERATIONS.items()}
FORM: Final = "application/x-www-form-urlencoded"


@pytest.fixture
def rows(acme: Organization) -> None:
    tag = TagFactory.create(organization=acme, id=ONE)
    ContactFactory.create(organization=acme, id=ONE).tags.add(tag)
    ContactFactory.create(organization=acme, id=OTHER, phone=TAKEN)
    SuppressionFactory.create(organization=acme, id=ONE, recipient=TAKEN)


def require_described(schema: Schema, name: str, answer: Any) -> None:
    """Hold the answer against what the operation says of its status."""
    status = str(answer.status_code)
    described = test_schema.operation(schema, name)["responses"][status]["content"]
    kind = answer["Content-Type"].partition(";")[0]
    assert kind in described, (name, status, kind)
    if kind == "application/json":
        assert list(described) == [kind]
        test_schema._require_fits(schema, described[kind]["schema"], json.loads(answer.getvalue()))


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_status_that_is_named_occurs_as_it_is_described_and_no_other_is_named(
    client_of: ClientOf,
    rows: None,
    ana: Member,
    root: Member,
    settings: Settings,
    schema: Schema,
    name: str,
) -> None:
    success, client = SUCCESSES[name], client_of(ana)
    calls = [(status, call, client) for status, call in OPERATIONS[name].items() if status >= 400]
    calls += [(401, success, APIClient()), (403, success, client_of(root))]
    if name in BODIES:
        method, path = BODIES[name]

        def large(asked: APIClient) -> Any:
            return asked.generic(method, f"/api/{path}", " " * 300_000, "application/json")

        def form(asked: APIClient) -> Any:
            return asked.generic(method, f"/api/{path}", "name=x", FORM)

        calls += [(413, large, client), (415, form, client)]
    calls += [(200 if 200 in OPERATIONS[name] else 201, success, client)]
    answers = {status: call(asked) for status, call, asked in calls}
    settings.RATE_LIMIT = "1/min"
    client.get("/api/auth/me")
    answers[429] = success(client)

    for status, answer in answers.items():
        assert answer.status_code == status, (status, answer.getvalue())
        require_described(schema, name, answer)
    documented = test_schema.operation(schema, name)["responses"]
    assert {int(status) for status in documented} == {*answers, 503}


@pytest.mark.django_db(transaction=True)
def test_without_a_database_each_answers_503_as_is_described(
    client_of: ClientOf, rows: None, ana: Member, schema: Schema
) -> None:
    client = client_of(ana)

    with database_away():
        answers = {name: call(client) for name, call in SUCCESSES.items()}

    for name, answer in answers.items():
        assert answer.status_code == 503, name
        require_described(schema, name, answer)


def test_both_kinds_of_an_export_are_described(
    client_of: ClientOf, rows: None, ana: Member, schema: Schema
) -> None:
    answer = client_of(ana).get("/api/contacts/export?format=xlsx")

    require_described(schema, "exportContacts", answer)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("listContacts", {"search", "status", "tagIds", "countryCode", "origin"}),
        ("countContacts", {"search", "status", "tagIds", "countryCode", "origin"}),
        ("exportContacts", {"search", "status", "tagIds", "countryCode", "origin", "format"}),
        ("listTags", set()),
        ("listTagsWithCounts", set()),
        ("listSuppressions", {"recipient", "source"}),
        ("liftSuppressionOfRecipient", {"recipient"}),
    ],
)
def test_the_parameters_of_an_address_are_described(
    schema: Schema, name: str, parameters: set[str]
) -> None:
    described = test_schema.operation(schema, name).get("parameters", [])

    pages = {"page", "limit", "after"} if name.startswith("list") else set()
    assert {each["name"] for each in described if each["in"] == "query"} == parameters | pages
    assert all(
        each.get("description") or each["name"] in {"status", "origin", "source", "format"}
        for each in described
    )

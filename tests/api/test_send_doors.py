"""POST /api/messages/sms/contacts and /tags: what both do as /all does, each aimed at the same people."""

import json
from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import Member, Organization
from messaging.models import Broadcast
from tests.api import doors
from tests.api.outages import database_away
from tests.api.refusals import fields, nothing_happens, told
from tests.messaging.factories import contacts_in_order, grant
from tests.people import ClientOf

pytestmark = [pytest.mark.django_db, pytest.mark.parametrize("door", ["contacts", "tags"])]

NAMED_BY = {"contacts": "contacts", "tags": "tagIds"}


@pytest.fixture
def body(acme: Organization, door: str) -> dict[str, Any]:
    """One word to the only contact of Acme."""
    contacts_in_order(acme, "+573001234567")
    return {"message": "Hola", **doors.aim(door, acme)}


def test_a_sender_may_send(
    client_of: ClientOf, sara: Member, acme: Organization, door: str, body: dict[str, Any]
) -> None:
    grant(acme, 1)

    assert doors.post(client_of(sara), door, body).status_code == 201


def test_under_a_key_it_is_carried_out_once(
    client_of: ClientOf, ana: Member, acme: Organization, door: str, body: dict[str, Any]
) -> None:
    grant(acme, 10)
    client, key = client_of(ana), {"idempotency-key": "k"}
    first = doors.read(doors.post(client, door, body, **key))

    with nothing_happens():
        second = doors.post(client, door, body, **key)

    assert (second.status_code, doors.read(second)) == (201, first)
    assert second["Idempotent-Replayed"] == "true"


def test_without_anybody_named_it_is_400_and_never_to_all(
    client_of: ClientOf, ana: Member, acme: Organization, door: str, body: dict[str, Any]
) -> None:
    grant(acme, 10)

    answer = doors.post(client_of(ana), door, {"message": "Hola"})

    assert (told(answer), fields(answer)) == ((400, "4000"), {NAMED_BY[door]})
    assert not Broadcast.objects.exists()


def test_refusals_come_in_the_order_of_the_contract(
    anonymous: APIClient,
    client_of: ClientOf,
    ana: Member,
    beto: Member,
    vera: Member,
    root: Member,
    settings: Settings,
    door: str,
    body: dict[str, Any],
) -> None:
    form = f"{NAMED_BY[door]}=1", "application/x-www-form-urlencoded"

    def asked(client: APIClient, text: str = "{", kind: str = "application/json") -> Any:
        with nothing_happens():
            return told(client.generic("POST", doors.url(door), text, kind))

    assert asked(anonymous) == (401, "1002")
    assert asked(client_of(root)) == (403, "1003")
    assert asked(client_of(vera)) == (403, "1003")
    assert asked(client_of(beto)) == (403, "1022")  # S12
    assert asked(client_of(ana), "x" * 300_000) == (413, "4042")
    assert asked(client_of(ana), *form) == (415, "4041")
    assert asked(client_of(ana)) == (400, "4000")
    assert asked(client_of(ana), json.dumps(body)) == (402, "3001")
    settings.RATE_LIMIT = "1/min"
    client = client_of(ana)
    client.get("/api/auth/me")
    assert asked(client) == (429, "4029")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_another_method_is_405(client_of: ClientOf, ana: Member, door: str, method: str) -> None:
    assert told(client_of(ana).generic(method, doors.url(door))) == (405, "4040")


@pytest.mark.django_db(transaction=True)
def test_a_database_that_is_away_is_503(
    client_of: ClientOf, ana: Member, door: str, body: dict[str, Any]
) -> None:
    client = client_of(ana)

    with database_away():
        assert told(doors.post(client, door, body)) == (503, "4090")

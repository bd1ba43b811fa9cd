"""POST /api/messages/sms/all where the organization does not take the same text twice."""

import json
from typing import Any

import pytest
from django.db import connection
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import Member, Organization
from tests.api.refusals import nothing_happens, told
from tests.messaging.factories import contacts_in_order, grant
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/messages/sms/all"


@pytest.fixture(autouse=True)
def _ready(acme: Organization, settings: Settings) -> None:
    """Two to write to, credits for many times as much, and a minute's guard."""
    settings.SMS_PROVIDERS = ["memory://local"]
    contacts_in_order(acme, "+573001234567", "+573001234568")
    grant(acme, 100)
    Organization.objects.filter(pk=acme.pk).update(repeat_guard_seconds=60)


def send(client: APIClient, key: str | None = None, **body: Any) -> Any:
    headers = {} if key is None else {"idempotency-key": key}
    return client.post(URL, {"message": "Hola", **body}, format="json", headers=headers)


def test_B18_the_same_again_is_409_and_nothing_is_done(
    client_of: ClientOf, ana: Member, sara: Member
) -> None:
    assert send(client_of(ana)).status_code == 201
    client = client_of(sara)

    with nothing_happens():
        answer = send(client)

    assert told(answer) == (409, "4014")
    assert "60 seconds" in answer.json()["message"]


@pytest.mark.parametrize("other", [{"message": "Hola!"}, {"country": "CO"}, {"type": "OTP"}])
def test_something_else_is_taken(client_of: ClientOf, ana: Member, other: dict[str, str]) -> None:
    client = client_of(ana)
    send(client)

    assert send(client, **other).status_code == 201


def test_another_organization_is_not_held_up(
    client_of: ClientOf, ana: Member, carla: Member
) -> None:
    send(client_of(ana))

    assert send(client_of(carla)).status_code == 200


def test_a_request_with_a_key_of_its_own_is_meant(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)

    answers = [send(client), send(client, "a"), send(client, "b")]

    assert [answer.status_code for answer in answers] == [201, 201, 201]
    assert told(send(client)) == (409, "4014")


def test_after_one_with_a_key_the_same_without_is_409(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)
    send(client, "a")

    assert told(send(client)) == (409, "4014")


def test_B18_after_the_time_it_is_taken(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)
    send(client)
    _make_older(61)

    assert send(client).status_code == 201
    assert told(send(client)) == (409, "4014")


def test_what_was_canceled_may_be_sent_again(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)
    queue_id = json.loads(send(client).getvalue())["queueId"]
    client.post(f"/api/messages/queues/{queue_id}/cancel")

    assert send(client).status_code == 201


def test_what_was_refused_may_be_sent_again(
    client_of: ClientOf, ana: Member, acme: Organization
) -> None:
    client = client_of(ana)
    contacts_in_order(acme, *(f"+5730099{number:05}" for number in range(99)))
    assert told(send(client)) == (402, "3001")
    grant(acme, 10)

    assert send(client).status_code == 201


def _make_older(seconds: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE messaging_idempotencykey SET created_at = created_at - %s * interval '1 second'",
            [seconds],
        )

"""GET /api/messages/queues: the organization's broadcasts, newest first."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.models import Member
from messaging.models import Broadcast
from tests.api.refusals import fields, told
from tests.messaging.factories import sent_broadcast
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/messages/queues"


@pytest.fixture(autouse=True)
def memory(settings: Settings) -> None:
    settings.SMS_PROVIDERS = ["memory://local"]


@pytest.fixture
def two(ana: Member, sara: Member) -> list[Broadcast]:
    """Ana's, which ended a year ago, and Sara's, which runs."""
    old = sent_broadcast(ana, "+573001234567", text="Uno")
    Broadcast.objects.filter(pk=old.pk).update(
        created_at=datetime(2026, 1, 31, 12, tzinfo=UTC), status="COMPLETED"
    )
    return [old, sent_broadcast(sara, text="Dos")]


def listed(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.json()
    return [row["message"] for row in answer.json()["data"]]


def test_rows_are_what_following_one_answers(
    client_of: ClientOf, vera: Member, two: list[Broadcast]
) -> None:
    client = client_of(vera)

    body = client.get(URL).json()

    assert body["data"] == [client.get(f"{URL}/{each.pk}").json() for each in reversed(two)]
    assert body["meta"]["totalRecords"] == body["pagination"]["totalItems"] == 2


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, ["Dos", "Uno"]),
        ({"status": "running"}, ["Dos"]),
        ({"status": "COMPLETED"}, ["Uno"]),
        ({"status": "paused"}, []),
        ({"startDate": "2026-02-01"}, ["Dos"]),
        ({"endDate": "2026-01-31"}, ["Uno"]),
        ({"endDate": "2026-01-30"}, []),
        ({"startDate": "2026-01-31T12:00:00Z", "endDate": "2026-01-31T12:00:00Z"}, ["Uno"]),
        ({"limit": "1"}, ["Dos"]),
        ({"limit": "1", "page": "2"}, ["Uno"]),
    ],
)
def test_each_filter_finds_what_it_says(
    client_of: ClientOf,
    vera: Member,
    two: list[Broadcast],
    query: dict[str, str],
    found: list[str],
) -> None:
    assert listed(client_of(vera).get(URL, query)) == found


def test_a_members_are_found_by_the_members_id(
    client_of: ClientOf, vera: Member, sara: Member, carla: Member, two: list[Broadcast]
) -> None:
    client = client_of(vera)

    assert listed(client.get(URL, {"member": str(sara.pk)})) == ["Dos"]
    assert listed(client.get(URL, {"member": str(carla.pk)})) == []


def test_a_broadcast_to_nobody_is_found_here_by_its_id(client_of: ClientOf, ana: Member) -> None:
    broadcast = sent_broadcast(ana)

    (row,) = client_of(ana).get(URL).json()["data"]

    assert (row["queueId"], row["status"]) == (str(broadcast.pk), "COMPLETED")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "QUEUED"),
        ("status", "%"),
        ("startDate", "9999-12-31T23:59:59-23:59"),
        ("endDate", "soon"),
        ("member", "1"),
        ("member", "ana@acme.example"),
        ("page", "0"),
        ("limit", "101"),
        ("after", "MQ"),
    ],
)
def test_S41_a_value_that_means_nothing_is_400_and_named(
    client_of: ClientOf, ana: Member, name: str, value: str
) -> None:
    answer = client_of(ana).get(URL, {name: value})

    assert told(answer) == (400, "4000")
    assert fields(answer) == {name}


def test_another_organization_sees_none(
    client_of: ClientOf, carla: Member, ana: Member, two: list[Broadcast]
) -> None:
    client = client_of(carla)

    assert listed(client.get(URL)) == listed(client.get(URL, {"member": str(ana.pk)})) == []


def test_it_asks_the_database_as_little_for_many_as_for_few(
    client_of: ClientOf, ana: Member, two: list[Broadcast]
) -> None:
    client = client_of(ana)

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            client.get(URL)
        return len(captured)

    few = queries()
    for _ in range(5):
        sent_broadcast(ana)

    assert queries() == few <= 5


def test_what_does_not_move_has_no_estimated_end(
    client_of: ClientOf, ana: Member, two: list[Broadcast]
) -> None:
    Broadcast.objects.filter(pk=two[1].pk).update(
        status="PAUSED", started_at=two[1].created_at, queued=0, sent=1
    )

    (row,) = client_of(ana).get(URL, {"status": "PAUSED"}).json()["data"]

    assert row["etaSeconds"] is None

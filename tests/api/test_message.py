"""GET /api/messages/{id}: one message, and its life in order."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import Member
from messaging.models import DeliveryReport, Message, MessageEvent
from tests.api.refusals import told
from tests.messaging.factories import sent_broadcast
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

BEGAN = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


def url(message_id: object) -> str:
    return f"/api/messages/{message_id}"


@pytest.fixture
def message(settings: Settings, ana: Member) -> Message:
    """Delivered at the second attempt: the carrier reported it twice."""
    settings.SMS_PROVIDERS = ["memory://local"]
    broadcast = sent_broadcast(ana, "+573001234567")
    message = broadcast.messages.get()
    times = [BEGAN + timedelta(seconds=second) for second in range(10)]
    MessageEvent.objects.create(
        message=message, kind="PUT_BACK", detail="busy", created_at=times[1]
    )
    for second in (5, 7):
        DeliveryReport.objects.create(
            provider="memory:local",
            message_id=message.pk,
            status="DELIVERED",
            raw={"MessageStatus": "delivered", "n": second},
            outcome="APPLIED" if second == 5 else "NO_CHANGE",
            created_at=times[second],
        )
    Message.objects.filter(pk=message.pk).update(
        status="DELIVERED",
        charge="CAPTURED",
        created_at=times[0],
        claimed_at=times[2],
        submit_started_at=times[3],
        attempts=2,
        sent_at=times[4],
        provider="memory:local",
        provider_message_id="SM1",
        provider_metadata={"segments": 1},
        delivered_at=times[6],
    )
    message.refresh_from_db()
    return message


def test_it_is_the_lists_row_and_its_life(
    client_of: ClientOf, vera: Member, message: Message
) -> None:
    client = client_of(vera)

    body = client.get(url(message.pk)).json()

    events = body.pop("events")
    assert body == client.get("/api/messages").json()["data"][0]
    assert [(event["event"], event["status"]) for event in events] == [
        ("ACCEPTED", "QUEUED"),
        ("PUT_BACK", None),
        ("CLAIMED", "SENDING"),
        ("HANDED_OVER", "SENDING"),
        ("TAKEN", "SENT"),
        ("REPORT", "DELIVERED"),
        ("ENDED", "DELIVERED"),
        ("REPORT", "DELIVERED"),
    ]


def test_an_event_says_when_what_and_the_carriers_own_words(
    client_of: ClientOf, ana: Member, message: Message
) -> None:
    events: list[dict[str, Any]] = client_of(ana).get(url(message.pk)).json()["events"]

    assert events[1] == {
        "at": "2026-01-31T12:00:01.000Z",
        "event": "PUT_BACK",
        "status": None,
        "title": "Put back: it never left",
        "details": ["busy"],
        "raw": None,
    }
    assert events[5] == {
        "at": "2026-01-31T12:00:05.000Z",
        "event": "REPORT",
        "status": "DELIVERED",
        "title": "Delivery report of memory:local",
        "details": ["Applied"],
        "raw": {"MessageStatus": "delivered", "n": 5},
    }


@pytest.mark.parametrize(
    ("fields", "event"),
    [
        ({"status": "FAILED", "delivered_at": None}, "ENDED"),
        ({"status": "CANCELED", "delivered_at": None}, "ENDED"),
        ({"status": "UNKNOWN", "charge": "RELEASED", "delivered_at": None}, "GIVEN_UP"),
        ({"status": "QUEUED", "delivered_at": None}, "NEXT_ATTEMPT"),
    ],
)
def test_its_end_or_its_next_attempt_is_told(
    client_of: ClientOf, ana: Member, message: Message, fields: dict[str, Any], event: str
) -> None:
    Message.objects.filter(pk=message.pk).update(**fields)

    told_of = client_of(ana).get(url(message.pk)).json()["events"]

    assert event in {each["event"] for each in told_of}


def test_a_look_up_is_told_from_a_report(
    client_of: ClientOf, ana: Member, message: Message
) -> None:
    DeliveryReport.objects.update(looked_up=True)

    events = client_of(ana).get(url(message.pk)).json()["events"]

    assert [each["event"] for each in events].count("LOOK_UP") == 2


def test_S14_another_organizations_message_is_as_none_at_all(
    client_of: ClientOf, carla: Member, message: Message
) -> None:
    client = client_of(carla)

    foreign, random = client.get(url(message.pk)), client.get(url(uuid4()))

    assert told(foreign) == told(random) == (404, "1005")
    assert foreign.content == random.content


@pytest.mark.parametrize("other", ["1", "x", "%00", "0" * 32])
def test_what_is_no_id_is_4xx_in_json(client_of: ClientOf, ana: Member, other: str) -> None:
    assert told(client_of(ana).get(url(other))) in {(404, "1005"), (400, "4000")}


def test_its_whole_life_is_three_queries(
    client_of: ClientOf,
    ana: Member,
    message: Message,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    client = client_of(ana)

    with django_assert_max_num_queries(6):
        client.get(url(message.pk))

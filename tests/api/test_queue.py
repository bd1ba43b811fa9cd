"""GET /api/messages/queues/{queueId}: every field, the ETag, and who may look."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import Member
from messaging import delivery, providers, reports
from messaging.models import Broadcast
from messaging.providers.callbacks import Report
from messaging.providers.memory import Memory
from messaging.providers.results import Refused, Unclear
from tests.api.outages import database_away
from tests.api.refusals import nothing_happens, told
from tests.messaging.factories import sent_broadcast
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def memory(settings: Settings) -> Memory:
    settings.SMS_PROVIDERS = ["memory://local?concurrency=1"]
    (provider,) = providers.configured()
    assert isinstance(provider, Memory)
    provider.clear()
    return provider


@pytest.fixture
def broadcast(memory: Memory, ana: Member) -> Broadcast:
    """Three messages of Ana's, and two contacts without one."""
    return sent_broadcast(
        ana, "+573001234567", "+573001234568", "+573001234569", "3001234567", "123"
    )


def url(queue_id: object) -> str:
    return f"/api/messages/queues/{queue_id}"


# --- the fields -----------------------------------------------------------------------------------
def test_it_says_everything_of_a_new_broadcast(
    client_of: ClientOf, ana: Member, broadcast: Broadcast
) -> None:
    answer = client_of(ana).get(url(broadcast.pk))

    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    body = answer.json()
    created_at = body.pop("createdAt")
    assert MOMENT.fullmatch(created_at)
    assert abs(datetime.fromisoformat(created_at) - datetime.now(UTC)).total_seconds() < 60
    assert body == {
        "queueId": str(broadcast.pk),
        "channel": "sms",
        "type": "SMS",
        "status": "RUNNING",
        "pausedBecause": None,
        "message": "Hola",
        "member": {"id": str(ana.pk), "name": "Ana"},
        "scheduledAt": None,
        "startedAt": None,
        "finishedAt": None,
        "blankedAt": None,
        "etaSeconds": None,
        "progress": 0,
        "counts": {
            "audience": 5,
            "messages": 3,
            "skipped": 2,
            "scheduled": 0,
            "queued": 3,
            "sending": 0,
            "sent": 0,
            "delivered": 0,
            "undelivered": 0,
            "failed": 0,
            "unknown": 0,
            "canceled": 0,
        },
        "skipped": {"duplicate": 1, "invalid_number": 1},
        "credits": {"reserved": 3, "captured": 0, "released": 0},
        "providers": [],
    }


def test_it_says_what_became_of_the_messages(
    client_of: ClientOf, ana: Member, broadcast: Broadcast, memory: Memory
) -> None:
    memory.will_answer("+573001234568", Refused("21211", "the number is not valid"))
    memory.will_answer("+573001234569", Unclear("read timeout"))
    delivery.drain(queue_id=broadcast.pk, lane=0)

    body = client_of(ana).get(url(broadcast.pk)).json()

    assert body["status"] == "COMPLETED_WITH_FAILURES"
    assert (body["progress"], body["etaSeconds"]) == (1, 0)
    assert MOMENT.fullmatch(body["startedAt"])
    assert MOMENT.fullmatch(body["finishedAt"])
    counts = body["counts"]
    assert (counts["sent"], counts["failed"], counts["unknown"], counts["queued"]) == (1, 1, 1, 0)
    assert body["credits"] == {"reserved": 1, "captured": 1, "released": 1}
    assert body["providers"] == ["memory:local"]


@pytest.mark.parametrize("delivered", [False, True])
def test_the_numbers_add_up(
    client_of: ClientOf,
    ana: Member,
    broadcast: Broadcast,
    memory: Memory,
    delivered: bool,  # noqa: FBT001 - a parameter of pytest's
) -> None:
    if delivered:
        memory.will_answer("+573001234568", Refused("21211", "the number is not valid"))
        delivery.drain(queue_id=broadcast.pk, lane=0)

    body = client_of(ana).get(url(broadcast.pk)).json()

    counts = dict(body["counts"])
    audience, messages, skipped = (counts.pop(name) for name in ("audience", "messages", "skipped"))
    assert audience == messages + skipped == 5
    assert sum(counts.values()) == messages
    assert sum(body["skipped"].values()) == skipped
    assert sum(body["credits"].values()) == messages


def test_the_text_is_as_it_was_given(client_of: ClientOf, ana: Member, memory: Memory) -> None:
    text = '  Hola\r\n"señora" \U0001f600 </script> \\u0041 '
    broadcast = sent_broadcast(ana, "+573001234567", text=text)

    assert client_of(ana).get(url(broadcast.pk)).json()["message"] == text


# --- the ETag -------------------------------------------------------------------------------------
def etag_of(client: APIClient, broadcast: Broadcast) -> str:
    return str(client.get(url(broadcast.pk))["ETag"])


def test_the_etag_stays_while_nothing_changes(
    client_of: ClientOf, ana: Member, broadcast: Broadcast
) -> None:
    client = client_of(ana)

    first = etag_of(client, broadcast)

    assert re.fullmatch(r'(W/)?"[^"]+"', first)
    assert etag_of(client, broadcast) == first


@pytest.mark.parametrize("condition", ["{}", "W/{}", '"other", {}', '{}, "other"', "*"])
def test_an_unchanged_broadcast_is_304_without_a_body(
    client_of: ClientOf, ana: Member, broadcast: Broadcast, condition: str
) -> None:
    client = client_of(ana)
    etag = etag_of(client, broadcast)

    answer = client.get(url(broadcast.pk), headers={"if-none-match": condition.format(etag)})

    assert answer.status_code == 304
    assert answer.content == b""
    assert answer["ETag"] == etag


@pytest.mark.parametrize("condition", ["", '"other"', "other", 'W/"other"', '""', '"'])
def test_another_etag_gets_the_whole_answer(
    client_of: ClientOf, ana: Member, broadcast: Broadcast, condition: str
) -> None:
    answer = client_of(ana).get(url(broadcast.pk), headers={"if-none-match": condition})

    assert answer.status_code == 200
    assert answer.json()["queueId"] == str(broadcast.pk)


def test_every_change_of_the_broadcast_changes_the_etag(
    transactional_db: None, client_of: ClientOf, ana: Member, broadcast: Broadcast
) -> None:
    client = client_of(ana)
    etags = [etag_of(client, broadcast)]

    delivery.drain(queue_id=broadcast.pk, lane=0)
    etags.append(etag_of(client, broadcast))
    for message in broadcast.messages.all():  # the broadcast stays COMPLETED
        delivered = Report("", "DELIVERED", message_id=message.pk)
        reports.keep(provider="memory:local", reports=[delivered])
        reports.apply()
        etags.append(etag_of(client, broadcast))

    assert len(set(etags)) == 5
    answer = client.get(url(broadcast.pk), headers={"if-none-match": etags[-2]})
    assert (answer.status_code, answer.json()["counts"]["delivered"]) == (200, 3)


def test_304_is_for_those_who_may_see_it(
    client_of: ClientOf, ana: Member, carla: Member, anonymous: APIClient, broadcast: Broadcast
) -> None:
    headers = {"if-none-match": etag_of(client_of(ana), broadcast)}

    assert told(client_of(carla).get(url(broadcast.pk), headers=headers)) == (404, "1005")
    assert told(anonymous.get(url(broadcast.pk), headers=headers)) == (401, "1002")


# --- who ------------------------------------------------------------------------------------------
def test_everybody_of_the_organization_may_look(
    client_of: ClientOf, vera: Member, sara: Member, beto: Member, broadcast: Broadcast
) -> None:
    answers = [client_of(member).get(url(broadcast.pk)) for member in (vera, sara, beto)]

    assert [answer.status_code for answer in answers] == [200, 200, 200]


def test_S14_another_organizations_broadcast_is_as_none_at_all(
    client_of: ClientOf, carla: Member, broadcast: Broadcast
) -> None:
    client = client_of(carla)

    foreign, random = client.get(url(broadcast.pk)), client.get(url(uuid4()))

    assert told(foreign) == told(random) == (404, "1005")
    assert foreign.content == random.content


def test_S15_a_superuser_is_403(client_of: ClientOf, root: Member, broadcast: Broadcast) -> None:
    client = client_of(root)

    assert told(client.get(url(broadcast.pk))) == (403, "1003")
    assert told(client.get(url(uuid4()))) == (403, "1003")


def test_without_credentials_it_is_401(anonymous: APIClient, broadcast: Broadcast) -> None:
    assert told(anonymous.get(url(broadcast.pk))) == (401, "1002")
    assert told(anonymous.get(url(uuid4()))) == (401, "1002")


def test_it_counts_against_the_limit(
    client_of: ClientOf, ana: Member, broadcast: Broadcast, settings: Settings
) -> None:
    settings.RATE_LIMIT = "2/min"
    client = client_of(ana)

    answers = [client.get(url(broadcast.pk)) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert told(answers[2]) == (429, "4029")
    assert int(answers[2]["Retry-After"]) >= 1


# --- what is no broadcast -------------------------------------------------------------------------
@pytest.mark.parametrize(
    "queue_id",
    [
        *("1", "x", "null", "undefined", "..", "%2e%2e", "%00", "0d6a8cf9", "0" * 32, "0" * 5_000),
        *("0d6a8cf9-8d7c-4f27-9a0c-5b8c3f7a6f1g", "0d6a8cf9-8d7c-4f27-9a0c-5b8c3f7a6f10/"),
        *(
            "0D6A8CF9-8D7C-4F27-9A0C-5B8C3F7A6F10",
            "{0d6a8cf9-8d7c-4f27-9a0c-5b8c3f7a6f10}",
            "é",
            "' OR 1=1",
        ),
    ],
)
def test_what_is_no_id_is_4xx_in_json(client_of: ClientOf, ana: Member, queue_id: str) -> None:
    answer = client_of(ana).get(url(queue_id))

    assert told(answer) in {(404, "1005"), (400, "4000")}


def test_the_empty_id_of_an_empty_send_is_404(client_of: ClientOf, ana: Member) -> None:
    assert told(client_of(ana).get(url(""))) == (404, "1005")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE", "PROPFIND"])
def test_another_method_is_405_and_changes_nothing(
    client_of: ClientOf, ana: Member, broadcast: Broadcast, method: str
) -> None:
    client = client_of(ana)

    with nothing_happens():
        answer = client.generic(
            method, url(broadcast.pk), '{"status": "CANCELED"}', "application/json"
        )

    assert told(answer) == (405, "4040")
    assert set(answer["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS", "PATCH"}
    broadcast.refresh_from_db()
    assert broadcast.status == "RUNNING"


def test_a_head_has_the_headers_alone(
    client_of: ClientOf, ana: Member, broadcast: Broadcast
) -> None:
    answer = client_of(ana).head(url(broadcast.pk))

    assert answer.status_code == 200
    assert "ETag" in answer


def test_a_paused_broadcast_says_why(
    client_of: ClientOf, ana: Member, broadcast: Broadcast
) -> None:
    Broadcast.objects.filter(pk=broadcast.pk).update(status="PAUSED", paused_because="no_progress")

    body = client_of(ana).get(url(broadcast.pk)).json()

    assert (body["status"], body["pausedBecause"]) == ("PAUSED", "no_progress")


def test_a_scheduled_broadcasts_messages_are_shown_as_scheduled(
    client_of: ClientOf, ana: Member, broadcast: Broadcast
) -> None:
    Broadcast.objects.filter(pk=broadcast.pk).update(status="SCHEDULED")

    counts: dict[str, Any] = client_of(ana).get(url(broadcast.pk)).json()["counts"]

    assert (counts["scheduled"], counts["queued"]) == (3, 0)


def test_B07_a_database_that_is_away_is_503(
    transactional_db: None, client_of: ClientOf, ana: Member, broadcast: Broadcast
) -> None:
    client = client_of(ana)

    with database_away():
        answer = client.get(url(broadcast.pk))

    assert told(answer) == (503, "4090")


def test_it_asks_the_database_as_little_for_many_messages_as_for_few(
    client_of: ClientOf, ana: Member, broadcast: Broadcast
) -> None:
    larger = sent_broadcast(ana, *(f"+5730011111{number:02}" for number in range(20)))
    client = client_of(ana)

    def queries(queue_id: object) -> list[dict[str, str]]:
        with CaptureQueriesContext(connection) as captured:
            answer = client.get(url(queue_id))
        assert answer.status_code == 200
        return captured.captured_queries

    assert larger.messages_total == broadcast.messages_total + 20
    assert len(queries(larger.pk)) == len(queries(broadcast.pk)) <= 4

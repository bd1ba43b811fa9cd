"""POST /api/messages/queues/{queueId}/resend-failed: what failed, once more, answered like a send."""

import json
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts import rate_limits
from accounts.models import AuditEntry, Member, Organization
from billing import ledger
from contacts.models import Contact
from messaging import delivery, providers
from messaging.models import Broadcast
from messaging.providers.memory import Memory
from messaging.providers.results import Refused, Unclear
from tests.api.refusals import nothing_happens, told
from tests.factories import TermsFactory
from tests.messaging.factories import sent_broadcast
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

REFUSED, LOST, TAKEN = (f"+57300123456{number}" for number in range(3))


@pytest.fixture
def finished(settings: Settings, ana: Member) -> Broadcast:
    """Of three one was refused and one is of unknown outcome."""
    settings.SMS_PROVIDERS = ["memory://local?concurrency=1"]
    (provider,) = providers.configured()
    assert isinstance(provider, Memory)
    provider.clear()
    rate_limits.forget_all()
    provider.will_answer(REFUSED, Refused("21211", "no such number"))
    provider.will_answer(LOST, Unclear("timeout"))
    broadcast = sent_broadcast(ana, REFUSED, LOST, TAKEN, text="¡Hola!")
    delivery.drain(queue_id=broadcast.pk, lane=0)
    provider.clear()
    return broadcast


def resend(client: APIClient, broadcast: Broadcast, **headers: str) -> Any:
    return client.post(f"/api/messages/queues/{broadcast.pk}/resend-failed", headers=headers)


def body_of(answer: Any) -> Any:
    return json.loads(answer.getvalue())


# --- the answer -----------------------------------------------------------------------------------
def test_it_answers_201_like_a_send_with_the_new_broadcast(
    client_of: ClientOf, ana: Member, finished: Broadcast
) -> None:
    client = client_of(ana)

    answer = resend(client, finished)
    body = body_of(answer)
    followed = client.get(f"/api/messages/queues/{body['queueId']}").json()

    assert answer.status_code == 201
    assert answer["Content-Type"] == "application/json"
    again = Broadcast.objects.get(resends=finished)
    (message,) = again.messages.all()
    assert body == {
        "queueId": str(again.pk),
        "channel": "sms",
        "messages": [{"id": str(message.pk), "recipient": REFUSED}],
    }
    assert followed["message"] == "¡Hola!"
    assert followed["counts"]["messages"] == followed["credits"]["reserved"] == 1


def test_the_first_broadcast_is_shown_as_before(
    client_of: ClientOf, ana: Member, finished: Broadcast
) -> None:
    client = client_of(ana)
    before = client.get(f"/api/messages/queues/{finished.pk}")

    resend(client, finished)

    after = client.get(f"/api/messages/queues/{finished.pk}")
    assert (after.json(), after["ETag"]) == (before.json(), before["ETag"])


def test_prefer_minimal_leaves_the_list_empty(
    client_of: ClientOf, ana: Member, finished: Broadcast
) -> None:
    answer = resend(client_of(ana), finished, Prefer="return=minimal")

    assert (answer.status_code, answer.json()["messages"]) == (201, [])
    assert answer["Preference-Applied"] == "return=minimal"
    assert Broadcast.objects.filter(pk=answer.json()["queueId"]).exists()


def test_200_with_an_empty_id_where_nobody_may_be_written_to_any_more(
    client_of: ClientOf, ana: Member, finished: Broadcast
) -> None:
    Contact.objects.filter(phone=REFUSED).update(status="BLOCKED")

    answer = resend(client_of(ana), finished)

    assert answer.status_code == 200
    assert answer.json() == {"queueId": "", "channel": "sms", "messages": []}
    assert Broadcast.objects.get(resends=finished).skipped_by_reason == {"contact_blocked": 1}


def test_402_names_what_it_costs_and_the_resend_may_be_tried_again(
    client_of: ClientOf, acme: Organization, ana: Member, finished: Broadcast
) -> None:
    client, left = client_of(ana), ledger.balance(acme.pk).available
    ledger.reserve(organization_id=acme.pk, amount=left, reference="elsewhere")

    with nothing_happens():
        poor = resend(client, finished)
    ledger.release(organization_id=acme.pk, amount=left, reference="elsewhere")
    rich = resend(client, finished)

    assert told(poor) == (402, "3001")
    assert (poor.json()["required"], poor.json()["available"]) == (1, 0)
    assert rich.status_code == 201


def test_the_same_key_is_answered_the_same_again(
    client_of: ClientOf, ana: Member, finished: Broadcast
) -> None:
    client, key = client_of(ana), {"Idempotency-Key": "resend-1"}

    first = resend(client, finished, **key)
    again = resend(client, finished, **key)

    assert (first.status_code, again.status_code) == (201, 201)
    assert body_of(first) == body_of(again)
    assert again["Idempotent-Replayed"] == "true"
    assert Broadcast.objects.filter(resends=finished).count() == 1


def test_a_key_of_another_request_is_422_and_what_is_none_is_400(
    client_of: ClientOf, ana: Member, finished: Broadcast
) -> None:
    client = client_of(ana)
    said = {"message": "Otra"}
    client.post("/api/messages/sms/all", said, format="json", headers={"Idempotency-Key": "used"})

    with nothing_happens():
        used = resend(client, finished, **{"Idempotency-Key": "used"})
        none = resend(client, finished, **{"Idempotency-Key": " "})

    assert told(used) == (422, "4011")
    assert told(none) == (400, "4000")


@pytest.mark.parametrize("query", ["dryRun=true", "dryRun=1", "dry_run=true"])
def test_a_dry_run_is_refused_and_sends_nothing(
    client_of: ClientOf, ana: Member, finished: Broadcast, query: str
) -> None:
    client = client_of(ana)

    with nothing_happens():
        answer = client.post(f"/api/messages/queues/{finished.pk}/resend-failed?{query}")

    assert told(answer) == (400, "4000")
    assert list(answer.json()["fields"]) == ["dryRun"]


def test_it_is_recorded_as_a_send_of_the_member(
    client_of: ClientOf, sara: Member, finished: Broadcast
) -> None:
    queue_id = body_of(resend(client_of(sara), finished))["queueId"]

    entry = AuditEntry.objects.get(act="broadcast.accepted", subject=f"broadcast:{queue_id}")

    assert (entry.member, entry.address) == (sara, "127.0.0.1")
    assert entry.details["resends"] == str(finished.pk)


# --- the states -----------------------------------------------------------------------------------
def test_a_second_time_is_409(client_of: ClientOf, ana: Member, finished: Broadcast) -> None:
    client = client_of(ana)
    resend(client, finished)

    with nothing_happens():
        second = resend(client, finished)

    assert told(second) == (409, "4013")
    assert "before" in second.json()["message"]


@pytest.mark.parametrize("counter", ["queued", "sending"])
def test_while_something_waits_it_is_409(
    client_of: ClientOf, ana: Member, finished: Broadcast, counter: str
) -> None:
    Broadcast.objects.update(sent=0, status="RUNNING", finished_at=None, **{counter: 1})

    answer = resend(client_of(ana), finished)

    assert told(answer) == (409, "4013")


def test_where_nothing_failed_it_is_409(
    client_of: ClientOf, ana: Member, finished: Broadcast
) -> None:
    Broadcast.objects.update(sent=2, failed=0)

    answer = resend(client_of(ana), finished)

    assert told(answer) == (409, "4013")


# --- who ------------------------------------------------------------------------------------------
def test_without_credentials_it_is_401(anonymous: APIClient, finished: Broadcast) -> None:
    assert told(resend(anonymous, finished)) == (401, "1002")


@pytest.mark.parametrize(("who", "code"), [("vera", "1003"), ("root", "1003"), ("beto", "1022")])
def test_S12_S15_who_may_not_send_is_403(
    request: pytest.FixtureRequest,
    client_of: ClientOf,
    finished: Broadcast,
    who: str,
    code: str,
) -> None:
    client = client_of(request.getfixturevalue(who))

    with nothing_happens():
        answer = resend(client, finished)

    assert told(answer) == (403, code)


def test_S12_new_terms_are_accepted_first(
    client_of: ClientOf, ana: Member, finished: Broadcast
) -> None:
    TermsFactory.create(version="2026-2")

    assert told(resend(client_of(ana), finished)) == (403, "1022")


def test_a_key_resends_as_it_sends(key_of: ClientOf, ana: Member, finished: Broadcast) -> None:
    assert resend(key_of(ana), finished).status_code == 201


def test_S14_another_organizations_is_as_none_at_all(
    client_of: ClientOf, carla: Member, finished: Broadcast
) -> None:
    client = client_of(carla)

    foreign = resend(client, finished)
    random = client.post(f"/api/messages/queues/{uuid4()}/resend-failed")

    assert told(foreign) == told(random) == (404, "1005")
    assert foreign.content == random.content
    assert not Broadcast.objects.filter(resends=finished).exists()


def test_reading_it_is_405(client_of: ClientOf, ana: Member, finished: Broadcast) -> None:
    answer = client_of(ana).get(f"/api/messages/queues/{finished.pk}/resend-failed")

    assert told(answer) == (405, "4040")

"""POST /api/messages/queues/{queueId}/approve: who decides, from which state, the answer."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import AuditEntry, Member
from messaging import delivery
from messaging.models import Approval, Broadcast
from tests.api.deciding import UNDECIDABLE, decide, waiting_broadcast
from tests.api.refusals import nothing_happens, told
from tests.factories import TermsFactory
from tests.people import ClientOf

pytestmark = pytest.mark.django_db


@pytest.fixture
def waiting(settings: Settings, sara: Member) -> Broadcast:
    settings.SMS_PROVIDERS = ["memory://local"]
    return waiting_broadcast(sara)


# --- the answer -----------------------------------------------------------------------------------
def test_approved_it_runs_and_is_answered_as_following_it_does(
    client_of: ClientOf, ana: Member, waiting: Broadcast
) -> None:
    client = client_of(ana)

    answer = decide(client, waiting, "approve")

    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["pausedBecause"]) == ("RUNNING", None)
    assert answer.json()["member"]["name"] == "Sara"
    followed = client.get(f"/api/messages/queues/{waiting.pk}")
    assert answer.json() == followed.json()
    assert answer["ETag"] == followed["ETag"]


def test_approved_it_is_handed_over(client_of: ClientOf, ana: Member, waiting: Broadcast) -> None:
    client = client_of(ana)

    delivery.drain(queue_id=waiting.pk, lane=0)
    held_up = client.get(f"/api/messages/queues/{waiting.pk}").json()
    decide(client, waiting, "approve")
    delivery.drain(queue_id=waiting.pk, lane=0)
    after = client.get(f"/api/messages/queues/{waiting.pk}").json()

    assert (held_up["pausedBecause"], held_up["counts"]["queued"]) == ("approval", 2)
    assert held_up["credits"]["reserved"] == 2
    assert (after["counts"]["queued"], after["counts"]["sent"]) == (0, 2)


def test_approved_before_its_moment_it_is_scheduled(
    client_of: ClientOf, ana: Member, waiting: Broadcast
) -> None:
    Broadcast.objects.update(scheduled_at=timezone.now() + timedelta(hours=1))

    body = decide(client_of(ana), waiting, "approve").json()

    assert (body["status"], body["pausedBecause"]) == ("SCHEDULED", None)
    assert (body["counts"]["scheduled"], body["counts"]["queued"]) == (2, 0)


def test_it_is_recorded_with_who_and_from_where(
    client_of: ClientOf, ana: Member, waiting: Broadcast
) -> None:
    decide(client_of(ana), waiting, "approve")

    entry = AuditEntry.objects.get(act="broadcast.approved")
    assert (entry.subject, entry.member) == (f"broadcast:{waiting.pk}", ana)
    assert entry.address == "127.0.0.1"
    assert Approval.objects.get().member == ana


def test_S12_whoever_approves_has_accepted_the_current_terms(
    client_of: ClientOf, ana: Member, waiting: Broadcast
) -> None:
    TermsFactory.create(version="2026-2")
    client = client_of(ana)

    with nothing_happens():
        answer = decide(client, waiting, "approve")

    assert told(answer) == (403, "1022")


# --- from which state -----------------------------------------------------------------------------
def test_it_is_409_unless_it_waits_for_approval(
    client_of: ClientOf, ana: Member, waiting: Broadcast
) -> None:
    client = client_of(ana)

    for status, because in UNDECIDABLE:
        Broadcast.objects.update(status=status, paused_because=because)
        with nothing_happens():
            answer = decide(client, waiting, "approve")
        assert (status, because, *told(answer)) == (status, because, 409, "4013")

    assert Approval.objects.get().decision == ""


def test_the_second_of_two_is_409(client_of: ClientOf, ana: Member, waiting: Broadcast) -> None:
    client = client_of(ana)
    decide(client, waiting, "approve")

    with nothing_happens():
        again = decide(client, waiting, "approve")

    assert told(again) == (409, "4013")


# --- who ------------------------------------------------------------------------------------------
def test_S27_the_sender_is_403_and_is_told_who_decides(
    client_of: ClientOf, ana: Member, waiting: Broadcast
) -> None:
    Broadcast.objects.update(member=ana)
    client = client_of(ana)

    with nothing_happens():
        answer = decide(client, waiting, "approve")

    assert told(answer) == (403, "1003")
    assert "another member" in answer.json()["message"]


@pytest.mark.parametrize("who", ["sara", "vera", "root"])
def test_S15_without_the_right_it_is_403(
    request: pytest.FixtureRequest, client_of: ClientOf, waiting: Broadcast, who: str
) -> None:
    client = client_of(request.getfixturevalue(who))

    with nothing_happens():
        answer = decide(client, waiting, "approve")

    assert told(answer) == (403, "1003")


def test_S13_a_key_decides_nothing(key_of: ClientOf, ana: Member, waiting: Broadcast) -> None:
    assert told(decide(key_of(ana), waiting, "approve")) == (403, "1003")


def test_without_credentials_it_is_401(anonymous: APIClient, waiting: Broadcast) -> None:
    assert told(decide(anonymous, waiting, "approve")) == (401, "1002")


def test_S14_another_organizations_is_as_none_at_all(
    client_of: ClientOf, carla: Member, waiting: Broadcast
) -> None:
    client = client_of(carla)

    foreign = decide(client, waiting, "approve")
    random = client.post(f"/api/messages/queues/{uuid4()}/approve")

    assert told(foreign) == told(random) == (404, "1005")
    assert foreign.content == random.content
    assert Broadcast.objects.get().paused_because == "approval"


def test_reading_it_is_405(client_of: ClientOf, ana: Member, waiting: Broadcast) -> None:
    answer = client_of(ana).get(f"/api/messages/queues/{waiting.pk}/approve")

    assert told(answer) == (405, "4040")

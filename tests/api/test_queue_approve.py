"""POST /api/messages/queues/{queueId}/approve: its answer; what it shares is in test_queue_decisions."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import Member
from messaging import delivery
from messaging.models import Broadcast
from tests.api.deciding import decide, waiting
from tests.api.refusals import nothing_happens, told
from tests.factories import TermsFactory
from tests.people import ClientOf

__all__ = ["waiting"]  # a fixture

pytestmark = pytest.mark.django_db


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


def test_S12_whoever_approves_has_accepted_the_current_terms(
    client_of: ClientOf, ana: Member, waiting: Broadcast
) -> None:
    TermsFactory.create(version="2026-2")
    client = client_of(ana)

    with nothing_happens():
        answer = decide(client, waiting, "approve")

    assert told(answer) == (403, "1022")

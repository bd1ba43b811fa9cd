"""POST /api/messages/queues/{queueId}/reject: who decides, from which state, the answer."""

from uuid import uuid4

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import AuditEntry, Member, Organization
from billing import ledger
from messaging import delivery, run_control
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
def test_rejected_it_is_canceled_and_its_messages_and_credits_follow(
    client_of: ClientOf, acme: Organization, ana: Member, waiting: Broadcast
) -> None:
    client = client_of(ana)

    answer = decide(client, waiting, "reject")
    followed = client.get(f"/api/messages/queues/{waiting.pk}")
    run_control.cancel_bite()
    delivery.drain(queue_id=waiting.pk, lane=0)
    after = client.get(f"/api/messages/queues/{waiting.pk}").json()

    assert answer.status_code == 200
    assert answer.json() == followed.json()
    assert (answer.json()["status"], answer.json()["pausedBecause"]) == ("CANCELED", None)
    assert answer.json()["credits"] == {"reserved": 2, "captured": 0, "released": 0}
    assert (after["counts"]["canceled"], after["counts"]["sent"]) == (2, 0)
    assert after["credits"] == {"reserved": 0, "captured": 0, "released": 2}
    assert after["finishedAt"]
    assert ledger.balance(acme.pk).reserved == 0


def test_it_is_recorded_with_who_and_from_where(
    client_of: ClientOf, ana: Member, waiting: Broadcast
) -> None:
    decide(client_of(ana), waiting, "reject")

    entry = AuditEntry.objects.get(act="broadcast.rejected")
    assert (entry.subject, entry.member) == (f"broadcast:{waiting.pk}", ana)
    assert entry.address == "127.0.0.1"
    assert (Approval.objects.get().member, Approval.objects.get().decision) == (ana, "REJECTED")


def test_no_terms_hinder_whoever_says_no(
    client_of: ClientOf, ana: Member, waiting: Broadcast
) -> None:
    TermsFactory.create(version="2026-2")

    assert decide(client_of(ana), waiting, "reject").status_code == 200


def test_a_rejected_broadcast_is_not_approved_any_more(
    client_of: ClientOf, ana: Member, waiting: Broadcast
) -> None:
    client = client_of(ana)
    decide(client, waiting, "reject")

    assert told(decide(client, waiting, "approve")) == (409, "4013")


# --- from which state -----------------------------------------------------------------------------
def test_it_is_409_unless_it_waits_for_approval(
    client_of: ClientOf, ana: Member, waiting: Broadcast
) -> None:
    client = client_of(ana)

    for status, because in UNDECIDABLE:
        Broadcast.objects.update(status=status, paused_because=because)
        with nothing_happens():
            answer = decide(client, waiting, "reject")
        assert (status, because, *told(answer)) == (status, because, 409, "4013")

    assert Approval.objects.get().decision == ""


def test_the_second_of_two_is_409(client_of: ClientOf, ana: Member, waiting: Broadcast) -> None:
    client = client_of(ana)
    decide(client, waiting, "reject")

    with nothing_happens():
        again = decide(client, waiting, "reject")

    assert told(again) == (409, "4013")


# --- who ------------------------------------------------------------------------------------------
def test_S27_the_sender_is_403_and_is_told_who_decides(
    client_of: ClientOf, ana: Member, waiting: Broadcast
) -> None:
    Broadcast.objects.update(member=ana)
    client = client_of(ana)

    with nothing_happens():
        answer = decide(client, waiting, "reject")

    assert told(answer) == (403, "1003")
    assert "another member" in answer.json()["message"]


@pytest.mark.parametrize("who", ["sara", "vera", "root"])
def test_S15_without_the_right_it_is_403(
    request: pytest.FixtureRequest, client_of: ClientOf, waiting: Broadcast, who: str
) -> None:
    client = client_of(request.getfixturevalue(who))

    with nothing_happens():
        answer = decide(client, waiting, "reject")

    assert told(answer) == (403, "1003")


def test_S13_a_key_decides_nothing(key_of: ClientOf, ana: Member, waiting: Broadcast) -> None:
    assert told(decide(key_of(ana), waiting, "reject")) == (403, "1003")


def test_without_credentials_it_is_401(anonymous: APIClient, waiting: Broadcast) -> None:
    assert told(decide(anonymous, waiting, "reject")) == (401, "1002")


def test_S14_another_organizations_is_as_none_at_all(
    client_of: ClientOf, carla: Member, waiting: Broadcast
) -> None:
    client = client_of(carla)

    foreign = decide(client, waiting, "reject")
    random = client.post(f"/api/messages/queues/{uuid4()}/reject")

    assert told(foreign) == told(random) == (404, "1005")
    assert foreign.content == random.content
    assert Broadcast.objects.get().paused_because == "approval"


def test_reading_it_is_405(client_of: ClientOf, ana: Member, waiting: Broadcast) -> None:
    answer = client_of(ana).get(f"/api/messages/queues/{waiting.pk}/reject")

    assert told(answer) == (405, "4040")

"""POST /api/messages/queues/{queueId}/approve and /reject: what both ask of who decides, and when."""

from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from accounts.models import AuditEntry, Member
from messaging.models import Approval, Broadcast
from tests.api.deciding import UNDECIDABLE, decide, waiting
from tests.api.refusals import nothing_happens, told
from tests.people import ClientOf

__all__ = ["waiting"]  # a fixture

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.parametrize("verb", ["approve", "reject"]),
]

DECIDED = {"approve": "APPROVED", "reject": "REJECTED"}


def test_it_is_recorded_with_who_and_from_where(
    client_of: ClientOf, ana: Member, waiting: Broadcast, verb: str
) -> None:
    decide(client_of(ana), waiting, verb)

    decision = Approval.objects.get()
    entry = AuditEntry.objects.get(act=f"broadcast.{DECIDED[verb].lower()}")
    assert (entry.subject, entry.member) == (f"broadcast:{waiting.pk}", ana)
    assert entry.address == "127.0.0.1"
    assert (decision.member, decision.decision) == (ana, DECIDED[verb])


# --- from which state -----------------------------------------------------------------------------
def test_it_is_409_unless_it_waits_for_approval(
    client_of: ClientOf, ana: Member, waiting: Broadcast, verb: str
) -> None:
    client = client_of(ana)

    for status, because in UNDECIDABLE:
        Broadcast.objects.update(status=status, paused_because=because)
        with nothing_happens():
            answer = decide(client, waiting, verb)
        assert (status, because, *told(answer)) == (status, because, 409, "4013")

    assert Approval.objects.get().decision == ""


@pytest.mark.parametrize("first", ["approve", "reject"])
def test_the_second_of_two_is_409(
    client_of: ClientOf, ana: Member, waiting: Broadcast, first: str, verb: str
) -> None:
    client = client_of(ana)
    decide(client, waiting, first)

    with nothing_happens():
        again = decide(client, waiting, verb)

    assert told(again) == (409, "4013")


def test_a_dry_run_is_refused_and_decides_nothing(
    client_of: ClientOf, ana: Member, waiting: Broadcast, verb: str
) -> None:
    client = client_of(ana)

    with nothing_happens():
        answer = client.post(f"/api/messages/queues/{waiting.pk}/{verb}?dryRun=true")

    assert told(answer) == (400, "4000")


# --- who ------------------------------------------------------------------------------------------
def test_S27_the_sender_is_403_and_is_told_who_decides(
    client_of: ClientOf, ana: Member, waiting: Broadcast, verb: str
) -> None:
    Broadcast.objects.update(member=ana)
    client = client_of(ana)

    with nothing_happens():
        answer = decide(client, waiting, verb)

    assert told(answer) == (403, "1003")
    assert "another member" in answer.json()["message"]


@pytest.mark.parametrize("who", ["sara", "vera", "root"])
def test_S15_without_the_right_it_is_403(
    request: pytest.FixtureRequest, client_of: ClientOf, waiting: Broadcast, who: str, verb: str
) -> None:
    client = client_of(request.getfixturevalue(who))

    with nothing_happens():
        answer = decide(client, waiting, verb)

    assert told(answer) == (403, "1003")


def test_S13_a_key_decides_nothing(
    key_of: ClientOf, ana: Member, waiting: Broadcast, verb: str
) -> None:
    assert told(decide(key_of(ana), waiting, verb)) == (403, "1003")


def test_without_credentials_it_is_401(anonymous: APIClient, waiting: Broadcast, verb: str) -> None:
    assert told(decide(anonymous, waiting, verb)) == (401, "1002")


def test_S14_another_organizations_is_as_none_at_all(
    client_of: ClientOf, carla: Member, waiting: Broadcast, verb: str
) -> None:
    client = client_of(carla)

    foreign = decide(client, waiting, verb)
    random = client.post(f"/api/messages/queues/{uuid4()}/{verb}")

    assert told(foreign) == told(random) == (404, "1005")
    assert foreign.content == random.content
    assert Broadcast.objects.get().paused_because == "approval"


def test_reading_it_is_405(client_of: ClientOf, ana: Member, waiting: Broadcast, verb: str) -> None:
    answer = client_of(ana).get(f"/api/messages/queues/{waiting.pk}/{verb}")

    assert told(answer) == (405, "4040")

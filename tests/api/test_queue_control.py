"""POST /api/messages/queues/{queueId}/pause, /resume and /cancel: who may, from which state, the answer."""

from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import AuditEntry, Member, Organization
from billing import ledger
from messaging import delivery, run_control
from messaging.models import Broadcast
from tests.api.refusals import nothing_happens, told
from tests.factories import TermsFactory
from tests.messaging.factories import sent_broadcast
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

VERBS = ("pause", "resume", "cancel")
# The states from which each is allowed, as (status, why it is paused).
ALLOWED = {
    "pause": {("RUNNING", "")},
    "resume": {("PAUSED", "operator"), ("PAUSED", "error_rate"), ("PAUSED", "no_progress")},
    "cancel": {
        ("RUNNING", ""),
        ("SCHEDULED", ""),
        *(("PAUSED", why) for why in ("operator", "error_rate", "no_progress", "approval")),
    },
}
STATES = {
    *(set().union(*ALLOWED.values())),
    ("COMPLETED", ""),
    ("COMPLETED_WITH_FAILURES", ""),
    ("CANCELED", ""),
}


@pytest.fixture
def broadcast(settings: Settings, ana: Member) -> Broadcast:
    settings.SMS_PROVIDERS = ["memory://local"]
    return sent_broadcast(ana, "+573001234567", "+573001234568", "123")


def control(client: APIClient, broadcast: Broadcast, verb: str) -> Any:
    return client.post(f"/api/messages/queues/{broadcast.pk}/{verb}")


def put(broadcast: Broadcast, status: str, paused_because: str = "") -> None:
    Broadcast.objects.filter(pk=broadcast.pk).update(status=status, paused_because=paused_because)


# --- a dry run ------------------------------------------------------------------------------------
@pytest.mark.parametrize("query", ["dryRun=true", "dry_run=1"])
def test_a_dry_run_is_refused_and_nothing_is_done(
    client_of: ClientOf, ana: Member, broadcast: Broadcast, query: str
) -> None:
    client = client_of(ana)

    for verb in VERBS:
        put(broadcast, "PAUSED" if verb == "resume" else "RUNNING")
        with nothing_happens():
            answer = client.post(f"/api/messages/queues/{broadcast.pk}/{verb}?{query}")
        assert (verb, *told(answer)) == (verb, 400, "4000")


# --- the answer -----------------------------------------------------------------------------------
def test_pausing_answers_the_broadcast_as_following_it_does(
    client_of: ClientOf, ana: Member, broadcast: Broadcast
) -> None:
    client = client_of(ana)

    answer = control(client, broadcast, "pause")

    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["pausedBecause"]) == ("PAUSED", "operator")
    followed = client.get(f"/api/messages/queues/{broadcast.pk}")
    assert answer.json() == followed.json()
    assert answer["ETag"] == followed["ETag"]


def test_resuming_answers_it_running(
    client_of: ClientOf, ana: Member, broadcast: Broadcast
) -> None:
    client = client_of(ana)
    control(client, broadcast, "pause")

    body = control(client, broadcast, "resume").json()

    assert (body["status"], body["pausedBecause"]) == ("RUNNING", None)
    assert body["counts"]["queued"] == 2


def test_canceling_answers_at_once_and_the_messages_follow(
    client_of: ClientOf, ana: Member, acme: Organization, broadcast: Broadcast
) -> None:
    client = client_of(ana)

    body = control(client, broadcast, "cancel").json()
    run_control.cancel_bite()
    after = client.get(f"/api/messages/queues/{broadcast.pk}").json()

    assert (body["status"], body["counts"]["queued"], body["finishedAt"]) == ("CANCELED", 2, None)
    assert body["credits"] == {"reserved": 2, "captured": 0, "released": 0}
    assert (after["status"], after["counts"]["canceled"], after["progress"]) == ("CANCELED", 2, 1)
    assert after["finishedAt"]
    assert after["credits"] == {"reserved": 0, "captured": 0, "released": 2}
    assert ledger.balance(acme.pk).reserved == 0


def test_every_step_changes_the_etag(
    client_of: ClientOf, ana: Member, broadcast: Broadcast, transactional_db: None
) -> None:
    client = client_of(ana)

    etags = [
        control(client, broadcast, verb)["ETag"] for verb in ("pause", "resume", "pause", "cancel")
    ]

    assert len(set(etags)) == 4


# --- the states -----------------------------------------------------------------------------------
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize(("status", "paused_because"), sorted(STATES))
def test_it_is_409_where_the_state_does_not_allow_it(
    client_of: ClientOf,
    ana: Member,
    broadcast: Broadcast,
    verb: str,
    status: str,
    paused_because: str,
) -> None:
    put(broadcast, status, paused_because)
    client = client_of(ana)
    if (status, paused_because) in ALLOWED[verb]:
        assert control(client, broadcast, verb).status_code == 200
        return

    with nothing_happens():
        answer = control(client, broadcast, verb)

    assert told(answer) == (409, "4013")
    broadcast.refresh_from_db()
    assert (broadcast.status, broadcast.paused_because) == (status, paused_because)


def test_what_waits_for_approval_says_so(
    client_of: ClientOf, ana: Member, broadcast: Broadcast
) -> None:
    put(broadcast, "PAUSED", "approval")

    answer = control(client_of(ana), broadcast, "resume")

    assert "approval" in answer.json()["message"]


# --- who ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("verb", VERBS)
class TestWho:
    def test_without_credentials_it_is_401(
        self, anonymous: APIClient, broadcast: Broadcast, verb: str
    ) -> None:
        assert told(control(anonymous, broadcast, verb)) == (401, "1002")

    def test_a_viewer_is_403(
        self, client_of: ClientOf, vera: Member, broadcast: Broadcast, verb: str
    ) -> None:
        assert told(control(client_of(vera), broadcast, verb)) == (403, "1003")

    def test_S15_a_superuser_is_403(
        self, client_of: ClientOf, root: Member, broadcast: Broadcast, verb: str
    ) -> None:
        assert told(control(client_of(root), broadcast, verb)) == (403, "1003")

    def test_S14_another_organizations_is_as_none_at_all(
        self, client_of: ClientOf, carla: Member, broadcast: Broadcast, verb: str
    ) -> None:
        client = client_of(carla)

        foreign = control(client, broadcast, verb)
        random = client.post(f"/api/messages/queues/{uuid4()}/{verb}")

        assert told(foreign) == told(random) == (404, "1005")
        assert foreign.content == random.content
        broadcast.refresh_from_db()
        assert broadcast.status == "RUNNING"

    def test_reading_it_is_405(
        self, client_of: ClientOf, ana: Member, broadcast: Broadcast, verb: str
    ) -> None:
        answer = client_of(ana).get(f"/api/messages/queues/{broadcast.pk}/{verb}")

        assert told(answer) == (405, "4040")


def test_a_sender_stops_what_another_member_sent_and_new_terms_do_not_hinder_him(
    client_of: ClientOf, sara: Member, broadcast: Broadcast
) -> None:
    client = client_of(sara)
    TermsFactory.create(version="2026-2")

    assert [control(client, broadcast, verb).status_code for verb in ("pause", "resume")] == [
        200,
        200,
    ]
    assert control(client, broadcast, "cancel").json()["member"]["name"] == "Ana"


def test_every_act_is_recorded_with_who_and_from_where(
    client_of: ClientOf, sara: Member, broadcast: Broadcast
) -> None:
    client = client_of(sara)
    for verb in ("pause", "resume", "cancel", "cancel"):
        control(client, broadcast, verb)

    entries = AuditEntry.objects.filter(subject=f"broadcast:{broadcast.pk}", member=sara)

    acts = ["broadcast.canceled", "broadcast.paused", "broadcast.resumed"]
    assert sorted(entry.act for entry in entries) == acts
    assert {entry.address for entry in entries} == {"127.0.0.1"}


# --- what it does ---------------------------------------------------------------------------------
def test_a_paused_broadcast_hands_nothing_over_until_it_is_resumed(
    client_of: ClientOf, ana: Member, broadcast: Broadcast
) -> None:
    client = client_of(ana)
    control(client, broadcast, "pause")

    delivery.drain(queue_id=broadcast.pk, lane=0)
    held_up = client.get(f"/api/messages/queues/{broadcast.pk}").json()
    control(client, broadcast, "resume")
    delivery.drain(queue_id=broadcast.pk, lane=0)
    after = client.get(f"/api/messages/queues/{broadcast.pk}").json()

    assert (held_up["counts"]["queued"], held_up["counts"]["sent"]) == (2, 0)
    assert (after["counts"]["queued"], after["counts"]["sent"]) == (0, 2)

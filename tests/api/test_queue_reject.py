"""POST /api/messages/queues/{queueId}/reject: its answer; what it shares is in test_queue_decisions."""

import pytest

from accounts.models import Member, Organization
from billing import ledger
from messaging import delivery, run_control
from messaging.models import Broadcast
from tests.api.deciding import decide, waiting
from tests.factories import TermsFactory
from tests.people import ClientOf

__all__ = ["waiting"]  # a fixture

pytestmark = pytest.mark.django_db


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


def test_no_terms_hinder_whoever_says_no(
    client_of: ClientOf, ana: Member, waiting: Broadcast
) -> None:
    TermsFactory.create(version="2026-2")

    assert decide(client_of(ana), waiting, "reject").status_code == 200

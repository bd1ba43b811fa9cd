"""What the API says of a broadcast whose numbers and text were blanked."""

import csv
import io
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.models import Member, Organization
from messaging import retention
from messaging.models import Broadcast
from tests.messaging.rows import BroadcastFactory, MessageFactory, SkipFactory
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

NUMBER = "+573001234567"


@pytest.fixture
def blanked(ana: Member, acme: Organization) -> Broadcast:
    Organization.objects.filter(pk=acme.pk).update(retention_days=30)
    broadcast: Broadcast = BroadcastFactory.create(
        member=ana,
        text="Hola Ana",
        status=Broadcast.Status.COMPLETED_WITH_FAILURES,
        finished_at=timezone.now() - timedelta(days=31),
        failed=1,
        skipped_by_reason={"invalid_number": 1},
    )
    MessageFactory.create(
        broadcast=broadcast,
        recipient=NUMBER,
        status="FAILED",
        charge="RELEASED",
        error_code="21211",
        error_message=f"{NUMBER} is not valid",
    )
    SkipFactory.create(broadcast=broadcast, phone="123", contact_id=uuid4())
    retention.blank()
    broadcast.refresh_from_db()
    return broadcast


def moment(row: dict[str, Any]) -> str:
    return str(row["blankedAt"])[:10]


def test_a_queue_says_when_and_keeps_its_counts(
    client_of: ClientOf, ana: Member, blanked: Broadcast
) -> None:
    client = client_of(ana)

    (listed,) = client.get("/api/messages/queues").json()["data"]
    body = client.get(f"/api/messages/queues/{blanked.pk}").json()

    assert listed == body
    assert (body["message"], moment(body)) == ("", timezone.now().date().isoformat())
    assert (body["counts"]["failed"], body["skipped"]) == (1, {"invalid_number": 1})


def test_a_message_says_when_and_keeps_its_status(
    client_of: ClientOf, ana: Member, blanked: Broadcast
) -> None:
    client = client_of(ana)

    (row,) = client.get("/api/messages").json()["data"]
    one = client.get(f"/api/messages/{row['id']}").json()

    assert {**row, "events": one["events"]} == one
    names = ("message", "content", "recipient", "recipientDetails", "errorMessage")
    assert [row[name] for name in names] == ["", "", "", "", None]
    assert (row["status"], row["errorCode"]) == ("FAILED", "21211")
    assert moment(row) == timezone.now().date().isoformat()
    assert NUMBER not in str(one)


def test_a_skip_keeps_its_contact_and_reason(
    client_of: ClientOf, ana: Member, blanked: Broadcast
) -> None:
    (row,) = client_of(ana).get(f"/api/messages/queues/{blanked.pk}/skipped").json()["data"]

    assert (row["phone"], row["reason"]) == ("", "invalid_number")
    assert row["contactId"]


@pytest.mark.parametrize("asked", [{"recipient": NUMBER}, {"search": "Hola"}])
def test_nobody_finds_it_by_number_or_text(
    client_of: ClientOf, ana: Member, blanked: Broadcast, asked: dict[str, str]
) -> None:
    assert client_of(ana).get("/api/messages", asked).json()["data"] == []


def test_exports_leave_its_cells_empty(
    client_of: ClientOf, ana: Member, blanked: Broadcast
) -> None:
    client = client_of(ana)
    skips = f"/api/messages/queues/{blanked.pk}/skipped"

    (message,) = _lines(client.get("/api/messages/export"))
    (skip,) = _lines(client.get(skips, headers={"accept": "text/csv"}))

    assert (message["message"], message["recipient"], message["status"]) == ("", "", "FAILED")
    assert (skip["phone"], skip["reason"]) == ("", "invalid_number")


def _lines(answer: Any) -> list[dict[str, str]]:
    content = b"".join(answer.streaming_content).decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(content)))


def test_the_start_page_shows_it_without_a_number(
    client_of: ClientOf, ana: Member, blanked: Broadcast
) -> None:
    (recent,) = client_of(ana).get("/api/reports/dashboard").json()["recentMessages"]

    assert (recent["phone"], recent["content"], recent["status"]) == ("", "", "FAILED")


def test_resending_it_is_refused_in_words(
    client_of: ClientOf, ana: Member, blanked: Broadcast
) -> None:
    answer = client_of(ana).post(f"/api/messages/queues/{blanked.pk}/resend-failed")

    assert (answer.status_code, answer.json()["code"]) == (409, "4013")
    assert "nothing left to resend" in answer.json()["message"]

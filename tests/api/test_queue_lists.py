"""GET …/queues/{queueId}/messages and /skipped: lists, and the whole as CSV."""

import csv
import io
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings

from accounts.models import AuditEntry, Member
from contacts.models import Contact
from messaging import exporting
from messaging.models import Broadcast
from tests.api.refusals import told
from tests.messaging.factories import contacts_in_order, sent_broadcast
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

CSV = {"accept": "text/csv"}


@pytest.fixture
def broadcast(settings: Settings, ana: Member) -> Broadcast:
    """Two messages, a number twice, and one that is none and looks like a formula."""
    settings.SMS_PROVIDERS = ["memory://local"]
    return sent_broadcast(ana, "+573001234567", "+573001234568", "3001234567", "=1+2")


def url(queue_id: object, part: str) -> str:
    return f"/api/messages/queues/{queue_id}/{part}"


def read(answer: Any) -> list[dict[str, str]]:
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"), newline="")))


def test_messages_are_the_rows_of_the_list_of_all_messages(
    client_of: ClientOf, vera: Member, ana: Member, broadcast: Broadcast
) -> None:
    sent_broadcast(ana)
    client = client_of(vera)

    body = client.get(url(broadcast.pk, "messages")).json()

    assert body == client.get("/api/messages", {"queueId": str(broadcast.pk)}).json()
    assert [row["recipient"] for row in body["data"]] == ["+573001234568", "+573001234567"]


def test_skips_say_who_and_why(client_of: ClientOf, vera: Member, broadcast: Broadcast) -> None:
    contact = {contact.phone: str(contact.pk) for contact in Contact.objects.all()}

    body = client_of(vera).get(url(broadcast.pk, "skipped")).json()

    assert body["data"] == [
        {
            "contactId": contact["=1+2"],
            "phone": "=1+2",
            "reason": "invalid_number",
            "duplicateOf": None,
        },
        {
            "contactId": contact["3001234567"],
            "phone": "3001234567",
            "reason": "duplicate",
            "duplicateOf": contact["+573001234567"],
        },
    ]
    assert body["meta"]["totalRecords"] == body["pagination"]["totalItems"] == 2


def test_skips_have_pages(client_of: ClientOf, ana: Member, broadcast: Broadcast) -> None:
    contacts_in_order(broadcast.organization, "1", "2", "3")
    later = sent_broadcast(ana)
    client = client_of(ana)
    everything = client.get(url(later.pk, "skipped")).json()["data"]

    first = client.get(url(later.pk, "skipped"), {"limit": 3}).json()
    after = {"limit": 3, "after": first["meta"]["next"]}
    second = client.get(url(later.pk, "skipped"), after).json()
    by_number = client.get(url(later.pk, "skipped"), {"limit": 3, "page": 2}).json()

    assert first["data"] + second["data"] == everything
    assert second["data"] == by_number["data"]
    assert len(everything) == 5


def test_both_stream_the_whole_as_csv(
    client_of: ClientOf, vera: Member, broadcast: Broadcast, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PAGE", 1)
    client = client_of(vera)

    messages = client.get(url(broadcast.pk, "messages"), headers=CSV)
    skipped = client.get(url(broadcast.pk, "skipped"), headers=CSV)

    assert [line["recipient"] for line in read(messages)] == ["+573001234568", "+573001234567"]
    lines = read(skipped)
    assert list(lines[0]) == ["contactId", "phone", "reason", "duplicateOf"]
    assert [line["phone"] for line in lines] == ["'=1+2", "3001234567"]
    assert set(
        AuditEntry.objects.filter(subject=f"broadcast:{broadcast.pk}").values_list("act", flat=True)
    ) >= {"messages.exported", "skips.exported"}


@pytest.mark.parametrize("part", ["messages", "skipped"])
@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/csv, */*;q=0.1", "text/csv; charset=utf-8"),
        ("application/json, text/csv", "application/json"),
        ("*/*", "application/json"),
        ("image/png", "application/json"),
    ],
)
def test_what_accept_prefers_is_answered(
    client_of: ClientOf, ana: Member, broadcast: Broadcast, part: str, accept: str, kind: str
) -> None:
    answer = client_of(ana).get(url(broadcast.pk, part), headers={"accept": accept})

    assert (answer.status_code, answer["Content-Type"]) == (200, kind)


@pytest.mark.parametrize("part", ["messages", "skipped"])
@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
def test_S14_another_organizations_is_as_none_at_all_and_refused_in_json(
    client_of: ClientOf, carla: Member, broadcast: Broadcast, part: str, accept: str
) -> None:
    client = client_of(carla)

    foreign = client.get(url(broadcast.pk, part), headers={"accept": accept})
    random = client.get(url(uuid4(), part), headers={"accept": accept})

    assert told(foreign) == told(random) == (404, "1005")

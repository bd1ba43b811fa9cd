"""GET /api/messages/export: all of a filter as CSV, page by page."""

import csv
import io
from typing import Any

import pytest
from pytest_django import Settings

from accounts.models import AuditEntry, Member
from messaging import exporting
from messaging.models import Broadcast, Message
from tests.api.refusals import told
from tests.messaging.factories import sent_broadcast
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/messages/export"
NUMBERS = ("+573001234567", "+573001234568", "+525512345678")


@pytest.fixture
def broadcast(settings: Settings, ana: Member) -> Broadcast:
    settings.SMS_PROVIDERS = ["memory://local"]
    return sent_broadcast(ana, *NUMBERS, text='Señora, "hola"\r\n=1+1')


def read(answer: Any) -> list[dict[str, str]]:
    """Return the lines as a spreadsheet would read them."""
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    text = answer.getvalue().decode("utf-8-sig")
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_line_says_everything_of_a_message(
    client_of: ClientOf, vera: Member, broadcast: Broadcast
) -> None:
    client = client_of(vera)
    rows = client.get("/api/messages").json()["data"]

    answer = client.get(URL)

    assert answer["Content-Disposition"] == 'attachment; filename="messages.csv"'
    lines = read(answer)
    assert list(lines[0]) == list(exporting.MESSAGES)
    shown = [{name: str(row[name] or "") for name in exporting.MESSAGES} for row in rows]
    assert lines == shown
    assert lines[0]["message"] == 'Señora, "hola"\r\n=1+1'


def test_it_is_utf_8_and_says_so_for_spreadsheets(
    client_of: ClientOf, ana: Member, broadcast: Broadcast
) -> None:
    assert client_of(ana).get(URL).getvalue().startswith(b"\xef\xbb\xbfid,queueId,")


def test_S59_what_a_carrier_or_a_person_wrote_is_never_a_formula(
    client_of: ClientOf, ana: Member, broadcast: Broadcast
) -> None:
    Broadcast.objects.filter(pk=broadcast.pk).update(text="=cmd|' /C calc'!A0")
    Message.objects.filter(country="MX").update(error_message="@SUM(1)", provider_message_id="-1+1")

    (line,) = read(client_of(ana).get(URL, {"countryCode": "MX"}))

    assert line["message"] == "'=cmd|' /C calc'!A0"
    assert line["errorMessage"] == "'@SUM(1)"
    assert line["providerMessageId"] == "'-1+1"
    assert line["recipient"] == "+525512345678"


def test_it_takes_the_lists_filters(client_of: ClientOf, ana: Member, broadcast: Broadcast) -> None:
    client = client_of(ana)

    lines = read(client.get(URL, {"countryCode": "57", "status": "queued"}))

    assert {line["recipient"] for line in lines} == set(NUMBERS[:2])
    assert told(client.get(URL, {"status": "LOST"})) == (400, "4000")


def test_pages_follow_one_another_without_a_gap(
    client_of: ClientOf, ana: Member, broadcast: Broadcast, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        sent_broadcast(ana, f"+5730200000{number}0", f"+5730200000{number}1")
    monkeypatch.setattr(exporting, "PAGE", 2)

    lines = read(client_of(ana).get(URL))

    ids = [str(id_) for id_ in Message.objects.order_by("-created_at", "-id").values_list("pk")]
    assert [f"(UUID('{line['id']}'),)" for line in lines] == ids


def test_nothing_found_is_the_header_alone(client_of: ClientOf, ana: Member) -> None:
    assert read(client_of(ana).get(URL)) == []


def test_another_organization_gets_nothing(
    client_of: ClientOf, carla: Member, broadcast: Broadcast
) -> None:
    assert read(client_of(carla).get(URL, {"queueId": str(broadcast.pk)})) == []
    assert read(client_of(carla).get(URL)) == []


def test_S58_who_takes_them_is_written_down(
    client_of: ClientOf, vera: Member, broadcast: Broadcast
) -> None:
    read(client_of(vera).get(URL, {"search": "hola", "status": ""}))

    entry = AuditEntry.objects.get(act="messages.exported")
    assert (entry.member, entry.details) == (vera, {"format": "csv", "filters": ["search"]})

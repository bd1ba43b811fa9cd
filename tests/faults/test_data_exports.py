"""B89: what leaves the house as a file, read back as a spreadsheet reads it, and broken off in the middle."""

import csv
import io
import zipfile
from typing import Any, Final
from xml.etree import ElementTree

import pytest
from pytest_django import Settings

from accounts.models import Member
from tests.faults.harness.stack import Stack
from tests.messaging.factories import contacts_in_order, sent_broadcast
from tests.people import ClientOf

HOSTILE: Final = (
    "=cmd|' /C calc'!A0",
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(1+1)",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "\uff1d1+1",
    "\uff0b1+1",
    "\uff0d1+1",
    "\uff20SUM(1)",
)
NUMBER: Final = "+573001234567"
_MAIN: Final = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@pytest.fixture
def hostile(db: None, ana: Member, settings: Settings) -> Any:
    """Contacts whose names and numbers are formulas, skipped by a broadcast, and one honest one."""
    settings.SMS_PROVIDERS = ["memory://local"]
    assert ana.organization
    contacts_in_order(
        ana.organization, *({"phone": text, "name": text, "last_name": ""} for text in HOSTILE)
    )
    return sent_broadcast(ana, NUMBER)


def test_B89_no_cell_of_a_csv_is_a_formula_and_numbers_stay_readable(
    client_of: ClientOf, ana: Member, hostile: Any
) -> None:
    client = client_of(ana)
    skipped = f"/api/messages/queues/{hostile.pk}/skipped"

    skips = _lines(client.get(skipped, headers={"accept": "text/csv"}))
    contacts = _lines(client.get("/api/contacts/export"))
    messages = _lines(client.get("/api/messages/export"))

    assert sorted(line["phone"] for line in skips) == sorted(f"'{text}" for text in HOSTILE)
    assert {line["name"] for line in contacts} > {f"'{text}" for text in HOSTILE}
    assert [line["recipient"] for line in messages] == [NUMBER]
    assert [line["phone"] for line in contacts if line["e164"]] == [NUMBER]


def test_B89_a_workbook_has_texts_alone(client_of: ClientOf, ana: Member, hostile: Any) -> None:
    answer = client_of(ana).get("/api/contacts/export", {"format": "xlsx"})

    with zipfile.ZipFile(io.BytesIO(answer.getvalue())) as archive:
        sheet = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))  # noqa: S314 - our own
    assert list(sheet.iter(f"{_MAIN}f")) == []
    assert {cell.attrib["t"] for cell in sheet.iter(f"{_MAIN}c")} == {"inlineStr"}
    assert NUMBER in {text.text for text in sheet.iter(f"{_MAIN}t")}


def _lines(answer: Any) -> list[dict[str, str]]:
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.getvalue().decode("utf-8-sig"), newline="")))


@pytest.mark.parametrize("whose", ["contacts", "skips"])
def test_B89_a_database_that_fails_in_the_middle_breaks_the_connection_off(
    stack: Stack, whose: str
) -> None:
    house = stack.house(contacts=5_100)
    path, headers, goes_on = "/api/contacts/export", {}, '"id") > '
    if whose == "skips":
        stack.sql(
            "UPDATE contacts_contact SET status = 'BLOCKED' WHERE organization_id = %s",
            house.organization.pk,
        )
        house.client.send("Hola")
        ((queue_id,),) = stack.sql(
            "SELECT id FROM messaging_broadcast WHERE organization_id = %s", house.organization.pk
        )
        path = f"/api/messages/queues/{queue_id}/skipped"
        headers, goes_on = {"Accept": "text/csv"}, '"id" < '
    whole = house.client.call("GET", path, headers=headers)

    with stack.web.database.cut_request(times=1, containing=b" LIMIT 5000") as wire:
        # The first page's own statement breaks it before a byte is out: that is a refusal as any other.
        refused = house.client.call("GET", path, headers=headers)
        wire.break_("cut_request", times=1, containing=goes_on)
        broken = house.client.call("GET", path, headers=headers, may_break=True)
    after = house.client.call("GET", path, headers=headers)

    assert whole.body.count(b"\r\n") == 5_101
    assert (refused.status, refused.code) == (503, "4090"), refused.text
    assert "IncompleteRead" in broken.broke
    assert 0 < len(broken.body) < len(whole.body)
    assert whole.body.startswith(broken.body)
    assert after.body == whole.body

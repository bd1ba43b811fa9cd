"""GET /api/contacts/export."""

import csv
import io
import zipfile
from datetime import UTC, date, datetime
from typing import Any
from xml.etree import ElementTree

import pytest
from pytest_django import DjangoAssertNumQueries
from rest_framework.test import APIClient

from accounts.models import AuditEntry, Member, Organization
from contacts import exporting, workbooks
from contacts.models import Contact
from tests.api.refusals import fields, told
from tests.contacts.factories import ContactFactory, TagFactory
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/contacts/export"
HEADER = [
    "phone",
    "countryCode",
    "country",
    "name",
    "lastName",
    "email",
    "birthDate",
    "status",
    "tags",
    "e164",
    "origin",
    "id",
    "createdAt",
    "updatedAt",
]
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def rows(answer: Any) -> list[list[str]]:
    """Return the lines of a CSV answer, the header among them."""
    assert answer.status_code == 200
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.reader(io.StringIO(answer.getvalue().decode("utf-8-sig"), newline="")))


def sheet(answer: Any) -> list[list[str]]:
    """Return the rows of a workbook, as the bare XML has them."""
    assert answer.status_code == 200
    assert answer["Content-Type"] == XLSX
    with zipfile.ZipFile(io.BytesIO(answer.getvalue())) as archive:
        root = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))  # noqa: S314 - our own
    table = []
    for row in root.iter(f"{_MAIN}row"):
        found = {cell.attrib["r"][0]: cell.findtext(f"{_MAIN}is/{_MAIN}t") or "" for cell in row}
        table.append([found.get(chr(ord("A") + i), "") for i in range(len(HEADER))])
    return table


@pytest.fixture
def people(acme: Organization, borealis: Organization) -> list[Contact]:
    ana = ContactFactory.create(
        organization=acme,
        name="Ana",
        last_name="Londoño, la mayor",
        email="ana@example.org",
        phone="300 123 4567",
        birth_date=date(1990, 5, 17),
        created_at=datetime(2026, 1, 31, 12, 0, 0, 123456, UTC),
    )
    for name in ("VIP", "Lead"):
        ana.tags.add(TagFactory.create(organization=acme, name=name))
    beto = ContactFactory.create(
        organization=acme, name="Beto", phone="+12025550123", status="BLOCKED", origin="API"
    )
    odd = ContactFactory.create(organization=acme, name="Odd", phone="123", country="MX")
    ContactFactory.create(organization=acme, name="Gone", deleted_at=datetime.now(UTC))
    ContactFactory.create(organization=borealis, name="Foreign")
    return [ana, beto, odd]


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_a_viewer_gets_every_own_contact_oldest_first_with_every_field(
    client_of: ClientOf, vera: Member, people: list[Contact], kind: str
) -> None:
    answer = client_of(vera).get(URL, {"format": kind})

    table = rows(answer) if kind == "csv" else sheet(answer)
    assert table[0] == HEADER
    assert [row[3] for row in table[1:]] == ["Ana", "Beto", "Odd"]
    assert table[1] == [
        "300 123 4567",
        "57",
        "CO",
        "Ana",
        "Londoño, la mayor",
        "ana@example.org",
        "1990-05-17",
        "ACTIVE",
        "Lead; VIP",
        "+573001234567",
        "ADMIN",
        str(people[0].pk),
        "2026-01-31T12:00:00.123Z",
        table[1][-1],
    ]
    assert table[2][:12] == [
        "+12025550123",
        "1",
        "US",
        "Beto",
        *[""] * 3,
        "BLOCKED",
        "",
        "+12025550123",
        "API",
        str(people[1].pk),
    ]
    assert (table[3][:3], table[3][9]) == (["123", "52", "MX"], "")
    name = answer["Content-Disposition"]
    assert name == f'attachment; filename="contacts.{kind}"'


def test_csv_is_what_one_gets_unasked(
    client_of: ClientOf, vera: Member, people: list[Contact]
) -> None:
    client = client_of(vera)

    for headers in ({}, {"accept": "application/json"}, {"accept": "image/png"}):
        assert len(rows(client.get(URL, headers=headers))) == 4


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"status": "BLOCKED"}, ["Beto"]),
        ({"search": "ana"}, ["Ana"]),
        ({"countryCode": "1"}, ["Beto"]),
        ({"origin": "IMPORT"}, []),
    ],
)
def test_it_takes_the_lists_filters(
    client_of: ClientOf,
    vera: Member,
    people: list[Contact],
    kind: str,
    query: dict[str, str],
    found: list[str],
) -> None:
    answer = client_of(vera).get(URL, {**query, "format": kind})

    table = rows(answer) if kind == "csv" else sheet(answer)
    assert [row[3] for row in table] == ["name", *found]


def test_S59_no_cell_is_a_formula(client_of: ClientOf, vera: Member, acme: Organization) -> None:
    formula = '=HYPERLINK("http://x.example","y")'
    ContactFactory.create(
        organization=acme, name=formula, last_name="\uff1d1", phone="+573001234567"
    )
    client = client_of(vera)

    cells = rows(client.get(URL))[1]
    kept = sheet(client.get(URL, {"format": "xlsx"}))[1]

    assert cells[3:5] == [f"'{formula}", "'\uff1d1"]
    assert (cells[0], cells[9]) == ("+573001234567", "+573001234567")  # digits compute nothing
    assert kept[3] == formula  # a string by its kind


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_it_reads_in_pages_and_leaves_none_out(
    client_of: ClientOf,
    vera: Member,
    acme: Organization,
    monkeypatch: pytest.MonkeyPatch,
    django_assert_max_num_queries: DjangoAssertNumQueries,
    kind: str,
) -> None:
    monkeypatch.setattr(exporting, "PAGE", 3)
    moment = datetime(2026, 1, 31, tzinfo=UTC)
    # The same moment for all, as one statement of an import gives them.
    contacts = ContactFactory.create_batch(9, organization=acme, created_at=moment)
    client = client_of(vera)

    with django_assert_max_num_queries(2 + 2 + 4):  # who asks, the record, pages and their end
        answer = client.get(URL, {"format": kind})
        table = rows(answer) if kind == "csv" else sheet(answer)

    assert [row[11] for row in table[1:]] == sorted(str(contact.pk) for contact in contacts)


def test_a_workbook_holds_a_million_at_most(
    client_of: ClientOf, vera: Member, people: list[Contact], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbooks, "LONGEST_SHEET", 2)
    client = client_of(vera)

    refused = client.get(URL, {"format": "xlsx"})

    assert told(refused) == (400, "4000")
    assert fields(refused) == {"format"}
    assert len(sheet(client.get(URL, {"format": "xlsx", "status": "ACTIVE"}))) == 3
    assert len(rows(client.get(URL))) == 4


def test_taking_contacts_out_is_recorded(
    client_of: ClientOf, vera: Member, people: list[Contact]
) -> None:
    client_of(vera).get(URL, {"format": "xlsx", "search": "ana", "status": "ACTIVE"})

    entry = AuditEntry.objects.get(act="contacts.exported")
    assert entry.member == vera
    assert entry.details == {"format": "xlsx", "filters": ["search", "status"]}


@pytest.mark.parametrize(
    ("query", "field"),
    [({"format": "pdf"}, "format"), ({"format": 1}, "format"), ({"status": "x"}, "status")],
)
def test_what_means_nothing_is_400_and_records_nothing(
    client_of: ClientOf, vera: Member, query: dict[str, Any], field: str
) -> None:
    answer = client_of(vera).get(URL, query)

    assert told(answer) == (400, "4000")
    assert fields(answer) == {field}
    assert not AuditEntry.objects.filter(act="contacts.exported").exists()


def test_who_may_not_is_refused_in_json(
    client_of: ClientOf, root: Member, anonymous: APIClient, vera: Member
) -> None:
    assert told(client_of(root).get(URL)) == (403, "1003")
    assert told(anonymous.get(URL, headers={"accept": "text/csv"})) == (401, "1002")
    assert told(client_of(vera).post(URL, {}, format="json")) == (405, "4040")

"""GET /api/credits and /api/credits/ledger: the balance, and how it came about."""

import pytest
from pytest_django import Settings

from accounts.models import Member
from billing import ledger
from billing.models import LedgerEntry
from tests.api.refusals import fields, told
from tests.messaging.factories import grant, sent_broadcast
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

CREDITS, LEDGER = "/api/credits", "/api/credits/ledger"


@pytest.fixture(autouse=True)
def memory(settings: Settings) -> None:
    settings.SMS_PROVIDERS = ["memory://local"]


def test_the_balance_is_what_is_available_and_what_is_reserved(
    client_of: ClientOf, vera: Member, ana: Member
) -> None:
    sent_broadcast(ana, "+573001234567", "+573001234568")

    body = client_of(vera).get(CREDITS).json()

    assert body == {"balance": 1_000, "reserved": 2, "available": 998}


def test_who_never_had_credits_has_none(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)

    assert client.get(CREDITS).json() == {"balance": 0, "reserved": 0, "available": 0}
    assert client.get(LEDGER).json()["data"] == []


def test_entries_say_what_moved_and_add_up_to_the_balance(
    client_of: ClientOf, vera: Member, ana: Member
) -> None:
    broadcast = sent_broadcast(ana, "+573001234567", "+573001234568")
    ledger.capture(organization_id=broadcast.organization_id, amount=1, reference="test:1")
    entry = LedgerEntry.objects.get(kind="RESERVE")
    client = client_of(vera)

    rows = client.get(LEDGER).json()["data"]

    assert [row["kind"] for row in rows] == ["CAPTURE", "RESERVE", "GRANT"]
    moment = rows[1].pop("createdAt")
    assert moment.endswith("Z")
    assert rows[1] == {
        "id": str(entry.pk),
        "kind": "RESERVE",
        "amount": 2,
        "available": -2,
        "reserved": 2,
        "spent": 0,
        "reference": f"broadcast:{broadcast.pk}",
        "note": "",
    }
    balance = client.get(CREDITS).json()
    for name in ("available", "reserved"):
        assert sum(row[name] for row in rows) == balance[name]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"kind": "grant"}, ["GRANT"]),
        ({"kind": "RELEASE"}, []),
        ({"startDate": "2000-01-01"}, ["RESERVE", "GRANT"]),
        ({"startDate": "2100-01-01"}, []),
        ({"endDate": "2000-01-01"}, []),
        ({"limit": "1", "page": "2"}, ["GRANT"]),
    ],
)
def test_each_filter_finds_what_it_says(
    client_of: ClientOf, ana: Member, query: dict[str, str], found: list[str]
) -> None:
    sent_broadcast(ana, "+573001234567")

    rows = client_of(ana).get(LEDGER, query).json()["data"]

    assert [row["kind"] for row in rows] == found


@pytest.mark.parametrize(
    ("name", "value"),
    [("kind", "THEFT"), ("startDate", "x"), ("endDate", "2026-02-30"), ("limit", "0")],
)
def test_a_value_that_means_nothing_is_400_and_named(
    client_of: ClientOf, ana: Member, name: str, value: str
) -> None:
    answer = client_of(ana).get(LEDGER, {name: value})

    assert told(answer) == (400, "4000")
    assert fields(answer) == {name}


def test_another_organization_sees_its_own_alone(
    client_of: ClientOf, carla: Member, ana: Member
) -> None:
    sent_broadcast(ana, "+573001234567")
    assert carla.organization
    grant(carla.organization, 7)
    client = client_of(carla)

    assert client.get(CREDITS).json()["balance"] == 7
    assert [row["amount"] for row in client.get(LEDGER).json()["data"]] == [7]

"""GET /api/messages: every field, every filter, both wrappers, and who sees what."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.models import Member
from contacts.models import Contact
from messaging import searching
from messaging.models import Broadcast, Message
from tests.api.refusals import fields, told
from tests.messaging.factories import contacts_in_order, grant, sent_broadcast
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/messages"
NUMBERS = ("+573001234567", "+573001234568", "+525512345678")


@pytest.fixture(autouse=True)
def memory(settings: Settings) -> None:
    settings.SMS_PROVIDERS = ["memory://local"]


@pytest.fixture
def broadcast(ana: Member) -> Broadcast:
    """Two messages to Colombia and one to Mexico."""
    return sent_broadcast(ana, *NUMBERS, text="Buenos días, Bogotá")


@pytest.fixture
def listed(client_of: ClientOf, ana: Member) -> Any:
    """Ask as Ana; return the numbers on the page, in its order."""
    client = client_of(ana)

    def asked(**query: Any) -> list[str]:
        answer = client.get(URL, query)
        assert answer.status_code == 200, answer.json()
        return [row["recipient"] for row in answer.json()["data"]]

    return asked


def one(recipient: str) -> Any:
    return Message.objects.filter(recipient=recipient)


# --- the fields -----------------------------------------------------------------------------------
def test_a_row_says_everything_of_a_message(
    client_of: ClientOf, ana: Member, broadcast: Broadcast
) -> None:
    moment = datetime(2026, 1, 31, 12, 0, 0, 123_456, tzinfo=UTC)
    one(NUMBERS[0]).update(
        status="UNDELIVERED",
        provider="memory:local",
        provider_message_id="SM1",
        error_code="30003",
        error_message="Unreachable",
        created_at=moment,
        sent_at=moment + timedelta(seconds=1),
        delivered_at=None,
        updated_at=moment + timedelta(seconds=2),
    )
    message = one(NUMBERS[0]).get()

    (row,) = client_of(ana).get(URL, {"recipient": NUMBERS[0]}).json()["data"]

    assert row == {
        "id": str(message.pk),
        "queueId": str(broadcast.pk),
        "type": "SMS",
        "messageType": "SMS",
        "contentType": "PLAIN_TEXT",
        "message": "Buenos días, Bogotá",
        "content": "Buenos días, Bogotá",
        "recipient": "+573001234567",
        "recipientDetails": "+573001234567",
        "country": "CO",
        "countryCode": "57",
        "status": "UNDELIVERED",
        "segments": 1,
        "credits": 1,
        "provider": "memory:local",
        "providerMessageId": "SM1",
        "errorCode": "30003",
        "errorMessage": "Unreachable",
        "contactId": str(message.contact_id),
        "organizationId": str(ana.organization_id),
        "createdAt": "2026-01-31T12:00:00.123Z",
        "sentAt": "2026-01-31T12:00:01.123Z",
        "deliveredAt": None,
        "updatedAt": "2026-01-31T12:00:02.123Z",
        "blankedAt": None,
    }


def test_what_nobody_knows_yet_is_null(
    client_of: ClientOf, ana: Member, broadcast: Broadcast
) -> None:
    rows = client_of(ana).get(URL).json()["data"]

    nulls = {name for name, value in rows[0].items() if value is None}
    assert nulls == {
        *("provider", "providerMessageId", "errorCode", "errorMessage"),
        *("sentAt", "deliveredAt", "blankedAt"),
    }


def test_an_end_of_our_own_is_told_in_words(
    client_of: ClientOf, ana: Member, broadcast: Broadcast
) -> None:
    one(NUMBERS[0]).update(status="CANCELED", error_code="opted_out")

    (row,) = client_of(ana).get(URL, {"status": "CANCELED"}).json()["data"]

    assert (row["errorCode"], row["errorMessage"]) == (
        "opted_out",
        "Opted out before it was handed over",
    )


def test_both_wrappers_tell_the_same(
    client_of: ClientOf, ana: Member, broadcast: Broadcast
) -> None:
    body = client_of(ana).get(URL, {"limit": 2}).json()

    assert len(body["data"]) == 2
    assert body["meta"].pop("next")
    assert body["meta"] == {
        "currentPage": 1,
        "limit": 2,
        "totalPages": 2,
        "totalRecords": 3,
        "hasNextPage": True,
        "hasPreviousPage": False,
        "estimated": False,
    }
    assert body["pagination"] == {
        "currentPage": 1,
        "totalPages": 2,
        "totalItems": 3,
        "itemsPerPage": 2,
        "hasNextPage": True,
        "hasPreviousPage": False,
    }


def test_the_cursor_goes_on_where_the_page_ended(
    client_of: ClientOf, ana: Member, broadcast: Broadcast
) -> None:
    client = client_of(ana)
    everything = [row["id"] for row in client.get(URL).json()["data"]]
    first = client.get(URL, {"limit": 2}).json()

    second = client.get(URL, {"limit": 2, "after": first["meta"]["next"]}).json()

    assert [row["id"] for page in (first, second) for row in page["data"]] == everything
    assert second["meta"]["next"] is None


def test_the_newest_broadcast_comes_first_and_its_last_message(listed: Any, ana: Member) -> None:
    sent_broadcast(ana, "+573001234567")
    sent_broadcast(ana, "+573001234568")

    assert listed() == ["+573001234568", "+573001234567", "+573001234567"]


# --- the filters ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({}, {0, 1, 2}),
        ({"status": "FAILED"}, {0}),
        ({"status": "failed"}, {0}),
        ({"status": "Queued"}, {1, 2}),
        ({"status": "pending"}, {1, 2}),
        ({"status": "DELIVERED"}, set()),
        ({"status": "SCHEDULED"}, set()),
        ({"type": "sms"}, {0, 1, 2}),
        ({"type": "OTP"}, set()),
        ({"messageType": "FLASH"}, set()),
        ({"type": "SMS", "messageType": "OTP"}, {0, 1, 2}),
        ({"startDate": "2000-01-01"}, {0, 1, 2}),
        ({"startDate": "2100-01-01"}, set()),
        ({"endDate": "2100-01-01T00:00:00Z"}, {0, 1, 2}),
        ({"endDate": "2000-01-01"}, set()),
        ({"search": "bogota"}, {0, 1, 2}),
        ({"search": "Bogotá buen"}, {0, 1, 2}),
        ({"content": "días"}, {0, 1, 2}),
        ({"content": "ogot"}, set()),
        ({"search": "Buenos noches"}, set()),
        ({"recipient": "+573001234567"}, {0}),
        ({"recipientDetails": "573001234567"}, {0}),
        ({"recipient": "300 123-4567"}, {0}),
        ({"recipient": "+57300"}, {0, 1}),
        ({"recipient": "+52"}, {2}),
        ({"recipient": "+1"}, set()),
        ({"recipient": "nobody"}, set()),
        ({"recipient": "\u200b+\u0665\u0667"}, {0, 1}),
        ({"countryCode": "57"}, {0, 1}),
        ({"countryCode": "+52"}, {2}),
        ({"countryCode": "co"}, {0, 1}),
        ({"countryCode": "1"}, set()),
        ({"provider": "memory:local"}, {0}),
        ({"provider": "memory"}, set()),
        ({"status": "FAILED", "recipient": "+573001234568"}, set()),
        ({"status": "", "type": "", "search": "", "queueId": "", "startDate": ""}, {0, 1, 2}),
    ],
)
def test_each_filter_finds_what_it_says(
    listed: Any, broadcast: Broadcast, query: dict[str, str], found: set[int]
) -> None:
    one(NUMBERS[0]).update(status="FAILED", provider="memory:local")

    assert set(listed(**query)) == {NUMBERS[number] for number in found}


def test_a_queue_id_and_a_contact_id_find_theirs(
    listed: Any, ana: Member, broadcast: Broadcast
) -> None:
    later = sent_broadcast(ana)
    contact = Contact.objects.get(phone=NUMBERS[1])

    assert listed(queueId=str(broadcast.pk)) == [*reversed(NUMBERS)]
    assert listed(contactId=str(contact.pk)) == [NUMBERS[1], NUMBERS[1]]
    assert listed(contactId=str(contact.pk), queueId=str(later.pk)) == [NUMBERS[1]]
    assert listed(queueId=str(later.pk), search="bogota") == []


def test_a_type_and_words_find_their_broadcasts_among_others(listed: Any, ana: Member) -> None:
    contacts_in_order(ana.organization, NUMBERS[0])  # type: ignore[arg-type]
    for text, kind in (("Uno", "SMS"), ("Dos", "FLASH"), ("Uno y dos", "OTP")):
        Broadcast.objects.filter(pk=sent_broadcast(ana, text=text).pk).update(kind=kind)

    assert len(listed(type="FLASH")) == len(listed(type="OTP")) == 1
    assert len(listed(search="dos")) == 2
    assert len(listed(search="dos", type="SMS")) == 0
    assert len(listed(search="uno dos")) == 1


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ({"startDate": "2026-01-31"}, True),
        ({"startDate": "2026-02-01"}, False),
        ({"endDate": "2026-01-31"}, True),
        ({"endDate": "2026-01-30"}, False),
        ({"startDate": "2026-01-31T23:59:59.999Z"}, True),
        ({"startDate": "2026-02-01T00:00:00+01:00"}, True),
        ({"startDate": "2026-02-01T00:00:00"}, False),
        ({"endDate": "2026-01-31T23:59:59.999Z"}, True),
        ({"endDate": "2026-01-31T23:59:59.998Z"}, False),
        ({"startDate": "2026-01-31", "endDate": "2026-01-31"}, True),
        ({"startDate": "2026-02-01", "endDate": "2026-01-31"}, False),
    ],
)
def test_both_ends_of_a_period_belong_to_it_and_a_day_is_one_of_utc(
    listed: Any,
    broadcast: Broadcast,
    settings: Settings,
    query: dict[str, str],
    is_found: bool,  # noqa: FBT001 - a parameter of pytest's
) -> None:
    settings.TIME_ZONE = "America/Bogota"
    Message.objects.exclude(recipient=NUMBERS[0]).delete()
    one(NUMBERS[0]).update(created_at=datetime(2026, 1, 31, 23, 59, 59, 999_500, tzinfo=UTC))

    assert bool(listed(**query)) == is_found


def test_what_waits_for_its_broadcast_is_scheduled_and_not_queued(
    client_of: ClientOf, ana: Member, listed: Any, broadcast: Broadcast
) -> None:
    Broadcast.objects.filter(pk=broadcast.pk).update(status="SCHEDULED")

    (row, *_) = client_of(ana).get(URL, {"status": "scheduled"}).json()["data"]

    assert row["status"] == "SCHEDULED"
    assert len(listed(status="PENDING")) == 3
    assert listed(status="QUEUED") == []


# --- hostile values -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("status", bad) for bad in ("LOST", "QUEUED,SENT", "1", "\ufb06atus", "' OR 1=1")),
        *(("type", bad) for bad in ("MMS", "\u017fms", "0")),
        ("messageType", "MMS"),
        *(
            (name, bad)
            for name in ("startDate", "endDate")
            for bad in (
                "yesterday",
                "2026-13-01",
                "2026-02-30",
                "20260131",
                "1",
                "9999-12-31T23:59:59-23:59",
                "0001-01-01",
                "9999-12-31",
                "2026-01-31T25:00:00Z",
                "\u0662\u0660\u0662\u0666-01-01",
                "2026-W05",
                "99999999999999999999",
            )
        ),
        *(("countryCode", bad) for bad in ("XX", "999", "0", "-57", "Colombia", "5" * 500)),
        *(
            (name, bad)
            for name in ("queueId", "contactId")
            for bad in ("1", "x" * 5_000, "0" * 32, "null", "{}", "9223372036854775808")
        ),
        ("recipient", "1" * 65),
        ("search", "a" * 201),
        ("content", "a" * 201),
        ("provider", "a" * 65),
        *(("page", bad) for bad in ("0", "-1", "x", "1.5", "9223372036854775808", "501")),
        *(("limit", bad) for bad in ("0", "101", "-1", "9223372036854775808", "")),
        *(("after", bad) for bad in ("x", "MQ", "AAAA", "0" * 300)),
    ],
)
def test_S41_a_value_that_means_nothing_is_400_and_named(
    client_of: ClientOf, ana: Member, name: str, value: str
) -> None:
    answer = client_of(ana).get(URL, {name: value})

    assert told(answer)[0] == 400
    assert told(answer)[1] in {"4000", "4002"}
    assert fields(answer) == {name}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(
            ("search", odd)
            for odd in ("'", "''", "\\", "!!!", "a:*", "& | !", "<->", "(", "\U0001f600", "%", "_")
        ),
        *(("recipient", odd) for odd in ("+", "()", "%", "+57;ext=1", "0" * 64, "+57=1")),
        *(("provider", odd) for odd in ("'", "%", "\U0001f600", "x:y:z")),
        ("ordering", "owner__password"),
        ("organization", "17a95741-8785-4d9f-a546-ef9b67dc7760"),
        ("queueId", "17a95741-8785-4d9f-a546-ef9b67dc7760"),
        ("contactId", "17a95741-8785-4d9f-a546-ef9b67dc7760"),
    ],
)
def test_an_odd_value_finds_what_it_finds(
    client_of: ClientOf, ana: Member, broadcast: Broadcast, name: str, value: str
) -> None:
    answer = client_of(ana).get(URL, {name: value})

    assert answer.status_code == 200
    assert len(answer.json()["data"]) == (3 if name in {"ordering", "organization"} else 0)


@pytest.mark.parametrize("name", ["status", "search", "recipient", "provider", "queueId", "after"])
def test_S42_nul_is_400(client_of: ClientOf, ana: Member, name: str) -> None:
    assert told(client_of(ana).get(f"{URL}?{name}=a%00b")) == (400, "4000")


# --- who ------------------------------------------------------------------------------------------
def test_S16_another_organization_finds_nothing_by_any_of_our_ids(
    client_of: ClientOf, carla: Member, broadcast: Broadcast
) -> None:
    client = client_of(carla)
    grant(carla.organization, 1)  # type: ignore[arg-type]
    contact = Contact.objects.get(phone=NUMBERS[0])

    for query in (
        {},
        {"queueId": str(broadcast.pk)},
        {"contactId": str(contact.pk)},
        {"recipient": NUMBERS[0]},
        {"search": "bogota"},
        {"type": "SMS"},
        {"countryCode": "CO"},
        {"status": "QUEUED"},
        {"startDate": "2000-01-01"},
    ):
        body = client.get(URL, query).json()
        assert (body["data"], body["meta"]["totalRecords"]) == ([], 0), query


def test_it_asks_the_database_as_little_for_many_messages_as_for_few(
    client_of: ClientOf, ana: Member, broadcast: Broadcast
) -> None:
    client = client_of(ana)

    def queries(**query: str) -> int:
        with CaptureQueriesContext(connection) as captured:
            assert client.get(URL, query).status_code == 200
        return len(captured)

    few = queries()
    for number in range(3):
        sent_broadcast(ana, *(f"+57301{number}1111{last:02}" for last in range(10)))

    assert queries(limit="100") == few <= 6
    assert queries(search="hola", type="SMS", limit="100") <= few + 1


@pytest.mark.parametrize(
    ("query", "is_counted"),
    [
        ({}, False),
        ({"search": "días"}, False),
        ({"type": "SMS"}, False),
        ({"search": "días", "countryCode": "CO"}, True),
        ({"status": "QUEUED"}, True),
    ],
)
def test_messages_are_counted_only_where_no_broadcast_has_the_number(
    client_of: ClientOf,
    ana: Member,
    broadcast: Broadcast,
    query: dict[str, str],
    is_counted: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    sent_broadcast(ana, text="Otra cosa")
    client = client_of(ana)
    with CaptureQueriesContext(connection) as captured:
        meta = client.get(URL, {**query, "limit": "1"}).json()["meta"]
    asked = [each["sql"] for each in captured.captured_queries]

    rows = client.get(URL, {**query, "limit": "100"}).json()["data"]
    assert (meta["totalRecords"], meta["estimated"]) == (len(rows), False)
    assert any("COUNT(" in sql for sql in asked) is is_counted
    assert any("LIMIT 2" in sql for sql in asked)  # these are the statements of the list


def test_what_more_broadcasts_have_than_are_asked_one_by_one_is_counted(
    client_of: ClientOf, ana: Member, broadcast: Broadcast, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent_broadcast(ana, text="Otra cosa")
    monkeypatch.setattr(searching, "_MOST", 1)

    with CaptureQueriesContext(connection) as captured:
        meta = client_of(ana).get(URL, {"limit": "1"}).json()["meta"]

    assert meta["totalRecords"] == Message.objects.count() > 3
    assert any("COUNT(" in each["sql"] for each in captured.captured_queries)

"""POST /api/messages/sms/all: which requests are refused, in which order, and that nothing comes of it.

The order, after who is refused at all: 413 and 415, 400, 402.
"""

import json

import pytest
from pytest_django import Settings

from accounts.models import Member, Organization
from messaging.models import Broadcast
from tests.api.outages import database_away, database_only_reads
from tests.api.refusals import fields, nothing_happens, told
from tests.api.sending import GOOD, JSON, URL, send
from tests.messaging.factories import contacts_in_order, grant
from tests.people import ClientOf

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _ready(acme: Organization) -> None:
    """Somebody to write to, and credits for it."""
    contacts_in_order(acme, "+573001234567", "+573001234568")
    grant(acme, 100)


# --- 413 and 415 before 400 -----------------------------------------------------------------------
@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/vnd.api+json",
        "application/json; charset=utf-16",
        "application/json; charset=utf-7",
        "application/json; charset=bz2_codec",
        "application/json; charset=latin-1",
        "application/json; charset=nonsense",
    ],
)
def test_S44_S45_what_is_not_json_in_utf8_is_415(
    client_of: ClientOf, ana: Member, content_type: str
) -> None:
    client = client_of(ana)

    for text in (GOOD[0], "{", '{"message": ""}'):
        with nothing_happens():
            answer = send(client, (text, content_type))
        assert told(answer) == (415, "4041")


@pytest.mark.parametrize(
    "content_type", [JSON, "application/json; charset=utf-8", "APPLICATION/JSON;charset=UTF8"]
)
def test_json_in_utf8_is_taken(client_of: ClientOf, ana: Member, content_type: str) -> None:
    assert send(client_of(ana), (GOOD[0], content_type)).status_code == 201


@pytest.mark.parametrize("size", [256 * 1024 + 1, 300_000, 3_000_000])
@pytest.mark.parametrize("filler", ["a", "["])
def test_S43_a_body_over_256_kB_is_413(
    client_of: ClientOf, ana: Member, size: int, filler: str
) -> None:
    client = client_of(ana)

    with nothing_happens():
        answer = send(client, ('{"message": "' + filler * size, JSON))

    assert told(answer) == (413, "4042")


# --- 400 before 402 -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "4000"),
        ({"message": "\u200b"}, "4000"),
        ({"message": "Hola", "type": "MMS"}, "4001"),
        ({"message": "Hola", "type": "FLASH"}, "4001"),
        ({"message": "Hola", "country": "XX"}, "4002"),
        ({"message": "Hola", "country": "MX"}, "4002"),
        ({"message": "a" * 1601}, "4003"),
    ],
)
def test_a_wrong_field_is_told_before_the_balance(
    client_of: ClientOf, carla: Member, borealis: Organization, body: dict[str, str], code: str
) -> None:
    Organization.objects.filter(pk=borealis.pk).update(allowed_countries=["CO"])
    contacts_in_order(borealis, "+573001234567")

    client = client_of(carla)

    with nothing_happens():
        answer = send(client, (json.dumps(body), JSON))

    assert told(answer) == (400, code)
    assert fields(answer)


@pytest.mark.parametrize("granted", [0, 1, 10])
def test_an_audience_over_the_ceiling_is_400_before_402(
    client_of: ClientOf, carla: Member, borealis: Organization, settings: Settings, granted: int
) -> None:
    settings.MAX_AUDIENCE = 2
    contacts_in_order(borealis, "+573001234567", "+573001234568", "123")
    if granted:
        grant(borealis, granted)

    client = client_of(carla)

    with nothing_happens():
        answer = send(client)

    assert told(answer) == (400, "4004")


def test_an_audience_of_the_ceiling_is_sent(
    client_of: ClientOf, ana: Member, settings: Settings
) -> None:
    settings.MAX_AUDIENCE = 2

    assert send(client_of(ana)).status_code == 201


def test_402_comes_last(client_of: ClientOf, carla: Member, borealis: Organization) -> None:
    contacts_in_order(borealis, "+573001234567", "+573001234568")
    grant(borealis, 1)

    client = client_of(carla)

    with nothing_happens():
        answer = send(client)

    assert told(answer) == (402, "3001")
    assert {"required", "available", "shortfall"} <= set(answer.json())


# --- 405 ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "BREW"]
)
def test_another_method_is_405(client_of: ClientOf, ana: Member, method: str) -> None:
    client = client_of(ana)

    with nothing_happens():
        answer = client.generic(method, URL, *GOOD, HTTP_X_HTTP_METHOD_OVERRIDE="POST")

    assert answer.status_code == 405
    assert set(answer["Allow"].split(", ")) == {"POST", "OPTIONS"}
    if method != "HEAD":
        assert told(answer) == (405, "4040")


@pytest.mark.parametrize("override", ["GET", "DELETE", "PUT"])
def test_a_method_override_is_ignored(client_of: ClientOf, ana: Member, override: str) -> None:
    answer = client_of(ana).generic(
        "POST", f"{URL}?_method={override}", *GOOD, HTTP_X_HTTP_METHOD_OVERRIDE=override
    )

    assert answer.status_code == 201


def test_asking_for_the_options_sends_nothing(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)

    with nothing_happens():
        answer = client.options(URL)

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "path", [f"{URL}/", "/api/messages/sms/ALL", "/api/messages/sms", "/api//messages/sms/all"]
)
def test_an_address_like_it_is_404(client_of: ClientOf, ana: Member, path: str) -> None:
    client = client_of(ana)

    with nothing_happens():
        answer = client.generic("POST", path, *GOOD)

    assert told(answer) == (404, "1005")


# --- the database ---------------------------------------------------------------------------------
def test_B07_a_database_that_is_away_is_503(
    transactional_db: None, client_of: ClientOf, ana: Member
) -> None:
    client = client_of(ana)

    with database_away():
        answer = send(client)

    assert told(answer) == (503, "4090")
    assert int(answer["Retry-After"]) >= 1
    assert not Broadcast.objects.exists()


def test_B26_a_database_that_only_reads_is_503(
    transactional_db: None, client_of: ClientOf, ana: Member
) -> None:
    client = client_of(ana)

    with nothing_happens(), database_only_reads():
        answer = send(client)

    assert told(answer) == (503, "4090")

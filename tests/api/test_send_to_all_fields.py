"""POST /api/messages/sms/all: every rule of every field, and what a wrong one is answered."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from pytest_django import Settings

from accounts.models import Member, Organization
from messaging.models import Broadcast
from tests.api.refusals import fields, nothing_happens, told
from tests.messaging.factories import contacts_in_order, grant
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/messages/sms/all"
TWILIO = (
    "twilio://AC00000000000000000000000000000000:token@api.twilio.com"
    "?from=%2B15005550006&base_url=http://127.0.0.1:9"
)

Post = Callable[[dict[str, Any]], Any]


@pytest.fixture
def post(client_of: ClientOf, ana: Member, acme: Organization, settings: Settings) -> Post:
    """Send to Ana's one contact, through Twilio."""
    settings.SMS_PROVIDERS = [TWILIO]
    contacts_in_order(acme, "+573001234567")
    grant(acme, 100)
    client = client_of(ana)
    return lambda body: client.post(URL, json.dumps(body), content_type="application/json")


# --- message --------------------------------------------------------------------------------------
INVISIBLE = {
    "empty": "",
    "blanks": " \t \r\n ",
    "no-break space": "\u00a0\u2007\u202f\u3000",
    "zero-width space": "\u200b",
    "zero-width joiners": "\u200c\u200d\u2060",
    "byte order mark": "\ufeff",
    "soft hyphen": "\u00ad",
    "direction marks": "\u200e\u200f\u202e\u2066\u2069",
    "Hangul fillers": "\u115f\u3164\uffa0",
    "empty braille": "\u2800",
    "variation selectors": "\ufe0f\U000e0100",
    "tags": "\U000e0041\U000e007f",
    "controls": "\u0001\u001b\u007f\u0085",
    "lines": "\u2028\u2029",
    "all of them": " \u200b\ufeff\n\u2800 ",
}


@pytest.mark.parametrize("text", INVISIBLE.values(), ids=INVISIBLE.keys())
def test_a_message_with_nothing_to_see_is_400(post: Post, text: str) -> None:
    with nothing_happens():
        answer = post({"message": text})

    assert told(answer) == (400, "4000")
    assert fields(answer) == {"message"}


@pytest.mark.parametrize(
    "value", [None, 0, 12345, 1.5, True, False, [], ["Hola"], {}, {"text": "Hola"}]
)
def test_a_message_that_is_no_text_is_400(post: Post, value: object) -> None:
    with nothing_happens():
        answer = post({"message": value})

    assert told(answer) == (400, "4000")
    assert fields(answer) == {"message"}


@pytest.mark.parametrize(
    "body", [{}, {"Message": "Hola"}, {"text": "Hola"}, {"type": "SMS", "country": "CO"}]
)
def test_a_missing_message_is_400(post: Post, body: dict[str, str]) -> None:
    with nothing_happens():
        answer = post(body)

    assert told(answer) == (400, "4000")
    assert fields(answer) == {"message"}


@pytest.mark.parametrize("text", ["\0", "Ho\0la", "\ud800", "Hola \udfff", "\ude00\ud83d"])
def test_a_character_that_cannot_be_stored_is_400(post: Post, text: str) -> None:
    with nothing_happens():
        answer = post({"message": text})

    assert told(answer) == (400, "4000")


@pytest.mark.parametrize(
    "text",
    [
        "  Hola  ",
        "\n\nHola\r\n\t",
        "\u200bHola\ufeff",
        "Hola\u00a0",
        "{}[]~|^\\€\f",
        "ñandú ¿qué? \U0001f468\u200d\U0001f469\u200d\U0001f467",
        "e\u0301 is not é",
        "\u202eHola",
        "' OR 1=1; --",
        "<script>alert(1)</script>",
        "%s %(x)s {0} {x} $1",
        "\\u0000",
        ".",
    ],
)
def test_the_message_is_kept_exactly_as_given(post: Post, text: str) -> None:
    assert post({"message": text}).status_code == 201

    assert Broadcast.objects.get().text == text


@pytest.mark.parametrize(
    ("text", "encoding", "segments"),
    [
        ("a" * 160, "GSM-7", 1),
        ("a" * 161, "GSM-7", 2),
        ("€" * 80, "GSM-7", 1),
        ("€" * 153, "GSM-7", 3),
        ("ñ" * 70, "GSM-7", 1),
        ("ć" * 70, "UCS-2", 1),
        ("ć" * 71, "UCS-2", 2),
        ("\U0001f600" * 35, "UCS-2", 1),
        ("\U0001f600" * 67, "UCS-2", 3),
        ("a" * 1600, "GSM-7", 11),
        ("€" * 1600, "GSM-7", 22),
        ("\U0001f600" * 800, "UCS-2", 25),
    ],
)
def test_a_message_costs_its_segments(post: Post, text: str, encoding: str, segments: int) -> None:
    assert post({"message": text}).status_code == 201

    broadcast = Broadcast.objects.get()
    assert (broadcast.encoding, broadcast.segments) == (encoding, segments)
    assert broadcast.credits == segments


@pytest.mark.parametrize(
    "text", ["a" * 1601, " " + "a" * 1600, "\U0001f600" * 801, "a" * 200_000], ids=len
)
def test_a_message_longer_than_its_provider_takes_is_400(post: Post, text: str) -> None:
    with nothing_happens():
        answer = post({"message": text})

    assert told(answer) == (400, "4003")
    assert fields(answer) == {"message"}


def test_the_strictest_of_all_providers_limits_the_message(post: Post, settings: Settings) -> None:
    settings.SMS_PROVIDERS = ["memory://local", TWILIO]

    assert told(post({"message": "a" * 1601})) == (400, "4003")

    settings.SMS_PROVIDERS = ["memory://local"]
    assert post({"message": "a" * 1601}).status_code == 201


# --- type -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given", "kind"),
    [("SMS", "SMS"), ("sms", "SMS"), ("Sms", "SMS"), ("OTP", "OTP"), ("otp", "OTP"), (None, "SMS")],
)
def test_the_type_is_read_in_any_letter_case(post: Post, given: str | None, kind: str) -> None:
    assert post({"message": "Hola", "type": given}).status_code == 201

    assert Broadcast.objects.get().kind == kind


def test_an_omitted_type_is_sms(post: Post) -> None:
    assert post({"message": "Hola"}).status_code == 201

    assert Broadcast.objects.get().kind == "SMS"


@pytest.mark.parametrize("given", ["FLASH", "flash", "Flash"])
def test_a_type_that_no_provider_carries_is_400(post: Post, given: str) -> None:
    with nothing_happens():
        answer = post({"message": "Hola", "type": given})

    assert told(answer) == (400, "4001")
    assert fields(answer) == {"type"}


def test_a_type_that_some_provider_carries_is_sent(post: Post, settings: Settings) -> None:
    settings.SMS_PROVIDERS = [TWILIO, "memory://local"]

    assert post({"message": "Hola", "type": "flash"}).status_code == 201
    assert Broadcast.objects.get().kind == "FLASH"


@pytest.mark.parametrize(
    "given",
    [
        "MMS",
        "WHATSAPP",
        "S M S",
        "SMS,OTP",
        "0",
        "\u017fms",
        "\uff33\uff2d\uff33",
        "flaﬆ",
        "x" * 100_000,
    ],
    ids=lambda x: x[:8],
)
def test_an_unknown_type_is_400(post: Post, given: str) -> None:
    with nothing_happens():
        answer = post({"message": "Hola", "type": given})

    assert told(answer) == (400, "4001")
    assert fields(answer) == {"type"}


@pytest.mark.parametrize("given", [0, 1, True, False, [], ["SMS"], {}, "", " "])
def test_a_type_that_is_no_word_is_400(post: Post, given: object) -> None:
    with nothing_happens():
        answer = post({"message": "Hola", "type": given})

    assert told(answer) in {(400, "4000"), (400, "4001")}
    assert fields(answer) == {"type"}


# --- country --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given", "country"),
    [
        ("CO", "CO"),
        ("co", "CO"),
        ("Co", "CO"),
        ("57", "CO"),
        ("+57", "CO"),
        ("1", "US"),
        ("+1", "US"),
        ("44", "GB"),
        ("7", "RU"),
        ("39", "IT"),
        ("PR", "PR"),
        (None, ""),
    ],
)
def test_a_country_is_two_letters_or_a_calling_code(
    post: Post, given: str | None, country: str
) -> None:
    assert post({"message": "Hola", "country": given}).status_code == 201

    assert Broadcast.objects.get().country == country


@pytest.mark.parametrize(
    "given",
    [
        *("800", "+800", "808", "870", "878", "881", "882", "883", "888", "979", "999", "+999"),
        *(
            "0",
            "00",
            "057",
            "+057",
            "0057",
            "+",
            "++57",
            "-57",
            "5 7",
            "57.0",
            "1e2",
            "573",
            "9999999999",
        ),
        *(
            "XX",
            "ZZ",
            "AQ",
            "001",
            "COL",
            "C",
            "Colombia",
            "C O",
            "CO,US",
            "CO;",
            "🇨🇴",
            "\uff23\uff2f",
            "\u0665\u0667",
            "²",
        ),
        *("undefined", "x" * 100_000),
    ],
    ids=lambda given: given[:10],
)
def test_what_is_no_country_is_400(post: Post, given: str) -> None:
    with nothing_happens():
        answer = post({"message": "Hola", "country": given})

    assert told(answer) == (400, "4002")
    assert fields(answer) == {"country"}
    assert len(answer.content) < 1_000


@pytest.mark.parametrize(
    "given", [57, 1, 0, 57.0, True, False, [], ["CO"], {}, {"iso": "CO"}, "", " "]
)
def test_a_country_that_is_no_word_is_400(post: Post, given: object) -> None:
    with nothing_happens():
        answer = post({"message": "Hola", "country": given})

    assert told(answer) in {(400, "4000"), (400, "4002")}
    assert fields(answer) == {"country"}


@pytest.mark.parametrize("given", ["MX", "mx", "52", "1"])
def test_a_country_the_organization_may_not_send_to_is_400(
    post: Post, acme: Organization, given: str
) -> None:
    Organization.objects.filter(pk=acme.pk).update(allowed_countries=["CO", "EC"])

    with nothing_happens():
        answer = post({"message": "Hola", "country": given})

    assert told(answer) == (400, "4002")
    assert fields(answer) == {"country"}


def test_a_country_the_organization_may_send_to_is_sent(post: Post, acme: Organization) -> None:
    Organization.objects.filter(pk=acme.pk).update(allowed_countries=["CO", "EC"])

    assert post({"message": "Hola", "country": "ec"}).status_code == 201


# --- several at once ------------------------------------------------------------------------------
def test_every_field_that_is_wrong_is_named(post: Post) -> None:
    with nothing_happens():
        answer = post({"message": " ", "type": "MMS", "country": "XX"})

    assert told(answer) == (400, "4000")
    assert fields(answer) == {"message", "type", "country"}
    assert len(answer.json()["message"]) == 3

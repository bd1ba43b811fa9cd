"""Asking Twilio what became of a message: by its number, text, sender and moment alone."""

from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from urllib.parse import parse_qsl, urlsplit

import pytest

from messaging.providers.base import Found, Handed, LookUpFailed
from tests.messaging.providers.batches import TEXT
from tests.messaging.providers.look_up_contract import SUBMITTED_AT, asked, handed_over
from tests.messaging.providers.stand_in import StandIn, says
from tests.messaging.providers.test_twilio import ACCOUNT, SID, a_list, listed, twilio


def found_among(*messages: object, handed: Handed, messaging_service: str = "") -> list[Found]:
    with StandIn(says(200, a_list(*messages))) as carrier:
        return asked(twilio(carrier.address, messaging_service=messaging_service), handed)


def test_it_asks_for_the_messages_of_the_number_since_the_day() -> None:
    handed = replace(handed_over(), submitted_at=SUBMITTED_AT.replace(hour=0, minute=2))

    with StandIn(says(200, a_list())) as carrier:
        asked(twilio(carrier.address), handed)

    (request,) = carrier.requests
    parts = urlsplit(request.path)
    assert parts.path == f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    assert dict(parse_qsl(parts.query, strict_parsing=True)) == {
        "To": handed.recipient,
        "DateSent>": "2026-11-22",  # two minutes after midnight: it may be of the day before
        "PageSize": "50",
    }


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("queued", "SENT"),
        ("accepted", "SENT"),
        ("sent", "SENT"),
        ("delivered", "DELIVERED"),
        ("undelivered", "UNDELIVERED"),
        ("failed", "UNDELIVERED"),
        ("something new", "SENT"),
    ],
)
def test_what_twilio_has_it_took_whatever_it_says_of_it(word: str, status: str) -> None:
    handed = handed_over()

    (found,) = found_among(listed(handed, status=word, error_code=30003), handed=handed)

    assert (found.provider_message_id, found.status, found.is_certain) == (SID, status, False)
    assert (found.code, found.reason) == ("30003", "the phone is off or out of reach")


def test_an_opt_out_found_by_a_look_up_is_told_apart() -> None:
    handed = handed_over()

    (found,) = found_among(listed(handed, status="failed", error_code=21610), handed=handed)

    assert found.opts_out


@pytest.mark.parametrize(
    "fields",
    [
        {"body": TEXT + " "},
        {"to": "+573009999999"},
        {"from": "+15005550007"},
        {"direction": "inbound"},
        {"direction": "outbound-reply"},
        {"date_created": format_datetime(SUBMITTED_AT + timedelta(minutes=6))},
        {"date_created": format_datetime(SUBMITTED_AT - timedelta(minutes=6))},
        {"date_created": None},
        {"date_created": "Mon, 99 Nov 2026 12:00:00 +0000"},
        {"sid": None},
        {"sid": "SM1"},
    ],
)
def test_a_message_that_differs_is_another(fields: dict[str, object]) -> None:
    handed = handed_over()

    assert found_among(listed(handed, **fields), handed=handed) == []


def test_a_messaging_service_knows_its_messages_by_itself() -> None:
    handed, service = handed_over(), "MG" + "0" * 32
    ours = listed(handed, messaging_service_sid=service, **{"from": "+15005550009"})
    other = listed(handed, messaging_service_sid="MG" + "1" * 32, sid="SM" + "2c" * 16)

    found = found_among(other, ours, handed=handed, messaging_service=service)

    assert [one.provider_message_id for one in found] == [SID]


def test_two_that_fit_are_both_told() -> None:
    handed = handed_over()
    second = listed(handed, sid="SM" + "2c" * 16, status="sent")

    found = found_among(listed(handed), second, handed=handed)

    assert {one.provider_message_id for one in found} == {SID, "SM" + "2c" * 16}


def test_a_list_that_goes_on_tells_nothing() -> None:
    handed = handed_over()
    answer = a_list(listed(handed), next_page="/2010-04-01/Accounts/x/Messages.json?Page=1")

    with StandIn(says(200, answer)) as carrier, pytest.raises(LookUpFailed, match="over 50"):
        asked(twilio(carrier.address), handed)
    assert len(carrier.requests) == 1

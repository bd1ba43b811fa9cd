"""Twilio: the contract of every provider, and what is Twilio's own."""

import base64
from urllib.parse import parse_qsl

import pytest
from yarl import URL

from messaging.providers.base import (
    Accepted,
    Credential,
    Misconfigured,
    Refused,
    Reply,
    Unavailable,
    Unclear,
)
from messaging.providers.twilio import Twilio
from messaging.providers.twilio.words import CODES, REASONS
from tests.messaging.providers.batches import TEXT, a_batch, sent
from tests.messaging.providers.contract import HTTPProviderContract
from tests.messaging.providers.stand_in import StandIn, says

ACCOUNT = "AC" + "0a" * 16
TOKEN = "s3cret/token+of=acme"
SID = "SM" + "1b" * 16
URL_OF_REPORTS = "https://sms.example.org/api/providers/twilio/reports"


def twilio(address: str = "http://127.0.0.1:1", *, messaging_service: str = "") -> Twilio:
    return Twilio(
        Credential(ACCOUNT, TOKEN, "the-old-token"),
        sender="+15005550006",
        messaging_service=messaging_service,
        base_url=URL(address),
    )


def error(status: int, code: object, message: object = "words") -> Reply:
    body = f'{{"code": {code}, "message": "{message}", "status": {status}}}'
    return Reply(status, {}, body.encode())


class TestTwilio(HTTPProviderContract):
    secret = TOKEN

    def provider(self, address: str) -> Twilio:
        return twilio(address)

    def takes(self, _batch: object, /) -> tuple[int, object]:
        return 201, {"sid": SID, "status": "queued", "num_segments": "2", "error_code": None}

    def busy(self) -> object:
        return {"code": 20429, "message": "Too Many Requests", "status": 429}


# --- the request ----------------------------------------------------------------------------------


def test_it_asks_as_twilio_wants_to_be_asked() -> None:
    batch = a_batch()
    message = batch.messages[0]

    with StandIn(says(201, {"sid": SID, "status": "queued", "num_segments": "2"})) as carrier:
        results = sent(twilio(carrier.address), batch)

    (request,) = carrier.requests
    assert request.method == "POST"
    assert request.path == f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    login = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    assert request.headers["authorization"] == f"Basic {login}"
    assert "cookie" not in request.headers
    assert dict(parse_qsl(request.body.decode(), strict_parsing=True)) == {
        "To": message.recipient,
        "From": "+15005550006",
        "Body": TEXT,
        "StatusCallback": message.callback_url,
    }
    assert results == {message.id: Accepted(SID, {"status": "queued", "segments": 2})}


def test_a_messaging_service_takes_the_place_of_the_sender() -> None:
    request = twilio(messaging_service="MG" + "0" * 32).build(a_batch())

    fields = dict(parse_qsl(request.body.decode()))
    assert fields["MessagingServiceSid"] == "MG" + "0" * 32
    assert "From" not in fields


def test_it_carries_no_flash_messages() -> None:
    assert twilio().kinds == {"SMS", "OTP"}
    assert not twilio().carries("FLASH")


# --- the answer -----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["21211", "21214", "21217", "21408", "21612", "21614", "21617"])
def test_a_bad_number_or_text_is_refused_for_ever(code: str) -> None:
    batch = a_batch()

    result = twilio().judge(error(400, code), batch)[batch.messages[0].id]

    assert isinstance(result, Refused)
    assert result.code == code
    assert not result.opts_out


def test_an_opt_out_at_the_carrier_is_told_apart() -> None:
    batch = a_batch()

    result = twilio().judge(error(400, 21610), batch)[batch.messages[0].id]

    assert result == Refused("21610", "the recipient opted out at the carrier", opts_out=True)


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, 20003), (403, 20005), (400, 21606), (400, 21212), (400, 21609), (404, 20404)],
)
def test_a_broken_account_or_sender_burns_no_message(status: int, code: int) -> None:
    batch = a_batch()

    result = twilio().judge(error(status, code), batch)[batch.messages[0].id]

    assert isinstance(result, Misconfigured)
    assert result.code == str(code)


def test_the_daily_limit_of_the_account_waits_for_a_person_though_it_comes_as_a_429() -> None:
    batch = a_batch()

    result = twilio().judge(error(429, 63038), batch)[batch.messages[0].id]

    assert isinstance(result, Misconfigured)


def test_a_full_queue_of_the_sender_gives_the_attempt_back() -> None:
    batch = a_batch()

    result = twilio().judge(error(400, 21611), batch)[batch.messages[0].id]

    assert isinstance(result, Unavailable)
    assert result.gives_attempt_back
    assert result.retry_after == 60


@pytest.mark.parametrize("code", sorted(CODES))
@pytest.mark.parametrize("status", [500, 503])
def test_no_code_makes_a_server_error_certain(code: str, status: int) -> None:
    batch = a_batch()

    result = twilio().judge(error(status, code), batch)[batch.messages[0].id]

    assert isinstance(result, Unclear)


def test_an_unknown_code_is_kept_with_its_words_and_without_the_number() -> None:
    batch = a_batch()
    words = f"The number {batch.messages[0].recipient} is on the moon"

    result = twilio().judge(error(400, 29999, words), batch)[batch.messages[0].id]

    assert result == Unclear("answered 400: The number +•••••••••000 is on the moon", "29999")


@pytest.mark.parametrize(
    "sid", ["SM123", "AC" + "0" * 32, "", " " + SID, SID + "\\n", "SM" + "g" * 32]
)
def test_a_success_with_a_strange_id_leaves_the_outcome_open(sid: str) -> None:
    batch = a_batch()

    result = twilio().judge(Reply(201, {}, f'{{"sid": "{sid}"}}'.encode()), batch)

    assert isinstance(result[batch.messages[0].id], Unclear)


def test_every_code_stands_in_the_table_under_its_own_name() -> None:
    assert all(code.isdigit() and CODES[code].code == code for code in CODES)  # type: ignore[union-attr] # none is Accepted
    assert all(code.isdigit() for code in REASONS)

"""Twilio: the contract of every provider, and what is Twilio's own."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import timedelta
from email.utils import format_datetime
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

import pytest
from yarl import URL

from messaging.providers import signing
from messaging.providers.base import (
    Accepted,
    Callback,
    Credential,
    Handed,
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
from tests.messaging.providers.look_up_contract import (
    LookUpContract,
)
from tests.messaging.providers.stand_in import StandIn, says

ACCOUNT = "AC" + "0a" * 16
TOKEN = "s3cret/token+of=acme"
SID = "SM" + "1b" * 16
SENDER = "+15005550006"


def twilio(address: str = "http://127.0.0.1:1", *, messaging_service: str = "") -> Twilio:
    return Twilio(
        Credential(ACCOUNT, TOKEN, "the-old-token"),
        sender=SENDER,
        messaging_service=messaging_service,
        base_url=URL(address),
    )


def error(status: int, code: object, message: object = "words") -> Reply:
    body = f'{{"code": {code}, "message": "{message}", "status": {status}}}'
    return Reply(status, {}, body.encode())


class TestTwilio(HTTPProviderContract, LookUpContract):
    secret = TOKEN
    is_certain = False

    def provider(self, address: str) -> Twilio:
        return twilio(address)

    def takes(self, _batch: object, /) -> tuple[int, object]:
        return 201, {"sid": SID, "status": "queued", "num_segments": "2", "error_code": None}

    def busy(self) -> object:
        return {"code": 20429, "message": "Too Many Requests", "status": 429}

    def strange(self, _batch: object, number: int, /) -> tuple[int, object]:
        return 400, {"code": number, "message": "something new", "status": 400}

    def found(self, *messages: Handed) -> object:
        return a_list(*(listed(message) for message in messages))

    def report(self, message_id: UUID, word: str = "", /) -> Callback:
        fields = {
            "AccountSid": ACCOUNT,
            "From": SENDER,
            "MessageSid": SID,
            "MessageStatus": word or "delivered",
            "To": "+573001112233",
        }
        return signed(signing.callback_url("twilio", message_id), fields)

    def inbound(self, sender: str, text: str, /) -> Callback:
        fields = {
            "AccountSid": ACCOUNT,
            "Body": text,
            "From": sender,
            "MessageSid": SID,
            "NumMedia": "0",
            "SmsStatus": "received",
            "To": SENDER,
        }
        return signed(twilio().inbound_url, fields)


def signed(url: str, fields: Mapping[str, str], *, token: str = TOKEN) -> Callback:
    """Return a callback as Twilio's documentation says, written apart from the code under test."""
    text = url + "".join(name + value for name, value in sorted(fields.items()))
    mac = hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()
    proof = {"X-Twilio-Signature": base64.b64encode(mac).decode()}
    return Callback(url, proof, urlencode(fields).encode(), "application/x-www-form-urlencoded")


def listed(handed: Handed, **fields: object) -> dict[str, object]:
    """Return the message as the list of messages has it."""
    return {
        "body": handed.text,
        "date_created": format_datetime(handed.submitted_at + timedelta(seconds=2)),
        "date_sent": format_datetime(handed.submitted_at + timedelta(seconds=5)),
        "direction": "outbound-api",
        "error_code": None,
        "from": SENDER,
        "messaging_service_sid": None,
        "sid": SID,
        "status": "delivered",
        "to": handed.recipient,
    } | fields


def a_list(*messages: object, next_page: str | None = None) -> dict[str, object]:
    return {"messages": list(messages), "next_page_uri": next_page, "page": 0, "page_size": 50}


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
        "From": SENDER,
        "Body": TEXT,
        "StatusCallback": message.callback_url,
    }
    assert results == {message.id: Accepted(SID, {"status": "queued", "segments": 2})}


def test_a_messaging_service_takes_the_place_of_the_sender() -> None:
    request = twilio(messaging_service="MG" + "0" * 32).build(a_batch())

    fields = dict(parse_qsl(request.body.decode()))
    assert fields["MessagingServiceSid"] == "MG" + "0" * 32
    assert "From" not in fields


@pytest.mark.parametrize("count", ["0", "", None, "many", "-1", 1e9])
def test_B71_segments_twilio_has_not_counted_are_not_told(count: object) -> None:
    batch = a_batch()
    answer = {"sid": SID, "status": "accepted", "num_segments": count}

    result = twilio().judge(Reply(201, {}, json.dumps(answer).encode()), batch)

    metadata = {"status": "accepted", "segments": None}
    assert result == {batch.messages[0].id: Accepted(SID, metadata)}


def test_it_carries_no_flash_messages() -> None:
    assert twilio().kinds == {"SMS", "OTP"}
    assert not twilio().carries("FLASH")


# --- the answer -----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["21211", "21214", "21217", "21408", "21612", "21614", "21617"])
def test_B58_a_bad_number_or_text_is_refused_for_ever(code: str) -> None:
    batch = a_batch()

    result = twilio().judge(error(400, code), batch)[batch.messages[0].id]

    assert isinstance(result, Refused)
    assert result.code == code
    assert not result.opts_out


def test_S32_an_opt_out_at_the_carrier_is_told_apart() -> None:
    batch = a_batch()

    result = twilio().judge(error(400, 21610), batch)[batch.messages[0].id]

    assert result == Refused("21610", "the recipient opted out at the carrier", opts_out=True)


@pytest.mark.parametrize(
    ("status", "code"),
    [(401, 20003), (403, 20005), (400, 21660), (400, 21212), (400, 21609), (404, 20404)],
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


@pytest.mark.parametrize("code", ["21606", "21659", "21703"])
def test_a_sender_that_cannot_send_there_leaves_the_message_to_another_provider(code: str) -> None:
    batch = a_batch()

    result = twilio().judge(error(400, code), batch)[batch.messages[0].id]

    assert isinstance(result, Unavailable)
    assert not result.gives_attempt_back
    assert result.code == code


@pytest.mark.parametrize("code", sorted(CODES))
@pytest.mark.parametrize("status", [500, 503])
def test_B57_no_code_makes_a_server_error_certain(code: str, status: int) -> None:
    batch = a_batch()

    result = twilio().judge(error(status, code), batch)[batch.messages[0].id]

    assert isinstance(result, Unclear)


def test_B60_an_unknown_code_is_kept_with_its_words_and_without_the_number() -> None:
    batch = a_batch()
    words = f"The number {batch.messages[0].recipient} is on the moon"

    result = twilio().judge(error(400, 29999, words), batch)[batch.messages[0].id]

    assert result == Unclear(
        "answered 400: The number +•••••••••000 is on the moon", "29999", is_an_answer=True
    )


@pytest.mark.parametrize(
    "sid", ["SM123", "AC" + "0" * 32, "", " " + SID, SID + "\\n", "SM" + "g" * 32]
)
def test_a_success_with_a_strange_id_leaves_the_outcome_open(sid: str) -> None:
    batch = a_batch()

    result = twilio().judge(Reply(201, {}, f'{{"sid": "{sid}"}}'.encode()), batch)

    assert isinstance(result[batch.messages[0].id], Unclear)


def test_every_code_stands_in_the_table_under_its_own_name() -> None:
    assert all(code.isdigit() and CODES[code].code == code for code in CODES)
    assert all(code.isdigit() and reason for code, reason in REASONS.items())

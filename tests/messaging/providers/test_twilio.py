"""Twilio: the contract of every provider, and what is Twilio's own."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from messaging.providers import signing
from messaging.providers.base import (
    Accepted,
    Callback,
    Credential,
    InvalidReport,
    Misconfigured,
    Refused,
    Reply,
    Report,
    Unavailable,
    Unclear,
)
from messaging.providers.twilio import Twilio
from messaging.providers.twilio.words import CODES, REASONS, STATUSES
from tests.messaging.providers.contract import TEXT, HTTPProviderContract, a_batch, sent
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


# --- signatures -----------------------------------------------------------------------------------


def signed_by_twilio(
    url: str, fields: Mapping[str, str] | list[tuple[str, str]], token: str
) -> str:
    """Sign as Twilio's documentation says, written apart from the code under test."""
    pairs = sorted(set(fields.items() if isinstance(fields, Mapping) else fields))
    text = url
    for name, value in pairs:
        text = text + name + value
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def callback(
    fields: Mapping[str, str] | list[tuple[str, str]] | None = None,
    *,
    url: str = URL_OF_REPORTS,
    signed_url: str = "",
    token: str = TOKEN,
    signature: str | None = None,
) -> Callback:
    fields = {"MessageSid": SID, "MessageStatus": "delivered"} if fields is None else fields
    proof = signed_by_twilio(signed_url or url, fields, token) if signature is None else signature
    return Callback(
        url=url,
        headers={"x-twilio-signature": proof} if proof else {},
        body=urlencode(fields).encode(),
        content_type="application/x-www-form-urlencoded; charset=UTF-8",
    )


def test_the_signature_is_the_one_twilio_documents() -> None:
    # The example of twilio.com/docs/usage/security: its URL, its fields, its token.
    documented = Callback(
        url="https://mycompany.com/myapp.php?foo=1&bar=2",
        headers={"X-Twilio-Signature": "0/KCTR6DLpKmkAf8muzZqo1nDgQ="},
        body=urlencode(
            {
                "CallSid": "CA1234567890ABCDE",
                "Caller": "+12349013030",
                "Digits": "1234",
                "From": "+12349013030",
                "To": "+18005551212",
            }
        ).encode(),
        content_type="application/x-www-form-urlencoded",
    )

    assert Twilio(Credential(ACCOUNT, "12345"), base_url=URL("http://x")).verify(documented)
    assert not twilio().verify(documented)


def test_a_report_twilio_signed_is_believed() -> None:
    fields = [("To", "+573001112233"), ("Body", "ñ & = ☕"), ("Empty", ""), ("b", "1"), ("b", "1")]

    assert twilio().verify(callback(fields))


@pytest.mark.parametrize("token", [TOKEN, "the-old-token"])
def test_both_tokens_are_believed_during_a_rotation(token: str) -> None:
    assert twilio().verify(callback(token=token))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("https://sms.example.org/r?m=1", "https://sms.example.org:443/r?m=1"),
        ("https://sms.example.org:443/r?m=1", "https://sms.example.org/r?m=1"),
        ("https://sms.example.org:8443/r?m=1", "https://sms.example.org/r?m=1"),
        ("http://127.0.0.1:8000/r?m=1&s=a%2Bb", "http://127.0.0.1:8000/r?m=1&s=a%2Bb"),
        ("http://127.0.0.1/r?", "http://127.0.0.1:80/r"),
    ],
)
def test_a_url_signed_with_or_without_its_port_is_believed(ours: str, theirs: str) -> None:
    assert twilio().verify(callback(url=ours, signed_url=theirs))


def test_nobody_else_is_believed() -> None:
    good = callback()
    proof = good.header("X-Twilio-Signature")

    assert twilio().verify(good)
    assert not twilio().verify(callback(signature=""))
    assert not twilio().verify(callback(signature="nonsense ☕"))
    assert not twilio().verify(callback(signature=proof[:-2]))
    assert not twilio().verify(callback(signature=proof + "="))
    assert not twilio().verify(callback(token="of another account"))
    assert not twilio().verify(callback({"MessageSid": SID, "MessageStatus": "x"}, signature=proof))
    assert not twilio().verify(callback(url=URL_OF_REPORTS + "?m=1", signature=proof))
    assert not twilio().verify(
        callback(url=URL_OF_REPORTS.replace("https", "http"), signature=proof)
    )


def test_without_a_token_nobody_is_believed() -> None:
    provider = Twilio(Credential(ACCOUNT, ""), base_url=URL("http://x"))

    assert not provider.verify(callback(token=""))


def test_a_json_body_counts_by_its_digest_in_the_url() -> None:
    body = b'{"a": 1}'
    url = f"{URL_OF_REPORTS}?bodySHA256={hashlib.sha256(body).hexdigest()}"
    proof = {"X-Twilio-Signature": signed_by_twilio(url, {}, TOKEN)}

    assert twilio().verify(Callback(url, proof, body, "application/json"))
    assert not twilio().verify(Callback(url, proof, b'{"a": 2}', "application/json"))
    assert not twilio().verify(Callback(url, {}, body, "application/json"))


def test_a_body_the_signature_does_not_cover_is_not_believed() -> None:
    proof = {"X-Twilio-Signature": signed_by_twilio(URL_OF_REPORTS, {}, TOKEN)}

    assert not twilio().verify(Callback(URL_OF_REPORTS, proof, b'{"a": 1}', "application/json"))


@given(st.lists(st.tuples(st.text(min_size=1), st.text()), max_size=20))
def test_any_form_twilio_signs_is_believed_or_called_unreadable(
    fields: list[tuple[str, str]],
) -> None:
    if any("\x00" in name + value for name, value in fields):
        with pytest.raises(InvalidReport):
            twilio().verify(callback(fields))
    else:
        assert twilio().verify(callback(fields))
        assert not twilio().verify(callback(fields, token="of another account"))


# --- reports --------------------------------------------------------------------------------------


def test_a_report_is_read_in_our_words() -> None:
    message_id = uuid4()
    url = signing.callback_url("twilio", message_id)
    fields = {
        "MessageSid": SID,
        "MessageStatus": "undelivered",
        "ErrorCode": "30003",
        "To": "+573001112233",
    }

    assert twilio().read_reports(callback(fields, url=url)) == [
        Report(
            provider_message_id=SID,
            status="UNDELIVERED",
            code="30003",
            raw=fields,
            message_id=message_id,
            reason="the phone is off or out of reach",
        )
    ]


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("queued", ""),
        ("sending", ""),
        ("sent", "SENT"),
        ("delivered", "DELIVERED"),
        ("READ", "DELIVERED"),
        ("undelivered", "UNDELIVERED"),
        ("failed", "UNDELIVERED"),
    ],
)
def test_twilio_s_words_become_ours(word: str, status: str) -> None:
    (report,) = twilio().read_reports(callback({"MessageSid": SID, "MessageStatus": word}))

    assert report.status == status


@given(st.text(min_size=1).filter(lambda word: word.lower() not in STATUSES and "\x00" not in word))
def test_an_unknown_word_moves_nothing_and_is_kept(word: str) -> None:
    (report,) = twilio().read_reports(callback({"MessageSid": SID, "MessageStatus": word}))

    assert report.status == ""
    assert report.raw["MessageStatus"] == word


def test_an_opt_out_in_a_report_is_told_apart() -> None:
    fields = {"MessageSid": SID, "MessageStatus": "failed", "ErrorCode": "21610"}

    (report,) = twilio().read_reports(callback(fields))

    assert report.opts_out


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"MessageSid": SID},
        {"MessageStatus": "sent"},
        {"MessageSid": "", "MessageStatus": "sent"},
        {"MessageSid": SID + "0", "MessageStatus": "sent"},
        {"MessageSid[]": SID, "MessageStatus": "sent"},
        [("MessageSid", SID), ("MessageStatus", "sent"), ("MessageStatus", "delivered")],
    ],
)
def test_a_report_without_message_or_status_is_refused(
    fields: Mapping[str, str] | list[tuple[str, str]],
) -> None:
    with pytest.raises(InvalidReport):
        twilio().read_reports(callback(fields))


def test_a_report_names_our_message_only_where_we_signed_it() -> None:
    message_id: UUID = uuid4()
    url = signing.callback_url("twilio", message_id)

    (known,) = twilio().read_reports(callback(url=url))
    (forged,) = twilio().read_reports(callback(url=url.replace(message_id.hex, uuid4().hex)))
    (without,) = twilio().read_reports(callback())

    assert known.message_id == message_id
    assert forged.message_id is None
    assert without.message_id is None

"""Twilio's callbacks: whose they are, and what they say."""

import base64
import hashlib
import hmac
from collections.abc import Mapping
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from messaging.providers import signing
from messaging.providers.base import Callback, Credential, InvalidReport, Report
from messaging.providers.twilio import Twilio
from messaging.providers.twilio.words import STATUSES
from tests.messaging.providers.test_twilio import ACCOUNT, SENDER, SID, TOKEN, twilio

URL_OF_REPORTS = "https://sms.example.org/api/providers/twilio/reports"

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


def test_S60_the_signature_is_the_one_twilio_documents() -> None:
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
def test_S60_both_tokens_are_believed_during_a_rotation(token: str) -> None:
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
def test_S60_a_url_signed_with_or_without_its_port_is_believed(ours: str, theirs: str) -> None:
    assert twilio().verify(callback(url=ours, signed_url=theirs))


def test_S60_nobody_else_is_believed() -> None:
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


def test_S60_a_json_body_counts_by_its_digest_in_the_url() -> None:
    body = b'{"a": 1}'
    url = f"{URL_OF_REPORTS}?bodySHA256={hashlib.sha256(body).hexdigest()}"
    proof = {"X-Twilio-Signature": signed_by_twilio(url, {}, TOKEN)}

    assert twilio().verify(Callback(url, proof, body, "application/json"))
    assert not twilio().verify(Callback(url, proof, b'{"a": 2}', "application/json"))
    assert not twilio().verify(Callback(url, {}, body, "application/json"))


def test_S60_a_body_the_signature_does_not_cover_is_not_believed() -> None:
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
        ("accepted", "SENT"),
        ("queued", "SENT"),
        ("sending", "SENT"),
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


def test_S32_an_opt_out_in_a_report_is_told_apart() -> None:
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


# --- what people write ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("word", "keyword"), [("STOP", "STOP"), ("START", "START"), ("help", "HELP"), ("PIZZA", "")]
)
def test_twilio_s_own_reading_of_a_keyword_is_kept(word: str, keyword: str) -> None:
    fields = {"MessageSid": SID, "From": "+573001112233", "Body": "baja", "OptOutType": word}

    (inbound,) = twilio().read_inbound(callback(fields, url=twilio().inbound_url))

    assert inbound.keyword == keyword


def test_a_picture_without_a_word_is_a_message() -> None:
    fields = {"MessageSid": "MM" + "1b" * 16, "From": "+573001112233", "Body": "", "To": SENDER}

    (inbound,) = twilio().read_inbound(callback(fields, url=twilio().inbound_url))

    assert (inbound.text, inbound.recipient) == ("", SENDER)


@pytest.mark.parametrize("missing", ["MessageSid", "From", "Body"])
def test_a_message_without_id_sender_or_text_is_refused(missing: str) -> None:
    fields = {"MessageSid": SID, "From": "+573001112233", "Body": "baja"}
    del fields[missing]

    with pytest.raises(InvalidReport):
        twilio().read_inbound(callback(fields, url=twilio().inbound_url))

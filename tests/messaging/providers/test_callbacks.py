"""Callbacks as they come in, and our own mark in their URLs."""

from typing import Any
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from messaging.providers import signing
from messaging.providers.base import Callback, InvalidReport

FORM = "application/x-www-form-urlencoded"


def form(body: bytes, content_type: str = FORM) -> Callback:
    return Callback("https://sms.example.org/r", {}, body, content_type)


def test_headers_are_found_in_any_case() -> None:
    callback = Callback("https://x", {"X-Twilio-SIGNATURE": "abc"}, b"", FORM)

    assert callback.header("x-twilio-signature") == "abc"
    assert callback.header("X-Other") == ""


@pytest.mark.parametrize("content_type", [FORM, FORM.upper(), f" {FORM} ; charset=utf-8"])
def test_a_form_is_read(content_type: str) -> None:
    callback = form(b"To=%2B57&Body=hola+%E2%98%95&Empty=&To=%2B57", content_type)

    assert callback.form == {"To": "+57", "Body": "hola ☕", "Empty": ""}


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        pytest.param(b"a=1", "application/json", id="no form"),
        pytest.param(b"a=1", "", id="no type"),
        pytest.param(b"a=" + b"x" * 65_536, FORM, id="over 64 kB"),
        pytest.param(b"&".join(b"a%d=1" % n for n in range(101)), FORM, id="101 fields"),
        pytest.param(b"a=1&" * 10_000, FORM, id="10,000 fields"),
        pytest.param(b"a=%00", FORM, id="NUL"),
        pytest.param(b"%00=a", FORM, id="NUL in a name"),
        pytest.param(b"a=\x00", FORM, id="raw NUL"),
        pytest.param(b"a=%ff", FORM, id="bad UTF-8"),
        pytest.param(b"a=\xff", FORM, id="raw bad UTF-8"),
        pytest.param(b"a=%ed%a0%80", FORM, id="half a surrogate pair"),
        pytest.param(b"a[]=1&a[]=2", FORM, id="array"),
        pytest.param(b"a%5B0%5D=1", FORM, id="encoded array"),
        pytest.param(b"a=1&a=2", FORM, id="two values"),
    ],
)
def test_B82_an_unreadable_form_is_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(InvalidReport):
        _ = form(body, content_type).form


@given(st.binary(max_size=300))
def test_no_body_makes_reading_fail_otherwise(body: bytes) -> None:
    try:
        fields = form(body).form
    except InvalidReport:
        return
    assert all("\x00" not in name + value for name, value in fields.items())
    assert "".join(name + value for name, value in fields.items()).encode() is not None


# --- JSON -----------------------------------------------------------------------------------------


def as_json(body: bytes, content_type: str = "application/json") -> Callback:
    return Callback("https://sms.example.org/r", {}, body, content_type)


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=utf-8", " application/json "]
)
def test_the_results_of_a_json_body_are_read(content_type: str) -> None:
    callback = as_json('{"results": [{"a": "ñ☕"}, {}], "n": 2}'.encode(), content_type)

    assert callback.results == ({"a": "ñ☕"}, {})


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"results": [] ' + b" " * 262_144 + b"}", id="over 256 kB"),
        pytest.param(b'{"results": [' + b"{}," * 100 + b"{}]}", id="101 results"),
        pytest.param(b'{"results": [{"a": ' + b"[" * 32 + b"]" * 32 + b"}]}", id="33 levels"),
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"results": [{"a": "\\u0000"}]}', id="NUL"),
        pytest.param(b'{"results": [{"\\u0000": 1}]}', id="NUL in a name"),
        pytest.param(b'{"results": [{"a": "\\ud800"}]}', id="half a surrogate pair"),
        pytest.param(b'{"results": [{"a": "\xff"}]}', id="bad UTF-8"),
        pytest.param(b'{"results": [{"a": NaN}]}', id="NaN"),
        pytest.param(b'{"results": [{"a": -1e999}]}', id="1e999"),
        pytest.param(b'{"results": [{"a": ' + b"9" * 5_000 + b"}]}", id="huge number"),
        pytest.param(b'{"results": [1]}', id="no objects"),
        pytest.param(b'{"results": {}}', id="no list"),
        pytest.param(b"[]", id="top-level list"),
        pytest.param(b"", id="empty"),
    ],
)
def test_B82_unreadable_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidReport):
        _ = as_json(body).results


@pytest.mark.parametrize("content_type", [FORM, "", "text/json", "application/xml"])
def test_B82_what_does_not_say_that_it_is_json_is_not_read(content_type: str) -> None:
    with pytest.raises(InvalidReport):
        _ = as_json(b'{"results": []}', content_type).results


def test_a_body_within_its_limits_is_read() -> None:
    deep = b'{"results": [{"a": ' + b"[" * 29 + b"]" * 29 + b"}]}"
    many = b'{"results": [' + b"{}," * 99 + b"{}]}"
    large = b'{"results": []' + b" " * (256 * 1024 - 15) + b"}"

    assert len(as_json(deep).results) == 1
    assert len(as_json(many).results) == 100
    assert as_json(large).results == ()


# --- our own mark ---------------------------------------------------------------------------------


def from_url(url: str) -> UUID | None:
    return Callback(url, {}, b"", FORM).message_id


def test_the_message_is_read_from_the_url_we_gave(settings: Any) -> None:
    settings.PUBLIC_URL = "https://sms.example.org"
    message_id = uuid4()
    url = signing.callback_url("twilio", message_id)

    assert url.startswith("https://sms.example.org/api/providers/twilio/reports?m=")
    assert quote(url, safe=":/?&=-_") == url
    assert from_url(url) == message_id
    assert from_url(f"{url}&bodySHA256=abc") == message_id


def test_a_url_we_did_not_sign_names_no_message() -> None:
    url = signing.callback_url("twilio", uuid4())

    assert from_url(signing.callback_url("twilio", uuid4()).split("&s=", maxsplit=1)[0]) is None
    assert from_url(url[:-1]) is None
    assert from_url(url + "A") is None
    assert from_url(url.replace("m=", "m=0", 1)) is None
    assert from_url("https://sms.example.org/r") is None
    assert from_url("https://[bad/r?m=1") is None
    assert from_url("https://x/?m=" + "a" * 32 + "&s=☕") is None


@given(st.text(), st.text())
def test_no_query_makes_it_fail(message: str, signature: str) -> None:
    assert from_url(f"https://x/?m={message}&s={signature}") is None
    assert not signing.verify(uuid4(), signature)


def test_S62_a_new_key_still_knows_the_old_one_s_signatures(settings: Any) -> None:
    message_id = uuid4()
    settings.SECRET_KEY = "old" * 20
    url = signing.callback_url("twilio", message_id)

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new" * 20, ["other" * 12, "old" * 20]
    assert from_url(url) == message_id
    assert signing.callback_url("twilio", message_id) != url

    settings.SECRET_KEY_FALLBACKS = []
    assert from_url(url) is None


def test_S62_the_signature_serves_no_other_purpose(settings: Any) -> None:
    import base64
    import hashlib
    import hmac

    message_id = uuid4()
    plain = hmac.new(settings.SECRET_KEY.encode(), message_id.bytes, hashlib.sha256).digest()

    assert not signing.verify(message_id, base64.urlsafe_b64encode(plain[:20]).decode().rstrip("="))
    assert signing.verify(message_id, signing.sign(message_id))
    assert len(signing.sign(message_id)) == 27

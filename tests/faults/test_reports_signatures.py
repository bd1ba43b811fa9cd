"""B78, S60 to S62: who is believed. Signatures are made here by Twilio's documentation, not by our code."""

import base64
import hmac
from collections.abc import Mapping
from datetime import timedelta
from hashlib import sha1
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Member
from billing import invariants, ledger
from messaging import delivery, providers, reports
from messaging.models import DeliveryReport, Message
from messaging.providers import signing
from messaging.providers.memory import Memory
from messaging.providers.results import Unclear
from tests.messaging.factories import sent_broadcast

pytestmark = pytest.mark.django_db

HOST: Final = "sms.example.org"
PATH: Final = "/api/providers/twilio/reports"
FORM: Final = "application/x-www-form-urlencoded"
SID: Final = "SM" + "a" * 32
TOKEN, BEFORE, OTHERS = "the-token", "the-token-before", "a-token-of-another-account"
ACCOUNT, SECOND = "AC" + "1" * 32, "AC" + "2" * 32
TWILIO: Final = f"twilio://{ACCOUNT}:{TOKEN}@api.twilio.com?from=%2B15005550006"
FIELDS: Final = {"MessageSid": SID, "MessageStatus": "delivered", "To": "+573001234567"}


def hmac_sha1(key: bytes, said: bytes) -> bytes:
    """HMAC as RFC 2104 writes it, without the library that we use."""
    key = key.ljust(64, b"\0")
    inner = _sha1(bytes(byte ^ 0x36 for byte in key) + said)
    return _sha1(bytes(byte ^ 0x5C for byte in key) + inner)


def _sha1(said: bytes) -> bytes:
    return sha1(said).digest()  # noqa: S324 - what Twilio signs with


def twilio(url: str, fields: Mapping[str, str] = FIELDS, token: str = TOKEN) -> str:
    said = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac_sha1(token.encode(), said.encode())).decode()


def call(
    signed: str | None,
    *,
    path: str = PATH,
    fields: Mapping[str, str] = FIELDS,
    headers: Mapping[str, str] | None = None,
) -> Any:
    proof = {} if signed is None else {"x-twilio-signature": signed}
    given = {**proof, **(headers or {})}
    return Client().generic("POST", path, urlencode(fields), FORM, headers=given)


@pytest.fixture(autouse=True)
def _ready(settings: Settings) -> None:
    settings.PUBLIC_URL = f"https://{HOST}"
    settings.SMS_PROVIDERS = [TWILIO]


def test_the_hmac_of_these_tests_is_the_one_of_rfc_2202() -> None:
    found = hmac_sha1(b"Jefe", b"what do ya want for nothing?")

    assert found.hex() == "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
    assert found == hmac.digest(b"Jefe", b"what do ya want for nothing?", "sha1")


def test_the_signature_of_these_tests_is_the_one_of_twilios_documentation() -> None:
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }

    found = twilio("https://mycompany.com/myapp.php?foo=1&bar=2", fields, "12345")

    assert found == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


# --- believed -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("public", "signed"),
    [
        (f"https://{HOST}", f"https://{HOST}"),
        (f"https://{HOST}", f"https://{HOST}:443"),
        (f"http://{HOST}", f"http://{HOST}"),
        (f"http://{HOST}", f"http://{HOST}:80"),
        (f"https://{HOST}:8443", f"https://{HOST}:8443"),
        (f"https://{HOST}:8443", f"https://{HOST}"),
        ("https://[2001:db8::1]:8443", "https://[2001:db8::1]:8443"),
    ],
)
def test_B78_the_address_counts_with_and_without_its_port(
    settings: Settings, public: str, signed: str
) -> None:
    settings.PUBLIC_URL = public

    assert call(twilio(signed + PATH)).status_code == 204


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "127.0.0.1:8000"},
        {"x-forwarded-proto": "https", "x-forwarded-host": HOST, "x-forwarded-for": "192.0.2.1"},
        {"x-forwarded-proto": "http", "x-forwarded-host": "evil.example"},
        {"x-forwarded-port": "8443", "forwarded": "host=evil.example;proto=http"},
        {"x-original-url": "/elsewhere", "x-http-method-override": "DELETE"},
    ],
    ids=str,
)
@pytest.mark.parametrize("trusted", [[], ["127.0.0.1"], ["0.0.0.0/0"]])
def test_B78_what_proxies_made_of_the_request_changes_nothing(
    settings: Settings, trusted: list[str], headers: dict[str, str]
) -> None:
    settings.TRUSTED_PROXIES = trusted
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if trusted else None

    assert call(twilio(f"https://{HOST}{PATH}"), headers=headers).status_code == 204
    assert call(twilio(f"https://evil.example{PATH}"), headers=headers).status_code == 403


@pytest.mark.parametrize(
    "query", ["?m=1&s=2", "?b=%2F%20+&a=%C3%B1", "?a=1&a=2", "?", "?x=%25&y=a%2Bb"]
)
def test_B78_the_query_counts_as_it_was_written(query: str) -> None:
    path = f"{PATH}{query}"

    assert call(twilio(f"https://{HOST}{path}"), path=path).status_code in {204} | (
        {403} if query == "?" else set()  # nobody is given such an address
    )
    assert call(twilio(f"https://{HOST}{PATH}?a=0"), path=path).status_code == 403


@pytest.mark.parametrize(
    "fields",
    [
        {**FIELDS, "Body": "ñ 你好 \U0001f600 & = + %"},
        {**FIELDS, "Empty": ""},
        {**FIELDS, "b": "1", "B": "2", "a": "3", "Z": "4"},
    ],
    ids=["any script", "empty", "capitals first"],
)
def test_B78_all_fields_are_signed_in_the_order_of_their_names(fields: dict[str, str]) -> None:
    assert call(twilio(f"https://{HOST}{PATH}", fields), fields=fields).status_code == 204


def test_S60_two_tokens_are_believed_while_one_replaces_the_other(settings: Settings) -> None:
    settings.SMS_PROVIDERS = [f"{TWILIO}&previous_token={BEFORE}"]

    for token in (TOKEN, BEFORE):
        assert call(twilio(f"https://{HOST}{PATH}", token=token)).status_code == 204
    settings.SMS_PROVIDERS = [TWILIO]
    assert call(twilio(f"https://{HOST}{PATH}", token=BEFORE)).status_code == 403


@pytest.mark.parametrize("token", [TOKEN, OTHERS])
def test_S60_every_account_we_have_may_have_signed_and_speaks_for_itself(
    settings: Settings, token: str
) -> None:
    second = f"twilio://{SECOND}:{OTHERS}@api.twilio.com?from=%2B15005550007"
    settings.SMS_PROVIDERS = [TWILIO, second]

    assert call(twilio(f"https://{HOST}{PATH}", token=token)).status_code == 204

    account = ACCOUNT if token == TOKEN else SECOND
    assert DeliveryReport.objects.get().provider == f"twilio:{account}"


# --- not believed ---------------------------------------------------------------------------------
RIGHT: Final = twilio(f"https://{HOST}{PATH}")
WRONG: Final[dict[str, str | None]] = {
    "missing": None,
    "empty": "",
    "cut by one": RIGHT[:-1],
    "its first half": RIGHT[: len(RIGHT) // 2],
    "one more": f"{RIGHT}=",
    "one changed": ("B" if RIGHT[0] == "A" else "A") + RIGHT[1:],
    "twice": f"{RIGHT}, {RIGHT}",
    "in capitals": RIGHT.upper(),
    "of a token of somebody's": twilio(f"https://{HOST}{PATH}", token=OTHERS),
    "of no token": twilio(f"https://{HOST}{PATH}", token=""),
    "of the account's id": twilio(f"https://{HOST}{PATH}", token=ACCOUNT),
    "without the fields": twilio(f"https://{HOST}{PATH}", {}),
    "of another status": twilio(f"https://{HOST}{PATH}", {**FIELDS, "MessageStatus": "failed"}),
    "over http": twilio(f"http://{HOST}{PATH}"),
    "of another host": twilio(f"https://evil.example{PATH}"),
    "of a longer host": twilio(f"https://{HOST}.evil.example{PATH}"),
    "of another port": twilio(f"https://{HOST}:8443{PATH}"),
    "of the other door": twilio(f"https://{HOST}{PATH.replace('reports', 'inbound')}"),
    "with a slash": twilio(f"https://{HOST}{PATH}/"),
    "in hexadecimal": base64.b64decode(RIGHT).hex(),
    "SHA-256": base64.b64encode(hmac.digest(TOKEN.encode(), RIGHT.encode(), "sha256")).decode(),
    "no ASCII": "é\xff",
}


@pytest.mark.parametrize("signed", WRONG.values(), ids=WRONG.keys())
def test_B78_anything_else_is_403_and_writes_nothing(
    signed: str | None, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        answer = call(signed)

    assert answer.status_code == 403
    assert answer.json()["code"] == "1003"
    assert not DeliveryReport.objects.exists()


# --- again, and later -----------------------------------------------------------------------------
def handed_over(settings: Settings, member: Member, *answers: Unclear) -> Message:
    settings.SMS_PROVIDERS = ["memory://local"]
    (memory,) = providers.configured()
    assert isinstance(memory, Memory)
    memory.clear()
    memory.will_answer("+573001234567", *answers)
    broadcast = sent_broadcast(member, "+573001234567")
    delivery.drain(queue_id=broadcast.pk, lane=0)
    settings.SMS_PROVIDERS = [TWILIO]
    broadcast.messages.update(provider=f"twilio:{ACCOUNT}")
    return broadcast.messages.get()


@pytest.fixture
def message(settings: Settings, ana: Member) -> Message:
    """A message that Twilio took and called `SID`."""
    message = handed_over(settings, ana)
    Message.objects.update(provider_message_id=SID)
    return message


@pytest.fixture
def unknown(settings: Settings, ana: Member) -> Message:
    """A message whose answer was lost: nothing but our own id in the address names it."""
    return handed_over(settings, ana, Unclear("read timeout"))


def path_of(message: Message) -> str:
    parts = urlsplit(signing.callback_url("twilio", message.pk))
    return f"{parts.path}?{parts.query}"


def test_S61_the_same_call_again_after_a_year_changes_nothing(message: Message) -> None:
    path = path_of(message)
    signed = twilio(f"https://{HOST}{path}")
    assert call(signed, path=path).status_code == 204
    reports.apply()
    a_year_ago = timezone.now() - timedelta(days=365)
    DeliveryReport.objects.update(created_at=a_year_ago, applied_at=a_year_ago)
    Message.objects.update(delivered_at=a_year_ago, sent_at=a_year_ago, created_at=a_year_ago)
    before = (Message.objects.values().get(), ledger.balance(message.organization_id))

    assert call(signed, path=path).status_code == 204

    reports.apply()
    assert (Message.objects.values().get(), ledger.balance(message.organization_id)) == before
    assert sorted(DeliveryReport.objects.values_list("outcome", flat=True)) == [
        "APPLIED",
        "NO_CHANGE",
    ]
    assert not [found for found in invariants.check(thorough=True) if found.rows]


@pytest.mark.parametrize(
    ("fallbacks", "status"), [(["the key before"], "DELIVERED"), ([], "UNKNOWN")]
)
def test_S62_reports_on_their_way_survive_a_new_secret_key(
    settings: Settings, unknown: Message, fallbacks: list[str], status: str
) -> None:
    settings.SECRET_KEY = "the key before"
    path = path_of(unknown)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "the key of today", fallbacks

    assert call(twilio(f"https://{HOST}{path}"), path=path).status_code == 204

    reports.apply()
    unknown.refresh_from_db()
    assert unknown.status == status

"""POST /api/providers/{slug}/reports: a carrier's delivery reports, believed by their signature alone."""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode, urlsplit
from uuid import uuid4

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import Member
from billing import invariants, ledger
from messaging import delivery, reports
from messaging.models import DeliveryReport, Message
from messaging.providers import signing
from tests.api.outages import database_away, database_only_reads
from tests.api.refusals import nothing_happens, told
from tests.messaging.factories import sent_broadcast

pytestmark = pytest.mark.django_db

PUBLIC_URL: Final = "https://sms.example.org"
PATH: Final = "/api/providers/twilio/reports"
ACCOUNT: Final = "AC" + "1" * 32
TOKEN, PREVIOUS_TOKEN, OTHER_TOKEN = "the-token", "the-token-before", "another-accounts-token"
TWILIO: Final = (
    f"twilio://{ACCOUNT}:{TOKEN}@api.twilio.com?from=%2B15005550006&previous_token={PREVIOUS_TOKEN}"
)
SID: Final = "SM" + "a" * 32
FORM: Final = "application/x-www-form-urlencoded"
DELIVERED: Final = {"MessageSid": SID, "MessageStatus": "delivered", "To": "+573001234567"}

Fields = Mapping[str, str] | Sequence[tuple[str, str]]


@pytest.fixture(autouse=True)
def _ready(settings: Settings) -> None:
    settings.PUBLIC_URL = PUBLIC_URL
    settings.SMS_PROVIDERS = [TWILIO]


@pytest.fixture
def message(settings: Settings, ana: Member) -> Message:
    """A message that Twilio took and called `SID`."""
    settings.SMS_PROVIDERS = ["memory://local"]
    broadcast = sent_broadcast(ana, "+573001234567")
    delivery.drain(queue_id=broadcast.pk, lane=0)
    settings.SMS_PROVIDERS = [TWILIO]
    broadcast.messages.update(provider=f"twilio:{ACCOUNT}", provider_message_id=SID)
    return broadcast.messages.get()


def signature(url: str, fields: Fields, token: str = TOKEN) -> str:
    """Sign as Twilio documents it: HMAC-SHA1 over the URL and the sorted names and values."""
    pairs = sorted(set(fields.items() if isinstance(fields, Mapping) else fields))
    text = url + "".join(f"{name}{value}" for name, value in pairs)
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def report(
    fields: Fields = DELIVERED, *, path: str = PATH, signed: str | None = None, **extra: Any
) -> Any:
    """Call us as Twilio does, by default with a good signature."""
    proof = signature(PUBLIC_URL + path, fields) if signed is None else signed
    headers = {"x-twilio-signature": proof, **extra.pop("headers", {})}
    return Client().generic("POST", path, urlencode(fields), FORM, headers=headers, **extra)


def path_of(message: Message) -> str:
    """The address that the carrier was given for this message."""
    parts = urlsplit(signing.callback_url("twilio", message.pk))
    return f"{parts.path}?{parts.query}"


# --- taken ----------------------------------------------------------------------------------------
def test_a_signed_report_is_204_kept_and_applied(message: Message) -> None:
    answer = report(path=path_of(message))

    assert (answer.status_code, answer.content) == (204, b"")
    kept = DeliveryReport.objects.get()
    assert (kept.message_id, kept.status, kept.applied_at) == (message.pk, "DELIVERED", None)
    assert kept.raw == DELIVERED
    reports.apply()
    message.refresh_from_db()
    assert message.status == "DELIVERED"
    assert not [found for found in invariants.check(thorough=True) if found.rows]


def test_a_report_without_our_own_id_is_found_by_the_carriers(message: Message) -> None:
    assert report().status_code == 204

    reports.apply()

    message.refresh_from_db()
    assert message.status == "DELIVERED"


@pytest.mark.parametrize(
    "forged", ["m={other}&s={s}", "m={m}&s=x", "m={m}", "m={m}&s=", "m=x&s=x", "s={s}"]
)
def test_a_message_id_that_we_did_not_sign_counts_for_nothing(
    message: Message, forged: str
) -> None:
    _, _, query = path_of(message).partition("?")
    ours = dict(pair.split("=", 1) for pair in query.split("&"))

    answer = report(path=f"{PATH}?{forged.format(**ours, other=uuid4().hex)}")

    assert answer.status_code == 204
    assert DeliveryReport.objects.get().message_id is None


@pytest.mark.parametrize(
    "url", [f"{PUBLIC_URL}:443{PATH}", f"{PUBLIC_URL}{PATH}"], ids=["with port", "without port"]
)
def test_twilio_may_sign_the_port_or_not(url: str) -> None:
    assert report(signed=signature(url, DELIVERED)).status_code == 204


def test_the_token_before_a_rotation_still_signs() -> None:
    assert report(signed=signature(PUBLIC_URL + PATH, DELIVERED, PREVIOUS_TOKEN)).status_code == 204


def test_any_credential_of_the_carrier_may_have_signed(settings: Settings) -> None:
    second = "twilio://AC" + "2" * 32 + f":{OTHER_TOKEN}@api.twilio.com?from=%2B15005550007"
    settings.SMS_PROVIDERS = [TWILIO, second]

    assert report(signed=signature(PUBLIC_URL + PATH, DELIVERED, OTHER_TOKEN)).status_code == 204


def test_another_account_of_the_carrier_does_not_speak_for_this_one(
    settings: Settings, message: Message
) -> None:
    second = "twilio://AC" + "2" * 32 + f":{OTHER_TOKEN}@api.twilio.com?from=%2B15005550007"
    settings.SMS_PROVIDERS = [TWILIO, second]
    path = path_of(message)

    answer = report(path=path, signed=signature(PUBLIC_URL + path, DELIVERED, OTHER_TOKEN))

    reports.apply()
    message.refresh_from_db()
    assert (answer.status_code, message.status) == (204, "SENT")
    assert DeliveryReport.objects.get().provider == "twilio:AC" + "2" * 32


def test_the_host_header_is_not_what_was_signed() -> None:
    assert report(headers={"host": "127.0.0.1"}).status_code == 204
    assert report(signed=signature(f"http://testserver{PATH}", DELIVERED)).status_code == 403


def test_S60_credentials_of_ours_are_not_asked_for() -> None:
    assert report(headers={"authorization": "Bearer nonsense"}).status_code == 204


def test_reports_are_free_of_the_rate_limit(settings: Settings) -> None:
    settings.RATE_LIMIT = "1/min"

    answers = [report() for _ in range(3)]

    assert [answer.status_code for answer in answers] == [204] * 3
    assert "RateLimit-Limit" not in answers[0]


def test_B77_a_message_that_nobody_knows_is_204_too(message: Message) -> None:
    known = report(path=path_of(message))
    unknown = report({**DELIVERED, "MessageSid": "SM" + "b" * 32})

    assert known.status_code == unknown.status_code == 204
    assert known.content == unknown.content
    assert dict(known.headers) == dict(unknown.headers)


def test_B72_the_same_report_again_changes_nothing(message: Message) -> None:
    answers = [report(path=path_of(message)) for _ in range(5)]
    reports.apply()
    before = ledger.balance(message.organization_id)
    answers += [report(path=path_of(message)) for _ in range(5)]

    reports.apply()

    assert {answer.status_code for answer in answers} == {204}
    outcomes = list(DeliveryReport.objects.values_list("outcome", flat=True))
    assert (outcomes.count("APPLIED"), outcomes.count("NO_CHANGE")) == (1, 9)
    assert ledger.balance(message.organization_id) == before
    message.broadcast.refresh_from_db()
    assert message.broadcast.delivered == 1


@pytest.mark.parametrize(
    "later", ["queued", "sending", "sent", "undelivered", "failed", "nonsense"]
)
def test_B73_nothing_takes_a_delivery_back(message: Message, later: str) -> None:
    report(path=path_of(message))
    reports.apply()

    assert report({**DELIVERED, "MessageStatus": later}, path=path_of(message)).status_code == 204

    reports.apply()
    message.refresh_from_db()
    assert message.status == "DELIVERED"


# --- 403 ------------------------------------------------------------------------------------------
GOOD: Final = signature(PUBLIC_URL + PATH, DELIVERED)
FORGED: Final = {  # all kinds: tests/faults/test_reports_signatures.py
    "missing": "",
    "truncated": GOOD[:-2],
    "another token": signature(PUBLIC_URL + PATH, DELIVERED, OTHER_TOKEN),
    "other fields": signature(PUBLIC_URL + PATH, {**DELIVERED, "MessageStatus": "sent"}),
    "very long": "A" * 8_000,
}


@pytest.mark.parametrize("signed", FORGED.values(), ids=FORGED.keys())
def test_B78_without_a_good_signature_it_is_403_and_the_database_is_not_asked(
    signed: str, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        answer = report(signed=signed)

    assert told(answer) == (403, "1003")
    assert not DeliveryReport.objects.exists()


def test_a_good_signature_of_another_query_is_403(message: Message) -> None:
    elsewhere = path_of(message).replace(message.pk.hex, uuid4().hex)

    answer = report(path=elsewhere, signed=signature(PUBLIC_URL + path_of(message), DELIVERED))

    assert told(answer) == (403, "1003")


@pytest.mark.parametrize(
    "body", [b"", b"\xff\xfe", b"%00=%00", b"a=1&" * 200, b"{}", b"[" * 60_000]
)
@pytest.mark.parametrize(
    "content_type", [FORM, "application/json", "multipart/form-data; boundary=x", "", "text/plain"]
)
def test_S60_what_is_not_signed_is_not_even_read(body: bytes, content_type: str) -> None:
    with nothing_happens():
        answer = Client().generic("POST", PATH, body, content_type)

    assert told(answer) == (403, "1003")


# --- 404, 405 -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "slug", ["vonage", "Twilio", "memory", "console", "twilio2", "-", "x" * 500]
)
def test_a_carrier_we_do_not_have_is_404(slug: str) -> None:
    path = f"/api/providers/{slug}/reports"

    assert told(report(path=path)) == (404, "1005")


@pytest.mark.parametrize("url", ["memory://local", "console://"])
def test_a_provider_that_calls_nobody_is_404_too(settings: Settings, url: str) -> None:
    settings.SMS_PROVIDERS = [url]

    answer = report(path=f"/api/providers/{url.partition(':')[0]}/reports")

    assert told(answer) in {(404, "1005"), (403, "1003")}


@pytest.mark.parametrize(
    "path",
    [
        "/api/providers/twilio",
        "/api/providers//reports",
        f"{PATH}/",
        "/api/providers/a%2Fb/reports",
    ],
)
def test_an_address_like_it_is_404(path: str) -> None:
    assert told(report(path=path)) == (404, "1005")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"])
def test_another_method_is_405(method: str) -> None:
    answer = Client().generic(
        method, PATH, urlencode(DELIVERED), FORM, headers={"x-twilio-signature": GOOD}
    )

    assert told(answer) == (405, "4040")
    assert set(answer["Allow"].split(", ")) == {"POST", "OPTIONS"}
    assert not DeliveryReport.objects.exists()


# --- signed, and over the limits ------------------------------------------------------------------
def signed_body(body: bytes, *pairs: tuple[str, str]) -> Any:
    """Send this very body, signed over these names and values."""
    proof = signature(PUBLIC_URL + PATH, pairs)
    return Client().generic("POST", PATH, body, FORM, headers={"x-twilio-signature": proof})


def test_B82_a_body_over_64_kB_is_413() -> None:
    pairs = [*DELIVERED.items(), ("Body", "a" * 65_536)]

    with nothing_happens():
        answer = report(pairs)

    assert told(answer) == (413, "4042")


def test_64_kB_are_read() -> None:
    room = 65_536 - len(urlencode([*DELIVERED.items(), ("Body", "")]))

    assert report([*DELIVERED.items(), ("Body", "a" * room)]).status_code == 204


def test_B82_ten_megabytes_are_413() -> None:
    assert told(signed_body(b"a=" + b"x" * 10_000_000)) == (413, "4042")


@pytest.mark.parametrize("count", [101, 5_000])
def test_B82_over_100_fields_are_400(count: int) -> None:
    pairs = [*DELIVERED.items()]
    pairs += [(f"f{number}", "") for number in range(count - len(pairs))]

    with nothing_happens():
        answer = report(pairs)

    assert told(answer) == (400, "4000")


def test_100_fields_are_read() -> None:
    pairs = [*DELIVERED.items()]

    assert (
        report(pairs + [(f"f{number}", "") for number in range(100 - len(pairs))]).status_code
        == 204
    )


@pytest.mark.parametrize(
    ("body", "pairs"),
    [
        (
            b"MessageSid=%s&MessageStatus=%%00" % SID.encode(),
            [("MessageSid", SID), ("MessageStatus", "\0")],
        ),
        (
            b"MessageSid=%s&MessageStatus=sent&%%00=" % SID.encode(),
            [("MessageSid", SID), ("MessageStatus", "sent"), ("\0", "")],
        ),
        (
            b"MessageSid=%s&MessageStatus=%%ff" % SID.encode(),
            [("MessageSid", SID), ("MessageStatus", "\ufffd")],
        ),
        (
            b"MessageSid=%s&MessageStatus=\xff" % SID.encode(),
            [("MessageSid", SID), ("MessageStatus", "\ufffd")],
        ),
        (b"MessageSid=%s&MessageStatus=%%ed%%a0%%80" % SID.encode(), [("MessageSid", SID)]),
    ],
    ids=["NUL", "NUL in a name", "bad UTF-8", "bad UTF-8 unescaped", "half a surrogate pair"],
)
def test_B82_a_form_that_cannot_be_kept_is_400(body: bytes, pairs: list[tuple[str, str]]) -> None:
    with nothing_happens():
        answer = signed_body(body, *pairs)

    assert told(answer) == (400, "4000")


@pytest.mark.parametrize(
    "fields",
    [
        {"": ""},
        {"MessageSid": SID},
        {"MessageStatus": "delivered"},
        {"MessageSid": "", "MessageStatus": "delivered"},
        {"MessageSid": SID, "MessageStatus": ""},
        {"MessageSid": "SM1' OR 1=1", "MessageStatus": "delivered"},
        {"MessageSid[]": SID, "MessageStatus": "delivered"},
        [*DELIVERED.items(), ("MessageStatus", "failed")],
        [*DELIVERED.items(), ("MessageSid", "SM" + "b" * 32)],
    ],
    ids=str,
)
def test_B82_a_signed_report_that_says_nothing_clear_is_400(fields: Fields) -> None:
    with nothing_happens():
        answer = report(fields)

    assert told(answer) == (400, "4000")


def test_a_signed_body_that_is_no_form_is_400() -> None:
    body = b'{"MessageSid": "x"}'
    path = f"{PATH}?bodySHA256={hashlib.sha256(body).hexdigest()}"
    proof = signature(PUBLIC_URL + path, {})

    with nothing_happens():
        answer = Client().generic(
            "POST", path, body, "application/json", headers={"x-twilio-signature": proof}
        )

    assert told(answer) == (400, "4000")


# --- 503 ------------------------------------------------------------------------------------------
def test_B80_a_database_that_is_away_is_503_so_that_the_carrier_calls_again(
    transactional_db: None,
) -> None:
    with database_away():
        answer = report()

    assert told(answer) == (503, "4090")
    assert int(answer["Retry-After"]) >= 1
    assert report().status_code == 204


def test_B26_a_database_that_only_reads_is_503_too(transactional_db: None) -> None:
    with database_only_reads():
        answer = report()

    assert told(answer) == (503, "4090")
    assert not DeliveryReport.objects.exists()

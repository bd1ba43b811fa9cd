"""B82, S63: whatever a body holds, both doors answer 2xx, 400 or 413, and what they took can be applied."""

import json
from typing import Any, Final
from urllib.parse import urlencode

import pytest
from django.test import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from billing import invariants
from messaging import providers, reports
from messaging.models import DeliveryReport, InboundMessage
from messaging.providers import signing
from tests.faults.harness.carrier import signature

pytestmark = pytest.mark.django_db

PUBLIC_URL: Final = "https://sms.example.org"
ACCOUNT, TOKEN = "AC" + "1" * 32, "the-token"
PROVIDERS: Final = [
    f"twilio://{ACCOUNT}:{TOKEN}@api.twilio.com?from=%2B15005550006",
    "infobip://acme:KEY@acme.api.infobip.com?from=Acme",
]
SID: Final = "SM" + "a" * 32
FORM, JSON = "application/x-www-form-urlencoded", "application/json"
DOORS: Final = ["reports", "inbound"]
SAFE: Final = {204, 400, 413}

REPORT: Final = {
    "messageId": "00000000-0000-4000-8000-000000000000",
    "status": {"groupId": 3, "groupName": "DELIVERED", "name": "DELIVERED_TO_HANDSET"},
}
WRITTEN: Final = {"messageId": "i1", "from": "573001234567", "to": "15005550006", "text": "STOP"}


@pytest.fixture(autouse=True)
def _ready(settings: Settings) -> None:
    settings.PUBLIC_URL = PUBLIC_URL
    settings.SMS_PROVIDERS = PROVIDERS


def twilio(door: str, body: bytes, signed_pairs: list[tuple[str, str]]) -> Any:
    path = f"/api/providers/twilio/{door}"
    proof = signature(PUBLIC_URL + path, dict(signed_pairs), TOKEN)
    return Client().generic("POST", path, body, FORM, headers={"x-twilio-signature": proof})


def infobip(door: str, body: bytes, content_type: str = JSON) -> Any:
    """Call the address that was given to Infobip, token and all."""
    name = providers.by_slug("infobip")[0].name
    url = signing.door_with_token("infobip", door, name)  # type: ignore[arg-type] # one of the two
    return Client().generic("POST", url.removeprefix(PUBLIC_URL), body, content_type)


def holds_after(answer: Any) -> None:
    """The answer is one of the policy's, in the contract's shape, and what was kept can be applied."""
    assert answer.status_code in SAFE, answer.content
    if answer.status_code != 204:
        assert answer.json()["statusCode"] == answer.status_code
        assert answer["Content-Type"] == "application/json"
    reports.apply()
    assert not [found for found in invariants.check(thorough=True) if found.rows]


# --- by table -------------------------------------------------------------------------------------
FORMS: Final[dict[str, tuple[bytes, list[tuple[str, str]], int]]] = {
    "10 MB": (b"a=" + b"x" * 10_000_000, [], 413),
    "10,000 fields": (b"&".join(b"f%d=" % n for n in range(10_000)), [], 413),
    "101 fields": (b"&".join(b"f%d=" % n for n in range(101)), [], 400),
    "NUL": (b"Body=%00", [("Body", "\0")], 400),
    "NUL, not escaped": (b"Body=\0", [("Body", "\0")], 400),
    "bad UTF-8": (b"Body=%ff%fe", [], 400),
    "bad UTF-8, not escaped": (b"Body=\xff\xfe", [], 400),
    "half a surrogate pair": (b"Body=%ed%a0%80", [], 400),
    "an array": (b"Body[]=a&Body[]=b", [("Body[]", "b")], 400),
    "nothing": (b"", [], 400),
    "only separators": (b"&&&;;;===", [], 400),
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(("body", "pairs", "status"), FORMS.values(), ids=FORMS.keys())
def test_B82_a_form_that_is_none_is_refused(
    door: str, body: bytes, pairs: list[tuple[str, str]], status: int
) -> None:
    answer = twilio(door, body, pairs)

    # Where two readers read it differently, the signature cannot fit, and 403 is as good.
    assert answer.status_code in {status, 403}
    assert not DeliveryReport.objects.exists()
    assert not InboundMessage.objects.exists()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "more",
    [
        {"RawDlrDoneDate": "7001010000"},
        {"RawDlrDoneDate": "1970-01-01T00:00:00Z"},
        {"RawDlrDoneDate": "9999-12-31T23:59:59-23:59"},
        {"ErrorCode": "-1"},
        {"ErrorCode": "99999999999999999999"},
        {"ErrorCode": "٣٠٠٠٣"},
        {"NumMedia": "NaN", "Price": "1e999"},
        {"SmsStatus": "\u202e\U000e0041\u200b"},
        {"x" * 2_000: "y" * 2_000},
        {"": ""},
    ],
    ids=lambda more: str(more)[:40],
)
def test_B82_odd_words_in_a_good_form_are_kept(door: str, more: dict[str, str]) -> None:
    fields = {"MessageSid": SID, "MessageStatus": "delivered", "From": "+573001234567"}
    fields |= {"To": "+15005550006", "Body": "STOP", **more}

    answer = twilio(door, urlencode(fields).encode(), list(fields.items()))

    holds_after(answer)
    assert answer.status_code == 204


BODIES: Final[dict[str, bytes]] = {
    "10 MB": b'{"results": ["' + b"x" * 10_000_000 + b'"]}',
    "deep": b'{"results": ' + b"[" * 50_000 + b"]" * 50_000 + b"}",
    "deep in a result": json.dumps({"results": [{"a": {}}]})
    .encode()
    .replace(b"{}", b'{"a":' * 500 + b"1" + b"}" * 500),
    "101 results": json.dumps({"results": [REPORT] * 101}).encode(),
    "NUL": json.dumps({"results": [{**REPORT, "x": "\0"}]}).encode(),
    "half a surrogate pair": b'{"results": [{"messageId": "\\ud800", "from": "\\udfff"}]}',
    "bad UTF-8": b'{"results": [{"messageId": "\xff"}]}',
    "NaN": b'{"results": [{"price": NaN}]}',
    "1e999": b'{"results": [{"price": 1e999}]}',
    "a huge number": b'{"results": [{"price": ' + b"9" * 5_000 + b"}]}",
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps({"results": [REPORT]}).encode(),
    "cut": json.dumps({"results": [REPORT]}).encode()[:-2],
    "a list": b"[]",
    "null": b"null",
    "no results": b"{}",
    "results that are none": b'{"results": "all"}',
    "results of nothing": b'{"results": [null, 1, "x", []]}',
    "UTF-16": json.dumps({"results": [REPORT]}).encode("utf-16"),
    "a form": b"results=1",
    "nothing": b"",
}


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_B82_json_that_cannot_be_read_is_refused(door: str, body: bytes) -> None:
    answer = infobip(door, body)

    holds_after(answer)
    assert answer.status_code in {400, 413}
    assert not DeliveryReport.objects.exists()
    assert not InboundMessage.objects.exists()


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "content_type", ["", "text/plain", FORM, "multipart/form-data; boundary=x", "application/xml"]
)
def test_B82_another_kind_of_body_is_refused(door: str, content_type: str) -> None:
    body = json.dumps({"results": [{**REPORT, **WRITTEN}]}).encode()

    assert infobip(door, body, content_type).status_code == 400


@pytest.mark.parametrize(
    "when", ["1970-01-01T00:00:00.000+0000", "9999-12-31T23:59:59.999-2359", 0, -1]
)
@pytest.mark.parametrize("door", DOORS)
def test_B82_no_year_orders_anything(door: str, when: object) -> None:
    result = {**REPORT, **WRITTEN, "doneAt": when, "sentAt": when, "receivedAt": when}

    answer = infobip(door, json.dumps({"results": [result]}).encode())

    holds_after(answer)
    assert answer.status_code == 204


def test_S63_a_hundred_reports_of_one_body_are_taken_at_once() -> None:
    results = [
        {**REPORT, "messageId": f"{number:032x}", "text": "x" * 400} for number in range(100)
    ]

    assert infobip("reports", json.dumps({"results": results}).encode()).status_code == 204

    assert DeliveryReport.objects.count() == 100


# --- at random ------------------------------------------------------------------------------------
SETTINGS: Final = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
_ANY: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["name", "groupId", "groupName", "id", "messageCount", ""])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
_RESULT: Final = st.dictionaries(
    st.sampled_from(
        ["messageId", "status", "error", "from", "to", "text", "keyword", "price", "doneAt"]
    )
    | st.text(max_size=5),
    _ANY,
    max_size=8,
)


def _sides(with_good: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(lambda odd, good: {**good, **odd}, _RESULT, st.sampled_from([{}, with_good]))


@SETTINGS
@given(results=st.lists(_sides({**REPORT, **WRITTEN}), max_size=4), door=st.sampled_from(DOORS))
def test_B82_any_json_is_taken_or_refused(results: list[dict[str, Any]], door: str) -> None:
    holds_after(infobip(door, json.dumps({"results": results}).encode("utf-8", "surrogatepass")))


@SETTINGS
@given(body=st.binary(max_size=300), door=st.sampled_from(DOORS))
def test_B82_any_bytes_are_taken_or_refused(body: bytes, door: str) -> None:
    holds_after(infobip(door, body))


_NAMES: Final = st.sampled_from(
    ["MessageSid", "MessageStatus", "ErrorCode", "From", "To", "Body", "OptOutType", "SmsSid"]
) | st.text(max_size=5)
_VALUES: Final = st.sampled_from(
    [SID, "delivered", "failed", "21610", "STOP", "START", "HELP", "+573001234567", ""]
) | st.text(max_size=20)


@SETTINGS
@given(
    fields=st.dictionaries(_NAMES, _VALUES, min_size=1, max_size=10), door=st.sampled_from(DOORS)
)
def test_B82_any_signed_form_is_taken_or_refused(fields: dict[str, str], door: str) -> None:
    # Half of a surrogate pair cannot even be written down in a form.
    pairs = {_written(name): _written(value) for name, value in fields.items()}

    holds_after(twilio(door, urlencode(pairs).encode(), list(pairs.items())))


def _written(text: str) -> str:
    return text.encode("utf-8", "replace").decode()

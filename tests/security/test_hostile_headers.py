"""Odd, forged and overlong headers at every address of the API: ignored, or 4xx in the one shape."""

import json
from typing import Final

import pytest
from rest_framework.test import APIClient

from accounts.models import Organization
from tests.api.refusals import nothing_happens, told
from tests.security.addresses import ADDRESSES, PUBLIC, of_acme

pytestmark = pytest.mark.django_db

JSON: Final = "application/json"
HELLO: Final = json.dumps({"message": "Hola"})


@pytest.mark.parametrize(
    "host",
    ["evil.example", "testserver.evil.example", "a b", "testserver:x", "[::1", "x" * 500, "é"],
    ids=lambda host: host[:20],
)
def test_S57_another_host_is_400_in_json(
    ana_client: APIClient, acme: Organization, host: str
) -> None:
    for address, methods in ADDRESSES.items():
        for method in methods:
            with nothing_happens():
                answer = ana_client.generic(
                    method, of_acme(address, acme), HELLO, JSON, HTTP_HOST=host
                )
            assert (address, *told(answer)) == (address, 400, "4000")


ODD_HEADERS: Final[dict[str, dict[str, str]]] = {
    "a long header": {"X-Long": "a" * 100_000},
    "a long cookie": {"Cookie": "sessionid=" + "a" * 100_000},
    "a broken cookie": {"Cookie": ";=;;\x01=é; sessionid"},
    "a forged session": {"Cookie": "sessionid=../../etc/passwd; csrftoken=x"},
    "Accept: text/html": {"Accept": "text/html"},
    "Accept: nonsense": {"Accept": ";;;,=,/"},
    "Accept: nothing at all": {"Accept": "application/json;q=0, */*;q=0"},
    "Accept: very long": {"Accept": "a/b," * 5_000},
    "Accept: an indent": {"Accept": "application/json; indent=1000000000"},
    "Accept-Language": {"Accept-Language": "x-" * 5_000 + ",es;q=a,\xff"},
    "Accept-Encoding": {"Accept-Encoding": "gzip;q=x, *, \xff"},
    "If-None-Match": {"If-None-Match": '"' * 5_000},
    "If-Modified-Since": {"If-Modified-Since": "Sat, 99 Foo 99999 99:99:99 GMT"},
    "Range": {"Range": "bytes=99999999999999999999-"},
    "Expect": {"Expect": "100-continue"},
    "Origin": {"Origin": "https://evil.example"},
    "X-Forwarded": {
        "X-Forwarded-For": "a, b, \xff, ::1%0",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Proto": "gopher",
    },
    "Forwarded": {"Forwarded": 'for="[::1]:x";proto=http;host=evil.example'},
    "User-Agent": {"User-Agent": "\x01é" * 5_000},
    "X-Original-URL": {"X-Original-Url": "/admin/", "X-Rewrite-Url": "/admin/"},
    "Transfer-Encoding": {"Transfer-Encoding": "chunked"},
    "Idempotency-Key": {"Idempotency-Key": ""},
}


@pytest.mark.parametrize("headers", ODD_HEADERS.values(), ids=ODD_HEADERS.keys())
def test_an_odd_header_breaks_nothing(
    ana_client: APIClient, acme: Organization, headers: dict[str, str]
) -> None:
    for address, methods in ADDRESSES.items():
        for method in methods:
            answer = ana_client.generic(method, of_acme(address, acme), "{", JSON, headers=headers)
            assert answer.status_code < 500
            if answer.status_code >= 400:
                told(answer)


@pytest.mark.parametrize(
    "kind",
    ["text/html", "text/html,application/xhtml+xml;q=0.9", "application/xml", "image/png", "x"],
)
def test_an_accept_that_cannot_be_met_is_answered_in_json(
    ana_client: APIClient, acme: Organization, kind: str
) -> None:
    good = ana_client.get("/api/auth/me", headers={"accept": kind})
    sent = ana_client.post(
        "/api/messages/sms/all", HELLO, content_type=JSON, headers={"accept": kind}
    )
    bad = ana_client.post("/api/messages/sms/all", "{", content_type=JSON, headers={"accept": kind})

    assert (good.status_code, good["Content-Type"]) == (200, JSON)
    assert (sent.status_code, sent["Content-Type"]) == (201, JSON)
    assert told(bad) == (400, "4000")


@pytest.mark.parametrize(
    "header",
    [
        "Token x",
        "Basic eDp4",
        "Digest x",
        "Negotiate x",
        "AWS4-HMAC-SHA256 x",
        "Bearer",
        "null",
        "undefined",
        "\x01",
        "é",
        "x" * 9_000,
    ],
    ids=lambda header: header[:12],
)
def test_S48_another_scheme_opens_no_door(
    anonymous: APIClient, acme: Organization, header: str
) -> None:
    for address in sorted(set(ADDRESSES) - PUBLIC):
        for method in ADDRESSES[address]:
            answer = anonymous.generic(
                method, of_acme(address, acme), HELLO, JSON, HTTP_AUTHORIZATION=header
            )
            assert (address, *told(answer)) == (address, 401, "1002")

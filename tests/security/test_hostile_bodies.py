"""RELIABILITY's S36 to S48 at a door anybody may call: 4xx in the one shape, whatever is sent."""

import codecs
import json
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import Member
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/auth/sign-in"
JSON = "application/json"

NOT_AN_OBJECT = [b"null", b"[]", b"1", b'"text"', b"true", b"[{}]"]
NOT_JSON = [
    b"{",
    b'{"email": ',
    b'{"email": "a"',
    b"{'email': 'a'}",
    b'{"email": "a",}',
    b"{email: 1}",
    b'{"email": "a"} {}',
    b'{"email": "a"}x',
    b"email=a&password=b",
    b"<xml/>",
    b" ",
    b"\x00",
    b'{"a": .5}',
    b'{"a": 01}',
    b'{"a": +1}',
    b'{"a": "\x01"}',
    b'{"a": "\t"}',
    b'{"a": "\\x41"}',
    b'{"a": "\\ud8"}',
    b'{"a": undefined}',
]
NUMBERS = [
    b'{"a": NaN}',
    b'{"a": Infinity}',
    b'{"a": -Infinity}',
    b'{"a": 1e999}',
    b'{"a": -1e999}',
    b'{"a": ' + b"9" * 5000 + b"}",
]
BYTES = [
    codecs.BOM_UTF8 + b"{}",
    '{"email": "a"}'.encode("utf-16"),
    '{"email": "a"}'.encode("utf-32"),
    b'{"email": "\xff"}',
    b'{"email": "\xc3\x28"}',
    b'{"email": "\xed\xa0\x80"}',
    b'{"email": "\xc0\x80"}',
    b'{"email": "\xf4\x90\x80\x80"}',
]
TEXTS = [
    b'{"email": "\\u0000", "password": "x"}',
    b'{"email": "a\\u0000b", "password": "x"}',
    b'{"email": "\\ud800", "password": "x"}',
    b'{"email": "\\udc00\\ud800", "password": "x"}',
    b'{"a": {"b": ["\\u0000"]}}',
    b'{"a": {"b": ["\\udfff"]}}',
    b'{"\\u0000": 1}',
    b'{"a": {"\\ud83d": 1}}',
]
DOUBLED = [b'{"email": "a", "email": "b"}', b'{"x": {"a": 1, "a": 1}}', b'{"a": 1, "\\u0061": 2}']
DEEP = [
    b'{"a": ' + b"[" * depth + b"]" * depth + b"}" for depth in (33, 500, 1000, 5000, 100_000)
] + [
    b'{"a":' * 33 + b"1" + b"}" * 33,
    b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    b"[" * 100_000,
    b'{"a": ' + b"[" * 100_000,
]
GUESS = '{"email": "x", "password": "y"}'
HOSTILE = [*NOT_AN_OBJECT, *NOT_JSON, *NUMBERS, *BYTES, *TEXTS, *DOUBLED, *DEEP]


def in_the_one_shape(answer: Any, status: int, code: str) -> None:
    assert answer.status_code == status
    assert answer["Content-Type"] == JSON
    body = answer.json()
    assert (body["statusCode"], body["code"]) == (status, code)
    assert body["message"]
    assert body["error"]


@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: f"{body[:24]!r}…{len(body)}")
def test_a_hostile_body_is_400(anonymous: APIClient, body: bytes) -> None:
    answer = anonymous.post(URL, body, content_type=JSON)

    in_the_one_shape(answer, 400, "4000")
    # The parser refused it: a body that was read would be refused for its fields, by name.
    assert "fields" not in answer.json()


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": ' + b"[" * 31 + b"]" * 31 + b', "email": "x", "password": "y"}',
        '{"email": "x", "password": "\U0001f600 ñ"}'.encode(),
        b'{"email": "x", "password": "\\ud83d\\ude00"}',
        b'\r\n\t {"email": "x", "password": "y", "more": [1.5, -0, 1e10, null, true]} \n',
        b'{"email": "x", "password": "y", "__proto__": {}, "constructor": 1}',
    ],
)
def test_what_is_only_unusual_is_read(anonymous: APIClient, body: bytes) -> None:
    in_the_one_shape(anonymous.post(URL, body, content_type=JSON), 401, "1001")


@pytest.mark.parametrize("size", [256 * 1024 + 1, 3_000_000])
def test_more_than_256_kB_is_413(anonymous: APIClient, size: int) -> None:
    body = b'{"email": "' + b"a" * (size - 13) + b'"}'

    in_the_one_shape(anonymous.post(URL, body, content_type=JSON), 413, "4042")


def test_256_kB_are_read(anonymous: APIClient) -> None:
    body = b'{"email": "' + b"a" * (256 * 1024 - 13) + b'"}'

    in_the_one_shape(anonymous.post(URL, body, content_type=JSON), 400, "4000")


def test_a_body_longer_than_it_says_is_read_as_far_as_it_says(anonymous: APIClient) -> None:
    answer = anonymous.generic("POST", URL, GUESS + " " * 300_000, JSON, CONTENT_LENGTH="31")

    in_the_one_shape(answer, 401, "1001")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "multipart/form-data",
        "application/xml",
        "application/jsonp",
        "application/json-patch+json",
        "application/json; charset=bz2_codec",
        "application/json; charset=utf-7",
        "application/json; charset=utf-16",
        "application/json; charset=latin-1",
        "application/json; charset=idna",
        "application/json; charset=unicode_escape",
        "application/json; charset=rot13",
        "application/json; charset=no-such",
        "application/" + "j" * 5000,
        "json",
        "*",
        ";",
        "/",
        "é/é",
    ],
)
def test_another_content_type_or_character_set_is_415(
    anonymous: APIClient, content_type: str
) -> None:
    answer = anonymous.generic("POST", URL, GUESS, content_type)

    in_the_one_shape(answer, 415, "4041")


@pytest.mark.parametrize(
    "content_type",
    [
        JSON,
        "application/json; charset=utf-8",
        "application/json;charset=UTF-8",
        'Application/JSON; charset="utf-8"',
    ],
)
def test_json_in_utf8_is_read(anonymous: APIClient, content_type: str) -> None:
    answer = anonymous.generic("POST", URL, GUESS, content_type)

    in_the_one_shape(answer, 401, "1001")


@pytest.mark.parametrize(
    "accept",
    [
        "text/html",
        "text/csv",
        "application/xml",
        "image/*",
        "x",
        "",
        "*",
        ";;;",
        "/",
        ",",
        "application/json;q=0",
        "application/json; version=99",
        "application/json; indent=100000",
        "a/b," * 2000,
        "a" * 9000,
        "é",
    ],
)
def test_an_unknown_accept_is_answered_in_json(
    client_of: ClientOf, ana: Member, accept: str
) -> None:
    client = client_of(ana)

    good = client.get("/api/auth/me", HTTP_ACCEPT=accept)
    bad = client.get("/api/terms/nothing", HTTP_ACCEPT=accept)

    assert good.status_code == 200
    assert json.loads(good.content)["email"] == ana.email
    in_the_one_shape(bad, 404, "1005")


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "BREW"])
def test_a_wrong_method_is_405(client_of: ClientOf, ana: Member, method: str) -> None:
    in_the_one_shape(client_of(ana).generic(method, "/api/auth/me"), 405, "4040")


@pytest.mark.parametrize(
    "query", ["format=json", "format=api", "format=x", "_method=DELETE", "x=%ff", "x[]=1"]
)
def test_a_query_that_nobody_asks_for_changes_nothing(
    client_of: ClientOf, ana: Member, query: str
) -> None:
    assert client_of(ana).get(f"/api/auth/me?{query}").status_code == 200


@pytest.mark.parametrize(
    "path", ["auth/me%00", "organizations/%00", "organizations/..", "auth/me/", "", "auth"]
)
def test_an_address_that_is_none_is_4xx(client_of: ClientOf, ana: Member, path: str) -> None:
    answer = client_of(ana).get(f"/api/{path}")

    assert answer.status_code in (400, 404)
    assert answer.json()["statusCode"] == answer.status_code


def test_a_nul_in_the_query_is_400(client_of: ClientOf, ana: Member) -> None:
    in_the_one_shape(client_of(ana).get("/api/auth/me?x=%00"), 400, "4000")

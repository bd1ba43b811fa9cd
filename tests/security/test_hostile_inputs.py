"""RELIABILITY's S36 to S49 at every address of the API: 4xx in the one shape, never a 5xx, and no trace.

What a single door makes of a hostile body is proved in `test_hostile_bodies.py`; here every door meets
every input, those that need a sign-in too. Hostile headers have `test_hostile_headers.py`.
"""

import codecs
import json
import re
from collections.abc import Iterator
from typing import Final
from uuid import uuid4

import pytest
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import Member, Organization, TermsAcceptance
from messaging.models import Broadcast
from tests.api.refusals import nothing_happens, told
from tests.people import ClientOf
from tests.security.addresses import ADDRESSES, ID, READS_JSON, of_acme

pytestmark = pytest.mark.django_db

JSON: Final = "application/json"
HELLO: Final = json.dumps({"message": "Hola"})


def test_no_address_is_forgotten() -> None:
    schema = json.loads(Client().get("/api/schema", headers={"accept": JSON}).content)

    described = {path.split("{")[0] for path in schema["paths"]}
    met = {re.split(r"\{|twilio", address.replace(ID, "{id}"))[0] for address in ADDRESSES}
    assert described <= met


# --- bodies ---------------------------------------------------------------------------------------
# All fields of all doors: each takes its own, and ignores the others'.
FIELDS: Final = (
    *("message", "email", "password", "refreshToken", "version", "termsVersion"),
    *("currentPassword", "newPassword", "confirmPassword"),
)


def objects(inner: bytes) -> bytes:
    """A body that would be read at every door, with this put into it."""
    return json.dumps(dict.fromkeys(FIELDS, "x"))[:-1].encode() + b", " + inner + b"}"


BODIES: Final = {
    "S36 lists 33 deep": objects(b'"x": ' + b"[" * 33 + b"]" * 33),
    "S36 lists 5,000 deep": objects(b'"x": ' + b"[" * 5_000 + b"]" * 5_000),
    "S36 lists 100,000 deep": objects(b'"x": ' + b"[" * 100_000 + b"]" * 100_000),
    "S36 objects 20,000 deep": objects(b'"x": ' + b'{"x":' * 20_000 + b"1" + b"}" * 20_000),
    "S36 never closed": b"[" * 100_000,
    "S37 NUL in a value": objects(b'"x": "\\u0000"'),
    "S37 NUL in a key": objects(b'"\\u0000": 1'),
    "S37 NUL inside": objects(b'"x": {"y": ["a\\u0000b"]}'),
    "S37 NUL itself": objects(b'"x": "\x00"'),
    "S37 half a surrogate pair": objects(b'"x": "\\ud800"'),
    "S37 the other half": objects(b'"\\udfff": 1'),
    "S38 a number of 5,000 digits": objects(b'"x": ' + b"9" * 5_000),
    "S45 a key twice": objects(b'"x": 1, "x": 2'),
    "S45 the message twice": objects(b'"message": "Adios"'),
    "S45 a key twice, written otherwise": objects(b'"\\u006dessage": "Adios"'),
    "S45 a form": b"message=Hola&email=x",
    "S46 NaN": objects(b'"x": NaN'),
    "S46 Infinity": objects(b'"x": -Infinity'),
    "S46 1e999": objects(b'"x": 1e999'),
    "S46 byte order mark": codecs.BOM_UTF8 + objects(b'"x": 1'),
    "S46 UTF-16": codecs.BOM_UTF16 + objects(b'"x": 1').decode().encode("utf-16-le"),
    "S46 UTF-32": objects(b'"x": 1').decode().encode("utf-32"),
    "S46 Latin-1": objects('"x": "ñ"'.encode("latin-1")),
    "S46 overlong NUL": objects(b'"x": "\xc0\x80"'),
    "S46 a surrogate as UTF-8": objects(b'"x": "\xed\xa0\x80"'),
    "S46 truncated": objects(b'"x": 1')[:-1],
    "S46 two objects": objects(b'"x": 1') * 2,
    "S46 a comma too many": objects(b'"x": 1,'),
    "S46 single quotes": b"{'message': 'Hola'}",
    "S46 a comment": objects(b'"x": 1 /* */'),
    "S46 a list": b"[" + objects(b'"x": 1') + b"]",
    "S46 null": b"null",
    "S46 a text": b'"message"',
    "S46 a number": b"1",
    "S46 true": b"true",
    "S46 blanks": b" \n ",
    "S46 XML": b"<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_a_hostile_body_is_400_at_every_door(
    ana_client: APIClient, acme: Organization, body: bytes
) -> None:
    for address in READS_JSON:
        with nothing_happens():
            answer = ana_client.post(of_acme(address, acme), body, content_type=JSON)
        assert (address, *told(answer)) == (address, 400, "4000")


@pytest.mark.parametrize("value", [["x"], {}, 2**63, 1.5, True, False], ids=str)
def test_S45_a_field_of_another_kind_is_400_and_named(
    ana_client: APIClient, acme: Organization, value: object
) -> None:
    body = json.dumps(dict.fromkeys(FIELDS, value)).encode()

    for address in READS_JSON:
        with nothing_happens():
            answer = ana_client.post(of_acme(address, acme), body, content_type=JSON)
        assert (address, *told(answer)) == (address, 400, "4000")
        assert answer.json()["fields"]


KINDS: Final = [
    *(
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "application/xml",
    ),
    *(
        "application/json; charset=utf-16",
        "application/json; charset=utf-7",
        "application/json; charset=bz2_codec",
    ),
    *("application/json; charset=unicode_escape", "application/json; charset=idna"),
    *("application/json-patch+json", ";;;", "x" * 8_000),
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind[:60])
def test_S44_another_content_type_or_character_set_is_415_at_every_door(
    ana_client: APIClient, acme: Organization, kind: str
) -> None:
    for address in READS_JSON:
        with nothing_happens():
            answer = ana_client.post(of_acme(address, acme), objects(b'"x": 1'), content_type=kind)
        assert (address, *told(answer)) == (address, 415, "4041")


@pytest.mark.parametrize("size", [300_000, 3_000_000])
def test_S43_a_large_body_is_413_at_every_door(
    ana_client: APIClient, acme: Organization, size: int
) -> None:
    body = objects(b'"x": "' + b"a" * size + b'"')

    for address in READS_JSON:
        with nothing_happens():
            answer = ana_client.post(of_acme(address, acme), body, content_type=JSON)
        assert (address, *told(answer)) == (address, 413, "4042")


@pytest.mark.parametrize("body", ["{}", "{", "\x00\xff", "[" * 100_000, "a" * 300_000], ids=len)
def test_a_body_where_none_is_read_changes_nothing(
    ana_client: APIClient, acme: Organization, body: str
) -> None:
    for address in ("/api/auth/me", "/api/terms/current", "/api/organizations/{own}"):
        answer = ana_client.generic("GET", of_acme(address, acme), body, JSON)
        assert answer.status_code == 200


# --- addresses and queries ------------------------------------------------------------------------
@pytest.mark.parametrize("query", ["x=%00", "%00", "m=%00&s=x", "x=1&y=a%00b"])
def test_S42_a_NUL_in_the_query_is_400_everywhere(
    ana_client: APIClient, acme: Organization, query: str
) -> None:
    for address in ADDRESSES:
        answer = ana_client.get(f"{of_acme(address, acme)}?{query}")
        assert (address, *told(answer)) == (address, 400, "4000")


@pytest.mark.parametrize(
    "path",
    [
        *(
            "%00",
            "messages/queues/%00",
            f"messages/queues/{ID}%00",
            "organizations/%00/accept-terms",
            "providers/%00/reports",
        ),
        *(
            "messages/queues/",
            "messages/queues/..%2f..%2fetc",
            "messages/../auth/me",
            "%2e%2e/%2e%2e",
            "",
            "auth/me/",
            "AUTH/ME",
        ),
        *(
            "messages/queues/%ff",
            "messages/queues/é",
            "messages/queues/" + "a" * 8_000,
            "organizations/1",
            "%",
            "%zz",
            "a\\b",
        ),
        *(
            "messages/sms/all;x=1",
            "messages/sms/all%0d%0aX: y",
            "messages/queues/" + "0" * 36,
            "?",
            "#",
            "//",
            ".",
        ),
    ],
    ids=lambda path: path[:40],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_address_that_is_none_is_4xx(ana_client: APIClient, path: str, method: str) -> None:
    with nothing_happens():
        answer = ana_client.generic(method, f"/api/{path}", HELLO, JSON)

    assert told(answer) in {(404, "1005"), (400, "4000")}


@pytest.mark.parametrize(
    "query",
    [
        *(
            "format=json",
            "format=api",
            "format=xml",
            "_method=DELETE",
            "x[]=1",
            "x=%ff",
            "limit=9223372036854775808",
        ),
        *(
            "page=-1",
            "startDate=9999-12-31T23:59:59-23:59",
            "ordering=owner__password",
            "organization=" + ID,
        ),
        *("x=" + "a" * 100_000, "&" * 1_000, "organization__id__in=" + ID, "fields=password"),
    ],
    ids=lambda query: query[:30],
)
def test_a_query_that_nobody_asks_for_changes_nothing(
    ana_client: APIClient, acme: Organization, query: str
) -> None:
    for address in ("/api/auth/me", "/api/terms/current", "/api/organizations/{own}"):
        address = of_acme(address, acme)
        assert ana_client.get(f"{address}?{query}").json() == ana_client.get(address).json()
    assert (
        ana_client.post(f"/api/messages/sms/all?{query}", HELLO, content_type=JSON).status_code
        == 201
    )


# --- methods --------------------------------------------------------------------------------------
def wrong_methods(address: str) -> Iterator[str]:
    right = ADDRESSES[address]
    answered = right | {"OPTIONS"} | ({"HEAD"} if "GET" in right else set())
    every = {
        "GET",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
        "TRACE",
        "CONNECT",
        "PROPFIND",
        "MKCOL",
        "BREW",
        "X" * 500,
    }
    yield from sorted(every - answered)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_wrong_method_is_405_in_json(
    ana_client: APIClient, acme: Organization, address: str
) -> None:
    for method in wrong_methods(address):
        with nothing_happens():
            answer = ana_client.generic(method, of_acme(address, acme), HELLO, JSON)
        assert (method, *told(answer)) == (method, 405, "4040")


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])
def test_a_method_override_is_ignored(
    ana_client: APIClient, acme: Organization, header: str
) -> None:
    for address, methods in ADDRESSES.items():
        other = next(method for method in ("GET", "POST", "PUT") if method not in methods)
        for method in methods:
            with nothing_happens():
                answer = ana_client.generic(
                    other, of_acme(address, acme), HELLO, JSON, headers={header: method}
                )
            assert (address, *told(answer)) == (address, 405, "4040")


# --- ids of others --------------------------------------------------------------------------------
def test_S14_what_belongs_to_another_organization_is_not_there(
    client_of: ClientOf, ana: Member, carla: Member
) -> None:
    client = client_of(carla)

    for address in ("/api/organizations/{}", "/api/messages/queues/{}"):
        foreign = client.get(address.format(ana.organization_id))
        nobodys = client.get(address.format(uuid4()))
        assert told(foreign) == told(nobodys) == (404, "1005")
        assert foreign.content == nobodys.content


def test_S14_nobody_accepts_terms_in_another_organization(
    client_of: ClientOf, beto: Member, carla: Member
) -> None:
    accepted = TermsAcceptance.objects.count()

    answer = client_of(carla).post(
        f"/api/organizations/{beto.organization_id}/accept-terms",
        {"termsVersion": "2026-1"},
        format="json",
    )

    assert told(answer) == (404, "1005")
    assert TermsAcceptance.objects.count() == accepted


def test_after_all_of_it_a_good_request_is_still_served(
    ana_client: APIClient, acme: Organization
) -> None:
    answers = [
        ana_client.post("/api/messages/sms/all", body, content_type=JSON)
        for body in BODIES.values()
    ]

    assert {answer.status_code for answer in answers} == {400}
    assert ana_client.post("/api/messages/sms/all", HELLO, content_type=JSON).status_code == 201
    assert Broadcast.objects.get().text == "Hola"

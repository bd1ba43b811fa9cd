"""GET /api/schema: valid OpenAPI 3, complete, and true of what sending and following answer."""

import json
from collections.abc import Callable, Iterator
from typing import Any, Final
from uuid import uuid4

import jsonschema  # type: ignore[import-untyped] # it comes without types
import pytest
import yaml
from django.core.management import call_command
from django.test import Client
from django.urls import URLResolver, get_resolver, resolve
from drf_spectacular.validation import validate_schema
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import Member, Organization
from tests.api import doors
from tests.api import test_reports_callback as carrier
from tests.api.doors import DOORS
from tests.api.outages import database_away
from tests.messaging.factories import contacts_in_order, grant, sent_broadcast
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

METHODS: Final = ("get", "post", "put", "patch", "delete")
SEND, FOLLOW, REPORT = "sendSmsToAll", "getQueue", "takeDeliveryReports"
CONTROLS: Final = {"pauseQueue": "pause", "resumeQueue": "resume", "cancelQueue": "cancel"}

# What every answer may be, whatever the operation: said once in the description, not at each.
Schema = dict[str, Any]


@pytest.fixture(scope="module")
def schema() -> Schema:
    answer = Client().get("/api/schema", headers={"accept": "application/json"})
    found: Schema = json.loads(answer.content)
    return found


def operations(schema: Schema) -> Iterator[tuple[str, str, Schema]]:
    for path, item in schema["paths"].items():
        for method in METHODS:
            if method in item:
                yield path, method, item[method]


def operation(schema: Schema, name: str) -> Schema:
    return next(found for _, _, found in operations(schema) if found["operationId"] == name)


# --- valid and complete ---------------------------------------------------------------------------
def test_it_is_valid_openapi_3(schema: Schema) -> None:
    assert schema["openapi"].startswith("3.")
    validate_schema(schema)


def test_nothing_had_to_be_guessed() -> None:
    call_command("spectacular", "--validate", "--fail-on-warn", "--file", "/dev/null")


def test_it_comes_as_yaml_too() -> None:
    answer = Client().get("/api/schema")

    assert answer.status_code == 200
    assert yaml.safe_load(answer.content)["info"]["title"] == "Pregon API"


def routes(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for pattern in resolver.url_patterns:
        route = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from routes(pattern, route)
        elif route.startswith("api/"):
            callback: Any = pattern.callback
            yield route, getattr(callback, "cls", None) or callback.view_class


def test_every_address_of_the_api_is_in_it(schema: Schema) -> None:
    described = {(path.split("{")[0], method) for path, method, _ in operations(schema)}

    missing = [
        (method, route)
        for route, view in routes(get_resolver())
        if route not in {"api/schema", "api/docs"}
        for method in METHODS
        if hasattr(view, method) and (f"/{route}".split("<")[0], method) not in described
    ]

    assert missing == []


def test_every_address_in_it_exists(schema: Schema) -> None:
    for path, _, found in operations(schema):
        for parameter in found.get("parameters", []):
            example = str(uuid4()) if parameter["schema"].get("format") == "uuid" else "twilio"
            path = path.replace(f"{{{parameter['name']}}}", example)
        assert resolve(path).func.__name__ != "unknown_route"


def test_every_operation_has_a_name_of_its_own_and_says_what_it_does(schema: Schema) -> None:
    found = [each for _, _, each in operations(schema)]

    names = [each["operationId"] for each in found]
    assert len(set(names)) == len(names)
    assert all(each.get("summary") and each.get("tags") for each in found)
    assert all(name.isidentifier() and "_" not in name for name in names)


def test_every_operation_says_how_it_is_signed_in_to(schema: Schema) -> None:
    public = {"signIn", "refreshTokens", REPORT, "takeInboundMessages"}

    for _, _, found in operations(schema):
        open_to_all = not found.get("security") or {} in found["security"]
        assert open_to_all == (found["operationId"] in public), found["operationId"]


def test_every_refusal_has_the_one_shape(schema: Schema) -> None:
    for _, _, found in operations(schema):
        for status, answer in found["responses"].items():
            if int(status) < 400:
                continue
            of = _resolved(schema, answer["content"]["application/json"]["schema"])
            for shape in of.get("oneOf", [of]):
                properties = _resolved(schema, shape)["properties"]
                assert {"statusCode", "code", "message", "error"} <= set(properties), found[
                    "operationId"
                ]


def _resolved(schema: Schema, part: Schema) -> Schema:
    if "$ref" in part:
        found: Schema = schema["components"]["schemas"][part["$ref"].rpartition("/")[2]]
        return found
    return part


def test_the_request_is_described_as_the_contract_has_it(schema: Schema) -> None:
    content = operation(schema, SEND)["requestBody"]["content"]

    assert list(content) == ["application/json"]
    body = _resolved(schema, content["application/json"]["schema"])
    assert body["required"] == ["message"]
    assert list(body["properties"]) == ["message", "type", "country", "scheduledAt", "confirmToken"]


def test_every_example_fits_what_it_is_an_example_of(schema: Schema) -> None:
    checked = 0
    for _, _, found in operations(schema):
        parts = [*found["responses"].values(), found.get("requestBody", {})]
        for content in [content for part in parts for content in part.get("content", {}).values()]:
            for example in content.get("examples", {}).values():
                _require_fits(schema, content["schema"], example["value"])
                checked += 1
    assert checked > 10


# --- true -----------------------------------------------------------------------------------------
def _require_fits(schema: Schema, part: Schema, value: Any) -> None:
    """Hold the value against the schema, in which no property may be left undescribed."""
    strict = _strict({**part, "components": schema["components"]})
    jsonschema.Draft202012Validator(
        strict, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    ).validate(value)


def _strict(part: Any) -> Any:
    if isinstance(part, list):
        return [_strict(each) for each in part]
    if not isinstance(part, dict):
        return part
    strict = {name: _strict(inner) for name, inner in part.items()}
    if isinstance(part.get("properties"), dict) and "type" in part:
        strict.setdefault("additionalProperties", False)
    if strict.pop("nullable", False):  # OpenAPI 3.0's own word
        return {"anyOf": [strict, {"type": "null"}]}
    return strict


@pytest.fixture
def ready(acme: Organization, borealis: Organization, settings: Settings) -> None:
    settings.SMS_PROVIDERS = [carrier.TWILIO]
    settings.PUBLIC_URL = carrier.PUBLIC_URL
    contacts_in_order(acme, "+573001234567")
    grant(acme, 10)


class People:
    """Who calls, made when asked for."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request

    def client(self, name: str) -> APIClient:
        of: ClientOf = self._request.getfixturevalue("client_of")
        return of(self._request.getfixturevalue(name))

    def posted(
        self, name: str, body: str = '{"message": "Hola"}', kind: str = "application/json"
    ) -> Any:
        return self.client(name).generic("POST", "/api/messages/sms/all", body, kind)

    def posted_twice(self, second: str) -> Any:
        """Ana's second request under the key of her first."""
        client = self.client("ana")
        for message in ("Hola", second):
            answer = client.post(
                ALL, {"message": message}, format="json", headers={"idempotency-key": "k"}
            )
        return answer

    def repeated(self) -> Any:
        """The same text again, which Acme does not take for a minute."""
        Organization.objects.filter(name="Acme").update(repeat_guard_seconds=60)
        return [self.posted("ana"), self.posted("ana")][-1]

    def controlled(self, name: str, verb: str, *before: str) -> Any:
        broadcast = sent_broadcast(self._request.getfixturevalue("ana"), "+573009999999")
        for earlier in before:
            self.client("ana").post(f"/api/messages/queues/{broadcast.pk}/{earlier}")
        return self.client(name).post(f"/api/messages/queues/{broadcast.pk}/{verb}")

    def followed(self, name: str, *, limit: str = "100/min", **headers: str) -> Any:
        ana: Member = self._request.getfixturevalue("ana")
        broadcast = sent_broadcast(ana, "+573009999999")
        self._request.getfixturevalue("settings").RATE_LIMIT = limit
        client = self.client(name)
        url = f"/api/messages/queues/{broadcast.pk}"
        etag = self.client("ana").get(url).get("ETag", "")
        return client.get(url, headers={key: value.format(etag) for key, value in headers.items()})

    def over_the_limit(self) -> Any:
        self._request.getfixturevalue("settings").RATE_LIMIT = "1/min"
        client = self.client("ana")
        client.get("/api/auth/me")
        return client

    def broke(self) -> Any:
        contacts_in_order(self._request.getfixturevalue("borealis"), "+573001234567")
        return self.posted("carla")

    def without_a_database(self, call: Callable[[APIClient], Any]) -> Any:
        client = self.client("ana")
        with database_away():
            return call(client)


FORM: Final = "application/x-www-form-urlencoded"
HELLO: Final = {"message": "Hola"}
ALL: Final = "/api/messages/sms/all"
ONE: Final = f"/api/messages/queues/{uuid4()}"

ANSWERS: dict[tuple[str, str], Callable[[People], Any]] = {
    (SEND, "201"): lambda people: people.posted("ana"),
    (SEND, "200"): lambda people: people.posted("carla"),
    (SEND, "400"): lambda people: people.posted("ana", '{"message": " ", "country": "XX"}'),
    (SEND, "401"): lambda _: APIClient().post(ALL, HELLO, format="json"),
    (SEND, "402"): lambda people: people.broke(),
    (SEND, "403"): lambda people: people.posted("beto"),
    (SEND, "409"): lambda people: people.repeated(),
    (SEND, "422"): lambda people: people.posted_twice("Adiós"),
    (SEND, "413"): lambda people: people.posted("ana", " " * 300_000),
    (SEND, "415"): lambda people: people.posted("ana", "message=Hola", FORM),
    (SEND, "429"): lambda people: people.over_the_limit().post(ALL, HELLO, format="json"),
    (SEND, "503"): lambda people: people.without_a_database(
        lambda ana: ana.post(ALL, HELLO, format="json")
    ),
    (FOLLOW, "200"): lambda people: people.followed("vera"),
    (FOLLOW, "304"): lambda people: people.followed("vera", **{"if-none-match": "{}"}),
    (FOLLOW, "400"): lambda people: people.client("ana").get(f"{ONE}?x=%00"),
    (FOLLOW, "401"): lambda _: APIClient().get(ONE),
    (FOLLOW, "403"): lambda people: people.client("root").get(ONE),
    (FOLLOW, "404"): lambda people: people.client("ana").get(ONE),
    (FOLLOW, "429"): lambda people: people.over_the_limit().get(ONE),
    (FOLLOW, "503"): lambda people: people.without_a_database(lambda ana: ana.get(ONE)),
    (REPORT, "204"): lambda _: carrier.report(),
    (REPORT, "400"): lambda _: carrier.report({"MessageSid": "x"}),
    (REPORT, "403"): lambda _: carrier.report(signed=""),
    (REPORT, "404"): lambda _: carrier.report(path="/api/providers/vonage/reports"),
    (REPORT, "413"): lambda _: carrier.report({"Body": "a" * 70_000}),
    (REPORT, "503"): lambda people: people.without_a_database(lambda _: carrier.report()),
}


def _of_a_control(verb: str) -> dict[str, Callable[[People], Any]]:
    url = f"{ONE}/{verb}"
    before = ["pause"] if verb == "resume" else []
    return {
        "200": lambda people: people.controlled("sara", verb, *before),
        "400": lambda people: people.client("ana").post(f"{url}?x=%00"),
        "401": lambda _: APIClient().post(url),
        "403": lambda people: people.client("vera").post(url),
        "404": lambda people: people.client("ana").post(url),
        "409": lambda people: people.controlled("ana", verb, "cancel"),
        "429": lambda people: people.over_the_limit().post(url),
        "503": lambda people: people.without_a_database(lambda ana: ana.post(url)),
    }


ANSWERS |= {
    (name, status): call
    for name, verb in CONTROLS.items()
    for status, call in _of_a_control(verb).items()
}


@pytest.mark.parametrize("name", [SEND, FOLLOW, REPORT, *CONTROLS])
def test_what_is_documented_is_what_is_proved_here(schema: Schema, name: str) -> None:
    documented = set(operation(schema, name)["responses"])

    assert documented == {status for of, status in ANSWERS if of == name}


@pytest.mark.parametrize(("name", "status"), ANSWERS, ids=lambda part: part)
def test_every_documented_status_occurs_as_it_is_described(
    request: pytest.FixtureRequest, schema: Schema, name: str, status: str
) -> None:
    if status == "503":
        request.getfixturevalue("transactional_db")
    request.getfixturevalue("ready")

    answer = ANSWERS[name, status](People(request))

    assert answer.status_code == int(status)
    described = operation(schema, name)["responses"][status].get("content", {})
    if not described:
        assert answer.getvalue() == b""
        return
    assert list(described) == [answer["Content-Type"]] == ["application/json"]
    _require_fits(schema, described["application/json"]["schema"], json.loads(answer.getvalue()))


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("query", ["", "?dryRun=true"])
def test_all_three_doors_answer_as_is_described(
    client_of: ClientOf, ana: Member, acme: Organization, schema: Schema, door: str, query: str
) -> None:
    contacts_in_order(acme, "+573001234567", "+12025550123")
    grant(acme, 10)
    body = {"message": "Hola «»", **doors.aim(door, acme)}

    answer = doors.post(client_of(ana), door, body, query=query)

    of = operation(schema, f"sendSmsTo{door.capitalize()}")["responses"][str(answer.status_code)]
    described = of["content"]["application/json"]["schema"]
    found = doors.read(answer)
    _require_fits(schema, described, found)
    assert ("confirmToken" in found) == bool(query)


# --- the two addresses themselves -----------------------------------------------------------------
@pytest.mark.parametrize("path", ["/api/schema", "/api/docs"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "TRACE", "PROPFIND"])
def test_a_wrong_method_is_405_in_json(path: str, method: str) -> None:
    answer = Client().generic(method, path, "{", "application/json")

    assert answer.status_code == 405
    assert answer["Content-Type"] == "application/json"
    assert answer.json()["code"] == "4040"


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "x", "image/png", "a/b;q=0.1"])
def test_an_accept_that_cannot_be_met_is_no_error(accept: str) -> None:
    answer = Client().get("/api/schema", headers={"accept": accept})

    assert answer.status_code == 200
    assert yaml.safe_load(answer.content)["openapi"]


def test_it_tells_no_secret(settings: Settings) -> None:
    text = Client().get("/api/schema").content.decode()

    assert settings.SECRET_KEY not in text
    assert "sandbox-token" not in text

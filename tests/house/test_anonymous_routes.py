"""Every address under /api/ refuses a caller without credentials, unless it stands on a short list."""

from collections.abc import Iterator
from typing import Any, Final

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RoutePattern

pytestmark = pytest.mark.django_db

# Whoever adds a line here says why nobody needs to sign in.
PUBLIC: Final = {
    "GET api/schema": "what the API is, for whoever writes a client",
    "GET api/docs": "the same, to be read",
    "POST api/auth/sign-in": "gives out the credentials",
    "POST api/auth/refresh": "the refresh token in the body is the credential",
    "POST api/providers/<slug:slug>/reports": "carriers sign what they send, and sign in nowhere",
    "POST api/providers/<slug:slug>/inbound": "carriers sign what they send, and sign in nowhere",
}

METHODS: Final = ("get", "post", "put", "patch", "delete", "options")

EXAMPLES: Final = {
    "uuid": "0d6a8cf9-8d7c-4f27-9a0c-5b8c3f7a6f10",
    "slug": "twilio",
    "int": "1",
    "str": "x",
}


def patterns(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for pattern in resolver.url_patterns:
        route = f"{prefix}{pattern.pattern}"
        if isinstance(pattern, URLResolver):
            yield from patterns(pattern, route)
        else:
            yield route, pattern


def calls() -> Iterator[tuple[str, str, str]]:
    """Method, route and an address of it, for everything that a view under /api/ answers."""
    for route, pattern in patterns(get_resolver()):
        if not route.startswith("api/"):
            continue
        assert isinstance(pattern.pattern, RoutePattern), f"{route}: use path(), not re_path()"
        address = f"/{route}"
        for name, converter in pattern.pattern.converters.items():
            kind = (
                type(converter).__name__.removesuffix("Converter").lower().replace("string", "str")
            )
            address = address.replace(f"<{kind}:{name}>", EXAMPLES[kind])
        view: Any = getattr(pattern.callback, "cls", None) or pattern.callback.view_class  # type: ignore[attr-defined]
        for method in METHODS:
            if hasattr(view, method):
                yield method.upper(), route, address


CALLS = list(calls())


@pytest.mark.parametrize(
    ("method", "address"),
    [
        pytest.param(method, address, id=f"{method} {route}")
        for method, route, address in CALLS
        if f"{method} {route}" not in PUBLIC
        # What a public address may do is no secret either.
        and not (method == "OPTIONS" and any(key.endswith(f" {route}") for key in PUBLIC))
    ],
)
def test_an_anonymous_caller_is_refused(method: str, address: str) -> None:
    answer = Client().generic(method, address, data="{}", content_type="application/json")

    body = answer.json()
    assert (answer.status_code, body["statusCode"], body["code"]) == (401, 401, "1002")
    assert body["error"] == "Unauthorized"
    assert body["message"]
    assert answer["WWW-Authenticate"] == 'Bearer realm="pregon"'


@pytest.mark.parametrize("call", PUBLIC)
def test_what_is_on_the_public_list_exists_and_asks_for_no_sign_in(call: str) -> None:
    method, route = call.split()
    (address,) = [found for verb, where, found in CALLS if (verb, where) == (method, route)]

    answer = Client().generic(method, address, data="{}", content_type="application/json")

    assert answer.status_code < 500
    assert answer.status_code != 401 or answer.json()["code"] != "1002"


def test_the_list_of_addresses_is_not_empty() -> None:
    assert ("POST", "api/messages/sms/all") in {(method, route) for method, route, _ in CALLS}


@pytest.mark.parametrize("method", METHODS)
def test_an_unknown_address_is_404_in_the_error_shape(method: str) -> None:
    answer = Client().generic(method.upper(), "/api/nothing/here")

    assert answer.status_code == 404
    assert (answer.json()["statusCode"], answer.json()["code"]) == (404, "1005")

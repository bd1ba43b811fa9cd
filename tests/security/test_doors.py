"""What holds at every door of the API, those that are still to come among them: read from the URLconf."""

from typing import Any, Final

import pytest
from django.apps import apps
from django.urls import get_resolver
from django.urls.resolvers import RoutePattern
from rest_framework.test import APIClient

from accounts.models import Member, Organization, Terms
from accounts.roles import Right
from messaging.models import Broadcast
from tests.api.refusals import told
from tests.house import source
from tests.house.test_anonymous_routes import CALLS, PUBLIC, patterns
from tests.messaging.factories import contacts_in_order, grant, sent_broadcast
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

ROUTES: Final = [
    (route, pattern) for route, pattern in patterns(get_resolver()) if route.startswith("api/")
]


def view_of(route: str) -> Any:
    callback: Any = next(pattern.callback for found, pattern in ROUTES if found == route)
    return getattr(callback, "cls", None) or callback.view_class


def right_for(method: str, route: str) -> Right | None:
    view = view_of(route)
    found: Right | None = getattr(view, "rights", {}).get(method, getattr(view, "right", None))
    return found


# --- rate limits ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("method", "address"),
    [
        pytest.param(method, address, id=f"{method} {route}")
        for method, route, address in CALLS
        if f"{method} {route}" not in PUBLIC and method != "OPTIONS"
    ],
)
def test_every_answer_to_an_organization_tells_how_its_window_stands(
    client_of: ClientOf, ana: Member, method: str, address: str
) -> None:
    answer = client_of(ana).generic(method, address, data="{", content_type="application/json")

    assert answer.status_code != 401
    assert (answer["RateLimit-Limit"], answer["RateLimit-Remaining"]) == ("100", "99")
    assert 0 < int(answer["RateLimit-Reset"]) <= 60


def tells(answer: Any) -> bool:
    return {"RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"} <= set(answer.headers)


def test_streamed_answers_tell_it_too(client_of: ClientOf, ana: Member, acme: Organization) -> None:
    contacts_in_order(acme, "+573001234567")
    grant(acme, 10)
    client = client_of(ana)

    sent = client.post("/api/messages/sms/all", {"message": "Hola"}, format="json")
    exported = client.get("/api/contacts/export")

    assert (sent.status_code, exported.status_code) == (201, 200)
    assert sent.streaming
    assert exported.streaming
    assert tells(sent)
    assert tells(exported)


def test_an_answer_that_nothing_changed_tells_it_too(
    client_of: ClientOf, ana: Member, acme: Organization
) -> None:
    broadcast: Broadcast = sent_broadcast(ana)
    address = f"/api/messages/queues/{broadcast.pk}"
    client = client_of(ana)

    answer = client.get(address, headers={"if-none-match": client.get(address)["ETag"]})

    assert answer.status_code == 304
    assert tells(answer)


# --- S12: terms -----------------------------------------------------------------------------------
SENDING: Final = [
    (route, address)
    for method, route, address in CALLS
    if method == "POST" and f"POST {route}" not in PUBLIC and right_for("POST", route) == Right.SEND
]


def test_S12_the_addresses_that_send_are_known() -> None:
    routes = {route for route, _address in SENDING}

    assert {f"api/messages/sms/{whom}" for whom in ("all", "contacts", "tags")} < routes
    assert any(route.endswith("resend-failed") for route in routes)


@pytest.mark.parametrize("address", [address for _route, address in SENDING])
def test_S12_without_the_terms_nothing_is_sent_whatever_the_body(
    client_of: ClientOf, key_of: ClientOf, beto: Member, address: str
) -> None:
    answer = client_of(beto).post(address, "{", content_type="application/json")

    assert told(answer) == (403, "1022")


@pytest.mark.parametrize("address", [address for _route, address in SENDING])
def test_S12_while_none_are_published_nobody_sends(
    client_of: ClientOf, ana: Member, address: str
) -> None:
    Terms.objects.update(published_at=None)

    assert told(client_of(ana).post(address, "{", content_type="application/json")) == (403, "1022")


# --- S14, S15: whose ------------------------------------------------------------------------------
# Whoever adds a line here says why it asks for no right.
WITHOUT_A_RIGHT: Final = {
    "api/auth/logout": "whoever is signed in may sign out",
    "api/auth/change-password": "his own",
    "api/auth/me": "himself",
    "api/terms/current": "the same for everybody",
}


def test_S14_every_view_asks_for_a_right() -> None:
    without = {
        route
        for method, route, _address in CALLS
        if f"{method} {route}" not in PUBLIC
        and method != "OPTIONS"
        and not any(call.endswith(f" {route}") for call in PUBLIC)
        and right_for(method, route) is None
    }

    assert without == set(WITHOUT_A_RIGHT)


@pytest.mark.parametrize(
    ("method", "route", "address"),
    [
        pytest.param(method, route, address, id=f"{method} {route}")
        for method, route, address in CALLS
        if f"{method} {route}" not in PUBLIC
        and route not in WITHOUT_A_RIGHT
        and method != "OPTIONS"
        if not any(call.endswith(f" {route}") for call in PUBLIC)
    ],
)
def test_S15_a_platform_superuser_is_403_whatever_the_body(
    client_of: ClientOf, root: Member, terms_in_force: Terms, method: str, route: str, address: str
) -> None:
    answer = client_of(root).generic(method, address, data="{", content_type="application/json")

    assert told(answer) == (403, "1003")


# --- S17: ids -------------------------------------------------------------------------------------
def test_S17_no_address_is_counted_through() -> None:
    kinds = {
        type(converter).__name__
        for _route, pattern in ROUTES
        if isinstance(pattern.pattern, RoutePattern)
        for converter in pattern.pattern.converters.values()
    }

    assert kinds == {"UUIDConverter", "SlugConverter"}  # a slug is the name of a carrier


# Never shown by their keys: no page and no address names one.
COUNTED: Final = {"UnsealedEntry", "AuditSeal", "AuditHead", "Heartbeat", "ProviderState"}


def test_S17_no_row_that_is_shown_has_a_key_that_counts() -> None:
    counted = {
        model.__name__
        for model in apps.get_models()
        if model._meta.app_label in source.ROOMS
        and model._meta.pk.get_internal_type() != "UUIDField"
    }

    assert counted <= COUNTED, "Give it a UUID, or say here that its key is shown nowhere."


# --- S48 ------------------------------------------------------------------------------------------
def test_S48_a_session_of_the_admin_opens_no_door(ana: Member) -> None:
    client = APIClient()
    client.force_login(ana)

    for method, route, address in CALLS:
        if (
            f"{method} {route}" not in PUBLIC
            and method == "GET"
            and route not in {"api/schema", "api/docs"}
        ):
            assert told(client.get(address)) == (401, "1002")

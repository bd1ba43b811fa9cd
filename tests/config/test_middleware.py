"""What every request passes: proxies are believed when named, NUL goes no further."""

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from pytest_django import Settings

from accounts.models import Member, Terms, TermsAcceptance
from config.middleware import TrustedProxies
from tests.people import ClientOf

PROXY, CALLER = "10.0.0.1", "203.0.113.9"


def passed(trusted: list[str], settings: Settings, **headers: str) -> HttpRequest:
    """The request as it is behind the middleware."""
    settings.TRUSTED_PROXIES = trusted
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    seen: list[HttpRequest] = []

    def view(request: HttpRequest) -> HttpResponse:
        seen.append(request)
        return HttpResponse()

    TrustedProxies(view)(RequestFactory().get("/", **headers))  # type: ignore[arg-type] # headers of the environ
    return seen[0]


def address(trusted: list[str], settings: Settings, **headers: str) -> Any:
    return passed(trusted, settings, **headers).META["REMOTE_ADDR"]


@pytest.mark.parametrize(
    ("told", "found"),
    [
        (CALLER, CALLER),
        (f"1.1.1.1, {CALLER}", CALLER),  # what stands further left is hearsay
        (f"{CALLER}, 10.0.0.2", CALLER),
        (f"{CALLER},10.9.9.9 ,10.0.0.2", CALLER),
        (f"10.0.0.7, {CALLER}, 10.0.0.2", CALLER),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("2001:db8::7", "2001:db8::7"),
        ("", PROXY),
        (" , ", PROXY),
        ("nonsense", PROXY),
        ("nonsense, 10.0.0.2", "10.0.0.2"),
        (f"{CALLER}, nonsense", PROXY),
        ("999.1.1.1", PROXY),
        ("127.0.0.1\r\nX: y", PROXY),
    ],
)
def test_the_caller_is_the_nearest_address_that_is_no_proxy_of_ours(
    settings: Settings, told: str, found: str
) -> None:
    assert address(["10.0.0.0/8"], settings, REMOTE_ADDR=PROXY, HTTP_X_FORWARDED_FOR=told) == found


@pytest.mark.parametrize("trusted", [[], ["10.0.0.2"], ["192.168.0.0/16", "2001:db8::/32"]])
def test_a_stranger_is_not_believed(settings: Settings, trusted: list[str]) -> None:
    request = passed(
        trusted,
        settings,
        REMOTE_ADDR=PROXY,
        HTTP_X_FORWARDED_FOR=CALLER,
        HTTP_X_FORWARDED_PROTO="https",
        HTTP_X_FORWARDED_HOST="evil.example",
    )

    assert request.META["REMOTE_ADDR"] == PROXY
    assert not request.is_secure()
    assert "HTTP_X_FORWARDED_HOST" not in request.META


def test_a_proxy_of_ours_says_that_it_was_https(settings: Settings) -> None:
    headers = {
        "REMOTE_ADDR": PROXY,
        "HTTP_X_FORWARDED_PROTO": "https",
        "HTTP_X_FORWARDED_FOR": CALLER,
    }

    assert passed([PROXY], settings, **headers).is_secure()


@pytest.mark.parametrize(("trusted", "found"), [([PROXY], CALLER), ([], "")])
def test_who_may_open_the_socket_is_trusted_once_any_proxy_is(
    settings: Settings, trusted: list[str], found: str
) -> None:
    assert address(trusted, settings, REMOTE_ADDR="", HTTP_X_FORWARDED_FOR=CALLER) == found


def test_the_host_is_never_taken_from_a_proxy(settings: Settings) -> None:
    headers = {"REMOTE_ADDR": PROXY, "HTTP_X_FORWARDED_HOST": "evil.example"}

    assert passed([PROXY], settings, **headers).get_host() == "testserver"


@pytest.mark.django_db
@pytest.mark.parametrize(("trusted", "found"), [(["127.0.0.1"], CALLER), ([], "127.0.0.1")])
def test_an_acceptance_keeps_the_callers_own_address(
    settings: Settings,
    client_of: ClientOf,
    beto: Member,
    terms_in_force: Terms,
    trusted: list[str],
    found: str,
) -> None:
    settings.TRUSTED_PROXIES = trusted

    answer = client_of(beto).post(
        "/api/terms/accept", {"version": terms_in_force.version}, format="json",
        headers={"x-forwarded-for": f"6.6.6.6, {CALLER}"},
    )  # fmt: skip

    assert answer.status_code == 200
    assert TermsAcceptance.objects.get(member=beto).address == found


@pytest.mark.django_db
@pytest.mark.parametrize(
    "address", ["/%00", "/admin/%00", "/admin/?x=%00", "/?x=a%00b", "/healthz?%00"]
)
def test_S42_a_NUL_goes_no_further(address: str) -> None:
    assert Client().get(address).status_code == 400


def test_a_proxy_that_is_no_address_is_refused_at_the_start(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = ["nonsense"]

    with pytest.raises((ValueError, ImproperlyConfigured), match="nonsense"):
        TrustedProxies(lambda _request: HttpResponse())

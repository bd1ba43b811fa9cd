"""What every request passes: proxies are believed when named, NUL goes no further."""

from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpRequest, HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse
from pytest_django import Settings

from accounts.models import Member, Terms, TermsAcceptance
from config.middleware import TrustedProxies
from contacts.imports import limits
from tests.people import AdminOf, ClientOf

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


# --- from where the admin opens ---------------------------------------------------------------------
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "status"),
    [
        ("203.0.113.9", 200),
        ("::ffff:203.0.113.9", 200),
        ("198.51.100.1", 404),
        ("::ffff:198.51.100.1", 404),
        ("", 404),
    ],
)
def test_S52_the_admin_opens_from_the_addresses_that_are_named(
    settings: Settings, address: str, status: int
) -> None:
    settings.ADMIN_ADDRESSES = ["203.0.113.0/24"]
    client = Client(REMOTE_ADDR=address)

    assert client.get(reverse("admin:login")).status_code == status
    assert client.get("/healthz").status_code == 200
    assert client.get("/api/terms/current").status_code == 401


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/", "/admin", "/admin/", "/admin/login/", "/admin/nothing/"])
def test_S52_a_hidden_admin_looks_like_any_unknown_address(settings: Settings, path: str) -> None:
    settings.ADMIN_ADDRESSES = ["203.0.113.0/24"]
    client = Client(REMOTE_ADDR="198.51.100.1")

    hidden, unknown = client.get(path), client.get("/nothing/")

    assert (hidden.status_code, hidden.content) == (404, unknown.content)
    assert hidden.headers == unknown.headers


# --- forms that are too large ---------------------------------------------------------------------
class Unread:
    """A body that nobody may read: what comes is refused by its length."""

    def read(self, *_args: object) -> bytes:
        raise AssertionError("it was read")

    readline = read


def sent_to(client: Client, name: str, *, length: int) -> Any:
    """Post a form of so many bytes, none of which may be read."""
    extra: dict[str, Any] = {"CONTENT_LENGTH": str(length), "wsgi.input": Unread()}
    kind = "multipart/form-data; boundary=x"
    return client.generic("POST", reverse(name), content_type=kind, **extra)


LARGE = 1_000_000
IMPORT = "admin:contacts_importjob_upload"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("name", "length"),
    [
        ("admin:login", LARGE),
        ("admin:contacts_contact_changelist", LARGE),
        (IMPORT, limits.LARGEST_FILE + limits.AROUND + 1),
    ],
)
def test_S59_a_form_that_is_too_large_is_refused_unread(
    admin_of: AdminOf, ana: Member, name: str, length: int
) -> None:
    with_csrf = admin_of(ana)
    with_csrf.handler.enforce_csrf_checks = True

    answer = sent_to(with_csrf, name, length=length)

    assert answer.status_code == 413
    assert "Go back, and send less" in answer.content.decode()


@pytest.mark.django_db
def test_S59_a_file_is_taken_from_nobody_who_is_not_signed_in() -> None:
    answer = sent_to(Client(enforce_csrf_checks=True), IMPORT, length=LARGE)

    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("admin:login"))


@pytest.mark.django_db
def test_a_file_that_is_imported_may_be_larger(admin_of: AdminOf, ana: Member) -> None:
    rows = "phone\n" + "".join(f"+57300{n:07}\n" for n in range(30_000))
    file = SimpleUploadedFile("contacts.csv", rows.encode(), "text/csv")

    answer = admin_of(ana).post(reverse(IMPORT), {"file": file, "mode": "ADD"})

    assert len(rows) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE
    assert answer.status_code in {200, 302}


@pytest.mark.django_db
def test_a_body_without_its_length_is_not_read(admin_of: AdminOf, ana: Member) -> None:
    client = admin_of(ana)
    client.handler.enforce_csrf_checks = True

    assert sent_to(client, "admin:contacts_contact_changelist", length=0).status_code == 403

"""What every request passes: NUL refused, proxies believed only when named, one content policy."""

import ipaddress
from collections.abc import Callable
from typing import Any, Final

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.views import redirect_to_login
from django.db import InterfaceError, InternalError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.translation import gettext as _

from config import api_errors
from config.pulse import pulse
from contacts.imports import limits

Next = Callable[[HttpRequest], HttpResponseBase]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
DOCS_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self'; connect-src 'self'; frame-ancestors 'none'"
)
# unfold's build of Alpine evaluates expressions of its own templates, and sets styles inline.
ADMIN_POLICY: Final = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)


class RefuseNul:
    """Answers 400 to a NUL in the path or the query: PostgreSQL refuses it as text, with a 500."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if "\0" in request.path or "%00" in request.META.get("QUERY_STRING", ""):
            return api_errors.bad_request(request)
        return self.get_response(request)


class TrustedProxies:
    """Takes `X-Forwarded-*` from the proxies of TRUSTED_PROXIES, and from nobody else."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response
        self.trusted = [
            ipaddress.ip_network(name, strict=False) for name in settings.TRUSTED_PROXIES
        ]

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        # Nearest first: the header grows at its end, and whoever is beyond a stranger is hearsay.
        told = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")]
        address = request.META.get("REMOTE_ADDR", "")
        if not self._trusts(address):
            request.META.pop("HTTP_X_FORWARDED_PROTO", None)
            request.META.pop("HTTP_X_FORWARDED_HOST", None)
            return self.get_response(request)
        while self._trusts(address) and told:
            nearer = told.pop()
            if not _is_address(nearer):
                break
            address = nearer
        request.META["REMOTE_ADDR"] = address
        return self.get_response(request)

    def _trusts(self, address: str) -> bool:
        # A request over a unix socket has no address: whoever may open the socket is trusted.
        return bool(self.trusted) and (not address or _is_of(address, self.trusted))


class AdminAddresses:
    """Shows the admin to the addresses of ADMIN_ADDRESSES alone, where any are named.

    Stands behind `TrustedProxies`, which says whose request it is. For others there is no such page, and
    nothing that leads to it: what is answered to them is what any unknown address answers.
    """

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response
        self.own = [ipaddress.ip_network(name, strict=False) for name in settings.ADMIN_ADDRESSES]

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if self.own and not _is_of(request.META.get("REMOTE_ADDR", ""), self.own):
            request.urlconf = "config.outside_urls"
        return self.get_response(request)


def _is_of(address: str, networks: list[Network]) -> bool:
    if not _is_address(address):
        return False
    own = ipaddress.ip_address(address)
    # A server that listens to both protocols tells an IPv4 client as ::ffff:192.0.2.1.
    own = getattr(own, "ipv4_mapped", None) or own
    return any(own in network for network in networks)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


class ContentSecurityPolicy:
    """Gives every page the narrowest policy it works under; nothing loads from other hosts."""

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        if isinstance(response, HttpResponse) and "Content-Security-Policy" in response:
            return response
        if request.path == "/api/docs":
            response["Content-Security-Policy"] = DOCS_POLICY
        elif api_errors.is_api(request):
            response["Content-Security-Policy"] = API_POLICY
        else:
            response["Content-Security-Policy"] = ADMIN_POLICY
        return response


class LimitBodies:
    """Refuses a page's form that is larger than it can be, before the CSRF check reads all of it.

    Django bounds the fields of a form, and not its files: it would write whatever comes to the disk,
    of whoever sends it. Files go where contacts are imported, and come from who is signed in. Views
    that are exempt from the check bound their bodies themselves. A body without its length is
    empty to Django, so nothing of it is read.
    """

    WITH_FILES: Final = frozenset(
        {"admin:contacts_importjob_upload", "admin:contacts_importjob_columns"}
    )

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, _args: Any, _kwargs: Any
    ) -> HttpResponse | None:
        written = request.META.get("CONTENT_LENGTH") or "0"
        length = int(written) if written.isdecimal() else 0
        if length <= settings.DATA_UPLOAD_MAX_MEMORY_SIZE or getattr(view, "csrf_exempt", False):
            return None
        match = request.resolver_match
        takes_files = match is not None and match.view_name in self.WITH_FILES
        largest = limits.LARGEST_FILE if takes_files else settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if length > largest + limits.AROUND:
            return HttpResponse(
                _("This is larger than %(size)d kB. Go back, and send less at once.")
                % {"size": largest // 1024},
                status=413,
                content_type="text/plain; charset=utf-8",
            )
        if SESSION_KEY not in request.session:
            return redirect_to_login(request.get_full_path())
        return None


class DatabaseAway:
    """Answers 503 at once while PostgreSQL says nothing, and a page in words where it failed below one.

    Probes are let through: they tell of it. What fails below an API view is answered by `api_errors`.
    """

    PROBES: Final = frozenset({"/healthz", "/readyz"})

    def __init__(self, get_response: Next) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if pulse.is_silent and request.path not in self.PROBES:
            return api_errors.unavailable(request)
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        if isinstance(error, OperationalError | InterfaceError | InternalError):
            api_errors.tell_unavailable(error)
            return api_errors.unavailable(request)
        return None

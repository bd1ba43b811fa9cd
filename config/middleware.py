"""What every request passes: NUL refused, proxies believed only when named, one content policy."""

import ipaddress
from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.db import InterfaceError, InternalError, OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from config import api_errors
from config.pulse import pulse

Next = Callable[[HttpRequest], HttpResponseBase]

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
        return bool(self.trusted) and (
            not address
            or (
                _is_address(address)
                and any(ipaddress.ip_address(address) in network for network in self.trusted)
            )
        )


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

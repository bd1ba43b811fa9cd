"""Every error the API can answer, on one screen: what went wrong in the domain → status and code."""

import logging
import time
from http import HTTPStatus
from math import inf
from typing import Any, Final

from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import DatabaseError, InterfaceError, InternalError, OperationalError
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.renderers import JSONRenderer
from rest_framework.response import Response
from rest_framework.views import set_rollback

from accounts import api_keys, authentication, roles, sessions, terms
from accounts.doors import parsers
from accounts.doors.fields import written
from accounts.doors.schema import phrase
from billing import caps, ledger
from contacts import directory, suppressions, tags
from contacts.imports import jobs as imports
from contacts.imports import limits, mapping
from messaging import (
    broadcasts,
    confirmations,
    idempotency,
    orders,
    run_control,
    webhooks,
)
from messaging.providers.callbacks import InvalidReport

log = logging.getLogger(__name__)

# The first row that fits the exception counts, so a subclass stands before its parent.
TABLE: Final[dict[type[Exception], tuple[int, str]]] = {
    sessions.WrongCredentials: (401, "1001"),
    exceptions.NotAuthenticated: (401, "1002"),
    sessions.TokenExpired: (401, "1009"),
    sessions.InvalidToken: (401, "1008"),
    api_keys.InvalidKey: (401, "1008"),
    authentication.TwoCredentials: (401, "1008"),
    exceptions.AuthenticationFailed: (401, "1008"),
    roles.RoleMissing: (403, "1003"),
    webhooks.NotSigned: (403, "1003"),
    exceptions.PermissionDenied: (403, "1003"),
    PermissionDenied: (403, "1003"),
    terms.TermsNotAccepted: (403, "1022"),
    terms.TermsAlreadyAccepted: (409, "1021"),
    terms.UnknownTerms: (400, "4000"),
    sessions.TooManyAttempts: (429, "4029"),
    exceptions.Throttled: (429, "4029"),
    parsers.BodyTooLarge: (413, "4042"),
    RequestDataTooBig: (413, "4042"),
    exceptions.UnsupportedMediaType: (415, "4041"),
    exceptions.MethodNotAllowed: (405, "4040"),
    directory.ContactNotFound: (404, "2000"),
    directory.DuplicatePhone: (409, "2003"),
    directory.InvalidPhone: (400, "2004"),
    suppressions.InvalidRecipient: (400, "2004"),
    tags.TagNotFound: (404, "1005"),
    tags.TagNameTaken: (400, "4000"),
    limits.FormatNotRead: (400, "2011"),
    limits.FileTooLarge: (400, "2012"),
    mapping.MappingNotUsable: (400, "2013"),
    imports.ImportRunning: (409, "2014"),
    imports.ImportsBusy: (503, "4090"),
    exceptions.NotFound: (404, "1005"),
    Http404: (404, "1005"),
    orders.TextNotAllowed: (400, "4000"),
    orders.MomentNotAllowed: (400, "4000"),
    orders.KindNotCarried: (400, "4001"),
    orders.CountryNotAllowed: (400, "4002"),
    orders.TextTooLong: (400, "4003"),
    orders.AudienceTooLarge: (400, "4004"),
    idempotency.InvalidKey: (400, "4000"),
    idempotency.KeyStillRunning: (409, "4010"),
    idempotency.KeyUsedForAnother: (422, "4011"),
    idempotency.SentJustNow: (409, "4014"),
    confirmations.ConfirmationVoid: (409, "4012"),
    run_control.StateDoesNotAllow: (409, "4013"),
    ledger.InsufficientCredits: (402, "3001"),
    caps.SpendingCapReached: (402, "4020"),
    orders.ContactsKeepChanging: (503, "4090"),
    broadcasts.AcceptanceUnknown: (503, "4090"),
    InvalidReport: (400, "4000"),
    exceptions.ParseError: (400, "4000"),
    exceptions.ValidationError: (400, "4000"),
    OperationalError: (503, "4090"),
    InterfaceError: (503, "4090"),
    InternalError: (503, "4090"),  # a database that only reads, as after a failover
}

_UNAVAILABLE: Final = gettext_lazy(
    "The service cannot reach its database right now. Try again in a few seconds."
)
RETRY_AFTER: Final = 5  # seconds, where nobody knows better

_told_at: Final[dict[str, float]] = {}  # the last reason for a 503 that was logged

# Where a library's own words do not say what to do next.
MESSAGES: Final[dict[type[Exception], Any]] = {
    exceptions.NotAuthenticated: gettext_lazy(
        "Sign in first, and send the access token as: Authorization: Bearer <token>. "
        "A program sends its key as: api-key: <key>."
    ),
    exceptions.MethodNotAllowed: gettext_lazy(
        "This address does not take this method. /api/docs lists the methods of each."
    ),
    exceptions.UnsupportedMediaType: gettext_lazy(
        "Send JSON, and say so with the header: Content-Type: application/json."
    ),
    Http404: gettext_lazy("There is no such thing here. Check the address and the id."),
    exceptions.NotFound: gettext_lazy("There is no such thing here. Check the address and the id."),
    exceptions.PermissionDenied: gettext_lazy("This is not allowed."),
    PermissionDenied: gettext_lazy("This is not allowed."),
    OperationalError: _UNAVAILABLE,
    InterfaceError: _UNAVAILABLE,
    InternalError: _UNAVAILABLE,
}

# Which field of the request a domain error is about.
FIELDS: Final[dict[type[Exception], str]] = {
    orders.TextNotAllowed: "message",
    orders.TextTooLong: "message",
    orders.KindNotCarried: "type",
    orders.CountryNotAllowed: "country",
    orders.MomentNotAllowed: "scheduledAt",
    directory.InvalidPhone: "phone",
    suppressions.InvalidRecipient: "recipient",
    tags.TagNameTaken: "name",
    limits.FormatNotRead: "file",
    limits.FileTooLarge: "file",
    mapping.MappingNotUsable: "fieldMapping",
}


def answer(error: Exception, context: dict[str, Any]) -> Response | None:
    """Return the contract's error body for what a view raised; None for a defect, which is logged."""
    found = next(((kind, row) for kind, row in TABLE.items() if isinstance(error, kind)), None)
    if found is None:
        return None  # Django logs it with its trace and calls `server_error`
    kind, (status, code) = found
    set_rollback()
    message: str | list[str] = str(MESSAGES[kind] if _says_nothing(error, kind) else error)
    extras: dict[str, Any] = {}
    if isinstance(error, exceptions.ValidationError):
        fields = _fields(error.detail)
        message = [
            f"{name}: {text}" if name else text for name, texts in fields.items() for text in texts
        ]
        code = _own_code(error) or code
        extras["fields"] = {name: texts for name, texts in fields.items() if name}
    elif kind in FIELDS:
        extras["fields"] = {FIELDS[kind]: [message]}
    elif isinstance(error, ledger.InsufficientCredits):
        extras = {
            "required": error.required,
            "available": error.available,
            "shortfall": error.shortfall,
        }
    elif isinstance(error, caps.SpendingCapReached):
        extras = {"resetsAt": error.resets_at and written(error.resets_at)}
    elif isinstance(error, DatabaseError | InterfaceError):
        tell_unavailable(error)
    response = Response(_body(status, code, message, **extras), status=status)
    _add_headers(response, error, status)
    if (request := context.get("request")) is not None:
        # Whatever the view itself would write: YAML, HTML, CSV.
        request.accepted_renderer, request.accepted_media_type = JSONRenderer(), "application/json"
    return response


def tell_unavailable(error: Exception) -> None:
    """Log why, in the words of libpq or the server: they name host, role and database, and no password.

    An outage meets every request: the same reason is told once a second.
    """
    because, now = str(error).partition("\n")[0], time.monotonic()
    if now - _told_at.get(because, -inf) >= 1:
        _told_at.clear()
        _told_at[because] = now
        log.warning(
            "database_unavailable", extra={"error": type(error).__name__, "because": because}
        )


def _says_nothing(error: Exception, kind: type[Exception]) -> bool:
    """Return whether the words are a library's own, or none, where we have better ones."""
    if kind not in MESSAGES:
        return False
    stock = (
        exceptions.NotAuthenticated,
        exceptions.MethodNotAllowed,
        DatabaseError,
        InterfaceError,
    )
    return (
        isinstance(error, stock)
        or not str(error)
        or str(error) == str(getattr(kind, "default_detail", ""))
        or (isinstance(error, Http404) and "matches the given query" in str(error))
        or (isinstance(error, exceptions.UnsupportedMediaType) and "media type" in str(error))
    )


def _add_headers(response: Response, error: Exception, status: int) -> None:
    if status == HTTPStatus.UNAUTHORIZED:
        response["WWW-Authenticate"] = 'Bearer realm="pregon"'
    wait = getattr(error, "wait", None) or getattr(error, "retry_after", None)
    # Whoever does not know whether it was accepted must look, not try again.
    if status == HTTPStatus.SERVICE_UNAVAILABLE and not isinstance(
        error, broadcasts.AcceptanceUnknown
    ):
        wait = wait or RETRY_AFTER
    if wait is not None:
        response["Retry-After"] = str(max(1, round(wait)))


def _body(status: int, code: str, message: str | list[str], **extras: Any) -> dict[str, Any]:
    return {
        "statusCode": status,
        "code": code,
        "message": message,
        "error": phrase(status),
        **extras,
    }


def _fields(detail: Any, name: str = "") -> dict[str, list[str]]:
    """Return the texts of a validation error by field, nested names joined with dots."""
    if isinstance(detail, dict):
        fields: dict[str, list[str]] = {}
        for key, inner in detail.items():
            own = "" if key == "non_field_errors" else str(key)
            fields |= _fields(inner, ".".join(filter(None, [name, own])))
        return fields
    texts = detail if isinstance(detail, list) else [detail]
    return {name: [str(text) for text in texts]}


def _own_code(error: exceptions.ValidationError) -> str:
    """Return the contract's code when every field that is wrong is wrong by that same code."""
    codes = set(_leaves(error.get_codes()))
    only = codes.pop() if len(codes) == 1 else ""
    return only if only.isdigit() else ""


def _leaves(codes: Any) -> list[str]:
    if isinstance(codes, dict):
        return [leaf for inner in codes.values() for leaf in _leaves(inner)]
    if isinstance(codes, list):
        return [leaf for inner in codes for leaf in _leaves(inner)]
    return [str(codes)]


# --- outside the API's views: unknown routes, refused hosts, defects ------------------------------


def is_api(request: HttpRequest) -> bool:
    return request.path == "/api" or request.path.startswith("/api/")


def _json(status: int, code: str, message: str) -> JsonResponse:
    return JsonResponse(_body(status, code, message), status=status)


@csrf_exempt
def unknown_route(_request: HttpRequest) -> HttpResponse:
    """Answer 404 in JSON to whatever under /api no view answers."""
    return _json(404, "1005", _("There is no such address. The list is at /api/docs."))


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if is_api(request):
        return unknown_route(request)
    return defaults.page_not_found(request, exception)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    if is_api(request):
        if isinstance(exception, RequestDataTooBig):
            return _json(413, "4042", _("The request is too large. Send at most 256 kB."))
        return _json(400, "4000", _("The request cannot be read. Check its address and headers."))
    return defaults.bad_request(request, exception or Exception())


def unreadable(*, is_too_long: bool) -> JsonResponse:
    """Answer 400 to what the web server could not read as a request, whatever it was meant for."""
    return _json(
        400,
        "4000",
        _("The address may have 8,000 characters and a header as many. Ask for less at once.")
        if is_too_long
        else _("This is no request of HTTP. Check its first line and its headers."),
    )


def broken() -> JsonResponse:
    """Answer 500 to what broke where no view could say so."""
    return _json(500, "4091", _("Something broke on our side; it was recorded. Try again later."))


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    if is_api(request):
        return _json(403, "1003", _("This is not allowed."))
    return defaults.permission_denied(request, exception)


def unavailable(request: HttpRequest) -> HttpResponse:
    """Answer 503 for a database that is away, in JSON or as a page that asks nothing of it."""
    if is_api(request):
        response: HttpResponse = _json(503, "4090", str(_UNAVAILABLE))
    else:
        page = render_to_string("503.html", {"text": _UNAVAILABLE})
        response = HttpResponse(page, status=503)
    response["Retry-After"] = str(RETRY_AFTER)
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    return broken() if is_api(request) else defaults.server_error(request)

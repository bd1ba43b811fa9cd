"""Reading a request's body: strict JSON of bounded size and depth, and JSON as the answer to anything."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import IO, Any, Final, NoReturn

from django.http import HttpRequest
from django.utils.translation import gettext as _
from rest_framework.exceptions import (
    APIException,
    NotAcceptable,
    ParseError,
    UnsupportedMediaType,
)
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

LARGEST_BODY: Final = 256 * 1024  # bytes
DEEPEST: Final = 32  # objects and lists in one another
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL keeps neither
_UTF_8: Final = frozenset({"", "utf-8", "utf8"})


class BodyTooLarge(APIException):
    """The body is larger than `at_most` bytes, more than such a request needs; it was not read."""

    status_code = 413
    default_code = "body_too_large"

    def __init__(self, at_most: int = LARGEST_BODY) -> None:
        super().__init__(
            _("The body is larger than %(size)d kB. Send less at once.") % {"size": at_most // 1024}
        )


class StrictJSONParser(BaseParser):
    """Reads one JSON object in UTF-8, and refuses whatever two readers could read differently.

    400: not JSON, not an object, a doubled key, NaN or Infinity (also written as 1e999), more than
    32 levels, NUL or half a surrogate pair in any text or key, a byte order mark. 413: over 256 kB.
    415: another content type or character set.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        request: Request = (parser_context or {})["request"]
        charset = (request._request.content_params or {}).get("charset", "")
        if charset.strip().lower() not in _UTF_8:
            raise UnsupportedMediaType(media_type or "", _("Send JSON in UTF-8."))
        return _object(_text(read_body(stream, request)))


def read_body(
    stream: IO[Any] | HttpRequest, request: HttpRequest | Request, *, at_most: int = LARGEST_BODY
) -> bytes:
    """Return the request's body, of which never more than `at_most` bytes are read.

    Raises: BodyTooLarge (413), before anything is read where the request says how long it is.
    """
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdecimal() and int(length) > at_most:
        raise BodyTooLarge(at_most)
    body: bytes = stream.read(
        at_most + 1
    )  # a body may come without its length, or with a wrong one
    if len(body) > at_most:
        raise BodyTooLarge(at_most)
    return body


class AlwaysJSON(DefaultContentNegotiation):
    """Answers what `Accept` asks for where the view can, and in the view's first format where not."""

    def select_renderer(  # type: ignore[override]  # the stubs want a tuple of another kind
        self, request: Request, renderers: list[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        try:
            chosen: tuple[BaseRenderer, str] = super().select_renderer(
                request, renderers, format_suffix
            )
        except NotAcceptable:
            return renderers[0], str(renderers[0].media_type)
        return chosen


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ParseError(_("The body is not UTF-8.")) from error


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(
            text,
            object_pairs_hook=_without_doubled_keys,
            parse_constant=_refuse_constant,
            parse_float=_finite,
        )
    except RecursionError as error:
        raise ParseError(_too_deep()) from error
    except ValueError as error:  # JSONDecodeError is one; so is a number of 5,000 digits
        raise ParseError(_("The body is not valid JSON: %(why)s") % {"why": _why(error)}) from error
    if not isinstance(value, dict):
        raise ParseError(_("The body must be a JSON object, as {…}."))
    _walk(value)
    return value


def _walk(value: object) -> None:
    """Pass when no text or key in the value is unstorable and nothing lies deeper than 32 levels."""
    level: list[object] = [value]
    for _depth in range(DEEPEST + 1):
        inner: list[object] = []
        for one in level:
            if isinstance(one, str):
                if _UNSTORABLE.search(one):
                    raise ParseError(
                        _(
                            "A text contains NUL or half a surrogate pair, which cannot be stored. Remove it."
                        )
                    )
            elif isinstance(one, dict):
                inner += one
                inner += one.values()
            elif isinstance(one, list):
                inner += one
        if not inner:
            return
        level = inner
    raise ParseError(_too_deep())


def _without_doubled_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError(_("a key is given twice"))
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(_("%(name)s is no JSON number") % {"name": name})


def _finite(written: str) -> float:
    number = float(written)
    if not math.isfinite(number):
        raise ValueError(_("a number is too large"))
    return number


def _too_deep() -> str:
    return _("The body is nested deeper than 32 levels.")


def _why(error: ValueError) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} (line {error.lineno}, column {error.colno})"
    return str(error)

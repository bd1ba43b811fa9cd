"""What carriers call us with: the request as it came, and what is read from it."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

from messaging.providers import signing

MAX_BODY: Final = 64 * 1024  # bytes of a form
MAX_JSON_BODY: Final = 256 * 1024  # a hundred reports of 650 bytes are over 64 kB
MAX_FIELDS: Final = 100
MAX_RESULTS: Final = 100  # reports or messages of one callback
MAX_DEPTH: Final = 32  # objects and lists in one another

_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")  # PostgreSQL keeps neither

ReportStatus: TypeAlias = Literal["SENT", "DELIVERED", "UNDELIVERED", "FAILED", ""]


class InvalidReport(Exception):
    """The callback cannot be read; nothing of it was used."""


@dataclass(frozen=True)
class Callback:
    """One request of a carrier, before anybody believed it."""

    url: str  # PUBLIC_URL with path and query, never the Host header: what the carrier signed
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    content_type: str

    def header(self, name: str) -> str:
        """Return a header, whatever case it was sent in, or an empty string."""
        return self._headers.get(name.lower(), "")

    @property
    def is_form(self) -> bool:
        """Return whether the body says that it is form-encoded."""
        return self.content_type.partition(";")[0].strip().lower() == (
            "application/x-www-form-urlencoded"
        )

    @property
    def is_json(self) -> bool:
        """Return whether the body says that it is JSON."""
        return self.content_type.partition(";")[0].strip().lower() == "application/json"

    @cached_property
    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The names and values of a form-encoded body, in the order in which they came.

        Raises: InvalidReport when it is no form, has over 64 kB or 100 fields, a NUL or bad UTF-8.
        """
        if not self.is_form:
            raise InvalidReport("The body is not form-encoded.")
        if len(self.body) > MAX_BODY:
            raise InvalidReport("The body is over 64 kB.")
        try:
            found = parse_qsl(
                self.body.decode(),
                keep_blank_values=True,
                errors="strict",
                max_num_fields=MAX_FIELDS,
            )
        except ValueError as error:  # bad UTF-8 is one too
            raise InvalidReport("The form has over 100 fields or is not UTF-8.") from error
        if any("\x00" in name or "\x00" in value for name, value in found):
            raise InvalidReport("The form holds a NUL character.")
        return tuple(found)

    @cached_property
    def form(self) -> Mapping[str, str]:
        """The fields of a form-encoded body, each with its one value.

        Raises: InvalidReport as `pairs` does, and for a field that is an array or has two values.
        """
        fields: dict[str, str] = {}
        for name, value in self.pairs:
            if "[" in name or fields.get(name, value) != value:
                raise InvalidReport("A field of the form has more than one value.")
            fields[name] = value
        return fields

    @cached_property
    def json(self) -> object:
        """The JSON of the body, of whatever shape, fit to be stored.

        Raises: InvalidReport when it is no JSON, has over 256 kB or 32 levels, NaN, a NUL or half a
        surrogate pair.
        """
        if not self.is_json:
            raise InvalidReport("The body is not JSON.")
        if len(self.body) > MAX_JSON_BODY:
            raise InvalidReport("The body is over 256 kB.")
        try:
            payload = json.loads(self.body.decode())
        except (ValueError, RecursionError) as error:  # bad UTF-8 is a ValueError too
            raise InvalidReport("The body is not JSON in UTF-8.") from error
        _require_storable(payload)
        return payload

    @cached_property
    def results(self) -> tuple[Mapping[str, object], ...]:
        """The objects of the list `results` in a JSON body, as many carriers send them.

        Raises: InvalidReport as `json` does, and for another shape or over 100 results.
        """
        payload = self.json
        found = payload.get("results") if isinstance(payload, dict) else None
        if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
            raise InvalidReport("The body has no list `results` of objects.")
        if len(found) > MAX_RESULTS:
            raise InvalidReport(f"The body has over {MAX_RESULTS} results.")
        return tuple(found)

    @cached_property
    def message_id(self) -> UUID | None:
        """Our message that the URL names, or nothing where we did not sign it ourselves."""
        try:
            query = dict(parse_qsl(urlsplit(self.url).query, max_num_fields=MAX_FIELDS))
            message_id = UUID(hex=query.get("m", ""))
        except ValueError:
            return None
        return message_id if signing.verify(message_id, query.get("s", "")) else None

    @cached_property
    def _headers(self) -> dict[str, str]:
        return {name.lower(): value for name, value in self.headers.items()}


@dataclass(frozen=True, slots=True)
class Report:
    """What a carrier says of one message, in our words, its own kept beside them."""

    provider_message_id: str
    status: ReportStatus  # "": known, but it moves nothing, as "queued"; also a word we do not know
    code: str = ""
    raw: Mapping[str, object] = field(default_factory=dict, repr=False)  # fit for JSON
    message_id: UUID | None = None  # ours, from the signed address or the authenticated body
    reason: str = ""  # what the code means, in words for people
    opts_out: bool = False  # the recipient asked the carrier not to be written to any more


@dataclass(frozen=True, slots=True)
class Inbound:
    """What somebody wrote to one of our numbers, as the carrier tells it."""

    provider_message_id: str
    sender: str = field(repr=False)  # E.164 where the carrier names a number: the person's
    recipient: str = field(repr=False)  # our number or short code that was written to
    text: str = field(repr=False)
    raw: Mapping[str, object] = field(repr=False)  # fit for JSON
    keyword: str = ""  # STOP, START or HELP, where the carrier itself took it for one


def _require_storable(payload: object) -> None:
    level = [payload]
    for _ in range(MAX_DEPTH + 1):
        inner: list[object] = []
        for one in level:
            if isinstance(one, str) and _UNSTORABLE.search(one):
                raise InvalidReport("The body holds a NUL or half a surrogate pair.")
            if isinstance(one, float) and not math.isfinite(one):  # NaN, 1e999
                raise InvalidReport("The body holds a number that is none.")
            if isinstance(one, dict):
                inner += [*one, *one.values()]
            elif isinstance(one, list):
                inner += one
        if not inner:
            return
        level = inner
    raise InvalidReport(f"The body has over {MAX_DEPTH} levels.")

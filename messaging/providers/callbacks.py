"""What carriers call us with: the request as it came, and the delivery reports read from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

from messaging.providers import signing

MAX_BODY: Final = 64 * 1024  # bytes
MAX_FIELDS: Final = 100

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
    raw: Mapping[str, str] = field(default_factory=dict, repr=False)
    message_id: UUID | None = None  # ours, from the signed callback URL
    reason: str = ""  # what the code means, in words for people
    opts_out: bool = False  # the recipient asked the carrier not to be written to any more

"""Provider URLs: one line of SMS_PROVIDERS, read without ever repeating its secrets."""

import base64
import ipaddress
import math
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from django.views.decorators.debug import sensitive_variables
from yarl import URL

from contacts import phone_numbers

_SENDER: Final = re.compile(
    r"\+?[0-9]{3,15}|(?=.*[A-Za-z])[A-Za-z0-9 _&.-]{1,11}"  # a name has a letter
)


class InvalidProviderURL(ValueError):
    """A provider URL is not usable; the message says why and holds no part of a secret."""


@dataclass(frozen=True, slots=True)
class Credential:
    """Who we are at a provider. Neither token is ever shown."""

    account: str
    token: str = field(default="", repr=False)
    previous_token: str = field(default="", repr=False)  # still signs callbacks during a rotation

    @property
    def tokens(self) -> tuple[str, ...]:
        """Return the tokens a callback may be signed with, the current one first."""
        return tuple(token for token in (self.token, self.previous_token) if token)

    @property
    def basic_login(self) -> str:
        """Return the Authorization header of a carrier that takes account and token (RFC 7617)."""
        login = f"{self.account}:{self.token}".encode()
        return f"Basic {base64.b64encode(login).decode()}"


@dataclass(frozen=True, slots=True)
class Capacity:
    """How much may be handed to one credential, and where to."""

    concurrency: int = 50  # requests under way at once, for each lane
    rate: float | None = None  # messages a second over all workers
    weight: int = 1  # its share of the messages that others of the same kind and country carry too
    countries: frozenset[str] = frozenset()  # ISO 3166 codes; none is everywhere


@dataclass(slots=True, repr=False)
class ProviderURL:
    """The parts of one URL: `twilio://ACCOUNT:TOKEN@api.twilio.com?from=%2B15005550006&rate=100`.

    Each part is taken by name; `require_nothing_left` then names what nobody wanted.
    """

    scheme: str
    account: str
    token: str
    host: str
    port: int | None
    production: bool
    _options: dict[str, str]

    @classmethod
    @sensitive_variables()
    def parse(cls, text: str, *, production: bool) -> "ProviderURL":
        """Return the parts.

        Raises: InvalidProviderURL, without the exception that caused it: that one repeats the text.
        """
        try:
            parts = urlsplit(text)
            pairs = parse_qsl(parts.query, keep_blank_values=True, errors="strict")
            port = parts.port
            host = unquote(parts.hostname or "")
        except ValueError:
            raise InvalidProviderURL(
                "it cannot be read as a URL; percent-encode the special characters of the token"
            ) from None
        if not parts.scheme or "://" not in text:
            raise InvalidProviderURL("it does not begin with the name of a provider and ://")
        if parts.path not in {"", "/"} or parts.fragment:
            raise InvalidProviderURL(
                "something stands between host and options; percent-encode / and # in the token"
            )
        names = [name for name, _ in pairs]
        if len(names) != len(set(names)):
            raise InvalidProviderURL("an option is given twice")
        return cls(
            scheme=parts.scheme,
            account=unquote(parts.username or ""),
            token=unquote(parts.password or ""),
            host=host,
            port=port,
            production=production,
            _options=dict(pairs),
        )

    def option(self, name: str) -> str:
        """Take a text option; empty when it is not given."""
        return self._options.pop(name, "").strip()

    def sender(self) -> str:
        """Take `from`: a number, with its + or without, a short code, or a name.

        Raises: InvalidProviderURL.
        """
        sender = self.option("from")
        if not _SENDER.fullmatch(sender):
            raise InvalidProviderURL(
                "it needs a sender: `from`, a number (write + as %2B), a short code or a name of "
                "at most 11 characters"
            )
        return sender

    def capacity(self) -> Capacity:
        """Take `concurrency`, `rate`, `weight` and `countries`.

        Raises: InvalidProviderURL.
        """
        return Capacity(
            concurrency=self._whole_number("concurrency", Capacity().concurrency),
            rate=self._positive_number("rate"),
            weight=self._whole_number("weight", Capacity().weight),
            countries=self._countries(),
        )

    def base_url(self, hosts: re.Pattern[str]) -> URL:
        """Take the address to call: `base_url`, or https at the URL's own host.

        Only a host of the provider's is called, over https; outside production also this machine.

        Raises: InvalidProviderURL.
        """
        text = self.option("base_url")
        try:
            address = URL(text or f"https://{self.host}")
            address = address if text else address.with_port(self.port)
        except ValueError:
            raise InvalidProviderURL("the host or `base_url` is no address") from None
        if not address.is_absolute() or address.user or address.password or address.query_string:
            raise InvalidProviderURL("`base_url` must be scheme, host and port alone")
        known = address.scheme == "https" and hosts.fullmatch(address.host or "")
        local = is_this_machine(address.host or "") and not self.production
        if address.scheme not in {"http", "https"} or not (known or local):
            raise InvalidProviderURL(
                "its host is not one of the provider's; a server on this machine "
                "(http://127.0.0.1:…) may stand in for it outside production only"
            )
        return address.origin()

    def require_nothing_left(self) -> None:
        """Refuse options nobody took: a misspelt `rate` would otherwise send without a limit.

        Raises: InvalidProviderURL naming them, not their values.
        """
        if self._options:
            names = ", ".join(sorted(name[:30] for name in self._options))
            raise InvalidProviderURL(f"it has options this provider does not know: {names}")

    def _countries(self) -> frozenset[str]:
        codes = [code.strip() for code in self.option("countries").split(",") if code.strip()]
        if not all(_is_country(code) for code in codes):
            raise InvalidProviderURL(
                "`countries` must be two-letter codes of countries with phone numbers, in upper "
                "case and with commas between: CO,MX"
            )
        return frozenset(codes)

    def _whole_number(self, name: str, default: int) -> int:
        text = self.option(name)
        if text and not re.fullmatch(r"[1-9][0-9]{0,5}", text):
            raise InvalidProviderURL(f"`{name}` must be a whole number from 1 to 999999")
        return int(text) if text else default

    def _positive_number(self, name: str) -> float | None:
        text = self.option(name)
        if not text:
            return None
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not 0 < number < math.inf:
            raise InvalidProviderURL(f"`{name}` must be a number above 0")
        return number


def _is_country(code: str) -> bool:
    try:
        return phone_numbers.country_of(code) == code
    except phone_numbers.UnsupportedCountry:
        return False


def is_this_machine(host: str) -> bool:
    """Return whether a host name or address is the loopback of this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

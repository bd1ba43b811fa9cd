"""Which providers this installation has, and which one carries a message."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from messaging.providers.base import InvalidProviderURL, Provider, ProviderURL
from messaging.providers.console import Console
from messaging.providers.infobip import Infobip
from messaging.providers.memory import Memory
from messaging.providers.twilio import Twilio
from messaging.providers.vonage import Vonage

PROVIDERS: Final[dict[str, type[Provider]]] = {
    provider.slug: provider for provider in (Twilio, Infobip, Vonage, Console, Memory)
}


class NoProvider(LookupError):
    """No configured provider carries this message; it was not handed to any."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a text may be at most. None is no limit."""

    max_characters: int | None  # UTF-16 code units
    max_segments: int | None


def configured() -> list[Provider]:
    """Return the providers of SMS_PROVIDERS, in its order; the same objects every time.

    Raises: InvalidProviderURL saying which entry is wrong and why, without any of its secrets.
    """
    return list(_built(tuple(settings.SMS_PROVIDERS), settings.PRODUCTION))


def by_slug(slug: str) -> list[Provider]:
    """Return the credentials at one carrier: a callback may be signed by any of them."""
    return [provider for provider in configured() if provider.slug == slug]


def by_name(name: str) -> Provider | None:
    """Return the provider of this `slug:account`, if it still stands in SMS_PROVIDERS."""
    return next((provider for provider in configured() if provider.name == name), None)


def candidates(*, kind: str, country: str = "") -> list[Provider]:
    """Return the providers that carry this kind to this country, in the order of SMS_PROVIDERS.

    Raises: NoProvider when none does.
    """
    carriers = [provider for provider in configured() if provider.carries(kind, country)]
    if not carriers:
        where = f" to {country}" if country else ""
        raise NoProvider(f"No provider of SMS_PROVIDERS carries {kind}{where}.")
    return carriers


def countries(kind: str) -> frozenset[str] | None:
    """Return the countries that messages of this kind may go to. None is everywhere.

    Raises: NoProvider when none carries the kind.
    """
    carriers = candidates(kind=kind)
    if any(not provider.countries for provider in carriers):
        return None
    return frozenset().union(*(provider.countries for provider in carriers))


def limits(kind: str) -> Limits:
    """Return what every provider that may carry this kind allows.

    Raises: NoProvider when none carries it.
    """
    carriers = candidates(kind=kind)
    return Limits(
        max_characters=_smallest([provider.max_characters for provider in carriers]),
        max_segments=_smallest([provider.max_segments for provider in carriers]),
    )


def _smallest(numbers: Sequence[int | None]) -> int | None:
    return min((number for number in numbers if number is not None), default=None)


@lru_cache(maxsize=8)
@sensitive_variables("urls", "url", "text", "error")
def _built(urls: tuple[str, ...], production: bool) -> tuple[Provider, ...]:  # noqa: FBT001 - part of the cache's key
    providers: dict[str, Provider] = {}
    for number, text in enumerate(urls, start=1):
        try:
            provider = _provider(text, production=production, taken=providers)
        except InvalidProviderURL as error:
            raise InvalidProviderURL(f"SMS_PROVIDERS, entry {number}: {error}.") from error
        providers[provider.name] = provider
    return tuple(providers.values())


@sensitive_variables()
def _provider(text: str, *, production: bool, taken: Collection[str]) -> Provider:
    url = ProviderURL.parse(text, production=production)
    if url.scheme not in PROVIDERS:
        # The unknown name is not repeated: in a mangled entry it may be part of a token.
        raise InvalidProviderURL(f"no such provider; there are {', '.join(sorted(PROVIDERS))}")
    provider = PROVIDERS[url.scheme].from_url(url)
    url.require_nothing_left()
    if provider.name in taken:
        raise InvalidProviderURL("its account stands in an earlier entry already")
    return provider

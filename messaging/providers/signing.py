"""Our own mark in a callback URL: which message or account it is about, and that we wrote it.

A carrier repeats the URL that it was given, so its reports match a message even when its answer to
our request, and with it the carrier's own id, was lost.

A carrier that signs nothing is given a URL with a token instead: whoever calls it was told by us.
"""

import base64
import hashlib
import hmac
from functools import lru_cache
from typing import Final, Literal, TypeAlias
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

from django.conf import settings

Door: TypeAlias = Literal["reports", "inbound"]

_PURPOSE: Final = b"pregon.messaging.providers.callback"
_DOOR_PURPOSE: Final = b"pregon.messaging.providers.door"
_TOKEN: Final = "callback_token"  # noqa: S105 - a parameter's name, which the log hides by its word
_LENGTH: Final = 20  # bytes of the HMAC that are kept: 160 bits, 27 characters


def sign(message_id: UUID) -> str:
    """Return the signature of a message id under the current SECRET_KEY, fit for a URL."""
    return _signature(settings.SECRET_KEY, message_id)


def verify(message_id: UUID, signature: str) -> bool:
    """Return whether we signed this id, under SECRET_KEY or one of SECRET_KEY_FALLBACKS.

    The fallbacks matter: without them a new key would orphan every report still on its way.
    """
    given = signature.encode(errors="replace")
    # No short cut out of the loop: the time taken tells nothing about which key fits.
    fits = [
        hmac.compare_digest(_signature(secret, message_id).encode(), given)
        for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    ]
    return any(fits)


def callback_url(provider_slug: str, message_id: UUID) -> str:
    """Return the address a carrier reports to about this message."""
    return f"{door(provider_slug, 'reports')}?m={message_id.hex}&s={sign(message_id)}"


def door(provider_slug: str, name: Door) -> str:
    """Return the address at which carriers of this kind call us, as it stands without a token."""
    return f"{settings.PUBLIC_URL}/api/providers/{provider_slug}/{name}"


def door_with_token(provider_slug: str, name: Door, provider_name: str) -> str:
    """Return the same address with a token for one account at the carrier: for its eyes alone."""
    token = _mac(_derived(settings.SECRET_KEY, _DOOR_PURPOSE), _door_of(name, provider_name))
    return f"{door(provider_slug, name)}?{_TOKEN}={token}"


def has_token(url: str, provider_name: str) -> bool:
    """Return whether the URL carries the token that this account was given for its very door.

    Under SECRET_KEY or one of SECRET_KEY_FALLBACKS, as with `verify`.
    """
    try:
        parts = urlsplit(url)
        given = dict(parse_qsl(parts.query)).get(_TOKEN, "").encode(errors="replace")
    except ValueError:
        return False
    signed = _door_of(parts.path.rpartition("/")[2], provider_name)
    fits = [
        hmac.compare_digest(_mac(_derived(secret, _DOOR_PURPOSE), signed).encode(), given)
        for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    ]
    return any(fits)


def _door_of(name: str, provider_name: str) -> bytes:
    return f"{name} {provider_name}".encode(errors="replace")


def _signature(secret: str | bytes, message_id: UUID) -> str:
    return _mac(_derived(secret, _PURPOSE), message_id.bytes)


def _mac(key: bytes, signed: bytes) -> str:
    mac = hmac.digest(key, signed, "sha256")[:_LENGTH]
    return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


@lru_cache(maxsize=16)
def _derived(secret: str | bytes, purpose: bytes) -> bytes:
    """Return a key for this purpose alone, so that no other signature of the site fits here."""
    key = secret if isinstance(secret, bytes) else secret.encode()
    return hmac.digest(hashlib.sha256(key).digest(), purpose, "sha256")

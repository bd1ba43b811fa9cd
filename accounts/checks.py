"""Checks at start: what would make sign-in or its limits weaker than they look."""

from __future__ import annotations

from typing import Any, Final

from django.apps import apps
from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured

from accounts import rate_limits

_SHORTEST_KEY: Final = 32  # bytes; HS256 is no stronger than its key (RFC 7518, 3.2)
_BLACKLIST: Final = "rest_framework_simplejwt.token_blacklist"


@checks.register(checks.Tags.security)
def check_rate_limit(**_options: Any) -> list[checks.CheckMessage]:
    try:
        rate_limits.Limit.read(settings.RATE_LIMIT)
    except ImproperlyConfigured as error:
        return [
            checks.Error(
                str(error), hint="Set RATE_LIMIT as 100/min, or to off.", id="accounts.E001"
            )
        ]
    return []


@checks.register(checks.Tags.security)
def check_signing_key(**_options: Any) -> list[checks.CheckMessage]:
    key = str(settings.SIMPLE_JWT.get("SIGNING_KEY") or "")
    hint = 'python -c "import secrets; print(secrets.token_urlsafe(64))" prints a good one.'
    errors: list[checks.CheckMessage] = []
    if len(key.encode()) < _SHORTEST_KEY:
        errors.append(
            checks.Error("JWT_SIGNING_KEY is shorter than 32 bytes.", hint=hint, id="accounts.E002")
        )
    if key == settings.SECRET_KEY:
        errors.append(
            checks.Error(
                "JWT_SIGNING_KEY equals SECRET_KEY: whoever learns one could make the other's tokens.",
                hint=f"Give them different values. {hint}",
                id="accounts.E003",
            )
        )
    return errors


@checks.register(checks.Tags.security)
def check_blacklist(**_options: Any) -> list[checks.CheckMessage]:
    if apps.is_installed(_BLACKLIST):
        return []
    return [
        checks.Error(
            "Refresh tokens are not remembered, so none can be revoked.",
            hint=f"Put {_BLACKLIST!r} back into INSTALLED_APPS.",
            id="accounts.E004",
        )
    ]

"""What must be right before anything is sent, checked at start-up, each with what to do about it."""

from collections.abc import Sequence
from typing import Any, Final

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register  # noqa: A004 - its name
from django.db import connections

from messaging import providers
from messaging.providers.base import InvalidProviderURL

_DURABLE: Final = {
    "fsync": "Set fsync = on in postgresql.conf.",
    "synchronous_commit": "A pooler drops what we ask for as a session begins: set synchronous_commit = on"
    " for the role or the database.",
}
OLDEST_POSTGRESQL = 18  # keys are made by its uuidv7(), results told apart by RETURNING old


@register(Tags.database)
def check_postgresql(
    databases: Sequence[str] | None = None,
    **kwargs: Any,  # noqa: ARG001 - Django's signature
) -> list[CheckMessage]:
    """Find a PostgreSQL that is too old, before a migration dies of a function that it lacks."""
    return [
        Error(
            f"PostgreSQL {version // 10_000} is too old: {OLDEST_POSTGRESQL} or newer is needed.",
            hint="Point DATABASE_URL at a newer server, or leave it out to use the embedded one.",
            id="messaging.E004",
        )
        for name in databases or ()
        if (version := connections[name].pg_version) < OLDEST_POSTGRESQL * 10_000  # type: ignore[attr-defined]  # PostgreSQL's own
    ]


@register(Tags.database)
def check_durability(
    databases: Sequence[str] | None = None,
    **kwargs: Any,  # noqa: ARG001 - Django's signature
) -> list[CheckMessage]:
    """Find a PostgreSQL that forgets what it committed when it crashes: whom it wrote to, for one."""
    if not settings.PRODUCTION:  # throw-away servers of tests are faster so
        return []
    return [
        Warning(
            f"PostgreSQL runs with {setting} off: after a crash of its machine, messages that were handed"
            " over may be handed over again.",
            hint=_DURABLE[setting],
            id="messaging.W001",
        )
        for name in databases or ()
        for setting in _DURABLE
        if _shown(name, setting) == "off"
    ]


def _shown(database: str, setting: str) -> str:
    with connections[database].cursor() as cursor:
        cursor.execute("SELECT current_setting(%s)", [setting])
        return str(cursor.fetchone()[0])


@register(Tags.compatibility)
def check_providers(
    app_configs: Sequence[AppConfig] | None,  # noqa: ARG001 - Django's signature
    **kwargs: Any,  # noqa: ARG001 - Django's signature
) -> list[CheckMessage]:
    """Find provider URLs that cannot be used, no provider at all, and a simulated one in production."""
    hint = "Set SMS_PROVIDERS as README's settings table shows, as twilio://SID:TOKEN@api.twilio.com?from=…"
    try:
        configured = providers.configured()
    except InvalidProviderURL as error:
        return [Error(str(error), hint=hint, id="messaging.E001")]
    if not configured:
        return [Error("SMS_PROVIDERS names no provider.", hint=hint, id="messaging.E002")]
    return [
        Error(
            f"The provider {provider.name} reaches no phone; production needs a real one.",
            hint=hint,
            id="messaging.E003",
        )
        for provider in configured
        if settings.PRODUCTION and provider.simulated
    ]

"""What must be right before anything is sent, checked at start-up, each with what to do about it."""

from collections.abc import Sequence
from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from messaging import providers
from messaging.providers.base import InvalidProviderURL


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

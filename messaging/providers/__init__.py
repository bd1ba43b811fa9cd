"""The carriers' APIs that messages are handed to. One folder a provider; `base` runs the send."""

from messaging.providers.registry import (
    Limits,
    NoProvider,
    by_name,
    by_slug,
    candidates,
    configured,
    countries,
    limits,
)

__all__ = [
    "Limits",
    "NoProvider",
    "by_name",
    "by_slug",
    "candidates",
    "configured",
    "countries",
    "limits",
]

"""The carriers' APIs that messages are handed to. One folder a provider; `base` runs the send."""

from messaging.providers.registry import (
    Limits,
    NoProvider,
    by_slug,
    choose,
    configured,
    limits,
)

__all__ = ["Limits", "NoProvider", "by_slug", "choose", "configured", "limits"]

"""The admin's pages about what was sent. One file a noun; importing the package registers them all."""

from messaging.admin import (
    broadcasts,
    events,
    heartbeats,
    inbound,
    messages,
    provider_states,
    reports,
    skips,
)

__all__ = [
    "broadcasts",
    "events",
    "heartbeats",
    "inbound",
    "messages",
    "provider_states",
    "reports",
    "skips",
]

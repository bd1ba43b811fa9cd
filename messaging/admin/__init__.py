"""The admin's pages about what was sent. One file a noun; importing the package registers them all."""

from messaging.admin import (
    broadcasts,
    contacts,
    events,
    heartbeats,
    inbound,
    messages,
    organizations,
    provider_states,
    reports,
    skips,
)

__all__ = [
    "broadcasts",
    "contacts",
    "events",
    "heartbeats",
    "inbound",
    "messages",
    "organizations",
    "provider_states",
    "reports",
    "skips",
]

"""Rows of what was sent: broadcasts, their messages and skips, and what carriers said of them."""

from messaging.models.broadcasts import Approval, Broadcast, IdempotencyKey, Kind
from messaging.models.carriers import DeliveryReport, InboundMessage, ProviderState
from messaging.models.heartbeats import Heartbeat
from messaging.models.messages import Message, MessageEvent, Skip

__all__ = [
    "Approval",
    "Broadcast",
    "DeliveryReport",
    "Heartbeat",
    "IdempotencyKey",
    "InboundMessage",
    "Kind",
    "Message",
    "MessageEvent",
    "ProviderState",
    "Skip",
]

"""Twilio Programmable Messaging."""

from messaging.providers.twilio.provider import Twilio

__all__ = ["Twilio"]

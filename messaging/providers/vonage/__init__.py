"""Vonage's Messages API, for SMS."""

from messaging.providers.vonage.provider import Vonage

__all__ = ["Vonage"]

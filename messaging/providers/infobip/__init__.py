"""Infobip: a hundred messages a request, reports by the hundred, callbacks known by a token."""

from messaging.providers.infobip.provider import Infobip

__all__ = ["Infobip"]

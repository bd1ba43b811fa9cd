"""Where a request came from."""

from __future__ import annotations

import ipaddress

from django.http import HttpRequest
from rest_framework.request import Request


def address_of(request: HttpRequest | Request) -> str | None:
    """Return the caller's address, None over a unix socket. Proxies are `config.middleware`'s matter."""
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR", "").partition("%")[0]))
    except ValueError:
        return None

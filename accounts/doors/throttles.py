"""How many requests an organization may make: counted when it is identified, refused after role and terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from accounts import rate_limits
from accounts.models import Member

if TYPE_CHECKING:  # the views' module reads the settings, which name this one
    from rest_framework.views import APIView

_STATE: Final = "rate_limit"


@dataclass(frozen=True, slots=True)
class RateLimitState:
    """One organization's window as one request found it."""

    limit: int
    remaining: int
    reset: int  # seconds
    is_exceeded: bool


def count(request: Request, member: Member) -> None:
    """Count this request for the member's organization; a platform superuser has none and is not counted."""
    limit = rate_limits.Limit.read(settings.RATE_LIMIT)
    if limit is None or member.organization_id is None:
        return
    taken = rate_limits.take(f"requests:{member.organization_id}", limit=limit)
    state = RateLimitState(
        limit=limit.count,
        remaining=taken.remaining,
        reset=max(ceil(taken.resets_in), 1),
        is_exceeded=not taken.granted,
    )
    # On Django's own request: the middleware below sees no other.
    setattr(request._request, _STATE, state)


class OrganizationThrottle(BaseThrottle):
    """Refuses what `count` found to be too much: 429 comes after 401 and 403, before the body is read."""

    def allow_request(self, request: Request, view: APIView) -> bool:  # noqa: ARG002 - DRF's signature
        self.state = _state_of(request._request)
        return self.state is None or not self.state.is_exceeded

    def wait(self) -> float | None:
        return self.state.reset if self.state is not None else None


class RateLimitHeaders:
    """Tells every identified organization how its window stands, whatever the answer is."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        response = self.get_response(request)
        state = _state_of(request)
        if state is not None:
            response["RateLimit-Limit"] = str(state.limit)
            response["RateLimit-Remaining"] = str(state.remaining)
            response["RateLimit-Reset"] = str(state.reset)
        return response


def _state_of(request: HttpRequest) -> RateLimitState | None:
    state = getattr(request, _STATE, None)
    return state if isinstance(state, RateLimitState) else None

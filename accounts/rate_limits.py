"""Counting against a limit: requests, sign-in attempts, messages to a provider. One counter in Redis."""

from __future__ import annotations

import logging
import re
import threading
import time
from dataclasses import dataclass
from functools import cache
from typing import Final, cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

log = logging.getLogger(__name__)

_PERIODS: Final = {
    "s": 1,
    "sec": 1,
    "second": 1,
    "min": 60,
    "minute": 60,
    "hour": 3600,
    "day": 86_400,
}
_WRITTEN: Final = re.compile(r"([1-9][0-9]{0,8})/([a-z]+)")
_TIMEOUT: Final = 1.0  # seconds that a call may wait for Redis
_LOCAL_FOR: Final = 5.0  # seconds without Redis after it failed, so that not every request waits
_LOCAL_WINDOWS: Final = 10_000  # windows this process remembers before it forgets the ended ones

# The window opens with its first count, and Redis forgets it at its end. A window that lost its end
# (its key was restored or written by hand) gets one, else it would refuse for ever.
_TAKE: Final = """
local used = tonumber(redis.call('GET', KEYS[1]) or '0')
local granted = math.max(math.min(tonumber(ARGV[1]), tonumber(ARGV[2]) - used), 0)
if granted > 0 then used = redis.call('INCRBY', KEYS[1], granted) end
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  left = tonumber(ARGV[3])
  redis.call('PEXPIRE', KEYS[1], left)
end
return {granted, math.max(tonumber(ARGV[2]) - used, 0), left}
"""
_GIVE_BACK: Final = """
if tonumber(redis.call('GET', KEYS[1]) or '0') > 0 then redis.call('DECR', KEYS[1]) end
return 0
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """So many in a period of so many seconds."""

    count: int
    seconds: int

    @classmethod
    def read(cls, written: str) -> Limit | None:
        """Return the limit that `100/min` means, None for `off`.

        Raises: ImproperlyConfigured when it is neither.
        """
        if written == "off":
            return None
        found = _WRITTEN.fullmatch(written)
        if not found or found[2] not in _PERIODS:
            raise ImproperlyConfigured(
                f"RATE_LIMIT is {written!r}. Write a number and a period as 100/min "
                "(s, min, hour or day), or off."
            )
        return cls(int(found[1]), _PERIODS[found[2]])


@dataclass(frozen=True, slots=True)
class Taken:
    """What a call got, and how the window stands after it."""

    granted: int
    remaining: int
    resets_in: float  # seconds until the window ends and all is free again


def take(key: str, *, limit: Limit, amount: int = 1) -> Taken:
    """Take up to `amount` from the window of `key`; what is granted is counted, at most the limit.

    All processes share the window while Redis answers. Without Redis each process counts for itself:
    limits then hold a process, and nobody waits more than a second for that to be found out.
    """
    found = _ask(_TAKE, key, amount, limit.count, limit.seconds * 1000)
    if found is None:
        return _windows.take(key, limit=limit, amount=amount)
    granted, remaining, left = found
    return Taken(granted, remaining, left / 1000)


def give_back(key: str) -> None:
    """Put one back into the window of `key`, as if it had not been taken."""
    if _ask(_GIVE_BACK, key) is None:
        _windows.give_back(key)


def forget_all() -> None:
    """Forget what this process counted while Redis was away, and try Redis again at once."""
    _windows.forget_all()
    _outages.clear()


# --- Redis ----------------------------------------------------------------------------------------
_outages: Final[dict[str, float]] = {}  # address → until when this process counts for itself


@cache
def _redis(url: str) -> Redis:
    # No retries: the local window is the retry, and a caller waits for this.
    return Redis.from_url(
        url,
        socket_timeout=_TIMEOUT,
        socket_connect_timeout=_TIMEOUT,
        retry=Retry(NoBackoff(), 0),
    )


def _ask(script: str, key: str, *arguments: int) -> list[int] | None:
    """Return what the script answers, None while Redis is away."""
    url = str(settings.CACHES["default"]["LOCATION"])
    if _outages.get(url, 0) > time.monotonic():
        return None
    try:
        answer = _redis(url).eval(script, 1, f"rate:{key}", *arguments)
    except (RedisError, OSError) as error:
        _outages[url] = time.monotonic() + _LOCAL_FOR
        log.warning("rate_limits_are_local", extra={"because": type(error).__name__})
        return None
    return cast("list[int]", answer if isinstance(answer, list) else [answer])


# --- without Redis --------------------------------------------------------------------------------
class _Windows:
    """The windows of this process alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: dict[str, tuple[int, float]] = {}  # key → count, end of the window

    def take(self, key: str, *, limit: Limit, amount: int) -> Taken:
        now = time.monotonic()
        with self._lock:
            if len(self._used) > _LOCAL_WINDOWS:
                self._used = {
                    name: window for name, window in self._used.items() if window[1] > now
                }
            used, end = self._used.get(key, (0, 0.0))
            if end <= now:
                used, end = 0, now + limit.seconds
            granted = max(min(amount, limit.count - used), 0)
            self._used[key] = (used + granted, end)
            return Taken(granted, max(limit.count - used - granted, 0), end - now)

    def give_back(self, key: str) -> None:
        with self._lock:
            used, end = self._used.get(key, (0, 0.0))
            if used:
                self._used[key] = (used - 1, end)

    def forget_all(self) -> None:
        with self._lock:
            self._used.clear()


_windows: Final = _Windows()

"""Counting against a limit: requests and sign-in attempts in windows, messages to a provider in buckets.

Both live in Redis, shared by all processes, and in this process while Redis is away.
"""

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

# A bucket is one moment: the one from which its next token is free. Whoever takes tokens moves it on by
# what they cost, so tokens come evenly, and those who wait are served in the order in which they asked.
_TAKE_TURN: Final = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local free_at = tonumber(redis.call('GET', KEYS[1]) or '0')
if free_at > now + tonumber(ARGV[5]) then free_at = now end
free_at = math.max(free_at, now - tonumber(ARGV[3]))
local wait = math.max(free_at - now, 0)
if wait > tonumber(ARGV[4]) then return {0, wait} end
free_at = free_at + ARGV[1] * ARGV[2]
local kept = 60000 + math.ceil(math.max(free_at - now, 0) / 1000)
redis.call('SET', KEYS[1], string.format('%.0f', free_at), 'PX', kept)
return {tonumber(ARGV[1]), wait}
"""
_MOVE_BACK: Final = """
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('SET', KEYS[1], string.format('%.0f', redis.call('GET', KEYS[1]) - ARGV[1]), 'KEEPTTL')
end
return 0
"""
_HOLD: Final = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local free_at = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now + ARGV[1])
local kept = 60000 + math.ceil((free_at - now) / 1000)
redis.call('SET', KEYS[1], string.format('%.0f', free_at), 'PX', kept)
return 0
"""
_BURST: Final = 0.5  # seconds of a bucket's rate that it keeps while nobody asks
_FARTHEST: Final = 1_000.0  # seconds ahead at which a bucket counts as written by mistake


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


@dataclass(frozen=True, slots=True)
class Turn:
    """What a call got of a bucket, and when that may be used."""

    granted: int
    wait: float  # seconds until it may be used; where nothing was granted, until anything is free


@dataclass(frozen=True, slots=True)
class Bucket:
    """So many tokens a second, given evenly; half a second's worth at once after a pause.

    Without a rate it gives at once whatever is asked, and only `hold` can close it, in this process.
    """

    key: str
    rate: float | None

    def take(self, *, amount: int, patience: float) -> Turn:
        """Take `amount` tokens that are free within `patience` seconds, or none.

        The caller waits `Turn.wait` before using them. Who asks later is served later, so callers that
        ask for little at a time share the rate in turn.
        """
        cost = _micros(1 / self.rate) if self.rate else 0
        limits = [_micros(seconds) for seconds in (_BURST, patience, _FARTHEST)]
        found = _ask(_TAKE_TURN, self._name, amount, cost, *limits) if self.rate else None
        if found is None:
            return _turns.take(self._name, amount=amount, cost=cost / 1e6, patience=patience)
        granted, wait = found
        return Turn(granted, wait / 1e6)

    def give_back(self, amount: int) -> None:
        """Put tokens back that were taken and not used."""
        if not self.rate or amount <= 0:
            return
        seconds = amount / self.rate
        if _ask(_MOVE_BACK, self._name, _micros(seconds)) is None:
            _turns.move_back(self._name, seconds)

    def hold(self, seconds: float) -> None:
        """Give nothing for so many seconds, and then no burst."""
        if not self.rate or _ask(_HOLD, self._name, _micros(seconds)) is None:
            _turns.hold(self._name, seconds)

    @property
    def _name(self) -> str:
        return f"bucket:{self.key}"


def _micros(seconds: float) -> int:
    return round(seconds * 1_000_000)


def forget_all() -> None:
    """Forget what this process counted while Redis was away, and try Redis again at once."""
    _windows.forget_all()
    _turns.forget_all()
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


class _Turns:
    """The buckets of this process alone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free_at: dict[str, float] = {}  # key → the moment from which the next token is free

    def take(self, key: str, *, amount: int, cost: float, patience: float) -> Turn:
        now = time.monotonic()
        with self._lock:
            free_at = max(self._free_at.get(key, 0.0), now - _BURST)
            wait = max(free_at - now, 0.0)
            if wait > patience:
                return Turn(0, wait)
            self._free_at[key] = free_at + amount * cost
            return Turn(amount, wait)

    def move_back(self, key: str, seconds: float) -> None:
        with self._lock:
            if key in self._free_at:
                self._free_at[key] -= seconds

    def hold(self, key: str, seconds: float) -> None:
        with self._lock:
            self._free_at[key] = max(self._free_at.get(key, 0.0), time.monotonic() + seconds)

    def forget_all(self) -> None:
        with self._lock:
            self._free_at.clear()


_turns: Final = _Turns()

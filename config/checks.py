"""What an installation got wrong that would show only later: keys, addresses, and Redis' own settings."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any, Final
from urllib.parse import urlsplit

import redis
from django.conf import settings
from django.core import checks
from django.http.request import validate_host
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry

from config import env

_SHORTEST_KEY: Final = 50  # characters
_FEWEST_DIFFERENT: Final = 10
_MADE_UP: Final = ("django-insecure", "change", "replace", "your", "example", "insert", "todo")
_NEW_KEY: Final = 'python -c "import secrets; print(secrets.token_urlsafe(64))" prints a good one.'

_PATIENCE: Final = 1.0  # seconds; a Redis that is away is told by /readyz


def faults() -> str:
    """Return what must be put right before anything starts, a line each; empty where nothing must.

    The commands of `manage.py` ask by themselves; a web server or a worker would start with anything.
    """
    found = (message for message in checks.run_checks() if message.is_serious())
    return "\n".join(
        f"{message.id}: {message.msg} {message.hint or ''}".strip() for message in found
    )


@checks.register(checks.Tags.security)
def check_keys(**_options: Any) -> list[checks.CheckMessage]:
    """Find keys in production that could be guessed, or that open two doors at once."""
    if not settings.PRODUCTION:
        return []
    found: list[checks.CheckMessage] = [
        checks.Error(
            f"{name} {fault}", hint=f"Set it to random characters. {_NEW_KEY}", id="config.E001"
        )
        for name in ("SECRET_KEY", "AUDIT_KEY")
        if (fault := _fault_of(getattr(settings, name)))
    ]
    keys = {
        "SECRET_KEY": settings.SECRET_KEY,
        "JWT_SIGNING_KEY": settings.SIMPLE_JWT["SIGNING_KEY"],
        "AUDIT_KEY": settings.AUDIT_KEY,
    }
    found += [
        checks.Error(
            f"{one} equals {other}: whoever learns one has both.",
            hint=f"Give them different values. {_NEW_KEY}",
            id="config.E002",
        )
        for one, other in combinations(keys, 2)
        if keys[one] == keys[other] and "AUDIT_KEY" in {one, other}  # accounts.E003 has the rest
    ]
    return found


def _fault_of(key: str) -> str:
    if len(key) < _SHORTEST_KEY:
        return f"is shorter than {_SHORTEST_KEY} characters."
    if len(set(key)) < _FEWEST_DIFFERENT:
        return f"has fewer than {_FEWEST_DIFFERENT} different characters."
    if key.lower().startswith(_MADE_UP):
        return "looks like the placeholder of an example."
    return ""


@checks.register(checks.Tags.security)
def check_public_url(**_options: Any) -> list[checks.CheckMessage]:
    """Find an address that people and carriers would be refused at."""
    if not settings.PRODUCTION:
        return []
    found: list[checks.CheckMessage] = []
    public = urlsplit(settings.PUBLIC_URL)
    if not validate_host(public.hostname or "", settings.ALLOWED_HOSTS):
        found.append(
            checks.Error(
                "The host of PUBLIC_URL is not in ALLOWED_HOSTS: carriers and people are answered 400.",
                hint=f"Add {public.hostname} to ALLOWED_HOSTS.",
                id="config.E003",
            )
        )
    if public.scheme == "https" and not settings.TRUSTED_PROXIES:
        found.append(
            checks.Warning(
                "PUBLIC_URL is https and TRUSTED_PROXIES is empty: behind a proxy every request counts as"
                " plain HTTP and is redirected for ever.",
                hint="Set TRUSTED_PROXIES to the address the proxy has for this site, as 172.18.0.1.",
                id="config.W001",
            )
        )
    return found


@checks.register(checks.Tags.caches)
def check_redis(**_options: Any) -> list[checks.CheckMessage]:
    """Find a Redis or Valkey that throws wake-ups away when it is full, or with every restart."""
    servers: dict[tuple[str, str, str], tuple[str, str]] = {}
    for name, url in (
        ("REDIS_URL", str(settings.CACHES["default"]["LOCATION"])),
        ("BROKER_URL", settings.CELERY_BROKER_URL),
    ):
        address = urlsplit(env.redis_address(url))
        path = address.path if address.scheme == "unix" else ""  # else the number of a database
        if address.scheme:
            servers.setdefault(
                (address.scheme, address.netloc, path), (name, env.redis_address(url))
            )
    return [fault for name, url in servers.values() for fault in _faults_of_redis(name, url)]


def _faults_of_redis(name: str, url: str) -> Iterator[checks.CheckMessage]:
    try:
        with redis.Redis.from_url(
            url,
            socket_timeout=_PATIENCE,
            socket_connect_timeout=_PATIENCE,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        ) as client:
            found = client.config_get("maxmemory-policy", "appendonly")
    except ResponseError:
        yield checks.Warning(
            f"The server of {name} does not tell its settings (CONFIG GET is refused).",
            hint="See for yourself that its maxmemory-policy is noeviction.",
            id="config.W002",
        )
        return
    except (RedisError, OSError):
        return  # it is away, which /readyz tells
    policy = str(found.get("maxmemory-policy", ""))
    if policy != "noeviction":
        kind = checks.Error if settings.PRODUCTION else checks.Warning
        yield kind(
            f"The server of {name} has the maxmemory-policy {policy}: when it is full, it silently"
            " throws away wake-ups and limits.",
            hint="Set maxmemory-policy noeviction in its configuration.",
            id="config.E004" if settings.PRODUCTION else "config.W004",
        )
    if found.get("appendonly") != "yes":
        yield checks.Warning(
            f"The server of {name} keeps no append-only file: with each restart deliveries pause until"
            " the dispatcher has woken them again.",
            hint="Set appendonly yes in its configuration.",
            id="config.W003",
        )

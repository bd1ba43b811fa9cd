"""What the environment says: every variable Pregón reads, with its default and its check."""

import ipaddress
import logging
import os
import re
import secrets
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal
from urllib.parse import parse_qs, urlsplit

from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping
from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from config import embedded

ROOT: Final = Path(__file__).resolve().parent.parent

_BROKERS: Final = ("redis", "rediss", "redis+socket", "sentinel", "amqp", "amqps")
_PATH: Final = re.compile(r"[\w-]+(/[\w-]+)*", re.ASCII)
_TAKEN_PATHS: Final = frozenset({"api", "static", "healthz", "readyz"})

# Of the library only the mapping that reads NAME from the file in NAME_FILE: its typed readers take a
# secret that begins with "$" for the name of another variable.
_values: Mapping[str, str] = FileAwareMapping()  # type: ignore[no-untyped-call] # it has no types


def _text(name: str, default: str = "") -> str:
    try:
        return (_values.get(name) or default).strip()
    except (OSError, UnicodeDecodeError) as error:
        because = error.strerror if isinstance(error, OSError) else "it holds no text"
        raise ImproperlyConfigured(
            f"The file that {name}_FILE names, {_values[f'{name}_FILE']}, cannot be read: {because}."
        ) from error


def _words(name: str) -> list[str]:
    return _text(name).replace(",", " ").split()


def _number(name: str, default: int, *, at_least: int, at_most: int = 10**9) -> int:
    try:
        number = int(_text(name, str(default)))
    except ValueError as error:
        raise ImproperlyConfigured(f"{name} must be a whole number.") from error
    if not at_least <= number <= at_most:
        raise ImproperlyConfigured(f"{name} must be from {at_least} to {at_most}.")
    return number


def _one_of(name: str, *allowed: str) -> str:
    """Return the variable's value, the first allowed one being the default."""
    value = _text(name, allowed[0])
    if value not in allowed:
        raise ImproperlyConfigured(f"{name} is {value!r}; it must be one of: {', '.join(allowed)}.")
    return value


def _key(name: str, state: Path, *, production: bool) -> str:
    """Return a secret key: the variable's, or in development one kept in the state folder."""
    if given := _text(name):
        return given
    if production:
        raise ImproperlyConfigured(
            f"{name} is empty. Set it, or {name}_FILE, to at least 50 random characters: "
            'python -c "import secrets; print(secrets.token_urlsafe(64))"'
        )
    kept = state / "keys" / name.lower()
    try:
        return _kept_key(kept)
    except OSError as error:
        raise ImproperlyConfigured(
            f"The state folder {state} cannot be used ({error.strerror}). Set PREGON_STATE to a folder"
            " that you may write to."
        ) from error


def _kept_key(kept: Path) -> str:
    """Return the key of a file, which is made when it is missing."""
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        # Two processes may start at once: the first link wins, the other reads it.
        own = kept.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(own, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(64))
        try:
            os.link(own, kept)
        except FileExistsError:
            pass  # the other process's key is as good as ours
        finally:
            own.unlink()
    return kept.read_text()


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One process's view of the environment, checked. Secrets stay out of its repr."""

    production: bool
    state: Path
    port: int
    public_url: str
    allowed_hosts: list[str]
    trusted_proxies: list[str]
    database_url: str
    database_owner_url: str
    redis_url: str
    cache_url: str
    broker_url: str
    secret_key: str
    secret_key_fallbacks: list[str]
    jwt_signing_key: str
    jwt_signing_key_fallbacks: list[str]
    audit_key: str
    audit_key_fallbacks: list[str]
    sms_providers: list[str]
    stop_keywords: tuple[str, ...]
    sending: bool
    max_audience: int
    delivery_lanes: int
    rate_limit: str
    time_zone: str
    language_code: str
    log_level: str
    admin_path: str
    admin_addresses: list[str]
    timings: str
    failpoints: str

    def __repr__(self) -> str:
        return f"Environment(production={self.production}, state={str(self.state)!r})"


def _database_number(url: str, number: int) -> str:
    """Return the same Redis with another logical database, so that a flush of one spares the other."""
    if url.startswith("unix:"):
        return f"{url.partition('?')[0]}?db={number}"
    return urlsplit(url)._replace(path=f"/{number}").geturl()


def redis_address(url: str) -> str:
    """Return the URL as redis-py reads it; empty where the server is no Redis."""
    address = urlsplit(url)
    if address.scheme == "redis+socket":
        number = parse_qs(address.query).get("virtual_host", ["0"])[0]
        return f"unix://{address.netloc}{address.path}?db={number}"
    return url if address.scheme in {"redis", "rediss", "unix"} else ""


def _broker_url(redis_url: str) -> str:
    """Return the Redis of that URL as Celery reads it."""
    address = urlsplit(redis_url)
    if address.scheme != "unix":
        return redis_url
    number = parse_qs(address.query).get("db", ["0"])[0]
    return f"redis+socket://{address.netloc}{address.path}?virtual_host={number}"


def _require_scheme(name: str, url: str, example: str, *schemes: str) -> None:
    """Refuse a URL of another kind by what it should begin with: the rest of it may hold a password."""
    try:
        scheme = urlsplit(url).scheme
    except ValueError:  # brackets that fit no address
        scheme = ""
    if scheme not in schemes:
        raise ImproperlyConfigured(
            f"{name} must begin with {', '.join(f'{scheme}://' for scheme in schemes)}. "
            f"Write it as {example}"
        )


def _require_database_url(name: str, url: str) -> None:
    """Refuse what libpq cannot read, without the trace: it would repeat the password."""
    try:
        fits = urlsplit(url).scheme in {"postgres", "postgresql"} and bool(conninfo_to_dict(url))
    except (ValueError, ProgrammingError):
        fits = False
    if not fits:
        raise ImproperlyConfigured(
            f"{name} cannot be read. Write postgresql://USER:PASSWORD@HOST:5432/NAME, special characters"
            " of the password percent-encoded."
        ) from None


def _networks(name: str, networks: list[str]) -> list[str]:
    """Return the networks, each of which can be read."""
    for network in networks:
        try:
            ipaddress.ip_network(network, strict=False)
        except ValueError as error:
            raise ImproperlyConfigured(
                f"{name} names {network!r}, which is no address and no network. Write as 10.0.0.0/8."
            ) from error
    return networks


def _log_level() -> str:
    level = _text("LOG_LEVEL", "INFO").upper()
    if level not in logging.getLevelNamesMapping():
        raise ImproperlyConfigured("LOG_LEVEL must be DEBUG, INFO, WARNING, ERROR or CRITICAL.")
    return level


def _time_zone() -> str:
    name = _text("TIME_ZONE", "UTC")
    if name not in zoneinfo.available_timezones():
        raise ImproperlyConfigured(f"TIME_ZONE is {name!r}; write one as America/Bogota.")
    return name


def _admin_path() -> str:
    path = _text("ADMIN_PATH", "admin").strip("/")
    if not _PATH.fullmatch(path) or path.split("/")[0] in _TAKEN_PATHS:
        raise ImproperlyConfigured(
            f"ADMIN_PATH is {path!r}. Name a path of letters, digits, '-' and '_' that nothing else has: "
            f"not {', '.join(sorted(_TAKEN_PATHS))}."
        )
    return f"{path}/"


def _state() -> Path:
    state = Path(_text("PREGON_STATE") or embedded.default_state(ROOT)).absolute()
    if os.path.lexists(state) and not os.path.isdir(state):
        raise ImproperlyConfigured(
            f"PREGON_STATE is {state}, which is no folder. Set it to one that you may write to."
        )
    return state


def read() -> Environment:
    """Return the environment, checked.

    Raises: ImproperlyConfigured naming the variable and what to set it to.
    """
    production = _one_of("PREGON_ENV", "development", "production") == "production"
    state = _state()
    layout = embedded.Layout.of(state)
    port = _number("PORT", 8000, at_least=1, at_most=65_535)
    public_url = _text("PUBLIC_URL", "" if production else f"http://127.0.0.1:{port}").rstrip("/")
    scheme: Literal["http", "https"] | str = urlsplit(public_url).scheme
    if scheme not in {"http", "https"} or not urlsplit(public_url).hostname:
        raise ImproperlyConfigured(
            "PUBLIC_URL must be the address carriers and people reach this site by, "
            "as https://sms.example.org"
        )
    if urlsplit(public_url).path or urlsplit(public_url).query:
        raise ImproperlyConfigured(
            "PUBLIC_URL has a path. This site answers at the root of a host only: "
            f"write {scheme}://{urlsplit(public_url).netloc}"
        )
    redis_url, broker_url = _text("REDIS_URL"), _text("BROKER_URL")
    if redis_url:
        _require_scheme("REDIS_URL", redis_url, "redis://HOST:6379/0", "redis", "rediss", "unix")
    if broker_url:
        _require_scheme("BROKER_URL", broker_url, "redis://HOST:6379/0", *_BROKERS)
    if production and not (redis_url and _text("DATABASE_URL")):
        raise ImproperlyConfigured("Production needs DATABASE_URL and REDIS_URL.")
    timings = _one_of("PREGON_TIMINGS", "", "tenth")
    failpoints = _text("PREGON_FAILPOINTS")
    if production and (timings or failpoints):
        raise ImproperlyConfigured(
            "PREGON_TIMINGS and PREGON_FAILPOINTS are for tests only: unset them."
        )
    sandbox = f"http://127.0.0.1:{layout.sandbox_port}"
    providers = _text("SMS_PROVIDERS").split()
    if not providers and not production:
        account = "AC00000000000000000000000000000000:sandbox-token"
        providers = [f"twilio://{account}@api.twilio.com?from=%2B15005550006&base_url={sandbox}"]
    hosts = _words("ALLOWED_HOSTS")
    if production and not hosts:
        raise ImproperlyConfigured(
            "ALLOWED_HOSTS is empty. Name the hosts this site is reached by, as sms.example.org"
        )
    database_url = _text("DATABASE_URL") or layout.database_url
    owner_url = _text("DATABASE_OWNER_URL") or (
        "" if _text("DATABASE_URL") else layout.owner_database_url
    )
    _require_database_url("DATABASE_URL", database_url)
    if owner_url:
        _require_database_url("DATABASE_OWNER_URL", owner_url)
    return Environment(
        production=production,
        state=state,
        port=port,
        public_url=public_url,
        allowed_hosts=hosts or ([] if production else ["localhost", "127.0.0.1", "[::1]"]),
        trusted_proxies=_networks("TRUSTED_PROXIES", _words("TRUSTED_PROXIES")),
        database_url=database_url,
        database_owner_url=owner_url,
        redis_url=redis_url or layout.redis_url,
        cache_url=_database_number(redis_url or layout.redis_url, 1),
        broker_url=broker_url or (_broker_url(redis_url) if redis_url else layout.broker_url),
        secret_key=_key("SECRET_KEY", state, production=production),
        secret_key_fallbacks=_text("SECRET_KEY_FALLBACKS").split(),
        jwt_signing_key=_key("JWT_SIGNING_KEY", state, production=production),
        jwt_signing_key_fallbacks=_text("JWT_SIGNING_KEY_FALLBACKS").split(),
        audit_key=_key("AUDIT_KEY", state, production=production),
        audit_key_fallbacks=_text("AUDIT_KEY_FALLBACKS").split(),
        sms_providers=providers,
        stop_keywords=tuple(
            word.strip() for word in _text("STOP_KEYWORDS").split(",") if word.strip()
        ),
        sending=_one_of("PREGON_SENDING", "on", "off") == "on",
        max_audience=_number("MAX_AUDIENCE", 1_000_000, at_least=1),
        delivery_lanes=_number("DELIVERY_LANES", 2, at_least=1, at_most=8),
        rate_limit=_text("RATE_LIMIT", "100/min"),
        time_zone=_time_zone(),
        language_code=_one_of("LANGUAGE_CODE", "en", "es"),
        log_level=_log_level(),
        admin_path=_admin_path(),
        admin_addresses=_networks("ADMIN_ADDRESSES", _words("ADMIN_ADDRESSES")),
        timings=timings,
        failpoints=failpoints,
    )

"""The environment: its defaults, its secrets from files, and what it refuses in words."""

import stat
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import pytest
from django.apps import apps
from django.core.checks import CheckMessage, run_checks
from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping
from pytest_django import Settings

from config import env

Read = Callable[..., env.Environment]

PRODUCTION: Final = {
    "PREGON_ENV": "production",
    "PUBLIC_URL": "https://sms.example.org",
    "ALLOWED_HOSTS": "sms.example.org",
    "DATABASE_URL": "postgresql://pregon:database-password@db.example.org/pregon",
    "REDIS_URL": "redis://:redis-password@redis.example.org:6379/0",
    "SECRET_KEY": "a-secret-key-of-more-than-fifty-characters-0123456789",
    "JWT_SIGNING_KEY": "a-signing-key-of-more-than-fifty-characters-0123456789",
    "AUDIT_KEY": "an-audit-key-of-more-than-fifty-characters-0123456789",
    "SMS_PROVIDERS": "twilio://AC" + "1" * 32 + ":token@api.twilio.com?from=%2B15005550006",
}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Read:
    """Read an environment that has these variables and no others."""

    def found(**given: str) -> env.Environment:
        variables = {"PREGON_STATE": str(tmp_path / "state"), **given}
        monkeypatch.setattr(env, "_values", FileAwareMapping(variables))
        return env.read()

    return found


def problems() -> list[CheckMessage]:
    """What the system checks find, but for what the settings silence."""
    return [message for message in run_checks() if not message.is_silenced()]


# --- development ----------------------------------------------------------------------------------
def test_development_needs_nothing(read: Read, tmp_path: Path) -> None:
    found = read()

    assert not found.production
    assert (found.port, found.public_url) == (8000, "http://127.0.0.1:8000")
    assert found.allowed_hosts == ["localhost", "127.0.0.1", "[::1]"]
    assert found.trusted_proxies == []
    assert (found.rate_limit, found.max_audience, found.delivery_lanes) == ("100/min", 1_000_000, 2)
    assert (found.time_zone, found.language_code, found.log_level) == ("UTC", "en", "INFO")
    assert found.sending
    assert str(tmp_path / "state") in found.database_url or "/run" in found.database_url


def test_development_sends_to_the_sandbox_carrier_of_its_own_state(read: Read) -> None:
    (provider,) = read().sms_providers

    assert provider.startswith("twilio://")
    assert "base_url=http://127.0.0.1:" in provider


def test_generated_keys_stay_and_nobody_else_reads_them(read: Read, tmp_path: Path) -> None:
    first, second = read(), read()

    keys = [(found.secret_key, found.jwt_signing_key, found.audit_key) for found in (first, second)]
    assert keys[0] == keys[1]
    assert len(set(keys[0])) == 3
    assert min(len(key) for key in keys[0]) >= 50
    kept = list((tmp_path / "state" / "keys").iterdir())
    assert len(kept) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in kept} == {0o600}


def test_keys_that_are_generated_twice_at_once_are_the_same(read: Read, tmp_path: Path) -> None:
    read()
    for path in (tmp_path / "state" / "keys").iterdir():
        path.unlink()

    with ThreadPoolExecutor(1) as one:
        found = [*one.map(lambda _: env.read().secret_key, range(3))]

    assert len(set(found)) == 1


def test_cache_and_broker_share_a_server_and_no_database(read: Read) -> None:
    for url in (
        "redis://:p%40ss@redis:6379/0",
        "rediss://redis:6380",
        "unix:///run/valkey.sock?db=0",
    ):
        found = read(REDIS_URL=url)
        assert found.cache_url != url
        assert found.cache_url.startswith(url.partition("?")[0][: len("redis://redis")])
    socket = read(REDIS_URL="unix:///run/valkey.sock?db=0")
    assert socket.cache_url == "unix:///run/valkey.sock?db=1"
    assert socket.broker_url == "redis+socket:///run/valkey.sock?virtual_host=0"
    assert env.redis_address(socket.broker_url) == "unix:///run/valkey.sock?db=0"
    assert read(REDIS_URL="rediss://redis:6380").broker_url == "rediss://redis:6380"


def test_an_own_broker_is_used_as_given(read: Read) -> None:
    found = read(REDIS_URL="redis://redis/0", BROKER_URL="amqp://rabbit//")

    assert (found.redis_url, found.broker_url) == ("redis://redis/0", "amqp://rabbit//")


# --- S66: secrets ---------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["SECRET_KEY", "JWT_SIGNING_KEY", "AUDIT_KEY"])
@pytest.mark.parametrize(
    "secret", ["$HOME", "$SECRET_KEY", "${x}", "$$", "a b#c'd\"e\\f", "ñ€", "x=y&z"]
)
def test_a_secret_is_taken_as_it_stands(read: Read, name: str, secret: str) -> None:
    assert getattr(read(**{name: secret}), name.lower()) == secret


@pytest.mark.parametrize(
    ("name", "field", "secret", "value"),
    [
        ("SECRET_KEY", "secret_key", "$from-a-file\n", "$from-a-file"),
        ("JWT_SIGNING_KEY", "jwt_signing_key", "from a file\r\n", "from a file"),
        ("AUDIT_KEY", "audit_key", "from-a-file", "from-a-file"),
        ("DATABASE_URL", "database_url", "postgresql://a:b@c/d\n", "postgresql://a:b@c/d"),
        (
            "SMS_PROVIDERS",
            "sms_providers",
            "memory://a\nmemory://b\n",
            ["memory://a", "memory://b"],
        ),
    ],
)
def test_a_secret_may_stand_in_a_file(
    read: Read, tmp_path: Path, name: str, field: str, secret: str, value: object
) -> None:
    file = tmp_path / "secret"
    file.write_text(secret)

    found = read(**{name: "of the variable", f"{name}_FILE": str(file)})

    assert getattr(found, field) == value


@pytest.mark.parametrize("name", ["SECRET_KEY", "DATABASE_URL", "SMS_PROVIDERS"])
def test_a_file_that_is_missing_is_named(read: Read, tmp_path: Path, name: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=f"{name}_FILE names, .*nowhere, cannot be read"):
        read(**{f"{name}_FILE": str(tmp_path / "nowhere")})


def test_a_file_that_is_no_text_is_named_and_not_repeated(read: Read, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"hunter2\xff\xfe")

    with pytest.raises(ImproperlyConfigured, match="SECRET_KEY_FILE") as refusal:
        read(SECRET_KEY_FILE=str(tmp_path / "key"))

    assert "hunter2" not in str(refusal.value)


def test_a_state_that_is_no_folder_is_named(read: Read, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ImproperlyConfigured, match=r"PREGON_STATE is .*file, which is no folder"):
        read(PREGON_STATE=str(tmp_path / "file"))


def test_further_words_that_opt_out_are_taken_one_by_one(read: Read) -> None:
    assert read(STOP_KEYWORDS=" basta , ya no,,").stop_keywords == ("basta", "ya no")
    assert read().stop_keywords == ()


def test_the_repr_holds_no_secret(read: Read) -> None:
    told = repr(read(**PRODUCTION))

    for name in (
        "SECRET_KEY",
        "JWT_SIGNING_KEY",
        "AUDIT_KEY",
        "DATABASE_URL",
        "REDIS_URL",
        "SMS_PROVIDERS",
    ):
        assert PRODUCTION[name] not in told
    assert "password" not in told


# --- what is refused ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("PREGON_ENV", value) for value in ("prod", "Production", "staging", "1")),
        *(("PORT", value) for value in ("x", "0", "-1", "80.5", "70000")),
        *(("MAX_AUDIENCE", value) for value in ("0", "-5", "many", "1e6")),
        *(("DELIVERY_LANES", value) for value in ("0", "9", "two")),
        *(("PREGON_SENDING", value) for value in ("no", "true", "OFF")),
        *(("PREGON_TIMINGS", value) for value in ("half", "10")),
        *(
            ("PUBLIC_URL", value)
            for value in (
                *("sms.example.org", "ftp://x", "//x", "https://", "http:///x"),
                *("https://sms.example.org/pregon", "https://sms.example.org?x=1"),
            )
        ),
        *(("REDIS_URL", value) for value in ("http://x", "redis.example.org", "redis://[::1/0")),
        *(("BROKER_URL", value) for value in ("BADTOKEN", "unix:///x", "sqs://", "memory://")),
        *(
            ("ADMIN_PATH", value)
            for value in (
                "api",
                "/api/",
                "api/admin",
                "healthz",
                "readyz",
                "static",
                "a b",
                "ä",
                "a//b",
            )
        ),
        ("LANGUAGE_CODE", "xx"),
        *(
            ("TRUSTED_PROXIES", value)
            for value in ("nonsense", "10.0.0.0/33", "10.0.0.1, proxy.example.org")
        ),
        ("ADMIN_ADDRESSES", "10.0.0.0/8 office"),
        *(("LOG_LEVEL", value) for value in ("LOUD", "verbose")),
        ("TIME_ZONE", "Mars/Olympus"),
        ("RATE_LIMIT", "100"),
        ("RATE_LIMIT", "many/min"),
    ],
)
def test_a_value_that_means_nothing_is_refused_by_name(
    read: Read, settings: Settings, name: str, value: str
) -> None:
    if name == "RATE_LIMIT":  # a system check says it
        settings.RATE_LIMIT = value
        assert [message.id for message in problems()] == ["accounts.E001"]
        return

    with pytest.raises(ImproperlyConfigured, match=name):
        read(**{name: value})


@pytest.mark.parametrize(
    "url", ["pregon:hunter2", "postgresql://u:hunter2@[::1/x", "mysql://u:hunter2@h/d"]
)
def test_a_database_url_that_means_nothing_is_refused_without_its_password(
    read: Read, url: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match="DATABASE_URL") as refusal:
        read(DATABASE_URL=url)

    assert "hunter2" not in str(refusal.value)


# --- production -----------------------------------------------------------------------------------
def test_production_starts_with_everything(read: Read) -> None:
    found = read(**PRODUCTION)

    assert found.production
    assert found.allowed_hosts == ["sms.example.org"]
    assert found.secret_key == PRODUCTION["SECRET_KEY"]


@pytest.mark.parametrize(
    "name",
    [
        "PUBLIC_URL",
        "ALLOWED_HOSTS",
        "DATABASE_URL",
        "REDIS_URL",
        "SECRET_KEY",
        "JWT_SIGNING_KEY",
        "AUDIT_KEY",
    ],
)
@pytest.mark.parametrize("value", [None, "", "  "])
def test_production_does_not_start_without(
    read: Read, tmp_path: Path, name: str, value: str | None
) -> None:
    given = {key: each for key, each in PRODUCTION.items() if key != name}
    given |= {} if value is None else {name: value}

    with pytest.raises(ImproperlyConfigured, match=name):
        read(**given)
    assert not (tmp_path / "state" / "keys").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("PREGON_TIMINGS", "tenth"), ("PREGON_FAILPOINTS", "worker.after_mark=kill")],
)
def test_production_does_not_start_with_what_is_for_tests(
    read: Read, name: str, value: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match=name):
        read(**PRODUCTION, **{name: value})


def test_production_has_no_provider_by_itself(read: Read) -> None:
    given = {key: value for key, value in PRODUCTION.items() if key != "SMS_PROVIDERS"}

    assert read(**given).sms_providers == []


@pytest.mark.parametrize(
    ("providers", "problem"),
    [
        ([], "messaging.E002"),
        (["console://"], "messaging.E003"),
        (["memory://local"], "messaging.E003"),
        ([PRODUCTION["SMS_PROVIDERS"], "memory://local"], "messaging.E003"),
        ([PRODUCTION["SMS_PROVIDERS"] + "&base_url=http://127.0.0.1:9000"], "messaging.E001"),
        (["twilio://AC:hunter2@api.twilio.com"], "messaging.E001"),
        (["vonage://key:hunter2@rest.nexmo.com"], "messaging.E001"),
        (["hunter2"], "messaging.E001"),
    ],
)
def test_production_does_not_send_with(
    settings: Settings, providers: list[str], problem: str
) -> None:
    settings.PRODUCTION = True
    settings.SMS_PROVIDERS = providers

    found = problems()

    assert [message.id for message in found] == [problem]
    assert found[0].hint
    assert "hunter2" not in str(found)


def test_production_sends_with_a_real_provider(settings: Settings) -> None:
    settings.PRODUCTION = True
    settings.SMS_PROVIDERS = [PRODUCTION["SMS_PROVIDERS"]]

    assert problems() == []


@pytest.mark.parametrize(
    ("jwt_key", "problem"), [("short", "accounts.E002"), ("of SECRET_KEY", "accounts.E003")]
)
def test_S3_a_signing_key_that_is_too_weak_is_an_error(
    settings: Settings, jwt_key: str, problem: str
) -> None:
    key = settings.SECRET_KEY if jwt_key == "of SECRET_KEY" else jwt_key
    settings.SIMPLE_JWT = {**settings.SIMPLE_JWT, "SIGNING_KEY": key}

    assert [message.id for message in problems()] == [problem]


def test_S6_without_the_blacklist_it_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not by changing INSTALLED_APPS: the admin of this process would be made anew, and empty.
    monkeypatch.delitem(apps.app_configs, "token_blacklist")

    assert "accounts.E004" in [message.id for message in run_checks(tags=["security"])]


def test_an_empty_value_is_none(read: Read) -> None:
    environment = read(PORT="", PREGON_ENV="", MAX_AUDIENCE="", LOG_LEVEL="")

    assert (environment.port, environment.production) == (8000, False)
    assert (environment.max_audience, environment.log_level) == (1_000_000, "INFO")

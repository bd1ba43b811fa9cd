"""The system checks of the installation: keys, addresses, Redis' own settings."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import redis
from django.core.checks import CheckMessage
from pytest_django import Settings

from accounts import rate_limits
from config import checks
from config.embedded import Layout
from config.processes import Supervisor
from config.servers import Valkey
from messaging import tasks

GOOD = "1-secret-key-of-more-than-fifty-characters-0123456789"
Serve = Callable[..., redis.Redis]


def ids(found: list[CheckMessage]) -> list[str | None]:
    assert all(message.hint for message in found)
    return [message.id for message in found]


# --- keys -----------------------------------------------------------------------------------------
@pytest.fixture
def production(settings: Settings) -> Settings:
    settings.PRODUCTION = True
    settings.SECRET_KEY, settings.AUDIT_KEY = f"{GOOD}-a", f"{GOOD}-b"
    settings.SIMPLE_JWT = {**settings.SIMPLE_JWT, "SIGNING_KEY": f"{GOOD}-c"}
    settings.ALLOWED_HOSTS = ["sms.example.org"]
    settings.PUBLIC_URL = "https://sms.example.org"
    settings.TRUSTED_PROXIES = ["127.0.0.1"]
    return settings


def test_good_keys_of_their_own_pass(production: Settings) -> None:
    assert checks.check_keys() == []


@pytest.mark.parametrize("name", ["SECRET_KEY", "AUDIT_KEY"])
@pytest.mark.parametrize(
    "key",
    [
        "hunter2",
        "x" * 49,
        "x" * 60,
        "abababab" * 10,
        f"django-insecure-{GOOD}",
        f"change-me-{GOOD}",
        f"CHANGEME{GOOD}",
        f"your-{GOOD}",
    ],
)
def test_S66_a_key_that_could_be_guessed_is_refused_in_production_and_not_repeated(
    production: Settings, name: str, key: str
) -> None:
    setattr(production, name, key)

    found = checks.check_keys()

    assert ids(found) == ["config.E001"]
    assert found[0].msg.startswith(name)
    assert key not in str(found)


def test_a_key_that_opens_two_doors_is_refused(production: Settings) -> None:
    production.AUDIT_KEY = production.SECRET_KEY
    assert ids(checks.check_keys()) == ["config.E002"]

    production.AUDIT_KEY = production.SIMPLE_JWT["SIGNING_KEY"]
    assert ids(checks.check_keys()) == ["config.E002"]


def test_development_may_have_any_key(settings: Settings) -> None:
    settings.SECRET_KEY = settings.AUDIT_KEY = "short"

    assert checks.check_keys() == []


# --- addresses ------------------------------------------------------------------------------------
def test_a_public_host_that_is_not_answered_is_refused(production: Settings) -> None:
    production.ALLOWED_HOSTS = ["other.example.org"]

    assert ids(checks.check_public_url()) == ["config.E003"]

    for host in (".example.org", "*", "SMS.example.org"):
        production.ALLOWED_HOSTS = [host]
        assert checks.check_public_url() == []


def test_https_without_a_trusted_proxy_is_a_warning(production: Settings) -> None:
    production.TRUSTED_PROXIES = []
    assert ids(checks.check_public_url()) == ["config.W001"]

    production.PUBLIC_URL = "http://sms.example.org"
    assert checks.check_public_url() == []


# --- Redis ----------------------------------------------------------------------------------------
@pytest.fixture
def serve(state_folder: Path, settings: Settings) -> Iterator[Serve]:
    """Start a Valkey with these settings, and make it the only one."""
    layout = Layout.of(state_folder)
    supervisor = Supervisor(record=layout.children, say=lambda _: None)

    def started(**changes: str) -> redis.Redis:
        server = Valkey(layout)
        server.prepare()
        program = server.program()
        given = [word for name, value in changes.items() for word in (f"--{name}", *value.split())]
        supervisor.start(replace(program, argv=(*program.argv, *given)))
        supervisor.wait_until(server.name, server.is_ready, seconds=60)
        settings.CACHES = {"default": {"LOCATION": layout.redis_url}}
        settings.CELERY_BROKER_URL = layout.broker_url
        return redis.Redis(unix_socket_path=str(layout.valkey_socket))

    yield started
    supervisor.stop()


POLICIES = [
    f"{among}-{how}"
    for among, ways in {"allkeys": ("lru", "lfu", "random"), "volatile": ("lru", "ttl")}.items()
    for how in ways
]


def test_B41_every_policy_but_noeviction_is_refused_in_production(
    serve: Serve, settings: Settings
) -> None:
    client = serve()
    assert checks.check_redis() == []

    for policy in POLICIES:
        client.config_set("maxmemory-policy", policy)
        settings.PRODUCTION = True
        assert ids(checks.check_redis()) == ["config.E004"]
        settings.PRODUCTION = False
        assert ids(checks.check_redis()) == ["config.W004"]
    client.close()


def test_B41_a_full_server_is_a_broker_that_is_away_and_limits_go_on(
    serve: Serve, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serve()
    monkeypatch.setenv("CELERY_BROKER_URL", settings.CELERY_BROKER_URL)
    broker = tasks._Broker()
    broker.publish(tasks.canary, queue="chores")
    client.config_set("maxmemory", "1mb")
    limit = rate_limits.Limit(2, 60)

    with pytest.raises(tasks.BrokerAway):
        broker.publish(tasks.canary, queue="chores")
    granted = [rate_limits.take("full", limit=limit).granted for _ in range(3)]

    assert granted == [1, 1, 0]
    client.config_set("maxmemory", "0")
    broker.rests_until = 0
    broker.publish(tasks.canary, queue="chores")
    assert client.llen("chores") == 2
    client.close()


def test_a_server_that_forgets_with_every_restart_is_a_warning(
    serve: Serve, settings: Settings
) -> None:
    serve(appendonly="no").close()
    settings.PRODUCTION = True

    assert ids(checks.check_redis()) == ["config.W003"]


def test_a_server_that_tells_no_settings_is_a_warning(serve: Serve, settings: Settings) -> None:
    serve(**{"rename-command": "CONFIG hidden"}).close()
    settings.PRODUCTION = True

    assert ids(checks.check_redis()) == ["config.W002"]


def test_a_server_that_is_away_is_told_by_readyz_and_not_here(settings: Settings) -> None:
    settings.CACHES = {"default": {"LOCATION": "redis://127.0.0.1:1/0"}}
    settings.CELERY_BROKER_URL = "amqp://127.0.0.1//"
    settings.PRODUCTION = True

    assert checks.check_redis() == []

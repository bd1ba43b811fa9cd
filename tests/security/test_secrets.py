"""S65, S66 and S72: where secrets come from, whom they are shown to, and what they open."""

import os
import re
from pathlib import Path
from typing import Final

import pytest
import yaml
from django.apps import apps
from django.db import connection, models
from pytest_django import Settings

from config import embedded, env
from config.embedded import Layout
from config.servers import Valkey
from messaging import providers
from messaging.providers.base import InvalidProviderURL
from tests.config.test_production import production, run
from tests.house import source

ACCOUNT: Final = "AC" + "1" * 32
SENDER: Final = "from=%2B15005550006"

# Every variable that holds a secret, and a value of it that would be recognized.
SECRETS: Final = {
    "SECRET_KEY": "secretkey-hunter2-of-more-than-fifty-characters-0123456789",
    "JWT_SIGNING_KEY": "jwtkey-hunter2-of-more-than-fifty-characters-0123456789",
    "AUDIT_KEY": "auditkey-hunter2-of-more-than-fifty-characters-0123456789",
    "DATABASE_URL": "postgresql://pregon_app:dbpassword-hunter2@127.0.0.1:1/pregon",
    "REDIS_URL": "redis://:redispassword-hunter2@127.0.0.1:1/0",
    "SMS_PROVIDERS": f"twilio://{ACCOUNT}:carriertoken-hunter2@api.twilio.com?{SENDER}",
}


# --- S65 ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "api.twilio.com.evil.example", "evil.example/api.twilio.com"),
        *("apiXtwilio.com", "twilio.com", "127.0.0.1:9000", "localhost", "[::1]:9000"),
        *("169.254.169.254", "10.0.0.7", "0x7f000001", "metadata.internal"),
    ],
)
@pytest.mark.parametrize("where", ["host", "base_url"])
def test_S65_only_the_carriers_own_hosts_are_called(
    settings: Settings, host: str, where: str
) -> None:
    own = host if where == "host" else "api.twilio.com"
    more = "" if where == "host" else f"&base_url=https://{host}"
    settings.PRODUCTION = True
    settings.SMS_PROVIDERS = [f"twilio://{ACCOUNT}:token@{own}?{SENDER}{more}"]

    with pytest.raises(InvalidProviderURL):
        providers.configured()


def test_S65_nothing_that_a_member_writes_is_an_address_to_call() -> None:
    fields = {
        f"{model.__name__}.{field.name}"
        for model in apps.get_models()
        if model.__module__.split(".")[0] in source.ROOMS
        for field in model._meta.get_fields()
        if isinstance(field, models.URLField) or re.search(r"url|host|address", field.name)
    }

    assert fields == {"TermsAcceptance.address", "AuditEntry.address"}  # from where somebody came


# --- S66 ------------------------------------------------------------------------------------------
def words(value: str) -> set[str]:
    """Return the part of a value that nobody may see."""
    return {word for word in re.split(r"[:@/?]", value) if "hunter2" in word}


@pytest.mark.parametrize("as_file", [False, True], ids=["variables", "files"])
def test_S66_no_command_shows_a_secret_whatever_is_wrong(tmp_path: Path, as_file: bool) -> None:  # noqa: FBT001 - pytest gives it
    given = dict(SECRETS)
    if as_file:
        for name, value in SECRETS.items():
            (tmp_path / name).write_text(value)
            given[f"{name}_FILE"] = str(tmp_path / name)
            del given[name]
    missing = dict.fromkeys(SECRETS, "") if as_file else {}
    broken = f"{SECRETS['SMS_PROVIDERS']}&no_such_option=optionvalue-hunter2"

    told = ""
    for command, changes in (
        (("manage.py", "check", "--deploy"), {}),
        (("manage.py", "check"), {"SMS_PROVIDERS": broken, "SMS_PROVIDERS_FILE": ""}),
        (("manage.py", "migrate", "--check"), {}),  # a database that refuses
        (("-c", "from config import env; print(repr(env.read()), env.read())"), {}),
    ):
        done = run(*command, **{**missing, **given, **changes})
        told += done.stdout + done.stderr

    assert told
    for name, value in {**SECRETS, "the option": "optionvalue-hunter2"}.items():
        assert [word for word in words(value) if word in told] == [], name


def test_S66_what_is_read_from_settings_shows_none(settings: Settings) -> None:
    settings.SMS_PROVIDERS = [SECRETS["SMS_PROVIDERS"]]
    (provider,) = providers.configured()

    for shown in (repr(provider), str(provider), repr(provider.credential), provider.name):
        assert "hunter2" not in shown


def test_S66_every_secret_may_be_a_file_and_comes_from_nowhere_else() -> None:
    asked = source.variables()

    assert SECRETS.keys() <= asked.keys()
    assert "FileAwareMapping" in source.text("config/env.py")
    assert set(production()) <= asked.keys()
    assert not hasattr(env.read(), "_values")


# --- S72 ------------------------------------------------------------------------------------------
def compose() -> dict[str, dict[str, object]]:
    services: dict[str, dict[str, object]] = yaml.safe_load(source.text("compose.yaml"))["services"]
    return services


def test_S72_redis_has_a_password_and_nobody_outside_reaches_it() -> None:
    valkey = compose()["valkey"]
    command = valkey["command"]
    assert isinstance(command, list)

    assert command[command.index("--requirepass") + 1] == "${VALKEY_PASSWORD:?}"
    assert command[command.index("--rename-command") + 1] == "FLUSHALL"
    assert "ports" not in valkey
    assert "ports" not in compose()["postgres"]
    assert compose()["web"]["ports"] == ["127.0.0.1:${PORT:-8000}:8000"]


def test_S72_the_embedded_servers_listen_on_no_port(tmp_path: Path) -> None:
    argv = " ".join(Valkey(Layout.of(tmp_path)).program().argv)

    assert "--port 0" in argv
    assert "--unixsocketperm 700" in argv
    run_folder = Path(os.environ["PREGON_STATE"], "run")
    assert not run_folder.exists() or run_folder.stat().st_mode & 0o077 == 0


@pytest.mark.django_db
def test_S72_the_serving_role_is_no_superuser_and_owns_nothing() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication FROM pg_roles"
            " WHERE rolname = %s",
            [embedded.SERVING],
        )
        rights = cursor.fetchone()
        cursor.execute(
            "SELECT count(*) FROM pg_class WHERE relowner = %s::regrole", [embedded.SERVING]
        )
        owned = cursor.fetchone()[0]

    assert rights == (False,) * 5
    assert owned == 0
    assert "CREATE ROLE pregon_app LOGIN PASSWORD" in source.text("compose.yaml")
    assert "SUPERUSER" not in source.text("compose.yaml")

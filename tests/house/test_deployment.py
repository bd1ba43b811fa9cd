"""Dockerfile and compose.yaml, held against the commands, files and variables that exist."""

import json
import os
import re
import shlex
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from django.conf import settings

from config import embedded, parts, processes, servers
from config.celery import QUEUES
from config.processes import Program
from tests.house import source

ROOT = Path(__file__).resolve().parents[2]
OURS = ("web", "worker", "reports", "dispatcher", "migrate")

# What an installation on containers does not turn: tests' own, and what the embedded servers need.
NOT_FOR_COMPOSE = {"PREGON_STATE", "PREGON_TIMINGS", "PREGON_FAILPOINTS", "PORT"}


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
    return content


@pytest.fixture(scope="module")
def services(compose: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = compose["services"]
    return found


@pytest.fixture(scope="module")
def dockerfile() -> list[tuple[str, str]]:
    """Every instruction with its text, continued lines joined, comments gone."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    return [(line.split()[0], line.split(None, 1)[1]) for line in lines if line.strip()]


def words(command: str | list[str]) -> tuple[str, ...]:
    return tuple(shlex.split(command) if isinstance(command, str) else command)


def test_compose_starts_what_up_starts(services: dict[str, Any]) -> None:
    commands = {name: words(services[name]["command"]) for name in OURS}

    assert commands == {
        "web": parts.web(bind="0.0.0.0:8000"),
        "worker": parts.worker(queues=("delivery", "chores")),
        "reports": parts.worker(queues=("reports",)),
        "dispatcher": parts.DISPATCHER,
        "migrate": parts.MIGRATE,
    }


def test_the_image_starts_the_web_server(dockerfile: list[tuple[str, str]]) -> None:
    assert dict(dockerfile)["CMD"] == json.dumps(parts.web(bind="0.0.0.0:8000"))


def test_every_queue_is_consumed(services: dict[str, Any]) -> None:
    consumed = [
        queue
        for name in ("worker", "reports")
        for queue in re.findall(r"--queues (\S+)", services[name]["command"])[0].split(",")
    ]

    assert sorted(consumed) == sorted(QUEUES)


@pytest.mark.parametrize("name", OURS)
def test_each_part_gets_every_variable_that_is_read(services: dict[str, Any], name: str) -> None:
    given = set(services[name]["environment"]) | {"DATABASE_OWNER_URL"}

    assert given == source.variables().keys() - NOT_FOR_COMPOSE


def test_only_migrate_may_change_tables(services: dict[str, Any]) -> None:
    with_owner = [name for name in OURS if "DATABASE_OWNER_URL" in services[name]["environment"]]

    assert with_owner == ["migrate"]
    assert services["migrate"]["environment"]["DATABASE_URL"].startswith("postgresql://pregon_app:")


def test_every_part_waits_for_the_migrated_database(services: dict[str, Any]) -> None:
    assert services["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in set(OURS) - {"migrate"}:
        wanted = services[name]["depends_on"]
        assert wanted["migrate"] == {"condition": "service_completed_successfully"}
        assert wanted["valkey"] == {"condition": "service_healthy"}


def test_only_the_web_is_asked_for_its_health(services: dict[str, Any]) -> None:
    without = [name for name in OURS if services[name].get("healthcheck") == {"disable": True}]

    assert without == ["worker", "reports", "dispatcher", "migrate"]


@pytest.mark.parametrize("name", ["worker", "reports"])
def test_workers_may_finish_the_calls_they_have_begun(services: dict[str, Any], name: str) -> None:
    grace = Program(name=name, argv=parts.worker(), cwd=ROOT).grace

    assert services[name]["stop_grace_period"] == f"{grace:.0f}s" == "45s"


def test_nothing_but_the_web_is_published_and_that_on_loopback(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}

    assert published == {"web": ["127.0.0.1:${PORT:-8000}:8000"]}


def test_postgresql_has_the_version_and_privileges_of_the_embedded_one(
    compose: dict[str, Any],
) -> None:
    roles = compose["configs"]["roles"]["content"]
    privileges = servers.PRIVILEGES.format(owner=embedded.OWNER, serving=embedded.SERVING)

    assert compose["services"]["postgres"]["image"] == "postgres:18"
    assert " ".join(privileges.split()) in " ".join(roles.split())
    assert "SUPERUSER" not in roles


def test_valkey_keeps_its_queue_and_wants_a_password(
    services: dict[str, Any], state_folder: Path
) -> None:
    """The service's own command, run with the binary at hand."""
    command = [
        word.replace("${VALKEY_PASSWORD:?}", "made-up") for word in services["valkey"]["command"]
    ]
    layout = embedded.Layout.of(state_folder)
    valkey = servers.Valkey(layout)
    valkey.prepare()
    at_hand = valkey.program()
    door = ("--port", "0", "--unixsocket", str(layout.valkey_socket))
    server = processes.start(replace(at_hand, argv=(at_hand.argv[0], *command[1:], *door)))
    try:
        stranger = redis.Redis(unix_socket_path=str(layout.valkey_socket))
        for _ in range(1_200):  # a minute
            try:
                stranger.ping()
            except redis.AuthenticationError:
                break
            except redis.ConnectionError:
                time.sleep(0.05)
        else:
            pytest.fail("It answered without a password, or not at all.")
        client = redis.Redis(
            unix_socket_path=str(layout.valkey_socket), password="made-up", decode_responses=True
        )
        settings = client.config_get("appendonly", "appendfsync", "maxmemory-policy", "save")
        with pytest.raises(redis.ResponseError, match="unknown command"):
            client.flushall()
        client.close()
    finally:
        server.terminate()
        server.wait()

    assert settings == {
        "appendonly": "yes",
        "appendfsync": "everysec",
        "maxmemory-policy": "noeviction",
        "save": "",
    }


def test_the_image_copies_all_of_the_program_and_nothing_that_is_not_there(
    dockerfile: list[tuple[str, str]],
) -> None:
    copied = {text.split()[0] for instruction, text in dockerfile if instruction == "COPY"}
    apps = {str(app) for app in settings.INSTALLED_APPS if (ROOT / str(app)).is_dir()}

    assert copied == apps | {"templates", "manage.py", "requirements.txt"}
    assert all((ROOT / name).exists() for name in copied)


def test_the_build_context_lets_through_what_is_copied(dockerfile: list[tuple[str, str]]) -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    let_through = {line.strip("!/") for line in ignored if line.startswith("!")}
    copied = {text.split()[0] for instruction, text in dockerfile if instruction == "COPY"}

    assert "*" in ignored
    assert let_through == copied


def test_the_image_runs_as_nobody_special_and_says_whether_it_is_healthy(
    dockerfile: list[tuple[str, str]],
) -> None:
    order = [instruction for instruction, _ in dockerfile]

    assert dict(dockerfile)["USER"] == "pregon"
    assert order.index("USER") > max(i for i, name in enumerate(order) if name in {"RUN", "COPY"})
    assert "'/healthz'" in dict(dockerfile)["HEALTHCHECK"]


def test_static_files_can_be_collected_with_what_the_build_knows(
    dockerfile: list[tuple[str, str]],
) -> None:
    (command,) = [text for _, text in dockerfile if "collectstatic" in text]
    values, program = command.split(" python ")
    environment = dict(
        pair.split("=", 1) for pair in (*values.split(), *dict(dockerfile)["ENV"].split())
    )

    collected = subprocess.run(
        [sys.executable, *program.split(), "--dry-run"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        check=False,
        capture_output=True,
        text=True,
    )

    assert collected.returncode == 0, collected.stderr
    assert "static files" in collected.stdout

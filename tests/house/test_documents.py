"""What the documents name exists: commands, files, settings, fields, statuses, magic numbers."""

import json
import logging
import re
import shlex
from pathlib import Path
from typing import Final

import pytest
from django.apps import apps
from django.conf import settings
from django.core.management import get_commands

from accounts.models import Member
from accounts.roles import Right, Role
from config import demo, parts
from messaging.models import Broadcast, Message, Skip
from messaging.providers.registry import PROVIDERS
from messaging.sandbox.behaviour import MAGIC
from messaging.serializers.following import BroadcastSerializer
from tests.house import source
from tests.people import ClientOf

DOCUMENTS: Final = [path for path in source.files() if path.suffix == ".md"]

# Words in capitals that are no name in the code.
PLAIN_WORDS: Final = {"INSERT", "UPDATE", "PROVIDERS", "UPPERCASE"}


def targets() -> set[str]:
    """The make targets that a person calls: those that `make help` lists."""
    return set(re.findall(r"^([a-z-]+):.*## ", source.text("Makefile"), flags=re.MULTILINE))


def commands_table() -> list[str]:
    return [row[0].strip("`") for row in source.table("README.md", "## Commands")]


def quoted(path: Path) -> list[str]:
    """What stands between backticks in the running text."""
    text = re.sub(r"```.*?```", "", source.text(path), flags=re.DOTALL)
    return re.findall(r"`([^`]+)`", text)


# --- commands -------------------------------------------------------------------------------------


def test_the_readme_lists_every_make_command_and_no_other() -> None:
    listed = {
        command.removeprefix("make ") for command in commands_table() if command.startswith("make ")
    }

    assert listed == targets()


def test_the_checks_of_every_change_are_made_without_asking_whether_they_exist() -> None:
    """Lint, tests and demo, and whatever further tests the Makefile has."""
    called = re.search(r"^for target in ([a-z -]+); do", source.text(".ci/run"), flags=re.MULTILINE)

    assert called
    assert set(called[1].split()) == {
        *("lint", "test", "demo"),
        *(target for target in targets() if target.startswith("test-")),
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_a_make_command_that_is_named_exists(document: Path) -> None:
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", source.text(document), flags=re.MULTILINE))

    assert named <= targets()


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_a_management_command_that_is_named_exists(document: Path) -> None:
    named = set(re.findall(r"manage\.py ([a-z_]+)", source.text(document)))

    assert named <= set(get_commands())


def test_our_own_management_commands_are_in_the_readme() -> None:
    ours = {name for name, app in get_commands().items() if app in source.ROOMS}
    named = set(re.findall(r"manage\.py ([a-z_]+)", source.text("README.md")))

    assert ours <= named


def test_production_starts_what_development_starts() -> None:
    commands = [row[1].strip("`") for row in source.table("docs/deployment.md", "# In production")]

    assert commands == [
        shlex.join(command)
        for command in (parts.web(bind="0.0.0.0:8000"), parts.worker(), parts.DISPATCHER)
    ]


def test_compose_wants_what_the_deployment_page_lists() -> None:
    wanted = set(re.findall(r"\$\{([A-Z_]+):\?", source.text("compose.yaml")))
    listed = set(re.findall(r"^([A-Z_]+)=", source.text("docs/deployment.md"), flags=re.MULTILINE))

    assert listed == wanted


# --- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_a_file_that_is_named_exists(document: Path) -> None:
    looks_like_one = re.compile(
        r"[\w.-]+(/[\w.-]+)*\.(py|md|toml|yaml|txt|svg)|[\w.-]+(/[\w.-]+)+/?"
    )
    named = {word for word in quoted(document) if looks_like_one.fullmatch(word)}
    invented = {"utils.py", "helpers.py", "services.py", "var/"}  # what must not be, what is made

    missing = {word for word in named - invented if not (source.ROOT / word).exists()}

    assert {
        word
        for word in missing
        if Path(word).parts[0] in {*source.ROOMS, "tests", "docs"} or "/" not in word
    } == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_a_link_leads_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\(([^)]+)\)", source.text(document)):
        if link.startswith("http"):
            assert link.startswith("http://127.0.0.1:8000"), (
                "Documents point to nobody else's pages."
            )
            continue
        name, _, anchor = link.partition("#")
        target = Path(document.parent, name) if name else document
        assert (source.ROOT / target).exists(), link
        headings = (
            re.findall(r"^#+ (.+)$", source.text(target), flags=re.MULTILINE) if anchor else []
        )
        assert not anchor or anchor in {heading.lower().replace(" ", "-") for heading in headings}


def test_the_map_of_the_house_is_the_house() -> None:
    """Every folder at the top, and every file of the map."""
    lines = re.findall(
        r"^( *)(\S+?)(/|\.py)? {2,}",
        source.section("README.md", "## A map of the house"),
        flags=re.MULTILINE,
    )
    top = {name for indent, name, kind in lines if not indent and kind == "/"}
    inside = {f"messaging/{name}{kind}" for indent, name, kind in lines if indent}

    assert top == {path.parts[0] for path in source.files() if len(path.parts) > 1} - {
        ".ci",
        "bench",
    }
    assert [path for path in inside if not (source.ROOT / path).exists()] == []


# --- names ----------------------------------------------------------------------------------------


def known_words() -> set[str]:
    choices = {
        str(value)
        for model in apps.get_models()
        for field in model._meta.get_fields()
        for value, _label in getattr(field, "choices", None) or ()
    }
    variables = source.variables().keys()
    return {
        *choices,
        *variables,
        *(f"{name}_FILE" for name in variables),
        *Role.values,
        *Right.values,
        *dir(settings),
        *logging.getLevelNamesMapping(),
        *PLAIN_WORDS,
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_a_word_in_capitals_is_a_setting_or_a_status(document: Path) -> None:
    named = {word for word in quoted(document) if re.fullmatch(r"[A-Z][A-Z_]{3,}", word)}

    assert named - known_words() == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_a_field_that_is_named_exists(document: Path) -> None:
    models = {model.__name__: model for model in apps.get_models()}

    for name in quoted(document):
        model, _, field = name.partition(".")
        if model in models and field.isidentifier():
            assert hasattr(models[model], field), name


def test_the_message_statuses_are_those_of_the_code() -> None:
    rows = source.table("docs/api.md", "## Message statuses")

    assert [row[0].strip("`") for row in rows] == list(Message.Status.values)


def test_the_follow_example_has_the_fields_and_words_of_the_code() -> None:
    block = re.search(r"```json\n(.*?)```", source.section("docs/api.md", "## Follow"), re.DOTALL)
    assert block
    example = json.loads(block[1])
    counts = example["counts"]

    assert example["status"] in Broadcast.Status.values
    assert set(example["skipped"]) <= set(Skip.Reason.values)
    assert {status.lower() for status in Message.Status.values} <= set(counts)
    assert counts["audience"] == counts["messages"] + counts["skipped"]
    assert set(example) == set(BroadcastSerializer().fields)


def test_the_example_of_a_refusal_is_what_is_answered(client_of: ClientOf, ana: Member) -> None:
    block = re.search(r"```json\n(.*?)```", source.section("docs/api.md", "## Errors"), re.DOTALL)
    assert block

    answer = client_of(ana).post(
        "/api/messages/sms/all", {"message": "Hola", "country": "XX"}, format="json"
    )

    assert answer.json() == json.loads(block[1])


def test_the_magic_numbers_are_those_of_the_sandbox() -> None:
    rows = source.table("docs/sandbox.md", "## Numbers that misbehave")

    assert [row[0].strip("`").split()[1] for row in rows] == list(MAGIC)
    for (_number, carrier, *_rest), behaviour in zip(rows, MAGIC.values(), strict=True):
        for code in re.findall(r"\((\d{5})\)", carrier):
            assert int(code) in {behaviour.code, behaviour.final_code}


def test_the_sign_in_of_the_demo_is_the_one_in_the_readme() -> None:
    start = source.text("README.md")

    assert f"`{demo.EMAIL}`" in start
    assert f"`{demo.ADMIN_EMAIL}`" in start
    assert f"`{demo.PASSWORD}`" in start


def test_the_words_of_the_models_are_explained() -> None:
    words = {
        word.strip()
        for row in source.table("CONTRIBUTING.md", "## Words")
        for word in row[0].split(",")
    }
    helpers = {"NumberReading", "Heartbeat", "MessageEvent", "AuditEntry", "Rate", "Tag"}

    ours = {
        model.__name__
        for model in apps.get_models()
        if model.__module__.split(".")[0] in source.ROOMS
    }

    assert ours - helpers - words == set()


def test_the_recipe_copies_a_provider_that_exists() -> None:
    recipe = source.section("CONTRIBUTING.md", "## Adding a provider")

    assert "`messaging/providers/twilio/`" in recipe
    assert "twilio" in PROVIDERS
    for method in re.findall(r"- `(\w+)`", recipe):
        assert hasattr(PROVIDERS["twilio"], method), method

"""Migrations: none is missing, each is named for what it does."""

import re

import pytest
from django.core.management import call_command
from django.db import connections

from tests.house import source

MIGRATIONS = [
    path
    for path in source.files()
    if path.parent.name == "migrations" and path.suffix == ".py" and path.stem != "__init__"
]

# What `makemigrations` calls a migration that nobody named.
UNNAMED = re.compile(
    r"\d{4}_(initial|auto_.*|.*_and_more|(add|alter|remove|rename|delete)_field_.*|alter_\w+_(options|managers))"
)


@pytest.mark.django_db
def test_every_change_of_a_model_has_its_migration(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("makemigrations", "--check", "--dry-run", verbosity=1)

    assert "No changes detected" in capsys.readouterr().out
    connections.close_all()


def test_every_room_with_models_has_migrations() -> None:
    rooms = {path.parts[0] for path in MIGRATIONS}

    with_models = {
        path.parts[0] for path in source.program() if "models" in (path.stem, path.parts[1])
    }
    assert rooms == with_models


@pytest.mark.parametrize("path", MIGRATIONS, ids=str)
def test_a_migration_is_named_for_what_it_does(path: object) -> None:
    stem = str(path).rsplit("/", 1)[-1].removesuffix(".py")

    assert re.fullmatch(r"\d{4}_[a-z0-9]+(_[a-z0-9]+)+", stem), (
        "Number, then words: 0001_organizations_members"
    )
    assert not UNNAMED.fullmatch(stem), "Name it: makemigrations --name what_it_does"

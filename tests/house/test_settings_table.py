"""The README's settings table, held against config/env.py, and both against the rest of the code."""

import ast
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.house import source

# These set no setting: which settings module there is, and the whole environment handed to a child.
ALLOWED_ELSEWHERE: Final = {
    Path("manage.py"),
    Path("config/celery.py"),
    Path("config/wsgi.py"),
    Path("config/management/commands/up.py"),
}


def in_readme() -> dict[str, str]:
    """Variable → default, as the README says it."""
    return {
        name.strip("`"): default
        for name, default, _meaning in source.table("README.md", "## Settings")
    }


def test_every_variable_that_is_read_is_in_the_table() -> None:
    assert source.variables().keys() - in_readme().keys() == set()


def test_every_variable_of_the_table_is_read() -> None:
    assert in_readme().keys() - source.variables().keys() == set()


@pytest.mark.parametrize(
    ("name", "default"), [pair for pair in source.variables().items() if pair[1] is not None]
)
def test_the_table_says_the_default(name: str, default: str) -> None:
    assert f"`{default}`" in in_readme()[name]


def test_nobody_else_reads_the_environment() -> None:
    readers = {
        path
        for path in (*source.program(), Path("manage.py"))
        for node in ast.walk(source.tree(path))
        if isinstance(node, ast.Attribute)
        and node.attr in {"environ", "getenv"}
        and isinstance(node.value, ast.Name)
        and node.value.id == "os"
    }

    assert readers == ALLOWED_ELSEWHERE


@pytest.mark.parametrize("name", ["RATE_LIMIT", "SECRET_KEY", "SMS_PROVIDERS"])
def test_a_variable_may_be_a_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "value").write_text("from-a-file\n")
    environment = {key: value for key, value in os.environ.items() if key != name}

    shown = subprocess.run(
        [
            sys.executable,
            "-c",
            f"from config import env; print(getattr(env.read(), '{name.lower()}'))",
        ],
        cwd=source.ROOT,
        env={**environment, f"{name}_FILE": str(tmp_path / "value")},
        check=True,
        capture_output=True,
        text=True,
    )

    assert shown.stdout.strip().strip("[']") == "from-a-file"

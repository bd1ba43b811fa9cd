"""Habits that no linter knows: no delays in Celery, no rows without an organization, no huge file."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.house import source

LONGEST: Final = 450  # lines; past 400 a file is split by noun


def calls_that_delay(tree: ast.Module) -> Iterator[int]:
    """Line numbers where Celery is asked to wait: delays live in `next_attempt_at`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg in {"countdown", "eta"}:
            yield node.value.lineno
        elif isinstance(node, ast.Attribute) and node.attr == "retry":
            yield node.lineno
        elif isinstance(node, ast.Dict):
            for key in node.keys:
                if isinstance(key, ast.Constant) and key.value in {"countdown", "eta"}:
                    yield key.lineno


def queries_of_everybody(tree: ast.Module) -> Iterator[int]:
    """Line numbers where rows are read through a manager, so of whatever organization."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in {
            "objects",
            "_default_manager",
            "_base_manager",
        }:
            yield node.lineno


@pytest.mark.parametrize("path", source.program(), ids=str)
def test_B45_nothing_waits_in_celery(path: Path) -> None:
    assert list(calls_that_delay(source.tree(path))) == []


@pytest.mark.parametrize(
    "code",
    [
        "drain.apply_async(args=[1], countdown=5)",
        "drain.apply_async(args=[1], eta=soon)",
        "drain.apply_async(**{'eta': soon})",
        "self.retry(exc=error)",
        "raise drain.retry()",
    ],
)
def test_B45_a_delay_is_found(code: str) -> None:
    assert list(calls_that_delay(ast.parse(code))) == [1]


def is_of_views(path: Path) -> bool:
    """Whether the module answers requests of the API: it, or the package it is in, is named for that."""
    return bool({"views", "webhooks"} & {path.stem, *path.parts}) or path.stem.endswith("_views")


@pytest.mark.parametrize("path", [path for path in source.program() if is_of_views(path)], ids=str)
def test_S14_views_read_rows_through_for_org(path: Path) -> None:
    assert list(queries_of_everybody(source.tree(path))) == []


@pytest.mark.parametrize(
    "code", ["Contact.objects.get(pk=1)", "rows = Contact._default_manager", "Contact.objects"]
)
def test_S14_a_query_of_everybody_is_found(code: str) -> None:
    assert list(queries_of_everybody(ast.parse(code))) == [1]


@pytest.mark.parametrize(
    "path",
    [path for path in source.files() if path.suffix in {".py", ".html", ".css", ".js"}],
    ids=str,
)
def test_no_file_is_too_long_to_be_read(path: Path) -> None:
    assert len(source.text(path).splitlines()) <= LONGEST, "Split it by noun, never by kind."


# --- what does not belong into a repository -------------------------------------------------------

UNWANTED: Final = {
    "the host of a package registry": re.compile(
        r"pypi\.org|pythonhosted\.org|registry\.npmjs|proxy\.golang|index\.crates|rubygems\.org"
        r"|index-url[ =]\S|trusted-host[ =]\S"
    ),
    "a path of somebody's machine": re.compile(r"(?<![\w.])/(?:root|home|Users)/[\w.]"),
    "a promise instead of code": re.compile(r"\b(?:TODO|FIXME|XXX)\b(?!['\"|)])"),
}


@pytest.mark.parametrize("what", UNWANTED)
def test_no_file_holds(what: str) -> None:
    found = [
        f"{path}:{number}"
        for path in source.files()
        for number, line in enumerate(source.text(path).splitlines(), start=1)
        if UNWANTED[what].search(line)
    ]

    assert found == []


@pytest.mark.parametrize(
    ("what", "line"),
    [
        (
            "the host of a package registry",
            "pip install --index" + "-url https://mirror.example/simple",
        ),
        ("the host of a package registry", "https://files.python" + "hosted.org/packages"),
        ("a path of somebody's machine", "cd /" + "home/ana/pregon"),
        ("a path of somebody's machine", "source=/" + "root/.venv"),
        ("a promise instead of code", "# TO" + "DO: later"),
    ],
)
def test_it_would_be_found(what: str, line: str) -> None:
    assert UNWANTED[what].search(line)


def test_no_test_is_skipped() -> None:
    skips = re.compile(r"mark\.(skip|skipif|xfail)\b|pytest\.(skip|importorskip|xfail)\(")
    found = [
        str(path)
        for path in source.files()
        if path.parts[0] == "tests" and path.suffix == ".py" and skips.search(source.text(path))
    ]

    assert found == []

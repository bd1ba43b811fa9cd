"""docs/reliability.md, held against the tests it names, the log lines it explains and the steps it gives."""

import ast
import logging
import re
from typing import Final

import pytest

from config import log_sink
from messaging.models import Broadcast
from tests.faults.test_catalogue import EXCEPTIONS, LATER, ROWS
from tests.house import source
from tests.security.test_lines import LINES

DOCUMENT: Final = "docs/reliability.md"
TABLES: Final = (
    "### Accepting",
    "### Queue and workers",
    "### Carriers",
    "### Reports and answers",
    "### Data and operations",
    "### Security",
)
CONSENT: Final = {f"S{number}" for number in range(29, 34)}


def rows() -> dict[str, str]:
    """Return the file that each row's test is in, by the row's id."""
    return {
        row: test.strip("`") for head in TABLES for row, _what, test in source.table(DOCUMENT, head)
    }


def not_shown() -> dict[str, str]:
    return dict(source.table(DOCUMENT, "### Not shown"))


def test_every_row_stands_there_once_with_a_test_or_a_reason() -> None:
    listed = [
        *(row for head in TABLES for row, *_rest in source.table(DOCUMENT, head)),
        *not_shown(),
    ]

    assert sorted(listed) == sorted({*ROWS, *LINES, *CONSENT})


def test_what_is_not_shown_is_what_the_catalogue_leaves_out() -> None:
    assert not_shown().keys() == {*LATER, *EXCEPTIONS}


@pytest.mark.parametrize("row", sorted(rows()))
def test_the_file_has_a_test_of_that_name(row: str) -> None:
    names = re.findall(r"def (test_\w+)", source.text(rows()[row]))

    assert [name for name in names if re.search(rf"(^test|_)_?{row}_", name)]


# --- alerts ---------------------------------------------------------------------------------------
LEVELS: Final = {"warning": logging.WARNING, "error": logging.ERROR, "exception": logging.ERROR}


def logged() -> dict[str, int]:
    """Every event that the program logs at WARNING or above, with the highest level it has."""
    found = {log_sink.LOST: logging.WARNING}
    for path in source.program():
        if path.parts[:2] == ("messaging", "sandbox"):  # another company's, as it were
            continue
        for node in ast.walk(source.tree(path)):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            called, first = node.func, node.args[0] if node.args else None
            if not (isinstance(first, ast.Constant) and isinstance(first.value, str)):
                continue
            is_log = ast.unparse(called.value).rpartition(".")[2] in {"log", "logger"}
            if is_log and called.attr in LEVELS:
                level = LEVELS[called.attr]
            elif called.attr == "_log_defect":
                level = logging.ERROR
            else:
                continue
            found[first.value] = max(level, found.get(first.value, 0))
    return found


def explained() -> dict[str, int]:
    """Every event of the two tables of alerts, with the level that its table is about."""
    text = source.section(DOCUMENT, "### Alerts")
    urgent, _, rest = text.partition("Worth a look")
    return {
        event: level
        for level, part in ((logging.ERROR, urgent), (logging.WARNING, rest))
        for event in re.findall(r"^\| `(\w+)` \|", part, flags=re.MULTILINE)
    }


def test_every_event_that_is_logged_is_explained_where_its_level_belongs() -> None:
    assert explained() == logged()


# --- steps ----------------------------------------------------------------------------------------
def test_every_reason_for_a_pause_is_explained() -> None:
    table = source.table(DOCUMENT, "## What pauses a broadcast by itself")

    assert {row[0].strip("`") for row in table} == set(Broadcast.PausedBecause.values)


def test_the_steps_of_restoring_are_those_of_the_test() -> None:
    steps = source.section(DOCUMENT, "## Restoring")
    order = [
        "PREGON_SENDING=off",
        "DROP DATABASE pregon",
        "pg_restore",
        "after_restore --yes",
        "audit_ledger",
    ]

    assert [steps.index(step) for step in order] == sorted(steps.index(step) for step in order)
    tested = source.text("tests/faults/test_data_restored.py")
    for word in ("DROP DATABASE", "pg_restore", "--exit-on-error", "after_restore", "audit_ledger"):
        assert word in tested


def test_its_compose_services_exist() -> None:
    services = set(re.findall(r"^  ([a-z]+):$", source.text("compose.yaml"), flags=re.MULTILINE))
    text = source.text(DOCUMENT)
    named = {
        *re.findall(r"docker compose (?:exec|run)(?: -T| --rm)* ([a-z]+)", text),
        *(
            word
            for stopped in re.findall(r"docker compose stop([ a-z]+)", text)
            for word in stopped.split()
        ),
    }

    assert {"postgres", "web", "worker", "dispatcher"} <= named <= services

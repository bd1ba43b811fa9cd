"""Every act that is recorded has a word that people read, and every word an act."""

import ast
import re
from collections.abc import Iterator
from typing import Final

import pytest

from accounts import acts
from tests.house import source

_WORDS: Final = "accounts/acts.py"
_NOUNS: Final = frozenset().union(*(nouns for _title, nouns in acts.GROUPS.values()))
_ACT: Final = re.compile(r"[a-z_]+\.[a-z_]*ed")  # what was done, and no name of a task or a file

# What the trail must tell of, as groups of acts.
TOLD: Final = {
    "sends, approvals and run control": "broadcasts",
    "credits": "credits",
    "terms": "terms",
    "members": "members",
    "keys": "keys",
    "opt-outs": "suppressions",
    "settings": "organizations",
    "imports": "imports",
    "exports": "exports",
}


def literals(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def recorded_by(tree: ast.AST) -> Iterator[str]:
    """Acts that are written where something is recorded, of whatever noun."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg == "act":
                    yield from literals(keyword.value)


def recorded() -> set[str]:
    """Every act that the program names: at the call, or as a text with one of the nouns before its dot."""
    found: set[str] = set()
    for path in source.program():
        if str(path) != _WORDS:
            tree = source.tree(path)
            found |= set(recorded_by(tree))
            found |= {
                text
                for text in literals(tree)
                if _ACT.fullmatch(text) and acts.noun_of(text) in _NOUNS
            }
    return found


def test_every_act_has_its_word_and_every_word_its_act() -> None:
    assert recorded() == set(acts.LABELS)


def details_of(tree: ast.AST) -> Iterator[str]:
    """Names of details that are written where something is recorded."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            for keyword in node.keywords:
                if keyword.arg == "details" and isinstance(keyword.value, ast.Dict):
                    for key in keyword.value.keys:
                        if key is not None:
                            yield from literals(key)


def test_every_detail_has_its_word() -> None:
    names = {name for path in source.program() for name in details_of(source.tree(path))}

    assert {"paused_because", "filters", "role"} <= names
    assert [name for name in sorted(names) if not acts.has_word(name)] == []


@pytest.mark.parametrize("act", acts.LABELS)
def test_an_act_is_found_in_exactly_one_group(act: str) -> None:
    groups = [title for title, nouns in acts.GROUPS.values() if acts.noun_of(act) in nouns]

    assert len(groups) == 1


@pytest.mark.parametrize("what", TOLD)
def test_the_trail_tells_of(what: str) -> None:
    nouns = acts.GROUPS[TOLD[what]][1]

    assert [act for act in recorded() if acts.noun_of(act) in nouns]


@pytest.mark.parametrize(
    ("code", "act"),
    [
        ("audit.record(act='x.done', subject=row)", "x.done"),
        ("audit.record(act='x.drafted' if new else 'x.changed')", "x.drafted"),
        ("AuditEntry.objects.create(act='x.done')", "x.done"),
    ],
)
def test_an_act_without_a_word_is_found(code: str, act: str) -> None:
    assert act in set(recorded_by(ast.parse(code)))

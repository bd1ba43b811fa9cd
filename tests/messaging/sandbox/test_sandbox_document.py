"""What is written about the sandbox carrier is what it does."""

import json
import re
import shlex
from typing import Any

from messaging.sandbox import rules
from messaging.sandbox.answers import BODIES
from messaging.sandbox.behaviour import MAGIC, PRESETS, Behaviour
from tests.house import source


def table(heading: str) -> dict[str, list[str]]:
    """Return the rows of the table whose first column has this heading, by their first cell."""
    text = source.text("docs/sandbox.md")
    rows = text.split(f"\n| {heading} |", 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    cells = [re.split(r"(?<!\\)\|", row)[1:-1] for row in rows]
    return {row[0].strip(): [cell.strip() for cell in row[1:]] for row in cells}


def described(behaviour: Behaviour) -> dict[str, Any]:
    return {name: getattr(behaviour, name) for name in Behaviour.__dataclass_fields__}


def test_the_document_has_every_preset_as_it_is() -> None:
    documented = table("Preset")

    assert [name.strip("`") for name in documented] == list(PRESETS)
    for name, (said,) in documented.items():
        (rule,) = rules.read(json.loads(said.strip("`")))
        assert described(rule.behaviour) == described(PRESETS[name.strip("`")]), name


def test_the_document_has_every_field_and_every_body() -> None:
    text = source.text("docs/sandbox.md").split("## Misbehaving on request", 1)[1]
    section = text.split("**In a batch**", 1)[0]
    fields = [
        name
        for row in re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", section, flags=re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    ]

    expected = [*rules.FIELDS, *BODIES, *PRESETS]
    assert set(fields) == set(expected)
    assert set(rules.FIELDS) == {
        *rules.Match.__dataclass_fields__,
        *Behaviour.__dataclass_fields__,
    }


def test_every_example_in_the_document_is_a_rule() -> None:
    lines = re.findall(r"^curl .*$", source.text("docs/sandbox.md"), flags=re.MULTILINE)
    examples = [shlex.split(line) for line in lines if "/behaviour" in line and " -d " in line]

    assert len(examples) > 15
    for words in examples:
        rules.read(json.loads(words[words.index("-d") + 1]))


def test_a_magic_number_is_a_preset() -> None:
    assert all(behaviour in PRESETS.values() for behaviour in MAGIC.values())

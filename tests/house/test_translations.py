"""Every text that people read exists in Spanish, and the compiled catalogue says what its source says.

After changing a text: `manage.py makemessages -l es -i tests -i bench --no-wrap --add-location=file`,
translate what is new in config/locale/es/LC_MESSAGES/django.po, then `manage.py compilemessages`.
Both need Debian's package gettext; this test needs nothing.
"""

import ast
import re
from collections.abc import Iterator
from gettext import GNUTranslations
from pathlib import Path
from typing import Any, Final

import pytest
from django.template import Engine
from django.template.base import Node
from django.templatetags.i18n import BlockTranslateNode, TranslateNode

from tests.house import source

CATALOGUE: Final = source.ROOT / "config/locale/es/LC_MESSAGES/django.po"

# Django's functions that mark a text, and which of their arguments are texts.
_MARKS: Final = {
    "gettext": slice(1),
    "gettext_lazy": slice(1),
    "ngettext": slice(2),
    "ngettext_lazy": slice(2),
    "pgettext": slice(1, 2),
    "pgettext_lazy": slice(1, 2),
}
_PLACEHOLDER: Final = re.compile(r"%\(\w+\)[sd]|\{\w*\}|</?\w+[^>]*>")
_ENTRY_LINE: Final = re.compile(r'(?:(msgctxt|msgid|msgid_plural|msgstr|msgstr\[\d\]) )?(".*")')


def said_in_code() -> dict[str, str]:
    """Return every text that Python code marks for translation, with the file that says it."""
    return {
        text: str(path) for path in source.program() for text in _marked(source.tree(path), path)
    }


def _marks(tree: ast.Module) -> dict[str, slice]:
    """Return the marks under the names by which this file imports them, as `_`."""
    return {
        alias.asname or alias.name: _MARKS[alias.name]
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation"
        for alias in node.names
        if alias.name in _MARKS
    }


def _marked(tree: ast.Module, path: Path) -> Iterator[str]:
    marks = _marks(tree)
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        for argument in node.args[marks.get(node.func.id, slice(0))]:
            assert isinstance(argument, ast.Constant), (
                f"{path}:{node.lineno}: a text that is put together cannot be translated"
            )
            yield str(argument.value)


def said_in_templates() -> dict[str, str]:
    """Return every text that a template marks for translation, with the template's name."""
    engine = Engine.get_default()
    return {
        text: str(path)
        for path in source.files()
        if path.parts[0] == "templates" and path.suffix == ".html"
        for text in _of_nodes(engine.from_string(source.text(path)).nodelist)
    }


def _of_nodes(nodes: list[Node]) -> Iterator[str]:
    found: Any  # what the nodes are made of is Django's own affair
    for node in nodes:
        for found in node.get_nodes_by_type(TranslateNode):
            yield found.filter_expression.var.literal
        for found in node.get_nodes_by_type(BlockTranslateNode):
            yield found.render_token_list(found.singular)[0].replace("%%", "%")
            if found.plural:
                yield found.render_token_list(found.plural)[0].replace("%%", "%")


def entries() -> list[dict[str, str]]:
    """Return the entries of the .po: `msgid`, `msgid_plural`, `msgstr` or `msgstr[0]`, `msgstr[1]`."""
    found: list[dict[str, str]] = []
    for block in CATALOGUE.read_text().split("\n\n"):
        entry: dict[str, str] = {}
        keyword = ""
        for line in block.splitlines():
            if line.startswith("#"):
                assert "fuzzy" not in line, f"a guess nobody confirmed: {block}"
                continue
            written = _ENTRY_LINE.fullmatch(line)
            assert written, f"not a line of a .po: {line}"
            keyword = written[1] or keyword
            entry[keyword] = entry.get(keyword, "") + ast.literal_eval(written[2])
        if entry.get("msgid"):
            found.append(entry)
    return found


def texts_of(entry: dict[str, str]) -> set[str]:
    return {entry[keyword] for keyword in ("msgid", "msgid_plural") if keyword in entry}


def translations_of(entry: dict[str, str]) -> list[str]:
    return [text for keyword, text in entry.items() if keyword.startswith("msgstr")]


@pytest.mark.parametrize(
    "code",
    [
        "from django.utils.translation import gettext\ngettext('Hola')",
        "from django.utils.translation import gettext_lazy as _lazy\n_lazy('Hola')",
        "from django.utils.translation import ngettext as _n\n_n('Hola', 'Hola', 2)",
        "from django.utils.translation import pgettext\npgettext('in a letter', 'Hola')",
    ],
)
def test_a_text_is_found_whatever_its_mark_is_called(code: str) -> None:
    assert set(_marked(ast.parse(code), Path("code.py"))) == {"Hola"}


def test_marks_are_those_of_gettext_alone() -> None:
    """What else Django offers, as npgettext, would be invisible here: add it to `_MARKS` first."""
    imported = {
        alias.name
        for path in source.program()
        for node in ast.walk(source.tree(path))
        if isinstance(node, ast.ImportFrom) and node.module == "django.utils.translation"
        for alias in node.names
    }

    assert {name for name in imported if "gettext" in name} <= set(_MARKS)


def test_every_text_of_the_program_is_in_the_catalogue() -> None:
    known = set().union(*map(texts_of, entries()))

    said = said_in_code() | said_in_templates()

    assert len(said) > 300
    assert {text: place for text, place in said.items() if text not in known} == {}


def test_the_catalogue_holds_nothing_that_the_program_no_longer_says() -> None:
    said = said_in_code() | said_in_templates()

    assert [entry["msgid"] for entry in entries() if entry["msgid"] not in said] == []


def test_every_entry_is_translated_in_all_its_forms() -> None:
    for entry in entries():
        assert len(translations_of(entry)) == (2 if "msgid_plural" in entry else 1), entry
        assert all(translations_of(entry)), entry


def test_a_translation_keeps_what_is_filled_in() -> None:
    for entry in entries():
        wanted = sorted(_PLACEHOLDER.findall(entry["msgid"]))
        for translation in translations_of(entry):
            assert sorted(_PLACEHOLDER.findall(translation)) == wanted, entry


def test_the_compiled_catalogue_says_what_its_source_says() -> None:
    with CATALOGUE.with_suffix(".mo").open("rb") as file:
        compiled = GNUTranslations(file)

    for entry in entries():
        if "msgid_plural" in entry:
            for number, form in ((1, "msgstr[0]"), (2, "msgstr[1]"), (1_000_000, "msgstr[1]")):
                told = compiled.ngettext(entry["msgid"], entry["msgid_plural"], number)
                assert told == entry[form]
        elif "msgctxt" in entry:
            assert compiled.pgettext(entry["msgctxt"], entry["msgid"]) == entry["msgstr"]
        else:
            assert compiled.gettext(entry["msgid"]) == entry["msgstr"]
    assert len(compiled._catalog) - 1 == sum(len(translations_of(entry)) for entry in entries())  # type: ignore[attr-defined]  # the one way to count

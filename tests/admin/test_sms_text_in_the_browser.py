"""The count as one types: the browser's own says of every text what the server says."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from django.contrib.staticfiles import finders
from hypothesis import given, settings
from hypothesis import strategies as st
from py_mini_racer import MiniRacer

from messaging import sms_text
from messaging.admin.composing import ALPHABET

Measured = Callable[[str], dict[str, Any]]

_LETTERS: Final = "aZ09 \n\r\f@€{}~^ñçÇáíóú“”😀👨‍👩‍👧\x1b\u200b\u2028ё中\ue000"


@pytest.fixture(scope="module")
def in_the_browser() -> Iterator[Measured]:
    """The browser's count, run by the engine of Chromium."""
    engine = MiniRacer()
    engine.eval(Path(str(finders.find("pregon/sms_text.js"))).read_text())

    def measured(text: str) -> dict[str, Any]:
        asked = f"pregonSms.measure({json.dumps(text)}, {json.dumps(ALPHABET)})"
        found: dict[str, Any] = json.loads(str(engine.eval(f"JSON.stringify({asked})")))
        return found

    yield measured
    engine.close()


def _agree(text: str, measured: Measured) -> None:
    ours, theirs = sms_text.measure(text), measured(text)

    assert theirs["encoding"] == ours.encoding
    assert theirs["segments"] == ours.segments
    assert theirs["characters"] == ours.characters
    assert theirs["nonGsm"] == list(ours.non_gsm)


@pytest.mark.parametrize("letter", ["a", "€", "á", "😀"])
@pytest.mark.parametrize("room", [70, 67, 134, 160, 153, 306, 459])
def test_the_browser_counts_as_the_server_around_every_boundary(
    in_the_browser: Measured, letter: str, room: int
) -> None:
    for length in range(room - 2, room + 3):
        for text in (letter * length, letter * (length // 2), "a" * (length - 1) + letter):
            _agree(text, in_the_browser)


@settings(max_examples=150, deadline=None)
@given(text=st.one_of(st.text(), st.text(alphabet=_LETTERS, max_size=400)))
def test_the_browser_counts_as_the_server_whatever_is_typed(
    in_the_browser: Measured, text: str
) -> None:
    _agree(text, in_the_browser)


def test_every_letter_of_the_alphabets_costs_what_it_costs(in_the_browser: Measured) -> None:
    for letter in sms_text.BASIC + sms_text.EXTENSION:
        _agree(letter, in_the_browser)


def test_what_is_left_of_the_last_segment_is_told(in_the_browser: Measured) -> None:
    assert in_the_browser("a" * 150)["left"] == 10
    assert in_the_browser("a" * 170)["left"] == 2 * 153 - 170
    assert in_the_browser("á" * 60)["left"] == 10

"""What a text is as an SMS, held against a slow counter that knows nothing of ours."""

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from messaging import sms_text
from messaging.sms_text import GSM_7, UCS_2, measure

# 3GPP 23.038, table 6.2.1, by row of the printed table and not by the order of our constant.
BASIC_ALPHABET = set(
    "@Δ 0¡P¿p£_!1AQaq$Φ\"2BRbr¥Γ#3CScsèΛ¤4DTdtéΩ%5EUeuùΠ&6FVfvìΨ'7GWgwòΣ(8HXhxÇΘ)9IYiy\nΞ*:JZjz"
    "Ø+;KÄkäøÆ,<LÖlö\ræ-=MÑmñÅß.>NÜnüåÉ/?O§oà"
)
EXTENSION_TABLE = set("\x0c^{}\\[~]|€")


def slow_segments(text: str) -> tuple[str, int, int]:
    """Count as a person would: fill segment after segment with whole characters."""
    if all(character in BASIC_ALPHABET | EXTENSION_TABLE for character in text):
        encoding, alone, joined = "GSM-7", 160, 153
        sizes = [2 if character in EXTENSION_TABLE else 1 for character in text]
    else:
        encoding, alone, joined = "UCS-2", 70, 67
        sizes = [2 if ord(character) > 0xFFFF else 1 for character in text]
    if sum(sizes) <= alone:
        return encoding, 1, sum(sizes)
    segments, room = 1, joined
    for size in sizes:
        if size > room:
            segments, room = segments + 1, joined
        room -= size
    return encoding, segments, sum(sizes)


def few_or_many(alphabet: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts around the borders: hypothesis alone seldom writes more than a hundred characters."""
    return st.lists(st.tuples(alphabet, st.integers(1, 160)), max_size=8).map(
        lambda runs: "".join(character * times for character, times in runs)
    )


TEXTS = st.one_of(
    few_or_many(st.sampled_from("aé\n€^[")),
    few_or_many(st.sampled_from("aá€中😀")),
    few_or_many(st.characters(exclude_categories=["Cs"])),
    st.text(),
)


@given(TEXTS)
@example("€" * 153)
@example("😀" * 67)
def test_it_counts_as_the_slow_counter_does(text: str) -> None:
    measured = measure(text)

    assert (measured.encoding, measured.segments, measured.characters) == slow_segments(text)


@given(TEXTS)
def test_it_names_each_character_that_forces_ucs_2_once_in_order(text: str) -> None:
    expected: list[str] = []
    for character in text:
        if character not in BASIC_ALPHABET | EXTENSION_TABLE and character not in expected:
            expected.append(character)

    assert list(measure(text).non_gsm) == expected


@pytest.mark.parametrize(
    ("text", "encoding", "segments"),
    [
        ("", GSM_7, 1),
        ("a" * 160, GSM_7, 1),
        ("a" * 161, GSM_7, 2),
        ("a" * 306, GSM_7, 2),
        ("a" * 307, GSM_7, 3),
        ("€" * 80, GSM_7, 1),
        ("€" * 81, GSM_7, 2),
        ("a" + "€" * 80, GSM_7, 2),
        ("€" * 152, GSM_7, 2),
        ("€" * 153, GSM_7, 3),
        ("a" * 152 + "€" + "a" * 152, GSM_7, 3),
        ("a" * 151 + "€" + "a" * 153, GSM_7, 2),
        ("á" * 70, UCS_2, 1),
        ("á" * 71, UCS_2, 2),
        ("á" * 134, UCS_2, 2),
        ("á" * 135, UCS_2, 3),
        ("😀" * 35, UCS_2, 1),
        ("😀" * 36, UCS_2, 2),
        ("😀" * 66, UCS_2, 2),
        ("😀" * 67, UCS_2, 3),
        ("á" * 66 + "😀" + "á" * 66, UCS_2, 3),
        ("á" * 65 + "😀" + "á" * 67, UCS_2, 2),
        ("`", UCS_2, 1),
        ("\x1b", UCS_2, 1),
        ("\t", UCS_2, 1),
        ("ç", UCS_2, 1),
        ("Ç", GSM_7, 1),
    ],
)
def test_borders_and_pairs(text: str, encoding: str, segments: int) -> None:
    assert measure(text)[:2] == (encoding, segments)


def test_the_alphabet_is_the_one_of_the_standard() -> None:
    assert set(sms_text.BASIC) == BASIC_ALPHABET
    assert len(sms_text.BASIC) == 127
    assert set(sms_text.EXTENSION) == EXTENSION_TABLE


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \t\r\n",
        "\0",
        "\x1b\x7f\x85",
        "\u200b\u200c\u200d",
        "\ufeff",
        "\xad",
        "\u2060\u2066\u2069",
        "\u202a\u202c \u202e",
        "\u3164\uffa0\u115f",
        "\u2800",
        "\ufe0f",
        "\u3000\u00a0\u2028\u2029",
        "\U000e0041\U000e007f",
    ],
)
def test_what_cannot_be_seen_is_blank(text: str) -> None:
    assert sms_text.is_blank(text)


@pytest.mark.parametrize(
    "text", ["a", " a ", "\u200b.\u200b", "👩‍👩‍👧", "\u0600", "ك", "─", "\ufffd"]
)
def test_what_can_be_seen_is_not_blank(text: str) -> None:
    assert not sms_text.is_blank(text)


@given(st.text())
def test_only_separators_controls_formats_and_fillers_are_invisible(text: str) -> None:
    letters = [c for c in text if unicodedata.category(c)[0] in "LNPS" and c.isprintable()]
    fillers = set("\u115f\u1160\u3164\uffa0\u2800")

    assert sms_text.is_blank(text) <= (set(letters) <= fillers)

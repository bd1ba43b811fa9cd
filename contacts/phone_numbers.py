"""Reading phone numbers: what a number as written comes to in E.164, and whether it can be texted.

Pure but for the numbering plans of `phonenumbers`. A reading costs 20 to 40 µs, so it is made once,
at the door, and kept. It takes what people and their spreadsheets write: spaces, brackets, dashes,
dots and one slash; the digits of all scripts; invisible marks that copying leaves behind. All else
is refused, as extensions, letters and superscripts: half understood, it is another's number.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

import phonenumbers
from phonenumbers import PhoneNumberType

NOWHERE: Final = "ZZ"
"""The country of a national number of which no country is known."""

INVALID: Final = "invalid_number"
UNSUPPORTED: Final = "unsupported_number"

LONGEST: Final = 64
"""Characters a number as written may have."""

# Premium, shared-cost and personal numbers bill whoever writes to them; the others are no person's
# phone. Fixed lines, toll-free and internet numbers stay: many take texts, and the carrier says
# which do not.
_UNSUPPORTED_KINDS: Final = frozenset(
    {
        PhoneNumberType.PREMIUM_RATE,
        PhoneNumberType.SHARED_COST,
        PhoneNumberType.PERSONAL_NUMBER,
        PhoneNumberType.PAGER,
        PhoneNumberType.UAN,
        PhoneNumberType.VOICEMAIL,
    }
)
_NO_COUNTRY: Final = "001"  # satellite networks and international services: +870, +881, +882, …

_SEPARATORS: Final = str.maketrans("", "", " \t\r\n()-./")
_DIGITS: Final = re.compile(r"\+?[0-9]+")
# A second number, or the fraction that a spreadsheet adds to a number it took for a quantity.
_NOT_ONE_NUMBER: Final = re.compile(r"/.*/|[0-9]{5}\.0\s*$|\S[\t\r\n]+\S", re.DOTALL)
# Soft hyphen, zero-width and joining marks, left-to-right marks and isolates. The override that
# turns digits around (U+202E) is not among them.
_INVISIBLE: Final = frozenset(
    "\xad\u200b\u200c\u200d\u200e\u200f\u202a\u202c\u202d\u2060\u2066\u2068\u2069\ufeff"
)
# What address books, messengers and carriers still write, and how it is written today. Mexico dropped
# prefixes in 2019; Brazil's mobiles have a ninth digit since 2016.
_RETIRED: Final = {
    52: (re.compile(r"(?:1|01|044|045)([2-9][0-9]{9})"), r"\1"),
    55: (re.compile(r"([1-9]{2})([689][0-9]{7})"), r"\g<1>9\2"),
}
# A mobile of Argentina is written with a 9 or without, and both are valid. No two telephones differ in it
# alone, and of these only mobiles take texts, which are sent to the number with the 9.
_ARGENTINA: Final = 54
_GEOGRAPHIC: Final = frozenset({PhoneNumberType.FIXED_LINE, PhoneNumberType.FIXED_LINE_OR_MOBILE})


class UnsupportedCountry(ValueError):
    """The text names no country with phone numbers of its own."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a number came to. An unsupported number keeps its E.164; an invalid one has none."""

    e164: str
    region: str
    """Two letters; empty for an invalid number and for one that belongs to no country."""
    refusal: Literal["", "invalid_number", "unsupported_number"]


_INVALID: Final = Reading("", "", INVALID)


def read(number: str, country: str) -> Reading:
    """Return what the number comes to, a national one being read as dialed inside the country.

    `country` is two capital letters, or `ZZ` or nothing where none is known; an international
    number needs none. Reading the E.164 of a reading gives the same reading again.
    """
    return _read(_plain(number), country)


def read_contact(number: str, own_country: str, default_country: str) -> tuple[Reading, str]:
    """Return a contact's reading and the country it had to be read with, if it needed one.

    The first that holds: international → the contact's own country → the organization's default.
    A number of the own country that may not be texted settles it: it is not tried in another. The
    country is also empty where the number is invalid in every one: none will change it.
    """
    plain = _plain(number)
    if not plain or plain.startswith("+"):
        return _read(plain, NOWHERE), ""
    reading = _read(plain, own_country)
    if reading.refusal != INVALID:
        return reading, ""
    if default_country != own_country:
        reading = _read(plain, default_country)
    return reading, default_country or NOWHERE


def country_of(text: str) -> str:
    """Return the two letters of a country given as such, in any case, or by its calling code.

    A code that countries share means the main one: `1` is US, `+44` is GB.

    Raises: UnsupportedCountry.
    """
    name = text.strip()
    if re.fullmatch(r"\+?[1-9][0-9]{0,2}", name):
        region = phonenumbers.region_code_for_country_code(int(name))
    else:
        region = name.upper() if name.isascii() else ""
    if region not in phonenumbers.SUPPORTED_REGIONS:
        raise UnsupportedCountry(
            f"{text[:16]!r} is no country with phone numbers. "
            "Give two letters, as CO, or a calling code, as 57."
        )
    return region


def countries_of(text: str) -> tuple[str, ...]:
    """Return the countries that are meant by two letters, or that share a calling code: `1` are 25.

    Raises: UnsupportedCountry.
    """
    country = country_of(text)
    if country == text.strip().upper():
        return (country,)
    code = phonenumbers.country_code_for_region(country)
    return tuple(phonenumbers.region_codes_for_country_code(code))


def calling_code_of(country: str) -> str:
    """Return the digits after the `+` of a country's numbers; nothing for what is no country."""
    return str(phonenumbers.country_code_for_region(country) or "")


def beginning(text: str, country: str) -> str:
    """Return how the E.164 begins of numbers that are written as the text is, in full or in part.

    Nothing where the text is no number, or a national one and no country is known.
    """
    plain = _plain(text)
    e164 = _read(plain, country).e164
    if e164 or plain.startswith("+"):
        return e164 or plain
    code = phonenumbers.country_code_for_region(country)
    return f"+{code}{plain.removeprefix('0')}" if plain and code else ""


def meanings(text: str, country: str) -> list[str]:
    """Return the numbers in E.164 that a full number may mean as people type it, each once.

    With the country; without its `+`; and with every country where none is known.
    """
    plain = _plain(text)
    if not plain:
        return []
    readings = [_read(plain, country), _read(f"+{plain.lstrip('+')}", NOWHERE)]
    if not country and not plain.startswith("+"):
        readings += [_read(plain, region) for region in sorted(phonenumbers.SUPPORTED_REGIONS)]
    return list(dict.fromkeys(reading.e164 for reading in readings if reading.e164))


def spellings(e164: str) -> list[str]:
    """Return how a number may stand in what was sent: as `read` has it, then as it had it before.

    Until 0.1.0 Argentine mobiles were two numbers, with the 9 and without.
    """
    return [e164, f"+54{e164[4:]}"] if e164.startswith("+549") else [e164]


def beginnings(text: str, country: str) -> list[str]:
    """Return how numbers in E.164 may begin that a number, or its beginning, means as it is typed."""
    plain = _plain(text)
    if not plain:
        return []
    given = [beginning(text, country), f"+{plain.lstrip('+')}", *meanings(text, country)]
    # The beginning of an Argentine mobile without its 9.
    given += [f"+549{one[3:]}" for one in given if re.match(r"\+54[1-8]", one)]
    return list(dict.fromkeys(one for one in given if one))


def _plain(number: str) -> str:
    """Return the digits, after `+` if the number is international; nothing if it is no number."""
    if len(number) > LONGEST:
        return ""
    if not number.isascii():
        number = _in_ascii(number)
    digits = number.translate(_SEPARATORS)
    if _DIGITS.fullmatch(digits) is None or _NOT_ONE_NUMBER.search(number) is not None:
        return ""
    return f"+{digits[2:]}" if digits.startswith("00") else digits


def _in_ascii(number: str) -> str:
    """Return the number with all scripts' digits and dashes in ASCII, without invisible marks."""
    folded = []
    for character in number:
        category = unicodedata.category(character)
        if character in _INVISIBLE:
            continue
        if category == "Nd":
            folded.append(str(unicodedata.decimal(character)))
        elif category == "Pd" or character == "\N{MINUS SIGN}":
            folded.append("-")
        elif category in {"No", "Nl"}:  # NFKC would make a digit of a footnote's ²
            folded.append(character)
        else:
            folded.append(unicodedata.normalize("NFKC", character))
    return "".join(folded)


def _read(plain: str, country: str) -> Reading:
    """Return the reading of plain digits."""
    if not plain or not (country or plain.startswith("+")):
        return _INVALID
    try:
        # Given a country, the library would try `+00…` again as a number inside it.
        parsed = phonenumbers.parse(plain, None if plain.startswith("+") else country)
    except phonenumbers.NumberParseException:
        return _INVALID
    kind = phonenumbers.number_type(parsed)
    if kind == PhoneNumberType.UNKNOWN:  # as `is_valid_number` judges; the kind is needed anyway
        return _read_retired(parsed)
    if parsed.country_code == _ARGENTINA and kind in _GEOGRAPHIC:
        return _read(f"+549{phonenumbers.national_significant_number(parsed)}", NOWHERE)
    e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    region = phonenumbers.region_code_for_number(parsed)
    if region is None or len(e164) > 16:  # fifteen digits and the sign are all that E.164 has
        return _INVALID
    if region == _NO_COUNTRY:
        return Reading(e164, "", UNSUPPORTED)
    return Reading(e164, region, UNSUPPORTED if kind in _UNSUPPORTED_KINDS else "")


def _read_retired(parsed: phonenumbers.PhoneNumber) -> Reading:
    """Return the reading of a number that is valid no more, as it is written today."""
    pattern, today = _RETIRED.get(parsed.country_code or 0, (None, ""))
    known = pattern and pattern.fullmatch(phonenumbers.national_significant_number(parsed))
    return _read(f"+{parsed.country_code}{known.expand(today)}", NOWHERE) if known else _INVALID

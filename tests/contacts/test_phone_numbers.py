"""Reading numbers: canonical or refused, never half understood."""

import phonenumbers
import pytest
from hypothesis import assume, given, reject
from hypothesis import strategies as st
from phonenumbers import PhoneNumberFormat, PhoneNumberType, shortnumberinfo

from contacts import phone_numbers
from contacts.phone_numbers import INVALID, NOWHERE, UNSUPPORTED, Reading, UnsupportedCountry, read

COLOMBIAN = Reading("+573001234567", "CO", "")


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("+573001234567", ""),
        ("+573001234567", NOWHERE),
        ("+573001234567", "US"),
        ("+57 300 123 4567", ""),
        (" +57-300-123.4567\n", ""),
        ("(+57) 300 1234567", ""),
        ("00573001234567", "US"),
        ("00 57 300 123 4567", ""),
        ("3001234567", "CO"),
        ("300-123 45 67", "CO"),
        ("300/1234567", "CO"),
        ("573001234567", "CO"),
        ("\uff0b\uff15\uff17 300 123 4567", ""),
        ("٣٠٠١٢٣٤٥٦٧", "CO"),
        ("+५७३००१२३४५६७", ""),
        ("\u202a+57 300\u00a0123\u20114567\u202c", ""),
        ("\ufeff300\u200b1234567\u200e", "CO"),
        ("+57 300 123 \u2212 4567", ""),
        ("011 57 300 123 4567", "US"),
    ],
)
def test_every_spelling_of_a_number_comes_to_one(number: str, country: str) -> None:
    assert read(number, country) == COLOMBIAN


HOSTILE = [
    "",
    " ",
    "+",
    "00",
    "0000000000",
    "+00573001234567",
    "++573001234567",
    "57+3001234567",
    "+57 300 123 4567 +57 301 123 4567",
    "3001234567/3011234567/68",
    "3001234567\n3011234567",
    "3001234567,3011234567",
    "3001234567;ext=5",
    "3001234567 ext. 5",
    "3001234567x12",
    "3001234567#12",
    "3001234567 int 5",
    "tel:+573001234567",
    "tel:3001234567;phone-context=+57",
    "3001234567;phone-context=+57",
    "+573001234567;isub=12345",
    "300 FLOWERS",
    "+1 800 FLOWERS",
    "*31#3001234567",
    "3001234567w5",
    "3001234567,,5",
    "3001234567\0",
    "+57300\x001234567",
    "\x1b3001234567",
    "3001234567\x7f",
    "\u202e7654321003",
    "300123456⁷",
    "+57300123456②",
    "３００１２３４５６⑦",
    "½3001234567",
    "5️⃣7️⃣3001234567",
    "Ⅷ3001234567",
    "3.001234567E9",
    "3001234567.0",
    "=3001234567",
    "=cmd|' /C calc'!A0",
    "@3001234567",
    "'3001234567",
    "<script>3001234567</script>",
    "300_123_4567",
    "0x3001234567",
    "1e10",
    "NaN",
    "None",
    "null",
    "9" * 300,
    "+" + "9" * 300,
    "3" + "0" * 20,
    "+57" + " " * 62 + "3001234567",
    "(" * 60,
    "911",
    "112",
    "123",
    "+57123",
    "+1911",
    "+999123456789",
    "+57 900 000 0000x12",
    "\ud83d3001234567",
    "三〇〇一二三四五六七",
]


@pytest.mark.parametrize("number", HOSTILE)
@pytest.mark.parametrize("country", ["CO", "US", "DE", ""])
def test_what_is_no_number_is_refused_and_leaves_nothing(number: str, country: str) -> None:
    assert read(number, country) == Reading("", "", INVALID)


@pytest.mark.parametrize(
    ("number", "region"),
    [
        ("+19002345678", "US"),  # premium
        ("+353818123456", "IE"),  # universal access
        ("+447012345678", "GB"),  # personal: billed like premium
        ("+447640123456", "GB"),  # pager
        ("+448712345678", "GB"),  # premium
        ("+448431234567", "GB"),  # shared cost
        ("+8816123456789", ""),  # satellite
        ("+870773111632", ""),  # satellite
        ("+88213300655", ""),  # international networks
        ("+80012345678", ""),  # international toll-free
    ],
)
def test_what_may_not_be_texted_keeps_its_number(number: str, region: str) -> None:
    assert read(number, "") == Reading(number, region, UNSUPPORTED)


@pytest.mark.parametrize(
    ("number", "country", "expected"),
    [
        ("06 1234 5678", "IT", "+390612345678"),  # the zero belongs to the number
        ("+39 06 1234 5678", "", "+390612345678"),
        ("347 123 4567", "IT", "+393471234567"),
        ("+52 1 55 1234 5678", "", "+525512345678"),  # the 1 of mobiles, dropped in 2019
        ("044 55 1234 5678", "MX", "+525512345678"),
        ("045 55 1234 5678", "MX", "+525512345678"),
        ("01 55 1234 5678", "MX", "+525512345678"),
        ("55 1234 5678", "MX", "+525512345678"),
        ("011 15 2345 6789", "AR", "+5491123456789"),  # 15 inside is 9 from outside
        ("+54 9 11 2345 6789", "", "+5491123456789"),
        ("+54 11 2345 6789", "", "+5491123456789"),  # without the 9 it is the same telephone
        ("11 2345-6789", "AR", "+5491123456789"),
        ("+55 11 8765 4321", "", "+5511987654321"),  # before 2016
        ("(11) 9765-4321", "BR", "+5511997654321"),
        ("+55 11 3765 4321", "", "+551137654321"),  # a fixed line has eight digits still
        ("0 15 11 98765 4321", "BR", "+5511987654321"),  # 15 is a carrier here
        ("8 912 345 67 89", "RU", "+79123456789"),
        ("+44 (0) 20 7946 0958", "", "+442079460958"),
        ("(202) 555-0123", "US", "+12025550123"),
        ("1 202 555 0123", "US", "+12025550123"),
        ("+1 1 202 555 0123", "", "+12025550123"),
    ],
)
def test_the_ways_of_each_country(number: str, country: str, expected: str) -> None:
    reading = read(number, country)

    assert reading.e164 == expected
    assert not reading.refusal


@pytest.mark.parametrize(
    ("number", "region"),
    [
        ("+12025550123", "US"),
        ("+14165550123", "CA"),
        ("+18095550123", "DO"),
        ("+447400123456", "GB"),
        ("+447797712345", "JE"),
        ("+77710009998", "KZ"),
        ("+79123456789", "RU"),
        ("+38343201234", "XK"),
    ],
)
def test_a_shared_calling_code_still_tells_the_country(number: str, region: str) -> None:
    assert read(number, "").region == region


@pytest.mark.parametrize("number", ["+55 11 776 4321", "+55 11 6 8765 4321", "+55 01 8765 4321"])
def test_a_brazilian_number_that_was_never_one_is_not_completed(number: str) -> None:
    assert read(number, "").refusal == INVALID


def test_what_was_sent_to_an_argentine_mobile_before_is_known_by_both_its_numbers() -> None:
    assert phone_numbers.spellings("+5491123456789") == ["+5491123456789", "+541123456789"]
    assert phone_numbers.spellings("+573001234567") == ["+573001234567"]


@pytest.mark.parametrize("number", ["+4980012345678976", "+2348001759453688"])
def test_a_number_longer_than_e164_allows_is_refused_though_its_country_has_it(number: str) -> None:
    assert phonenumbers.is_valid_number(phonenumbers.parse(number))

    assert read(number, "").refusal == INVALID


def test_no_emergency_number_of_any_country_is_ever_read() -> None:
    numbers = [f"{n:03d}" for n in range(1000)] + ["08", "1212", "1313", "2911", "9110"]
    read_anyway = [
        (region, number)
        for region in phonenumbers.SUPPORTED_REGIONS
        for number in numbers
        if shortnumberinfo.is_emergency_number(number, region)
        and read(number, region).refusal != INVALID
    ]

    assert read_anyway == []


def test_every_kind_of_every_country_is_valid_or_unsupported_and_fits_the_column() -> None:
    supported = {
        PhoneNumberType.MOBILE,
        PhoneNumberType.FIXED_LINE,
        PhoneNumberType.FIXED_LINE_OR_MOBILE,
        PhoneNumberType.TOLL_FREE,
        PhoneNumberType.VOIP,
    }
    for region in phonenumbers.SUPPORTED_REGIONS:
        for kind in PhoneNumberType.values():
            example = phonenumbers.example_number_for_type(region, kind)
            if example is None or phonenumbers.number_type(example) != kind:
                continue
            reading = read(phonenumbers.format_number(example, PhoneNumberFormat.E164), "")
            assert reading.refusal == ("" if kind in supported else UNSUPPORTED), (region, kind)
            assert reading.region == phonenumbers.region_code_for_number(example)
            assert len(reading.e164) <= 16


@st.composite
def likely_numbers(draw: st.DrawFn) -> str:
    """Draw an international number that many a time is valid: an example with other digits."""
    region = draw(st.sampled_from(sorted(phonenumbers.SUPPORTED_REGIONS)))
    example = phonenumbers.example_number_for_type(
        region, draw(st.sampled_from([PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE]))
    )
    if example is None:
        reject()
    digits = phonenumbers.national_significant_number(example)
    kept = draw(st.integers(2, len(digits)))
    rest = draw(st.text("0123456789", min_size=len(digits) - kept, max_size=len(digits) - kept))
    return f"+{example.country_code}{digits[:kept]}{rest}"


@given(likely_numbers())
def test_reading_a_reading_changes_nothing(number: str) -> None:
    reading = read(number, "")

    assume(reading.refusal != INVALID)
    assert read(reading.e164, "") == reading
    assert read(reading.e164, "CO") == reading


@given(likely_numbers(), st.data())
def test_one_person_in_two_spellings_is_one_number(number: str, data: st.DataObject) -> None:
    reading = read(number, "")
    assume(reading.refusal != INVALID)
    parsed = phonenumbers.parse(number)
    spellings = [
        (phonenumbers.format_number(parsed, PhoneNumberFormat.INTERNATIONAL), ""),
        (phonenumbers.format_number(parsed, PhoneNumberFormat.NATIONAL), reading.region),
        (phonenumbers.format_out_of_country_calling_number(parsed, "US"), "US"),
        ("00" + reading.e164[1:], ""),
        ("".join(chr(ord(c) + 0xFEE0) for c in reading.e164), ""),
    ]
    spelled, country = data.draw(st.sampled_from(spellings))
    marks = data.draw(st.text(" \u00a0\u200b\u200e", max_size=3))

    assert read(f"{marks}{spelled}{marks}", country) == reading


@given(st.text(max_size=70), st.sampled_from(["CO", "US", "DE", "IT", NOWHERE, ""]))
def test_whatever_is_written_it_is_read_or_refused(number: str, country: str) -> None:
    reading = read(number, country)

    if reading.refusal == INVALID:
        assert reading == Reading("", "", INVALID)
    else:
        assert reading.e164.startswith("+")
        assert reading.e164[1:].isdigit()
        assert reading.e164.isascii()
        assert len(reading.e164) <= 16


@pytest.mark.parametrize(
    ("number", "own", "default", "e164", "refusal", "read_as"),
    [
        ("+573001234567", "US", "MX", "+573001234567", "", ""),
        ("0057 300 123 4567", "", "", "+573001234567", "", ""),
        ("+573", "CO", "CO", "", INVALID, ""),  # international and invalid: for good
        ("3001234567", "CO", "", "+573001234567", "", ""),
        ("3001234567", "CO", "US", "+573001234567", "", ""),
        ("3001234567", "", "CO", "+573001234567", "", "CO"),
        ("3001234567", "US", "CO", "+573001234567", "", "CO"),  # the own country knows no such
        ("3001234567", "US", "", "", INVALID, "ZZ"),
        ("3001234567", "", "", "", INVALID, "ZZ"),
        ("123", "CO", "CO", "", INVALID, "CO"),
        ("123", "", "CO", "", INVALID, "CO"),
        ("9002345678", "US", "CO", "+19002345678", UNSUPPORTED, ""),  # known: not tried elsewhere
        ("9002345678", "", "US", "+19002345678", UNSUPPORTED, "US"),
        ("3001234567x12", "", "CO", "", INVALID, ""),  # no country makes a number of it
        ("", "", "CO", "", INVALID, ""),
    ],
)
def test_a_contacts_number_by_the_first_country_that_knows_it(
    number: str, own: str, default: str, e164: str, refusal: str, read_as: str
) -> None:
    reading, country = phone_numbers.read_contact(number, own, default)

    assert (reading.e164, reading.refusal, country) == (e164, refusal, read_as)


@pytest.mark.parametrize(
    ("text", "country"),
    [
        ("CO", "CO"),
        ("co", "CO"),
        ("Co", "CO"),
        (" co ", "CO"),
        ("57", "CO"),
        ("+57", "CO"),
        ("1", "US"),
        ("+1", "US"),
        ("44", "GB"),
        ("7", "RU"),
        ("383", "XK"),
        ("GG", "GG"),
    ],
)
def test_a_country_is_two_letters_or_a_calling_code(text: str, country: str) -> None:
    assert phone_numbers.country_of(text) == country


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "ZZ",
        "UK",
        "AQ",
        "001",
        "0057",
        "+",
        "+ 57",
        "++57",
        "570",
        "800",
        "808",
        "870",
        "+882",
        "883",
        "979",
        "999",
        "0",
        "-57",
        "57.0",
        "colombia",
        "C",
        "COL",
        "\uff23\uff2f",
        "\u0665\u0667",
        "c\u043e",  # a Cyrillic letter
        "ﬁ",
        "CO\0",
    ],
)
def test_what_names_no_country_with_numbers_is_refused_in_words(text: str) -> None:
    with pytest.raises(UnsupportedCountry, match=r"Give two letters, as CO, or a calling code"):
        phone_numbers.country_of(text)


@pytest.mark.parametrize(
    ("text", "country", "beginning"),
    [
        ("+57300", "", "+57300"),
        ("0057 300", "", "+57300"),
        ("300", "CO", "+57300"),
        ("300 123 4567", "CO", "+573001234567"),
        ("020 79", "GB", "+442079"),
        ("300", "", ""),
        ("Ana", "CO", ""),
        ("", "CO", ""),
    ],
)
def test_the_beginning_of_a_number_as_it_is_typed(text: str, country: str, beginning: str) -> None:
    assert phone_numbers.beginning(text, country) == beginning


@pytest.mark.parametrize(
    ("text", "country"), [("+54 11 23", ""), ("54 11 23", ""), ("11 23", "AR"), ("+54 9 11 23", "")]
)
def test_an_argentine_mobile_is_found_by_its_beginning_with_the_9_and_without(
    text: str, country: str
) -> None:
    beginnings = phone_numbers.beginnings(text, country)

    assert any("+5491123456789".startswith(one) for one in beginnings)

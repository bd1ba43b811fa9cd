"""Writing a workbook as a stream: what it holds, whoever reads it, and how little it needs."""

import io
import zipfile
from collections.abc import Iterator
from xml.etree import ElementTree

import pytest

from contacts import workbooks

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def written(*pages: list[list[str]], header: tuple[str, ...] = ("a", "b")) -> bytes:
    return b"".join(workbooks.stream(header=header, pages=pages))


def cells(workbook: bytes) -> list[dict[str, str | None]]:
    """Return the rows as the bare XML has them: a cell's name → its text."""
    with zipfile.ZipFile(io.BytesIO(workbook)) as archive:
        assert archive.testzip() is None
        sheet = ElementTree.fromstring(archive.read("xl/worksheets/sheet1.xml"))  # noqa: S314 - our own
    return [
        {cell.attrib["r"]: cell.findtext(f"{_MAIN}is/{_MAIN}t") for cell in row}
        for row in sheet.iter(f"{_MAIN}row")
    ]


def test_the_rows_stand_below_the_header_page_after_page() -> None:
    workbook = written([["1", "2"], ["3", "4"]], [], [["5", "6"]])

    assert cells(workbook) == [
        {"A1": "a", "B1": "b"},
        {"A2": "1", "B2": "2"},
        {"A3": "3", "B3": "4"},
        {"A4": "5", "B4": "6"},
    ]


def test_an_empty_cell_is_left_out_and_the_next_keeps_its_column() -> None:
    assert cells(written([["", "x"]]))[1] == {"B2": "x"}


def test_every_part_that_is_named_is_there() -> None:
    with zipfile.ZipFile(io.BytesIO(written())) as archive:
        names = set(archive.namelist())
        types = archive.read("[Content_Types].xml").decode()
        for name in names:
            ElementTree.fromstring(archive.read(name))  # noqa: S314 - our own

    assert {f'PartName="/{name}"' in types for name in names if "sheet1" in name} == {True}
    assert names >= {"xl/workbook.xml", "_rels/.rels", "xl/_rels/workbook.xml.rels"}


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("=1+1", "=1+1"),  # an inline string: no program takes it for a formula
        ("<b>&amp;</b>", "<b>&amp;</b>"),
        ("  x  ", "  x  "),
        ("a\tb\nc", "a\tb\nc"),
        ("a\rb", "a_x000D_b"),
        ("a\x00\x08b", "a_x0000__x0008_b"),
        ("\ud800", "_xD800_"),
        ("\ufffe", "_xFFFE_"),
        ("_x0041_", "_x005F_x0041_"),
        ("_x41_", "_x41_"),
        ("Ñandú 😀 العربية", "Ñandú 😀 العربية"),
        ("x" * 40_000, "x" * 16_383),
    ],
)
def test_what_xml_cannot_say_is_written_as_spreadsheets_write_it(text: str, stored: str) -> None:
    workbook = written([[text, ""]])

    assert cells(workbook)[1]["A2"] == stored


def test_every_cell_is_an_inline_string() -> None:
    with zipfile.ZipFile(io.BytesIO(written([["1", "=A1"]]))) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml").decode()

    assert sheet.count("<c ") == sheet.count('t="inlineStr"') == 4
    assert "<f>" not in sheet


def test_a_page_is_read_when_it_is_written_and_leaves_before_the_next() -> None:
    read: list[int] = []

    def pages() -> Iterator[list[list[str]]]:
        for number in range(3):
            read.append(number)
            yield [[f"{number}-{row}", "x" * 50] for row in range(5_000)]

    parts = workbooks.stream(header=("a", "b"), pages=pages())

    for number in range(3):
        assert len(next(parts)) > 10_000
        assert read == list(range(number + 1))


def test_a_failure_in_the_middle_is_no_workbook() -> None:
    def pages() -> Iterator[list[list[str]]]:
        yield [["1", "2"]]
        raise OSError("the database is away")

    parts = workbooks.stream(header=("a", "b"), pages=pages())
    got = [next(parts)]

    with pytest.raises(OSError, match="away"):
        got.extend(parts)
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(b"".join(got)))

"""Rows as CSV: quoting, formulas, and one page at a time."""

import csv
import io
from collections.abc import Iterator

import pytest
from django.http import StreamingHttpResponse

from accounts.doors import csv_rows

_BROKEN = RuntimeError("the database went away")


def body(answer: StreamingHttpResponse) -> str:
    return answer.getvalue().decode("utf-8-sig")


@pytest.mark.parametrize(
    "text",
    [
        *("=1+1", "+1+1", "-1-1", "@SUM(1)", "\t=1", "\r=1", "\n=1", "+", "-", "+57;1", "+57 300"),
        *("\uff1d1+1", "\uff0b1+1", "\uff0d1+1", "\uff20A1", "=", "-1E5", "+1.5"),
    ],
)
def test_S59_what_a_spreadsheet_takes_for_a_formula_begins_with_an_apostrophe(text: str) -> None:
    assert csv_rows.cell(text) == f"'{text}"


@pytest.mark.parametrize(
    "text", ["", "Hola", "+573001234567", "-3", "3", " =1", "'=1", "a=1", "a@b.example", "ñ"]
)
def test_all_else_stays_as_it_is(text: str) -> None:
    assert csv_rows.cell(text) == text


def test_it_is_a_file_that_reads_back_as_it_was() -> None:
    rows = [['a"b', "c,d", "e\r\nf"], ["ñ", "\U0001f600", ""]]

    answer = csv_rows.answer("it.csv", ["x", "y", "z"], [rows])

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="it.csv"'
    assert list(csv.reader(io.StringIO(body(answer), newline=""))) == [["x", "y", "z"], *rows]


def test_a_page_is_read_when_the_one_before_it_has_left() -> None:
    read = []

    def pages() -> Iterator[list[list[str]]]:
        for number in range(3):
            read.append(number)
            yield [[str(number)]]

    answer = csv_rows.answer("it.csv", ["n"], pages())
    assert read == [0]
    parts = iter(answer)
    assert [next(parts), next(parts)] == [b"\xef\xbb\xbfn\r\n", b"0\r\n"]
    assert read == [0]
    assert next(parts) == b"1\r\n"


def test_what_fails_before_the_first_page_is_raised_and_later_never_hidden() -> None:
    def pages(after: int) -> Iterator[list[list[str]]]:
        yield from [[["1"]]] * after
        raise _BROKEN

    with pytest.raises(RuntimeError):
        csv_rows.answer("it.csv", ["n"], pages(0))
    answer = csv_rows.answer("it.csv", ["n"], pages(1))
    with pytest.raises(RuntimeError):
        answer.getvalue()

"""Reading text files of rows: encoding, delimiter and quotes as they come, in constant memory."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import IO, Final

from django.utils.translation import gettext as _

from contacts.imports.limits import (
    LONGEST_LINE,
    FileTooLarge,
    FormatNotRead,
    require_width,
)

_PIECE: Final = 2**20
_SAMPLE_LINES: Final = 50
_SAMPLE_BYTES: Final = 8_192
_DELIMITERS: Final = ",;\t|"  # of equals the first
_MARKS: Final = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_NO_TEXT: Final = re.compile(rb"[\x00-\x08\x0e-\x19\x1c-\x1f\x7f]")
_FOREIGN: Final = (b"%PDF", b"{\\rtf", b"<?xml", b"<html", b"<!DOCTYPE", b"<!doctype")
_SEPARATOR_LINE: Final = re.compile(r"sep=(.)\s*", re.IGNORECASE)  # Excel's own first line


def read(file: IO[bytes]) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank, with the number of its first line.

    UTF-8, also with its mark; UTF-16 with its mark; everything else is Windows-1252, which takes
    Latin-1 along. Comma, semicolon, tab or bar, whichever gives the first lines most columns alike.

    Raises: FormatNotRead with the line, FileTooLarge.
    """
    encoding = _encoding(file)
    delimiter, skipped = _delimiter(file, encoding)
    lines = _lines(file, encoding)
    for _line in range(skipped):
        next(lines)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    last = skipped
    try:
        for cells in reader:
            first, last = last + 1, reader.line_num + skipped
            if any(cells) and any(cell.strip() for cell in cells):
                require_width(len(cells))
                yield first, cells
    except csv.Error as error:
        raise FormatNotRead(
            _(
                "The rows cannot be told apart from line %(line)d on: a quotation mark is not closed, or"
                " text follows one. Correct that line."
            )
            % {"line": last + 1}
        ) from error
    except UnicodeError as error:
        raise FormatNotRead(
            _("The file cannot be read from line %(line)d on. Save it as CSV in UTF-8.")
            % {"line": last + 1}
        ) from error


def _encoding(file: IO[bytes]) -> str:
    """Return how the file is written: by its mark, else UTF-8 if all of it is, else Windows-1252.

    Raises: FormatNotRead where it is no text.
    """
    file.seek(0)
    sample = file.read(_SAMPLE_BYTES)
    for mark, encoding in _MARKS.items():
        if sample.startswith(mark):
            return encoding
    if _NO_TEXT.search(sample) or sample.lstrip().startswith(_FOREIGN):
        raise FormatNotRead(
            _("This is neither CSV nor XLSX. Save the table as CSV in UTF-8, or as XLSX.")
        )
    decoder = codecs.getincrementaldecoder("utf-8")()
    piece = sample
    try:
        while piece:
            decoder.decode(piece)
            piece = file.read(_PIECE)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "windows-1252"
    return "utf-8"


def _lines(file: IO[bytes], encoding: str) -> Iterator[str]:
    """Yield the lines with their ends; a line that never ends does not fill the memory.

    Raises: FileTooLarge.
    """
    file.seek(0)
    # Five bytes mean nothing in Windows-1252; a mark in their place spoils one cell, not the file.
    errors = "replace" if encoding == "windows-1252" else "strict"
    text = io.TextIOWrapper(file, encoding=encoding, errors=errors, newline="")
    try:
        while line := text.readline(LONGEST_LINE):
            if len(line) == LONGEST_LINE:
                raise FileTooLarge(
                    _("A line is longer than %(limit)d characters.") % {"limit": LONGEST_LINE}
                )
            yield line
    finally:
        with suppress(ValueError):  # closed meanwhile
            text.detach()  # the file is the caller's to close


def _delimiter(file: IO[bytes], encoding: str) -> tuple[str, int]:
    """Return what parts the cells, and how many lines stand before the table."""
    try:
        lines = list(islice(_lines(file, encoding), _SAMPLE_LINES))
    except UnicodeError as error:
        raise FormatNotRead(
            _("The file cannot be read from its first lines on. Save it as CSV in UTF-8.")
        ) from error
    told = _SEPARATOR_LINE.fullmatch(lines[0]) if lines else None
    if told:
        return told[1], 1
    return max(_DELIMITERS, key=lambda delimiter: _columns_alike(lines, delimiter)), 0


def _columns_alike(lines: list[str], delimiter: str) -> tuple[int, int]:
    """Return how many rows have as many cells as the first has, more than one, and how many those are."""
    rows = csv.reader(lines, delimiter=delimiter)
    widths = []
    try:
        widths = [len(cells) for cells in rows if any(cells)]
    except csv.Error:
        pass  # what is wrong with it is said where the whole file is read
    if not widths or widths[0] == 1:
        return 0, 0
    return widths.count(widths[0]), widths[0]

"""Reading XLSX workbooks row by row: constant memory, whatever the file claims to be.

No library does: of a million rows of five texts openpyxl, read-only, holds 840 MB and takes five times
as long, and python-calamine holds 610 MB in a tenth of the time. Of a row of five million cells without
anything, 20 kB, the first makes 1.5 GB; two cells in far corners, 1.4 kB, end the process of the second.
Here shared texts lie in a temporary file and rows go as they end. The XML is read by expat, which is
given no document type, so that there are no entities to expand; the sizes of the parts are asked before,
and zipfile reads no byte more.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
import zlib
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from mmap import ACCESS_READ, mmap
from posixpath import join, normpath
from typing import IO, Any, Final
from xml.parsers import expat

from django.utils.translation import gettext as _

from contacts.imports.limits import (
    LARGEST_UNPACKED,
    LONGEST_CELL,
    LONGEST_KEPT,
    MOST_CELLS,
    MOST_COLUMNS,
    MOST_UNPACKED,
    USUAL_UNPACKED,
    FileTooLarge,
    FormatNotRead,
    require_width,
    too_large,
)

MARK: Final = b"PK\x03\x04"
OLD_MARK: Final = b"\xd0\xcf\x11\xe0"  # of .xls, and of workbooks with a password

_PIECE: Final = 2**16
_WORKBOOK: Final = "xl/workbook.xml"
_COMPRESSED: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})  # as every workbook is
_ROW: Final = re.compile(r"[0-9]{1,7}")
_COLUMN: Final = re.compile(r"([A-Z]{1,3})[0-9]+")
_LITERAL: Final = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]')
_DATE_FORMATS: Final = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
_EPOCHS: Final = {False: datetime(1899, 12, 30), True: datetime(1904, 1, 1)}  # noqa: DTZ001 - a sheet's days have no zone
_LAST_DAY: Final = 2_958_465  # 9999-12-31


class _NoWorkbook(Exception):
    """A part is missing or is not what it should be."""


def read(file: IO[bytes]) -> Iterator[tuple[int, list[str]]]:
    """Yield each row of the first visible sheet that is not blank, with its number, as texts.

    Of a formula the value that was last seen; of a number its digits; of a date `2026-01-31`.

    Raises: FormatNotRead, FileTooLarge.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            _require_usual(archive)
            sheet, starts_1904 = _first_sheet(archive)
            _require_size(archive, sheet, packed=file.seek(0, 2))
            dates = _date_styles(archive)
            with _shared_texts(archive) as texts:
                yield from _rows(archive, sheet, _Cells(texts, dates, _EPOCHS[starts_1904]))
    except (FormatNotRead, FileTooLarge):
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        expat.ExpatError,
        _NoWorkbook,
        EOFError,
        KeyError,
        IndexError,
        NotImplementedError,  # a way to compress that nobody's workbook has
        RuntimeError,  # encrypted
        ValueError,  # a place before the file's beginning, a number of thousands of digits, no UTF-8
    ) as error:
        raise FormatNotRead(
            _("This workbook is damaged or has another format. Save it again as XLSX, or as CSV.")
        ) from error


def _require_usual(archive: zipfile.ZipFile) -> None:
    """Pass when the parts are packed as workbooks are: others' errors are of all kinds."""
    if any(part.compress_type not in _COMPRESSED for part in archive.infolist()):
        raise _NoWorkbook


def _require_size(archive: zipfile.ZipFile, sheet: str, *, packed: int) -> None:
    """Pass when the parts that will be read do not unpack to more than is reasonable for so many bytes.

    What the archive says of its parts may be a lie: the bytes of the file are not, and zipfile reads no
    more of a part than it said.
    """
    names = {_WORKBOOK, sheet, "xl/sharedStrings.xml", "xl/styles.xml"}
    parts = [part for part in archive.infolist() if part.filename in names]
    unpacked = sum(part.file_size for part in parts)
    if unpacked > min(LARGEST_UNPACKED, max(USUAL_UNPACKED, packed * MOST_UNPACKED)):
        raise too_large()
    if len(parts) > len({part.filename for part in parts}):
        raise _NoWorkbook


def _parser(
    start: Callable[[str, dict[str, str]], None],
    end: Callable[[str], None] | None = None,
    text: Callable[[str], None] | None = None,
) -> Any:
    """Return a parser that calls these, and that takes no document type and so no entities."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = lambda tag, given: start(tag.rpartition(":")[2], given)
    if end is not None:
        parser.EndElementHandler = lambda tag: end(tag.rpartition(":")[2])
    if text is not None:
        parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _refuse
    return parser


def _refuse(*_declaration: object) -> None:
    raise _NoWorkbook


def _parse(archive: zipfile.ZipFile, name: str, parser: Any) -> Iterator[None]:
    """Read a part piece by piece, and stop after each."""
    with archive.open(name) as part:
        while piece := part.read(_PIECE):
            parser.Parse(piece)
            yield
    parser.Parse(b"", True)  # noqa: FBT003 - expat's signature
    yield


def _parse_whole(archive: zipfile.ZipFile, name: str, parser: Any) -> None:
    for _piece in _parse(archive, name, parser):
        pass


def _first_sheet(archive: zipfile.ZipFile) -> tuple[str, bool]:
    """Return the part of the first sheet that people see, and whether days are counted from 1904."""
    sheets: list[str] = []
    targets: dict[str, str] = {}
    book = {"starts_1904": False}

    def of_book(tag: str, given: dict[str, str]) -> None:
        named = {name.rpartition(":")[2]: value for name, value in given.items()}
        if tag == "sheet" and named.get("state", "visible") == "visible":
            sheets.append(named["id"])
        elif tag == "workbookPr":
            book["starts_1904"] = named.get("date1904", "0") in {"1", "true"}

    def of_relations(tag: str, given: dict[str, str]) -> None:
        if tag == "Relationship":
            targets[given["Id"]] = given["Target"]

    for name in (_WORKBOOK, "xl/_rels/workbook.xml.rels"):
        if archive.getinfo(name).file_size > _PIECE * 16:
            raise _NoWorkbook
    _parse_whole(archive, _WORKBOOK, _parser(of_book))
    _parse_whole(archive, "xl/_rels/workbook.xml.rels", _parser(of_relations))
    target = targets[sheets[0]]
    path = target.lstrip("/") if target.startswith("/") else normpath(join("xl", target))
    archive.getinfo(path)
    return path, book["starts_1904"]


def _date_styles(archive: zipfile.ZipFile) -> frozenset[str]:
    """Return the numbers of the cell styles that write a number as a date."""
    formats: set[str] = {str(number) for number in _DATE_FORMATS}
    styles: list[str] = []
    inside: list[str] = []

    def start(tag: str, given: dict[str, str]) -> None:
        inside.append(tag)
        if tag == "numFmt":
            code = _LITERAL.sub("", given.get("formatCode", "")).lower()
            if "y" in code or "d" in code:
                formats.add(given["numFmtId"])
            else:
                formats.discard(given["numFmtId"])
        elif tag == "xf" and "cellXfs" in inside:
            styles.append(given.get("numFmtId", "0"))

    def end(_tag: str) -> None:
        inside.pop()

    if "xl/styles.xml" not in archive.namelist():
        return frozenset()
    _parse_whole(archive, "xl/styles.xml", _parser(start, end))
    return frozenset(str(number) for number, style in enumerate(styles) if style in formats)


class _Texts:
    """The texts that cells share, by number; they lie in a file that only looks like memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._ends = array("Q", [0])
        self._memory: mmap | None = None

    def append(self, text: str) -> None:
        self._file.write(text.encode())
        self._ends.append(self._file.tell())

    def finish(self) -> None:
        self._file.flush()
        if self._ends[-1]:
            self._memory = mmap(self._file.fileno(), 0, access=ACCESS_READ)

    def __getitem__(self, number: int) -> str:
        if number < 0:
            raise IndexError(number)
        start, end = self._ends[number], self._ends[number + 1]
        return self._memory[start:end].decode() if self._memory is not None else ""

    def close(self) -> None:
        if self._memory is not None:
            self._memory.close()


@contextmanager
def _shared_texts(archive: zipfile.ZipFile) -> Iterator[_Texts]:
    with tempfile.TemporaryFile() as file:
        texts = _Texts(file)
        if "xl/sharedStrings.xml" in archive.namelist():
            reader = _SharedTexts(texts)
            _parse_whole(
                archive,
                "xl/sharedStrings.xml",
                _parser(reader.start, reader.end, reader.text),
            )
        texts.finish()
        try:
            yield texts
        finally:
            texts.close()


class _SharedTexts:
    """What expat calls while it reads the shared texts."""

    def __init__(self, texts: _Texts) -> None:
        self._texts = texts
        self._parts: list[str] = []
        self._length = 0
        self._is_text = False
        self._how_it_sounds = False  # Japanese readings stand beside the text

    def start(self, tag: str, _given: dict[str, str]) -> None:
        if tag == "t":
            self._is_text = not self._how_it_sounds
        elif tag == "rPh":
            self._how_it_sounds = True
        elif tag == "si":
            self._parts, self._length = [], 0

    def text(self, text: str) -> None:
        if self._is_text:
            self._length += len(text)
            _require_length(self._length)
            self._parts.append(text)

    def end(self, tag: str) -> None:
        if tag == "t":
            self._is_text = False
        elif tag == "rPh":
            self._how_it_sounds = False
        elif tag == "si":
            # Cut here already: a million cells may name one text, and each has it in memory.
            self._texts.append("".join(self._parts)[:LONGEST_KEPT])


def _require_length(characters: int) -> None:
    if characters > LONGEST_CELL:
        raise FileTooLarge(
            _("A cell has more than %(limit)d characters. Remove its column.")
            % {"limit": LONGEST_CELL}
        )


class _Cells:
    """What expat calls while it reads a sheet; `rows` are those that ended meanwhile."""

    def __init__(self, texts: _Texts, dates: frozenset[str], epoch: datetime) -> None:
        self.rows: list[tuple[int, list[str]]] = []
        self._texts, self._dates, self._epoch = texts, dates, epoch
        self._line = 0
        self._cells: list[str] = []
        self._count = self._column = 0
        self._kind = self._style = ""
        self._parts: list[str] = []
        self._length = 0
        self._is_value = False
        self._how_it_sounds = False

    def start(self, tag: str, given: dict[str, str]) -> None:
        if tag == "c":
            self._kind, self._style = given.get("t", "n"), given.get("s", "")
            self._parts, self._length = [], 0
            self._column = _column(given["r"]) if "r" in given else self._column + 1
            self._count += 1
            if self._count > MOST_CELLS:
                require_width(self._count)
        elif tag in {"v", "t"}:
            self._is_value = not self._how_it_sounds
        elif tag == "row":
            named = _ROW.fullmatch(given.get("r", ""))
            self._line = int(named[0]) if named is not None else self._line + 1
            self._cells, self._count, self._column = [], 0, -1
        elif tag == "rPh":
            self._how_it_sounds = True

    def text(self, text: str) -> None:
        if self._is_value:
            self._length += len(text)
            _require_length(self._length)
            self._parts.append(text)

    def end(self, tag: str) -> None:
        if tag in {"v", "t"}:
            self._is_value = False
        elif tag == "c":
            if written := "".join(self._parts):
                self._put(self._value(written))
        elif tag == "row":
            if any(cell.strip() for cell in self._cells):
                self.rows.append((self._line, self._cells))
        elif tag == "rPh":
            self._how_it_sounds = False

    def _put(self, value: str) -> None:
        if value and self._column < len(self._cells):
            self._cells[self._column] = value
        elif value:
            require_width(self._column + 1)
            self._cells += [""] * (self._column - len(self._cells))
            self._cells.append(value)

    def _value(self, written: str) -> str:
        if self._kind == "s":
            return self._texts[int(written)] if written.isdecimal() else ""
        if self._kind != "n":
            return written
        if self._style in self._dates:
            with suppress(ValueError, OverflowError):
                return _day(float(written), self._epoch)
        return _digits(written)


def _column(reference: str) -> int:
    """Return the position of a cell's column, 0 for `A1`."""
    found = _COLUMN.fullmatch(reference)
    if found is None:
        raise _NoWorkbook
    number = 0
    for letter in found[1]:
        number = number * 26 + ord(letter) - 64
    return min(number - 1, MOST_COLUMNS)  # one too many is as good as any


def _digits(written: str) -> str:
    """Return a number as people read it: 573001234567, where the file says 5.73001234567E11."""
    if written.isdecimal():
        return written
    try:
        number = float(written)
    except ValueError:
        return written
    return str(int(number)) if number.is_integer() and abs(number) < 2**53 else written


def _day(serial: float, epoch: datetime) -> str:
    """Return the day that a sheet counts so."""
    if not 0 <= serial <= _LAST_DAY:
        raise ValueError(serial)
    return (epoch + timedelta(days=int(serial))).date().isoformat()


def _rows(archive: zipfile.ZipFile, sheet: str, cells: _Cells) -> Iterator[tuple[int, list[str]]]:
    for _piece in _parse(archive, sheet, _parser(cells.start, cells.end, cells.text)):
        rows, cells.rows = cells.rows, []
        yield from rows

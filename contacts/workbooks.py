"""Writing a workbook (XLSX, ECMA-376) as a stream: one sheet of texts, whatever its length.

Nothing is gathered: neither memory nor a disk holds the file, and its first bytes leave at once, where
XlsxWriter writes all of a million rows to a disk first and takes four times as long. Every cell is an inline
string, which no program takes for a formula.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final
from zipfile import ZIP_DEFLATED, ZipFile

CONTENT_TYPE: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
LONGEST_SHEET: Final = 1_000_000
"""Rows, a little less than spreadsheets open."""

_LONGEST_CELL: Final = 32_767 // 2  # they count UTF-16 units, of which a character takes up to two
_LEVEL: Final = 1  # of compression: what the next ones save takes several times as long

_HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_KIND: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_PARTS: Final = {
    "[Content_Types].xml": (
        f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/xl/workbook.xml" ContentType="{_KIND}.sheet.main+xml"/>'
        f'<Override PartName="/xl/worksheets/sheet1.xml" ContentType="{_KIND}.worksheet+xml"/>'
        "</Types>"
    ),
    "_rels/.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
        "</Relationships>"
    ),
    "xl/workbook.xml": (
        f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}">'
        '<sheets><sheet name="Sheet1" sheetId="1" r:id="rId1"/></sheets></workbook>'
    ),
    "xl/_rels/workbook.xml.rels": (
        f'<Relationships xmlns="{_PACKAGE}/relationships">'
        f'<Relationship Id="rId1" Type="{_OFFICE}/worksheet" Target="worksheets/sheet1.xml"/>'
        "</Relationships>"
    ),
}
_FROZEN: Final = (
    '<sheetViews><sheetView workbookViewId="0">'
    '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
    "</sheetView></sheetViews>"
)

# What XML cannot say, and `_x000D_`, which is how spreadsheets write it: both are escaped so.
_UNSAYABLE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0d\x0e-\x1f\ud800-\udfff\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)"
)
_SPACED: Final = ' xml:space="preserve"'  # else blanks at the ends are left out


def stream(*, header: Sequence[str], pages: Iterable[Iterable[Sequence[str]]]) -> Iterator[bytes]:
    """Yield the bytes of a workbook with the header and, below it, the rows of the pages.

    A page is read when it is written, and leaves before the next one is read.
    """
    columns = [_letters(position) for position in range(len(header))]
    leaving = _Leaving()
    with ZipFile(leaving, "w", ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        for name, content in _PARTS.items():
            archive.writestr(name, _HEAD + content)
        with archive.open("xl/worksheets/sheet1.xml", "w") as sheet:
            sheet.write(f'{_HEAD}<worksheet xmlns="{_MAIN}">{_FROZEN}<sheetData>'.encode())
            sheet.write(_row(1, columns, header).encode())
            number = 2
            for page in pages:
                rows = [_row(number + i, columns, cells) for i, cells in enumerate(page)]
                number += len(rows)
                sheet.write("".join(rows).encode())
                yield leaving.taken()
            sheet.write(b"</sheetData></worksheet>")
    yield leaving.taken()


class _Leaving:
    """A file that cannot be gone back in, and hands over what was written to it."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """Nothing is open."""

    def taken(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        return data


def _row(number: int, columns: Sequence[str], cells: Sequence[str]) -> str:
    written = [
        f'<c r="{column}{number}" t="inlineStr"><is>{_text(cell)}</is></c>'
        for column, cell in zip(columns, cells, strict=True)
        if cell
    ]
    return f'<row r="{number}">{"".join(written)}</row>'


def _text(cell: str) -> str:
    text = cell[:_LONGEST_CELL]
    if text.isalnum():  # most are
        return f"<t>{text}</t>"
    text = _UNSAYABLE.sub(_escaped, text)
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return f"<t>{text}</t>" if text == text.strip() else f"<t{_SPACED}>{text}</t>"


def _escaped(found: re.Match[str]) -> str:
    return f"_x{ord(found[0]):04X}_"


def _letters(position: int) -> str:
    """Return the name of a column: A to Z."""
    return chr(ord("A") + position)

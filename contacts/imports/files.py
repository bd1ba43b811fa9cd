"""A file of contacts as a table: its headers, and its rows one after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import IO, Final

from django.utils.translation import gettext as _

from contacts.imports import delimited, workbooks
from contacts.imports.limits import LARGEST_FILE, MOST_ROWS, FileTooLarge, FormatNotRead, too_large

_LIKE_A_NUMBER: Final = re.compile(r"[+(]*[0-9][0-9 ().\-/]{6,}")


@dataclass(frozen=True, slots=True)
class Table:
    """A file's rows, to be read once; blank ones are left out."""

    headers: list[str]
    """As written, each once: a second `Phone` is `Phone (2)`, one without a name is `Column 3`."""
    rows: Iterator[tuple[int, list[str]]]
    """The line in the file, and the cells; as many as there are, which may be more or fewer."""


def open_table(file: IO[bytes]) -> Table:
    """Return the table of a CSV or XLSX file; what it is decides its content, not its name.

    What is wrong further below is raised while the rows are read. A first row with a phone number is
    taken for a contact: the columns are then called by their position.

    Raises: FormatNotRead, FileTooLarge.
    """
    file.seek(0, 2)
    if file.tell() > LARGEST_FILE:
        raise too_large()
    file.seek(0)
    beginning = file.read(len(workbooks.MARK))
    if beginning == workbooks.OLD_MARK:
        raise FormatNotRead(
            _(
                "This is an old or a protected workbook. Save it as XLSX without a password, or as CSV."
            )
        )
    rows = workbooks.read(file) if beginning == workbooks.MARK else delimited.read(file)
    first = next(rows, None)
    if first is None:
        raise FormatNotRead(_("The file is empty. Its first row names the columns."))
    rows = _counted(rows)
    if any(_LIKE_A_NUMBER.fullmatch(cell.strip()) for cell in first[1]):
        return Table(_named([""] * len(first[1])), chain([first], rows))
    return Table(_named(first[1]), rows)


def _counted(rows: Iterator[tuple[int, list[str]]]) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows as long as there are not too many."""
    for count, row in enumerate(rows):
        if count == MOST_ROWS:
            raise FileTooLarge(
                _(
                    "The file has more than %(limit)d rows. Split it, and import one part after the other."
                )
                % {"limit": MOST_ROWS}
            )
        yield row


def _named(cells: Sequence[str]) -> list[str]:
    """Return a name for each column, each once."""
    headers: list[str] = []
    for position, cell in enumerate(cells, start=1):
        name = " ".join(cell.split())[:100] or f"Column {position}"
        number, header = 2, name
        while header in headers:
            header, number = f"{name} ({number})", number + 1
        headers.append(header)
    return headers

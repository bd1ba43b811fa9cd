"""What a file of contacts may be at most, and what is said of one that is none."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext as _

LARGEST_FILE: Final = 128 * 2**20
"""Bytes of an uploaded file: a million rows of a dozen columns."""

AROUND: Final = 64 * 1024
"""Bytes of the other fields of a form with a file, and of what stands between them."""

LARGEST_UNPACKED: Final = 2**30
"""Bytes that the parts of a workbook may come to, as they are read."""

MOST_UNPACKED: Final = 100
"""Times its own bytes that a file may unpack to, past `USUAL_UNPACKED`: workbooks take ten to thirty."""

USUAL_UNPACKED: Final = 2**24
"""Bytes below which nobody asks how tightly they were packed."""

MOST_ROWS: Final = 1_048_576
"""Rows below the header: what a sheet can have."""

MOST_COLUMNS: Final = 100
MOST_CELLS: Final = 16_384
"""Cells that one row of a sheet can have, empty ones too."""

LONGEST_LINE: Final = 1_000_000
LONGEST_CELL: Final = 131_072
"""Characters of one cell; more means that a quotation mark was never closed."""

LONGEST_KEPT: Final = 1_000
"""Characters of a cell that are kept: more than any field takes."""


class FormatNotRead(ValueError):
    """The file is no table that can be read; nothing was kept of it."""


class FileTooLarge(ValueError):
    """The file has more than an import takes; nothing was kept of it."""


def too_large() -> FileTooLarge:
    """Return what is raised for too many bytes."""
    return FileTooLarge(
        _("The file is larger than %(size)d MB. Split it, and import one part after the other.")
        % {"size": LARGEST_FILE // 2**20}
    )


def require_width(cells: int) -> None:
    """Pass when a row has no more cells than a table may have columns.

    Raises: FileTooLarge.
    """
    if cells > MOST_COLUMNS:
        raise FileTooLarge(
            _("The file has more than %(limit)d columns. Remove those that are no contact's data.")
            % {"limit": MOST_COLUMNS}
        )

"""What an import tells of the rows that it did not take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from contacts.import_rows import ImportJob, UntakenRow

SHOWN: Final = 100
"""Rows that the answer about an import carries; all are in the report."""

HEADER: Final = ("line", "code", "reason")
"""The columns of the report."""

PAGE: Final = 5_000
"""Rows read by one statement."""


def first(*, job: ImportJob) -> list[UntakenRow]:
    """Return the first rows that became no contact, in the order of the file."""
    return list(UntakenRow.objects.filter(job=job).order_by("line")[:SHOWN])


def file_name(*, job: ImportJob) -> str:
    """Return under which name the report is saved."""
    return f"import-{job.pk}.csv"


def pages(*, job: ImportJob) -> Iterator[list[tuple[str, ...]]]:
    """Yield the report as rows of texts under `HEADER`, in the order of the file, in pages.

    Each page is a short statement of its own: memory does not grow with them. No cell has anything that
    was in the file.
    """
    rows = UntakenRow.objects.filter(job=job).order_by("line")
    page = list(rows[:PAGE])
    while page:
        yield [(str(row.line), row.reason, row.sentence) for row in page]
        page = list(rows.filter(line__gt=page[-1].line)[:PAGE])

"""What an import tells of the rows that it did not take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from django.http import StreamingHttpResponse

from contacts.import_rows import ImportJob, UntakenRow

SHOWN: Final = 100
"""Rows that the answer about an import carries; all are in the report."""

_PAGE: Final = 5_000


def first(*, job: ImportJob) -> list[UntakenRow]:
    """Return the first rows that became no contact, in the order of the file."""
    return list(UntakenRow.objects.filter(job=job).order_by("line")[:SHOWN])


def as_csv(*, job: ImportJob) -> StreamingHttpResponse:
    """Answer all of them, streamed: memory does not grow with them."""
    return StreamingHttpResponse(
        _lines(job),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="import-{job.pk}.csv"'},
    )


def _lines(job: ImportJob) -> Iterator[str]:
    """Yield the report in pages, each a short statement of its own.

    Numbers, codes and sentences of ours: no cell has anything that was in the file.
    """
    yield "line,code,reason\r\n"
    rows = UntakenRow.objects.filter(job=job).order_by("line")
    page = list(rows[:_PAGE])
    while page:
        yield "".join(
            f'{row.line},{row.reason},"{row.sentence.replace(chr(34), chr(34) * 2)}"\r\n'
            for row in page
        )
        page = list(rows.filter(line__gt=page[-1].line)[:_PAGE])

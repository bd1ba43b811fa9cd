"""Rows as CSV: streamed page by page, never a formula, never a short list that looks whole."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from django.http import StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse
from rest_framework.renderers import BaseRenderer, JSONRenderer
from rest_framework.request import Request

CONTENT_TYPE: Final = "text/csv"

Page = Sequence[Sequence[str]]

# Without it Excel reads UTF-8 as the machine's old code page, and every ñ is two letters. What reads CSV
# for a living knows the mark; ours does.
_BYTE_ORDER_MARK: Final = "\ufeff"

# What spreadsheets take for the beginning of a formula (OWASP ASVS 1.2.10), full-width forms as well.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# Digits alone compute nothing: a number stays as the wire has it.
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,20}")


def cell(text: str) -> str:
    """Return the text as a cell that no spreadsheet takes for a formula."""
    if text.startswith(_FORMULA) and not _NUMBER.fullmatch(text):
        return f"'{text}"
    return text


def answer(
    name: str, header: Sequence[str], pages: Iterable[Sequence[Sequence[str]]]
) -> StreamingHttpResponse:
    """Return the pages as a file of that name, its first line the header; one page is in memory at a time.

    The first page is read at once: what fails by then is refused as usual. What fails later breaks the
    connection off, so that nobody takes a part for the whole.
    """
    reading = iter(pages)
    first = next(reading, ())
    return StreamingHttpResponse(
        _written(chain([[header]], [first], reading)),
        content_type=f"{CONTENT_TYPE}; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _written(pages: Iterable[Page]) -> Iterator[str]:
    begins = _BYTE_ORDER_MARK
    for page in pages:
        lines = io.StringIO()
        lines.write(begins)
        csv.writer(lines).writerows([[cell(text) for text in row] for row in page])
        begins = ""
        if written := lines.getvalue():
            yield written


class CSVRenderer(BaseRenderer):
    """Lets a view be asked for CSV by `Accept: text/csv`; the view streams it by itself."""

    media_type = CONTENT_TYPE
    format = "csv"
    charset = "utf-8"

    def render(self, data: Any, *_context: Any) -> Any:
        """Return what was written already."""
        return data


BESIDE_JSON: Final = (JSONRenderer, CSVRenderer)
"""The renderers of a list that is CSV where `Accept` says so, and JSON else."""


def is_wanted(request: Request) -> bool:
    """Return whether the request asks for CSV, at a view that answers `BESIDE_JSON`."""
    return isinstance(request.accepted_renderer, CSVRenderer)


def documented(description: str) -> dict[Any, OpenApiResponse]:
    """Return the documentation of a streamed list of CSV."""
    return {(200, CONTENT_TYPE): OpenApiResponse(OpenApiTypes.STR, description)}


def beside_json(
    json: Any, description: str, refused: Mapping[int, OpenApiResponse]
) -> dict[Any, Any]:
    """Return the documentation of a list that is CSV where `Accept` says so; it is refused in JSON."""
    kind = JSONRenderer.media_type
    return {
        (200, kind): json,
        **documented(description),
        **{(status, kind): answers for status, answers in refused.items()},
    }

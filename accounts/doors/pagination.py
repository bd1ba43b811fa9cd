"""The API's lists: newest first, by page number up to row 10,000 and by a cursor as far as one likes."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db.models import DateTimeField, F, Func, Q, QuerySet, UUIDField, Value
from django.db.models.lookups import GreaterThan, LessThan
from django.utils.translation import gettext as _
from rest_framework.exceptions import ValidationError
from rest_framework.pagination import BasePagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.doors.row_counts import COUNTED, expected

DEFAULT_LIMIT: Final = 20
LARGEST_LIMIT: Final = 100
_POSITIVE: Final = re.compile(r"[1-9][0-9]{0,8}")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LONGEST_CURSOR: Final = 200


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last row of a page, and how many rows came up to it."""

    position: int
    created_at: datetime
    id: UUID

    def __str__(self) -> str:
        microseconds = (self.created_at - _EPOCH) // timedelta(microseconds=1)
        plain = f"{self.position}.{microseconds}.{self.id.hex}"
        return base64.urlsafe_b64encode(plain.encode()).decode().rstrip("=")

    @classmethod
    def read(cls, written: str) -> Cursor:
        """Return the cursor that was written so.

        Raises: ValueError when it is none of ours.
        """
        if len(written) > _LONGEST_CURSOR or not written.isascii():
            raise ValueError("not a cursor")
        try:
            plain = base64.b64decode(
                written + "=" * (-len(written) % 4), altchars=b"-_", validate=True
            ).decode("ascii")
            position, microseconds, row = plain.split(".")
            if not _POSITIVE.fullmatch(position):
                raise ValueError("not a position")
            return cls(
                int(position), _EPOCH + timedelta(microseconds=int(microseconds)), UUID(hex=row)
            )
        except (binascii.Error, UnicodeDecodeError, OverflowError) as error:
            raise ValueError("not a cursor") from error


class Pages(BasePagination):
    """Pages of rows with `created_at` and `id`, newest first, in both of the contract's wrappers.

    Totals are exact up to 10,000 and the planner's estimate above, so that no list costs more the
    more rows there are. `known_total` spares counting them; where it returns None they are counted.
    """

    def __init__(self, known_total: Callable[[], int | None] | None = None) -> None:
        self.known_total = known_total

    def paginate_queryset(
        self,
        queryset: Any,
        request: Request,
        view: APIView | None = None,  # noqa: ARG002 - DRF's signature
    ) -> list[Any]:
        """Return the rows of the page that the request asks for.

        Raises: ValidationError (400) for `page`, `limit` or `after` that name no page.
        """
        query = request.query_params
        self.limit = _number(query, "limit", DEFAULT_LIMIT)
        if self.limit > LARGEST_LIMIT:
            raise ValidationError({"limit": [_("Ask for 1 to 100 rows a page.")]})
        # Rows that one statement wrote are as old as one another: the caller orders them by their key alone.
        by_key = queryset.query.order_by == ("-id",)
        rows = everything = queryset if by_key else queryset.order_by("-created_at", "-id")
        after = _after(query)
        if after is not None:
            self.offset = after.position
            rows = rows.filter(
                Q(id__lt=after.id) if by_key else older_than(after.created_at, after.id)
            )
            found = list(rows[: self.limit + 1])
        else:
            self.offset = (_number(query, "page", 1) - 1) * self.limit
            if self.offset >= COUNTED:
                raise ValidationError(
                    {
                        "page": [
                            _(
                                "Pages end at row 10,000. Narrow the filter, or follow meta.next "
                                "with ?after=."
                            )
                        ]
                    }
                )
            found = list(rows[self.offset : self.offset + self.limit + 1])
        self.has_next = len(found) > self.limit
        page = found[: self.limit]
        self.next = (
            str(Cursor(self.offset + len(page), page[-1].created_at, page[-1].pk))
            if self.has_next
            else None
        )
        reached = self.offset + len(found) if found else 0
        if after is None and not self.has_next and (found or not self.offset):
            self.total, self.estimated = reached, False  # the page is the last one
        elif self.known_total is not None and (known := self.known_total()) is not None:
            self.total = max(known, reached)
            self.estimated = self.total > COUNTED  # as everywhere: nobody is promised more
        else:
            self.total, self.estimated = total(everything, at_least=reached)
        return page

    def get_paginated_response(self, data: Sequence[Any]) -> Response:
        return Response(self.wrap(data))

    def wrap(self, data: Sequence[Any]) -> dict[str, Any]:
        """Return the page's rows between both wrappers."""
        page = self.offset // self.limit + 1
        pages = -(-self.total // self.limit)
        has_previous = self.offset > 0
        return {
            "data": data,
            "meta": {
                "currentPage": page,
                "limit": self.limit,
                "totalPages": pages,
                "totalRecords": self.total,
                "hasNextPage": self.has_next,
                "hasPreviousPage": has_previous,
                "estimated": self.estimated,
                "next": self.next,
            },
            "pagination": {
                "currentPage": page,
                "totalPages": pages,
                "totalItems": self.total,
                "itemsPerPage": self.limit,
                "hasNextPage": self.has_next,
                "hasPreviousPage": has_previous,
            },
        }

    def get_paginated_response_schema(self, schema: dict[str, Any]) -> dict[str, Any]:
        number, truth = {"type": "integer", "minimum": 0}, {"type": "boolean"}
        return {
            "type": "object",
            "required": ["data", "meta", "pagination"],
            "properties": {
                "data": schema,
                "meta": _object_of(
                    currentPage=number,
                    limit=number,
                    totalPages=number,
                    totalRecords=number,
                    hasNextPage=truth,
                    hasPreviousPage=truth,
                    estimated=truth,
                    next={"type": "string", "nullable": True},
                ),
                "pagination": _object_of(
                    currentPage=number,
                    totalPages=number,
                    totalItems=number,
                    itemsPerPage=number,
                    hasNextPage=truth,
                    hasPreviousPage=truth,
                ),
            },
        }

    def get_schema_operation_parameters(self, view: APIView) -> list[dict[str, Any]]:  # noqa: ARG002 - spectacular's signature
        return [
            _parameter(
                "page", f"Which page, from 1. Pages end at row {COUNTED:,}.", "integer", minimum=1
            ),
            _parameter(
                "limit",
                "How many rows a page.",
                "integer",
                minimum=1,
                maximum=LARGEST_LIMIT,
                default=DEFAULT_LIMIT,
            ),
            _parameter(
                "after",
                "The page after this one: its `meta.next`. Goes before `page`.",
                "string",
                maxLength=_LONGEST_CURSOR,
            ),
        ]


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    written = query.get(name)
    if written is None:
        return default
    if not _POSITIVE.fullmatch(written):
        raise ValidationError({name: [_("Write a whole number from 1.")]})
    return int(written)


def _after(query: Mapping[str, str]) -> Cursor | None:
    written = query.get("after")
    if written is None:
        return None
    try:
        return Cursor.read(written)
    except ValueError as error:
        raise ValidationError(
            {"after": [_("Send meta.next of an earlier page, as it was.")]}
        ) from error


def older_than(created_at: datetime, row: UUID) -> LessThan:
    """Return the condition that a row stands after this one in a list, as one range of its index.

    `created_at < … OR (created_at = … AND id < …)` means the same, and reads every row of that moment
    again for each page: of a broadcast of a million, half a million on the average.
    """
    return LessThan(_row(F("created_at"), F("id")), _place(created_at, row))


def newer_than(created_at: datetime, row: UUID) -> GreaterThan:
    """Return the condition that a row stands after this one in a list that begins with the oldest."""
    return GreaterThan(_row(F("created_at"), F("id")), _place(created_at, row))


def _place(created_at: datetime, row: UUID) -> Func:
    return _row(Value(created_at, DateTimeField()), Value(row, UUIDField()))


def _row(*parts: F | Value) -> Func:
    return Func(*parts, function="ROW", output_field=DateTimeField())


def total(queryset: QuerySet[Any], *, at_least: int = 0) -> tuple[int, bool]:
    """Return how many rows there are, exactly up to 10,000, and whether that is an estimate."""
    # In the page's order, so that it is answered from the page's index. In any order the planner may read
    # the table from its beginning, where millions of another organization's rows may stand.
    counted = queryset[: COUNTED + 1].count()
    if counted <= COUNTED:
        return counted, False
    return max(expected(queryset)[0], counted, at_least), True


def _object_of(**properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": list(properties), "properties": properties}


def _parameter(name: str, description: str, kind: str, **rules: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "required": False,
        "description": description,
        "schema": {"type": kind, **rules},
    }

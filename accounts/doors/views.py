"""The base of the API's views about one organization's things."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from django.db.models import QuerySet
from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from accounts.doors.pagination import Pages
from accounts.doors.permissions import HasRight
from accounts.roles import Right


class OrganizationView(APIView):
    """A view that asks for a right, in the contract's order: 401, role, (terms), 429, 413/415, 400.

    Name its `right`, and in `rights` the methods that ask for another. Sending views append
    `AcceptedTerms` to `permission_classes`. The body is read when `validated` is called, never before.
    """

    permission_classes = [IsAuthenticated, HasRight]
    right: ClassVar[Right | None] = None
    rights: ClassVar[Mapping[str, Right]] = {}


def validated(request: Request, serializer: type[BaseSerializer[Any]]) -> dict[str, Any]:
    """Return the body's fields as the serializer reads them.

    Raises: what the parser and the serializer raise: 413, 415, 400 with `fields`.
    """
    read = serializer(data=request.data)
    read.is_valid(raise_exception=True)
    return dict(read.validated_data)


def queried(request: Request, serializer: type[BaseSerializer[Any]]) -> dict[str, Any]:
    """Return the address's parameters as the serializer reads them; an empty one counts as left out.

    Raises: ValidationError (400 with `fields`).
    """
    read = serializer(data=request.query_params)
    read.is_valid(raise_exception=True)
    return dict(read.validated_data)


def listed(
    request: Request,
    rows: QuerySet[Any],
    serializer: type[BaseSerializer[Any]],
    *,
    known_total: Callable[[], int | None] | None = None,
) -> Response:
    """Return the page of the rows that the request asks for, newest first, in the contract's wrappers.

    They are counted up to 10,000, unless `known_total` knows better how many there are.

    For the schema the view names `pagination_class = Pages` and answers `serializer(many=True)`.

    Raises: ValidationError (400) for `page`, `limit` or `after` that name no page.
    """
    pages = Pages(known_total)
    page = pages.paginate_queryset(rows, request)
    return pages.get_paginated_response(serializer(page, many=True).data)

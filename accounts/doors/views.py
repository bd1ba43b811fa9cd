"""The base of the API's views about one organization's things."""

from __future__ import annotations

from typing import Any, ClassVar

from rest_framework.permissions import IsAuthenticated
from rest_framework.request import Request
from rest_framework.serializers import BaseSerializer
from rest_framework.views import APIView

from accounts.doors.permissions import HasRight
from accounts.roles import Right


class OrganizationView(APIView):
    """A view that asks for a right, in the contract's order: 401, role, (terms), 429, 413/415, 400.

    Name its `right`. Sending views append `AcceptedTerms` to
    `permission_classes`. The body is read when `validated` is called, never before.
    """

    permission_classes = [IsAuthenticated, HasRight]
    right: ClassVar[Right | None] = None


def validated(request: Request, serializer: type[BaseSerializer[Any]]) -> dict[str, Any]:
    """Return the body's fields as the serializer reads them.

    Raises: what the parser and the serializer raise: 413, 415, 400 with `fields`.
    """
    read = serializer(data=request.data)
    read.is_valid(raise_exception=True)
    return dict(read.validated_data)

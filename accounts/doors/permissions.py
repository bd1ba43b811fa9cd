"""What the API asks before it reads a body: the right of the role first, the accepted terms second."""

from __future__ import annotations

from collections.abc import Mapping

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts import roles, terms
from accounts.doors.organization import member_of


class HasRight(BasePermission):
    """Asks for the right that the view names for the method in `rights`, else for its `right`.

    A view that names none is a mistake and fails.

    Raises `roles.RoleMissing` (403/1003).
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        rights: Mapping[str, roles.Right] = getattr(view, "rights", {})
        right: roles.Right | None = rights.get(str(request.method), getattr(view, "right", None))
        if right is None:
            raise TypeError(f"{type(view).__name__} names no right.")
        roles.require(member_of(request), right)
        return True


class AcceptedTerms(BasePermission):
    """Asks that the member accepted the terms in force, for everything that changes something.

    Stands after `HasRight` in `permission_classes`. Raises `terms.TermsNotAccepted` (403/1022).
    """

    def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002 - DRF's signature
        if request.method not in SAFE_METHODS:
            terms.require_accepted(member_of(request))
        return True

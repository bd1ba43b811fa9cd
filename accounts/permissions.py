"""What the API asks before it reads a body: the right of the role first, the accepted terms second."""

from __future__ import annotations

from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts import roles, terms
from accounts.models import Member


class HasRight(BasePermission):
    """Asks for the view's `right`, or for the one its `rights` name for the method.

    A view that names neither is a mistake and fails. Raises `roles.RoleMissing` (403/1003).
    """

    def has_permission(self, request: Request, view: APIView) -> bool:
        rights: dict[str, roles.Right] = getattr(view, "rights", {})
        right: roles.Right | None = rights.get(request.method or "", getattr(view, "right", None))
        if right is None:
            # A method without a handler (405) or OPTIONS asks for no more than reading.
            if not rights:
                raise TypeError(f"{type(view).__name__} names no right.")
            right = roles.Right.READ
        roles.require(_member(request), right)
        return True


class AcceptedTerms(BasePermission):
    """Asks that the member accepted the terms in force, for everything that changes something.

    Stands after `HasRight` in `permission_classes`. Raises `terms.TermsNotAccepted` (403/1022).
    """

    def has_permission(self, request: Request, view: APIView) -> bool:  # noqa: ARG002 - DRF's signature
        if request.method not in SAFE_METHODS:
            terms.require_accepted(_member(request))
        return True


def _member(request: Request) -> Member:
    if not isinstance(request.user, Member):
        raise TypeError("IsAuthenticated must stand before this permission.")
    return request.user

"""The one way from a request to rows: the member, and what belongs to the member's organization."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from rest_framework.request import Request

from accounts import roles
from accounts.models import Member, Organization

Kind = TypeVar("Kind", bound=Model)


def member_of(request: HttpRequest | Request) -> Member:
    """Return who is asking, in the API and in the admin; only behind their gates for the signed-in.

    Raises: TypeError where nobody is signed in: the view lacks IsAuthenticated.
    """
    if not isinstance(request.user, Member):
        raise TypeError("This must stand behind IsAuthenticated, or behind the admin's sign-in.")
    return request.user


def organization_of(request: Request) -> Organization:
    """Return the organization of the member that is asking.

    Raises: RoleMissing for a platform superuser, who has none.
    """
    member = member_of(request)
    if member.organization is None:
        raise roles.RoleMissing(roles.no_organization())
    return member.organization


def for_org(
    request: Request, rows: type[Kind] | QuerySet[Kind], *, path: str = "organization"
) -> QuerySet[Kind]:
    """Return the rows of the asking member's organization, and never another's.

    `path` is the look-up from a row to its organization, as `broadcast__organization`; `pk` for
    organizations themselves. Look single rows up with `get_object_or_404(for_org(…), pk=…)`: what
    belongs to another answers as what does not exist.

    Raises: RoleMissing for a platform superuser.
    """
    queryset = rows if isinstance(rows, QuerySet) else rows._default_manager.all()
    return queryset.filter(**{path: organization_of(request).pk})

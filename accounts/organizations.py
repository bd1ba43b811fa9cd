"""The customers of this installation: creating them, changing their settings, suspending them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from django.db import transaction

from accounts import audit, roles
from accounts.models import Member, Organization
from accounts.roles import Right

OWN_SETTINGS: Final = frozenset(
    {
        "name",
        "email",
        "country",
        "allowed_countries",
        "repeat_guard_seconds",
        "approval_above",
        "confirm_above",
        "retention_days",
    }
)
"""What an owner may change."""

PLATFORM_SETTINGS: Final = frozenset({"status", "allows_special_numbers"})
"""What decides over fraud and money, and is the platform's to change."""

_PERSONAL: Final = frozenset({"email"})  # of these the trail tells only that they changed


@transaction.atomic
def create(*, organization: Organization, by: Member, address: str | None = None) -> None:
    """Keep the new organization.

    Raises: RoleMissing for everybody but a platform superuser.
    """
    roles.require(by, Right.MANAGE_ORGANIZATIONS)
    organization.save()
    audit.record(
        act="organization.created",
        subject=organization,
        member=by,
        organization=organization,
        address=address,
    )


@transaction.atomic
def change(
    *, organization: Organization, fields: Collection[str], by: Member, address: str | None = None
) -> None:
    """Keep these fields as they are in memory.

    Suspending one signs all its members out at once; the dispatcher then cancels its open broadcasts.

    Raises: RoleMissing, for an owner also on what is the platform's to decide.
    """
    if not roles.may(by, Right.MANAGE_ORGANIZATIONS):
        roles.require(by, Right.MANAGE_ORGANIZATION)
        if by.organization_id != organization.pk or not OWN_SETTINGS.issuperset(fields):
            raise roles.RoleMissing(roles.platform_only())
    if not fields:
        return
    told = sorted(set(fields) - _PERSONAL)
    before = Organization.objects.select_for_update().values(*told).get(pk=organization.pk)
    organization.save(update_fields=[*fields, "updated_at"])
    after = {name: getattr(organization, name) for name in told}
    audit.record(
        act="organization.changed",
        subject=organization,
        member=by,
        organization=organization,
        details={"fields": sorted(fields), **audit.change(before=before, after=after)},
        address=address,
    )

"""Who acts for an organization: adding members, changing them, giving them a new one-time password."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import Final

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit, roles, sessions
from accounts.models import Member
from accounts.roles import Right

CHANGEABLE: Final = frozenset({"email", "name", "role", "is_active"})
_OWN: Final = frozenset({"email", "name"})  # of these, what one may change about oneself
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"  # none that is read as another


class NotYourself(Exception):
    """Nobody changes his own role, nor switches himself off; another owner does. Nothing was changed."""


@transaction.atomic
def add(*, member: Member, by: Member, address: str | None = None) -> str:
    """Keep the new member and return his one-time password: it is stored nowhere, so show it now.

    Raises: RoleMissing when `by` may not add members to that organization.
    """
    _require(member, by)
    password = _one_time_password()
    member.set_password(password)
    member.has_one_time_password = True
    member.save()
    audit.record(
        act="member.added",
        subject=member,
        member=by,
        organization=member.organization,
        details={"role": member.role},
        address=address,
    )
    return password


@transaction.atomic
def change(
    *, member: Member, fields: Collection[str], by: Member, address: str | None = None
) -> None:
    """Keep these fields of the member as they are in memory; they act with the next request.

    Switching a member off ends all sessions of his.

    Raises: RoleMissing; NotYourself.
    """
    _require(member, by)
    changed = sorted(CHANGEABLE & set(fields))
    if not changed:
        return
    if member.pk == by.pk and not _OWN.issuperset(changed):
        raise NotYourself(
            _("You cannot change your own role or switch yourself off. Ask another owner.")
        )
    # Who a member is, is personal; what he may do, is not.
    before = Member.objects.select_for_update().values("role", "is_active").get(pk=member.pk)
    member.save(update_fields=[*changed, "updated_at"])
    if not member.is_active:
        sessions.end_all(member=member)
    after = {"role": member.role, "is_active": member.is_active}
    audit.record(
        act="member.changed",
        subject=member,
        member=by,
        organization=member.organization,
        details={"fields": changed, **audit.change(before=before, after=after)},
        address=address,
    )


def give_one_time_password(*, member: Member, by: Member, address: str | None = None) -> str:
    """Replace the member's password and return the new one, which he changes at his next sign-in.

    Raises: RoleMissing; NotYourself, since one's own password is changed by knowing the old one.
    """
    _require(member, by)
    if member.pk == by.pk:
        raise NotYourself(_("Change your own password on your password page."))
    password = _one_time_password()
    sessions.set_password(member=member, password=password, by=by, one_time=True, address=address)
    return password


def _require(member: Member, by: Member) -> None:
    roles.require(by, Right.MANAGE_MEMBERS)
    if not by.is_superuser and member.organization_id != by.organization_id:
        raise roles.RoleMissing(_("This is not a member of your organization."))


def _one_time_password() -> str:
    """Return 16 letters in four groups: 79 bits, easy to read out."""
    return "-".join(
        "".join(secrets.choice(_LETTERS) for _letter in range(4)) for _group in range(4)
    )

"""An organization's tags: making them, finding them by id, taking them away."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Count
from django.utils.translation import gettext as _

from accounts import audit, roles
from accounts.models import Member, Organization
from accounts.roles import Right
from contacts.models import Contact, Tag

_NAME_IS_UNIQUE: Final = "contacts_tag_name_unique"


class TagNotFound(Exception):
    """The organization has no such tag; nothing was done."""


class TagNameTaken(ValueError):
    """Another tag of the organization has this name; nothing was done."""


def of(*, organization: Organization, ids: Collection[UUID]) -> list[Tag]:
    """Return the organization's tags with these ids.

    Raises: TagNotFound, for another organization's as for one that is nobody's.
    """
    found = {tag.pk: tag for tag in Tag.objects.filter(organization=organization, pk__in=ids)}
    missing = next((one for one in ids if one not in found), None)
    if missing is not None:
        raise TagNotFound(
            _("There is no tag %(id)s in your organization. GET /api/tags lists them.")
            % {"id": missing}
        )
    return list(found.values())


def counts(*, organization: Organization, tags: Collection[Tag]) -> dict[UUID, int]:
    """Return how many contacts, of those that nobody deleted, carry each of the organization's tags.

    One statement for all; a tag that nobody carries is left out.
    """
    carried = Contact.tags.through.objects.filter(
        tag__in=tags, contact__organization=organization, contact__deleted_at=None
    )
    return dict(carried.order_by().values_list("tag").annotate(carrying=Count("*")))


@transaction.atomic
def add(*, tag: Tag, by: Member, address: str | None = None) -> None:
    """Keep the new tag.

    Raises: RoleMissing; TagNameTaken.
    """
    roles.require(by, Right.MANAGE_CONTACTS)
    _save(tag, None)
    audit.record(act="tag.added", subject=tag, member=by, address=address)


@transaction.atomic
def change(*, tag: Tag, fields: Collection[str], by: Member, address: str | None = None) -> None:
    """Keep these fields of the tag as they are in memory.

    Raises: RoleMissing; TagNameTaken.
    """
    roles.require(by, Right.MANAGE_CONTACTS)
    if not fields:
        return
    _save(tag, [*fields, "updated_at"])
    details = {"fields": sorted(fields)}
    audit.record(act="tag.changed", subject=tag, member=by, details=details, address=address)


@transaction.atomic
def remove(*, tag: Tag, by: Member, address: str | None = None) -> None:
    """Take the tag off its contacts and delete it; the contacts stay.

    Raises: RoleMissing.
    """
    roles.require(by, Right.MANAGE_CONTACTS)
    subject = f"tag:{tag.pk}"
    gone, _rows = tag.delete()
    if gone:
        audit.record(act="tag.removed", subject=subject, member=by, address=address)


def _save(tag: Tag, fields: list[str] | None) -> None:
    try:
        with transaction.atomic():
            tag.save(update_fields=fields)
    except IntegrityError as error:
        if _NAME_IS_UNIQUE not in str(error):
            raise
        raise TagNameTaken(
            _("Your organization has a tag of this name already. Choose another name.")
        ) from error

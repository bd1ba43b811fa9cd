"""Keys of programs: making one, ending one, and whom one stands for.

A key is 256 random bits, so a plain digest keeps it: there is nothing to guess that a slow hash would
protect. It is looked up by that digest, so that the time this takes tells nothing of a key.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import timedelta
from typing import Final

from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import audit, roles
from accounts.models import ApiKey, Member
from accounts.roles import Right

_BEGINNING: Final = "pregon_"
_SHOWN: Final = len(_BEGINNING) + 6  # characters that stay to recognise a key by
_WRITTEN: Final = re.compile(rf"{_BEGINNING}[A-Za-z0-9_-]{{43}}")
_NOTED_EVERY: Final = timedelta(minutes=1)


class InvalidKey(Exception):
    """The key stands for nobody: not one of ours, ended, or its member may not be signed in."""


@transaction.atomic
def add(*, key: ApiKey, by: Member, address: str | None = None) -> str:
    """Keep the new key as the maker's own and return what a program shows: it is stored nowhere.

    It may do what he may at each moment, but for `roles.NOT_BY_KEY`.

    Raises: RoleMissing.
    """
    roles.require(by, Right.MANAGE_KEYS)
    assert by.organization is not None  # noqa: S101 - who manages keys has one
    written = _BEGINNING + secrets.token_urlsafe(32)
    key.organization, key.member = by.organization, by
    key.prefix, key.digest = written[:_SHOWN], _digest(written)
    key.save()
    audit.record(
        act="api_key.added",
        subject=key,
        member=by,
        details={"prefix": key.prefix},
        address=address,
    )
    return written


@transaction.atomic
def end(*, key: ApiKey, by: Member, address: str | None = None) -> None:
    """Refuse the key from this commit on, for good. Ending it again changes nothing.

    Raises: RoleMissing, also for another organization's key.
    """
    roles.require(by, Right.MANAGE_KEYS)
    if key.organization_id != by.organization_id:
        raise roles.RoleMissing(_("This is not a key of your organization."))
    alive = ApiKey.objects.filter(pk=key.pk, is_active=True)
    if not alive.update(is_active=False, updated_at=Now()):
        return
    key.refresh_from_db()
    audit.record(
        act="api_key.ended",
        subject=key,
        member=by,
        details={"prefix": key.prefix, "of": str(key.member_id)},
        address=address,
    )


def member_with(*, written: str) -> tuple[Member, ApiKey]:
    """Return the member whom a key stands for, as the database has him now, and the key. One query.

    When it was used is written down, but not more than once a minute.

    Raises: InvalidKey.
    """
    key = _find(written)
    if key is None or not key.is_active:
        raise InvalidKey(_("This API key is not valid, or was ended. Ask an owner for a new one."))
    member = key.member
    # A key stays with the organization that it was made for.
    if not member.is_admitted or member.organization_id != key.organization_id:
        raise InvalidKey(_("The member of this API key may not act any more. Ask an owner."))
    member.acts_by_key = key.pk
    _note_use(key)
    return member, key


def _find(written: str) -> ApiKey | None:
    if not _WRITTEN.fullmatch(written):
        return None  # nothing that we gave out: not worth a look into the database
    keys = ApiKey.objects.select_related("member__organization")
    return next(iter(keys.filter(digest=_digest(written))), None)


def _note_use(key: ApiKey) -> None:
    late = timezone.now() - _NOTED_EVERY
    if key.last_used_at is not None and key.last_used_at > late:
        return
    unnoted = Q(last_used_at=None) | Q(last_used_at__lt=late)
    ApiKey.objects.filter(unnoted, pk=key.pk).update(last_used_at=Now())


def _digest(written: str) -> bytes:
    return hashlib.sha256(written.encode()).digest()

"""Recording who did what: one plain insert in the act's own transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import models

from accounts.models import AuditEntry, Member, Organization


def record(
    *,
    act: str,
    subject: models.Model | str,
    member: Member | None = None,
    organization: Organization | None = None,
    details: Mapping[str, Any] | None = None,
    address: str | None = None,
) -> AuditEntry:
    """Write down that `member` did `act` to `subject`, for good: the database refuses to change it.

    Call it inside the act's transaction, so that neither exists without the other. No member: the
    system itself acted. No organization: the member's. Acts are `noun.deed`, as `terms.accepted`;
    a row as subject becomes `model:id`. Details are ids, digests, names of fields and counts, never
    a phone number, an e-mail address, a text or a password. What came by an API key says which.
    """
    if isinstance(subject, models.Model):
        subject = subject_of(subject)
    told = dict(details or {})
    if member is not None and member.acts_by_key is not None:
        told["api_key"] = str(member.acts_by_key)
    return AuditEntry.objects.create(
        act=act,
        subject=subject,
        member=member,
        organization_id=organization.pk
        if organization is not None
        else (member.organization_id if member is not None else None),
        details=told,
        address=address,
    )


def subject_of(row: models.Model) -> str:
    """Return what an entry calls the row that it is about."""
    return f"{row._meta.model_name}:{row.pk}"


def change(*, before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the details of a change: the fields that differ, as they were and as they are.

    Give it no field that holds personal data: name such ones in `fields` instead.
    """
    differs = sorted(name for name in after if before.get(name) != after[name])
    return {
        "before": {name: before.get(name) for name in differs},
        "after": {name: after[name] for name in differs},
    }

"""The audit trail."""

import pytest
from django.db import DatabaseError, transaction

from accounts import audit
from accounts.models import AuditEntry, Member, Organization

pytestmark = pytest.mark.django_db


def test_it_keeps_who_did_what_to_which_row(ana: Member, acme: Organization) -> None:
    entry = audit.record(
        act="contact.added",
        subject=ana,
        member=ana,
        details={"fields": ["name"]},
        address="2001:db8::1",
    )

    entry.refresh_from_db()
    assert (entry.act, entry.subject) == ("contact.added", f"member:{ana.pk}")
    assert (entry.member_id, entry.organization_id) == (ana.pk, acme.pk)
    assert (entry.details, entry.address) == ({"fields": ["name"]}, "2001:db8::1")


def test_the_system_itself_may_act(db: None) -> None:
    entry = audit.record(act="retention.ran", subject="messages")

    assert (entry.member_id, entry.organization_id, entry.subject) == (None, None, "messages")


def test_a_superusers_act_can_be_for_an_organization(root: Member, acme: Organization) -> None:
    entry = audit.record(act="credits.granted", subject=acme, member=root, organization=acme)

    assert entry.organization_id == acme.pk


def test_an_entry_outlives_its_member(db: None, root: Member) -> None:
    entry = audit.record(act="x", subject="x", member=root)
    gone = root.pk

    Member.objects.filter(pk=gone).delete()

    entry.refresh_from_db()
    assert entry.member_id == gone


def test_the_database_refuses_to_change_an_entry(ana: Member) -> None:
    entry = audit.record(act="x", subject="x", member=ana)

    with pytest.raises(DatabaseError, match="append-only: update"), transaction.atomic():
        AuditEntry.objects.filter(pk=entry.pk).update(act="y")
    with pytest.raises(DatabaseError, match="append-only: delete"), transaction.atomic():
        AuditEntry.objects.filter(pk=entry.pk).delete()

    entry.refresh_from_db()
    assert entry.act == "x"

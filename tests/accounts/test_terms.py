"""Which terms are in force, and who accepted them."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from django.db import IntegrityError, connection

from accounts import terms
from accounts.models import AuditEntry, Member, Terms, TermsAcceptance
from accounts.roles import RoleMissing
from tests.factories import TermsFactory


def test_who_accepted_passes(ana: Member) -> None:
    terms.require_accepted(ana)


def test_beto_is_refused_until_he_accepts(beto: Member) -> None:
    with pytest.raises(terms.TermsNotAccepted, match="version 2026-1"):
        terms.require_accepted(beto)

    terms.accept(member=beto, version="2026-1")

    terms.require_accepted(beto)


def test_publishing_acts_at_once_on_everybody(ana: Member, root: Member) -> None:
    draft = TermsFactory.create(version="2026-2", published_at=None)
    terms.require_accepted(ana)

    terms.publish(terms=draft, member=root)

    with pytest.raises(terms.TermsNotAccepted, match="version 2026-2"):
        terms.require_accepted(ana)


def test_while_none_are_published_everybody_is_refused(ana: Member) -> None:
    Terms.objects.update(published_at=None)

    with pytest.raises(terms.TermsNotAccepted, match="No terms of use are published"):
        terms.require_accepted(ana)
    assert terms.current() is None
    assert not terms.has_accepted(ana)


def test_the_gate_costs_one_query(ana: Member, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(1):
        terms.require_accepted(ana)


def test_publishing_twice_is_refused_and_moves_nothing(terms_in_force: Terms, root: Member) -> None:
    before = terms_in_force.published_at

    with pytest.raises(terms.TermsPublished):
        terms.publish(terms=terms_in_force, member=root)

    terms_in_force.refresh_from_db()
    assert terms_in_force.published_at == before


def test_publishing_is_recorded(root: Member) -> None:
    draft = TermsFactory.create(version="2026-2", published_at=None)

    terms.publish(terms=draft, member=root, address="192.0.2.1")

    entry = AuditEntry.objects.get(act="terms.published")
    assert (entry.subject, entry.member_id, entry.organization_id) == (
        f"terms:{draft.pk}",
        root.pk,
        None,
    )
    assert entry.details == {"version": "2026-2"}


def test_an_owner_publishes_nothing_and_drafts_nothing(ana: Member) -> None:
    draft = TermsFactory.create(version="2026-2", published_at=None)
    draft.body = "Other words."

    with pytest.raises(RoleMissing):
        terms.publish(terms=draft, member=ana)
    with pytest.raises(RoleMissing):
        terms.save_draft(terms=draft, member=ana)

    draft.refresh_from_db()
    assert (draft.published_at, draft.body) == (None, "Write only to people who asked for it.")


def test_a_draft_can_be_changed_and_a_published_version_cannot(root: Member) -> None:
    draft = TermsFactory.create(version="2026-2", published_at=None)
    stale = Terms.objects.get(pk=draft.pk)
    draft.body = "Better words."
    terms.save_draft(terms=draft, member=root)
    terms.publish(terms=draft, member=root)
    stale.body = "Other words."

    with pytest.raises(terms.TermsPublished):
        terms.save_draft(terms=stale, member=root)

    draft.refresh_from_db()
    assert draft.body == "Better words."
    assert draft.published_at is not None


def test_without_its_audit_entry_no_acceptance_is_kept(beto: Member) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        cursor.execute(
            "ALTER TABLE accounts_auditentry ADD CONSTRAINT none CHECK (false) NOT VALID"
        )

    with pytest.raises(IntegrityError, match='"none"'):
        terms.accept(member=beto, version="2026-1")

    assert not TermsAcceptance.objects.filter(member=beto).exists()


@pytest.mark.django_db(transaction=True)
def test_of_eight_acceptances_at_once_one_is_kept(beto: Member) -> None:
    barrier = Barrier(8)

    def accept(_number: int) -> str:
        try:
            barrier.wait()
            terms.accept(member=beto, version="2026-1")
        except terms.TermsAlreadyAccepted:
            return "already"
        else:
            return "kept"
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(accept, range(8)))

    assert sorted(outcomes) == ["already"] * 7 + ["kept"]
    assert TermsAcceptance.objects.filter(member=beto).count() == 1
    assert AuditEntry.objects.filter(act="terms.accepted").count() == 1

"""Terms in the admin: writing, publishing after a look at whom it stops, accepting."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts import terms
from accounts.models import AuditEntry, Member, Organization, Terms, TermsAcceptance
from tests.admin.accounts_pages import form, listing, page, texts
from tests.factories import TermsFactory
from tests.people import AdminOf

pytestmark = pytest.mark.django_db


def current() -> str:
    return reverse("admin:current_terms")


def publication(draft: Terms) -> str:
    return reverse("admin:accounts_terms_publish_draft", args=[draft.pk])


# --- writing and publishing ---------------------------------------------------------------------
def test_a_superuser_writes_a_draft_sees_whom_it_stops_and_publishes_it(
    admin_of: AdminOf, root: Member, ana: Member, sara: Member, vera: Member, beto: Member
) -> None:
    client = admin_of(root)
    form(client, reverse("admin:accounts_terms_add"), version="2026-2", title="New", body="Words.")
    draft = Terms.objects.get(version="2026-2")
    assert publication(draft) in texts(client.get(page(draft)))

    asked = client.get(publication(draft))
    draft.refresh_from_db()
    assert draft.published_at is None
    assert asked.context["stopped"] == 2  # Ana and Sara: Vera sends nothing, Beto is stopped now
    assert "Publish version 2026-2?" in texts(asked)
    assert "Words." in texts(asked)

    answer = client.post(publication(draft), follow=True)
    draft.refresh_from_db()
    assert draft.published_at is not None
    assert "Version 2026-2 is in force." in texts(answer)
    assert {"terms.drafted", "terms.published"} <= set(
        AuditEntry.objects.values_list("act", flat=True)
    )


def test_the_action_of_the_list_leads_to_the_page_that_asks(
    admin_of: AdminOf, root: Member, terms_in_force: Terms
) -> None:
    draft = TermsFactory.create(version="2026-2", published_at=None)
    client = admin_of(root)

    def choose(*chosen: Terms) -> Any:
        keys = [str(one.pk) for one in chosen]
        return client.post(
            listing("terms"), {"action": "publish", "_selected_action": keys}, follow=True
        )

    assert choose(draft).redirect_chain == [(publication(draft), 302)]
    assert "is published already" in texts(choose(terms_in_force))
    assert "Choose one version to publish." in texts(choose(draft, terms_in_force))
    draft.refresh_from_db()
    assert draft.published_at is None


def test_published_terms_stay_as_they_are(
    admin_of: AdminOf, root: Member, terms_in_force: Terms
) -> None:
    client = admin_of(root)
    words = {"version": "x", "title": "x", "body": "x"}

    assert client.post(page(terms_in_force), words).status_code == 403
    assert publication(terms_in_force) not in texts(client.get(page(terms_in_force)))
    assert client.post(publication(terms_in_force)).status_code == 403
    terms_in_force.refresh_from_db()
    assert terms_in_force.version == "2026-1"
    assert AuditEntry.objects.filter(act="terms.published").count() == 0


def test_an_owner_publishes_nothing(admin_of: AdminOf, ana: Member) -> None:
    draft = TermsFactory.create(version="2026-2", published_at=None)
    client = admin_of(ana)

    assert client.get(publication(draft)).status_code == 403
    assert client.post(publication(draft)).status_code == 403
    client.post(listing("terms"), {"action": "publish", "_selected_action": [str(draft.pk)]})

    draft.refresh_from_db()
    assert draft.published_at is None
    assert client.get(reverse("admin:accounts_terms_add")).status_code == 403


# --- accepting ----------------------------------------------------------------------------------
def test_a_member_finds_the_terms_from_the_start_page_and_accepts_them(
    admin_of: AdminOf, beto: Member, terms_in_force: Terms
) -> None:
    client = admin_of(beto)
    assert f'<a href="{current()}">Read and accept them</a>' in texts(
        client.get(reverse("admin:index"))
    )

    shown = client.get(current())
    assert terms_in_force.body in texts(shown)
    assert not terms.has_accepted(beto)

    answer = client.post(
        current(), {"version": "2026-1"}, follow=True, headers={"User-Agent": "a browser"}
    )
    acceptance = TermsAcceptance.objects.get(member=beto)
    assert (acceptance.terms, acceptance.address) == (terms_in_force, "127.0.0.1")
    assert acceptance.user_agent == "a browser"
    assert AuditEntry.objects.get(act="terms.accepted").member == beto
    assert "You accepted version 2026-1 of the terms." in texts(answer)
    assert "Read and accept them" not in texts(answer)
    assert "You accepted this version at" in texts(client.get(current()))


def test_looking_never_accepts(admin_of: AdminOf, beto: Member) -> None:
    client = admin_of(beto)

    for method in (client.get, client.head, client.options, client.put, client.delete):
        method(f"{current()}?version=2026-1")

    assert not terms.has_accepted(beto)


def test_a_page_of_another_site_accepts_nothing(beto: Member) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(beto)

    assert client.post(current(), {"version": "2026-1"}).status_code == 403
    assert not terms.has_accepted(beto)


@pytest.mark.parametrize("version", ["2026-1", "", "x"])
def test_only_the_version_that_was_read_is_accepted(
    admin_of: AdminOf, beto: Member, version: str
) -> None:
    TermsFactory.create(version="2026-2", body="The newer text.")

    answer = admin_of(beto).post(current(), {"version": version}, follow=True)

    assert "There is no such version in force." in texts(answer)
    assert "The newer text." in texts(answer)
    assert not TermsAcceptance.objects.filter(member=beto).exists()


def test_accepting_again_changes_nothing(admin_of: AdminOf, ana: Member) -> None:
    first = TermsAcceptance.objects.get(member=ana)

    answer = admin_of(ana).post(current(), {"version": "2026-1"}, follow=True)

    assert "You accepted version 2026-1 before" in texts(answer)
    assert TermsAcceptance.objects.get(member=ana) == first


def test_a_superuser_reads_the_terms_and_accepts_nothing(
    admin_of: AdminOf, root: Member, terms_in_force: Terms
) -> None:
    client = admin_of(root)

    assert '<form method="post" class="pregon-line"' not in texts(client.get(current()))
    answer = client.post(current(), {"version": "2026-1"}, follow=True)

    assert "A platform superuser belongs to no organization" in texts(answer)
    assert not TermsAcceptance.objects.exists()


def test_without_terms_in_force_the_page_says_so(admin_of: AdminOf, beto: Member) -> None:
    Terms.objects.update(published_at=None)

    assert "No terms are published yet" in texts(admin_of(beto).get(current()))


def test_markup_in_terms_stays_text(admin_of: AdminOf, beto: Member, acme: Organization) -> None:
    evil = "<script>alert(1)</script>"
    TermsFactory.create(version=evil, title=evil, body=evil)

    shown = admin_of(beto).get(current()).content.decode()

    assert "<script>alert(1)" not in shown
    assert "&lt;script&gt;alert(1)" in shown

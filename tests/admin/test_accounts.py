"""The admin's pages of accounts: who sees what, and what stays as it is."""

from typing import Any

import pytest
from django.contrib import admin
from django.urls import reverse

from accounts import audit
from accounts.models import AuditEntry, Member, Organization, TermsAcceptance
from tests.admin.accounts_pages import listing, page, texts
from tests.factories import TermsFactory
from tests.people import AdminOf

pytestmark = pytest.mark.django_db

LISTS = ["organization", "member", "terms", "termsacceptance", "auditentry"]


@pytest.mark.parametrize("model", LISTS)
@pytest.mark.parametrize("who", ["ana", "sara", "vera", "root"])
def test_every_list_and_every_row_opens(
    admin_of: AdminOf, request: pytest.FixtureRequest, ana: Member, who: str, model: str
) -> None:
    audit.record(act="x", subject=ana, member=ana)
    client = admin_of(request.getfixturevalue(who))
    rows = admin.site._registry[
        next(kind for kind in admin.site._registry if kind._meta.model_name == model)
    ].model._default_manager.filter()

    assert client.get(listing(model)).status_code == 200
    assert client.get(listing(model), {"q": "a"}).status_code == 200
    for row in rows:
        if isinstance(row, Member) and row.is_superuser and who != "root":
            continue
        assert client.get(page(row)).status_code == 200


def test_the_index_opens_for_everybody_with_a_role(
    admin_of: AdminOf, ana: Member, vera: Member, root: Member
) -> None:
    for member in (ana, vera, root):
        assert admin_of(member).get(reverse("admin:index")).status_code == 200


def test_tokens_and_groups_are_shown_to_nobody(admin_of: AdminOf, root: Member) -> None:
    client = admin_of(root)

    for name in (
        "token_blacklist_outstandingtoken",
        "token_blacklist_blacklistedtoken",
        "auth_group",
    ):
        assert client.get(reverse(f"admin:{name}_changelist")).status_code == 403


# --- isolation (S14, S16, S54) ----------------------------------------------------------------
def test_an_owner_sees_only_his_organization(
    admin_of: AdminOf,
    ana: Member,
    carla: Member,
    root: Member,
    acme: Organization,
    borealis: Organization,
) -> None:
    audit.record(act="carla.act", subject=carla, member=carla)
    client = admin_of(ana)

    for model in LISTS:
        shown = texts(client.get(listing(model)))
        assert "carla@" not in shown
        assert "Borealis" not in shown
        assert "root@" not in shown
        assert str(carla.pk) not in shown


def test_anothers_rows_are_not_found(
    admin_of: AdminOf, ana: Member, carla: Member, root: Member, borealis: Organization
) -> None:
    entry = audit.record(act="carla.act", subject=carla, member=carla)
    acceptance = TermsAcceptance.objects.get(member=carla)
    client = admin_of(ana)

    for row in (carla, root, borealis, entry, acceptance):
        for address in (page(row), page(row).replace("change/", "history/")):
            answer = client.get(address)
            assert answer.status_code == 404
        assert client.post(page(row), {"name": "x"}).status_code in (403, 404)
    carla.refresh_from_db()
    assert carla.name == "Carla"


@pytest.mark.parametrize("field", ["member__id__exact", "organization__id__exact"])
def test_a_filter_does_not_name_rows_of_others(
    admin_of: AdminOf, ana: Member, carla: Member, field: str
) -> None:
    client = admin_of(ana)
    value = carla.pk if field.startswith("member") else carla.organization_id

    for model in ("auditentry", "termsacceptance", "member"):
        shown = texts(client.get(listing(model), {field: str(value)}, follow=True))
        assert "carla@" not in shown
        assert "Borealis" not in shown


@pytest.mark.parametrize(
    "query",
    [
        {"password__startswith": "md5"},
        {"password": "x"},
        {"member__password__startswith": "md5"},
        {"organization__members__password__startswith": "md5"},
        {"member__organization__name": "Borealis"},
    ],
)
@pytest.mark.parametrize("model", ["member", "auditentry"])
def test_no_filter_reaches_where_none_is_offered(
    admin_of: AdminOf, ana: Member, model: str, query: dict[str, str]
) -> None:
    answer = admin_of(ana).get(listing(model), query)

    # Refused, or sent back without the filter: never answered with it.
    assert answer.status_code in (302, 400)


@pytest.mark.parametrize("who", ["ana", "root"])
def test_autocomplete_offers_only_what_one_sees(
    admin_of: AdminOf, request: pytest.FixtureRequest, ana: Member, carla: Member, who: str
) -> None:
    client = admin_of(request.getfixturevalue(who))

    answer = client.get(
        reverse("admin:autocomplete"),
        {
            "app_label": "accounts",
            "model_name": "termsacceptance",
            "field_name": "member",
            "term": "",
        },
    )

    names = {row["text"] for row in answer.json()["results"]}
    assert ("carla@borealis.example" in names) is (who == "root")
    assert "ana@acme.example" in names


def test_a_field_that_is_no_reference_cannot_be_asked_for(admin_of: AdminOf, ana: Member) -> None:
    answer = admin_of(ana).get(listing("member"), {"_to_field": "password", "_popup": "1"})

    assert answer.status_code == 400


def test_drafts_of_terms_are_the_platforms_own(
    admin_of: AdminOf, ana: Member, root: Member
) -> None:
    draft = TermsFactory.create(version="secret-draft", published_at=None)

    assert "secret-draft" not in texts(admin_of(ana).get(listing("terms")))
    assert admin_of(ana).get(page(draft)).status_code == 404
    assert "secret-draft" in texts(admin_of(root).get(listing("terms")))


# --- evidence (S55) ----------------------------------------------------------------
@pytest.mark.parametrize("who", ["ana", "root"])
@pytest.mark.parametrize("model", ["termsacceptance", "auditentry"])
def test_evidence_can_only_be_read(
    admin_of: AdminOf, request: pytest.FixtureRequest, ana: Member, model: str, who: str
) -> None:
    audit.record(act="x", subject=ana, member=ana)
    client = admin_of(request.getfixturevalue(who))
    kind: Any = TermsAcceptance if model == "termsacceptance" else AuditEntry
    row = kind.objects.first()

    assert client.get(reverse(f"admin:accounts_{model}_add")).status_code == 403
    assert client.get(page(row)).status_code == 200
    assert client.post(page(row), {"act": "y"}).status_code == 403
    assert client.post(page(row).replace("change/", "delete/"), {"post": "yes"}).status_code == 403
    client.post(
        listing(model),
        {"action": "delete_selected", "_selected_action": [str(row.pk)], "post": "yes"},
    )
    assert kind.objects.filter(pk=row.pk).exists()

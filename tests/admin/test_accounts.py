"""The admin's pages of accounts: who sees what, and what a page can do."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.contrib import admin
from django.test import Client
from django.urls import reverse

from accounts import audit, sessions
from accounts.models import AuditEntry, Member, Organization, Terms, TermsAcceptance
from accounts.roles import Role
from tests.factories import PASSWORD, MemberFactory, TermsFactory
from tests.people import AdminOf

pytestmark = pytest.mark.django_db

LISTS = ["organization", "member", "terms", "termsacceptance", "auditentry"]


def listing(model: str) -> str:
    return reverse(f"admin:accounts_{model}_changelist")


def page(row: Any) -> str:
    return reverse(f"admin:accounts_{row._meta.model_name}_change", args=[row.pk])


def form(client: Client, address: str, **changes: Any) -> Any:
    """Post the form at this address as a browser would, with these changes."""
    shown = client.get(address)
    assert shown.status_code == 200
    fields: dict[str, Any] = {}
    for field in shown.context["adminform"].form:
        value = field.value()
        if value not in (None, False):
            fields[field.html_name] = value
    return client.post(address, {**fields, **changes}, follow=True)


def texts(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


# --- the pages open -------------------------------------------------------------------------------
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


# --- isolation (S14, S16, S54) --------------------------------------------------------------------
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
            assert answer.status_code == 302
            assert answer["Location"] == reverse("admin:index")
        assert client.post(page(row), {"name": "x"}).status_code in (302, 403)
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
    assert admin_of(ana).get(page(draft)).status_code == 302
    assert "secret-draft" in texts(admin_of(root).get(listing("terms")))


# --- members --------------------------------------------------------------------------------------
def test_an_owner_adds_a_member_and_sees_the_password_once(
    admin_of: AdminOf, ana: Member, acme: Organization
) -> None:
    client = admin_of(ana)

    answer = form(
        client,
        reverse("admin:accounts_member_add"),
        email="nora@acme.example",
        name="Nora",
        role="SENDER",
    )

    nora = Member.objects.get(email="nora@acme.example")
    assert (nora.organization_id, nora.role, nora.has_one_time_password) == (
        acme.pk,
        "SENDER",
        True,
    )
    found = re.search(r"<strong>([a-z2-9-]{19})</strong>", answer.content.decode())
    assert found
    assert nora.check_password(found[1])
    assert found[1] not in client.get(page(nora)).content.decode()


def test_the_organization_of_a_new_member_is_the_owners_whatever_the_form_says(
    admin_of: AdminOf, ana: Member, acme: Organization, borealis: Organization
) -> None:
    form(
        admin_of(ana),
        reverse("admin:accounts_member_add"),
        email="nora@acme.example",
        role="VIEWER",
        organization=str(borealis.pk),
        is_superuser="on",
        password="chosen",
    )

    nora = Member.objects.get(email="nora@acme.example")
    assert nora.organization_id == acme.pk
    assert not nora.is_superuser
    assert not nora.check_password("chosen")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        (
            {"email": "CARLA@borealis.example"},
            "There is a member with this e-mail address already.",
        ),
        ({"email": "no address"}, "Enter a valid email address."),
        ({"role": ""}, "This field is required."),
        ({"role": "KING"}, "Select a valid choice."),
    ],
)
def test_a_wrong_form_is_told_and_adds_nobody(
    admin_of: AdminOf, ana: Member, carla: Member, changes: dict[str, str], complaint: str
) -> None:
    fields = {"email": "nora@acme.example", "role": "VIEWER", **changes}

    answer = form(admin_of(ana), reverse("admin:accounts_member_add"), **fields)

    assert complaint in texts(answer)
    assert Member.objects.count() == 2


def test_a_superuser_must_name_the_organization(
    admin_of: AdminOf, root: Member, acme: Organization
) -> None:
    client = admin_of(root)
    address = reverse("admin:accounts_member_add")

    refused = form(client, address, email="nora@acme.example", role="OWNER")
    form(client, address, email="nora@acme.example", role="OWNER", organization=str(acme.pk))

    assert "This field is required." in texts(refused)
    assert Member.objects.get(email="nora@acme.example").organization_id == acme.pk


@pytest.mark.parametrize("who", ["sara", "vera"])
def test_others_add_and_change_nobody(
    admin_of: AdminOf, request: pytest.FixtureRequest, ana: Member, who: str
) -> None:
    client = admin_of(request.getfixturevalue(who))

    assert client.get(reverse("admin:accounts_member_add")).status_code == 403
    assert client.post(page(ana), {"email": ana.email, "role": "VIEWER"}).status_code == 403
    ana.refresh_from_db()
    assert ana.role == Role.OWNER


def test_switching_a_member_off_signs_him_out(admin_of: AdminOf, ana: Member, beto: Member) -> None:
    tokens = sessions.sign_in(email=beto.email, password=PASSWORD)
    betos = admin_of(beto)
    address = page(beto)
    client = admin_of(ana)
    fields = {"email": beto.email, "name": beto.name, "role": beto.role}

    client.post(address, fields)

    beto.refresh_from_db()
    assert not beto.is_active
    with pytest.raises(sessions.InvalidToken):
        sessions.member_with(access_token=tokens.access)
    assert betos.get(reverse("admin:index")).status_code == 302
    assert AuditEntry.objects.get(act="member.changed").details["fields"] == ["is_active"]


def test_an_owner_cannot_take_away_his_own_role(admin_of: AdminOf, ana: Member) -> None:
    admin_of(ana).post(page(ana), {"email": ana.email, "name": "Ana María", "role": "VIEWER"})

    ana.refresh_from_db()
    assert (ana.name, ana.role, ana.is_active) == ("Ana María", Role.OWNER, True)


@pytest.mark.parametrize("who", ["ana", "root"])
def test_nobody_deletes_a_member(
    admin_of: AdminOf, request: pytest.FixtureRequest, beto: Member, who: str
) -> None:
    client = admin_of(request.getfixturevalue(who))

    assert client.post(page(beto).replace("change/", "delete/"), {"post": "yes"}).status_code == 403
    client.post(
        listing("member"),
        {"action": "delete_selected", "_selected_action": [str(beto.pk)], "post": "yes"},
    )
    assert Member.objects.filter(pk=beto.pk).exists()


def test_a_new_one_time_password_is_shown_once(
    admin_of: AdminOf, ana: Member, beto: Member
) -> None:
    client = admin_of(ana)

    answer = client.post(
        listing("member"),
        {"action": "give_one_time_password", "_selected_action": [str(beto.pk), str(ana.pk)]},
        follow=True,
    )

    beto.refresh_from_db()
    found = re.search(r"<strong>([a-z2-9-]{19})</strong>", answer.content.decode())
    assert found
    assert beto.check_password(found[1])
    assert "Change your own password" in texts(answer)
    assert found[1] not in client.get(listing("member")).content.decode()


def test_a_viewer_gives_no_passwords(admin_of: AdminOf, vera: Member, beto: Member) -> None:
    admin_of(vera).post(
        listing("member"), {"action": "give_one_time_password", "_selected_action": [str(beto.pk)]}
    )

    assert Member.objects.get(pk=beto.pk).check_password(PASSWORD)


def test_markup_in_names_is_text(admin_of: AdminOf, ana: Member, acme: Organization) -> None:
    Organization.objects.filter(pk=acme.pk).update(name="<script>alert(1)</script>")
    nora = MemberFactory.create(
        organization=acme, name="<img src=x onerror=alert(2)>", email='"<b>"@acme.example'
    )
    client = admin_of(ana)

    answers = [
        client.get(listing("member")),
        client.get(page(nora)),
        client.get(listing("organization")),
        client.post(
            listing("member"),
            {"action": "give_one_time_password", "_selected_action": [str(nora.pk)]},
            follow=True,
        ),
    ]

    for answer in answers:
        shown = answer.content.decode()
        assert "<script>alert(1)" not in shown
        assert "<img src=x" not in shown
        assert '"<b>"@' not in shown


# --- organizations --------------------------------------------------------------------------------
def test_a_superuser_adds_an_organization(admin_of: AdminOf, root: Member) -> None:
    form(admin_of(root), reverse("admin:accounts_organization_add"), name="Nova", country="mx")

    assert Organization.objects.get(name="Nova").country == "MX"
    assert AuditEntry.objects.filter(act="organization.created").exists()


def test_a_country_that_is_none_is_told(admin_of: AdminOf, root: Member) -> None:
    answer = form(
        admin_of(root),
        reverse("admin:accounts_organization_add"),
        name="Nova",
        country="XX",
        allowed_countries="CO,YY",
    )

    assert "No such country: XX" in texts(answer)
    assert "No such country: YY" in texts(answer)


def test_an_owner_changes_settings_but_not_what_the_platform_decides(
    admin_of: AdminOf, ana: Member, acme: Organization
) -> None:
    form(
        admin_of(ana),
        page(acme),
        name="Acme S. A.",
        allowed_countries="CO,MX",
        status="SUSPENDED",
        allows_special_numbers="on",
    )

    acme.refresh_from_db()
    assert (acme.name, acme.allowed_countries) == ("Acme S. A.", ["CO", "MX"])
    assert (acme.status, acme.allows_special_numbers) == ("ACTIVE", False)


def test_suspending_ends_admin_sessions_too(
    admin_of: AdminOf, ana: Member, root: Member, acme: Organization
) -> None:
    anas = admin_of(ana)

    form(admin_of(root), page(acme), status="SUSPENDED")

    assert anas.get(reverse("admin:index")).status_code == 302


@pytest.mark.parametrize("who", ["sara", "vera"])
def test_others_change_no_organization(
    admin_of: AdminOf, request: pytest.FixtureRequest, acme: Organization, who: str
) -> None:
    client = admin_of(request.getfixturevalue(who))

    assert client.post(page(acme), {"name": "x"}).status_code == 403
    assert client.get(reverse("admin:accounts_organization_add")).status_code == 403


# --- terms ----------------------------------------------------------------------------------------
def test_a_superuser_writes_a_draft_and_publishes_it(
    admin_of: AdminOf, root: Member, ana: Member
) -> None:
    client = admin_of(root)
    form(client, reverse("admin:accounts_terms_add"), version="2026-2", title="New", body="Words.")
    draft = Terms.objects.get(version="2026-2")
    assert draft.published_at is None

    answer = client.post(
        listing("terms"), {"action": "publish", "_selected_action": [str(draft.pk)]}, follow=True
    )

    draft.refresh_from_db()
    assert draft.published_at is not None
    assert "Version 2026-2 is in force." in texts(answer)
    assert {"terms.drafted", "terms.published"} <= set(
        AuditEntry.objects.values_list("act", flat=True)
    )


def test_published_terms_stay_as_they_are(
    admin_of: AdminOf, root: Member, terms_in_force: Terms
) -> None:
    client = admin_of(root)

    assert (
        client.post(page(terms_in_force), {"version": "x", "title": "x", "body": "x"}).status_code
        == 403
    )
    answer = client.post(
        listing("terms"),
        {"action": "publish", "_selected_action": [str(terms_in_force.pk)]},
        follow=True,
    )

    assert "is published already" in texts(answer)
    terms_in_force.refresh_from_db()
    assert terms_in_force.version == "2026-1"


def test_an_owner_publishes_nothing(admin_of: AdminOf, ana: Member) -> None:
    draft = TermsFactory.create(version="2026-2", published_at=None)
    client = admin_of(ana)

    client.post(listing("terms"), {"action": "publish", "_selected_action": [str(draft.pk)]})

    draft.refresh_from_db()
    assert draft.published_at is None
    assert client.get(reverse("admin:accounts_terms_add")).status_code == 403


# --- evidence (S55) -------------------------------------------------------------------------------
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


# --- signing in (S11) and the own password --------------------------------------------------------
def sign_in(client: Client, email: str, password: str) -> Any:
    return client.post(
        f"{reverse('admin:login')}?next={reverse('admin:index')}",
        {"username": email, "password": password},
        follow=True,
    )


def test_the_sign_in_page_leads_to_the_admin(
    fresh_rate_limits: None, client: Client, ana: Member
) -> None:
    answer = client.post(reverse("admin:login"), {"username": ana.email, "password": PASSWORD})

    assert answer["Location"] == reverse("admin:index")


def test_signing_in_is_recorded(fresh_rate_limits: None, client: Client, ana: Member) -> None:
    answer = sign_in(client, "Ana@acme.example", PASSWORD)

    assert answer.status_code == 200
    assert answer.wsgi_request.user == ana
    assert AuditEntry.objects.get(act="session.began").details == {"door": "admin"}


def test_S11_the_eleventh_wrong_password_is_not_even_looked_at(
    fresh_rate_limits: None, client: Client, ana: Member
) -> None:
    for _attempt in range(10):
        assert "Too many attempts" not in texts(sign_in(client, ana.email, "wrong"))

    answer = sign_in(client, ana.email, PASSWORD)

    assert "Too many attempts to sign in. Try again in 15 minutes." in texts(answer)
    assert not answer.wsgi_request.user.is_authenticated


def test_S11_the_api_and_the_admin_count_together(
    fresh_rate_limits: None, client: Client, ana: Member
) -> None:
    for _attempt in range(10):
        with pytest.raises(sessions.WrongCredentials):
            sessions.sign_in(email=ana.email, password="wrong")

    assert "Too many attempts" in texts(sign_in(client, ana.email, PASSWORD))


@pytest.mark.parametrize(
    "email", ["nobody@acme.example", "ana@acme.example", "off@acme.example", "x"]
)
def test_S11_the_page_does_not_say_whether_an_address_exists(
    fresh_rate_limits: None, client: Client, ana: Member, acme: Organization, email: str
) -> None:
    MemberFactory.create(email="off@acme.example", organization=acme, is_active=False)

    answer = sign_in(client, email, "wrong" if email == ana.email else PASSWORD)

    assert "Please enter the correct e-mail and password" in texts(answer)


def test_changing_the_own_password_goes_through_the_verb(admin_of: AdminOf, ana: Member) -> None:
    tokens = sessions.sign_in(email=ana.email, password=PASSWORD)
    Member.objects.filter(pk=ana.pk).update(has_one_time_password=True)
    client = admin_of(Member.objects.get(pk=ana.pk))
    new = "a-rather-new-password"

    answer = client.post(
        reverse("admin:password_change"),
        {"old_password": PASSWORD, "new_password1": new, "new_password2": new},
        follow=True,
    )

    assert answer.status_code == 200
    ana.refresh_from_db()
    assert ana.check_password(new)
    assert not ana.has_one_time_password
    assert AuditEntry.objects.filter(act="member.password_changed", member=ana.pk).exists()
    with pytest.raises(sessions.InvalidToken):
        sessions.member_with(access_token=tokens.access)
    assert client.get(reverse("admin:index")).status_code == 200


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("wrong", "a-rather-new-password", "Your old password was entered incorrectly"),
        (PASSWORD, PASSWORD, "Choose a password that differs"),
        (PASSWORD, "short", "This password is too short"),
    ],
)
def test_a_password_that_is_refused_is_told(
    admin_of: AdminOf, ana: Member, old: str, new: str, complaint: str
) -> None:
    answer = admin_of(ana).post(
        reverse("admin:password_change"),
        {"old_password": old, "new_password1": new, "new_password2": new},
    )

    assert complaint in texts(answer)
    ana.refresh_from_db()
    assert ana.check_password(PASSWORD)


def test_who_has_a_one_time_password_sees_nothing_but_the_way_to_change_it(
    fresh_rate_limits: None, client: Client, ana: Member
) -> None:
    Member.objects.filter(pk=ana.pk).update(has_one_time_password=True)

    answer = sign_in(client, ana.email, PASSWORD)

    assert "You signed in with a one-time password." in texts(answer)
    assert reverse("admin:password_change") in texts(answer)
    assert client.get(listing("member")).status_code == 403
    assert client.get(reverse("admin:password_change")).status_code == 200


def test_an_id_that_is_none_is_not_found(admin_of: AdminOf, ana: Member) -> None:
    client = admin_of(ana)

    for key in (uuid4(), "x", "1", "..", "%00"):
        answer = client.get(f"/admin/accounts/member/{key}/change/")
        assert answer.status_code in (302, 400, 404)

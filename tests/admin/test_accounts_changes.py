"""What the admin's pages of accounts change: members, organizations, terms."""

import re

import pytest
from django.urls import reverse

from accounts import sessions
from accounts.models import AuditEntry, Member, Organization
from accounts.roles import Role
from tests.admin.accounts_pages import form, listing, page, texts
from tests.factories import PASSWORD, MemberFactory
from tests.people import AdminOf

pytestmark = pytest.mark.django_db


# --- members ----------------------------------------------------------------
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


def test_more_members_than_fit_on_a_page_get_no_passwords_at_once(
    admin_of: AdminOf, ana: Member, acme: Organization
) -> None:
    many = MemberFactory.create_batch(21, organization=acme)
    chosen = [str(member.pk) for member in many]

    answer = admin_of(ana).post(
        listing("member"),
        {"action": "give_one_time_password", "_selected_action": chosen},
        follow=True,
    )

    assert "At most 20 members get a new password at once" in texts(answer)
    assert not Member.objects.filter(has_one_time_password=True).exists()


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


# --- organizations ----------------------------------------------------------------
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
        repeat_guard_seconds="60",
        status="SUSPENDED",
        allows_special_numbers="on",
    )

    acme.refresh_from_db()
    assert (acme.name, acme.allowed_countries) == ("Acme S. A.", ["CO", "MX"])
    assert acme.repeat_guard_seconds == 60
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


@pytest.mark.parametrize("model", ["organization", "member", "terms"])
def test_an_add_page_shows_nothing_that_is_not_known_yet(
    admin_of: AdminOf, root: Member, model: str
) -> None:
    shown = texts(admin_of(root).get(reverse(f"admin:accounts_{model}_add")))

    assert "DatabaseDefault" not in shown
    assert "reated at" not in shown
    assert not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-", shown)

"""Signing in at the admin, and the own password there."""

import re
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from accounts import sessions
from accounts.models import AuditEntry, Member, Organization
from tests.admin.accounts_pages import texts
from tests.factories import PASSWORD, MemberFactory
from tests.people import AdminOf

pytestmark = pytest.mark.django_db


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

    assert "No active member has this e-mail address and password." in texts(answer)
    assert "staff account" not in texts(answer)
    assert "Please correct the error" not in texts(answer)


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


def test_who_has_a_one_time_password_is_told_once_and_led_to_the_page(
    fresh_rate_limits: None, client: Client, ana: Member
) -> None:
    Member.objects.filter(pk=ana.pk).update(has_one_time_password=True)

    answer = sign_in(client, ana.email, PASSWORD)

    assert texts(answer).count("You signed in with a one-time password.") == 1
    assert f'<a href="{reverse("admin:password_change")}">Change it</a>' in texts(answer)


@pytest.mark.parametrize(
    "name", ["accounts_member_changelist", "contacts_contact_add", "current_terms", "autocomplete"]
)
def test_every_other_page_leads_to_the_change_of_a_one_time_password(
    admin_of: AdminOf, ana: Member, name: str
) -> None:
    Member.objects.filter(pk=ana.pk).update(has_one_time_password=True)
    client = admin_of(ana)

    for method in (client.get, client.post):
        answer = method(reverse(f"admin:{name}"), follow=True)

        assert answer.redirect_chain == [(reverse("admin:password_change"), 302)]
        assert "You signed in with a one-time password. Change it here first" in texts(answer)


def test_what_the_role_does_not_include_is_refused_on_a_page_with_a_way_back(
    admin_of: AdminOf, vera: Member
) -> None:
    client = admin_of(vera)

    for address, status, words in (
        (reverse("admin:contacts_contact_add"), 403, "Ask an owner of your organization."),
        ("/admin/nowhere/", 404, "There is no such page"),
    ):
        answer = client.get(address)
        assert answer.status_code == status
        assert words in texts(answer)
        assert f'href="{reverse("admin:index")}"' in texts(answer)


@pytest.mark.parametrize(("name", "called"), [("Ana María", "Ana María"), ("", "Owner")])
def test_the_sidebar_names_the_member_beside_the_address(
    admin_of: AdminOf, ana: Member, name: str, called: str
) -> None:
    Member.objects.filter(pk=ana.pk).update(name=name)

    shown = texts(admin_of(ana).get(reverse("admin:index")))

    assert re.search(rf">\s*{called}\s*</div>.{{0,200}}ana@acme.example", shown)


def test_an_id_that_is_none_is_not_found(admin_of: AdminOf, ana: Member) -> None:
    client = admin_of(ana)

    for key in (uuid4(), "x", "1", "..", "%00"):
        answer = client.get(f"/admin/accounts/member/{key}/change/")
        assert answer.status_code in (302, 400, 404)

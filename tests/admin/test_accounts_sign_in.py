"""Signing in at the admin, and the own password there."""

from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from accounts import sessions
from accounts.models import AuditEntry, Member, Organization
from tests.admin.accounts_pages import listing, texts
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

"""POST /api/auth/change-password."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts import sessions
from accounts.models import AuditEntry, Member
from tests.factories import PASSWORD
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/auth/change-password"
NEW = "a-rather-new-password"
BODY = {"currentPassword": PASSWORD, "newPassword": NEW, "confirmPassword": NEW}


def test_the_new_password_works_and_the_old_does_not(client_of: ClientOf, ana: Member) -> None:
    answer = client_of(ana).post(URL, BODY, format="json")

    assert answer.status_code == 200
    assert answer.json() == {"message": "Your password is changed. Sign in with the new one."}
    assert sessions.sign_in(email=ana.email, password=NEW).access
    with pytest.raises(sessions.WrongCredentials):
        sessions.sign_in(email=ana.email, password=PASSWORD)


def test_it_is_recorded_without_the_password(client_of: ClientOf, ana: Member) -> None:
    client_of(ana).post(URL, BODY, format="json")

    entry = AuditEntry.objects.get(act="member.password_changed")
    assert entry.member_id == ana.pk
    assert entry.subject == f"member:{ana.pk}"
    assert entry.details == {}


def test_it_ends_the_time_of_a_one_time_password(client_of: ClientOf, ana: Member) -> None:
    Member.objects.filter(pk=ana.pk).update(has_one_time_password=True)

    client_of(ana).post(URL, BODY, format="json")

    ana.refresh_from_db()
    assert not ana.has_one_time_password


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"currentPassword": "wrong"}, "currentPassword"),
        ({"confirmPassword": "another"}, "confirmPassword"),
        ({"newPassword": "short", "confirmPassword": "short"}, "newPassword"),
        ({"newPassword": "12345678901", "confirmPassword": "12345678901"}, "newPassword"),
        ({"newPassword": "ana@acme.example", "confirmPassword": "ana@acme.example"}, "newPassword"),
        ({"newPassword": PASSWORD, "confirmPassword": PASSWORD}, "newPassword"),
        ({"newPassword": ""}, "newPassword"),
        ({"newPassword": 12345678901234}, "newPassword"),
        ({"currentPassword": None}, "currentPassword"),
        ({"confirmPassword": "x" * 2000}, "confirmPassword"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_changes(
    client_of: ClientOf, ana: Member, change: dict[str, Any], field: str
) -> None:
    answer = client_of(ana).post(URL, {**BODY, **change}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (400, "4000")
    assert field in answer.json()["fields"]
    assert sessions.sign_in(email=ana.email, password=PASSWORD).access


def test_guesses_at_the_current_password_are_counted(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)
    for _guess in range(10):
        assert client.post(URL, {**BODY, "currentPassword": "no"}, format="json").status_code == 400

    answer = client.post(URL, BODY, format="json")

    assert (answer.status_code, answer.json()["code"]) == (429, "4029")
    assert int(answer["Retry-After"]) > 0


def test_without_credentials_it_is_401(anonymous: APIClient) -> None:
    answer = anonymous.post(URL, BODY, format="json")

    assert (answer.status_code, answer.json()["code"]) == (401, "1002")


def test_a_form_is_415(client_of: ClientOf, ana: Member) -> None:
    assert client_of(ana).post(URL, BODY, format="multipart").status_code == 415

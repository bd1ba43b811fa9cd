"""GET /api/auth/me."""

import pytest
from rest_framework.test import APIClient

from accounts.models import Member
from tests.factories import TermsFactory
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/auth/me"


def test_it_says_who_is_signed_in(client_of: ClientOf, ana: Member) -> None:
    answer = client_of(ana).get(URL)

    assert answer.status_code == 200
    assert answer.json() == {
        "id": str(ana.pk),
        "name": "Ana",
        "email": "ana@acme.example",
        "organizationId": str(ana.organization_id),
        "role": {"id": "OWNER", "name": "Owner"},
        "termsAccepted": True,
        "mustChangePassword": False,
    }


def test_who_has_not_accepted_the_terms_sees_it(client_of: ClientOf, beto: Member) -> None:
    assert client_of(beto).get(URL).json()["termsAccepted"] is False


def test_new_terms_are_not_accepted(client_of: ClientOf, ana: Member) -> None:
    TermsFactory.create(version="2026-2")

    assert client_of(ana).get(URL).json()["termsAccepted"] is False


def test_a_platform_superuser_has_no_organization_and_no_role(
    client_of: ClientOf, root: Member
) -> None:
    answer = client_of(root).get(URL)

    assert answer.status_code == 200
    assert answer.json()["organizationId"] is None
    assert answer.json()["role"] is None
    assert "RateLimit-Limit" not in answer


def test_who_has_a_one_time_password_sees_it(client_of: ClientOf, ana: Member) -> None:
    Member.objects.filter(pk=ana.pk).update(has_one_time_password=True)

    assert client_of(ana).get(URL).json()["mustChangePassword"] is True


def test_without_credentials_it_is_401(anonymous: APIClient) -> None:
    answer = anonymous.get(URL)

    assert (answer.status_code, answer.json()["code"]) == (401, "1002")


def test_a_wrong_method_is_405(client_of: ClientOf, ana: Member) -> None:
    answer = client_of(ana).post(URL)

    assert (answer.status_code, answer.json()["code"]) == (405, "4040")

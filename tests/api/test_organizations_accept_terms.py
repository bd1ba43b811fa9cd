"""POST /api/organizations/{id}/accept-terms."""

from typing import Any
from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from accounts.models import Member, Organization, TermsAcceptance
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

BODY = {"termsVersion": "2026-1"}


def url(organization: Organization) -> str:
    return f"/api/organizations/{organization.pk}/accept-terms"


def test_it_is_the_same_acceptance(client_of: ClientOf, beto: Member, acme: Organization) -> None:
    answer = client_of(beto).post(url(acme), BODY, format="json")

    assert answer.status_code == 200
    assert (answer.json()["id"], answer.json()["termsAcceptedVersion"]) == (str(acme.pk), "2026-1")
    assert client_of(beto).get("/api/auth/me").json()["termsAccepted"] is True


def test_a_second_time_is_409(client_of: ClientOf, ana: Member, acme: Organization) -> None:
    answer = client_of(ana).post(url(acme), BODY, format="json")

    assert (answer.status_code, answer.json()["code"]) == (409, "1021")


@pytest.mark.parametrize(
    "body", [{}, {"version": "2026-1"}, {"termsVersion": "2025-9"}, {"termsVersion": 1}]
)
def test_a_wrong_version_is_named(
    client_of: ClientOf, beto: Member, acme: Organization, body: dict[str, Any]
) -> None:
    answer = client_of(beto).post(url(acme), body, format="json")

    assert (answer.status_code, answer.json()["code"]) == (400, "4000")
    assert set(answer.json()["fields"]) == {"termsVersion"}


@pytest.mark.parametrize("body", [BODY, {}])
def test_anothers_organization_is_answered_like_none(
    client_of: ClientOf, beto: Member, borealis: Organization, body: dict[str, Any]
) -> None:
    client = client_of(beto)

    others = client.post(url(borealis), body, format="json")
    nobodys = client.post(f"/api/organizations/{uuid4()}/accept-terms", body, format="json")

    assert others.status_code == nobodys.status_code == 404
    assert others.json() == nobodys.json()
    assert not TermsAcceptance.objects.filter(member=beto).exists()


def test_a_platform_superuser_accepts_nothing(
    client_of: ClientOf, root: Member, acme: Organization
) -> None:
    answer = client_of(root).post(url(acme), BODY, format="json")

    assert (answer.status_code, answer.json()["code"]) == (403, "1003")


def test_without_credentials_it_is_401(anonymous: APIClient, acme: Organization) -> None:
    assert anonymous.post(url(acme), BODY, format="json").json()["code"] == "1002"


def test_a_form_is_415(client_of: ClientOf, beto: Member, acme: Organization) -> None:
    assert client_of(beto).post(url(acme), BODY, format="multipart").status_code == 415

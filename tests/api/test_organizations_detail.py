"""GET /api/organizations/{id}."""

from uuid import uuid4

import pytest
from rest_framework.test import APIClient

from accounts.models import Member, Organization, TermsAcceptance
from tests.factories import TermsFactory
from tests.people import ClientOf

pytestmark = pytest.mark.django_db


def url(organization: Organization) -> str:
    return f"/api/organizations/{organization.pk}"


def test_it_answers_the_own_organization(
    client_of: ClientOf, ana: Member, acme: Organization
) -> None:
    answer = client_of(ana).get(url(acme))

    assert answer.status_code == 200
    body = answer.json()
    assert set(body) == {
        "id",
        "name",
        "email",
        "country",
        "status",
        "allowedCountries",
        "termsAcceptedVersion",
        "termsAcceptedAt",
        "createdAt",
        "updatedAt",
    }
    assert (body["id"], body["name"], body["country"]) == (str(acme.pk), "Acme", "CO")
    assert body["termsAcceptedVersion"] == "2026-1"
    for moment in ("termsAcceptedAt", "createdAt", "updatedAt"):
        assert body[moment].endswith("Z")
        assert len(body[moment]) == len("2026-01-02T03:04:05.678Z")


def test_the_acceptance_is_the_asking_members(
    client_of: ClientOf, ana: Member, beto: Member, acme: Organization
) -> None:
    body = client_of(beto).get(url(acme)).json()

    assert (body["termsAcceptedVersion"], body["termsAcceptedAt"]) == (None, None)


def test_after_new_terms_the_last_accepted_version_is_told(
    client_of: ClientOf, ana: Member, acme: Organization
) -> None:
    TermsFactory.create(version="2026-2")

    assert client_of(ana).get(url(acme)).json()["termsAcceptedVersion"] == "2026-1"
    assert TermsAcceptance.objects.count() == 1


def test_anothers_organization_is_answered_like_none(
    client_of: ClientOf, ana: Member, borealis: Organization
) -> None:
    client = client_of(ana)

    others = client.get(url(borealis))
    nobodys = client.get(f"/api/organizations/{uuid4()}")

    assert others.status_code == nobodys.status_code == 404
    assert others.json() == nobodys.json()
    assert others.json()["code"] == "1005"


@pytest.mark.parametrize("key", ["1", "x", "00000000-0000-0000-0000-00000000000", "%27", "..%2f"])
def test_what_is_no_id_is_404(client_of: ClientOf, ana: Member, key: str) -> None:
    answer = client_of(ana).get(f"/api/organizations/{key}")

    assert (answer.status_code, answer.json()["code"]) == (404, "1005")


def test_a_viewer_may_read(client_of: ClientOf, vera: Member, acme: Organization) -> None:
    assert client_of(vera).get(url(acme)).status_code == 200


def test_a_platform_superuser_belongs_to_none(
    client_of: ClientOf, root: Member, acme: Organization
) -> None:
    answer = client_of(root).get(url(acme))

    assert (answer.status_code, answer.json()["code"]) == (403, "1003")


def test_without_credentials_it_is_401(anonymous: APIClient, acme: Organization) -> None:
    assert anonymous.get(url(acme)).json()["code"] == "1002"


def test_a_wrong_method_is_405(client_of: ClientOf, ana: Member, acme: Organization) -> None:
    assert client_of(ana).delete(url(acme)).status_code == 405

"""GET /api/terms/current."""

from datetime import UTC, datetime

import pytest
from rest_framework.test import APIClient

from accounts.models import Member, Terms
from tests.factories import TermsFactory
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/terms/current"


def test_it_answers_the_terms_in_force(
    client_of: ClientOf, ana: Member, terms_in_force: Terms
) -> None:
    Terms.objects.update(published_at=datetime(2026, 1, 2, 3, 4, 5, 678_901, tzinfo=UTC))

    answer = client_of(ana).get(URL)

    assert answer.status_code == 200
    assert answer.json() == {
        "version": "2026-1",
        "title": terms_in_force.title,
        "body": terms_in_force.body,
        "publishedAt": "2026-01-02T03:04:05.678Z",
        "accepted": True,
    }


def test_who_has_not_accepted_sees_it(client_of: ClientOf, beto: Member) -> None:
    assert client_of(beto).get(URL).json()["accepted"] is False


def test_the_newest_published_version_is_in_force(client_of: ClientOf, ana: Member) -> None:
    TermsFactory.create(version="2026-2")
    TermsFactory.create(version="2026-3", published_at=None)

    answer = client_of(ana).get(URL).json()

    assert (answer["version"], answer["accepted"]) == ("2026-2", False)


def test_without_published_terms_it_is_404(client_of: ClientOf, ana: Member) -> None:
    Terms.objects.update(published_at=None)

    answer = client_of(ana).get(URL)

    assert (answer.status_code, answer.json()["code"]) == (404, "1005")


def test_a_platform_superuser_reads_them_too(client_of: ClientOf, root: Member) -> None:
    TermsFactory.create(version="2026-2")

    assert client_of(root).get(URL).json()["accepted"] is False


def test_without_credentials_it_is_401(anonymous: APIClient) -> None:
    assert anonymous.get(URL).json()["code"] == "1002"


def test_a_wrong_method_is_405(client_of: ClientOf, ana: Member) -> None:
    assert client_of(ana).post(URL).status_code == 405

"""POST /api/terms/accept."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import AuditEntry, Member, Terms, TermsAcceptance
from tests.factories import TermsFactory
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/terms/accept"


def test_it_keeps_who_accepted_what_when_and_from_where(client_of: ClientOf, beto: Member) -> None:
    answer = client_of(beto).post(
        URL,
        {"version": "2026-1"},
        format="json",
        REMOTE_ADDR="203.0.113.9",
        HTTP_USER_AGENT="curl/8",
    )

    assert answer.status_code == 200
    assert (answer.json()["version"], answer.json()["accepted"]) == ("2026-1", True)
    acceptance = TermsAcceptance.objects.get(member=beto)
    assert acceptance.terms.version == "2026-1"
    assert (acceptance.address, acceptance.user_agent) == ("203.0.113.9", "curl/8")
    assert acceptance.created_at is not None


def test_it_is_recorded(client_of: ClientOf, beto: Member, terms_in_force: Terms) -> None:
    client_of(beto).post(URL, {"version": "2026-1"}, format="json")

    entry = AuditEntry.objects.get(act="terms.accepted")
    assert (entry.member_id, entry.subject) == (beto.pk, f"terms:{terms_in_force.pk}")


def test_it_counts_for_the_member_alone(client_of: ClientOf, beto: Member, ana: Member) -> None:
    TermsFactory.create(version="2026-2")

    client_of(ana).post(URL, {"version": "2026-2"}, format="json")

    assert client_of(beto).get("/api/auth/me").json()["termsAccepted"] is False


def test_a_viewer_may_accept(client_of: ClientOf, vera: Member) -> None:
    TermsFactory.create(version="2026-2")

    assert client_of(vera).post(URL, {"version": "2026-2"}, format="json").status_code == 200


def test_a_second_time_is_409_and_keeps_the_first(client_of: ClientOf, ana: Member) -> None:
    first = TermsAcceptance.objects.get(member=ana)

    answer = client_of(ana).post(URL, {"version": "2026-1"}, format="json")

    assert answer.status_code == 409
    assert answer.json() == {
        "statusCode": 409,
        "code": "1021",
        "message": "You accepted version 2026-1 before; there is nothing left to do.",
        "error": "Conflict",
    }
    assert TermsAcceptance.objects.get(member=ana) == first


@pytest.mark.parametrize("version", ["2025-1", "draft", "2026-1 x", "2026-1.0"])
def test_a_version_that_is_not_in_force_is_400(
    client_of: ClientOf, beto: Member, version: str
) -> None:
    TermsFactory.create(version="draft", published_at=None)

    answer = client_of(beto).post(URL, {"version": version}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (400, "4000")
    assert set(answer.json()["fields"]) == {"version"}
    assert not TermsAcceptance.objects.filter(member=beto).exists()


def test_a_version_that_was_replaced_is_400(client_of: ClientOf, beto: Member) -> None:
    TermsFactory.create(version="2026-2")

    answer = client_of(beto).post(URL, {"version": "2026-1"}, format="json")

    assert answer.status_code == 400


def test_while_none_are_published_it_is_400(client_of: ClientOf, beto: Member) -> None:
    Terms.objects.update(published_at=None)

    assert client_of(beto).post(URL, {"version": "2026-1"}, format="json").status_code == 400


@pytest.mark.parametrize(
    "body", [{}, {"version": ""}, {"version": None}, {"version": 2026}, {"version": "x" * 33}]
)
def test_a_wrong_field_is_named(client_of: ClientOf, beto: Member, body: dict[str, Any]) -> None:
    answer = client_of(beto).post(URL, body, format="json")

    assert answer.status_code == 400
    assert set(answer.json()["fields"]) == {"version"}


def test_posting_more_has_no_effect(client_of: ClientOf, beto: Member, ana: Member) -> None:
    body = {
        "version": "2026-1",
        "member": str(ana.pk),
        "memberId": str(ana.pk),
        "address": "192.0.2.77",
    }

    client_of(beto).post(URL, body, format="json")

    acceptance = TermsAcceptance.objects.get(member=beto)
    assert acceptance.address == "127.0.0.1"


def test_a_long_user_agent_is_cut(client_of: ClientOf, beto: Member) -> None:
    client_of(beto).post(URL, {"version": "2026-1"}, format="json", HTTP_USER_AGENT="x" * 5000)

    assert len(TermsAcceptance.objects.get(member=beto).user_agent) == 400


def test_a_platform_superuser_accepts_nothing(
    client_of: ClientOf, root: Member, terms_in_force: Terms
) -> None:
    answer = client_of(root).post(URL, {"version": "2026-1"}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (403, "1003")


def test_without_credentials_it_is_401(anonymous: APIClient) -> None:
    assert anonymous.post(URL, {"version": "2026-1"}, format="json").json()["code"] == "1002"


def test_a_form_is_415(client_of: ClientOf, beto: Member) -> None:
    assert client_of(beto).post(URL, {"version": "2026-1"}, format="multipart").status_code == 415

"""POST /api/messages/sms/all: who is refused, in which order, and that nothing comes of it.

The order: 401, 403 for the role, 403 for the terms, 429; then what `test_send_to_all_requests.py` proves.
"""

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts import sessions, terms
from accounts.models import Member, Organization, Terms, TermsAcceptance
from tests.api.refusals import told
from tests.api.sending import BODIES, each_is_refused, send
from tests.factories import PASSWORD, MemberFactory, TermsFactory
from tests.messaging.factories import contacts_in_order, grant
from tests.people import ClientOf

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _ready(acme: Organization) -> None:
    """Somebody to write to, and credits for it."""
    contacts_in_order(acme, "+573001234567", "+573001234568")
    grant(acme, 100)


# --- 401 ------------------------------------------------------------------------------------------
def test_without_credentials_every_body_is_401(anonymous: APIClient) -> None:
    each_is_refused(anonymous, 401, "1002")


@pytest.mark.parametrize(
    "header",
    [
        "Token x",
        "Basic YW5hOnB3",
        "Bearer",
        "Bearer ",
        "bearer",
        "",
        "Digest x",
        "x",
        "ApiKey x",
        ", Bearer x",
    ],
)
def test_S48_another_scheme_is_no_credentials(anonymous: APIClient, header: str) -> None:
    anonymous.credentials(HTTP_AUTHORIZATION=header)

    each_is_refused(anonymous, 401, "1002")


@pytest.mark.parametrize(
    "header", ["Bearer x", "bearer a.b.c", "Bearer x y", f"Bearer {'a' * 9_000}"]
)
def test_a_token_that_is_none_is_401(anonymous: APIClient, header: str) -> None:
    anonymous.credentials(HTTP_AUTHORIZATION=header)

    each_is_refused(anonymous, 401, "1008")


def test_S1_a_refresh_token_sends_nothing(anonymous: APIClient, ana: Member) -> None:
    tokens = sessions.sign_in(email=ana.email, password=PASSWORD)
    anonymous.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.refresh}")

    each_is_refused(anonymous, 401, "1008")


def test_an_expired_token_is_401(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)

    with time_machine.travel(timezone.now() + timedelta(minutes=16), tick=False):
        each_is_refused(client, 401, "1009")


def test_S7_a_token_from_before_a_change_of_password_is_401(
    client_of: ClientOf, ana: Member
) -> None:
    client = client_of(ana)
    sessions.change_password(
        member=ana, current_password=PASSWORD, new_password="another-good-pass-phrase"
    )

    each_is_refused(client, 401, "1008")


def test_S8_a_deactivated_member_is_401(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)
    Member.objects.filter(pk=ana.pk).update(is_active=False)

    each_is_refused(client, 401, "1008")


def test_a_suspended_organization_is_401(
    client_of: ClientOf, ana: Member, acme: Organization
) -> None:
    client = client_of(ana)
    Organization.objects.filter(pk=acme.pk).update(status=Organization.Status.SUSPENDED)

    each_is_refused(client, 401, "1008")


def test_a_session_cookie_is_no_credential(anonymous: APIClient, ana: Member) -> None:
    anonymous.force_login(ana)

    each_is_refused(anonymous, 401, "1002")


# --- 403: the role --------------------------------------------------------------------------------
def test_a_viewer_is_403_whatever_the_body(client_of: ClientOf, vera: Member) -> None:
    each_is_refused(client_of(vera), 403, "1003")


def test_a_viewer_who_has_not_accepted_hears_of_the_role(
    client_of: ClientOf, acme: Organization, terms_in_force: Terms
) -> None:
    each_is_refused(client_of(MemberFactory.create(organization=acme, role="VIEWER")), 403, "1003")


def test_S15_a_superuser_is_403_whatever_the_body(client_of: ClientOf, root: Member) -> None:
    each_is_refused(client_of(root), 403, "1003")


def test_S10_a_role_that_was_taken_away_acts_at_once(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)
    Member.objects.filter(pk=ana.pk).update(role="VIEWER")

    each_is_refused(client, 403, "1003")


def test_a_one_time_password_opens_nothing_yet(client_of: ClientOf, ana: Member) -> None:
    Member.objects.filter(pk=ana.pk).update(has_one_time_password=True)

    each_is_refused(client_of(ana), 403, "1003")


# --- 403: the terms -------------------------------------------------------------------------------
def test_S12_who_has_not_accepted_is_403_whatever_the_body(
    client_of: ClientOf, beto: Member
) -> None:
    each_is_refused(client_of(beto), 403, "1022")


def test_S12_while_no_terms_are_published_everybody_is_403(
    client_of: ClientOf, ana: Member
) -> None:
    TermsAcceptance.objects.all().delete()
    Terms.objects.all().delete()

    each_is_refused(client_of(ana), 403, "1022")


def test_a_draft_changes_nothing(client_of: ClientOf, ana: Member) -> None:
    TermsFactory(version="2026-2", published_at=None)

    assert send(client_of(ana)).status_code == 201


def test_new_terms_refuse_at_once_until_they_are_accepted(
    client_of: ClientOf, ana: Member, root: Member
) -> None:
    client = client_of(ana)
    before = send(client).status_code
    terms.publish(terms=TermsFactory.create(version="2026-2", published_at=None), member=root)

    each_is_refused(client, 403, "1022")
    accepted = client.post("/api/terms/accept", {"version": "2026-2"}, format="json")

    assert (before, accepted.status_code, send(client).status_code) == (201, 200, 201)


def test_beto_sends_as_soon_as_he_has_accepted(
    client_of: ClientOf, beto: Member, terms_in_force: Terms
) -> None:
    client = client_of(beto)
    assert told(send(client)) == (403, "1022")

    client.post("/api/terms/accept", {"version": terms_in_force.version}, format="json")

    assert send(client).status_code == 201


def test_anas_acceptance_is_not_betos(client_of: ClientOf, ana: Member, beto: Member) -> None:
    assert send(client_of(ana)).status_code == 201
    assert told(send(client_of(beto))) == (403, "1022")


# --- 429 ------------------------------------------------------------------------------------------
@pytest.fixture
def used_up(settings: Settings, client_of: ClientOf, sara: Member) -> None:
    """Acme has made all the requests it may make in this minute."""
    settings.RATE_LIMIT = "1/min"
    assert client_of(sara).get("/api/auth/me").status_code == 200


Used = pytest.mark.usefixtures("used_up")


@Used
def test_over_the_limit_every_body_is_429(client_of: ClientOf, ana: Member) -> None:
    each_is_refused(client_of(ana), 429, "4029")


@Used
def test_429_says_when_to_try_again(client_of: ClientOf, ana: Member) -> None:
    answer = send(client_of(ana))

    assert 1 <= int(answer["Retry-After"]) <= 60
    assert (answer["RateLimit-Limit"], answer["RateLimit-Remaining"]) == ("1", "0")
    assert 1 <= int(answer["RateLimit-Reset"]) <= 60


@Used
def test_role_and_terms_come_before_the_limit(
    client_of: ClientOf, vera: Member, beto: Member, anonymous: APIClient
) -> None:
    each_is_refused(client_of(vera), 403, "1003")
    each_is_refused(client_of(beto), 403, "1022")
    each_is_refused(anonymous, 401, "1002")


@Used
def test_another_organization_has_a_limit_of_its_own(
    client_of: ClientOf, carla: Member, borealis: Organization
) -> None:
    assert send(client_of(carla)).status_code == 200


def test_every_answer_to_an_identified_organization_tells_the_limit(
    client_of: ClientOf, ana: Member, vera: Member, anonymous: APIClient, settings: Settings
) -> None:
    settings.RATE_LIMIT = "100/min"
    client = client_of(ana)

    answers = [send(client), send(client, BODIES["malformed"]), send(client_of(vera))]

    assert [answer.status_code for answer in answers] == [201, 400, 403]
    assert [answer["RateLimit-Limit"] for answer in answers] == ["100"] * 3
    assert [answer["RateLimit-Remaining"] for answer in answers] == ["99", "98", "97"]
    assert "RateLimit-Limit" not in send(anonymous)


def test_a_limit_that_is_off_refuses_nobody(
    client_of: ClientOf, ana: Member, settings: Settings
) -> None:
    settings.RATE_LIMIT = "off"
    client = client_of(ana)

    assert {send(client, BODIES["malformed"]).status_code for _ in range(110)} == {400}

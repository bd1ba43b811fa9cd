"""POST /api/auth/sign-in."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import AuditEntry, Member, Organization
from tests.factories import PASSWORD
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/auth/sign-in"


def test_it_answers_both_tokens(anonymous: APIClient, ana: Member) -> None:
    answer = anonymous.post(URL, {"email": ana.email, "password": PASSWORD}, format="json")

    assert answer.status_code == 200
    assert set(answer.json()) == {"accessToken", "refreshToken"}
    assert answer["Cache-Control"] == "no-store"


def test_the_access_token_opens_the_api(anonymous: APIClient, ana: Member) -> None:
    tokens = anonymous.post(URL, {"email": ana.email, "password": PASSWORD}, format="json").json()

    answer = anonymous.get("/api/auth/me", HTTP_AUTHORIZATION=f"Bearer {tokens['accessToken']}")

    assert answer.json()["email"] == "ana@acme.example"


def test_the_letter_case_of_the_address_does_not_matter(anonymous: APIClient, ana: Member) -> None:
    answer = anonymous.post(URL, {"email": "ANA@Acme.Example", "password": PASSWORD}, format="json")

    assert answer.status_code == 200


def test_a_stale_token_beside_it_does_not_matter(anonymous: APIClient, ana: Member) -> None:
    anonymous.credentials(HTTP_AUTHORIZATION="Bearer stale")

    answer = anonymous.post(URL, {"email": ana.email, "password": PASSWORD}, format="json")

    assert answer.status_code == 200


def test_it_is_recorded(anonymous: APIClient, ana: Member) -> None:
    anonymous.post(URL, {"email": ana.email, "password": PASSWORD}, format="json")

    entry = AuditEntry.objects.get(act="session.began")
    assert entry.member_id == ana.pk
    assert entry.organization_id == ana.organization_id
    assert entry.address == "127.0.0.1"
    ana.refresh_from_db()
    assert ana.last_login is not None


def test_a_platform_superuser_signs_in_too(anonymous: APIClient, root: Member) -> None:
    answer = anonymous.post(URL, {"email": root.email, "password": PASSWORD}, format="json")

    assert answer.status_code == 200


@pytest.mark.parametrize(
    ("email", "password"),
    [("ana@acme.example", "wrong"), ("nobody@acme.example", PASSWORD), ("not an address", "x")],
)
def test_wrong_credentials_are_401_in_the_same_words(
    anonymous: APIClient, ana: Member, email: str, password: str
) -> None:
    answer = anonymous.post(URL, {"email": email, "password": password}, format="json")

    assert answer.status_code == 401
    assert answer.json() == {
        "statusCode": 401,
        "code": "1001",
        "message": "E-mail address or password is wrong. Check both and try again.",
        "error": "Unauthorized",
    }


def test_a_member_who_is_switched_off_is_told_no_more(anonymous: APIClient, ana: Member) -> None:
    Member.objects.filter(pk=ana.pk).update(is_active=False)

    answer = anonymous.post(URL, {"email": ana.email, "password": PASSWORD}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (401, "1001")


def test_a_member_of_a_suspended_organization_is_told_no_more(
    anonymous: APIClient, ana: Member, acme: Organization
) -> None:
    Organization.objects.filter(pk=acme.pk).update(status=Organization.Status.SUSPENDED)

    answer = anonymous.post(URL, {"email": ana.email, "password": PASSWORD}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (401, "1001")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"email", "password"}),
        ({"email": "ana@acme.example"}, {"password"}),
        ({"email": "", "password": ""}, {"email", "password"}),
        ({"email": None, "password": None}, {"email", "password"}),
        ({"email": 1, "password": True}, {"email", "password"}),
        ({"email": ["ana@acme.example"], "password": {"a": 1}}, {"email", "password"}),
        ({"email": "a" * 300, "password": "b" * 2000}, {"email", "password"}),
    ],
)
def test_fields_that_are_missing_or_wrong_are_named(
    anonymous: APIClient, body: dict[str, Any], fields: set[str]
) -> None:
    answer = anonymous.post(URL, body, format="json")

    assert (answer.status_code, answer.json()["code"]) == (400, "4000")
    assert set(answer.json()["fields"]) == fields


def test_the_eleventh_wrong_password_is_not_even_looked_at(
    anonymous: APIClient, ana: Member
) -> None:
    for _attempt in range(10):
        assert (
            anonymous.post(URL, {"email": ana.email, "password": "no"}, format="json").status_code
            == 401
        )

    answer = anonymous.post(URL, {"email": ana.email, "password": PASSWORD}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (429, "4029")
    assert 0 < int(answer["Retry-After"]) <= 15 * 60


def test_S11_spellings_that_find_one_member_share_one_count(
    anonymous: APIClient, ana: Member
) -> None:
    Member.objects.filter(pk=ana.pk).update(email="ilke@acme.example")
    spellings = ["ilke@acme.example", "ILKE@ACME.EXAMPLE", "\u0130lke@acme.example"]

    answers = [
        anonymous.post(
            URL, {"email": spellings[attempt % 3], "password": "no"}, format="json"
        ).status_code
        for attempt in range(12)
    ]

    assert answers == [401] * 10 + [429] * 2


def test_an_unknown_address_is_throttled_like_a_known_one(anonymous: APIClient) -> None:
    answers = [
        anonymous.post(
            URL, {"email": "nobody@acme.example", "password": "no"}, format="json"
        ).status_code
        for _attempt in range(11)
    ]

    assert answers == [401] * 10 + [429]


def test_one_address_cannot_try_many_accounts(anonymous: APIClient, ana: Member) -> None:
    for number in range(50):
        anonymous.post(URL, {"email": f"{number}@acme.example", "password": "no"}, format="json")

    refused = anonymous.post(URL, {"email": ana.email, "password": PASSWORD}, format="json")
    elsewhere = anonymous.post(
        URL, {"email": ana.email, "password": PASSWORD}, format="json", REMOTE_ADDR="198.51.100.7"
    )

    assert refused.status_code == 429
    assert elsewhere.status_code == 200


def test_a_whole_network_of_ipv6_is_one_address(anonymous: APIClient, ana: Member) -> None:
    for number in range(50):
        anonymous.post(
            URL,
            {"email": f"{number}@acme.example", "password": "no"},
            format="json",
            REMOTE_ADDR=f"2001:db8::{number + 1:x}",
        )

    answer = anonymous.post(
        URL, {"email": ana.email, "password": PASSWORD}, format="json", REMOTE_ADDR="2001:db8::ffff"
    )

    assert answer.status_code == 429


def test_signing_in_rightly_does_not_use_up_attempts(client_of: ClientOf, ana: Member) -> None:
    for _time in range(12):
        client_of(ana)


def test_the_request_limit_does_not_count_it(
    anonymous: APIClient, ana: Member, settings: Any
) -> None:
    settings.RATE_LIMIT = "1/min"

    answers = [
        anonymous.post(URL, {"email": ana.email, "password": PASSWORD}, format="json")
        for _time in range(3)
    ]

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert "RateLimit-Limit" not in answers[0]


def test_a_wrong_method_is_405(anonymous: APIClient) -> None:
    answer = anonymous.get(URL)

    assert (answer.status_code, answer.json()["code"]) == (405, "4040")


def test_a_form_is_415(anonymous: APIClient) -> None:
    answer = anonymous.post(URL, {"email": "a", "password": "b"}, format="multipart")

    assert (answer.status_code, answer.json()["code"]) == (415, "4041")

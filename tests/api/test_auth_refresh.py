"""POST /api/auth/refresh."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from rest_framework.test import APIClient

from accounts import sessions
from accounts.models import Member
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db

URL = "/api/auth/refresh"


@pytest.fixture
def tokens(fresh_rate_limits: None, ana: Member) -> sessions.Tokens:
    return sessions.sign_in(email=ana.email, password=PASSWORD)


def refresh(client: APIClient, token: str) -> Any:
    return client.post(URL, {"refreshToken": token}, format="json")


def test_it_answers_both_tokens_anew(anonymous: APIClient, tokens: sessions.Tokens) -> None:
    answer = refresh(anonymous, tokens.refresh)

    assert answer.status_code == 200
    assert set(answer.json()) == {"accessToken", "refreshToken"}
    assert not {tokens.access, tokens.refresh} & set(answer.json().values())
    assert answer["Cache-Control"] == "no-store"


def test_the_new_pair_works(anonymous: APIClient, tokens: sessions.Tokens) -> None:
    new = refresh(anonymous, tokens.refresh).json()

    me = anonymous.get("/api/auth/me", HTTP_AUTHORIZATION=f"Bearer {new['accessToken']}")

    assert me.status_code == 200
    assert refresh(anonymous, new["refreshToken"]).status_code == 200


def test_the_old_token_is_dead(anonymous: APIClient, tokens: sessions.Tokens) -> None:
    refresh(anonymous, tokens.refresh)

    answer = refresh(anonymous, tokens.refresh)

    assert answer.status_code == 401
    assert answer.json() == {
        "statusCode": 401,
        "code": "1008",
        "message": "This token is not valid any more. Sign in again.",
        "error": "Unauthorized",
    }


def test_an_expired_one_says_so(anonymous: APIClient, tokens: sessions.Tokens) -> None:
    with time_machine.travel(timezone.now() + timedelta(days=7, minutes=1)):
        answer = refresh(anonymous, tokens.refresh)

    assert (answer.status_code, answer.json()["code"]) == (401, "1009")


@pytest.mark.parametrize("token", ["x", "a.b.c", "é", "\U0001f600", "." * 50])
def test_what_is_no_token_is_401(anonymous: APIClient, token: str) -> None:
    answer = refresh(anonymous, token)

    assert (answer.status_code, answer.json()["code"]) == (401, "1008")


def test_an_access_token_is_no_refresh_token(anonymous: APIClient, tokens: sessions.Tokens) -> None:
    answer = refresh(anonymous, tokens.access)

    assert (answer.status_code, answer.json()["code"]) == (401, "1008")


@pytest.mark.parametrize(
    "body", [{}, {"refreshToken": ""}, {"refreshToken": None}, {"refreshToken": 7}]
)
def test_a_missing_token_is_named(anonymous: APIClient, body: dict[str, Any]) -> None:
    answer = anonymous.post(URL, body, format="json")

    assert (answer.status_code, answer.json()["code"]) == (400, "4000")
    assert set(answer.json()["fields"]) == {"refreshToken"}


def test_a_wrong_method_is_405(anonymous: APIClient) -> None:
    assert anonymous.get(URL).status_code == 405


def test_a_form_is_415(anonymous: APIClient) -> None:
    assert anonymous.post(URL, {"refreshToken": "x"}, format="multipart").status_code == 415

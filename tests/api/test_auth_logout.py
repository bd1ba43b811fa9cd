"""POST /api/auth/logout."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts import sessions
from accounts.models import AuditEntry, Member
from tests.factories import PASSWORD
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/auth/logout"


def signed_in(member: Member) -> tuple[APIClient, sessions.Tokens]:
    tokens = sessions.sign_in(email=member.email, password=PASSWORD)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.access}")
    return client, tokens


def is_alive(tokens: sessions.Tokens) -> bool:
    answer = APIClient().get("/api/auth/me", HTTP_AUTHORIZATION=f"Bearer {tokens.access}")
    assert answer.status_code in (200, 401)
    return answer.status_code == 200


def test_both_tokens_of_the_session_are_dead(fresh_rate_limits: None, ana: Member) -> None:
    client, tokens = signed_in(ana)

    answer = client.post(URL, {"refreshToken": tokens.refresh}, format="json")

    assert answer.status_code == 200
    assert answer.json() == {"message": "You are signed out."}
    assert not is_alive(tokens)
    with pytest.raises(sessions.InvalidToken):
        sessions.refresh(refresh_token=tokens.refresh)


def test_the_refresh_token_need_not_be_sent(fresh_rate_limits: None, ana: Member) -> None:
    client, tokens = signed_in(ana)

    answer = client.post(URL)

    assert answer.status_code == 200
    with pytest.raises(sessions.InvalidToken):
        sessions.refresh(refresh_token=tokens.refresh)


def test_other_sessions_go_on(fresh_rate_limits: None, ana: Member) -> None:
    client, _tokens = signed_in(ana)
    _other_client, others = signed_in(ana)

    client.post(URL)

    assert is_alive(others)
    assert sessions.refresh(refresh_token=others.refresh).access


def test_a_refresh_token_of_another_own_session_ends_that_one_too(
    fresh_rate_limits: None, ana: Member
) -> None:
    client, tokens = signed_in(ana)
    _other_client, others = signed_in(ana)

    client.post(URL, {"refreshToken": others.refresh}, format="json")

    assert not is_alive(tokens)
    assert not is_alive(others)


def test_a_refresh_token_that_is_used_up_changes_nothing(
    fresh_rate_limits: None, ana: Member
) -> None:
    client, tokens = signed_in(ana)
    renewed = sessions.refresh(refresh_token=tokens.refresh)

    answer = client.post(URL, {"refreshToken": tokens.refresh}, format="json")

    assert answer.status_code == 200
    assert not is_alive(renewed)


def test_somebody_elses_refresh_token_is_refused_and_nothing_ends(
    fresh_rate_limits: None, ana: Member, carla: Member
) -> None:
    client, tokens = signed_in(ana)
    _carlas_client, carlas = signed_in(carla)

    answer = client.post(URL, {"refreshToken": carlas.refresh}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (401, "1008")
    assert is_alive(carlas)
    assert is_alive(tokens)


def test_what_is_no_token_is_401(client_of: ClientOf, ana: Member) -> None:
    answer = client_of(ana).post(URL, {"refreshToken": "x"}, format="json")

    assert (answer.status_code, answer.json()["code"]) == (401, "1008")


@pytest.mark.parametrize("body", [{"refreshToken": 5}, {"refreshToken": ""}, {"refreshToken": []}])
def test_a_wrong_field_is_named(client_of: ClientOf, ana: Member, body: dict[str, Any]) -> None:
    answer = client_of(ana).post(URL, body, format="json")

    assert answer.status_code == 400
    assert set(answer.json()["fields"]) == {"refreshToken"}


def test_it_is_recorded(client_of: ClientOf, ana: Member) -> None:
    client_of(ana).post(URL)

    assert AuditEntry.objects.get(act="session.ended").member_id == ana.pk


def test_without_credentials_it_is_401(anonymous: APIClient) -> None:
    answer = anonymous.post(URL)

    assert (answer.status_code, answer.json()["code"]) == (401, "1002")
    assert answer["WWW-Authenticate"] == 'Bearer realm="pregon"'


def test_a_form_is_415(client_of: ClientOf, ana: Member) -> None:
    answer = client_of(ana).post(URL, {"refreshToken": "x"}, format="multipart")

    assert answer.status_code == 415

"""How many requests an organization may make."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.models import Member, Organization
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

ME = "/api/auth/me"


@pytest.fixture(autouse=True)
def three_a_minute(settings: Any) -> None:
    settings.RATE_LIMIT = "3/min"


def test_the_fourth_request_is_429_and_says_when_to_come_back(
    client_of: ClientOf, ana: Member
) -> None:
    client = client_of(ana)

    answers = [client.get(ME) for _time in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].json()["code"] == "4029"
    assert 0 < int(answers[3]["Retry-After"]) <= 60


def test_every_answer_tells_how_the_window_stands(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)

    answers = [client.get(ME) for _time in range(4)]

    assert [answer["RateLimit-Limit"] for answer in answers] == ["3"] * 4
    assert [answer["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0"]
    assert all(0 < int(answer["RateLimit-Reset"]) <= 60 for answer in answers)


def test_members_share_their_organizations_window(
    client_of: ClientOf, ana: Member, vera: Member
) -> None:
    anas, veras = client_of(ana), client_of(vera)

    codes = [client.get(ME).status_code for client in (anas, veras, anas, veras)]

    assert codes == [200, 200, 200, 429]


def test_organizations_do_not_share(client_of: ClientOf, ana: Member, carla: Member) -> None:
    anas, carlas = client_of(ana), client_of(carla)
    for _time in range(4):
        anas.get(ME)

    assert carlas.get(ME).status_code == 200


def test_requests_without_credentials_are_not_counted(
    client_of: ClientOf, anonymous: APIClient, ana: Member
) -> None:
    answers = [anonymous.get(ME, HTTP_AUTHORIZATION="Bearer x") for _time in range(5)]

    assert {answer.status_code for answer in answers} == {401}
    assert "RateLimit-Limit" not in answers[0]
    assert client_of(ana).get(ME)["RateLimit-Remaining"] == "2"


def test_refused_requests_are_counted(
    client_of: ClientOf, ana: Member, borealis: Organization
) -> None:
    client = client_of(ana)
    client.get(f"/api/organizations/{borealis.pk}")
    client.post(ME)
    client.post("/api/terms/accept", b"{", content_type="application/json")

    assert client.get(ME).status_code == 429


def test_a_missing_role_is_said_before_the_limit(
    client_of: ClientOf, ana: Member, acme: Organization
) -> None:
    client = client_of(ana)
    for _time in range(4):
        client.get(ME)
    Member.objects.filter(pk=ana.pk).update(has_one_time_password=True)

    answer = client.get(f"/api/organizations/{acme.pk}")

    assert (answer.status_code, answer.json()["code"]) == (403, "1003")
    assert answer["RateLimit-Remaining"] == "0"


@pytest.mark.parametrize(
    ("body", "content_type"),
    [(b"{", "application/json"), (b"x" * 300_000, "application/json"), (b"a=b", "text/plain")],
)
def test_the_limit_is_said_before_the_body_is_read(
    client_of: ClientOf, ana: Member, body: bytes, content_type: str
) -> None:
    client = client_of(ana)
    for _time in range(3):
        client.get(ME)

    assert client.post("/api/terms/accept", body, content_type=content_type).status_code == 429


def test_off_switches_it_off(client_of: ClientOf, ana: Member, settings: Any) -> None:
    settings.RATE_LIMIT = "off"
    client = client_of(ana)

    answers = [client.get(ME) for _time in range(5)]

    assert {answer.status_code for answer in answers} == {200}
    assert "RateLimit-Limit" not in answers[0]


def test_a_platform_superuser_is_not_counted(client_of: ClientOf, root: Member) -> None:
    client = client_of(root)

    assert {client.get(ME).status_code for _time in range(5)} == {200}


def test_without_redis_the_limit_holds_in_this_process(
    client_of: ClientOf, ana: Member, settings: Any
) -> None:
    client = client_of(ana)
    settings.CACHES = {
        "default": {**settings.CACHES["default"], "LOCATION": "redis://127.0.0.1:1/0"}
    }

    assert [client.get(ME).status_code for _time in range(4)] == [200, 200, 200, 429]

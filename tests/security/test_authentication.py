"""RELIABILITY's checklist S1 to S11 and S48, met from outside."""

import base64
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from threading import Barrier
from typing import Any

import jwt
import pytest
import time_machine
from django.conf import settings as configured
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db import connection
from django.utils import timezone
from rest_framework.test import APIClient
from rest_framework_simplejwt.token_blacklist.models import BlacklistedToken, OutstandingToken

from accounts import sessions
from accounts.models import Member, Organization, TermsAcceptance
from accounts.roles import Role
from tests.factories import PASSWORD, MemberFactory, TermsFactory
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

KEY = str(configured.SIMPLE_JWT["SIGNING_KEY"])


@pytest.fixture
def tokens(fresh_rate_limits: None, ana: Member) -> sessions.Tokens:
    return sessions.sign_in(email=ana.email, password=PASSWORD)


def me(authorization: str | bytes) -> Any:
    return APIClient().get("/api/auth/me", HTTP_AUTHORIZATION=authorization)


def refresh(token: str) -> Any:
    return APIClient().post("/api/auth/refresh", {"refreshToken": token}, format="json")


def told(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def claims_of(token: str) -> dict[str, Any]:
    return jwt.decode(token, options={"verify_signature": False})


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


# --- S1: access tokens only -----------------------------------------------------------------------
def test_S1_a_refresh_token_opens_nothing(tokens: sessions.Tokens) -> None:
    assert told(me(f"Bearer {tokens.refresh}")) == (401, "1008")


# --- S2: forged and malformed tokens --------------------------------------------------------------
def unsigned(claims: dict[str, Any]) -> str:
    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}."


def with_jku(claims: dict[str, Any]) -> str:
    headers = {
        "jku": "https://evil.example/keys",
        "x5u": "https://evil.example/x",
        "kid": "../../dev/null",
    }
    return jwt.encode(claims, "another key of thirty-two bytes and more", "HS256", headers=headers)


def without(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda claims: jwt.encode({k: v for k, v in claims.items() if k != name}, KEY, "HS256")


def changed(**claims: Any) -> Callable[[dict[str, Any]], str]:
    return lambda given: jwt.encode({**given, **claims}, KEY, "HS256")


FORGED: dict[str, Callable[[dict[str, Any]], str]] = {
    "alg none": unsigned,
    "alg None": lambda claims: unsigned(claims).replace(
        part({"alg": "none", "typ": "JWT"}), part({"alg": "None"})
    ),
    "another key": lambda claims: jwt.encode(claims, "x" * 64, "HS256"),
    "Django's key": lambda claims: jwt.encode(claims, configured.SECRET_KEY, "HS256"),
    "empty key": lambda claims: f"{part({'alg': 'HS256'})}.{part(claims)}.{part('')}",
    "HS512": lambda claims: jwt.encode(claims, KEY.ljust(64, "x"), "HS512"),
    "HS512 with our key": lambda claims: jwt.encode(claims, KEY, "HS512"),
    "says RS256": lambda claims: f"{part({'alg': 'RS256'})}.{part(claims)}.{part('x')}",
    "jku, x5u, kid": with_jku,
    "no exp": without("exp"),
    "no sub": without("sub"),
    "no jti": without("jti"),
    "no sid": without("sid"),
    "no issuer": without("iss"),
    "no audience": without("aud"),
    "no password claim": without("hash_password"),
    "no kind": without("token_type"),
    "another issuer": changed(iss="evil"),
    "another audience": changed(aud="evil"),
    "another kind": changed(token_type="sliding"),
    "another session": changed(sid="0" * 32),
    "a session with a wildcard": changed(sid="%"),
    "a member who is a number": changed(sub=1),
    "a member who is no id": changed(sub="admin' --"),
    "a member nobody knows": changed(sub="00000000-0000-4000-8000-000000000000"),
    "exp as text": changed(exp="tomorrow"),
    "critical extension": lambda claims: jwt.encode(
        claims, KEY, "HS256", headers={"crit": ["x"], "x": 1}
    ),
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED.keys())
def test_S2_a_forged_token_opens_nothing(
    tokens: sessions.Tokens, forged: Callable[[dict[str, Any]], str]
) -> None:
    assert told(me(f"Bearer {forged(claims_of(tokens.access))}")) == (401, "1008")


def test_S2_the_same_token_unforged_opens(tokens: sessions.Tokens) -> None:
    assert me(f"Bearer {changed()(claims_of(tokens.access))}").status_code == 200


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer x",
        "Bearer a.b.c",
        "Bearer ...",
        "Bearer a b",
        b"Bearer \xff\xfe.\x80.x",
        f"Bearer {'a' * 9 * 1024}",
        f"Bearer {part('[' * 2800)}.e30.x",
        f"Bearer {base64.urlsafe_b64encode(b'[' * 2800).decode()}.e30.x",
        f"Bearer {part([1])}.{part([2])}.x",
        f"Bearer {part({'alg': ['HS256']})}.{part({})}.x",
        f"Bearer {part({'alg': {}})}.{part({})}.x",
    ],
)
def test_S2_what_is_no_token_is_refused(db: None, authorization: str | bytes) -> None:
    assert told(me(authorization)) == (401, "1008")


# --- S3: how we sign ------------------------------------------------------------------------------
def test_S3_tokens_are_signed_and_addressed_as_said(tokens: sessions.Tokens) -> None:
    assert jwt.get_unverified_header(tokens.access)["alg"] == "HS256"
    claims = claims_of(tokens.access)
    assert (claims["iss"], claims["aud"]) == ("pregon", "pregon")
    assert configured.SIMPLE_JWT["LEEWAY"] == 30


# --- S4: how long ---------------------------------------------------------------------------------
def test_S4_an_access_token_lives_15_minutes_and_says_that_it_expired(
    tokens: sessions.Tokens,
) -> None:
    now = timezone.now()

    with time_machine.travel(now + timedelta(minutes=14)):
        assert me(f"Bearer {tokens.access}").status_code == 200
    with time_machine.travel(now + timedelta(minutes=16)):
        assert told(me(f"Bearer {tokens.access}")) == (401, "1009")


def test_S4_a_session_ends_after_30_days_however_often_it_is_refreshed(
    tokens: sessions.Tokens,
) -> None:
    began = timezone.now()
    newest = tokens.refresh

    for days in (6, 12, 18, 24, 29):
        with time_machine.travel(began + timedelta(days=days)):
            answer = refresh(newest)
        assert answer.status_code == 200
        newest = answer.json()["refreshToken"]

    with time_machine.travel(began + timedelta(days=30, minutes=1)):
        assert told(refresh(newest)) == (401, "1009")
    assert claims_of(newest)["exp"] <= (began + timedelta(days=30, seconds=1)).timestamp()


def test_S4_an_access_token_does_not_outlive_its_session(tokens: sessions.Tokens) -> None:
    began = timezone.now()
    newest = tokens.refresh
    for days in (6, 12, 18, 24):
        with time_machine.travel(began + timedelta(days=days)):
            newest = refresh(newest).json()["refreshToken"]

    with time_machine.travel(began + timedelta(days=30, minutes=-1)):
        access = refresh(newest).json()["accessToken"]

    assert claims_of(access)["exp"] <= (began + timedelta(days=30, seconds=1)).timestamp()


# --- S5: refresh tokens work once -----------------------------------------------------------------
def test_S5_using_a_refresh_token_again_ends_the_session(tokens: sessions.Tokens) -> None:
    renewed = refresh(tokens.refresh).json()

    assert told(refresh(tokens.refresh)) == (401, "1008")

    assert told(refresh(renewed["refreshToken"])) == (401, "1008")
    assert told(me(f"Bearer {renewed['accessToken']}")) == (401, "1008")


def test_S5_another_session_of_the_member_goes_on(tokens: sessions.Tokens, ana: Member) -> None:
    other = sessions.sign_in(email=ana.email, password=PASSWORD)
    refresh(tokens.refresh)
    refresh(tokens.refresh)

    assert refresh(other.refresh).status_code == 200


def test_S5_stored_tokens_cannot_be_used_by_who_reads_the_table(tokens: sessions.Tokens) -> None:
    row = OutstandingToken.objects.get()

    assert row.token == ""
    assert tokens.refresh not in str(vars(row))


@pytest.mark.django_db(transaction=True)
def test_S5_of_eight_at_once_exactly_one_is_answered_and_the_session_ends(
    tokens: sessions.Tokens,
) -> None:
    answers = at_once(8, lambda _number: refresh(tokens.refresh))

    codes = sorted(answer.status_code for answer in answers)
    assert codes == [200] + [401] * 7
    winner = next(answer for answer in answers if answer.status_code == 200).json()
    assert told(refresh(winner["refreshToken"])) == (401, "1008")
    assert told(me(f"Bearer {winner['accessToken']}")) == (401, "1008")


@pytest.mark.django_db(transaction=True)
def test_S5_a_reuse_beside_the_next_refresh_leaves_no_token_alive(tokens: sessions.Tokens) -> None:
    for _round in range(5):
        old = sessions.sign_in(email="ana@acme.example", password=PASSWORD)
        new = sessions.refresh(refresh_token=old.refresh)

        at_once(2, partial(refresh_one, [old.refresh, new.refresh]))

        session = claims_of(old.access)["sid"]
        family = OutstandingToken.objects.filter(jti__startswith=f"{session}.")
        assert not family.filter(blacklistedtoken=None).exists()


def refresh_one(tokens: list[str], number: int) -> Any:
    return refresh(tokens[number])


def at_once(count: int, act: Callable[[int], Any]) -> list[Any]:
    """Let so many threads act at the same moment, each on its own connection."""
    barrier = Barrier(count)

    def run(number: int) -> Any:
        try:
            barrier.wait()
            return act(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


# --- S7 to S10: what ends a session ---------------------------------------------------------------
def test_S7_a_new_password_ends_access_and_refresh(tokens: sessions.Tokens, ana: Member) -> None:
    sessions.set_password(member=ana, password="quite-another-one", by=ana)

    assert told(me(f"Bearer {tokens.access}")) == (401, "1008")
    assert told(refresh(tokens.refresh)) == (401, "1008")


def test_S7_a_password_changed_behind_the_verb_ends_them_too(
    tokens: sessions.Tokens, ana: Member
) -> None:
    ana.set_password("quite-another-one")
    ana.save()

    assert told(me(f"Bearer {tokens.access}")) == (401, "1008")
    assert told(refresh(tokens.refresh)) == (401, "1008")


def test_S8_a_member_who_is_switched_off_is_out_at_once(
    tokens: sessions.Tokens, ana: Member
) -> None:
    Member.objects.filter(pk=ana.pk).update(is_active=False)

    assert told(me(f"Bearer {tokens.access}")) == (401, "1008")
    assert told(refresh(tokens.refresh)) == (401, "1008")


def test_S9_a_deleted_member_is_out_at_once(tokens: sessions.Tokens, ana: Member) -> None:
    TermsAcceptance.objects.all().delete()
    ana.delete()

    assert told(me(f"Bearer {tokens.access}")) == (401, "1008")
    assert told(refresh(tokens.refresh)) == (401, "1008")


def test_S21_members_of_a_suspended_organization_are_out_at_once(
    tokens: sessions.Tokens, acme: Organization
) -> None:
    Organization.objects.filter(pk=acme.pk).update(status=Organization.Status.SUSPENDED)

    assert told(me(f"Bearer {tokens.access}")) == (401, "1008")
    assert told(refresh(tokens.refresh)) == (401, "1008")


def test_S10_logout_blacklists(tokens: sessions.Tokens) -> None:
    APIClient().post("/api/auth/logout", HTTP_AUTHORIZATION=f"Bearer {tokens.access}")

    assert BlacklistedToken.objects.count() == 1
    assert told(me(f"Bearer {tokens.access}")) == (401, "1008")
    assert told(refresh(tokens.refresh)) == (401, "1008")


def test_S10_a_change_of_role_acts_on_tokens_that_are_out(
    tokens: sessions.Tokens, ana: Member
) -> None:
    Member.objects.filter(pk=ana.pk).update(role=Role.VIEWER)

    assert me(f"Bearer {tokens.access}").json()["role"]["id"] == "VIEWER"


def test_S10_a_move_to_another_organization_acts_on_tokens_that_are_out(
    tokens: sessions.Tokens, ana: Member, acme: Organization, borealis: Organization
) -> None:
    Member.objects.filter(pk=ana.pk).update(organization=borealis)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {tokens.access}")

    assert client.get(f"/api/organizations/{acme.pk}").status_code == 404
    assert client.get(f"/api/organizations/{borealis.pk}").status_code == 200


# --- S11: guessing --------------------------------------------------------------------------------
class CountingHasher(MD5PasswordHasher):
    """Counts how often a password was really worked on."""

    worked = 0

    def encode(self, password: str, salt: str) -> str:
        type(self).worked += 1
        return super().encode(password, salt)


@pytest.mark.parametrize("email", ["ana@acme.example", "nobody@acme.example", "off@acme.example"])
def test_S11_an_unknown_address_costs_the_same_work_and_says_the_same(
    anonymous: APIClient, ana: Member, settings: Any, email: str
) -> None:
    MemberFactory.create(email="off@acme.example", organization=ana.organization, is_active=False)
    settings.PASSWORD_HASHERS = [f"{__name__}.CountingHasher"]
    CountingHasher.worked = 0

    answer = anonymous.post(
        "/api/auth/sign-in", {"email": email, "password": "guess"}, format="json"
    )

    assert told(answer) == (401, "1001")
    assert CountingHasher.worked == 1


@pytest.mark.django_db(transaction=True)
def test_S11_guesses_made_at_once_are_all_counted(anonymous: APIClient, ana: Member) -> None:
    body = {"email": ana.email, "password": "guess"}

    answers = at_once(16, lambda _n: APIClient().post("/api/auth/sign-in", body, format="json"))

    assert sorted(answer.status_code for answer in answers) == [401] * 10 + [429] * 6


# --- S48 and what comes before it -----------------------------------------------------------------
@pytest.mark.parametrize(
    "authorization", ["Token x", "Basic YW5hOnB3", "Digest x", "x", "", " ", "Bearer", "Bearer   "]
)
def test_S48_any_other_scheme_is_no_credentials(db: None, authorization: str) -> None:
    answer = me(authorization)

    assert told(answer) == (401, "1002")
    assert answer["WWW-Authenticate"] == 'Bearer realm="pregon"'


def test_the_scheme_is_read_in_any_letter_case(tokens: sessions.Tokens) -> None:
    assert me(f"bearer {tokens.access}").status_code == 200


def test_an_admin_session_does_not_open_the_api(ana: Member) -> None:
    client = APIClient()
    client.force_login(ana)

    assert told(client.get("/api/auth/me")) == (401, "1002")


def test_identifying_a_member_takes_one_query(
    client_of: ClientOf, ana: Member, django_assert_num_queries: Any
) -> None:
    tokens = sessions.sign_in(email=ana.email, password=PASSWORD)

    with django_assert_num_queries(1):
        member, _claims = sessions.member_with(access_token=tokens.access)
        assert member.organization is not None


def test_new_terms_do_not_end_sessions(tokens: sessions.Tokens) -> None:
    TermsFactory.create(version="2026-2")

    assert me(f"Bearer {tokens.access}").status_code == 200

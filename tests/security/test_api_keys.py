"""S13: what a program may do with a key, and when it may not any more."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from accounts import api_keys, roles, sessions, terms
from accounts.models import ApiKey, AuditEntry, Member, Organization
from accounts.roles import Right, Role
from messaging.models import Broadcast
from tests.api.refusals import told
from tests.factories import PASSWORD, MemberFactory
from tests.messaging.factories import contacts_in_order, grant
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

ME = "/api/auth/me"
SEND = "/api/messages/sms/all"


def with_key(written: str) -> APIClient:
    client = APIClient()
    client.credentials(HTTP_API_KEY=written)
    return client


def made(member: Member) -> str:
    return api_keys.add(key=ApiKey(name="shop"), by=member)


# --- whom it stands for ---------------------------------------------------------------------------
def test_S13_a_key_stands_for_the_member_who_made_it(key_of: ClientOf, ana: Member) -> None:
    body = key_of(ana).get(ME).json()

    assert (body["id"], body["organizationId"]) == (str(ana.pk), str(ana.organization_id))
    assert body["role"]["id"] == "OWNER"


def test_S13_it_sends_in_the_name_of_its_member(
    key_of: ClientOf, ana: Member, acme: Organization
) -> None:
    contacts_in_order(acme, "+573001234567")
    grant(acme, 10)

    answer = key_of(ana).post(SEND, {"message": "Hola"}, format="json")

    assert answer.status_code == 201
    assert Broadcast.objects.get().member_id == ana.pk
    entry = AuditEntry.objects.get(act="broadcast.accepted")
    assert (entry.member_id, entry.details["api_key"]) == (ana.pk, str(ApiKey.objects.get().pk))


def test_S12_a_key_whose_member_has_not_accepted_the_terms_sends_nothing(
    key_of: ClientOf, acme: Organization, terms_in_force: Any
) -> None:
    nora = MemberFactory.create(organization=acme, role=Role.OWNER)

    assert told(key_of(nora).post(SEND, {"message": "Hola"}, format="json")) == (403, "1022")


def test_S13_a_member_is_identified_by_one_query(
    ana: Member, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    written = made(ana)
    api_keys.member_with(written=written)

    with django_assert_num_queries(1):
        member, _key = api_keys.member_with(written=written)
        assert member.organization is not None


def test_S13_its_use_is_noted_once_a_minute(key_of: ClientOf, ana: Member) -> None:
    client = key_of(ana)
    moments: list[Any] = []
    now = timezone.now()

    for seconds in (0, 30, 90):
        with time_machine.travel(now + timedelta(seconds=seconds), tick=False):
            client.get(ME)
        moments.append(ApiKey.objects.get().last_used_at)

    assert moments[0] == moments[1] < moments[2]


# --- what is no key -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "change",
    {
        "another": lambda key: key[:-1] + ("A" if key[-1] != "A" else "B"),
        "shorter": lambda key: key[:-1],
        "longer": lambda key: key + "A",
        "its beginning": lambda key: key[:13],
        "without its beginning": lambda key: key.removeprefix("pregon_"),
        "capitals": lambda key: key.upper(),
        "a line break": lambda key: key + "\n",
        "NUL": lambda key: "\x00" + key,
        "bytes": lambda _key: "\xff\xfe",
        "its digest": lambda _key: ApiKey.objects.get().digest.hex(),
        "SQL": lambda _key: "pregon_' OR 1=1 --",
        "9 kB": lambda key: key * 180,
    }.values(),
)
def test_S13_what_is_not_the_key_is_401(fresh_rate_limits: None, ana: Member, change: Any) -> None:
    written = made(ana)
    changed = change(written)

    if changed.strip() != written:
        assert told(with_key(changed).get(ME)) == (401, "1008")


@pytest.mark.parametrize("written", ["", " "])
def test_S13_an_empty_key_is_no_credentials(
    fresh_rate_limits: None, db: None, written: str
) -> None:
    assert told(with_key(written).get(ME)) == (401, "1002")


def test_S13_nothing_that_we_never_gave_out_is_looked_up(
    db: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(0), pytest.raises(api_keys.InvalidKey):
        api_keys.member_with(written="pregon_short")


def test_S13_a_token_and_a_key_at_once_are_refused(key_of: ClientOf, ana: Member) -> None:
    client = key_of(ana)
    token = sessions.sign_in(email=ana.email, password=PASSWORD).access

    both = client.get(ME, HTTP_AUTHORIZATION=f"Bearer {token}")
    with_stale = client.get(ME, HTTP_AUTHORIZATION="Bearer x")

    assert told(both) == told(with_stale) == (401, "1008")


def test_S13_a_key_beside_another_scheme_counts(key_of: ClientOf, ana: Member) -> None:
    assert key_of(ana).get(ME, HTTP_AUTHORIZATION="Basic x").status_code == 200


def test_S13_a_key_as_a_bearer_token_opens_nothing(fresh_rate_limits: None, ana: Member) -> None:
    answer = APIClient().get(ME, HTTP_AUTHORIZATION=f"Bearer {made(ana)}")

    assert told(answer) == (401, "1008")


def test_S13_a_key_does_not_open_the_admin(client: Any, ana: Member) -> None:
    assert client.get("/admin/", HTTP_API_KEY=made(ana)).status_code == 302


# --- when it ends ---------------------------------------------------------------------------------
ENDS = {
    "its member is switched off": lambda ana: Member.objects.filter(pk=ana.pk).update(
        is_active=False
    ),
    "its organization is suspended": lambda ana: Organization.objects.filter(
        pk=ana.organization_id
    ).update(status=Organization.Status.SUSPENDED),
    "its member moved to another organization": lambda ana: Member.objects.filter(pk=ana.pk).update(
        organization=Organization.objects.create(name="Nova")
    ),
}


@pytest.mark.parametrize("what", ENDS)
def test_S13_it_ends_at_once_when(key_of: ClientOf, ana: Member, what: str) -> None:
    client = key_of(ana)
    assert client.get(ME).status_code == 200

    ENDS[what](ana)

    assert told(client.get(ME)) == (401, "1008")


def test_S21_keys_of_a_suspended_organization_are_dead(key_of: ClientOf, ana: Member) -> None:
    client = key_of(ana)

    ENDS["its organization is suspended"](ana)

    assert told(client.get(ME)) == (401, "1008")


def test_S10_a_change_of_role_acts_on_keys_that_are_out(key_of: ClientOf, ana: Member) -> None:
    client = key_of(ana)
    Member.objects.filter(pk=ana.pk).update(role=Role.VIEWER)

    assert client.get(ME).json()["role"]["id"] == "VIEWER"
    assert told(client.post(SEND, {"message": "Hola"}, format="json")) == (403, "1003")


def test_S13_it_goes_on_when_its_member_signs_out_or_changes_the_password(
    key_of: ClientOf, ana: Member
) -> None:
    client = key_of(ana)
    sessions.set_password(member=ana, password="quite-another-one", by=ana)

    assert client.get(ME).status_code == 200


# --- what takes a person --------------------------------------------------------------------------
@pytest.mark.parametrize("right", sorted(roles.NOT_BY_KEY))
def test_S13_what_takes_a_person_is_not_done_by_a_key(ana: Member, right: Right) -> None:
    member, _key = api_keys.member_with(written=made(ana))

    assert roles.may(ana, right)
    assert not roles.may(member, right)
    with pytest.raises(roles.RoleMissing, match="An API key may not do this"):
        roles.require(member, right)


def test_S13_a_key_makes_no_further_keys(key_of: ClientOf, ana: Member) -> None:
    client = key_of(ana)

    assert told(client.post("/api/api-keys", {"name": "x"}, format="json")) == (403, "1003")
    assert told(client.get("/api/api-keys")) == (403, "1003")


def test_S13_a_key_accepts_no_terms(
    key_of: ClientOf, acme: Organization, terms_in_force: Any
) -> None:
    nora = MemberFactory.create(organization=acme, role=Role.OWNER)
    client = key_of(nora)

    for address, field in (
        ("/api/terms/accept", "version"),
        (f"/api/organizations/{acme.pk}/accept-terms", "termsVersion"),
    ):
        answer = client.post(address, {field: terms_in_force.version}, format="json")
        assert told(answer) == (403, "1003")
    assert not terms.has_accepted(nora)


def test_S13_a_key_changes_no_password_and_ends_no_session(key_of: ClientOf, ana: Member) -> None:
    client = key_of(ana)
    new = {
        "currentPassword": PASSWORD,
        "newPassword": "q-w-e-r-t-y-1",
        "confirmPassword": "q-w-e-r-t-y-1",
    }

    assert told(client.post("/api/auth/change-password", new, format="json")) == (401, "1002")
    assert told(client.post("/api/auth/logout", {}, format="json")) == (401, "1002")


# --- limits ---------------------------------------------------------------------------------------
def test_S13_requests_by_key_and_by_token_share_the_organizations_window(
    key_of: ClientOf, client_of: ClientOf, ana: Member, settings: Settings
) -> None:
    settings.RATE_LIMIT = "2/min"
    program, person = key_of(ana), client_of(ana)

    remaining = [client.get(ME)["RateLimit-Remaining"] for client in (program, person)]

    assert remaining == ["1", "0"]
    assert told(program.get(ME)) == (429, "4029")


def test_S13_the_schema_names_both_ways_to_sign_in(client: Any) -> None:
    schema = client.get("/api/schema", headers={"accept": "application/json"}).json()

    assert schema["components"]["securitySchemes"] == {
        "apiKey": {"type": "apiKey", "in": "header", "name": "api-key"},
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
    }
    security = {
        found["operationId"]: [set(way) for way in found.get("security", [])]
        for item in schema["paths"].values()
        for found in item.values()
    }
    assert security["sendSmsToAll"] == [{"bearer"}, {"apiKey"}]
    assert security["changePassword"] == security["logout"] == [{"bearer"}]

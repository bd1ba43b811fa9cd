"""POST /api/messages/sms/all under an Idempotency-Key: carried out once, then answered again."""

import json
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts import terms
from accounts.models import AuditEntry, Member, Organization, Terms
from billing import ledger
from messaging.models import Broadcast, IdempotencyKey, Message
from tests.api.refusals import fields, nothing_happens, told
from tests.factories import TermsFactory
from tests.messaging.factories import contacts_in_order, grant
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/messages/sms/all"


@pytest.fixture(autouse=True)
def _ready(acme: Organization, settings: Settings) -> None:
    """Two to write to, credits for many times as much, and a provider for every type."""
    settings.SMS_PROVIDERS = ["memory://local"]
    contacts_in_order(acme, "+573001234567", "+573001234568")
    grant(acme, 100)


def send(client: APIClient, key: str | None = "k", **body: Any) -> Any:
    headers = {} if key is None else {"idempotency-key": key}
    return client.post(URL, {"message": "Hola", **body}, format="json", headers=headers)


def content(answer: Any) -> Any:
    return json.loads(answer.getvalue())


# --- the answer again -----------------------------------------------------------------------------
def test_the_second_time_the_answer_is_the_same_and_nothing_is_done(
    client_of: ClientOf, ana: Member, acme: Organization
) -> None:
    client = client_of(ana)
    first = send(client)
    written = content(first)

    with nothing_happens():
        second = send(client)

    assert (first.status_code, second.status_code) == (201, 201)
    assert content(second) == written
    assert len(written["messages"]) == 2
    assert "Idempotent-Replayed" not in first
    assert second["Idempotent-Replayed"] == "true"
    assert second["Content-Type"] == first["Content-Type"] == "application/json"
    assert ledger.balance(acme.pk).reserved == 2


def test_without_a_key_twice_is_twice(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)

    answers = [send(client, None), send(client, None)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert content(answers[0]) != content(answers[1])
    assert not any("Idempotent-Replayed" in answer for answer in answers)
    assert not IdempotencyKey.objects.exists()


def test_another_key_is_another_broadcast(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)

    ids = {content(send(client, key))["queueId"] for key in ("k", "K", "k2")}

    assert len(ids) == 3


def test_contacts_that_came_in_meanwhile_are_not_in_the_answer_again(
    client_of: ClientOf, ana: Member, acme: Organization
) -> None:
    client = client_of(ana)
    first = content(send(client))
    contacts_in_order(acme, "+573001234569")

    assert content(send(client)) == first


def test_nobody_to_write_to_is_answered_again_too(
    client_of: ClientOf, carla: Member, borealis: Organization
) -> None:
    client = client_of(carla)
    first = send(client)
    contacts_in_order(borealis, "+525512345678")
    grant(borealis, 10)

    second = send(client)

    assert (first.status_code, second.status_code) == (200, 200)
    assert content(second) == {"queueId": "", "channel": "sms", "messages": []}
    assert second["Idempotent-Replayed"] == "true"
    assert Broadcast.objects.get(organization=borealis).status == "COMPLETED"


def test_it_is_answered_again_when_the_credits_are_used_up(
    client_of: ClientOf, carla: Member, borealis: Organization
) -> None:
    contacts_in_order(borealis, "+525512345678")
    grant(borealis, 1)
    client = client_of(carla)
    first = content(send(client))

    assert (content(send(client)), ledger.balance(borealis.pk).available) == (first, 0)
    assert told(send(client, "other")) == (402, "3001")
    assert told(send(client, message="Adiós")) == (422, "4011")


def test_it_is_answered_again_when_the_organization_may_not_send_there_any_more(
    client_of: ClientOf, ana: Member, acme: Organization
) -> None:
    client = client_of(ana)
    first = send(client, country="CO")
    Organization.objects.filter(pk=acme.pk).update(allowed_countries=["MX"])

    second = send(client, country="CO")

    assert (second.status_code, content(second)) == (201, content(first))
    assert told(send(client, "other", country="CO")) == (400, "4002")


# --- what counts as the same ----------------------------------------------------------------------
@pytest.mark.parametrize(
    "spelled",
    [
        {"type": "sms"},
        {"type": None},
        {"country": None},
        {"scheduledAt": None},
        {"confirmToken": None},
        {"unknown": "field", "organization": str(uuid4())},
    ],
)
def test_what_means_the_same_is_the_same(
    client_of: ClientOf, ana: Member, spelled: dict[str, Any]
) -> None:
    client = client_of(ana)
    first = content(send(client))

    second = send(client, **spelled)

    assert (second.status_code, content(second)) == (201, first)


def test_spellings_of_a_country_are_the_same(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)

    ids = {
        content(send(client, country=country))["queueId"] for country in ("CO", "co", "57", "+57")
    }

    assert len(ids) == 1


def test_a_preference_for_a_short_answer_makes_no_other_request(
    client_of: ClientOf, ana: Member
) -> None:
    client = client_of(ana)
    first = content(send(client))["queueId"]

    second = client.post(
        URL,
        {"message": "Hola"},
        format="json",
        headers={"idempotency-key": "k", "prefer": "return=minimal"},
    )

    assert content(second)["queueId"] == first


@pytest.mark.parametrize(
    "other", [{"message": "Hola "}, {"type": "OTP"}, {"country": "CO"}, {"message": "hola"}]
)
def test_B16_another_body_under_the_key_is_422_and_nothing_is_done(
    client_of: ClientOf, ana: Member, other: dict[str, Any]
) -> None:
    client = client_of(ana)
    send(client)

    with nothing_happens():
        answer = send(client, **other)

    assert told(answer) == (422, "4011")


def test_B16_another_member_of_the_organization_gets_the_answer_again(
    client_of: ClientOf, ana: Member, sara: Member
) -> None:
    first = content(send(client_of(ana)))

    second = send(client_of(sara))

    assert (second.status_code, content(second)) == (201, first)
    assert Broadcast.objects.get().member == ana


def test_B16_another_organization_has_keys_of_its_own(
    client_of: ClientOf, ana: Member, carla: Member, borealis: Organization
) -> None:
    contacts_in_order(borealis, "+525512345678")
    grant(borealis, 10)
    first = content(send(client_of(ana)))

    second = send(client_of(carla))

    assert second.status_code == 201
    assert "Idempotent-Replayed" not in second
    ids = {entry["id"] for entry in content(second)["messages"]}
    assert ids.isdisjoint(entry["id"] for entry in first["messages"])
    assert told(send(client_of(carla), message="Adiós")) == (422, "4011")


# --- who hears it ---------------------------------------------------------------------------------
def test_who_may_not_send_does_not_hear_the_answer_either(
    client_of: ClientOf, ana: Member, vera: Member, beto: Member
) -> None:
    send(client_of(ana))

    assert told(send(client_of(vera))) == (403, "1003")
    assert told(send(client_of(beto))) == (403, "1022")


# --- a refusal leaves the key free ----------------------------------------------------------------
def test_after_a_top_up_the_same_key_is_carried_out(
    client_of: ClientOf, ana: Member, acme: Organization
) -> None:
    client = client_of(ana)
    contacts_in_order(acme, *(f"+5730099{number:05}" for number in range(99)))

    refused = send(client)
    grant(acme, 1)
    accepted = send(client)

    assert told(refused) == (402, "3001")
    assert accepted.status_code == 201
    assert "Idempotent-Replayed" not in accepted


@pytest.mark.parametrize("body", [{"message": " "}, {"country": "XX"}, {"type": "MMS"}])
def test_a_wrong_field_leaves_the_key_free(
    client_of: ClientOf, ana: Member, body: dict[str, Any]
) -> None:
    client = client_of(ana)

    assert send(client, **body).status_code == 400
    assert send(client).status_code == 201


def test_beto_uses_his_key_after_he_accepted(
    client_of: ClientOf, beto: Member, terms_in_force: Terms
) -> None:
    client = client_of(beto)

    assert told(send(client)) == (403, "1022")
    terms.accept(member=beto, version=terms_in_force.version)
    assert send(client).status_code == 201


def test_new_terms_come_before_the_answer_again(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)
    send(client)
    TermsFactory.create(version="2026-2")

    assert told(send(client)) == (403, "1022")


# --- what is no key -------------------------------------------------------------------------------
NO_KEYS = {
    "empty": "",
    "blank": "   ",
    "256 characters": "k" * 256,
    "5,000 characters": "k" * 5_000,
    "NUL": "a\0b",
    "accented": "clé",
    "beyond Latin-1": "→ key",
    "CR LF": "a\r\nX-Evil: 1",
    "LF": "a\nb",
    "TAB": "a\tb",
    "DEL": "a\x7f",
}


@pytest.mark.parametrize("key", NO_KEYS.values(), ids=NO_KEYS.keys())
def test_B17_what_is_no_key_is_400_and_nothing_is_done(
    client_of: ClientOf, ana: Member, key: str
) -> None:
    client = client_of(ana)

    with nothing_happens():
        answer = client.post(URL, {"message": "Hola"}, format="json", HTTP_IDEMPOTENCY_KEY=key)

    assert told(answer) == (400, "4000")
    assert fields(answer) == set()
    assert "Idempotency-Key" in answer.json()["message"]


@pytest.mark.parametrize(
    "key",
    [
        "k",
        "k" * 255,
        "2c8ca99d-d285-4e89-9d63-a98c0bf96706",
        '"quoted"',
        "a b",
        "~!@#$%^&*()",
        "0",
        "'; DROP TABLE",
    ],
)
def test_a_key_is_any_ascii_up_to_255(client_of: ClientOf, ana: Member, key: str) -> None:
    client = client_of(ana)

    answers = [send(client, key), send(client, key)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert content(answers[0]) == content(answers[1])


def test_the_key_is_refused_after_the_body_and_before_the_credits(
    client_of: ClientOf, ana: Member, carla: Member, borealis: Organization
) -> None:
    contacts_in_order(borealis, "+525512345678")  # and no credits

    assert fields(send(client_of(ana), "", message="")) == {"message"}
    assert told(send(client_of(carla), "")) == (400, "4000")
    assert told(send(client_of(carla))) == (402, "3001")


def test_it_is_recorded_once(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)
    for _ in range(3):
        send(client)

    assert AuditEntry.objects.filter(act="broadcast.accepted").count() == 1
    assert (Broadcast.objects.count(), Message.objects.count()) == (1, 2)
    key = IdempotencyKey.objects.get()
    assert (key.key, key.broadcast) == ("k", Broadcast.objects.get())
    assert "Hola" not in key.fingerprint

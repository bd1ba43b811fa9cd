"""confirmToken on all three doors: sends what its dry run saw, once, or not at all."""

import threading
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import Member, Organization
from billing import ledger
from billing.models import Rate
from contacts.models import Contact
from messaging.models import Broadcast, IdempotencyKey
from tests.api import doors
from tests.api.doors import DOORS, read
from tests.api.refusals import nothing_happens, told
from tests.messaging.factories import contacts_in_order, grant
from tests.people import ClientOf
from tests.races import patient

pytestmark = pytest.mark.django_db

VOID = (409, "4012")


@pytest.fixture(autouse=True)
def _ready(acme: Organization, settings: Settings) -> None:
    """Two to write to, credits for many times as much, and a provider for every type."""
    settings.SMS_PROVIDERS = ["memory://local"]
    contacts_in_order(acme, "+573001234567", "+573001234568")
    grant(acme, 100)


def confirmed(client: APIClient, door: str = "all", **body: Any) -> dict[str, Any]:
    """Return the body with the token of its dry run."""
    body = {"message": "Hola", **body}
    return {**body, "confirmToken": read(doors.dry_run(client, door, body))["confirmToken"]}


def refused(client: APIClient, body: dict[str, Any], door: str = "all") -> tuple[int, str]:
    """Send it, hold that nothing happens, and return how it was refused."""
    with nothing_happens():
        return told(doors.post(client, door, body))


# --- sent as seen, once ---------------------------------------------------------------------------
@pytest.mark.parametrize("door", DOORS)
def test_what_was_seen_is_sent_and_a_second_use_is_answered_again(
    client_of: ClientOf, ana: Member, acme: Organization, door: str
) -> None:
    client = client_of(ana)
    body = confirmed(client, door, **doors.aim(door, acme))

    first = doors.post(client, door, body)
    written = read(first)
    with nothing_happens():
        second = doors.post(client, door, body)

    assert (first.status_code, second.status_code) == (201, 201)
    assert "Idempotent-Replayed" not in first
    assert second["Idempotent-Replayed"] == "true"
    assert read(second) == written
    assert len(written["messages"]) == 2
    assert ledger.balance(acme.pk).reserved == 2


def test_the_text_is_not_kept_beside_the_token(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)
    doors.post(client, "all", confirmed(client, message="A secret"))

    key = IdempotencyKey.objects.get()
    assert key.broadcast == Broadcast.objects.get()
    assert "secret" not in f"{key.key}{key.fingerprint}"


def test_two_dry_runs_are_two_confirmations(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)

    sent = {read(doors.post(client, "all", confirmed(client)))["queueId"] for _ in range(2)}

    assert len(sent) == 2


def test_nobody_may_be_confirmed_too(
    client_of: ClientOf, carla: Member, borealis: Organization
) -> None:
    client = client_of(carla)
    body = confirmed(client)

    answers = [doors.post(client, "all", body) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[1]["Idempotent-Replayed"] == "true"


def test_what_means_the_same_is_what_was_confirmed(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)
    body = confirmed(client, country="CO")

    spelled = {**body, "country": "+57", "type": "sms", "scheduledAt": None, "unknown": 1}

    assert doors.post(client, "all", spelled).status_code == 201


def test_null_is_no_token(client_of: ClientOf, ana: Member) -> None:
    body = {"message": "Hola", "confirmToken": None}

    assert doors.post(client_of(ana), "all", body).status_code == 201


def test_a_token_counts_as_meant_for_the_guard(
    client_of: ClientOf, ana: Member, acme: Organization
) -> None:
    Organization.objects.filter(pk=acme.pk).update(repeat_guard_seconds=60)
    client = client_of(ana)
    doors.post(client, "all", {"message": "Hola"})

    assert told(doors.post(client, "all", {"message": "Hola"})) == (409, "4014")
    assert doors.post(client, "all", confirmed(client)).status_code == 201


# --- with an Idempotency-Key ----------------------------------------------------------------------
def test_key_and_token_name_one_broadcast(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)
    body = confirmed(client)
    key = {"idempotency-key": "k"}
    first = read(doors.post(client, "all", body, **key))

    by_key, by_token = doors.post(client, "all", body, **key), doors.post(client, "all", body)
    by_other_key = doors.post(client, "all", body, **{"idempotency-key": "other"})

    for answer in (by_key, by_token, by_other_key):
        assert (answer["Idempotent-Replayed"], read(answer)) == ("true", first)
    assert Broadcast.objects.count() == 1


def test_a_key_of_another_request_is_told_before_a_void_token(
    client_of: ClientOf, ana: Member
) -> None:
    client = client_of(ana)
    key = {"idempotency-key": "k"}
    doors.post(client, "all", {"message": "Adiós"}, **key)

    with nothing_happens():
        answer = doors.post(client, "all", {"message": "Hola", "confirmToken": "x"}, **key)

    assert told(answer) == (422, "4011")


# --- void -----------------------------------------------------------------------------------------
OTHERS = {
    "text": {"message": "Hola "},
    "type": {"type": "OTP"},
    "country": {"country": "MX"},
    "moment": {"scheduledAt": (timezone.now() + timedelta(days=1)).isoformat()},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS.keys())
def test_for_anything_else_it_is_void(
    client_of: ClientOf, ana: Member, other: dict[str, Any]
) -> None:
    client = client_of(ana)
    body = confirmed(client)

    assert refused(client, {**body, **other}) == VOID
    assert doors.post(client, "all", body).status_code == 201
    assert refused(client, {**body, **other}) == VOID


def test_another_door_is_another_audience(
    client_of: ClientOf, ana: Member, acme: Organization
) -> None:
    client = client_of(ana)
    body = confirmed(client)

    for door in ("contacts", "tags"):
        assert refused(client, {**body, **doors.aim(door, acme)}, door) == VOID


def test_other_numbers_are_another_audience_even_where_they_come_to_the_same_people(
    client_of: ClientOf, ana: Member
) -> None:
    client = client_of(ana)
    body = confirmed(client, "contacts", contacts=["+573001234567"])

    assert refused(client, {**body, "contacts": ["3001234567"]}, "contacts") == VOID


def test_another_member_cannot_use_it(client_of: ClientOf, ana: Member, sara: Member) -> None:
    owner, sender = client_of(ana), client_of(sara)
    body = confirmed(owner)

    assert refused(sender, body) == VOID
    doors.post(owner, "all", body)
    assert refused(sender, body) == VOID


def test_another_organizations_member_cannot_use_it(
    client_of: ClientOf, ana: Member, carla: Member, borealis: Organization
) -> None:
    contacts_in_order(borealis, "+573001234567", "+573001234568")
    grant(borealis, 10)

    assert refused(client_of(carla), confirmed(client_of(ana))) == VOID


def _a_contact_comes_in(acme: Organization) -> None:
    contacts_in_order(acme, "+573001234569")


def _a_contact_goes(acme: Organization) -> None:
    Contact.objects.filter(phone="+573001234568").update(status="BLOCKED")


def _one_goes_and_one_comes(acme: Organization) -> None:
    _a_contact_goes(acme)
    _a_contact_comes_in(acme)


def _it_becomes_dearer(_acme: Organization) -> None:
    Rate.objects.create(country="CO", credits_per_segment=2)


@pytest.mark.parametrize(
    "happens",
    [_a_contact_comes_in, _a_contact_goes, _one_goes_and_one_comes, _it_becomes_dearer],
)
def test_it_is_void_when_recipients_or_price_are_others_by_now(
    client_of: ClientOf, ana: Member, acme: Organization, happens: Callable[..., None]
) -> None:
    client = client_of(ana)
    body = confirmed(client)
    happens(acme)

    assert refused(client, body) == VOID
    assert doors.post(client, "all", confirmed(client)).status_code == 201


def test_who_would_be_skipped_anyhow_changes_nothing(
    client_of: ClientOf, ana: Member, acme: Organization
) -> None:
    client = client_of(ana)
    body = confirmed(client)
    contacts_in_order(acme, "x", "300 1234567", {"phone": "+573001234560", "status": "BLOCKED"})

    assert doors.post(client, "all", body).status_code == 201


@pytest.mark.parametrize(
    "token", ["", "x", "a:b:c", "é" * 100, "x" * 10_000, "eyJhbGciOiJIUzI1NiJ9.e30.x"]
)
def test_what_is_no_token_of_ours_is_void(client_of: ClientOf, ana: Member, token: str) -> None:
    assert refused(client_of(ana), {"message": "Hola", "confirmToken": token}) == VOID


def test_a_token_that_was_tampered_with_is_void(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)
    body = confirmed(client)
    seen, moment, signature = body["confirmToken"].split(":")

    for token in (f"{seen[:-2]}AA:{moment}:{signature}", f"{seen}:zzzzzz:{signature}"):
        assert refused(client, {**body, "confirmToken": token}) == VOID


def test_after_half_an_hour_it_is_void_and_its_answer_is_still_heard(
    client_of: ClientOf, ana: Member, settings: Settings
) -> None:
    settings.SIMPLE_JWT = {**settings.SIMPLE_JWT, "ACCESS_TOKEN_LIFETIME": timedelta(hours=2)}
    client = client_of(ana)
    used, unused = confirmed(client), confirmed(client)
    first = read(doors.post(client, "all", used))
    now = timezone.now()

    with time_machine.travel(now + timedelta(minutes=29), tick=False):
        client = client_of(ana)
        assert doors.post(client, "all", unused).status_code == 201
    with time_machine.travel(now + timedelta(minutes=31), tick=False):
        client = client_of(ana)
        assert read(doors.post(client, "all", used)) == first
    late = confirmed(client_of(ana))
    with time_machine.travel(now + timedelta(minutes=62), tick=False):
        assert refused(client_of(ana), late) == VOID


# --- its place among the refusals -----------------------------------------------------------------
def test_a_wrong_field_is_told_before_and_too_few_credits_after(
    client_of: ClientOf, ana: Member, acme: Organization
) -> None:
    client = client_of(ana)
    contacts_in_order(acme, *(f"+5730099{number:05}" for number in range(99)))
    body = confirmed(client)

    assert refused(client, {**body, "country": "XX"}) == (400, "4002")
    assert refused(client, {**body, "confirmToken": "x"}) == VOID
    assert refused(client, body) == (402, "3001")
    contacts_in_order(acme, "+573009999999")
    assert refused(client, body) == VOID


def test_where_not_even_one_can_be_paid_a_void_token_is_still_told_first(
    client_of: ClientOf, carla: Member, borealis: Organization
) -> None:
    contacts_in_order(borealis, "+525512345678")
    client = client_of(carla)
    body = confirmed(client)

    assert refused(client, body) == (402, "3001")
    contacts_in_order(borealis, "+525512345679")
    assert refused(client, body) == VOID


def test_a_refusal_does_not_use_it_up(
    client_of: ClientOf, carla: Member, borealis: Organization
) -> None:
    contacts_in_order(borealis, "+525512345678")
    client = client_of(carla)
    body = confirmed(client)

    assert refused(client, body) == (402, "3001")
    grant(borealis, 1)
    assert doors.post(client, "all", body).status_code == 201


# --- at once --------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_of_many_uses_at_once_one_is_carried_out(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)
    body = confirmed(client)
    start = threading.Barrier(8)
    outcomes: Counter[str] = Counter()
    ids: set[str] = set()

    def post() -> None:
        own = client_of(ana)
        patient()
        start.wait()
        try:
            answer = doors.post(own, "all", body)
            ids.add(read(answer)["queueId"])
            outcomes[answer.get("Idempotent-Replayed", "first")] += 1
        finally:
            connection.close()

    threads = [threading.Thread(target=post) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert outcomes == {"first": 1, "true": 7}
    assert ids == {str(Broadcast.objects.get().pk)}

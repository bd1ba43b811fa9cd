"""402 code 4020: what an organization may spend a day and a minute, at every door that sends."""

import json
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.doors.fields import written
from accounts.models import Member, Organization
from billing import caps, ledger
from billing.models import SpendingCap
from contacts.models import Tag
from messaging import run_control
from messaging.models import Broadcast
from tests.api.refusals import nothing_happens, told
from tests.messaging.factories import contacts_in_order, grant
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

PHONES = ["+573001234567", "+573001234568"]


@pytest.fixture
def ready(settings: Settings, acme: Organization) -> None:
    """Two contacts, a hundred credits, three of them a day."""
    settings.SMS_PROVIDERS = ["memory://local"]
    grant(acme, 100)
    contacts_in_order(acme, *PHONES)
    SpendingCap.objects.create(organization=acme, per_day=3)


def send(
    client: APIClient, text: str = "Hola", door: str = "all", key: str = "", **fields: Any
) -> Any:
    return client.post(
        f"/api/messages/sms/{door}",
        {"message": text, **fields},
        format="json",
        headers={"Idempotency-Key": key} if key else {},
    )


@pytest.mark.usefixtures("ready")
def test_S22_what_is_over_the_cap_is_402_and_says_when_it_resets(
    client_of: ClientOf, acme: Organization, ana: Member
) -> None:
    client = client_of(ana)
    first = send(client)

    with nothing_happens():
        second = send(client, "Otra vez")

    assert first.status_code == 201
    assert told(second) == (402, "4020")
    ends = [count.ends_at for count in caps.standing(acme.pk) if count.name == "day"]
    assert [second.json()["resetsAt"]] == [written(end) for end in ends]
    assert "spending cap" in second.json()["message"]
    assert caps.room(acme.pk) == 1


@pytest.mark.usefixtures("ready")
def test_what_costs_more_than_the_whole_cap_has_no_moment_to_wait_for(
    client_of: ClientOf, ana: Member
) -> None:
    client = client_of(ana)

    with nothing_happens():
        answer = send(client, "a" * 170)  # two segments each

    assert told(answer) == (402, "4020")
    assert answer.json()["resetsAt"] is None


@pytest.mark.usefixtures("ready")
@pytest.mark.parametrize("door", ["contacts", "tags"])
def test_every_door_that_sends_asks(
    client_of: ClientOf, acme: Organization, ana: Member, door: str
) -> None:
    tag = Tag.objects.create(organization=acme, name="all")
    tag.contacts.set(acme.contacts.all())
    aims: dict[str, dict[str, Any]] = {
        "contacts": {"contacts": PHONES},
        "tags": {"tagIds": [str(tag.pk)]},
    }
    to = aims[door]
    client = client_of(ana)
    send(client)

    assert told(send(client, "Otra vez", door, **to)) == (402, "4020")


@pytest.mark.usefixtures("ready")
def test_a_replay_counts_once_and_a_refusal_burns_no_key(
    client_of: ClientOf, acme: Organization, ana: Member
) -> None:
    client = client_of(ana)

    answers = [json.loads(send(client, key="one").getvalue()) for _ in range(3)]
    refused = send(client, "Otra vez", key="two")
    SpendingCap.objects.update(per_day=4)
    repeated = send(client, "Otra vez", key="two")

    assert answers[0] == answers[1] == answers[2]
    assert told(refused) == (402, "4020")
    assert repeated.status_code == 201
    assert SpendingCap.objects.get().taken_in_day == 4


@pytest.mark.usefixtures("ready")
def test_what_is_refused_for_its_credits_counts_nothing(
    client_of: ClientOf, acme: Organization, ana: Member
) -> None:
    ledger.reserve(organization_id=acme.pk, amount=99, reference="elsewhere")

    answer = send(client_of(ana))

    assert told(answer) == (402, "3001")
    assert caps.room(acme.pk) == 3


@pytest.mark.usefixtures("ready")
def test_what_is_canceled_is_not_given_back(
    client_of: ClientOf, acme: Organization, ana: Member
) -> None:
    client = client_of(ana)
    queue_id = json.loads(send(client).getvalue())["queueId"]

    client.post(f"/api/messages/queues/{queue_id}/cancel")
    run_control.cancel_bite()

    assert ledger.balance(acme.pk) == ledger.Balance(available=100)
    assert caps.room(acme.pk) == 1


@pytest.mark.usefixtures("ready")
def test_a_scheduled_one_counts_when_it_is_accepted(
    client_of: ClientOf, acme: Organization, ana: Member
) -> None:
    moment = (timezone.now() + timedelta(days=3)).isoformat()

    answer = send(client_of(ana), scheduledAt=moment)

    assert answer.status_code == 201
    assert caps.room(acme.pk) == 1


@pytest.mark.usefixtures("ready")
def test_a_dry_run_counts_nothing(client_of: ClientOf, acme: Organization, ana: Member) -> None:
    answer = client_of(ana).post(
        "/api/messages/sms/all?dryRun=true", {"message": "Hola"}, format="json"
    )

    assert answer.status_code == 200
    assert caps.room(acme.pk) == 3


@pytest.mark.usefixtures("ready")
def test_nobody_to_write_to_costs_nothing_of_it(
    client_of: ClientOf, acme: Organization, ana: Member
) -> None:
    acme.contacts.update(status="BLOCKED")
    SpendingCap.objects.update(per_day=1)

    assert send(client_of(ana)).status_code == 200
    assert caps.room(acme.pk) == 1


@pytest.mark.usefixtures("ready")
def test_another_organization_is_not_concerned(
    client_of: ClientOf, borealis: Organization, carla: Member, acme: Organization
) -> None:
    SpendingCap.objects.update(taken_in_day=3, day=timezone.now())
    grant(borealis, 10)
    contacts_in_order(borealis, *PHONES)

    assert send(client_of(carla)).status_code == 201
    assert Broadcast.objects.get().organization == borealis


@pytest.mark.usefixtures("ready")
def test_a_cap_a_minute_holds_beside_one_a_day(
    client_of: ClientOf, acme: Organization, ana: Member
) -> None:
    SpendingCap.objects.update(per_day=100, per_minute=2)
    client = client_of(ana)
    # A minute that does not end while this test runs: a clock that was set back.
    ahead = timezone.now().replace(second=0, microsecond=0) + timedelta(hours=1)
    SpendingCap.objects.update(minute=ahead, taken_in_minute=1)

    answer = send(client)

    assert told(answer) == (402, "4020")
    assert answer.json()["resetsAt"] == written(ahead + timedelta(minutes=1))
    assert "a minute" in answer.json()["message"]


@pytest.mark.usefixtures("ready")
def test_where_nothing_is_left_it_is_refused_before_anything_is_written(
    client_of: ClientOf, ana: Member
) -> None:
    client = client_of(ana)
    SpendingCap.objects.update(per_day=2)
    send(client)

    with nothing_happens(), CaptureQueriesContext(connection) as asked:
        answer = send(client, "Otra vez")

    assert told(answer) == (402, "4020")
    assert not [query for query in asked if "INSERT INTO" in query["sql"]]

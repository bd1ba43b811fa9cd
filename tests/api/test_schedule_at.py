"""scheduledAt on all three doors: accepted now, to be handed over at a moment to come."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from accounts.models import AuditEntry, Member, Organization
from billing import ledger
from messaging.models import Approval, Broadcast, Message
from tests.api import doors
from tests.api.doors import DOORS, read
from tests.api.refusals import fields, nothing_happens, told
from tests.messaging.factories import contacts_in_order, grant
from tests.people import ClientOf

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _ready(acme: Organization) -> None:
    contacts_in_order(acme, "+573001234567", "+573001234568")
    grant(acme, 100)


def moment(**ahead: float) -> str:
    return (timezone.now() + timedelta(**ahead)).isoformat()


# --- accepted -------------------------------------------------------------------------------------
@pytest.mark.parametrize("door", DOORS)
def test_it_is_accepted_now_and_handed_over_later(
    client_of: ClientOf,
    ana: Member,
    acme: Organization,
    door: str,
    django_capture_on_commit_callbacks: Any,
) -> None:
    client = client_of(ana)
    later = moment(days=1)
    body = {"message": "Hola", "scheduledAt": later, **doors.aim(door, acme)}

    with django_capture_on_commit_callbacks() as wakes:
        answer = doors.post(client, door, body)

    assert answer.status_code == 201
    sent = read(answer)
    assert len(sent["messages"]) == 2
    broadcast = Broadcast.objects.get()
    assert (broadcast.status, broadcast.queued, broadcast.started_at) == ("SCHEDULED", 2, None)
    assert broadcast.scheduled_at is not None
    assert broadcast.scheduled_at.isoformat() == later
    assert set(Message.objects.values_list("status", flat=True)) == {"QUEUED"}
    assert ledger.balance(acme.pk).reserved == 2
    assert wakes == []
    shown = client.get(f"/api/messages/queues/{sent['queueId']}").json()
    assert (shown["status"], shown["counts"]["scheduled"]) == ("SCHEDULED", 2)


@pytest.mark.parametrize(
    "written", ["2030-03-01T09:00:00-05:00", "2030-03-01T14:00:00Z", "2030-03-01T14:00:00.000Z"]
)
def test_a_moment_is_read_with_its_offset(client_of: ClientOf, ana: Member, written: str) -> None:
    with time_machine.travel("2030-02-01T00:00:00Z", tick=False):
        client = client_of(ana)
        assert (
            doors.post(client, "all", {"message": "Hola", "scheduledAt": written}).status_code
            == 201
        )

    scheduled_at = Broadcast.objects.get().scheduled_at
    assert scheduled_at is not None
    assert scheduled_at.isoformat() == "2030-03-01T14:00:00+00:00"


def test_null_is_at_once(client_of: ClientOf, ana: Member) -> None:
    body = {"message": "Hola", "scheduledAt": None}

    assert doors.post(client_of(ana), "all", body).status_code == 201
    assert Broadcast.objects.get().status == "RUNNING"


def test_ninety_days_ahead_is_taken(client_of: ClientOf, ana: Member) -> None:
    body = {"message": "Hola", "scheduledAt": moment(days=89, hours=23, minutes=59)}

    assert doors.post(client_of(ana), "all", body).status_code == 201


def test_with_nobody_it_is_over_at_once(
    client_of: ClientOf, carla: Member, borealis: Organization
) -> None:
    contacts_in_order(borealis, "x")

    answer = doors.post(client_of(carla), "all", {"message": "Hola", "scheduledAt": moment(days=1)})

    assert answer.status_code == 200
    assert Broadcast.objects.get().status == "COMPLETED"


def test_too_few_credits_are_402_at_the_acceptance(
    client_of: ClientOf, carla: Member, borealis: Organization
) -> None:
    contacts_in_order(borealis, "+525512345678")
    client = client_of(carla)

    with nothing_happens():
        answer = doors.post(client, "all", {"message": "Hola", "scheduledAt": moment(days=1)})

    assert told(answer) == (402, "3001")


# --- what is no moment ----------------------------------------------------------------------------
NO_MOMENTS = {
    "now": lambda: moment(seconds=-1),
    "past": lambda: moment(days=-1),
    "91 days ahead": lambda: moment(days=91),
    "a day": lambda: "2030-01-01",
    "no date": lambda: "2026-02-30T00:00:00Z",
    "words": lambda: "tomorrow",
    "empty": lambda: "",
    "a number": lambda: 1893456000,
    "a boolean": lambda: True,
    "the end of time": lambda: "9999-12-31T23:59:59-23:59",
    "year 1": lambda: "0001-01-01T00:00:00Z",
}


@pytest.mark.parametrize("dry", ["", "?dryRun=true"])
@pytest.mark.parametrize("name", NO_MOMENTS)
def test_any_other_moment_is_400(client_of: ClientOf, ana: Member, name: str, dry: str) -> None:
    client = client_of(ana)
    body = {"message": "Hola", "scheduledAt": NO_MOMENTS[name]()}

    with nothing_happens():
        answer = doors.post(client, "all", body, query=dry)

    assert (told(answer), fields(answer)) == ((400, "4000"), {"scheduledAt"})


# --- the same again -------------------------------------------------------------------------------
def test_another_moment_is_another_request_and_another_spelling_is_not(
    client_of: ClientOf, ana: Member
) -> None:
    with time_machine.travel("2030-02-01T00:00:00Z", tick=False):
        client = client_of(ana)

        def sent(at: str | None) -> Any:
            body = {"message": "Hola", "scheduledAt": at}
            return doors.post(client, "all", body, **{"idempotency-key": "k"})

        first = read(sent("2030-03-01T14:00:00Z"))

        assert read(sent("2030-03-01T09:00:00-05:00")) == first
        assert told(sent("2030-03-01T14:00:01Z")) == (422, "4011")
        assert told(sent(None)) == (422, "4011")


def test_it_is_answered_again_when_its_moment_has_passed(client_of: ClientOf, ana: Member) -> None:
    body = {"message": "Hola", "scheduledAt": moment(hours=1)}
    key = {"idempotency-key": "k"}
    first = read(doors.post(client_of(ana), "all", body, **key))

    with time_machine.travel(timezone.now() + timedelta(hours=2), tick=False):
        again = doors.post(client_of(ana), "all", body, **key)

    assert (again.status_code, read(again)) == (201, first)


def test_a_confirmation_holds_for_its_moment(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)
    body = {"message": "Hola", "scheduledAt": moment(hours=1)}
    token = {"confirmToken": read(doors.dry_run(client, "all", body))["confirmToken"]}

    assert told(doors.post(client, "all", {"message": "Hola", **token})) == (409, "4012")
    assert doors.post(client, "all", {**body, **token}).status_code == 201


# --- approval -------------------------------------------------------------------------------------
@pytest.mark.parametrize("scheduled", [False, True])
@pytest.mark.parametrize("door", DOORS)
def test_S27_above_the_approval_size_it_is_accepted_and_waits(
    client_of: ClientOf,
    ana: Member,
    acme: Organization,
    door: str,
    scheduled: bool,  # noqa: FBT001 - pytest passes it by name
    django_capture_on_commit_callbacks: Any,
) -> None:
    Organization.objects.filter(pk=acme.pk).update(approval_above=1)
    body = {"message": "Hola", **doors.aim(door, acme)}
    if scheduled:
        body["scheduledAt"] = moment(days=1)
    client = client_of(ana)

    with django_capture_on_commit_callbacks() as wakes:
        answer = doors.post(client, door, body)

    assert answer.status_code == 201
    assert len(read(answer)["messages"]) == 2
    broadcast = Broadcast.objects.get()
    assert (broadcast.status, broadcast.paused_because) == ("PAUSED", "approval")
    assert (broadcast.scheduled_at is not None) == scheduled
    approval = Approval.objects.get()
    assert (approval.broadcast, approval.decision, approval.member) == (broadcast, "", None)
    assert ledger.balance(acme.pk).reserved == 2
    assert wakes == []
    entry = AuditEntry.objects.get(act="broadcast.accepted")
    assert entry.details["status"] == "PAUSED"


def test_S27_up_to_the_approval_size_nobody_is_asked(
    client_of: ClientOf, ana: Member, acme: Organization
) -> None:
    Organization.objects.filter(pk=acme.pk).update(approval_above=2)
    contacts_in_order(acme, "x")  # who is skipped does not count

    assert doors.post(client_of(ana), "all", {"message": "Hola"}).status_code == 201

    assert Broadcast.objects.get().status == "RUNNING"
    assert not Approval.objects.exists()

"""Prefer: return=minimal on all three doors: the same answer without its messages."""

from typing import Any

import pytest

from accounts.models import Member, Organization
from messaging.models import Broadcast, Message
from tests.api import doors
from tests.api.doors import DOORS, read
from tests.messaging.factories import contacts_in_order, grant
from tests.people import ClientOf

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _ready(acme: Organization) -> None:
    contacts_in_order(acme, "+573001234567", "+573001234568")
    grant(acme, 100)


@pytest.mark.parametrize("door", DOORS)
def test_messages_is_empty_and_all_else_is_equal(
    client_of: ClientOf, ana: Member, acme: Organization, door: str
) -> None:
    body = {"message": "Hola", **doors.aim(door, acme)}

    answer = doors.post(client_of(ana), door, body, prefer="return=minimal")

    assert answer.status_code == 201
    assert answer["Content-Type"] == "application/json"
    assert answer["Preference-Applied"] == "return=minimal"
    assert read(answer) == {
        "queueId": str(Broadcast.objects.get().pk),
        "channel": "sms",
        "messages": [],
    }
    assert Message.objects.count() == 2


@pytest.mark.parametrize(
    "prefer",
    [
        "return=minimal",
        "Return = Minimal",
        'respond-async, return="minimal"; x=1',
        "return=minimal, return=representation",
    ],
)
def test_the_wish_is_read_as_the_standard_writes_it(
    client_of: ClientOf, ana: Member, prefer: str
) -> None:
    answer = doors.post(client_of(ana), "all", {"message": "Hola"}, prefer=prefer)

    assert (answer["Preference-Applied"], read(answer)["messages"]) == ("return=minimal", [])


@pytest.mark.parametrize(
    "prefer",
    ["", "return=representation", "minimal", "return=representation, return=minimal", "x" * 5_000],
)
def test_any_other_wish_changes_nothing(client_of: ClientOf, ana: Member, prefer: str) -> None:
    answer = doors.post(client_of(ana), "all", {"message": "Hola"}, prefer=prefer)

    assert "Preference-Applied" not in answer
    assert len(read(answer)["messages"]) == 2


def test_the_answer_again_is_as_long_as_is_wished_then(client_of: ClientOf, ana: Member) -> None:
    client = client_of(ana)

    def sent(**headers: str) -> Any:
        key = {"idempotency-key": "k"}
        return doors.post(client, "all", {"message": "Hola"}, **key, **headers)

    short, whole, again = sent(prefer="return=minimal"), sent(), sent(prefer="return=minimal")

    assert "Idempotent-Replayed" not in short
    assert (whole["Idempotent-Replayed"], again["Idempotent-Replayed"]) == ("true", "true")
    answers = [read(answer) for answer in (short, whole, again)]
    assert [len(answer["messages"]) for answer in answers] == [0, 2, 0]
    assert len({answer["queueId"] for answer in answers}) == 1


def test_nobody_is_answered_as_ever(
    client_of: ClientOf, carla: Member, borealis: Organization
) -> None:
    contacts_in_order(borealis, "x")

    answer = doors.post(client_of(carla), "all", {"message": "Hola"}, prefer="return=minimal")

    assert (answer.status_code, answer["Preference-Applied"]) == (200, "return=minimal")
    assert read(answer) == {"queueId": "", "channel": "sms", "messages": []}

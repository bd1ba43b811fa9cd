"""POST /api/messages/sms/all: who gets a message, what is answered, what is paid and queued."""

import base64
import json
import time
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.core.management import call_command
from django.db import OperationalError
from rest_framework.test import APIClient

from accounts.models import AuditEntry, Member, Organization
from billing import ledger
from billing.ledger import Balance
from billing.models import LedgerEntry, Rate
from config.celery import app as celery
from contacts.models import Contact
from messaging.answers import PAGE
from messaging.models import Broadcast, Message, Skip
from tests.api.outages import database_away
from tests.contacts.factories import SuppressionFactory
from tests.messaging.factories import contacts_in_order, grant, many_contacts
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/messages/sms/all"
HELLO = {"message": "Hola"}

Post = Callable[..., Any]


@pytest.fixture
def post(client_of: ClientOf, ana: Member) -> Post:
    """Send to all as Ana."""
    client = client_of(ana)

    def posted(body: dict[str, Any], **headers: str) -> Any:
        return client.post(URL, body, format="json", headers=headers)

    return posted


def read(answer: Any) -> Any:
    return json.loads(answer.getvalue())


def recipients(answer: Any) -> list[str]:
    return [message["recipient"] for message in read(answer)["messages"]]


# --- 201 ------------------------------------------------------------------------------------------
def test_it_answers_201_with_one_entry_a_message(post: Post, acme: Organization) -> None:
    contacts_in_order(acme, "+573001234567", "+12025550123", "+573007654321")
    grant(acme, 10)

    answer = post(HELLO)

    assert answer.status_code == 201
    assert answer["Content-Type"] == "application/json"
    body = read(answer)
    assert list(body) == ["queueId", "channel", "messages"]
    assert body["channel"] == "sms"
    assert [list(message) for message in body["messages"]] == [["id", "recipient"]] * 3
    assert [message["recipient"] for message in body["messages"]] == [
        "+573001234567",
        "+12025550123",
        "+573007654321",
    ]
    kept = {str(pk): number for pk, number in Message.objects.values_list("id", "recipient")}
    assert {message["id"]: message["recipient"] for message in body["messages"]} == kept


def test_the_queue_id_is_the_broadcast(post: Post, acme: Organization, ana: Member) -> None:
    contacts_in_order(acme, "+573001234567")
    grant(acme, 1)

    body = read(post(HELLO))

    broadcast = Broadcast.objects.get()
    assert body["queueId"] == str(broadcast.pk) == str(UUID(body["queueId"]))
    assert (broadcast.member, broadcast.organization) == (ana, acme)
    assert (broadcast.status, broadcast.kind, broadcast.text) == ("RUNNING", "SMS", "Hola")


def test_the_audit_keeps_who_sent_from_where_and_no_number(
    post: Post, acme: Organization, ana: Member
) -> None:
    contacts_in_order(acme, "+573001234567")
    grant(acme, 1)

    queue_id = read(post({"message": "Hola secreta"}))["queueId"]

    entry = AuditEntry.objects.get(act="broadcast.accepted")
    assert (entry.member_id, entry.organization, entry.address) == (ana.pk, acme, "127.0.0.1")
    assert queue_id in entry.subject
    assert not [word for word in ("3001234567", "secreta") if word in str(vars(entry))]


def test_a_sender_may_send(client_of: ClientOf, sara: Member, acme: Organization) -> None:
    contacts_in_order(acme, "+573001234567")
    grant(acme, 1)

    assert client_of(sara).post(URL, HELLO, format="json").status_code == 201


def test_only_the_own_organization_is_written_to(
    post: Post, acme: Organization, borealis: Organization
) -> None:
    contacts_in_order(acme, "+573001234567")
    contacts_in_order(borealis, "+525512345678")
    SuppressionFactory(organization=borealis, recipient="+573001234567")
    grant(acme, 5)
    grant(borealis, 5)

    assert recipients(post(HELLO)) == ["+573001234567"]
    assert ledger.balance(borealis.pk) == Balance(available=5)


def test_deleted_contacts_are_nobody(post: Post, acme: Organization) -> None:
    kept, deleted = contacts_in_order(acme, "+573001234567", "+573001234568")
    Contact.objects.filter(pk=deleted.pk).update(deleted_at=kept.created_at)
    grant(acme, 5)

    assert recipients(post(HELLO)) == ["+573001234567"]
    assert Broadcast.objects.get().audience == 1


# --- 200: nobody ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "contacts",
    [
        [],
        ["123", "abc", ""],
        [
            {"phone": "+573001234567", "status": "BLOCKED"},
            {"phone": "+573001234568", "status": "INACTIVE"},
        ],
    ],
    ids=["no contacts", "invalid", "blocked and inactive"],
)
@pytest.mark.parametrize("credits_granted", [0, 10])
def test_with_nobody_to_write_to_it_answers_200_and_keeps_the_broadcast(
    post: Post,
    client_of: ClientOf,
    ana: Member,
    acme: Organization,
    contacts: list[Any],
    credits_granted: int,
) -> None:
    contacts_in_order(acme, *contacts)
    if credits_granted:
        grant(acme, credits_granted)

    answer = post(HELLO)

    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    assert answer.content == b'{"queueId":"","channel":"sms","messages":[]}'
    broadcast = Broadcast.objects.get()
    assert (broadcast.status, broadcast.audience) == ("COMPLETED", len(contacts))
    assert broadcast.skips.count() == len(contacts)
    assert not LedgerEntry.objects.filter(kind="RESERVE").exists()
    assert ledger.balance(acme.pk) == Balance(available=credits_granted)
    found = client_of(ana).get(f"/api/messages/queues/{broadcast.pk}")
    assert (found.status_code, found.json()["status"]) == (200, "COMPLETED")
    assert (found.json()["progress"], found.json()["etaSeconds"]) == (1, 0)


# --- 402 and the price ----------------------------------------------------------------------------
def test_it_costs_segments_times_the_rate_of_each_country(post: Post, acme: Organization) -> None:
    Rate.objects.create(country="CO", credits_per_segment=3)
    contacts_in_order(acme, "+573001234567", "+573001234568", "+12025550123")
    grant(acme, 20)

    answer = post({"message": "a" * 161})

    assert answer.status_code == 201
    assert ledger.balance(acme.pk) == Balance(available=6, reserved=14)
    assert list(Message.objects.order_by("id").values_list("segments", "credits")) == [
        (2, 6),
        (2, 6),
        (2, 2),
    ]


@pytest.mark.parametrize("available", [0, 1, 2, 5])
def test_too_few_credits_are_402_and_nothing_is_written(
    post: Post, acme: Organization, available: int
) -> None:
    contacts_in_order(acme, "+573001234567", "+573001234568", "+573001234569", "123")
    if available:
        grant(acme, available)

    answer = post({"message": "a" * 161})

    assert answer.status_code == 402
    body = answer.json()
    assert (body["code"], body["error"]) == ("3001", "Payment Required")
    told = {name: body[name] for name in ("required", "available", "shortfall")}
    assert told == {"required": 6, "available": available, "shortfall": 6 - available}
    assert not Broadcast.objects.exists()
    assert not Message.objects.exists()
    assert not Skip.objects.exists()
    assert ledger.balance(acme.pk) == Balance(available=available)


def test_the_price_counts_who_is_read_with_the_country_of_the_request(
    post: Post, acme: Organization
) -> None:
    contacts_in_order(acme, "+573001234567", "5512345678", "5512345679")

    body = post({"message": "Hola", "country": "MX"}).json()

    assert (body["required"], body["available"], body["shortfall"]) == (3, 0, 3)


def test_exactly_enough_is_enough(post: Post, acme: Organization) -> None:
    contacts_in_order(acme, "+573001234567", "+573001234568")
    grant(acme, 2)

    assert post(HELLO).status_code == 201
    assert post(HELLO).status_code == 402
    assert ledger.balance(acme.pk) == Balance(available=0, reserved=2)


# --- the task -------------------------------------------------------------------------------------
def redis_of(broker: Any) -> Any:
    """The client of Redis beneath Celery's connection."""
    return broker.default_channel.client


@pytest.fixture
def queue(transactional_db: None) -> Callable[[], list[dict[str, Any]]]:
    """What lies in the broker's list `delivery`, the oldest first; empty to begin with."""

    def found() -> list[dict[str, Any]]:
        with celery.connection_for_read() as broker:
            waiting = redis_of(broker).lrange("delivery", 0, -1)
        return [json.loads(each) for each in reversed(waiting)]

    with celery.connection_for_read() as broker:
        redis_of(broker).delete("delivery")
    return found


def arguments(task: dict[str, Any]) -> list[Any]:
    positional, _named, _options = json.loads(base64.b64decode(task["body"]))
    return list(positional)


def test_the_queue_id_is_the_id_of_the_task(
    queue: Callable[[], list[dict[str, Any]]], post: Post, acme: Organization
) -> None:
    contacts_in_order(acme, "+573001234567", "+573001234568")
    grant(acme, 2)

    queue_id = read(post(HELLO))["queueId"]

    (task,) = queue()
    assert task["headers"]["id"] == queue_id
    assert task["headers"]["task"] == "messaging.drain"
    assert arguments(task) == [queue_id, 0]
    assert "573001234567" not in json.dumps(task)


def test_a_large_broadcast_wakes_each_lane_once(
    queue: Callable[[], list[dict[str, Any]]], post: Post, acme: Organization
) -> None:
    many_contacts(acme, 101)
    grant(acme, 101)

    queue_id = read(post(HELLO))["queueId"]

    first, second = queue()
    assert first["headers"]["id"] == queue_id
    assert second["headers"]["id"] != queue_id
    assert arguments(second) == [queue_id, 1]


def test_refused_or_empty_broadcasts_wake_nobody(
    queue: Callable[[], list[dict[str, Any]]], post: Post, acme: Organization
) -> None:
    assert post(HELLO).status_code == 200
    contacts_in_order(acme, "+573001234567")
    assert post(HELLO).status_code == 402
    assert post({"message": ""}).status_code == 400

    assert queue() == []


# --- long answers ---------------------------------------------------------------------------------
@pytest.mark.parametrize("count", [PAGE, PAGE + 1, 12_000])
def test_a_long_answer_has_every_message_in_the_order_of_the_contacts(
    post: Post, acme: Organization, count: int
) -> None:
    numbers = many_contacts(acme, count)
    grant(acme, count)
    started = time.monotonic()

    answer = post(HELLO)

    assert answer.streaming
    body = read(answer)
    # Contacts that came in a minute ago are unknown to PostgreSQL's planner: a bad plan is quadratic.
    assert time.monotonic() - started < 15
    assert [message["recipient"] for message in body["messages"]] == numbers
    assert len({message["id"] for message in body["messages"]}) == count
    assert ledger.balance(acme.pk) == Balance(available=0, reserved=count)


def test_an_answer_that_cannot_be_finished_is_broken_off(
    transactional_db: None, post: Post, acme: Organization
) -> None:
    many_contacts(acme, PAGE + 1)
    grant(acme, PAGE + 1)
    stream = iter(post(HELLO))
    sent = next(stream)

    with database_away(), pytest.raises(OperationalError):
        sent += b"".join(stream)

    assert sent.startswith(b'{"queueId":')
    assert Message.objects.count() == PAGE + 1


# --- what is no field of the request --------------------------------------------------------------
def test_S19_unknown_fields_change_nothing(
    post: Post, acme: Organization, borealis: Organization, carla: Member
) -> None:
    contacts_in_order(acme, "+573001234567")
    contacts_in_order(borealis, "+525512345678")
    grant(acme, 5)
    grant(borealis, 5)
    mine = str(uuid4())

    answer = post(
        {
            "message": "Hola",
            "organization": str(borealis.pk),
            "organizationId": str(borealis.pk),
            "organization_id": str(borealis.pk),
            "member": str(carla.pk),
            "createdBy": str(carla.pk),
            "id": mine,
            "queueId": mine,
            "status": "COMPLETED",
            "credits": 0,
            "segments": 0,
            "channel": "whatsapp",
            "text": "another",
            "kind": "FLASH",
            "contacts": ["+573009999999"],
            "recipients": ["+573009999999"],
            "messages": [{"id": mine, "recipient": "+573009999999"}],
            "__proto__": {"admin": True},
        }
    )

    assert answer.status_code == 201
    assert recipients(answer) == ["+573001234567"]
    broadcast = Broadcast.objects.get()
    assert str(broadcast.pk) != mine
    assert (broadcast.organization, broadcast.status) == (acme, "RUNNING")
    assert (broadcast.text, broadcast.kind, broadcast.credits) == ("Hola", "SMS", 1)
    assert ledger.balance(acme.pk) == Balance(available=4, reserved=1)
    assert ledger.balance(borealis.pk) == Balance(available=5)


def test_the_books_balance_after_all_of_it(post: Post, acme: Organization, capsys: Any) -> None:
    contacts_in_order(acme, "+573001234567", "+57 300 1234567", "123")
    grant(acme, 3)
    answers = [post(body).status_code for body in (HELLO, {"message": "a" * 500}, {}, HELLO)]

    call_command("audit_ledger", "--all")

    assert answers == [201, 402, 400, 201]
    assert "invariants hold" in capsys.readouterr().out


def test_anonymous_and_ana_share_no_answer(
    post: Post, anonymous: APIClient, acme: Organization
) -> None:
    contacts_in_order(acme, "+573001234567")
    grant(acme, 1)
    post(HELLO)

    assert anonymous.post(URL, HELLO, format="json").status_code == 401

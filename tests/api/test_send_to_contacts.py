"""POST /api/messages/sms/contacts: phone numbers in the order given, of contacts or of nobody."""

from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import AuditEntry, Member, Organization
from billing import ledger
from messaging.models import Broadcast, Message, Skip
from tests.api.doors import read
from tests.api.refusals import fields, nothing_happens, told
from tests.contacts.factories import SuppressionFactory
from tests.messaging.factories import contacts_in_order, grant
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/messages/sms/contacts"
NUMBER = "+573001234567"

Post = Callable[..., Any]


@pytest.fixture
def post(client_of: ClientOf, ana: Member, acme: Organization) -> Post:
    """Send "Hola" to these numbers as Ana, who has a hundred credits."""
    grant(acme, 100)
    client = client_of(ana)

    def posted(contacts: object, headers: dict[str, str] | None = None, **body: Any) -> Any:
        return client.post(
            URL, {"message": "Hola", "contacts": contacts, **body}, format="json", headers=headers
        )

    return posted


# --- 201 ------------------------------------------------------------------------------------------
def test_it_answers_201_in_the_order_given(post: Post, acme: Organization, ana: Member) -> None:
    contacts_in_order(acme, "+573001234567", "+573001234568")

    answer = post(["+573001234568", "+525512345678", "300 123 4567"])

    assert answer.status_code == 201
    assert answer["Content-Type"] == "application/json"
    body = read(answer)
    assert list(body) == ["queueId", "channel", "messages"]
    assert body["channel"] == "sms"
    assert [list(entry) for entry in body["messages"]] == [["id", "recipient"]] * 3
    assert [entry["recipient"] for entry in body["messages"]] == [
        "+573001234568",
        "+525512345678",
        "+573001234567",
    ]
    broadcast = Broadcast.objects.get()
    assert (str(broadcast.pk), broadcast.audience_kind) == (body["queueId"], "contacts")
    assert (broadcast.member, broadcast.organization, broadcast.status) == (ana, acme, "RUNNING")
    assert ledger.balance(acme.pk).reserved == 3


def test_a_contacts_number_is_linked_to_it_and_any_other_to_nobody(
    post: Post, acme: Organization
) -> None:
    (contact,) = contacts_in_order(acme, "300 123 4567")

    post(["+573001234567", "+573001234568"])

    assert dict(Message.objects.values_list("recipient", "contact_id")) == {
        "+573001234567": contact.pk,
        "+573001234568": None,
    }


def test_blocks_and_opt_outs_hold_and_every_number_is_accounted_for(
    post: Post, acme: Organization
) -> None:
    contacts_in_order(
        acme,
        {"phone": "+573001234561", "status": "BLOCKED"},
        {"phone": "+573001234562", "status": "INACTIVE"},
    )
    SuppressionFactory(organization=acme, recipient="+573001234563")

    answer = post(
        ["x", "3001234561", "3001234562", "3001234563", NUMBER, "3001234567", NUMBER, "1"]
    )

    assert [entry["recipient"] for entry in read(answer)["messages"]] == [NUMBER]
    broadcast = Broadcast.objects.get()
    assert (broadcast.audience, broadcast.messages_total, broadcast.skipped_total) == (8, 1, 7)
    assert broadcast.skipped_by_reason == {
        "invalid_number": 2,
        "contact_blocked": 1,
        "contact_inactive": 1,
        "opted_out": 1,
        "duplicate": 2,
    }
    assert Skip.objects.count() == 7


def test_a_national_number_is_read_with_the_country_of_the_request(post: Post) -> None:
    answer = post(["55 1234 5678", "+573001234567"], country="52")

    assert [entry["recipient"] for entry in read(answer)["messages"]] == [
        "+525512345678",
        NUMBER,
    ]


def test_a_thousand_numbers_are_taken(post: Post, acme: Organization) -> None:
    grant(acme, 1_000)
    numbers = [f"+57300{number:07}" for number in range(999, -1, -1)]

    answer = post(numbers)

    assert [entry["recipient"] for entry in read(answer)["messages"]] == numbers


def test_the_audit_keeps_no_number(post: Post) -> None:
    post([NUMBER])

    entry = AuditEntry.objects.get(act="broadcast.accepted")
    assert entry.details["audience"] == "contacts"
    assert NUMBER not in str(vars(entry))


# --- 200: nobody ----------------------------------------------------------------------------------
@pytest.mark.parametrize("contacts", [["abc"], ["", " "], ["+57300"], ["3001234561"]])
def test_with_nobody_to_write_to_it_answers_200_and_keeps_why(
    post: Post, acme: Organization, contacts: list[str]
) -> None:
    contacts_in_order(acme, {"phone": "+573001234561", "status": "BLOCKED"})

    answer = post(contacts)

    assert answer.status_code == 200
    assert read(answer) == {"queueId": "", "channel": "sms", "messages": []}
    broadcast = Broadcast.objects.get()
    assert (broadcast.status, broadcast.skipped_total) == ("COMPLETED", len(contacts))
    assert ledger.balance(acme.pk).reserved == 0


# --- the same again -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other", [[NUMBER, "+573001234568"], ["+573001234568"], ["3001234567"], [NUMBER, NUMBER]]
)
def test_other_numbers_under_the_key_are_422(post: Post, other: list[str]) -> None:
    post([NUMBER], {"idempotency-key": "k"})

    with nothing_happens():
        assert told(post(other, {"idempotency-key": "k"})) == (422, "4011")


def test_the_key_of_another_door_is_422(client_of: ClientOf, ana: Member, post: Post) -> None:
    post([NUMBER], {"idempotency-key": "k"})

    answer = client_of(ana).post(
        "/api/messages/sms/all",
        {"message": "Hola"},
        format="json",
        headers={"idempotency-key": "k"},
    )

    assert told(answer) == (422, "4011")


def test_B18_the_guard_holds_up_the_same_numbers_and_no_others(
    post: Post, acme: Organization
) -> None:
    Organization.objects.filter(pk=acme.pk).update(repeat_guard_seconds=60)
    post([NUMBER])

    assert told(post([NUMBER])) == (409, "4014")
    assert post(["+573001234568"]).status_code == 201


# --- refusals -------------------------------------------------------------------------------------
NO_CONTACTS = {
    "none": [],
    "too many": [NUMBER] * 1_001,
    "null": None,
    "a text": NUMBER,
    "an object": {"0": NUMBER},
    "a number": 573001234567,
    "a list of numbers": [573001234567],
    "a list with null": [NUMBER, None],
    "a list of lists": [[NUMBER]],
    "65 characters": ["3" * 65],
}


@pytest.mark.parametrize("contacts", NO_CONTACTS.values(), ids=NO_CONTACTS.keys())
def test_what_is_no_list_of_numbers_is_400(post: Post, contacts: object) -> None:
    with nothing_happens():
        answer = post(contacts)

    assert told(answer) == (400, "4000")
    assert {name.partition(".")[0] for name in fields(answer)} == {"contacts"}


def test_every_field_that_is_wrong_is_named(post: Post) -> None:
    answer = post([], message=" ", country="XX", type="MMS", scheduledAt="soon", confirmToken=1)

    assert fields(answer) == {
        "contacts",
        "message",
        "country",
        "type",
        "scheduledAt",
        "confirmToken",
    }


def test_402_tells_what_is_missing(post: Post, acme: Organization) -> None:
    answer = post([f"+57300{number:07}" for number in range(101)])

    assert told(answer) == (402, "3001")
    numbers = {name: answer.json()[name] for name in ("required", "available", "shortfall")}
    assert numbers == {"required": 101, "available": 100, "shortfall": 1}
    assert ledger.balance(acme.pk).reserved == 0


def test_S19_unknown_fields_change_nothing(post: Post, acme: Organization, ana: Member) -> None:
    post([NUMBER], organization="x", status="COMPLETED", credits=0, tagIds=["x"], id="x")

    broadcast = Broadcast.objects.get()
    assert (broadcast.organization, broadcast.member, broadcast.status) == (acme, ana, "RUNNING")
    assert ledger.balance(acme.pk).reserved == 1


def test_S16_another_organizations_contact_is_not_linked(
    post: Post, borealis: Organization
) -> None:
    contacts_in_order(borealis, {"phone": NUMBER, "status": "BLOCKED"})

    assert post([NUMBER]).status_code == 201
    assert Message.objects.get().contact_id is None

"""POST /api/messages/sms/all: who gets a message under which number, and who is skipped for which reason."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from accounts.models import Member, Organization
from billing import ledger
from billing.ledger import Balance
from contacts.models import Contact
from messaging.models import Broadcast, Message, Skip
from tests.contacts.factories import SuppressionFactory
from tests.messaging.factories import contacts_in_order, grant
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/messages/sms/all"
HELLO = {"message": "Hola"}

Post = Callable[[dict[str, Any]], Any]


@pytest.fixture
def post(client_of: ClientOf, ana: Member) -> Post:
    """Send to all as Ana."""
    client = client_of(ana)
    return lambda body: client.post(URL, body, format="json")


def recipients(answer: Any) -> list[str]:
    return [message["recipient"] for message in json.loads(answer.getvalue())["messages"]]


def skips(broadcast: Broadcast) -> dict[str, str]:
    """The number as given and the reason of everybody who got no message."""
    return dict(broadcast.skips.values_list("phone", "reason"))


# --- the worked example -------------------------------------------------------------------
@pytest.fixture
def example(acme: Organization) -> list[Contact]:
    """Ten contacts of an organization without a default country."""
    Organization.objects.filter(pk=acme.pk).update(country="")
    acme.refresh_from_db()
    SuppressionFactory(organization=acme, recipient="+573031234567")
    grant(acme, 10)
    return contacts_in_order(
        acme,
        "3001234567",
        "+57 300 123 4567",
        "0057 300 987 6543",
        {"phone": "300-765-4321", "country": "CO"},
        {"phone": "(202) 555-0123", "country": "US"},
        "123",
        {"phone": "3011234567", "status": "BLOCKED"},
        {"phone": "3021234567", "status": "INACTIVE"},
        "3031234567",
        "+57 900 000 0000x12",
    )


def test_the_worked_example_with_a_country(post: Post, example: list[Contact]) -> None:
    answer = post({"message": "Hola", "country": "CO"})

    assert answer.status_code == 201
    assert recipients(answer) == ["+573001234567", "+573009876543", "+573007654321", "+12025550123"]
    broadcast = Broadcast.objects.get()
    assert skips(broadcast) == {
        "+57 300 123 4567": "duplicate",
        "123": "invalid_number",
        "3011234567": "contact_blocked",
        "3021234567": "contact_inactive",
        "3031234567": "opted_out",
        "+57 900 000 0000x12": "invalid_number",
    }
    assert Skip.objects.get(reason="duplicate").duplicate_of == example[0]
    assert (broadcast.audience, broadcast.messages_total, broadcast.skipped_total) == (10, 4, 6)
    assert ledger.balance(broadcast.organization_id) == Balance(available=6, reserved=4)


def test_the_worked_example_without_a_country(post: Post, example: list[Contact]) -> None:
    answer = post(HELLO)

    assert recipients(answer) == ["+573001234567", "+573009876543", "+573007654321", "+12025550123"]
    of_the_first = Message.objects.get(recipient="+573001234567")
    assert of_the_first.contact == example[1]
    broadcast = Broadcast.objects.get()
    assert skips(broadcast) == {
        "3001234567": "invalid_number",
        "123": "invalid_number",
        "3011234567": "contact_blocked",
        "3021234567": "contact_inactive",
        "3031234567": "invalid_number",
        "+57 900 000 0000x12": "invalid_number",
    }
    assert broadcast.audience == 10


# --- which number a contact has -------------------------------------------------------------------
@pytest.mark.parametrize(
    ("contact", "country", "recipient"),
    [
        ({"phone": "+525512345678", "country": "US"}, "CO", "+525512345678"),
        ({"phone": "00525512345678", "country": "US"}, "CO", "+525512345678"),
        ({"phone": "2025550123", "country": "US"}, "CO", "+12025550123"),
        ({"phone": "5512345678"}, "MX", "+525512345678"),
        ({"phone": "3001234567"}, None, "+573001234567"),
        ({"phone": "3001234567"}, "US", "+573001234567"),  # no valid number there: the next rule
        ({"phone": "3001234567", "country": "US"}, None, "+573001234567"),
    ],
)
def test_the_first_rule_that_gives_a_valid_number_counts(
    post: Post, acme: Organization, contact: dict[str, str], country: str | None, recipient: str
) -> None:
    contacts_in_order(acme, contact)
    grant(acme, 1)

    assert recipients(post({"message": "Hola", "country": country})) == [recipient]


def test_a_duplicate_that_may_not_be_written_to_leaves_the_number_to_the_next(
    post: Post, acme: Organization
) -> None:
    _, second, _ = contacts_in_order(
        acme, {"phone": "+573001234567", "status": "BLOCKED"}, "+57 300 1234567", "3001234567"
    )
    grant(acme, 1)

    assert recipients(post(HELLO)) == ["+573001234567"]
    assert Message.objects.get().contact == second
    assert Skip.objects.get(reason="duplicate").duplicate_of == second


def test_countries_and_numbers_that_may_not_be_written_to_are_skipped(
    post: Post, acme: Organization
) -> None:
    Organization.objects.filter(pk=acme.pk).update(allowed_countries=["CO"])
    contacts_in_order(acme, "+525512345678", "+19002345678", "+8823421234", "+573001234567")
    grant(acme, 5)

    assert recipients(post(HELLO)) == ["+573001234567"]
    assert skips(Broadcast.objects.get()) == {
        "+525512345678": "unsupported_country",
        "+19002345678": "unsupported_number",
        "+8823421234": "unsupported_number",
    }

"""Each invariant of messages, counters and credits can be broken, and then says so."""

from collections.abc import Callable

import pytest
from django.db import connection

from accounts.models import Organization
from billing import invariants as books
from billing import ledger
from messaging import invariants
from messaging.models import Broadcast
from tests.messaging.conftest import Contacts, Send

# What breaks it, in SQL, and which invariants then fail.
BREAKS = {
    "a counter": (
        "UPDATE messaging_broadcast SET queued = queued - 1, sent = sent + 1",
        {"counters_equal_rows"},
    ),
    "a message's status": (
        "UPDATE messaging_message SET status = 'SENT' WHERE recipient = '+573001234567'",
        {"counters_equal_rows"},
    ),
    "a broadcast's credits": (
        "UPDATE messaging_broadcast SET credits = credits + 1",
        {"broadcast_credits_equal_rows"},
    ),
    "a broadcast's spent credits": (
        "UPDATE messaging_broadcast SET credits_captured = credits_captured + 1",
        {"broadcast_credits_equal_rows"},
    ),
    "a message's charge": (
        "UPDATE messaging_message SET charge = 'CAPTURED' WHERE recipient = '+573001234567'",
        {"broadcast_credits_equal_rows", "reserved_and_spent_are_in_messages"},
    ),
    "a message's price": (
        "UPDATE messaging_message SET credits = 5 WHERE recipient = '+573001234567'",
        {"broadcast_credits_equal_rows", "reserved_and_spent_are_in_messages"},
    ),
    "a skip that is gone": ("DELETE FROM messaging_skip", {"audience_equals_rows"}),
    "a message that is gone": (
        "DELETE FROM messaging_message",
        {
            "audience_equals_rows",
            "broadcast_credits_equal_rows",
            "counters_equal_rows",
            "reserved_and_spent_are_in_messages",
        },
    ),
    "a contact of another organization": (
        "UPDATE contacts_contact SET organization_id = %(other)s WHERE phone = '+573001234567'",
        {"one_organization_a_message"},
    ),
    "a message of another organization": (
        "UPDATE messaging_message SET organization_id = %(other)s WHERE recipient = '+573001234567'",
        {"one_organization_a_message", "reserved_and_spent_are_in_messages"},
    ),
}


@pytest.fixture
def broadcast(
    acme: Organization,
    contacts: Contacts,
    grant: Callable[[Organization, int], None],
    send: Send,
) -> Broadcast:
    """Two messages and a skip, paid for and whole."""
    grant(acme, 10)
    contacts("+573001234567", "+573001234568", "+57 300 123 4568")
    return send()


def broken() -> set[str]:
    return {found.invariant.name for found in books.check(thorough=True) if found.rows}


@pytest.mark.parametrize("what", BREAKS)
def test_what_was_changed_by_hand_is_found(
    broadcast: Broadcast, borealis: Organization, what: str
) -> None:
    statement, expected = BREAKS[what]
    assert broken() == set()

    with connection.cursor() as cursor:
        cursor.execute(statement, {"other": borealis.pk})

    assert broken() == expected


def test_credits_that_no_message_holds_are_found(acme: Organization, broadcast: Broadcast) -> None:
    ledger.reserve(organization_id=acme.pk, amount=1, reference="broadcast:another")

    assert broken() == {"reserved_and_spent_are_in_messages"}


def test_every_invariant_of_messaging_is_broken_above() -> None:
    found = set().union(*(expected for _statement, expected in BREAKS.values()))

    assert found == {invariant.name for invariant in invariants.EVERY}


def test_one_organization_is_asked_alone(broadcast: Broadcast, borealis: Organization) -> None:
    Broadcast.objects.update(credits=99)

    def rows(organization: Organization) -> list[str]:
        every = books.check(organization_id=organization.pk, thorough=True)
        return [row for found in every for row in found.rows]

    assert rows(borealis) == []
    assert rows(broadcast.organization) == [f"broadcast {broadcast.pk}"]

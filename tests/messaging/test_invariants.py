"""Each invariant of messages, counters and credits can be broken, and then says so."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import Organization
from billing import invariants as books
from billing import ledger
from billing.invariants import Invariant
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
        "UPDATE messaging_message SET status = 'SENDING' WHERE recipient = '+573001234567'",
        {"counters_equal_rows"},
    ),
    "a message that was sent and not charged": (
        "UPDATE messaging_message SET status = 'SENT' WHERE recipient = '+573001234567'",
        {"counters_equal_rows", "charge_fits_status"},
    ),
    "a broadcast's credits": (
        "UPDATE messaging_broadcast SET credits = credits + 1",
        {
            "broadcast_credits_equal_rows",
            "broadcast_credits_equal_entries",
            "account_equals_its_broadcasts",
        },
    ),
    "a broadcast's spent credits": (
        "UPDATE messaging_broadcast SET credits_captured = credits_captured + 1",
        {
            "broadcast_credits_equal_rows",
            "broadcast_credits_equal_entries",
            "account_equals_its_broadcasts",
        },
    ),
    "a message's charge": (
        "UPDATE messaging_message SET charge = 'CAPTURED' WHERE recipient = '+573001234567'",
        {
            "broadcast_credits_equal_rows",
            "charge_fits_status",
            "reserved_and_spent_are_in_messages",
        },
    ),
    "a message's price": (
        "UPDATE messaging_message SET credits = 5 WHERE recipient = '+573001234567'",
        {"broadcast_credits_equal_rows", "reserved_and_spent_are_in_messages"},
    ),
    "a message captured twice": (
        """
        INSERT INTO billing_ledgerentry (
          account_id, kind, amount, available_delta, reserved_delta, spent_delta, reference, note)
        SELECT account_id, 'CAPTURE', 1, 0, -1, 1, reference || ':again', '' FROM billing_ledgerentry
        WHERE kind = 'RESERVE';
        UPDATE billing_creditaccount SET reserved = reserved - 1, spent = spent + 1
        """,
        {
            "account_equals_its_broadcasts",
            "broadcast_credits_equal_entries",
            "reserved_and_spent_are_in_messages",
        },
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
    "a message of no broadcast": (
        """
        SET CONSTRAINTS ALL IMMEDIATE;
        ALTER TABLE messaging_message DISABLE TRIGGER messaging_message_has_broadcast;
        INSERT INTO messaging_message
          (organization_id, broadcast_id, recipient, country, segments, credits, status, charge)
        SELECT organization_id, uuidv7(), recipient, country, segments, credits, 'CANCELED', 'RELEASED'
        FROM messaging_message LIMIT 1
        """,
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

    assert broken() == {"account_equals_its_broadcasts", "reserved_and_spent_are_in_messages"}


def test_every_invariant_of_messaging_is_broken_above() -> None:
    found = set().union(*(expected for _statement, expected in BREAKS.values()))

    assert found == {invariant.name for invariant in invariants.EVERY}


def test_one_organization_is_asked_alone(broadcast: Broadcast, borealis: Organization) -> None:
    Broadcast.objects.update(queued=1, failed=1)

    def rows(organization: Organization) -> list[str]:
        every = books.check(organization_id=organization.pk, thorough=True)
        return [row for found in every for row in found.rows]

    assert rows(borealis) == []
    assert rows(broadcast.organization) == [
        f"broadcast {broadcast.pk}: (1,0,0,0,0,0,1,0), messages (2,0,0,0,0,0,0,0)"
    ]


# --- the chore ------------------------------------------------------------------------------------
def watched() -> set[str]:
    return {found.invariant.name for found in invariants.watch()}


def test_the_chore_is_silent_while_all_is_well(
    broadcast: Broadcast, caplog: pytest.LogCaptureFixture
) -> None:
    assert watched() == set()
    assert caplog.records == []


def test_the_chore_tells_what_is_broken_with_ids_alone(
    broadcast: Broadcast, caplog: pytest.LogCaptureFixture
) -> None:
    Broadcast.objects.update(queued=1, failed=1)

    assert watched() == {"counters_equal_rows"}

    (line,) = caplog.records
    assert (line.levelname, line.getMessage()) == ("ERROR", "invariant_broken")
    assert vars(line)["invariant"] == "counters_equal_rows"
    assert vars(line)["count"] == 1
    assert str(broadcast.pk) in vars(line)["rows"][0]
    for personal in ("573001234567", "Hola", "Acme"):
        assert personal not in str(vars(line))


def test_the_chore_asks_account_totals_and_broadcasts_that_moved(
    acme: Organization, broadcast: Broadcast
) -> None:
    ledger.reserve(organization_id=acme.pk, amount=1, reference="broadcast:another")
    Broadcast.objects.update(credits_released=1)

    assert watched() == {
        "account_equals_its_broadcasts",
        "broadcast_credits_equal_entries",
        "broadcast_credits_equal_rows",
    }


def test_what_stood_still_is_left_to_the_audit(broadcast: Broadcast) -> None:
    Broadcast.objects.update(
        queued=1,
        failed=1,
        status=Broadcast.Status.COMPLETED,
        updated_at=timezone.now() - timedelta(hours=2),
    )

    assert watched() == set()
    assert broken() == {"counters_equal_rows"}


def test_the_chore_reads_no_more_than_a_bite(
    broadcast: Broadcast, send: Send, monkeypatch: pytest.MonkeyPatch
) -> None:
    latest = send("Otra vez")
    Broadcast.objects.update(queued=1, failed=1)
    Broadcast.objects.filter(pk=latest.pk).update(updated_at=timezone.now() + timedelta(seconds=1))
    (counters,) = [one for one in invariants.EVERY if one.name == "counters_equal_rows"]
    bounded = replace(counters, sql=counters.sql.replace(f"< {invariants.BITE}", "< 2"))
    assert bounded.sql != counters.sql

    (all_of_it,) = books.check(among=[counters])
    (bite,) = books.check(among=[bounded])

    assert len(all_of_it.rows) == 2
    (row,) = bite.rows  # the one that moved last
    assert str(latest.pk) in row


def test_what_takes_the_chore_too_long_is_said_and_the_others_are_asked(
    broadcast: Broadcast, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    slow = Invariant(name="slow", says="it takes its time", sql="SELECT 'x' FROM pg_sleep(30)")
    monkeypatch.setattr(books, "EVERY", [slow, *books.EVERY])
    monkeypatch.setattr(invariants, "PATIENCE", "100ms")
    Broadcast.objects.update(queued=1, failed=1)

    assert watched() == {"counters_equal_rows"}
    assert [line.getMessage() for line in caplog.records] == [
        "invariant_not_asked",
        "invariant_broken",
    ]

"""What tests tell a sandbox carrier to do, and what they ask of the provider's state."""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest

from tests.faults.harness.houses import House
from tests.faults.harness.parts import Carrier
from tests.faults.harness.stack import Stack
from tests.faults.harness.waiting import until

BREAKER_OPEN = 3.0  # seconds, at a tenth
NAME = "twilio:AC00000000000000000000000000000000"  # the usual stack's only provider


class Rules:
    """The rules by which the carriers of a stack misbehave; see docs/sandbox.md."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    def add(self, *, carrier: int = 0, **rule: Any) -> None:
        """Add a rule: the first that fits a request counts."""
        self._call(self._stack.carriers[carrier], "POST", rule)

    def forget(self) -> None:
        """Have all carriers work as usual."""
        for carrier in self._stack.carriers:
            self._call(carrier, "DELETE", None)

    @staticmethod
    def _call(carrier: Carrier, method: str, rule: dict[str, Any] | None) -> None:
        request = urllib.request.Request(
            f"http://127.0.0.1:{carrier.port}/_sandbox/behaviour",
            data=None if rule is None else json.dumps(rule).encode(),
            headers={"Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310 - loopback
            answer.read()


@pytest.fixture
def rules(stack: Stack) -> Iterator[Rules]:
    """The rules of the common stack's carrier; they end with the test, and the breaker is closed."""
    made = Rules(stack)
    close_breakers(stack)
    yield made
    made.forget()
    close_breakers(stack)


def close_breakers(stack: Stack) -> None:
    stack.sql("DELETE FROM messaging_providerstate")


def is_open(stack: Stack, name: str = NAME) -> bool:
    """Return whether this credential's breaker is open."""
    rows = stack.sql(
        "SELECT open_until IS NOT NULL FROM messaging_providerstate WHERE name = %s", name
    )
    return bool(rows and rows[0][0])


def wait_until_open(stack: Stack, name: str = NAME) -> None:
    until(lambda: is_open(stack, name), 60, f"the breaker of {name} is open")


def wait_until_closed(stack: Stack, name: str = NAME) -> None:
    until(lambda: not is_open(stack, name), 60, f"the breaker of {name} is closed")


def numbers(house: House) -> list[str]:
    """Return the numbers of the organization's contacts, in the order in which they are sent to."""
    rows = house.stack.sql(
        "SELECT e164 FROM contacts_contact WHERE organization_id = %s ORDER BY created_at, id",
        house.organization.pk,
    )
    return [number for (number,) in rows]


def message(house: House, queue_id: UUID, number: str, *columns: str) -> tuple[Any, ...]:
    """Return columns of the message to this number."""
    [row] = house.stack.sql(
        f"SELECT {', '.join(columns)} FROM messaging_message"
        " WHERE broadcast_id = %s AND recipient = %s",
        queue_id,
        number,
    )
    return row


def count(house: House, queue_id: UUID, condition: str) -> int:
    """Return how many messages of the broadcast are so."""
    [(found,)] = house.stack.sql(
        f"SELECT count(*) FROM messaging_message m WHERE broadcast_id = %s AND ({condition})",
        queue_id,
    )
    return int(found)


_CONTACTS = """
INSERT INTO contacts_contact (organization_id, created_at, updated_at, name, last_name, email, phone,
  country, e164, region, read_as, refusal, status, origin)
SELECT %s, now() + i * interval '1 microsecond', now(), 'Contact', i::text, '', n, '', n, %s, '', '',
  'ACTIVE', 'IMPORT'
FROM (SELECT i, %s || (%s + i) AS n FROM generate_series(0, %s - 1) AS i) numbered
"""


def add_contacts_of(house: House, country: str, count: int) -> None:
    """Add contacts in Mexico (MX) or Guatemala (GT) with numbers that no other test has."""
    prefix, least = {"MX": ("+5255", 10_000_000), "GT": ("+502", 50_000_000)}[country]
    first = least + house.stack.numbers(count) % 1_000_000
    house.stack.sql(_CONTACTS, house.organization.pk, country, prefix, first, count)
    house.stack.sql("ANALYZE contacts_contact")

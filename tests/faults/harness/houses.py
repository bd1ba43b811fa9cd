"""An organization of one test alone: Ana, her contacts and credits, and what became of her messages."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from accounts import sessions
from accounts.models import Member, Organization
from accounts.roles import Role
from billing import ledger
from contacts.models import Contact
from tests.factories import PASSWORD, MemberFactory, OrganizationFactory, TermsAcceptanceFactory
from tests.faults.harness.http import Client
from tests.faults.harness.waiting import until

if TYPE_CHECKING:
    from tests.faults.harness.stack import Stack

WAITING = ("QUEUED", "SENDING")
_TOKEN_LIVES = 600.0  # seconds; it is valid for fifteen minutes

_CONTACTS = """
INSERT INTO contacts_contact (organization_id, created_at, updated_at, name, last_name, email, phone,
  country, e164, region, read_as, refusal, status, origin)
SELECT %s, now() + i * interval '1 microsecond', now(), 'Contact', i::text, '', '+57' || (%s + i), '',
  '+57' || (%s + i), 'CO', '', '', 'ACTIVE', 'IMPORT'
FROM generate_series(0, %s - 1) AS i
"""


@dataclass
class House:
    """One organization. `client` calls the API as Ana, its owner."""

    stack: Stack = field(repr=False)
    organization: Organization
    ana: Member
    client: Client = field(init=False, repr=False)

    @classmethod
    def make(cls, stack: Stack, *, name: str, amount: int, **fields: Any) -> House:
        """Make it, inside `stack.django()`."""
        organization = OrganizationFactory.create(name=name, **{"country": "CO", **fields})
        house = cls(stack, organization, _member(stack, organization, Role.OWNER))
        house.client = house.client_of(house.ana)
        if amount:
            ledger.grant(organization=organization, amount=amount, member=stack.root, note="test")
        return house

    def add_contacts(self, count: int) -> None:
        """Add contacts with Colombian mobile numbers that no other test has."""
        first = self.stack.numbers(count)
        self.stack.sql(_CONTACTS, self.organization.pk, first, first, count)
        self.stack.sql("ANALYZE contacts_contact")

    def add_contact(self, phone: str, **fields: Any) -> Contact:
        """Add one contact with this number, as a magic one of docs/sandbox.md."""
        with self.stack.django():
            return Contact.objects.create(organization=self.organization, phone=phone, **fields)

    def add_member(self, role: Role = Role.SENDER, *, accepts: bool = True) -> Member:
        with self.stack.django():
            return _member(self.stack, self.organization, role, accepts=accepts)

    def client_of(self, member: Member) -> Client:
        """Return a client that calls as this member, by tokens that are renewed in time."""
        return Client(self.stack, _Tokens(self.stack, member))

    def send(self, text: str = "Hola", **fields: Any) -> UUID:
        """Send to all contacts as Ana, be answered 201, and return the queue id."""
        answer = self.client.send(text, **fields)
        assert answer.status == 201, answer.text
        return answer.queue_id

    def resume_if_paused(self, queue_id: UUID) -> None:
        """Resume the broadcast, as an operator would, where half of its results were failures."""
        if self.broadcast(queue_id) == "PAUSED":
            answer = self.client.call("POST", f"/api/messages/queues/{queue_id}/resume")
            assert answer.status in {200, 409}, answer.text  # 409: it was, a moment ago

    # --- what became of it ------------------------------------------------------------------------

    def statuses(self, queue_id: UUID) -> Counter[str]:
        """Return how many messages of the broadcast have each status, from its rows."""
        rows = self.stack.sql(
            "SELECT status, count(*) FROM messaging_message WHERE broadcast_id = %s GROUP BY 1",
            queue_id,
        )
        return Counter(dict(rows))

    def broadcast(self, queue_id: UUID, column: str = "status") -> Any:
        """Return one column of the broadcast's row."""
        return self.stack.sql(f"SELECT {column} FROM messaging_broadcast WHERE id = %s", queue_id)[
            0
        ][0]

    def waiting(self, queue_id: UUID) -> int:
        statuses = self.statuses(queue_id)
        return sum(statuses[status] for status in WAITING)

    def wait_until_sent(self, queue_id: UUID, *, seconds: float = 120) -> Counter[str]:
        """Return the statuses as soon as nothing is QUEUED or SENDING any more."""
        until(lambda: not self.waiting(queue_id), seconds, f"broadcast {queue_id} is handed over")
        return self.statuses(queue_id)

    def wait_until_delivered(self, queue_id: UUID, *, seconds: float = 120) -> None:
        """Return as soon as every message is DELIVERED; UNKNOWN ones are, by their report."""

        def is_delivered() -> bool:
            statuses = self.statuses(queue_id)
            return set(statuses) == {"DELIVERED"}

        try:
            until(is_delivered, seconds)
        except AssertionError:
            raise AssertionError(f"not all delivered: {dict(self.statuses(queue_id))}") from None

    def accepted(self, queue_id: UUID) -> dict[UUID, int]:
        """Return how often the carrier accepted each message of the broadcast, 0 for the others."""
        seen = self.stack.accepted()
        rows = self.stack.sql("SELECT id FROM messaging_message WHERE broadcast_id = %s", queue_id)
        return {id_: seen[id_] for (id_,) in rows}

    def balance(self) -> tuple[int, int, int]:
        """Return available, reserved and spent."""
        return self.stack.sql(
            "SELECT available, reserved, spent FROM billing_creditaccount WHERE organization_id = %s",
            self.organization.pk,
        )[0]


def _member(
    stack: Stack, organization: Organization, role: Role, *, accepts: bool = True
) -> Member:
    name = f"ana-{uuid4().hex[:12]}"
    member = MemberFactory.create(
        email=f"{name}@acme.example", name=name, organization=organization, role=role
    )
    if accepts:
        TermsAcceptanceFactory.create(member=member, terms=stack.terms)
    return member


class _Tokens:
    """Access tokens of one member, made in this process: the stack believes them."""

    def __init__(self, stack: Stack, member: Member) -> None:
        self._stack, self._member = stack, member
        self._token, self._made_at = "", 0.0
        self._make: Callable[..., sessions.Tokens] = sessions.sign_in

    def __call__(self) -> str:
        if time.monotonic() - self._made_at > _TOKEN_LIVES or not self._token:
            with self._stack.django():
                self._token = self._make(email=self._member.email, password=PASSWORD).access
            self._made_at = time.monotonic()
        return self._token

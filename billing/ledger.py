"""Moving credits: reserve, capture, release. Nothing else writes a balance.

Every movement is one statement that locks the account, writes the entry unless it is there already,
and moves the balance by what was written. An equal movement waits for the lock, finds the entry and
moves nothing.
"""

from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from django.db import connection, transaction
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import audit, roles
from accounts.models import Member, Organization
from billing.models import CreditAccount, LedgerEntry

LARGEST_GRANT: Final = 10**12
LARGEST_AMOUNT: Final = 2**63 - 1  # what a bigint holds

# By how much one credit of each kind changes (available, reserved, spent).
_DIRECTIONS: Final = {
    LedgerEntry.Kind.GRANT: (1, 0, 0),
    LedgerEntry.Kind.RESERVE: (-1, 1, 0),
    LedgerEntry.Kind.CAPTURE: (0, -1, 1),
    LedgerEntry.Kind.RELEASE: (1, -1, 0),
    LedgerEntry.Kind.LATE_CAPTURE: (-1, 0, 1),
}

# The account is locked before the entry is written: two movements of one account can never wait for
# each other, and ON CONFLICT sees what the one before it committed, which a look-up would not. The
# new balance comes from the locked row: PostgreSQL checks constraints on what it computes from the
# statement's own snapshot, before it notices that the row has changed, and would refuse good movements.
_MOVE: Final = """
WITH account AS (
  SELECT id, available, reserved, spent FROM billing_creditaccount
  WHERE organization_id = %(organization_id)s
  FOR NO KEY UPDATE
), entry AS (
  INSERT INTO billing_ledgerentry (
    account_id, kind, amount, available_delta, reserved_delta, spent_delta,
    reference, member_id, note)
  SELECT id, %(kind)s, %(amount)s, %(available)s, %(reserved)s, %(spent)s,
    %(reference)s, %(member_id)s::uuid, %(note)s
  FROM account
  WHERE available + %(available)s >= 0 AND reserved + %(reserved)s >= 0
  ON CONFLICT (account_id, kind, reference) DO NOTHING
  RETURNING account_id, available_delta, reserved_delta, spent_delta
)
UPDATE billing_creditaccount AS moved
SET available = account.available + entry.available_delta,
  reserved = account.reserved + entry.reserved_delta,
  spent = account.spent + entry.spent_delta
FROM account JOIN entry ON entry.account_id = account.id WHERE moved.id = account.id
"""

# Asked only when nothing moved, with the account still locked: a repeat, or too few credits?
_WHY_NOT: Final = """
SELECT available, reserved, spent, EXISTS (
  SELECT FROM billing_ledgerentry AS entry
  WHERE entry.account_id = account.id AND entry.kind = %(kind)s AND entry.reference = %(reference)s)
FROM billing_creditaccount AS account WHERE organization_id = %(organization_id)s
"""


@dataclass(frozen=True, slots=True)
class Balance:
    """What one organization has, in credits: free to use, held for accepted messages, used up."""

    available: int = 0
    reserved: int = 0
    spent: int = 0

    @property
    def total(self) -> int:
        """Return what is not used up yet: available and reserved."""
        return self.available + self.reserved


class InsufficientCredits(Exception):
    """Fewer credits are available than this costs; nothing was moved."""

    def __init__(self, *, required: int, available: int) -> None:
        self.required = required
        self.available = available
        self.shortfall = required - available
        super().__init__(
            ngettext(
                "This costs %(required)d credit and %(available)d are available: %(shortfall)d"
                " is missing. Ask the platform for credits.",
                "This costs %(required)d credits and %(available)d are available: %(shortfall)d"
                " are missing. Ask the platform for credits, or write to fewer contacts.",
                required,
            )
            % {"required": required, "available": available, "shortfall": self.shortfall}
        )


class NotReserved(Exception):
    """More credits were to be captured or released than are reserved; nothing was moved."""


class InvalidAmount(Exception):
    """The amount is no whole number of credits within the limits; nothing was moved."""


def grant(
    *,
    organization: Organization,
    amount: int,
    member: Member,
    note: str,
    reference: str | None = None,
    address: str | None = None,
) -> bool:
    """Put credits into an organization's account, which is made when it is missing.

    Entry, balance and audit entry are written together or not at all. With a reference, a repeat
    moves nothing and returns False. Nobody grants to himself: who may grant has no organization.

    Raises:
        RoleMissing: the member is no active platform superuser.
        InvalidAmount: the amount is not a whole number from 1 to 10**12.
        ValueError: the reference is empty or too long to name a movement.
    """
    roles.require(member, roles.Right.GRANT_CREDITS)
    _require_amount(amount, at_least=1, at_most=LARGEST_GRANT)
    if reference is None:
        reference = f"grant:{uuid4()}"
    with transaction.atomic():
        CreditAccount.objects.bulk_create(
            [CreditAccount(organization=organization)], ignore_conflicts=True
        )
        moved = _move(
            organization_id=organization.pk,
            kind=LedgerEntry.Kind.GRANT,
            amount=amount,
            reference=reference,
            member=member,
            note=note,
        )
        if moved:
            audit.record(
                act="credits.granted",
                subject=organization,
                member=member,
                organization=organization,
                details={"amount": amount, "reference": reference},
                address=address,
            )
    return moved


def reserve(*, organization_id: UUID, amount: int, reference: str) -> bool:
    """Hold available credits for a broadcast that is being accepted.

    Call it in the transaction that writes the messages, last: the account stays locked until its
    end, and an exception takes the messages with it. A repeat moves nothing and returns False.

    Raises:
        InsufficientCredits: fewer are available; an organization without an account has none.
        InvalidAmount: the amount is less than 1 or no whole number.
        ValueError: the reference is empty or too long to name a movement.
    """
    _require_amount(amount, at_least=1)
    try:
        return _move(
            organization_id=organization_id,
            kind=LedgerEntry.Kind.RESERVE,
            amount=amount,
            reference=reference,
        )
    except _NotCovered as refusal:
        raise InsufficientCredits(required=amount, available=refusal.balance.available) from None


def capture(*, organization_id: UUID, amount: int, reference: str) -> bool:
    """Use up reserved credits: a provider took messages.

    Call it in the transaction that moves the messages, with the credits of the rows it moved. A
    repeat and an amount of 0 move nothing and return False.

    Raises:
        NotReserved: fewer are reserved, which only a fault of the caller can bring about.
        InvalidAmount: the amount is negative or no whole number.
        ValueError: the reference is empty or too long to name a movement.
    """
    return _settle(
        organization_id=organization_id,
        kind=LedgerEntry.Kind.CAPTURE,
        amount=amount,
        reference=reference,
    )


def release(*, organization_id: UUID, amount: int, reference: str) -> bool:
    """Give reserved credits back: messages will never be sent.

    Call it in the transaction that moves the messages, with the credits of the rows it moved. A
    repeat and an amount of 0 move nothing and return False.

    Raises:
        NotReserved: fewer are reserved, which only a fault of the caller can bring about.
        InvalidAmount: the amount is negative or no whole number.
        ValueError: the reference is empty or too long to name a movement.
    """
    return _settle(
        organization_id=organization_id,
        kind=LedgerEntry.Kind.RELEASE,
        amount=amount,
        reference=reference,
    )


def late_capture(*, organization_id: UUID, amount: int, reference: str) -> bool:
    """Use up available credits for messages that were released and delivered after all.

    True when the credits of this reference are used up, by this call or by an earlier one, which is
    not repeated; False when fewer are available, and then nothing moved.

    Raises:
        InvalidAmount: the amount is less than 1 or no whole number.
        ValueError: the reference is empty or too long to name a movement.
    """
    _require_amount(amount, at_least=1)
    try:
        _move(
            organization_id=organization_id,
            kind=LedgerEntry.Kind.LATE_CAPTURE,
            amount=amount,
            reference=reference,
        )
    except _NotCovered:
        return False
    return True


def balance(organization_id: UUID) -> Balance:
    """Return what an organization has; without an account, nothing of everything."""
    accounts = CreditAccount.objects.filter(organization_id=organization_id)
    columns = next(iter(accounts.values_list("available", "reserved", "spent")), ())
    return Balance(*columns)


class _NotCovered(Exception):
    """The column this movement takes from holds too little; the balance as seen under the lock."""

    def __init__(self, found: Balance) -> None:
        super().__init__()
        self.balance = found


def _settle(*, organization_id: UUID, kind: LedgerEntry.Kind, amount: int, reference: str) -> bool:
    _require_amount(amount, at_least=0)
    if amount == 0:
        return False
    try:
        return _move(organization_id=organization_id, kind=kind, amount=amount, reference=reference)
    except _NotCovered as refusal:
        raise NotReserved(
            f"{kind} {reference} of {amount} credits: only {refusal.balance.reserved} are reserved."
            " Run manage.py audit_ledger."
        ) from None


def _move(
    *,
    organization_id: UUID,
    kind: LedgerEntry.Kind,
    amount: int,
    reference: str,
    member: Member | None = None,
    note: str = "",
) -> bool:
    """Write the entry and move the balance; False when this very movement was made before.

    Raises:
        _NotCovered: the column the movement takes from holds too little; nothing was written.
    """
    _require_reference(reference)
    available, reserved, spent = (amount * direction for direction in _DIRECTIONS[kind])
    movement: dict[str, UUID | str | int | None] = {
        "organization_id": organization_id,
        "kind": kind.value,
        "amount": amount,
        "available": available,
        "reserved": reserved,
        "spent": spent,
        "reference": reference,
        "member_id": member.pk if member else None,
        "note": note,
    }
    # No savepoint: nothing raises in here but the database itself. Outside a transaction the block
    # keeps the account locked between the two statements, so that a refusal's numbers are true.
    with transaction.atomic(savepoint=False), connection.cursor() as cursor:
        cursor.execute(_MOVE, movement)
        if cursor.rowcount == 1:
            return True
        cursor.execute(_WHY_NOT, movement)
        row = cursor.fetchone()
    if row is None:
        raise _NotCovered(Balance())
    *columns, is_repeat = row
    if is_repeat:
        return False
    raise _NotCovered(Balance(*columns))


def _require_amount(amount: int, *, at_least: int, at_most: int = LARGEST_AMOUNT) -> None:
    # The type itself: True is an int to isinstance, and 1.0 would reach the database as a float.
    if type(amount) is not int or not at_least <= amount <= at_most:
        raise InvalidAmount(
            _("Give a whole number of credits from %(at_least)d to %(at_most)d.")
            % {"at_least": at_least, "at_most": at_most}
        )


def _require_reference(reference: str) -> None:
    longest = LedgerEntry._meta.get_field("reference").max_length or 0
    if not 1 <= len(reference) <= longest or "\0" in reference:
        raise ValueError(
            f"A reference has 1 to {longest} characters, not {len(reference)}, and no NUL."
        )

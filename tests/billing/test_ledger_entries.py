"""What the database itself refuses, whoever asks."""

from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection, transaction

from accounts.models import Member, Organization
from billing import ledger
from billing.ledger import Balance
from billing.models import CreditAccount, LedgerEntry

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE billing_ledgerentry SET amount = 1, available_delta = 1",
        "UPDATE billing_ledgerentry SET note = 'another'",
        "DELETE FROM billing_ledgerentry",
    ],
)
def test_B90_an_entry_is_neither_changed_nor_deleted_by_sql(
    acme: Organization, root: Member, statement: str
) -> None:
    ledger.grant(organization=acme, amount=10, member=root, note="")

    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        _execute(statement)

    entry = LedgerEntry.objects.get()
    assert (entry.amount, entry.note) == (10, "")


def test_an_entry_is_not_deleted_through_its_row(acme: Organization, root: Member) -> None:
    ledger.grant(organization=acme, amount=10, member=root, note="")

    with pytest.raises(IntegrityError, match="append-only"), transaction.atomic():
        LedgerEntry.objects.get().delete()


@pytest.mark.parametrize("column", ["available", "reserved", "spent"])
def test_no_column_of_an_account_goes_below_nothing(
    acme: Organization, root: Member, column: str
) -> None:
    ledger.grant(organization=acme, amount=10, member=root, note="")

    with (
        pytest.raises(IntegrityError, match="billing_account_not_negative"),
        transaction.atomic(),
    ):
        CreditAccount.objects.update(**{column: -1})


@pytest.mark.parametrize(
    ("constraint", "change"),
    [
        ("billing_entry_amount_positive", {"amount": 0, "available_delta": 0}),
        ("billing_entry_amount_positive", {"amount": -5, "available_delta": -5}),
        ("billing_entry_kind_ties_deltas", {"available_delta": 6}),
        ("billing_entry_kind_ties_deltas", {"reserved_delta": 1}),
        ("billing_entry_kind_ties_deltas", {"spent_delta": 1}),
        ("billing_entry_kind_ties_deltas", {"kind": "CAPTURE"}),
        ("billing_entry_kind_ties_deltas", {"kind": "GIFT"}),
        ("billing_entry_reference_given", {"reference": ""}),
        ("billing_entry_reference_once", {"reference": "grant:1"}),
    ],
)
def test_an_entry_that_says_something_else_than_its_kind_is_refused(
    acme: Organization, root: Member, constraint: str, change: dict[str, Any]
) -> None:
    ledger.grant(organization=acme, amount=10, member=root, note="", reference="grant:1")
    entry = {
        "account": CreditAccount.objects.get(),
        "kind": "GRANT",
        "amount": 5,
        "available_delta": 5,
        "reserved_delta": 0,
        "spent_delta": 0,
        "reference": "grant:2",
    }

    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        LedgerEntry.objects.create(**(entry | change))


def test_B96_a_balance_beyond_what_the_column_holds_moves_nothing(
    acme: Organization, root: Member
) -> None:
    ledger.grant(organization=acme, amount=1, member=root, note="")
    CreditAccount.objects.update(available=2**63 - 1)

    with pytest.raises(DataError), transaction.atomic():
        ledger.grant(organization=acme, amount=1, member=root, note="")

    assert ledger.balance(acme.pk) == Balance(available=2**63 - 1)
    assert LedgerEntry.objects.count() == 1


def test_an_organization_with_an_account_is_not_deleted(acme: Organization, root: Member) -> None:
    ledger.grant(organization=acme, amount=1, member=root, note="")

    with pytest.raises(IntegrityError, match="billing_creditaccount"), transaction.atomic():
        _execute("DELETE FROM accounts_organization; SET CONSTRAINTS ALL IMMEDIATE")


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)

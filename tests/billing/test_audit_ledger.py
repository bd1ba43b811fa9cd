"""The command that proves balances: what it says when all is well, and what it finds when not."""

import io
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.models import Member, Organization
from billing import invariants, ledger
from billing.invariants import Invariant
from billing.models import CreditAccount, LedgerEntry

pytestmark = pytest.mark.django_db


@pytest.fixture
def used(acme: Organization, root: Member) -> CreditAccount:
    """Acme's account after a broadcast: some credits captured, some released, some late."""
    ledger.grant(organization=acme, amount=100, member=root, note="")
    ledger.reserve(organization_id=acme.pk, amount=40, reference="broadcast:1")
    ledger.capture(organization_id=acme.pk, amount=20, reference="broadcast:1:a:1")
    ledger.release(organization_id=acme.pk, amount=15, reference="broadcast:1:a:2")
    ledger.late_capture(organization_id=acme.pk, amount=5, reference="broadcast:1:b:1")
    return CreditAccount.objects.get(organization=acme)


def test_a_clean_ledger_is_said_to_be_clean(acme: Organization, root: Member) -> None:
    ledger.grant(organization=acme, amount=100, member=root, note="")

    output = _audit("--all")

    for invariant in invariants.EVERY:
        assert f"{invariant.name}: OK" in output
    assert f"All {len(invariants.EVERY)} invariants hold." in output


def test_an_empty_installation_is_clean() -> None:
    assert "invariants hold" in _audit("--all")


def test_without_all_only_the_quick_invariants_are_asked(used: CreditAccount) -> None:
    output = _fault()  # these credits belong to no broadcast, which messaging notices

    assert "account_equals_its_entries: OK" in output
    assert "account_not_negative: OK" in output
    assert "settled_within_what_was_reserved" not in output


@pytest.mark.parametrize("column", ["available", "reserved", "spent"])
def test_a_balance_that_was_changed_by_hand_is_found(used: CreditAccount, column: str) -> None:
    CreditAccount.objects.filter(pk=used.pk).update(**{column: 77})

    fault = _fault()

    assert "account_equals_its_entries: 1 AT FAULT" in fault
    assert f"account {used.pk}" in fault
    assert "77" in fault


@pytest.mark.usefixtures("writable_ledger")
def test_B90_an_entry_that_was_deleted_is_found(used: CreditAccount) -> None:
    LedgerEntry.objects.get(reference="broadcast:1:a:1").delete()

    fault = _fault()

    assert "account_equals_its_entries: 1 AT FAULT" in fault
    assert f"account {used.pk}" in fault


@pytest.mark.usefixtures("writable_ledger")
def test_B90_an_entry_that_was_changed_is_found(used: CreditAccount) -> None:
    LedgerEntry.objects.filter(kind="GRANT").update(amount=101, available_delta=101)

    assert "account_equals_its_entries: 1 AT FAULT" in _fault()


@pytest.mark.usefixtures("writable_ledger")
def test_more_captured_than_reserved_is_found(used: CreditAccount) -> None:
    # Sums agree, but the broadcast's own movements do not.
    LedgerEntry.objects.filter(reference="broadcast:1").update(reference="broadcast:2")

    fault = _fault("--all")

    assert "account_equals_its_entries: OK" in fault
    assert "settled_within_what_was_reserved: 1 AT FAULT" in fault
    assert "broadcast:1 reserved 0, captured 20, released 15" in fault


@pytest.mark.usefixtures("writable_ledger")
def test_more_captured_late_than_released_is_found(used: CreditAccount) -> None:
    LedgerEntry.objects.filter(kind="LATE_CAPTURE").update(reference="broadcast:3:b:1")

    assert "broadcast:3 reserved 0, captured 0, released 0, captured late 5" in _fault("--all")


@pytest.mark.parametrize(
    ("constraint", "change", "invariant"),
    [
        (
            "billing_account_not_negative",
            "UPDATE billing_creditaccount SET spent = -1",
            "account_not_negative",
        ),
        (
            "billing_entry_kind_ties_deltas",
            "UPDATE billing_ledgerentry SET spent_delta = 3 WHERE kind = 'GRANT'",
            "entry_kind_ties_deltas",
        ),
        (
            "billing_entry_reference_once",
            """
            INSERT INTO billing_ledgerentry (
              account_id, kind, amount, available_delta, reserved_delta, spent_delta,
              reference, note)
            SELECT account_id, kind, amount, available_delta, reserved_delta, spent_delta,
              reference, note
            FROM billing_ledgerentry WHERE kind = 'CAPTURE'
            """,
            "movement_made_once",
        ),
    ],
)
@pytest.mark.usefixtures("writable_ledger")
def test_what_a_lost_constraint_let_in_is_found(
    used: CreditAccount, constraint: str, change: str, invariant: str
) -> None:
    table = "billing_creditaccount" if "account" in invariant else "billing_ledgerentry"
    _execute(f"ALTER TABLE {table} DROP CONSTRAINT {constraint}")
    _execute(change)

    assert f"{invariant}: 1 AT FAULT" in _fault("--all")


def test_one_organization_is_audited_alone(
    used: CreditAccount, borealis: Organization, root: Member
) -> None:
    ledger.grant(organization=borealis, amount=1, member=root, note="")
    CreditAccount.objects.filter(pk=used.pk).update(available=0)

    assert "invariants hold" in _audit("--all", f"--organization={borealis.pk}")
    assert "1 AT FAULT" in _fault(f"--organization={used.organization_id}")


def test_an_organization_that_does_not_exist_is_said_to_be_missing() -> None:
    unknown = uuid4()

    with pytest.raises(CommandError, match=str(unknown)):
        _audit(f"--organization={unknown}")


def test_another_app_adds_what_it_knows(
    acme: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = Invariant(
        name="nobody_is_called_acme",
        says="no organization is called Acme",
        sql="SELECT 'organization ' || id FROM accounts_organization"
        " WHERE %(organization_id)s::uuid IS NULL OR id = %(organization_id)s",
    )
    monkeypatch.setattr(invariants, "EVERY", [*invariants.EVERY, added])

    fault = _fault()

    assert "nobody_is_called_acme: 1 AT FAULT" in fault
    assert f"organization {acme.pk}" in fault


@pytest.fixture
def writable_ledger(used: CreditAccount) -> None:
    """The ledger without its trigger until the test is rolled back: somebody with every right."""
    _execute(
        "SET CONSTRAINTS ALL IMMEDIATE"
    )  # else PostgreSQL refuses to alter the table meanwhile
    _execute("ALTER TABLE billing_ledgerentry DISABLE TRIGGER USER")


def _audit(*arguments: str) -> str:
    output = io.StringIO()
    call_command("audit_ledger", *arguments, stdout=output)
    return output.getvalue()


def _fault(*arguments: str) -> str:
    """Run the command, see it fail, and return what it printed."""
    output = io.StringIO()
    with pytest.raises(CommandError, match="broken"):
        call_command("audit_ledger", *arguments, stdout=output)
    return output.getvalue()


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)

"""B90: whoever has the serving role's password cannot change what was, and cannot hide that he tried."""

import subprocess
import sys
from typing import Final

import pytest

from config import embedded
from tests.faults.harness import postgres_programs
from tests.faults.harness.stack import ROOT, Stack

CHANGES: Final = [
    "UPDATE billing_ledgerentry SET amount = 1, available_delta = 1",
    "UPDATE billing_ledgerentry SET note = 'a gift'",
    "DELETE FROM billing_ledgerentry",
    "TRUNCATE billing_ledgerentry",
    "TRUNCATE billing_creditaccount CASCADE",
    "ALTER TABLE billing_ledgerentry DISABLE TRIGGER ALL",
    "DROP TRIGGER billing_ledger_append_only ON billing_ledgerentry",
    "DROP TABLE billing_ledgerentry CASCADE",
    "SET session_replication_role = replica",
    "UPDATE accounts_auditentry SET act = 'nothing'",
    "DELETE FROM accounts_auditentry",
]


def psql(stack: Stack, statement: str, *, role: str) -> subprocess.CompletedProcess[str]:
    return postgres_programs.run(
        stack.layout, "psql", "--set=ON_ERROR_STOP=1", "--command", statement, role=role
    )


@pytest.mark.parametrize("statement", CHANGES)
def test_B90_the_serving_role_changes_no_entry(stack: Stack, statement: str) -> None:
    house = stack.house(contacts=1)
    house.wait_until_delivered(house.send("Hola"))
    entries = "SELECT count(*), sum(amount) FROM billing_ledgerentry"
    before = stack.sql(entries)

    refused = psql(stack, statement, role=embedded.SERVING)

    assert refused.returncode != 0, refused.stdout
    for word in ("append-only", "permission denied", "must be owner"):
        if word in refused.stderr:
            break
    else:
        pytest.fail(refused.stderr)
    assert stack.sql(entries) == before


def test_B90_a_balance_or_an_entry_changed_behind_the_verbs_is_found(stack: Stack) -> None:
    """By the serving role, which may write a balance, and by a superuser, who may do anything."""
    house = stack.house(contacts=1)
    house.wait_until_delivered(house.send("Hola"))
    organization = house.organization.pk
    account = f"WHERE organization_id = '{organization}'"
    assert "hold" in stack.manage("audit_ledger", "--all", "--organization", str(organization))

    gift = (
        "SET session_replication_role = replica; UPDATE billing_ledgerentry SET amount = amount + 7,"
        " available_delta = available_delta + 7 WHERE kind = 'GRANT' AND account_id ="
        f" (SELECT id FROM billing_creditaccount {account})"
    )
    more = f"UPDATE billing_creditaccount SET available = available + 1000 {account}"
    for role, there in ((embedded.SERVING, more), ("postgres", gift)):
        back = there.replace("+ ", "- ")
        assert psql(stack, there, role=role).returncode == 0
        try:
            found = subprocess.run(
                [sys.executable, "manage.py", "audit_ledger", "--organization", str(organization)],
                cwd=ROOT,
                env=stack.web.environment,
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
        finally:
            assert psql(stack, back, role=role).returncode == 0

        assert found.returncode == 1
        assert "account_equals_its_entries: 1 AT FAULT" in found.stdout
        assert "PREGON_SENDING=off" in found.stderr  # what to do

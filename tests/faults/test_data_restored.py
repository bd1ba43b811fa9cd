"""B91: a backup from before the end. What was sent after it was made is not sent again.

The steps are those of docs/reliability.md, in its order and with its commands.
"""

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest

from config import embedded
from tests.faults.harness import postgres_programs
from tests.faults.harness.houses import House
from tests.faults.harness.stack import USUAL_PROVIDER, Stack
from tests.faults.harness.waiting import until

CONTACTS = 60


def dump(stack: Stack, file: Path) -> None:
    done = postgres_programs.run(
        stack.layout, "pg_dump", "--format=custom", f"--file={file}", role="postgres"
    )
    assert done.returncode == 0, done.stderr


def restore(stack: Stack, file: Path) -> None:
    """Throw the database away and make it anew from the dump, as PostgreSQL's superuser."""
    for statement in (
        f"DROP DATABASE {embedded.DATABASE} WITH (FORCE)",
        f"CREATE DATABASE {embedded.DATABASE} OWNER {embedded.OWNER}",
    ):
        done = postgres_programs.run(
            stack.layout, "psql", "--command", statement, role="postgres", database="postgres"
        )
        assert done.returncode == 0, done.stderr
    done = postgres_programs.run(
        stack.layout, "pg_restore", "--exit-on-error", str(file), role="postgres"
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture
def crashed(
    own_stack: Callable[..., Stack], tmp_path: Path
) -> tuple[Stack, House, dict[str, UUID], dict[UUID, int]]:
    """A house that is thrown back to the middle of a broadcast, all parts down, the carrier up.

    `done` ended before the backup, `half` was half sent then and was delivered whole, `lost` came after.
    """
    slow = f"{USUAL_PROVIDER}&rate=15"
    stack = own_stack(SMS_PROVIDERS=slow)
    house = stack.house(contacts=CONTACTS)
    ids = {"done": house.send("Primero")}
    house.wait_until_delivered(ids["done"])
    ids["half"] = house.send("Segundo")
    until(lambda: house.statuses(ids["half"])["QUEUED"] < CONTACTS - 10, 60, "some are sent")
    stack.worker.pause()  # however long the dump takes, it is made in the middle
    stack.dispatcher.pause()
    dump(stack, tmp_path / "pregon.dump")
    stack.worker.resume()
    stack.dispatcher.resume()
    house.wait_until_delivered(ids["half"])
    ids["lost"] = house.send("Tercero")
    house.wait_until_delivered(ids["lost"])
    before = dict(stack.accepted())
    for part in stack.ours:
        part.end()

    restore(stack, tmp_path / "pregon.dump")

    assert 0 < house.waiting(ids["half"]) < CONTACTS  # it would send these again
    return stack, house, ids, before


def test_B91_a_restored_backup_doubles_nothing(
    crashed: tuple[Stack, House, dict[str, UUID], dict[UUID, int]],
) -> None:
    stack, house, ids, before = crashed
    waited = house.waiting(ids["half"])
    off = {"PREGON_SENDING": "off"}

    # Before anything else runs: nothing that may have left is sent again.
    assert f"{ids['half']}: {waited} messages" in stack.manage("after_restore", **off)
    assert f"{waited} messages are UNKNOWN now" in stack.manage("after_restore", "--yes", **off)
    assert "invariants hold" in stack.manage("audit_ledger", "--all", **off)

    # All parts, sending switched off: everything can be looked at, nothing is handed over.
    for part in stack.ours:
        part.restart(PREGON_SENDING="off")
    stack.wait_until_ready()
    while_off = house.send("Cuarto")
    stack.may_wait.add(while_off)
    # Those of unknown outcome are looked up at the carrier meanwhile, which sends nothing.
    assert house.client.queue(ids["half"]).json["counts"]["queued"] == 0
    assert house.client.queue(ids["lost"]).status == 404  # its people got it; nobody here knows
    assert dict(stack.accepted()) == before

    # And on again: what is new goes out, what was doubted does not.
    for part in stack.ours:
        part.restart()
    stack.wait_until_ready()
    stack.may_wait.clear()
    house.wait_until_delivered(while_off)
    accepted = stack.accepted()
    assert set(accepted.values()) == {1}
    assert len(accepted) == len(before) + CONTACTS
    statuses = house.statuses(ids["half"])
    assert set(statuses) <= {"DELIVERED", "SENT", "UNKNOWN"}
    assert house.waiting(ids["half"]) == 0

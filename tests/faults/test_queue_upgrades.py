"""B51: the next release's migration is applied while this release's processes run."""

import ast
from pathlib import Path

import pytest

from tests.faults.harness.waiting import until
from tests.house import source

ADDITIONS = (
    "ALTER TABLE messaging_message ADD COLUMN next_release text",
    "ALTER TABLE messaging_broadcast ADD COLUMN next_release integer NOT NULL DEFAULT 0",
    "CREATE INDEX CONCURRENTLY next_release_index ON messaging_message (next_release)",
    "CREATE TABLE next_release (id uuid PRIMARY KEY DEFAULT uuidv7())",
)
TAKEN_BACK = (
    "DROP TABLE next_release",
    "DROP INDEX next_release_index",
    "ALTER TABLE messaging_broadcast DROP COLUMN next_release",
    "ALTER TABLE messaging_message DROP COLUMN next_release",
)


def test_B51_old_workers_go_on_while_the_schema_grows(stack):
    house = stack.house(contacts=3_000)
    queue_id = house.send("Hola")
    until(lambda: house.broadcast(queue_id, "sent") + house.broadcast(queue_id, "delivered"), 60)
    pid = stack.worker.pid
    try:
        for addition in ADDITIONS:
            stack.sql(addition)

        house.wait_until_delivered(queue_id)
        house.wait_until_delivered(house.send("Hola"))
    finally:
        for statement in TAKEN_BACK:
            stack.sql(statement)
    assert stack.worker.pid == pid


# The first two came before anybody ran this.
LATER_MIGRATIONS = [
    path
    for path in source.files()
    if path.parent.name == "migrations" and path.stem[:4].isdigit() and int(path.stem[:4]) > 2
]

# What a process of the release before, which still runs, does not survive.
TAKES_AWAY = {"RemoveField", "RenameField", "DeleteModel", "RenameModel", "AlterModelTable"}


def taking_away(tree: ast.Module) -> list[str]:
    return [
        node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in TAKES_AWAY
    ]


@pytest.mark.parametrize("path", LATER_MIGRATIONS, ids=str)
def test_B51_a_migration_only_adds(path: Path) -> None:
    assert taking_away(source.tree(path)) == []


@pytest.mark.parametrize("operation", sorted(TAKES_AWAY))
def test_B51_a_migration_that_takes_away_is_found(operation: str) -> None:
    assert taking_away(ast.parse(f"migrations.{operation}('a', 'b')")) == [operation]

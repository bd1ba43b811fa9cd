"""B07 to B11, B25, B26: PostgreSQL is away, full, busy or only reads while a broadcast is accepted."""

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from uuid import UUID

import psycopg
import pytest

from config import embedded
from tests.faults.harness.houses import House
from tests.faults.harness.http import Answer
from tests.faults.harness.stack import Stack
from tests.faults.harness.waiting import until
from tests.faults.test_accepting_processes import (
    broadcasts,
    is_repeated,
    nothing_was_kept,
    sign_in,
)
from tests.figures import figure

HANGING = 30.0  # seconds that nobody may wait for a database that is not there
AT_ONCE = 16  # requests: as many as the web has threads, each with a connection of its own


def is_unavailable(answer: Answer) -> bool:
    """The contract's 503, which says when to try again."""
    return (answer.status, answer.code) == (503, "4090") and int(answer.headers["retry-after"]) > 0


# --- away -----------------------------------------------------------------------------------------
def test_B07_a_database_that_refuses_is_503_at_every_address(stack: Stack) -> None:
    house = stack.house(contacts=5)
    queue_id = house.send("Hola")
    house.wait_until_delivered(queue_id)
    with stack.web.database.refuse():
        answers = [
            house.client.send("Hola"),
            house.client.queue(queue_id),
            house.client.call("POST", f"/api/messages/queues/{queue_id}/cancel"),
            stack.client().call("POST", "/api/auth/sign-in", {"email": "a@b.c", "password": "x"}),
        ]
        ready = stack.client().call("GET", "/readyz")

    assert all(is_unavailable(answer) for answer in answers), [answer.text for answer in answers]
    assert max(answer.seconds for answer in answers) < HANGING
    assert ready.status == 503
    assert house.client.queue(queue_id).status == 200
    assert broadcasts(stack, house) == [queue_id]


def test_B07_a_database_that_was_stopped_is_503_and_serves_when_it_is_back(stack: Stack) -> None:
    house = stack.house(contacts=5)
    sign_in(house)
    first = house.send("Hola")
    with ThreadPoolExecutor(AT_ONCE) as pool:
        before = list(pool.map(house.client.queue, [first] * 2 * AT_ONCE))
        stack.stop_postgresql()
        meanwhile = list(pool.map(house.client.send, ["Hola"] * AT_ONCE))
        stack.start_postgresql()
        came_back = time.monotonic()
        until(lambda: house.client.send("Hola", key="k").status == 201, 60, "it serves again")
        after = list(pool.map(house.client.queue, [first] * 2 * AT_ONCE))
        took = time.monotonic() - came_back

    figure("B07: PostgreSQL is back, seconds until all threads serve", f"{took:.1f}", "below 5")
    assert {answer.status for answer in before} == {200}
    assert all(is_unavailable(answer) for answer in meanwhile)
    assert {answer.status for answer in after} == {200}
    assert took < HANGING  # on a machine that others use too
    for queue_id in broadcasts(stack, house):
        house.wait_until_delivered(queue_id)
    assert len(broadcasts(stack, house)) == 2


def test_B08_a_restart_during_the_insert_keeps_nothing_and_the_next_request_works(
    stack: Stack,
) -> None:
    house, other = stack.house(contacts=100_000), stack.house(contacts=5)
    with ThreadPoolExecutor() as pool, stack.web.held_at("api.after_insert", word="Hola") as wait:
        asked = pool.submit(partial(house.client.send, "Hola", key="k"))
        wait()
        stack.restart_postgresql()
    answer = asked.result()

    assert is_unavailable(answer), answer.text
    nothing_was_kept(stack, house)
    other.wait_until_delivered(other.send("Hola"))
    stack.sql("DELETE FROM contacts_contact WHERE organization_id = %s", house.organization.pk)


# --- lost during COMMIT ---------------------------------------------------------------------------
@pytest.mark.parametrize("is_committed", [True, False], ids=["committed", "not committed"])
def test_B09_a_connection_lost_during_the_commit_is_unknown_and_the_key_tells(
    stack: Stack,
    is_committed: bool,  # noqa: FBT001 - a parameter of pytest's
) -> None:
    house = stack.house(contacts=20)
    wire = stack.web.database
    answer = _lost_during_commit(stack, house, is_committed=is_committed, key="k")

    assert wire.taken == 1
    wire.heal()
    assert is_unavailable(answer)
    assert "unknown" in answer.json["message"]
    assert "same Idempotency-Key" in answer.json["message"]
    again = house.client.send("Hola", key="k")
    assert (again.status, is_repeated(again)) == (201, is_committed)
    assert broadcasts(stack, house) == [again.queue_id]
    house.wait_until_delivered(again.queue_id)
    assert set(house.accepted(again.queue_id).values()) == {1}


def test_B09_without_a_key_the_answer_says_to_look_first(stack: Stack) -> None:
    house = stack.house(contacts=5)

    answer = _lost_during_commit(stack, house, is_committed=True, key=None)

    stack.web.database.heal()
    assert (answer.status, answer.code) == (503, "4090")
    assert "retry-after" not in answer.headers
    assert "Look in the admin" in answer.json["message"]
    (queue_id,) = broadcasts(stack, house)
    house.wait_until_delivered(queue_id)


def _lost_during_commit(
    stack: Stack, house: House, *, is_committed: bool, key: str | None
) -> Answer:
    with ThreadPoolExecutor() as pool, stack.web.held_at("api.before_commit", word="Hola") as wait:
        asked = pool.submit(partial(house.client.send, "Hola", key=key))
        wait()
        wire = stack.web.database
        (wire.drop_reply if is_committed else wire.cut_request)(times=1, containing=b"COMMIT")
    return asked.result()


# --- full and busy --------------------------------------------------------------------------------
def test_B10_a_database_without_free_connections_is_503_at_once(stack: Stack) -> None:
    house = stack.house(contacts=5)
    sign_in(house)
    with contextlib.ExitStack() as taken:
        for _ in range(3):
            until(
                lambda: _is_refused(stack, house, taken), 120, "no connection was left to the web"
            )
    until(lambda: house.client.send("Hola otra vez").status == 201, 60, "it serves again")


def _is_refused(stack: Stack, house: House, taken: contextlib.ExitStack) -> bool:
    """Leave the web without a connection, unless one that a worker gave back went to it first."""
    _take_every_connection(stack, taken)
    ended = stack.web.children()
    for child in ended:
        os.kill(child, signal.SIGKILL)  # the next ones have no connection yet
    until(lambda: len({*stack.web.children()} - {*ended}) == 2, 60, "the web's processes are new")
    _take_every_connection(stack, taken)
    answer = house.client.send("Adiós")
    assert answer.status == 201 or is_unavailable(answer), answer.text
    assert answer.seconds < HANGING
    return answer.status == 503


def _take_every_connection(stack: Stack, taken: contextlib.ExitStack) -> None:
    with contextlib.suppress(psycopg.OperationalError):
        while True:
            connection = psycopg.connect(
                host=str(stack.layout.run), user=embedded.SERVING, dbname=embedded.DATABASE
            )
            taken.enter_context(contextlib.closing(connection))


def test_B11_an_account_that_somebody_holds_is_503_after_the_lock_timeout(stack: Stack) -> None:
    house = stack.house(contacts=5)
    with contextlib.closing(stack.connect()) as other, other.transaction():
        other.execute(
            "SELECT 1 FROM billing_creditaccount WHERE organization_id = %s FOR UPDATE",
            [house.organization.pk],
        )
        answer = house.client.send("Hola", key="k")

    assert is_unavailable(answer), answer.text
    assert 4 < answer.seconds < HANGING
    nothing_was_kept(stack, house)
    assert house.client.send("Hola", key="k").status == 201


@contextlib.contextmanager
def _files_of_at_most(stack: Stack, size: int) -> Iterator[None]:
    """Restart PostgreSQL so that no file can grow beyond this size: a disk that is full for large tables."""
    usual = stack.postgresql.program
    limited = ("sh", "-c", f'ulimit -S -f {size // 512} && exec "$@"', "sh", *usual.argv)
    stack.postgresql.end()  # in order: a recovery would have to write large files
    stack.postgresql.program = replace(usual, argv=limited)
    try:
        stack.start_postgresql()
        yield
    finally:
        stack.postgresql.program = usual
        stack.restart_postgresql()


def test_B25_a_table_that_cannot_grow_is_503_and_nothing_is_partial(stack: Stack) -> None:
    house, other = stack.house(contacts=100_000), stack.house(contacts=5)
    sign_in(house)
    (size,) = stack.sql("SELECT pg_relation_size('messaging_message')")[0]
    segment = 16 * 2**20  # the log's files have this size from the beginning
    with _files_of_at_most(stack, max(segment, size + 2**20)):
        until(lambda: house.client.queue(UUID(int=0)).status == 404, 60, "the web reads")
        answer = house.client.send("Hola", key="k")

    assert is_unavailable(answer), answer.text
    assert "could not extend file" in stack.web.log()
    nothing_was_kept(stack, house)
    other.wait_until_delivered(other.send("Hola"))
    stack.sql("DELETE FROM contacts_contact WHERE organization_id = %s", house.organization.pk)


def test_B26_a_database_that_only_reads_refuses_what_writes_and_answers_the_rest(
    stack: Stack,
) -> None:
    house = stack.house(contacts=5)
    queue_id = house.send("Hola")
    house.wait_until_delivered(queue_id)
    _only_reads(stack, "on")
    try:
        written = [
            house.client.send("Hola", key="k"),
            house.client.send("Hola"),
            house.client.call("POST", f"/api/messages/queues/{queue_id}/cancel"),
        ]
        read = house.client.queue(queue_id)
    finally:
        _only_reads(stack, "off")

    assert read.status == 200
    assert read.json["counts"]["delivered"] == 5
    refused, repeated, control = written
    assert is_unavailable(refused), refused.text
    assert is_unavailable(repeated), repeated.text
    assert control.status in {409, 503}  # it had ended: whichever is found first
    assert broadcasts(stack, house) == [queue_id]
    assert house.client.send("Hola", key="k").status == 201


def _only_reads(stack: Stack, value: str) -> None:
    """Let every session only read, as after a failover, from its next transaction on."""
    with contextlib.closing(stack.connect()) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        connection.execute("SELECT pg_reload_conf()")

    def is_so() -> bool:
        return stack.sql("SHOW default_transaction_read_only") == [(value,)]

    until(is_so, 30, "PostgreSQL read its settings")

"""B01 to B06, B22, B23: a broadcast is accepted whole or not at all, whoever dies or is away meanwhile."""

import os
import signal
import statistics
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import UUID

import pytest

from tests.faults.harness.houses import House
from tests.faults.harness.http import Answer
from tests.faults.harness.stack import Stack
from tests.faults.harness.waiting import until
from tests.figures import figure

PATIENCE = 3.5  # seconds within which a caller hears, whatever the broker does


def broadcasts(stack: Stack, house: House) -> list[UUID]:
    rows = stack.sql(
        "SELECT id FROM messaging_broadcast WHERE organization_id = %s", house.organization.pk
    )
    return [queue_id for (queue_id,) in rows]


def nothing_was_kept(stack: Stack, house: House) -> None:
    """Wait until PostgreSQL noticed that its client is gone; then nothing of the request is there."""
    until(lambda: not broadcasts(stack, house), 30, "what was not committed is gone")
    tables = ("messaging_message", "messaging_idempotencykey", "accounts_auditentry")
    acts = {"accounts_auditentry": " AND act LIKE 'broadcast.%%'"}
    for table in tables:
        query = f"SELECT count(*) FROM {table} WHERE organization_id = %s{acts.get(table, '')}"
        assert stack.sql(query, house.organization.pk) == [(0,)], table
    assert house.balance()[1:] == (0, 0)


def sign_in(house: House) -> None:
    """Have Ana's token made now: it is kept for later calls."""
    assert house.client.queue(UUID(int=0)).status == 404


def is_repeated(answer: Answer) -> bool:
    return answer.headers.get("idempotent-replayed") == "true"


# --- the broker -----------------------------------------------------------------------------------
def test_B01_a_broker_that_refuses_holds_nobody_up_and_messages_are_delivered_without_it(
    stack: Stack,
) -> None:
    house = stack.house(contacts=50)
    with stack.broker.refuse():
        answers = [house.client.send("Hola") for _ in range(3)]

        for answer in answers:
            house.wait_until_delivered(answer.queue_id)

    figure("B01: 201 while the broker refuses, seconds", _slowest(answers), str(PATIENCE))
    assert [answer.status for answer in answers] == [201] * 3
    assert statistics.median(answer.seconds for answer in answers) <= PATIENCE


def test_B02_a_broker_that_never_answers_holds_nobody_up_and_uses_no_threads_up(
    stack: Stack,
) -> None:
    house = stack.house(contacts=2)
    sign_in(house)
    with stack.broker.blackhole(), ThreadPoolExecutor(50) as pool:
        asked = [pool.submit(house.client.send, f"Hola {number}") for number in range(50)]
        seen = [stack.client().call("GET", "/healthz") for _ in range(5)]
        answers = [each.result() for each in asked]

        house.wait_until_delivered(answers[0].queue_id)

    figure("B02: 50 at once while the broker is silent, slowest, seconds", _slowest(answers), "3.5")
    assert [answer.status for answer in answers] == [201] * 50
    assert statistics.median(answer.seconds for answer in answers) <= PATIENCE * 2
    assert all(answer.status == 200 for answer in seen)


def _slowest(answers: list[Answer]) -> str:
    return f"{max(answer.seconds for answer in answers):.2f}"


# --- the web's own end ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    "point",
    [
        pytest.param("api.after_commit", id="B03"),
        pytest.param("api.after_publish", id="B04"),
    ],
)
def test_B03_B04_killed_after_the_commit_the_retry_gets_the_answer_and_each_is_sent_once(
    stack: Stack, point: str
) -> None:
    house = stack.house(contacts=20)
    stack.web.arm(point, "kill")

    broken = house.client.send("Hola", key="k", may_break=True)
    first = house.client.send("Hola", key="k")
    second = house.client.send("Hola", key="k")

    assert broken.broke
    assert stack.web.has_hit(point)
    assert (first.status, second.status) == (201, 201)
    assert is_repeated(first)
    assert is_repeated(second)
    assert first.json == second.json
    assert broadcasts(stack, house) == [first.queue_id]
    house.wait_until_delivered(first.queue_id)
    accepted = house.accepted(first.queue_id)
    assert accepted == dict.fromkeys(accepted, 1)
    assert len(accepted) == 20


@pytest.mark.parametrize("point", ["api.after_insert", "api.after_reserve", "api.before_commit"])
def test_B05_killed_before_the_commit_nothing_is_kept_and_the_retry_is_carried_out(
    stack: Stack, point: str
) -> None:
    house = stack.house(contacts=20)
    stack.web.arm(point, "kill")

    broken = house.client.send("Hola", key="k", may_break=True)
    assert broken.broke
    nothing_was_kept(stack, house)
    again = house.client.send("Hola", key="k")

    assert again.status == 201
    assert not is_repeated(again)
    house.wait_until_delivered(again.queue_id)
    assert broadcasts(stack, house) == [again.queue_id]


def test_B06_what_fails_after_the_commit_fails_nobody(stack: Stack) -> None:
    house = stack.house(contacts=20)
    stack.web.arm("api.after_commit", "raise")

    answer = house.client.send("Hola")

    assert stack.web.has_hit("api.after_commit")
    assert answer.status == 201
    assert len(answer.json["messages"]) == 20
    house.wait_until_delivered(answer.queue_id)


# --- the client's end, and the server's ------------------------------------------------------------
def test_B22_a_client_that_hangs_up_meanwhile_finds_all_of_it_by_its_key(stack: Stack) -> None:
    house = stack.house(contacts=20)
    sign_in(house)
    with ThreadPoolExecutor() as pool, stack.web.held_at("api.after_insert", word="Hola") as wait:
        asked = pool.submit(
            partial(
                house.client.call,
                "POST",
                "/api/messages/sms/all",
                {"message": "Hola"},
                headers={"Idempotency-Key": "k"},
                may_break=True,
                timeout=3,
            )
        )
        wait()
        assert asked.result().broke  # it did not wait any longer

    answer = house.client.send("Hola", key="k")

    assert answer.status == 201
    assert is_repeated(answer)
    assert broadcasts(stack, house) == [answer.queue_id]
    house.wait_until_delivered(answer.queue_id)


def test_B23_web_processes_killed_meanwhile_leave_nothing_and_the_next_serve(stack: Stack) -> None:
    house = stack.house(contacts=20)
    with ThreadPoolExecutor() as pool, stack.web.held_at("api.after_reserve", word="Hola") as wait:
        asked = pool.submit(partial(house.client.send, "Hola", key="k", may_break=True))
        wait()
        for child in stack.web.children():
            os.kill(child, signal.SIGKILL)
        assert asked.result().broke
    nothing_was_kept(stack, house)
    until(stack.client().is_alive, 60, "the web serves again")

    answer = house.client.send("Hola", key="k")

    assert (answer.status, is_repeated(answer)) == (201, False)
    house.wait_until_delivered(answer.queue_id)


@pytest.mark.parametrize("point", ["api.after_insert", "api.after_commit"])
def test_B23_a_web_process_that_hangs_is_replaced(stack: Stack, point: str) -> None:
    """Gunicorn's own timeout: whoever does not beat for so long is killed."""
    house = stack.house(contacts=20)
    stack.web.restart(GUNICORN_CMD_ARGS="--timeout=10")
    until(stack.client().is_alive, 60, "the web serves")
    stack.web.arm(point, "stop")

    broken = house.client.send("Hola", key="k", may_break=True)
    assert broken.broke
    assert stack.web.has_hit(point)
    if point == "api.after_insert":
        nothing_was_kept(stack, house)
    answer = house.client.send("Hola", key="k")

    assert answer.status == 201
    assert is_repeated(answer) == (point == "api.after_commit")
    house.wait_until_delivered(answer.queue_id)
    assert broadcasts(stack, house) == [answer.queue_id]

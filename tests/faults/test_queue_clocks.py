"""B46: processes whose clocks are an hour wrong, in either direction."""

import time
from pathlib import Path

import jwt
import pytest
from django.conf import settings

from tests.faults.harness import skew
from tests.faults.harness.waiting import until

FOLDER = Path(next(iter(skew.__path__)))
HOUR = 3_600


@pytest.mark.parametrize("hours", [-1, 1])
def test_B46_leases_and_reports_do_not_ask_the_clock_of_a_process(stack, hours):
    """Worker and dispatcher are an hour wrong, each in its own direction."""
    house = stack.house(contacts=300)
    for part, skewed in ((stack.worker, hours), (stack.dispatcher, -hours)):
        part.restart(PYTHONPATH=str(FOLDER), CLOCK_SKEW=str(skewed * HOUR))
    until(lambda: len(stack.worker.children()) >= stack.pool, 90)
    stack.worker.arm("worker.after_mark", "kill")

    queue_id = house.send("Hola")

    # What was marked as a process died is given up by PostgreSQL's clock, neither at once nor in an hour.
    statuses = house.wait_until_sent(queue_id)
    assert stack.worker.has_hit("worker.after_mark")
    assert statuses["UNKNOWN"] <= 25
    until(lambda: house.statuses(queue_id)["DELIVERED"] >= 275, 120)
    [(least, most)] = stack.sql(
        "SELECT min(claimed_at - created_at), max(now() - sent_at) FROM messaging_message"
        " WHERE broadcast_id = %s",
        queue_id,
    )
    assert least.total_seconds() >= 0
    assert most.total_seconds() < HOUR


@pytest.mark.parametrize(
    ("seconds_ago", "status"),
    [(5, 404), (120, 401)],
    ids=["within the half minute of leeway", "past it"],
)
def test_B46_a_token_of_a_web_whose_clock_is_a_little_ahead_is_taken(stack, seconds_ago, status):
    house = stack.house()
    claims = jwt.decode(house.client.token, options={"verify_signature": False})
    claims["exp"] = int(time.time()) - seconds_ago
    key = str(settings.SIMPLE_JWT["SIGNING_KEY"])
    header = {"Authorization": f"Bearer {jwt.encode(claims, key, algorithm='HS256')}"}

    answer = stack.client().call(
        "GET", "/api/messages/queues/0d6a8cf9-8d7c-4f27-9a0c-5b8c3f7a6f10", headers=header
    )

    assert answer.status == status, answer.text

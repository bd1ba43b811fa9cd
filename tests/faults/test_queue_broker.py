"""B35 to B42: a broker that is away, slow, full, emptied or full of rubbish."""

import base64
import json
import pickle
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from uuid import UUID, uuid4

import pytest
import redis

from config.celery import app
from messaging.tasks import drain
from tests.faults.harness.houses import House
from tests.faults.harness.stack import ACCOUNT, Stack
from tests.faults.harness.waiting import until
from tests.figures import figure


@contextmanager
def valkey(stack: Stack) -> Iterator[redis.Redis]:
    """The broker's own door, around the proxies."""
    client = redis.Redis(unix_socket_path=str(stack.layout.valkey_socket), db=0)
    try:
        yield client
    finally:
        client.close()


def envelope(body: str, *, task: str, content_type: str = "application/json") -> str:
    """Return a task as Celery puts it into a queue."""
    number = str(uuid4())
    return json.dumps(
        {
            "body": body,
            "content-encoding": "utf-8",
            "content-type": content_type,
            "headers": {"lang": "py", "task": task, "id": number, "root_id": number},
            "properties": {
                "correlation_id": number,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": "delivery"},
                "priority": 0,
                "body_encoding": "base64",
                "delivery_tag": str(uuid4()),
            },
        }
    )


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def arguments(*args: object) -> str:
    return encoded(json.dumps([args, {}, {}]).encode())


RUBBISH = {
    "bad JSON in the body": envelope(encoded(b"{not json"), task="messaging.drain"),
    "a pickle": envelope(
        encoded(pickle.dumps(([], {}, {}))),
        task="messaging.drain",
        content_type="application/x-python-serialize",
    ),
    "an unknown task": envelope(arguments(1), task="somebody.elses"),
    "no arguments": envelope(arguments(), task="messaging.drain"),
    "arguments of other kinds": envelope(arguments("no uuid", "no lane"), task="messaging.drain"),
    "arguments too many": envelope(arguments(1, 2, 3, 4), task="messaging.drain"),
    "a broadcast that does not exist": envelope(arguments(str(uuid4()), 0), task="messaging.drain"),
    "a body that is no base64": envelope("%%%", task="messaging.drain"),
    "no envelope at all": "rubbish",
    "an envelope without anything": "{}",
    "a list": "[1, 2]",
}


def test_B35_rubbish_in_the_queue_is_refused_and_the_worker_lives_on(stack):
    house = stack.house(contacts=20)
    pid = stack.worker.pid
    with valkey(stack) as broker:
        for rubbish in RUBBISH.values():
            broker.lpush("delivery", rubbish)

        house.wait_until_delivered(house.send("Hola"))

        until(lambda: not broker.llen("delivery"), 120, "the rubbish is taken away")
    house.wait_until_delivered(house.send("Hola"))
    assert stack.worker.pid == pid
    assert stack.worker.is_running


def test_B36_a_flushed_broker_is_filled_again(stack):
    house = stack.house(contacts=10_000)

    queue_id = house.send("Hola")

    for part in (500, 3_000, 6_000):
        until(partial(_is_past, house, queue_id, part), 120)
        with valkey(stack) as broker:
            broker.flushall()
    house.wait_until_delivered(queue_id, seconds=240)


def _is_past(house: House, queue_id: UUID, part: int) -> bool:
    return bool(house.broadcast(queue_id, "queued") <= 10_000 - part)


def test_B37_a_broker_that_lost_its_file_is_filled_again(stack):
    house = stack.house(contacts=2_000)
    queue_id = house.send("Hola")
    until(lambda: house.broadcast(queue_id, "queued") < 2_000, 120)

    stack.restart_valkey(empty=True)

    house.wait_until_delivered(queue_id)


def test_B38_without_a_broker_every_broadcast_is_accepted_and_delivered(stack):
    outage(stack, seconds=60)


@pytest.mark.soak
def test_B38_ten_minutes_without_a_broker(stack):
    outage(stack, seconds=600)


def outage(stack: Stack, *, seconds: float) -> None:
    house = stack.house(contacts=20)
    sent: list[UUID] = []
    slowest = 0.0
    with stack.broker.refuse():
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            answer = house.client.send("Hola")
            sent.append(answer.queue_id)
            slowest = max(slowest, answer.seconds)
            assert answer.status == 201, answer.text
            assert stack.readyz()[1]["broker"] == "down"
            time.sleep(1)
        # The dispatcher hands over by itself, while the broker is still away.
        for queue_id in sent:
            house.wait_until_delivered(queue_id)
    figure(f"B38: broker away for {seconds:.0f} s, broadcasts accepted", len(sent), "every one")
    figure(
        f"B38: broker away for {seconds:.0f} s, slowest answer, seconds", f"{slowest:.1f}", "3.5"
    )


def test_B40_connections_that_are_reset_again_and_again_only_slow_it_down(stack):
    house = stack.house(contacts=1_000)

    queue_id = house.send("Hola")

    for _ in range(20):
        stack.broker.reset_all()
        time.sleep(0.2)
    house.wait_until_delivered(queue_id)


def test_B40_a_broker_that_answers_late_and_byte_by_byte_only_slows_it_down(stack):
    house = stack.house(contacts=500)
    with stack.broker.latency(0.25, slices=1):  # half a second there and back
        queue_id = house.send("Hola")

        house.wait_until_delivered(queue_id, seconds=240)


def test_B41_a_broker_that_is_full_holds_nothing_up(stack):
    house = stack.house(contacts=200)
    with valkey(stack) as broker:
        broker.config_set("maxmemory", "1mb")
        try:
            answer = house.client.send("Hola")

            assert answer.status == 201
            assert stack.readyz()[1]["broker"] == "down"
            house.wait_until_delivered(answer.queue_id)
        finally:
            broker.config_set("maxmemory", "0")


# What `check` wants of production beside a broker that keeps what it is given.
PRODUCTION = {
    "PREGON_ENV": "production",
    "PREGON_TIMINGS": "",
    "PREGON_FAILPOINTS": "",
    "PUBLIC_URL": "http://sms.example.org",
    "ALLOWED_HOSTS": "sms.example.org",
    "SECRET_KEY": secrets.token_urlsafe(64),
    "JWT_SIGNING_KEY": secrets.token_urlsafe(64),
    "AUDIT_KEY": secrets.token_urlsafe(64),
    "SMS_PROVIDERS": f"twilio://{ACCOUNT}@api.twilio.com?from=%2B15005550006",
}


def test_B41_production_does_not_start_with_a_broker_that_evicts(stack):
    with valkey(stack) as broker:
        broker.config_set("maxmemory-policy", "allkeys-lru")
        try:
            with pytest.raises(AssertionError, match="maxmemory-policy allkeys-lru"):
                stack.manage("check", **PRODUCTION)
        finally:
            broker.config_set("maxmemory-policy", "noeviction")
    stack.manage("check", **PRODUCTION)


def test_B42_ten_wake_ups_for_one_are_as_good_as_one(stack):
    house = stack.house(contacts=1_000)
    queue_id = house.send("Hola")

    wake_ten_times(stack, queue_id)

    house.wait_until_delivered(queue_id)
    wake_ten_times(stack, queue_id)  # nothing is due any more
    with valkey(stack) as broker:
        until(lambda: not broker.llen("delivery"), 60)
    assert set(house.accepted(queue_id).values()) == {1}


def wake_ten_times(stack: Stack, queue_id: UUID) -> None:
    with app.connection(stack.layout.broker_url) as link, link.Producer() as producer:
        for number in range(10):
            drain.apply_async(args=(str(queue_id), number % 2), producer=producer)

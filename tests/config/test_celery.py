"""Celery as it must be set: each line is here because its default loses or doubles something."""

import base64
import json
import pickle
import socket
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
from django.conf import settings

from config import env, parts
from config.celery import QUEUES, app
from messaging import dispatching, tasks
from messaging.timings import Timings
from tests.config.working import broker, until, working

OURS: Final = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "task_acks_on_timeout": True,
    "worker_disable_prefetch": True,
    "worker_prefetch_multiplier": 1,
    "visibility_timeout": 120,
    "task_publish_retry": True,
    "broker_connection_retry_on_startup": True,
    "broker_connection_max_retries": None,
    "worker_soft_shutdown_timeout": 20,
    "worker_enable_soft_shutdown_on_idle": True,
    "worker_cancel_long_running_tasks_on_connection_loss": False,
    "task_ignore_result": True,
    "result_backend": None,
    "task_serializer": "json",
    "accept_content": ["json"],
    "worker_max_tasks_per_child": 1_000,
    "worker_max_memory_per_child": 300_000,
    "task_always_eager": False,
    "task_queue_max_priority": None,
    "task_default_priority": None,
}
OF_THE_TRANSPORT: Final = {
    "visibility_timeout": 120,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": 3,
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "retry_on_timeout": False,
    "max_retries": 1,
}


@pytest.mark.parametrize(("name", "value"), OURS.items())
def test_it_is_set(name: str, value: object) -> None:
    assert app.conf[name] == value


@pytest.mark.parametrize(("name", "value"), OF_THE_TRANSPORT.items())
def test_the_transport_is_set(name: str, value: object) -> None:
    assert app.conf.broker_transport_options[name] == value


def test_a_vanished_peer_is_found_out_in_half_a_minute() -> None:
    found = app.conf.broker_transport_options["socket_keepalive_options"]

    idle, interval, count = (
        found[getattr(socket, name)] for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT")
    )
    assert idle + interval * count <= 30


def test_no_task_outlives_the_time_after_which_another_worker_gets_it() -> None:
    timings = Timings()
    longest = timings.drain + timings.connect + timings.read + timings.record_retry

    assert longest < app.conf.task_soft_time_limit < app.conf.task_time_limit
    assert app.conf.task_time_limit < app.conf.visibility_timeout


def test_publishing_is_given_up_within_three_seconds() -> None:
    policy = app.conf.task_publish_retry_policy

    assert policy["max_retries"] == 1
    assert (policy["max_retries"] + 1) * tasks._Broker.PATIENCE + policy["interval_max"] <= 3
    assert app.conf.broker_transport_options["interval_max"] <= 0.2


def test_workers_do_not_talk_among_themselves() -> None:
    assert {"--without-gossip", "--without-mingle"} <= set(parts.worker())


def test_the_broker_has_a_database_of_its_own() -> None:
    cache = env.redis_address(str(settings.CACHES["default"]["LOCATION"]))
    broker = env.redis_address(settings.ENVIRONMENT.broker_url)

    assert cache != broker


# --- B35 ------------------------------------------------------------------------------------------
WRONG_ARGUMENTS: Final[list[tuple[object, ...]]] = [
    (),
    (1, 2, 3, 4),
    ("; DROP", {}),
    (str(uuid4()), "x"),
]


class Evil:
    """What runs code in whoever unpickles it."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


def envelope(
    *,
    task: object = "messaging.drain",
    args: object = (),
    body: bytes | None = None,
    **changes: Any,
) -> str:
    """Return a message as Celery writes one, with these parts of it wrong."""
    embedded = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    body = json.dumps([args, {}, embedded]).encode() if body is None else body
    message = {
        "body": base64.b64encode(body).decode(),
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"lang": "py", "task": task, "id": str(uuid4()), "argsrepr": "()"},
        "properties": {
            "correlation_id": str(uuid4()),
            "delivery_info": {"exchange": "", "routing_key": "delivery"},
            "delivery_tag": str(uuid4()),
            "body_encoding": "base64",
            "priority": 0,
        },
    }
    return json.dumps({**message, **changes})


def foreign(trace: Path) -> list[str | bytes]:
    """Return what somebody else may have put into a queue."""
    as_pickle: dict[str, Any] = {"content-type": "application/x-python-serialize"}
    pickled = envelope(body=pickle.dumps(Evil(trace)), **as_pickle)
    return [
        *("", "hunter2", "null", "[]", "{}", "5", b"\xff\xfe\x00", '{"body": "x"}'),
        *(envelope(task=name) for name in ("nobody.knows", None, ["a"], "os.system")),
        *(envelope(args=args) for args in WRONG_ARGUMENTS),
        *(envelope(body=body) for body in (b"null", b"{{{", b"[]", b"5", b"")),
        *(json.dumps({"body": "", name: None}) for name in ("headers", "properties")),
        envelope(headers={}),
        envelope(properties={"delivery_tag": 5}),
        envelope().replace('"utf-8"', '"bz2_codec"'),
        pickled,
    ]


@pytest.mark.django_db(transaction=True)
def test_B35_foreign_messages_are_dropped_and_told_and_the_worker_lives(tmp_path: Path) -> None:
    log, trace = tmp_path / "log", tmp_path / "trace"
    with working(log) as worker, broker() as client:
        for message in foreign(trace):
            client.lpush("delivery", message)
        until(lambda: not client.exists("delivery"), log)
        for queue in QUEUES:
            tasks.send_canary(queue)

        until(lambda: not dispatching.are_workers_late(), log)

        assert worker.poll() is None
        until(lambda: not client.exists("unacked"), log)
    said = log.read_text()
    assert said.count("foreign_message_dropped") >= 20
    assert "hunter2" not in said
    assert not trace.exists()

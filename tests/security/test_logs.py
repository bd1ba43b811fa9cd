"""S67 to S69 and S71: what leaves the house beside messages: log lines, wake-ups, health."""

import base64
import inspect
import json
import logging
from typing import Any, Final

import pytest
import redis
from celery import current_app
from django.conf import settings as configured
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Member
from config.logging import PersonalDataFilter, configure
from messaging import tasks
from tests.messaging.conftest import memory
from tests.messaging.factories import sent_broadcast

__all__ = ["memory"]  # a fixture

NUMBER: Final = st.integers(10**9, 10**14).map(lambda digits: f"+{digits}")


def line(record: logging.LogRecord) -> str:
    """Return a record as production writes it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure(production=True, level="DEBUG")
    (console,) = root.handlers
    root.handlers[:] = handlers
    root.setLevel(level)
    assert any(isinstance(each, PersonalDataFilter) for each in console.filters)
    console.filter(record)
    return console.format(record)


def recorded(event: str, **fields: Any) -> logging.LogRecord:
    return logging.makeLogRecord({"msg": event, "levelname": "INFO", "name": "tests", **fields})


# --- S67 ------------------------------------------------------------------------------------------
@given(NUMBER)
def test_S67_of_a_number_three_digits_are_left_wherever_it_stands(number: str) -> None:
    error = ValueError(f"duplicate key (recipient)=({number})")
    records = [
        recorded(f"could not reach {number}"),
        recorded("could not reach %s", args=(number,)),
        recorded("refused", recipient=number, nested={"to": [number]}),
        recorded("failed", exc_info=(ValueError, error, None)),
    ]

    for record in records:
        written = line(record)
        assert number not in written
        assert number.lstrip("+") not in written
        assert f"***{number[-3:]}" in written


@pytest.mark.parametrize(
    ("event", "secret"),
    [
        ("Authorization: Bearer abc.def.ghi", "abc.def.ghi"),
        ("headers: {'authorization': 'Basic dXNlcjpwYXNz'}", "dXNlcjpwYXNz"),
        ("calling twilio://AC1:thetoken@api.twilio.com", "thetoken"),
        ("auth_token=thetoken&x=1", "thetoken"),
        ("password: hunter2", "hunter2"),
        ("read eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2ln", "eyJzdWIi"),
    ],
)
def test_S67_no_line_holds_what_opens_a_door(event: str, secret: str) -> None:
    assert secret not in line(recorded(event))
    assert secret not in line(recorded("x", detail=event))


# --- S68 ------------------------------------------------------------------------------------------
@given(st.text(alphabet=st.sampled_from("ab\r\n\u2028\u2029\x0b\x0c\x85\x00\"'{},"), max_size=30))
def test_S68_whatever_a_text_holds_it_is_one_line_of_json(text: str) -> None:
    written = line(recorded(text, field=text))

    assert len(written.splitlines()) == 1
    assert json.loads(written)["event"] == text


# --- S69 ------------------------------------------------------------------------------------------
# What a task may be told, by the name of its argument: an id, a number, a name from the settings.
TOLD: Final = {"queue_id": str, "lane": int, "provider": str}


def test_S69_tasks_are_told_ids_and_nothing_else() -> None:
    ours = {name: task for name, task in current_app.tasks.items() if name.startswith("messaging.")}

    assert tasks.drain.name in ours
    for name, task in ours.items():
        told = {
            parameter.name: parameter.annotation
            for parameter in inspect.signature(task.run).parameters.values()
        }
        assert told.items() <= TOLD.items(), name


@pytest.mark.django_db(transaction=True)
def test_S69_nothing_in_the_broker_names_a_person(ana: Member, memory: Any) -> None:
    broker = redis.Redis.from_url(_as_redis_writes_it(str(configured.CELERY_BROKER_URL)))
    broker.flushdb()

    sent = sent_broadcast(ana, "+573001234567", text="Zanahoria púrpura")

    kept = b"".join(
        entry if isinstance(entry, bytes) else entry.encode()
        for key in broker.scan_iter()
        if broker.type(key) == b"list"
        for entry in broker.lrange(key, 0, -1)
    )
    broker.close()
    body = json.loads(kept)["body"]
    assert json.loads(base64.b64decode(body))[0] == [str(sent.pk), 0]
    for personal in (b"573001234567", b"Zanahoria", b"Acme", b"ana@"):
        assert personal not in kept
        assert personal not in base64.b64decode(body)


def _as_redis_writes_it(url: str) -> str:
    if not url.startswith("redis+socket://"):
        return url
    path, _, query = url.removeprefix("redis+socket://").partition("?")
    return f"unix://{path}?db={query.removeprefix('virtual_host=') or 0}"


# --- S71 ------------------------------------------------------------------------------------------
WORDS: Final = {"ok", "up", "down", "late", "unmigrated", "on", "off"}
FIELDS: Final = {"status", "database", "broker", "dispatcher", "workers", "sending"}


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/healthz", "/readyz"])
def test_S71_health_speaks_in_fixed_words(ana: Member, address: str) -> None:
    answer = Client().get(address)

    assert answer["Content-Type"] == "application/json"
    told = answer.json()
    assert set(told) <= FIELDS
    assert set(told.values()) <= WORDS


@pytest.mark.django_db
@pytest.mark.parametrize(
    "address", ["/metrics", "/api/metrics", "/stats", "/debug", "/server-status"]
)
def test_S71_there_is_no_other_page_about_the_inside(address: str) -> None:
    assert Client().get(address).status_code == 404

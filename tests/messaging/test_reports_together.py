"""Delivery reports that come at the same moment: kept in one statement, each answered for its own."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from uuid import uuid4

import pytest
from django.db import DataError, transaction

from messaging import reports, tasks
from messaging.models import DeliveryReport
from messaging.providers.callbacks import Report
from tests.races import at_once


def until(condition: Callable[[], bool]) -> None:
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.01)


def keep(code: str = "", provider: str = "memory:local") -> None:
    told = Report(provider_message_id=uuid4().hex, status="DELIVERED", code=code)
    reports.keep(provider=provider, reports=[told])


def test_reports_at_once_are_all_kept_each_as_its_own_provider_s(transactional_db) -> None:
    providers = [f"memory:{number}" for number in range(8)]

    def keep_ten(provider: str) -> None:
        for _ in range(10):
            keep(provider=provider)

    at_once(*[partial(keep_ten, provider) for provider in providers])

    kept = DeliveryReport.objects.values_list("provider", flat=True)
    assert sorted(kept) == sorted(providers * 10)


def test_a_report_that_cannot_be_kept_fails_alone(transactional_db, monkeypatch) -> None:
    gathering, sizes = reports._gathering, []
    insert = gathering._write

    def noted(gathered: Sequence[Any]) -> None:
        sizes.append(len(gathered))
        insert(gathered)

    def let_them_go() -> None:
        until(lambda: len(gathering._waiting) == 4)
        gathering._turn.release()

    monkeypatch.setattr(gathering, "_write", noted)
    assert gathering._turn.acquire(timeout=60)  # as if somebody wrote
    codes = ("1", "2", "\x00", "4")
    answers = at_once(let_them_go, *[partial(keep, code) for code in codes])

    assert sizes == [4, 1, 1, 1, 1]
    assert [type(answer) for answer in answers[1:]] == [
        *(type(None), type(None), DataError, type(None))
    ]
    assert DeliveryReport.objects.count() == 3


def test_what_is_kept_within_a_transaction_ends_with_it_alone(transactional_db) -> None:
    with transaction.atomic():
        keep(provider="memory:rolled_back")
        at_once(keep)
        transaction.set_rollback(True)

    assert DeliveryReport.objects.get().provider == "memory:local"


# --- the wake-up ----------------------------------------------------------------------------------
@pytest.fixture
def woken(monkeypatch) -> list[object]:
    """The tasks that were published."""
    published: list[object] = []
    monkeypatch.setattr(tasks, "_try_publishing", published.append)
    return published


def test_a_report_is_not_left_to_the_dispatcher_because_another_came_just_before(woken) -> None:
    wake = tasks._ReportsWake()
    wake.request()
    assert woken == [tasks.apply_reports]

    wake.request()

    until(lambda: len(woken) == 2)
    assert woken == [tasks.apply_reports] * 2


def test_a_thousand_reports_within_the_interval_wake_the_inbox_twice(woken, monkeypatch) -> None:
    monkeypatch.setattr(tasks._ReportsWake, "INTERVAL", 3_600.0)
    wake = tasks._ReportsWake()

    for _ in range(1_000):
        wake.request()
    assert len(woken) == 1
    wake._publish()  # the timer's, at the interval's end
    wake.request()

    assert len(woken) == 2

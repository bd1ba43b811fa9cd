"""B73: reports in any order: forward only, the first end stands, contradictions are counted."""

from collections import Counter
from collections.abc import Sequence
from typing import Final

import pytest
from django.db import transaction
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_django import Settings

from accounts.models import Member
from billing import invariants, ledger
from messaging import delivery, providers, reports
from messaging.models import DeliveryReport, Message
from messaging.providers.callbacks import Report, ReportStatus
from messaging.providers.memory import Memory
from messaging.providers.results import Unclear
from tests.messaging.factories import sent_broadcast

WORDS: Final[list[ReportStatus]] = ["SENT", "DELIVERED", "UNDELIVERED", "FAILED", ""]
PHONE: Final = "+573001234567"


@pytest.fixture
def memory(settings: Settings) -> Memory:
    settings.SMS_PROVIDERS = ["memory://local"]
    (provider,) = providers.configured()
    assert isinstance(provider, Memory)
    provider.clear()
    return provider


@pytest.fixture(params=["SENT", "UNKNOWN"])
def message(request: pytest.FixtureRequest, ana: Member, memory: Memory) -> Message:
    """A message that was taken, and one of which nobody knows."""
    if request.param == "UNKNOWN":
        memory.will_answer(PHONE, Unclear("read timeout"))
    broadcast = sent_broadcast(ana, PHONE)
    delivery.drain(queue_id=broadcast.pk, lane=0)
    message = broadcast.messages.get()
    assert message.status == request.param
    return message


def expected(status: str, words: Sequence[ReportStatus]) -> tuple[str, Counter[str]]:
    """Return where the words lead and what came of each, by the table of statuses."""
    outcomes: Counter[str] = Counter()
    for word in words:
        before = status
        if status == "UNKNOWN" and word:
            status = word
        elif status == "SENT" and word not in {"", "SENT"}:
            status = "DELIVERED" if word == "DELIVERED" else "UNDELIVERED"
        if status != before:
            outcomes["APPLIED"] += 1
        elif word in {"", "SENT"} or word == status or (word, status) == ("FAILED", "UNDELIVERED"):
            outcomes["NO_CHANGE"] += 1
        else:
            outcomes["CONFLICT"] += 1
    return status, outcomes


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=6),
    applied_after=st.sets(st.integers(0, 5)),
)
def test_B73_whatever_the_order_the_first_end_stands(
    message: Message, words: list[ReportStatus], applied_after: set[int]
) -> None:
    start, organization = message.status, message.organization_id
    with transaction.atomic():
        for number, word in enumerate(words):
            report = Report(f"SM{number}", word, code="30003", message_id=message.pk)
            reports.keep(provider="memory:local", reports=[report])
            if number in applied_after:
                reports.apply()
        reports.apply()

        status, outcomes = expected(start, words)
        now = Message.objects.select_related("broadcast").get()
        assert now.status == status
        assert Counter(DeliveryReport.objects.values_list("outcome", flat=True)) == outcomes
        released = status == "FAILED"
        reserved = status == "UNKNOWN"
        assert ledger.balance(organization) == ledger.Balance(
            available=999 + released, reserved=int(reserved), spent=int(not (released or reserved))
        )
        assert not [found for found in invariants.check(thorough=True) if found.rows]
        transaction.set_rollback(True)


@pytest.mark.parametrize(
    ("words", "ends", "conflicts"),
    [
        (["DELIVERED", "SENT"], "DELIVERED", 0),
        (["DELIVERED", "FAILED"], "DELIVERED", 1),
        (["UNDELIVERED", "DELIVERED"], "UNDELIVERED", 1),
        (["SENT", "UNDELIVERED", "DELIVERED", "DELIVERED"], "UNDELIVERED", 2),
    ],
)
def test_B73_the_contradictions_are_counted(
    message: Message, words: list[ReportStatus], ends: str, conflicts: int
) -> None:
    kept = [Report(f"SM{number}", word, message_id=message.pk) for number, word in enumerate(words)]
    reports.keep(provider="memory:local", reports=kept)

    reports.apply()

    message.refresh_from_db()
    assert message.status == ends
    assert DeliveryReport.objects.filter(outcome="CONFLICT").count() == conflicts

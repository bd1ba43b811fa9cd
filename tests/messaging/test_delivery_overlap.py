"""The database works while requests are under way: what leaves when, and what any end leaves behind."""

import asyncio
import threading
from dataclasses import replace

import pytest
from django.db import IntegrityError, OperationalError

from accounts.rate_limits import Bucket
from messaging import delivery, leases, providers, routing
from messaging.models import Broadcast, Message
from messaging.providers.results import Accepted, Misconfigured, Unavailable
from messaging.timings import TIMINGS

pytestmark = pytest.mark.usefixtures("books_balance")

WINDOW = 4  # requests of one message each that may be under way
MESSAGES = 10


@pytest.fixture
def broadcast(acme, contacts, grant, send, memory, monkeypatch) -> Broadcast:
    """Ten messages, one a request, four requests at a time."""
    monkeypatch.setattr(memory, "max_batch", 1)
    monkeypatch.setattr(memory, "concurrency", WINDOW)
    monkeypatch.setattr(delivery, "LEAST_PART", 1)
    grant(acme, 1_000)
    contacts(*(f"+57300123{number:04}" for number in range(MESSAGES)))
    return send()


@pytest.fixture
def tokens(monkeypatch) -> list[int]:
    """The tokens taken, and less those that were given back."""
    moved: list[int] = []
    take, give_back = Bucket.take, Bucket.give_back

    def taking(self, **asked):
        turn = take(self, **asked)
        moved.append(turn.granted)
        return turn

    def giving_back(self, amount):
        moved.append(-amount)
        give_back(self, amount)

    monkeypatch.setattr(Bucket, "take", taking)
    monkeypatch.setattr(Bucket, "give_back", giving_back)
    return moved


def on_call(number: int, raises: BaseException, verb):
    """Return the verb, which raises at its so-manieth call alone."""
    calls = 0

    def called(*args, **named):
        nonlocal calls
        calls += 1
        if calls == number:
            raise raises
        return verb(*args, **named)

    return called


def statuses(broadcast: Broadcast) -> dict[str, int]:
    found: dict[str, int] = {}
    for status in broadcast.messages.values_list("status", flat=True):
        found[status] = found.get(status, 0) + 1
    return found


def nothing_is_under_way() -> bool:
    return not any(thread.name == "air" for thread in threading.enumerate())


def test_while_one_part_is_under_way_another_is_recorded_and_the_next_leaves(
    broadcast, memory, monkeypatch
):
    started, hand_over = [], memory.hand_over

    async def the_last_of_the_first_window_waits_for_the_next(batch, http):
        started.append(batch)
        if len(started) == WINDOW:
            async with asyncio.timeout(60):
                while len(started) == WINDOW:
                    await asyncio.sleep(0.01)
        return await hand_over(batch, http)

    monkeypatch.setattr(memory, "hand_over", the_last_of_the_first_window_waits_for_the_next)
    delivery.drain(queue_id=broadcast.pk, lane=0)

    assert statuses(broadcast) == {"SENT": MESSAGES}


def test_never_more_than_a_window_is_marked_and_has_no_result(broadcast, memory, monkeypatch):
    marked: list[int] = []
    started, hand_over, mark_within = [], memory.hand_over, leases.mark_within

    def counted(*args, **named):
        done = mark_within(*args, **named)
        marked.append(
            Message.objects.filter(status="SENDING", submit_started_at__isnull=False).count()
        )
        return done

    async def the_last_of_the_first_window_waits_for_the_next_mark(batch, http):
        started.append(batch)
        if len(started) == WINDOW:
            async with asyncio.timeout(60):
                while len(marked) < 2:
                    await asyncio.sleep(0.01)
        return await hand_over(batch, http)

    monkeypatch.setattr(leases, "mark_within", counted)
    monkeypatch.setattr(memory, "hand_over", the_last_of_the_first_window_waits_for_the_next_mark)
    while delivery.drain(queue_id=broadcast.pk, lane=0):
        pass

    assert statuses(broadcast) == {"SENT": MESSAGES}
    assert max(marked) == WINDOW


@pytest.mark.parametrize(
    "end",
    [
        KeyboardInterrupt(),
        SystemExit(),
        RuntimeError("a defect"),
        OperationalError("the database is away"),
        providers.NoProvider("SMS"),
    ],
    ids=lambda end: type(end).__name__,
)
def test_whatever_ends_a_drain_what_left_is_recorded_and_the_rest_is_free(
    broadcast, memory, monkeypatch, tokens, end
):
    """The end comes as the next claim is made, with requests under way."""
    monkeypatch.setattr(delivery, "CLAIM", WINDOW)
    monkeypatch.setattr(routing, "choose", on_call(2, end, routing.choose))

    if isinstance(end, providers.NoProvider):
        assert not delivery.drain(queue_id=broadcast.pk, lane=0)
    else:
        with pytest.raises(type(end)):
            delivery.drain(queue_id=broadcast.pk, lane=0)

    assert statuses(broadcast) == {"SENT": WINDOW, "QUEUED": MESSAGES - WINDOW}
    assert len(memory.messages) == WINDOW == sum(tokens)
    assert nothing_is_under_way()


def test_a_claim_that_fails_costs_no_answer_and_no_token(broadcast, memory, monkeypatch, tokens):
    monkeypatch.setattr(delivery, "CLAIM", WINDOW)
    away = OperationalError("away")
    monkeypatch.setattr(leases, "claim", on_call(2, away, leases.claim))

    with pytest.raises(OperationalError):
        delivery.drain(queue_id=broadcast.pk, lane=0)

    assert statuses(broadcast) == {"SENT": WINDOW, "QUEUED": MESSAGES - WINDOW}
    assert sum(tokens) == WINDOW


@pytest.mark.parametrize("end", [SystemExit(), RuntimeError("a defect")], ids=["exit", "defect"])
def test_a_mark_that_fails_costs_no_answer(broadcast, memory, monkeypatch, tokens, end):
    """The second mark is made with the record of what landed: that is undone, and made again alone."""
    monkeypatch.setattr(leases, "mark_within", on_call(2, end, leases.mark_within))

    with pytest.raises(type(end)):
        delivery.drain(queue_id=broadcast.pk, lane=0)

    assert statuses(broadcast) == {"SENT": WINDOW, "QUEUED": MESSAGES - WINDOW}
    assert len(memory.messages) == WINDOW == sum(tokens)
    assert nothing_is_under_way()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("error", [IntegrityError("x"), OperationalError("away")])
def test_a_mark_that_was_undone_lets_nothing_leave_until_it_is_made_again(
    broadcast, memory, monkeypatch, error
):
    mark_within = leases.mark_within

    def marked_and_undone(*args, **named):
        mark_within(*args, **named)
        raise error

    calls = iter([mark_within, marked_and_undone])
    monkeypatch.setattr(leases, "mark_within", lambda *a, **n: next(calls, mark_within)(*a, **n))
    while delivery.drain(queue_id=broadcast.pk, lane=0):
        pass

    assert statuses(broadcast) == {"SENT": MESSAGES}
    assert len({kept.message.id for kept in memory.messages}) == len(memory.messages) == MESSAGES
    assert set(broadcast.messages.values_list("attempts", flat=True)) == {1}


@pytest.mark.parametrize(
    "answer",
    [Misconfigured("suspended", "20005"), Unavailable("429", 30.0, gives_attempt_back=True)],
    ids=["an_account_that_needs_repair", "a_busy_carrier"],
)
def test_what_a_carrier_says_keeps_the_next_from_leaving(
    broadcast, memory, monkeypatch, tokens, answer
):
    tried = []

    async def hand_over(batch, http):
        tried.extend(batch.messages)
        return {message.id: answer for message in batch.messages}

    monkeypatch.setattr(memory, "hand_over", hand_over)
    delivery.drain(queue_id=broadcast.pk, lane=0)

    assert len(tried) == WINDOW == sum(tokens)
    assert statuses(broadcast) == {"QUEUED": MESSAGES}


def test_a_pause_with_requests_under_way_lets_nothing_more_leave(broadcast, memory, monkeypatch):
    mark_within = leases.mark_within

    def paused_after(*args, **named):
        marked = mark_within(*args, **named)
        Broadcast.objects.update(status="PAUSED", paused_because="operator")
        return marked

    monkeypatch.setattr(leases, "mark_within", paused_after)
    delivery.drain(queue_id=broadcast.pk, lane=0)

    assert statuses(broadcast) == {"SENT": WINDOW, "QUEUED": MESSAGES - WINDOW}


def test_a_drain_whose_time_is_over_waits_for_its_answers_alone(
    broadcast, memory, monkeypatch, tokens
):
    monkeypatch.setattr(delivery, "TIMINGS", replace(TIMINGS, drain=0.2))

    async def slow(batch, http):
        await asyncio.sleep(0.5)
        return {message.id: Accepted(message.id.hex) for message in batch.messages}

    monkeypatch.setattr(memory, "hand_over", slow)

    assert delivery.drain(queue_id=broadcast.pk, lane=0)

    found = statuses(broadcast)
    assert found["SENT"] == sum(tokens) <= WINDOW
    assert found["QUEUED"] == MESSAGES - found["SENT"]

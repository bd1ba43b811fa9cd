"""A credential that does not work is left alone, tried with one message, and used again once it works."""

import threading
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.utils import timezone

from messaging import breaker, delivery
from messaging.models import Message, ProviderState
from messaging.providers.results import (
    Accepted,
    Misconfigured,
    Refused,
    Result,
    Unavailable,
    Unclear,
)
from tests.api.outages import database_away

NAME = "memory:local"

TAKEN = Accepted("x")
REFUSED = Refused("21211", "no such number")
BUSY = Unavailable("429", gives_attempt_back=True)
NOT_THERE = Unavailable("the sender cannot send messages there", code="21606")
OUR_FAULT = Unavailable("not built", internal=True)
DOWN = Unavailable("connection refused")
LOST = Unclear("read timeout")
OBJECTED_TO = Unclear("answered 400", "21999", is_an_answer=True)
SUSPENDED = Misconfigured("suspended", "20005")


def state() -> breaker.State:
    return breaker.states([NAME]).get(NAME, breaker.WELL)


def note(*results, is_probe: bool = False) -> breaker.State:
    """Note one window of requests with one message each."""
    answers = [{uuid4(): result} for result in results]
    return breaker.note(name=NAME, answers=answers, state=state(), is_probe=is_probe)


def opened(*, ago: float = 0) -> None:
    """Open the breaker; its time is over for so many seconds."""
    note(*[DOWN] * 5)
    if ago:
        ProviderState.objects.update(open_until=timezone.now() - timedelta(seconds=ago))


# --- when it opens --------------------------------------------------------------------------------


def test_while_all_is_well_nothing_is_written(db, django_assert_num_queries):
    well = state()

    with django_assert_num_queries(0):
        breaker.note(name=NAME, answers=[{uuid4(): TAKEN}] * 50, state=well)

    assert not ProviderState.objects.exists()


@pytest.mark.parametrize("failure", [DOWN, LOST])
def test_five_failures_in_a_row_open_it_and_four_do_not(db, failure):
    note(*[failure] * 4)
    assert not state().is_open

    note(failure)

    assert state().is_open


def test_an_answer_in_between_begins_the_row_anew(db):
    note(*[DOWN] * 4)
    note(TAKEN)
    note(*[DOWN] * 4)

    assert not state().is_open


def test_ten_failures_of_the_last_twenty_open_it_and_nine_do_not(db):
    for _time in range(9):
        note(DOWN, TAKEN)
    assert not state().is_open

    note(TAKEN, DOWN)

    assert state().is_open


def test_failures_that_lie_further_back_are_forgotten(db):
    for _time in range(9):
        note(DOWN, TAKEN)
    note(*[TAKEN] * 20)

    assert not state().has_failures
    for _time in range(9):
        note(DOWN, TAKEN)
    assert not state().is_open


@pytest.mark.parametrize("answer", [REFUSED, BUSY, NOT_THERE])
def test_refusals_and_a_busy_carrier_are_answers_of_a_working_one(db, answer):
    note(*[answer] * 30)

    assert state() == breaker.WELL


def test_a_few_codes_that_nobody_knows_close_nothing_to_the_others(db):
    note(*[OBJECTED_TO] * 9)

    assert not state().is_open


def test_an_account_that_answers_every_message_with_a_code_nobody_knows_is_left_alone(db):
    note(*[OBJECTED_TO] * 10)

    assert state().is_open


def test_an_account_that_takes_other_messages_works_whatever_it_cannot_do_for_one(db):
    answer = {uuid4(): TAKEN for _ in range(99)} | {uuid4(): SUSPENDED}

    after = breaker.note(name=NAME, answers=[answer], state=breaker.WELL)

    assert not after.is_open
    assert state() == breaker.WELL


def test_our_own_defect_says_nothing_of_the_carrier(db):
    note(*[OUR_FAULT] * 30)

    assert state() == breaker.WELL


def test_a_request_with_one_answered_message_was_answered(db):
    answer: dict[UUID, Result] = {uuid4(): LOST, uuid4(): LOST, uuid4(): TAKEN}

    for _time in range(10):
        breaker.note(name=NAME, answers=[answer], state=state())

    assert not state().is_open


def test_an_account_that_needs_repair_opens_it_at_once_and_is_told_once(db, caplog):
    note(TAKEN, SUSPENDED)
    note(SUSPENDED)

    assert state().is_open
    told = [record for record in caplog.records if record.msg == "provider_breaker_opened"]
    assert [(record.levelname, record.because) for record in told] == [("ERROR", "suspended")]


def test_many_windows_at_once_are_all_counted(transactional_db):
    together = threading.Barrier(5)

    def fail() -> None:
        together.wait()
        breaker.note(name=NAME, answers=[{uuid4(): DOWN}], state=breaker.WELL)
        connection.close()

    threads = [threading.Thread(target=fail) for _number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert state().is_open


# --- while it is open -----------------------------------------------------------------------------


@pytest.fixture
def broadcast(acme, contacts, grant, send):
    grant(acme, 1_000)
    contacts(*(f"+57300{number:07}" for number in range(20)))
    return send()


@pytest.mark.usefixtures("books_balance")
def test_rows_are_not_touched(broadcast, memory):
    opened()

    assert not delivery.drain(queue_id=broadcast.pk, lane=0)

    assert not memory.messages
    untouched = {"status": "QUEUED", "attempts": 0, "claimed_at": None}
    assert broadcast.messages.filter(**untouched).count() == 20


def test_requests_that_were_under_way_as_it_opened_change_nothing(db):
    well = state()
    opened()
    until = ProviderState.objects.get().open_until

    for result in (TAKEN, DOWN, SUSPENDED):
        breaker.note(name=NAME, answers=[{uuid4(): result}], state=well)

    assert ProviderState.objects.get().open_until == until
    assert state().is_open


@pytest.mark.usefixtures("books_balance")
def test_an_account_that_needs_repair_costs_the_messages_nothing(acme, broadcast, memory):
    for recipient in broadcast.messages.values_list("recipient", flat=True):
        memory.will_answer(recipient, SUSPENDED)

    delivery.drain(queue_id=broadcast.pk, lane=0)

    left = broadcast.messages.values_list("status", "charge", "attempts")
    assert set(left) == {("QUEUED", "RESERVED", 0)}
    assert state().is_open


# --- one message tries it -------------------------------------------------------------------------


def test_a_code_that_nobody_knows_does_not_say_that_it_works_again(db):
    opened(ago=1)

    note(OBJECTED_TO, is_probe=True)

    assert state().is_open


def test_nobody_tries_it_before_its_time(db):
    opened()

    assert not state().may_probe
    assert not breaker.begin_probe(NAME)


def test_exactly_one_of_many_tries_it(transactional_db):
    opened(ago=1)
    together, won = threading.Barrier(8), []

    def probe() -> None:
        together.wait()
        won.append(breaker.begin_probe(NAME))
        connection.close()

    threads = [threading.Thread(target=probe) for _number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(won) == [False] * 7 + [True]
    assert not state().may_probe


def test_who_dies_while_trying_lets_another_try_later(db):
    opened(ago=1)
    breaker.begin_probe(NAME)

    ProviderState.objects.update(probing_until=timezone.now() - timedelta(seconds=1))

    assert breaker.begin_probe(NAME)


@pytest.mark.usefixtures("books_balance")
def test_one_message_goes_first_and_when_it_is_taken_all_others_follow(
    broadcast, memory, monkeypatch, caplog
):
    opened(ago=1)
    sizes, hand_over = [], memory.hand_over

    def counted(batch, http):
        sizes.append(len(batch.messages))
        return hand_over(batch, http)

    monkeypatch.setattr(memory, "hand_over", counted)

    delivery.drain(queue_id=broadcast.pk, lane=0)

    assert sizes == [1, 19]
    assert state() == breaker.WELL
    assert "provider_breaker_closed" in [record.msg for record in caplog.records]


@pytest.mark.usefixtures("books_balance")
@pytest.mark.parametrize("failure", [DOWN, LOST, SUSPENDED])
def test_when_the_one_fails_all_others_wait_again(broadcast, memory, failure):
    opened(ago=1)
    for recipient in broadcast.messages.values_list("recipient", flat=True):
        memory.will_answer(recipient, failure)

    delivery.drain(queue_id=broadcast.pk, lane=0)

    assert broadcast.messages.exclude(submit_started_at=None, error_message="").count() == 1
    assert state().is_open
    assert not state().may_probe


def test_a_busy_carrier_works(db):
    opened(ago=1)
    breaker.begin_probe(NAME)

    note(BUSY, is_probe=True)

    assert state() == breaker.WELL


@pytest.mark.parametrize("results", [[], [OUR_FAULT]])
def test_who_could_hand_nothing_over_lets_another_try_at_once(db, results):
    opened(ago=1)
    breaker.begin_probe(NAME)

    note(*results, is_probe=True)

    assert state().may_probe


@pytest.mark.usefixtures("books_balance")
def test_who_finds_nothing_due_lets_another_try_at_once(broadcast, memory):
    opened(ago=1)
    Message.objects.update(next_attempt_at=timezone.now() + timedelta(minutes=1))

    delivery.drain(queue_id=broadcast.pk, lane=0)

    assert state().may_probe


# --- the database away ----------------------------------------------------------------------------


def test_a_database_that_is_away_does_not_keep_the_results_from_being_recorded(
    transactional_db, caplog
):
    with database_away():
        after = breaker.note(name=NAME, answers=[{uuid4(): DOWN}], state=breaker.WELL)

    assert after == breaker.WELL

    assert "provider_state_not_noted" in [record.msg for record in caplog.records]
    assert not ProviderState.objects.exists()

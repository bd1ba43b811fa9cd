"""Who takes the next claim: by weight, by country, and another one for what provably never left."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import rate_limits
from contacts.models import Suppression
from messaging import breaker, delivery, providers, recording, routing
from messaging.failpoints import Broken
from messaging.models import Broadcast, Message, ProviderState
from messaging.providers.memory import Memory
from messaging.providers.results import Misconfigured, Unavailable, Unclear
from messaging.routing import Nobody, Turn

pytestmark = pytest.mark.usefixtures("books_balance")

COLOMBIA = "+57300123{:04}"
MEXICO = "+5255512{:05}"


@pytest.fixture
def carriers(settings, fresh_rate_limits):
    """Set these providers up, as options of `memory://a`, `memory://b` and so on; return them."""

    def made(*options: str):
        names = "abcdef"[: len(options)]
        settings.SMS_PROVIDERS = [
            f"memory://{name}?{option}" for name, option in zip(names, options, strict=True)
        ]
        found = providers.configured()
        for provider in found:
            assert isinstance(provider, Memory)
            provider.clear()
        return found

    return made


@pytest.fixture
def broadcast(acme, contacts, grant, send):
    """Make a broadcast to so many in Colombia and so many in Mexico."""

    def made(colombia: int = 0, mexico: int = 0) -> Broadcast:
        grant(acme, 1_000)
        contacts(*(COLOMBIA.format(number) for number in range(colombia)))
        contacts(*(MEXICO.format(number) for number in range(mexico)))
        return send()

    return made


def drained(broadcast: Broadcast) -> bool:
    is_more_due = delivery.drain(queue_id=broadcast.pk, lane=0)
    broadcast.refresh_from_db()
    return is_more_due


def answers(provider, broadcast, *results) -> None:
    for recipient in broadcast.messages.values_list("recipient", flat=True):
        provider.will_answer(recipient, *results)


def by_provider(broadcast: Broadcast) -> Counter[str]:
    return Counter(broadcast.messages.filter(status="SENT").values_list("provider", flat=True))


def chosen(*, most=100, patience=0.0, without=()):
    return routing.choose(kind="SMS", most=most, patience=patience, without=without)


# --- by weight, rate and state --------------------------------------------------------------------


def test_claims_are_shared_by_weight(db, carriers):
    carriers("weight=3", "weight=1")

    turns = Counter(chosen().provider.name for _turn in range(800))

    assert 500 < turns["memory:a"] < 700  # 600 is the mean; four deviations lie at 551 and 649


def test_who_is_left_out_is_not_chosen(db, carriers):
    carriers("weight=1", "weight=1")

    assert {chosen(without={"memory:a"}).provider.name for _turn in range(20)} == {"memory:b"}
    assert isinstance(chosen(without={"memory:a", "memory:b"}), Nobody)


def test_a_provider_without_tokens_makes_room_for_one_that_has_some(db, carriers):
    carriers("rate=1", "rate=1")
    first = chosen()

    assert chosen().provider.name != first.provider.name
    assert isinstance(chosen(), Nobody)
    assert chosen(patience=3).wait > 0


def test_a_provider_with_a_rate_gets_a_quarter_second_of_it_at_a_time(db, carriers):
    carriers("rate=40")

    assert chosen().tokens == 10


def test_never_more_is_taken_than_there_are_messages(db, carriers):
    carriers("rate=400")

    assert chosen(most=3).tokens == 3


def test_one_whose_breaker_is_open_is_left_out_and_one_that_may_be_tried_gets_one(db, carriers):
    carriers("", "")
    open_until = timezone.now() + timedelta(minutes=1)
    ProviderState.objects.create(name="memory:a", open_until=open_until)
    assert {chosen().provider.name for _turn in range(20)} == {"memory:b"}

    ProviderState.objects.update(open_until=timezone.now() - timedelta(minutes=1))
    turns = [chosen() for _turn in range(40)]

    probes = [turn for turn in turns if turn.is_probe]
    assert [(turn.provider.name, turn.tokens) for turn in probes] == [("memory:a", 1)]


def test_tokens_of_a_claim_that_found_nothing_go_back(carriers, broadcast):
    (slow,) = carriers("rate=0.01")
    sent = broadcast(1)
    Message.objects.update(next_attempt_at=timezone.now() + timedelta(minutes=1))

    drained(sent)

    assert routing.bucket(slow).take(amount=1, patience=0).granted == 1


def test_tokens_of_messages_that_were_not_marked_go_back(carriers, broadcast):
    (slow,) = carriers("rate=0.01")
    sent = broadcast(1)
    Suppression.objects.create(
        organization_id=sent.organization_id, recipient=COLOMBIA.format(0), source="MEMBER"
    )

    drained(sent)

    assert sent.canceled == 1
    assert routing.bucket(slow).take(amount=1, patience=0).granted == 1


# --- by country -----------------------------------------------------------------------------------


def test_each_country_goes_to_who_carries_it(carriers, broadcast):
    carriers("countries=CO", "countries=MX")
    sent = broadcast(colombia=120, mexico=130)

    while drained(sent):
        pass

    assert sent.sent == 250
    assert set(sent.messages.values_list("country", "provider")) == {
        ("CO", "memory:a"),
        ("MX", "memory:b"),
    }


def test_a_country_that_nobody_carries_any_more_waits_and_is_told(carriers, broadcast, caplog):
    carriers("")
    sent = broadcast(colombia=3, mexico=3)
    carriers("countries=CO")

    assert not drained(sent)

    assert (sent.sent, sent.queued, sent.status) == (3, 3, "RUNNING")
    (told,) = [record for record in caplog.records if record.msg == "no_provider_for_countries"]
    assert told.countries == ["MX"]


# --- failover -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure",
    [
        Unavailable("connection refused"),
        Unavailable("429", retry_after=900, gives_attempt_back=True),
        Misconfigured("suspended", "20005"),
    ],
)
def test_what_provably_never_left_goes_to_the_next_at_once(carriers, broadcast, failure):
    broken, working = carriers("weight=999999", "weight=1")
    sent = broadcast(5)
    answers(broken, sent, failure)

    while drained(sent):
        pass

    assert by_provider(sent) == {working.name: 5}
    assert set(sent.messages.values_list("attempts", flat=True)) == {1}
    assert sent.providers == [broken.name, working.name]


@pytest.mark.parametrize("failure", [Unclear("read timeout")])
def test_what_may_have_left_never_moves(carriers, broadcast, failure):
    broken, working = carriers("weight=999999", "weight=1")
    sent = broadcast(5)
    answers(broken, sent, failure)

    while drained(sent):
        pass

    assert (sent.unknown, sent.sent) == (5, 0)
    assert not working.messages


def test_what_two_could_not_take_waits_its_time(carriers, broadcast):
    both = carriers("", "")
    sent = broadcast(5)
    for provider in both:
        answers(provider, sent, *[Unavailable("connection refused")] * 9)

    drained(sent)

    assert set(sent.messages.values_list("attempts", flat=True)) == {1}
    assert min(sent.messages.values_list("next_attempt_at", flat=True)) > timezone.now()


def test_whoever_waited_moves_at_once_again(carriers, broadcast):
    first, second = carriers("weight=999999", "weight=1")
    sent = broadcast(5)
    answers(first, sent, *[Unavailable("connection refused")] * 2)
    answers(second, sent, Unavailable("connection refused"))
    drained(sent)
    Message.objects.update(next_attempt_at=timezone.now())

    drained(sent)

    assert by_provider(sent) == {second.name: 5}


def test_it_moves_only_where_the_other_carries_its_country(carriers, broadcast):
    everywhere, _mexican = carriers("weight=999999", "countries=MX&weight=1")
    sent = broadcast(colombia=2, mexico=2)
    answers(everywhere, sent, Unavailable("connection refused"))

    drained(sent)

    assert by_provider(sent) == {"memory:b": 2}
    waiting = sent.messages.get(recipient=COLOMBIA.format(0))
    assert (waiting.status, waiting.attempts) == ("QUEUED", 1)
    assert waiting.next_attempt_at > timezone.now()


def test_alone_it_has_to_wait(carriers, broadcast):
    (only,) = carriers("")
    sent = broadcast(1)
    answers(only, sent, Unavailable("connection refused"))

    drained(sent)

    message = sent.messages.get()
    assert (message.status, message.attempts) == ("QUEUED", 1)
    assert message.next_attempt_at > timezone.now()


# --- a busy carrier -------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", ["", "rate=100"])
@pytest.mark.parametrize(("asked", "held"), [(None, 1), (2, 2), (3_600, 30)])
def test_a_busy_carrier_is_held_back_as_it_asks_but_half_a_minute_at_most(
    carriers, broadcast, rate, asked, held
):
    (busy,) = carriers(rate)
    sent = broadcast(1)
    answers(busy, sent, *[Unavailable("429", retry_after=asked, gives_attempt_back=True)] * 9)

    drained(sent)

    wait = routing.bucket(busy).take(amount=1, patience=0).wait
    assert held - 2.5 <= wait <= held
    assert breaker.states([busy.name]) == {}
    rate_limits.forget_all()


def test_other_broadcasts_wait_for_a_busy_carrier_too(carriers, broadcast, send):
    (busy,) = carriers("")
    first = broadcast(1)
    answers(busy, first, Unavailable("429", retry_after=600, gives_attempt_back=True))
    drained(first)

    second = send(text="Another")

    assert not drained(second)
    assert second.sent == 0


# --- what one crash can leave unknown -------------------------------------------------------------


@pytest.mark.parametrize(("concurrency", "max_batch"), [(1, 1), (4, 1), (1, 5), (3, 7)])
def test_the_mark_covers_one_window_of_requests_and_nothing_else(
    carriers, broadcast, monkeypatch, settings, concurrency, max_batch
):
    (provider,) = carriers(f"concurrency={concurrency}")
    monkeypatch.setattr(provider, "max_batch", max_batch)
    sent = broadcast(60)
    settings.FAILPOINTS = "worker.after_mark=raise"

    with pytest.raises(Broken):
        delivery.drain(queue_id=sent.pk, lane=0)

    assert sent.messages.filter(status="SENDING").count() == concurrency * max_batch
    marked = sent.messages.exclude(submit_started_at=None)
    assert marked.count() == concurrency * max_batch


@pytest.mark.parametrize(("concurrency", "max_batch"), [(1, 1), (4, 1), (1, 5), (3, 7)])
def test_as_many_requests_as_allowed_run_at_once_each_as_full_as_allowed(
    carriers, broadcast, monkeypatch, concurrency, max_batch
):
    (provider,) = carriers(f"concurrency={concurrency}")
    monkeypatch.setattr(provider, "max_batch", max_batch)
    sent = broadcast(42)
    under_way, most, sizes, hand_over = 0, 0, [], provider.hand_over
    is_full = asyncio.Event()

    async def slow(batch, http):
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        sizes.append(len(batch.messages))
        if under_way == concurrency:
            is_full.set()
        await asyncio.wait_for(is_full.wait(), 30)
        under_way -= 1
        return await hand_over(batch, http)

    monkeypatch.setattr(provider, "hand_over", slow)
    while drained(sent):
        pass

    assert sent.sent == 42
    assert (most, max(sizes)) == (concurrency, max_batch)


def test_an_attempt_is_not_given_back_twice(carriers, broadcast):
    broken, _working = carriers("weight=999999", "weight=1")
    sent = broadcast(1)
    answers(broken, sent, *[Unavailable("429", gives_attempt_back=True)] * 2)

    while drained(sent):
        pass

    assert sent.messages.get().attempts == 1
    assert recording.MOST_ATTEMPTS == 8


def test_a_turn_names_what_it_knows_of_the_others(db, carriers):
    carriers("", "countries=MX")
    turn = chosen(without={"memory:b"})
    assert isinstance(turn, Turn)

    mexico = frozenset({"MX"})
    assert routing.elsewhere(kind="SMS", states=turn.states, without={"memory:a"}) == mexico
    assert routing.elsewhere(kind="SMS", states=turn.states, without={"memory:b"}) is None
    opened = {"memory:b": breaker.State(is_open=True)}
    assert routing.elsewhere(kind="SMS", states=opened, without={"memory:a"}) == frozenset()


def test_messages_are_never_given_to_a_provider_while_they_wait_for_a_later_moment(
    carriers, broadcast
):
    carriers("countries=CO", "")
    sent = broadcast(3)
    Message.objects.update(next_attempt_at=timezone.now() + timedelta(minutes=1))

    assert not drained(sent)

    assert sent.sent == 0

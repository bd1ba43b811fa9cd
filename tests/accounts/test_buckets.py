"""Tokens that come evenly, with Redis and without."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from accounts import rate_limits
from accounts.rate_limits import Bucket
from tests.accounts.test_rate_limits import redis, store

__all__ = ["store"]  # a fixture

pytestmark = pytest.mark.usefixtures("fresh_rate_limits")

LONG = 3_600.0  # seconds of patience that never run out


class Since:
    """Waits counted from here: tokens come meanwhile, so a slow test finds shorter ones."""

    def __init__(self) -> None:
        self.began = time.monotonic()

    def __call__(self, seconds: float) -> Any:
        """Return what equals a wait of so many seconds, less what may have passed since."""
        passed = time.monotonic() - self.began
        return pytest.approx(seconds - passed / 2, abs=passed / 2 + 0.05)


def test_after_a_pause_half_a_second_is_there_at_once_and_the_rest_comes_evenly(store: str) -> None:
    bucket, since = Bucket("a", rate=100), Since()

    waits = [bucket.take(amount=25, patience=LONG).wait for _time in range(6)]

    assert waits[:3] == [0, 0, 0]
    assert waits[3:] == [since(0.25), since(0.5), since(0.75)]


def test_nothing_is_granted_that_would_be_free_too_late(store: str) -> None:
    bucket, since = Bucket("a", rate=10), Since()
    bucket.take(amount=605, patience=0)  # half a second's worth, and a minute ahead

    refused = bucket.take(amount=1, patience=0.5)
    granted = bucket.take(amount=1, patience=LONG)

    assert (refused.granted, granted.granted) == (0, 1)
    assert refused.wait == since(60)
    assert granted.wait == since(60)


def test_whoever_asks_for_little_is_served_between_the_turns_of_others(store: str) -> None:
    bucket, since = Bucket("a", rate=100), Since()
    for _turn in range(6):
        bucket.take(amount=25, patience=LONG)

    assert bucket.take(amount=10, patience=LONG).wait == since(1)


def test_a_rate_below_one_a_second_gives_one_and_then_waits(store: str) -> None:
    bucket, since = Bucket("a", rate=0.2), Since()

    first, second = (bucket.take(amount=1, patience=LONG) for _time in range(2))

    assert first.wait == 0
    assert second.wait == since(4.5)


def test_what_is_given_back_is_free_again(store: str) -> None:
    bucket = Bucket("a", rate=10)
    bucket.take(amount=25, patience=0)

    bucket.give_back(20)

    assert bucket.take(amount=1, patience=0.5).granted == 1


def test_giving_back_to_a_bucket_that_nobody_took_from_changes_nothing(store: str) -> None:
    bucket, since = Bucket("a", rate=10), Since()

    bucket.give_back(1_000)

    waits = [bucket.take(amount=5, patience=LONG).wait for _time in range(3)]
    assert waits == [0, 0, since(0.5)]


def test_a_bucket_that_is_held_gives_nothing_until_then_and_no_burst_after(store: str) -> None:
    bucket, since = Bucket("a", rate=100), Since()

    bucket.hold(60)

    assert bucket.take(amount=1, patience=1).granted == 0
    waits = [bucket.take(amount=50, patience=LONG).wait for _time in range(2)]
    assert waits == [since(60), since(60.5)]


def test_holding_again_never_shortens_the_wait(store: str) -> None:
    bucket, since = Bucket("a", rate=100), Since()
    bucket.hold(60)

    bucket.hold(1)

    assert bucket.take(amount=1, patience=LONG).wait == since(60)


def test_without_a_rate_everything_is_there_unless_it_is_held(store: str) -> None:
    bucket = Bucket("a", rate=None)
    assert [bucket.take(amount=1_000, patience=0).wait for _time in range(3)] == [0, 0, 0]

    bucket.hold(60)

    assert bucket.take(amount=1, patience=1).granted == 0


def test_many_at_once_share_one_rate(store: str) -> None:
    bucket = Bucket("a", rate=100)
    started = time.monotonic()

    with ThreadPoolExecutor(8) as pool:
        turns = list(pool.map(lambda _n: bucket.take(amount=1, patience=0.5), range(400)))

    # Half a second's worth that was there, half a second's of patience, and what came meanwhile.
    elapsed = time.monotonic() - started
    assert 95 <= sum(turn.granted for turn in turns) <= 105 + 100 * elapsed


def test_a_bucket_that_was_written_by_mistake_does_not_close_for_ever() -> None:
    redis().set("rate:bucket:a", int((time.time() + 10 * 3_600) * 1e6))

    assert Bucket("a", rate=10).take(amount=1, patience=0).granted == 1


def test_redis_forgets_a_bucket_that_nobody_uses() -> None:
    Bucket("a", rate=10).take(amount=100, patience=LONG)
    Bucket("b", rate=10).hold(10)
    Bucket("a", rate=10).give_back(1)

    assert 60_000 < redis().pttl("rate:bucket:a") <= 70_000
    assert 60_000 < redis().pttl("rate:bucket:b") <= 70_000


def test_each_key_is_a_bucket_of_its_own(store: str) -> None:
    Bucket("a", rate=1).hold(100)

    assert Bucket("b", rate=1).take(amount=1, patience=0).granted == 1


def test_forgetting_opens_the_buckets_of_this_process() -> None:
    Bucket("a", rate=None).hold(100)

    rate_limits.forget_all()

    assert Bucket("a", rate=None).take(amount=1, patience=0).granted == 1

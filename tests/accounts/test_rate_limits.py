"""The one counter, with Redis and without."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured

from accounts import rate_limits
from accounts.rate_limits import Limit
from tests.faults.harness.waiting import until

pytestmark = pytest.mark.usefixtures("fresh_rate_limits")


@pytest.fixture(params=["Redis", "this process"])
def store(request: pytest.FixtureRequest, settings: Any) -> str:
    """Count in both places: what follows must hold for either."""
    if request.param == "this process":
        use_redis_at(settings, "redis://127.0.0.1:1/0")
    return str(request.param)


def redis() -> Any:
    """Return the client of the Redis that the counter uses."""
    backend: Any = caches["default"]
    return backend._cache.get_client()


def use_redis_at(settings: Any, location: str) -> None:
    settings.CACHES = {"default": {**settings.CACHES["default"], "LOCATION": location}}


@pytest.fixture
def silent_server() -> Iterator[socket.socket]:
    """One that lets whoever calls wait, and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        server.settimeout(0)
        yield server


def test_it_grants_up_to_the_limit_and_no_more(store: str) -> None:
    began = time.monotonic()

    taken = [rate_limits.take("a", limit=Limit(3, 60)) for _time in range(5)]

    passed = time.monotonic() - began
    assert [one.granted for one in taken] == [1, 1, 1, 0, 0]
    assert [one.remaining for one in taken] == [2, 1, 0, 0, 0]
    assert all(59 - passed <= one.resets_in <= 60 for one in taken)


def test_it_grants_a_part_of_what_is_asked(store: str) -> None:
    first = rate_limits.take("a", limit=Limit(100, 60), amount=80)
    second = rate_limits.take("a", limit=Limit(100, 60), amount=80)

    assert (first.granted, first.remaining) == (80, 20)
    assert (second.granted, second.remaining) == (20, 0)


def test_each_key_has_its_own_window(store: str) -> None:
    rate_limits.take("a", limit=Limit(1, 60))

    assert rate_limits.take("b", limit=Limit(1, 60)).granted == 1


def test_the_window_ends(store: str) -> None:
    began = time.monotonic()
    rate_limits.take("a", limit=Limit(1, 1))
    soon = rate_limits.take("a", limit=Limit(1, 1))
    passed = time.monotonic() - began

    assert soon.granted == 0 or passed >= 1
    until(lambda: rate_limits.take("a", limit=Limit(1, 1)).granted == 1, 60)


def test_what_is_given_back_can_be_taken_again(store: str) -> None:
    rate_limits.take("a", limit=Limit(1, 60))

    rate_limits.give_back("a")

    assert rate_limits.take("a", limit=Limit(1, 60)).granted == 1


def test_giving_back_more_than_was_taken_adds_nothing(store: str) -> None:
    for _time in range(3):
        rate_limits.give_back("a")

    taken = [rate_limits.take("a", limit=Limit(1, 60)).granted for _time in range(3)]
    assert taken == [1, 0, 0]


def test_many_at_once_get_no_more_than_the_limit(store: str) -> None:
    with ThreadPoolExecutor(16) as pool:
        taken = list(
            pool.map(lambda _n: rate_limits.take("a", limit=Limit(50, 60)).granted, range(200))
        )

    assert sum(taken) == 50


def test_a_window_without_an_end_gets_one() -> None:
    rate_limits.take("a", limit=Limit(1, 60))
    redis().persist("rate:a")

    assert rate_limits.take("a", limit=Limit(1, 60)).resets_in <= 60
    assert redis().pttl("rate:a") > 0


def test_a_redis_that_does_not_answer_costs_one_second_once(
    settings: Any, silent_server: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate_limits, "_LOCAL_FOR", 3_600)  # however slow the machine
    use_redis_at(settings, f"redis://127.0.0.1:{silent_server.getsockname()[1]}/0")

    started = time.monotonic()
    first = rate_limits.take("a", limit=Limit(2, 60))
    waited = time.monotonic() - started
    rest = [rate_limits.take("a", limit=Limit(2, 60)).granted for _time in range(20)]

    assert first.granted == 1
    assert waited < 30  # a good machine needs one; without a limit it would be for ever
    assert sum(rest) == 1
    silent_server.accept()[0].close()
    with pytest.raises(BlockingIOError):  # nobody asked a second time
        silent_server.accept()


def test_redis_is_tried_again_after_a_while(settings: Any) -> None:
    working = settings.CACHES["default"]["LOCATION"]
    use_redis_at(settings, working)
    rate_limits._outages[working] = time.monotonic() + 3_600
    rate_limits.take("a", limit=Limit(5, 60))
    assert redis().get("rate:a") is None

    rate_limits._outages[working] = time.monotonic()
    rate_limits.take("a", limit=Limit(5, 60))

    assert redis().get("rate:a") == b"1"


def test_the_process_forgets_windows_that_ended() -> None:
    windows = rate_limits._Windows()
    for number in range(10_002):
        windows.take(f"{number}", limit=Limit(1, 0), amount=1)

    windows.take("last", limit=Limit(1, 60), amount=1)

    assert len(windows._used) < 10


@pytest.mark.parametrize(
    ("written", "limit"),
    [
        ("100/min", Limit(100, 60)),
        ("5/s", Limit(5, 1)),
        ("7/hour", Limit(7, 3600)),
        ("1/day", Limit(1, 86_400)),
        ("off", None),
    ],
)
def test_a_limit_is_read_as_written(written: str, limit: Limit | None) -> None:
    assert Limit.read(written) == limit


@pytest.mark.parametrize(
    "written", ["", "100", "0/min", "-1/min", "100/fortnight", "100 / min", "1.5/s", "OFF"]
)
def test_a_limit_that_cannot_be_read_says_how_to_write_it(written: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="100/min"):
        Limit.read(written)

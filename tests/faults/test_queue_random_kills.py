"""B29: processes killed and paused at random over 20,000 messages. Nothing lost, nothing doubled."""

from collections.abc import Callable

import pytest

from tests.faults.harness.havoc import Damage, Havoc
from tests.faults.harness.stack import ACCOUNT, Stack
from tests.figures import figure

MESSAGES = 20_000
WINDOW = 10  # requests in flight of one process
PROVIDER = (
    f"twilio://{ACCOUNT}@api.twilio.com?from=%2B15005550006"
    f"&concurrency={WINDOW}&base_url={{carrier}}"
)


def havoc(
    own_stack: Callable[..., Stack], *, kills: int, pauses: int, latency: float, timings: str
) -> Damage:
    """Wreak it on six processes that all work on one broadcast, and print what came of it."""
    stack = own_stack(pool=6, SMS_PROVIDERS=PROVIDER, DELIVERY_LANES="6", PREGON_TIMINGS=timings)
    house = stack.house(contacts=MESSAGES)
    # A carrier as far away as a real one: at any moment some process is in its calls.
    stack.worker.carrier.latency(latency)
    queue_id = house.send("Hola")

    lease = 6.0 if timings else 60.0
    wreck = Havoc(stack, house, kills=kills, pauses=pauses, lease=lease, seed=20_261_123)
    damage = wreck.wreak(queue_id)

    name = f"B29: {MESSAGES:,} messages, {kills} kills, {pauses} pauses"
    figure(f"{name}, lost", damage.lost, "0")
    figure(f"{name}, doubled", damage.doubled, "0")
    figure(f"{name}, unknown meanwhile", damage.given_up, f"at most {(kills + pauses) * WINDOW}")
    figure(f"{name}, unknown in the end", damage.unknown, f"at most {kills * WINDOW}")
    figure(f"{name}, unknown though reported", damage.unknown_though_reported, "0")
    figure(f"{name}, seconds", f"{damage.seconds:.0f}", "as it comes")
    return damage


def check(damage: Damage) -> None:
    assert damage.lost == 0
    assert damage.doubled == 0
    assert damage.unknown <= damage.kills * WINDOW
    assert damage.unknown_though_reported == 0


def test_B29_forty_kills_and_twelve_pauses_lose_nothing_and_double_nothing(own_stack):
    check(havoc(own_stack, kills=40, pauses=12, latency=0.015, timings="tenth"))


@pytest.mark.soak
def test_B29_two_hundred_kills_and_fifty_pauses(own_stack):
    check(havoc(own_stack, kills=200, pauses=50, latency=0.1, timings=""))

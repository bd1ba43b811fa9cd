"""Half an hour of faults, one every twenty seconds, under a steady load; with undivided durations."""

import contextlib
import os
import random
import signal
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import psutil
import pytest

from tests.faults.harness.houses import House
from tests.faults.harness.parts import Part
from tests.faults.harness.stack import Stack
from tests.figures import figure

EVERY = 20.0  # seconds
MOST_GROWTH = 1.0  # MB a minute
LONGEST_IDLE = 1.0  # seconds a transaction may stand open and do nothing

_IDLE = """
SELECT extract(epoch FROM max(clock_timestamp() - state_change)) FROM pg_stat_activity
WHERE state = 'idle in transaction' AND datname = 'pregon'
"""


class Soak:
    """The load, the faults and the measures of one soak."""

    def __init__(self, stack: Stack, *, seed: int) -> None:
        self.stack = stack
        self.chance = random.Random(seed)
        self.houses = [stack.house(contacts=500, credits_=10**9) for _ in range(3)]
        self.sent: list[tuple[House, UUID]] = []
        # Of each part: minutes, MB.
        self.memory: dict[str, list[tuple[float, float]]] = {part.name: [] for part in stack.ours}
        self.longest_idle = 0.0
        self.faults: list[Callable[[], object]] = [
            self.kill_a_child,
            self.pause_a_child,
            lambda: self.for_a_while(stack.broker.refuse),
            lambda: self.for_a_while(stack.broker.blackhole),
            lambda: self.for_a_while(stack.worker.carrier.blackhole),
            lambda: self.for_a_while(lambda: stack.worker.carrier.drop_reply(times=20)),
            lambda: self.for_a_while(stack.callbacks.refuse),
            stack.broker.reset_all,
            stack.database.reset_all,
            stack.restart_postgresql,
            lambda: stack.restart_valkey(empty=True),
        ]

    def run(self, minutes: float) -> None:
        began = time.monotonic()
        next_fault = began + EVERY
        while (now := time.monotonic()) < began + minutes * 60:
            self.send()
            self.measure((now - began) / 60)
            self.stack.revive()
            if now >= next_fault:
                next_fault += EVERY
                self.chance.choice(self.faults)()
            time.sleep(2)

    def send(self) -> None:
        house = self.chance.choice(self.houses)
        answer = house.client.send("Hola", may_break=True)
        if answer.status == 201:
            self.sent.append((house, answer.queue_id))

    def measure(self, minute: float) -> None:
        for part in self.stack.ours:
            if part.is_running:  # else it is about to be started again
                self.memory[part.name].append((minute, _memory(part) / 2**20))
        with contextlib.suppress(Exception):  # the database is away, on purpose
            [(seconds,)] = self.stack.sql(_IDLE)
            self.longest_idle = max(self.longest_idle, float(seconds or 0))

    def kill_a_child(self) -> None:
        self._child(signal.SIGKILL)

    def pause_a_child(self) -> None:
        pid = self._child(signal.SIGSTOP)
        time.sleep(5)
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _child(self, number: signal.Signals) -> int:
        children = self.stack.worker.children()
        if not children:
            return 0
        pid = self.chance.choice(children)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        return pid

    def for_a_while(self, fault: Callable[[], object]) -> None:
        with fault():  # type: ignore[attr-defined]  # every fault is a block
            end = time.monotonic() + 8
            while time.monotonic() < end:
                self.send()
                time.sleep(2)

    def growth(self) -> dict[str, float]:
        """Return by how many MB a minute each part grew, once it had warmed up."""
        return {
            name: statistics.linear_regression(*zip(*sizes[len(sizes) // 3 :], strict=True)).slope
            for name, sizes in self.memory.items()
        }


def _memory(part: Part) -> int:
    total = 0
    for pid in (part.pid, *part.children()):
        with contextlib.suppress(psutil.NoSuchProcess):
            # What several share counts once: a forked child comes to hold more of its own as it works.
            total += psutil.Process(pid).memory_full_info().pss
    return total


@pytest.mark.soak
def test_faults_every_twenty_seconds_for_half_an_hour(own_stack, request):
    minutes = float(request.config.getoption("--soak-minutes"))
    stack = own_stack(PREGON_TIMINGS="")
    soak = Soak(stack, seed=20_261_123)

    soak.run(minutes)

    stack.mend()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda sent: sent[0].wait_until_sent(sent[1], seconds=900), soak.sent))
    growth = soak.growth()
    figure(f"soak of {minutes:g} minutes, broadcasts accepted", len(soak.sent), "as it comes")
    for name, mb in growth.items():
        figure(f"soak of {minutes:g} minutes, memory of the {name}, MB a minute", f"{mb:.2f}", "")
    whole = sum(growth.values())
    figure(f"soak of {minutes:g} minutes, memory of all, MB a minute", f"{whole:.2f}", "1")
    figure("soak, longest idle in transaction, seconds", f"{soak.longest_idle:.2f}", "1")
    assert whole < MOST_GROWTH
    assert soak.longest_idle <= LONGEST_IDLE

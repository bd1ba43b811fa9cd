"""Killing and pausing a worker's pool at random while a broadcast is delivered, and counting the damage."""

import contextlib
import os
import random
import signal
import time
from collections import Counter
from dataclasses import dataclass
from uuid import UUID

import psutil

from tests.faults.harness.houses import House
from tests.faults.harness.stack import Stack
from tests.faults.harness.waiting import until


@dataclass
class Damage:
    """What was done, and what came of it."""

    kills: int
    pauses: int
    lost: int  # neither taken by the carrier nor shown as unknown or waiting
    doubled: int  # accepted more than once by the carrier
    given_up: int  # were UNKNOWN at some time because a process died or slept in its call
    unknown: int  # are so in the end
    unknown_though_reported: int
    seconds: float


class Havoc:
    """`kills` times SIGKILL and `pauses` times SIGSTOP beyond the lease, each to a child drawn by lot.

    They are spread over the delivery of one broadcast by its progress, so that the last ones meet it
    still at work on a machine of any speed.
    """

    def __init__(
        self, stack: Stack, house: House, *, kills: int, pauses: int, lease: float, seed: int
    ) -> None:
        self.stack, self.house, self.lease = stack, house, lease
        self.kills, self.pauses = kills, pauses
        self.chance = random.Random(seed)
        self.asleep: list[tuple[float, int]] = []  # when to wake whom

    def wreak(self, queue_id: UUID) -> Damage:
        """Do all of it while the broadcast runs, wait for its end, and return the damage."""
        began = time.monotonic()
        acts = ["kill"] * self.kills + ["pause"] * self.pauses
        self.chance.shuffle(acts)
        total = self.house.broadcast(queue_id, "messages_total")
        for number, act in enumerate(acts):
            # The last tenth is for what was left behind.
            self._wait_for_progress(queue_id, int(total * 0.9 * number / len(acts)))
            self._do(act)
            time.sleep(self.chance.uniform(0.0, 0.3))
        until(self._is_everybody_awake, 150, "everybody who was paused goes on")
        self._wait_for_progress(queue_id, total, seconds=600)
        self._wait_for_reports(queue_id)
        return self._damage(queue_id, time.monotonic() - began)

    def _wait_for_progress(self, queue_id: UUID, least: int, *, seconds: float = 300) -> None:
        def is_far_enough() -> bool:
            self._is_everybody_awake()
            self.house.resume_if_paused(queue_id)
            statuses = self.house.statuses(queue_id)
            return sum(statuses.values()) - statuses["QUEUED"] - statuses["SENDING"] >= least

        until(is_far_enough, seconds, f"{least} messages are settled")

    def _do(self, act: str) -> None:
        asleep = {pid for _, pid in self.asleep}
        children = [pid for pid in self.stack.worker.children() if pid not in asleep]
        if not children:
            return self._do_after_a_while(act)
        pid = self.chance.choice(children)
        with contextlib.suppress(ProcessLookupError):
            if act == "kill":
                os.kill(pid, signal.SIGKILL)
                return None
            os.kill(pid, signal.SIGSTOP)
            self.asleep.append((time.monotonic() + self.lease * self.chance.uniform(1.1, 1.3), pid))
            return None
        return self._do_after_a_while(act)

    def _do_after_a_while(self, act: str) -> None:
        time.sleep(0.1)
        self._is_everybody_awake()
        self._do(act)

    def _is_everybody_awake(self) -> bool:
        now = time.monotonic()
        for until_when, pid in list(self.asleep):
            if until_when <= now or not psutil.pid_exists(pid):
                self.asleep.remove((until_when, pid))
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
        return not self.asleep

    def _wait_for_reports(self, queue_id: UUID) -> None:
        taken = {id_ for id_, times in self.house.accepted(queue_id).items() if times}
        until(
            lambda: self.house.statuses(queue_id)["DELIVERED"] >= len(taken),
            180,
            "every report of the carrier is applied",
        )

    def _damage(self, queue_id: UUID, seconds: float) -> Damage:
        accepted = self.house.accepted(queue_id)
        rows = dict(
            self.stack.sql(
                "SELECT id, status FROM messaging_message WHERE broadcast_id = %s", queue_id
            )
        )
        statuses = Counter(rows.values())
        [(given_up,)] = self.stack.sql(
            "SELECT count(DISTINCT e.message_id) FROM messaging_messageevent e"
            " JOIN messaging_message m ON m.id = e.message_id"
            " WHERE m.broadcast_id = %s AND e.kind = 'UNKNOWN'",
            queue_id,
        )
        return Damage(
            kills=self.kills,
            pauses=self.pauses,
            lost=sum(
                1 for id_, status in rows.items() if not accepted[id_] and status != "UNKNOWN"
            ),
            doubled=sum(1 for times in accepted.values() if times > 1),
            given_up=given_up,
            unknown=statuses["UNKNOWN"],
            unknown_though_reported=sum(
                1 for id_, status in rows.items() if accepted[id_] and status == "UNKNOWN"
            ),
            seconds=seconds,
        )

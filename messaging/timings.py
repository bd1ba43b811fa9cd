"""How long things may take on the way to a provider: one set of durations, in seconds."""

from dataclasses import dataclass, fields
from typing import Final

from django.conf import settings


@dataclass(frozen=True, slots=True)
class Timings:
    """All durations of delivery, in seconds. Tests divide the whole set by ten, never one alone."""

    lease: float = 60  # a claimed message belongs to its drain this long
    margin: float = 20  # a mark needs this much left of the lease: longer than connect + read
    connect: float = 3
    read: float = 10
    drain: float = 2  # a drain takes no new work after this
    sweep: float = 2  # the dispatcher's beat
    wake_again: float = (
        10  # a broadcast with due messages that was not woken for this long is woken
    )
    record_retry: float = 40  # results are offered to a dead database this long
    publish: float = 3  # the longest a broker may hold up whoever wakes a worker
    publish_pause: float = 5  # after a failure this process does not try the broker again
    validity: float = 4 * 3600  # a message that was tried once may wait this long for the next try
    backoff: float = 5  # doubled with every attempt
    backoff_most: float = 600
    retry_after_least: float = 1  # what a provider asks for is kept within these two
    retry_after_most: float = 900
    repair: float = 30  # what an account that needs repair could not hand over waits this long
    breaker_open: float = 30  # a credential that failed gets nothing this long, then one request
    report_again: float = 2  # a report that came too early is looked at again
    look_up_first: float = 30  # the provider is asked what became of an unknown message
    look_up_most: float = 3600  # ever more rarely, at least this often
    unknown_released: float = 72 * 3600  # then the credits of an unknown outcome go back
    dispatcher_late: float = 30  # a dispatcher that has not shown itself for this long is late
    dispatcher_stuck: float = 300  # one that ended no sweep for this long ends itself
    canary: float = 60  # a worker that took nothing for this long while something waits is stuck
    audit: float = 600  # the invariants are checked this often

    def tenth(self) -> "Timings":
        return Timings(**{field.name: getattr(self, field.name) / 10 for field in fields(self)})


TIMINGS: Final = Timings().tenth() if settings.TIMINGS == "tenth" else Timings()

"""Named moments at which a test can break this process. Without PREGON_FAILPOINTS none of them does anything.

PREGON_FAILPOINTS is a list separated by commas, each `point=action`, with `@n` for the n-th hit alone
(else every hit) and `?word` for hits whose `about` contains the word (the broadcast's text or id):

    worker.after_mark=kill@3,api.after_commit=raise,worker.on_task=kill?poison,api.after_insert=barrier:/tmp/go

`PREGON_FAILPOINTS=folder:/path` lets a test choose while processes run: the file `/path/worker.after_mark`
holds an action, with `?word` if need be. Of all processes the first to come by takes the file (it becomes
`worker.after_mark.taken`) and acts; with `*` before the action the file stays, and everybody acts.

Actions: `kill` (SIGKILL to this process), `stop` (SIGSTOP to it), `raise`, `sleep:SECONDS`, and
`barrier:PATH`, which says "reached" by making PATH.reached and waits until PATH exists. Production
refuses to start with any.
"""

import os
import re
import signal
import time
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

POINTS: Final = frozenset(
    {
        "api.after_insert",  # messages and skips are written, nothing is reserved
        "api.after_reserve",
        "api.before_commit",
        "api.after_commit",  # nobody was woken yet
        "api.after_publish",  # nothing was answered yet
        "worker.on_task",
        "worker.after_claim",
        "worker.after_mark",
        "worker.after_connect",  # the request begins to leave
        "worker.after_http_ok",  # the answers are there, nothing is recorded
        "worker.mid_record",  # written, not committed
        "worker.after_record",
        "report.after_verify",
        "report.after_inbox",  # kept, not answered
        "report.after_apply",
        "sweep.mid",
    }
)
BARRIER_LIMIT: Final = 120.0  # seconds, after which a forgotten barrier lets go

_WRITTEN: Final = re.compile(
    r"(?P<point>[a-z_.]+)=(?P<action>kill|stop|raise|sleep|barrier)(:(?P<detail>[^,@?]+))?"
    r"(\?(?P<about>[^,@]+))?(@(?P<hit>[1-9][0-9]*))?"
)


_FOLDER: Final = "folder:"


class Broken(RuntimeError):
    """A failpoint broke this on purpose."""


@dataclass(frozen=True, slots=True)
class _Failpoint:
    point: str
    action: str
    detail: str
    about: str
    hit: int  # 0: every one


_hits: Final[Counter[_Failpoint]] = Counter()


def failpoint(point: str, about: object = "") -> None:
    """Do what PREGON_FAILPOINTS says of this moment: by default nothing.

    Raises: Broken where it is told to; ImproperlyConfigured when the variable cannot be read.
    """
    if not settings.FAILPOINTS:
        return
    if settings.FAILPOINTS.startswith(_FOLDER):
        _act_once(Path(settings.FAILPOINTS.removeprefix(_FOLDER)) / point, point, about)
        return
    for found in _read(settings.FAILPOINTS):
        if found.point == point and found.about in str(about):
            _hits[found] += 1
            if found.hit in {0, _hits[found]}:
                _act(found)


def _act_once(file: Path, point: str, about: object) -> None:
    try:
        written = file.read_text().strip()
        (found,) = _read(f"{point}={written.removeprefix('*')}")
        if found.about not in str(about):
            return
        if not written.startswith("*"):
            file.rename(file.with_name(f"{file.name}.taken"))
    except FileNotFoundError:
        return  # nobody asked for anything here, or another process was faster
    _act(found)


@lru_cache(maxsize=8)
def _read(written: str) -> tuple[_Failpoint, ...]:
    points = []
    for part in written.split(","):
        found = _WRITTEN.fullmatch(part.strip())
        if not found or found["point"] not in POINTS:
            raise ImproperlyConfigured(
                f"PREGON_FAILPOINTS: {part!r} is no point with an action, as worker.after_mark=kill@3."
            )
        points.append(
            _Failpoint(
                found["point"],
                found["action"],
                found["detail"] or "",
                found["about"] or "",
                int(found["hit"] or 0),
            )
        )
    return tuple(points)


def _act(found: _Failpoint) -> None:
    match found.action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "raise":
            raise Broken(found.point)
        case "sleep":
            time.sleep(float(found.detail))
        case "barrier":
            _wait_at(Path(found.detail))


def _wait_at(barrier: Path) -> None:
    barrier.with_name(f"{barrier.name}.reached").touch()
    until = time.monotonic() + BARRIER_LIMIT
    while not barrier.exists() and time.monotonic() < until:
        time.sleep(0.01)

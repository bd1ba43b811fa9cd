"""What a provider's dialect is made of: the same few functions for each, one file a dialect."""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiohttp import web


class Told(NamedTuple):
    """What a delivery report tells."""

    provider_id: str
    recipient: str  # E.164
    word: str  # delivered, undelivered, failed, sent, queued, or what a rule says
    code: str
    message_id: str | None  # hexadecimal, as the request named it
    at: float = 0.0  # when the message was taken, seconds since 1970
    is_known: bool = True  # else the id is one that nobody gave out


class Written(NamedTuple):
    """Somebody's SMS to a number of ours."""

    provider_id: str
    sender: str  # E.164
    recipient: str
    text: str


class Call(NamedTuple):
    """A request to the site, ready to be posted."""

    url: str
    body: bytes
    headers: Mapping[str, str]


@dataclass(slots=True, eq=False)
class Sender:
    """Where one account wants its reports, and how it signs: shared by all its messages."""

    dialect: "Dialect"
    account: str
    token: str
    number: str  # name or messaging service
    address: str  # the callback without its query
    away: bool = False  # nobody listens there
    parked: deque[Any] = field(default_factory=deque)  # reports that wait meanwhile


class Envelope(NamedTuple):
    """Where a call to the site goes, on whose behalf, and whether it is genuine."""

    sender: Sender
    url: str
    is_signed: bool  # as the site can check; else as a stranger would call

    @property
    def token(self) -> str:
        """What to sign with."""
        return self.sender.token if self.is_signed else f"not-{self.sender.token}"


@dataclass(frozen=True, slots=True, eq=False)
class Dialect:
    """How one provider speaks. To add another, write a file with these functions and list it."""

    slug: str
    own_ids: str  # what the ids that it gives begin with
    routes: Callable[[], list[web.RouteDef]]  # what it answers to
    report: Callable[[Envelope, Sequence[Told]], Call]  # the call that reports on messages
    inbound: Callable[[Envelope, Written], Call]  # the call that hands over somebody's SMS
    reports_at_once: int = 1  # in one call, where they go to the same address

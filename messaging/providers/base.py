"""What every provider is: a batch in, one result a message out, whatever happens in between.

The base runs the send and the look-up. An HTTP provider fills the holes: `build` the request, `parse`
the answer; for callbacks `verify`, `read_reports` and `read_inbound`; where a message can be found
again `build_look_up` and `parse_look_up`. To add one, follow "Adding a provider" in CONTRIBUTING.
"""

import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Final, Literal, Self, TypeAlias
from uuid import UUID

import aiohttp

from messaging.providers import references, signing, wire
from messaging.providers.callbacks import MAX_BODY, Callback, Inbound, InvalidReport, Report
from messaging.providers.credentials import (
    Capacity,
    Credential,
    InvalidProviderURL,
    ProviderURL,
    is_this_machine,
)
from messaging.providers.lookups import Found, Handed, LookUpFailed
from messaging.providers.results import (
    Accepted,
    Misconfigured,
    Refused,
    Result,
    Unavailable,
    Unclear,
)
from messaging.providers.wire import Reply, Request, http_session

__all__ = [
    "Accepted",
    "Batch",
    "Callback",
    "Capacity",
    "Credential",
    "Found",
    "HTTPProvider",
    "Handed",
    "Inbound",
    "InvalidProviderURL",
    "InvalidReport",
    "Kind",
    "LookUpFailed",
    "Misconfigured",
    "Outgoing",
    "Provider",
    "ProviderURL",
    "Refused",
    "Reply",
    "Report",
    "Request",
    "Result",
    "Unavailable",
    "Unclear",
    "http_session",
    "is_this_machine",
    "printable",
]

logger = logging.getLogger(__name__)

Kind: TypeAlias = Literal["SMS", "OTP", "FLASH"]

_UNFIT: Final = re.compile("[\x00-\x1f\x7f\ud800-\udfff]+")
_NUMBERS: Final = re.compile(r"\d{4,}(?=\d{3})")
_NOT_BUILT: Final = Unavailable("our own request could not be built", internal=True)


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message about to be handed over."""

    id: UUID
    recipient: str = field(repr=False)  # E.164
    callback_url: str = field(repr=False)  # carries our signed message id
    again_at: datetime | None = None  # the moment of this time, where it was handed over before

    @property
    def reference(self) -> str:
        """Return the id for a carrier that takes one of ours: another each time."""
        return references.of(self.id, self.again_at)


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages that share a text, at most the provider's `max_batch` of them."""

    messages: Sequence[Outgoing]
    text: str = field(repr=False)
    kind: Kind


class Provider(ABC):
    """One credential at one carrier, and what may be handed to it.

    What a provider can do is declared here and asked by these names, never by the provider's own.
    """

    slug: ClassVar[str]  # the name of its folder, of its URL scheme, and in callback addresses
    kinds: ClassVar[frozenset[Kind]] = frozenset({"SMS"})
    max_segments: ClassVar[int | None] = None
    max_characters: ClassVar[int | None] = None  # UTF-16 code units, which is how carriers count
    idempotent_submit: ClassVar[bool] = False  # the same message twice is taken once
    lookup: ClassVar[bool] = False  # `look_up` can find a message again
    max_callback: ClassVar[int] = MAX_BODY  # bytes of a callback's body that are read
    max_batch: int = 1  # messages a request, at most 100

    def __init__(self, credential: Credential, capacity: Capacity | None = None) -> None:
        capacity = capacity or Capacity()
        self.credential = credential
        self.concurrency = capacity.concurrency
        self.rate = capacity.rate
        self.weight = capacity.weight
        self.countries = capacity.countries

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @classmethod
    @abstractmethod
    def from_url(cls, url: ProviderURL) -> Self:
        """Return the provider that one URL of SMS_PROVIDERS describes.

        Raises: InvalidProviderURL.
        """

    @property
    def name(self) -> str:
        """Return `slug:account`: tells credentials apart and holds no secret."""
        return f"{self.slug}:{self.credential.account}"

    @property
    def simulated(self) -> bool:
        """Return whether what is handed to it reaches no phone: of no use in production."""
        return False

    @property
    def inbound_url(self) -> str:
        """Return the address to enter at the carrier, so that it tells us what people write."""
        return signing.door(self.slug, "inbound")

    def carries(self, kind: str, country: str = "") -> bool:
        """Return whether it takes messages of this kind, to this country.

        Without a country: whether it takes the kind at all. Where a number belongs to no country,
        ask for "ZZ": only a provider for everywhere carries it.
        """
        return kind in self.kinds and (
            not country or not self.countries or country in self.countries
        )

    async def send(self, batch: Batch, http: aiohttp.ClientSession) -> Mapping[UUID, Result]:
        """Hand the batch over once and return one result for each of its messages.

        Nothing escapes but CancelledError. A message for which nothing is known is Unclear: a
        marked row without a result would wait for the end of its lease to learn the same.
        """
        try:
            results = await self.hand_over(batch, http)
        except Exception as error:  # noqa: BLE001 - whatever it is, these messages may have left
            self._log_defect("provider_send_failed", error)
            results = {}
        own = {message.id for message in batch.messages}
        self._report_foreign(len(results.keys() - own))
        nothing = Unclear("the provider's answer does not name this message")
        return {message_id: results.get(message_id, nothing) for message_id in own}

    @abstractmethod
    async def hand_over(self, batch: Batch, http: aiohttp.ClientSession) -> Mapping[UUID, Result]:
        """Hand the batch over once and return what became of it."""

    def verify(self, callback: Callback) -> bool:  # noqa: ARG002 - whatever it is
        """Return whether this credential's carrier signed the callback. Without a carrier: never.

        Raises: InvalidReport when it carries a signature and cannot be read.
        """
        return False

    def read_reports(self, callback: Callback) -> list[Report]:  # noqa: ARG002 - whatever it is
        """Return the reports of a verified callback.

        Raises: InvalidReport.
        """
        raise InvalidReport(f"{self.slug} sends no reports.")

    def read_inbound(self, callback: Callback) -> list[Inbound]:  # noqa: ARG002 - whatever it is
        """Return what people wrote, from a verified callback.

        Raises: InvalidReport.
        """
        raise InvalidReport(f"{self.slug} receives no messages.")

    async def look_up(self, handed: Handed, http: aiohttp.ClientSession) -> list[Found]:  # noqa: ARG002 - whatever it is
        """Return the carrier's messages that may be this one. None proves nothing.

        One that is certain is this message. Of those that are not, several may be returned, and
        each may be another message of ours with the same number and text: leave out those whose id
        another message has, and believe what is left only if it is one alone.

        Raises: LookUpFailed when the carrier could not be asked.
        """
        raise LookUpFailed(f"{self.slug} cannot be asked about a message.")

    def _report_foreign(self, count: int) -> None:
        if count:
            logger.error("provider_foreign_results", extra={"provider": self.name, "count": count})

    def _log_defect(self, event: str, error: Exception) -> None:
        """Log our own mistake by its kind and place: its message could hold a number or a text."""
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        where = f"{Path(frame.tb_frame.f_code.co_filename).name}:{frame.tb_lineno}" if frame else ""
        logger.error(
            event, extra={"provider": self.name, "error": type(error).__name__, "where": where}
        )


class HTTPProvider(Provider):
    """A provider that is one POST and one JSON answer away."""

    @abstractmethod
    def build(self, batch: Batch) -> Request:
        """Return the request that hands over this batch. What raises here was not sent."""

    @abstractmethod
    def parse(self, reply: Reply, payload: object, batch: Batch) -> Mapping[UUID, Result]:
        """Return what the answer says of each message, matched by our reference, not by position.

        Leave out what the answer does not tell: `by_status` then decides. `payload` is the reply's
        JSON, of whatever shape.
        """

    @abstractmethod
    def verify(self, callback: Callback) -> bool: ...

    @abstractmethod
    def read_reports(self, callback: Callback) -> list[Report]: ...

    @abstractmethod
    def read_inbound(self, callback: Callback) -> list[Inbound]: ...

    def build_look_up(self, handed: Handed) -> Request:
        """Return the GET that asks for this message, where `lookup` is declared."""
        raise NotImplementedError(f"{type(self).__name__} lacks build_look_up.")

    def parse_look_up(self, payload: object, handed: Handed) -> list[Found]:
        """Return what the JSON of a 2xx answer tells of this message.

        Raises: LookUpFailed when it is not of the documented shape.
        """
        raise NotImplementedError(f"{type(self).__name__} lacks parse_look_up.")

    async def look_up(self, handed: Handed, http: aiohttp.ClientSession) -> list[Found]:
        if not self.lookup:
            return await super().look_up(handed, http)
        try:
            reply = await wire.exchange(http, self.build_look_up(handed))
        except (wire.NeverSent, wire.ReplyLost) as error:
            raise LookUpFailed(str(error)) from error
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing was learnt
            self._log_defect("provider_look_up_not_built", error)
            raise LookUpFailed("our own look-up could not be built") from None
        return self.judge_look_up(reply, handed)

    def judge_look_up(self, reply: Reply, handed: Handed) -> list[Found]:
        """Return what a reply tells of a message that was looked up.

        Raises: LookUpFailed, and nothing else.
        """
        if not 200 <= reply.status < 300:
            raise LookUpFailed(f"answered {reply.status}", wire.retry_after(reply.headers))
        try:
            return self.parse_look_up(reply.payload(), handed)
        except LookUpFailed:
            raise
        except wire.ReplyLost as error:
            raise LookUpFailed(str(error)) from error
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing was learnt
            self._log_defect("provider_look_up_not_parsed", error)
            raise LookUpFailed("the answer could not be read") from None

    async def hand_over(self, batch: Batch, http: aiohttp.ClientSession) -> Mapping[UUID, Result]:
        results = _for_all(batch, _NOT_BUILT)
        request = self._built(batch)
        if request is None and len(batch.messages) > 1:
            # One message that cannot be put into words does not hold up its siblings.
            fit = [m for m in batch.messages if self._built(replace(batch, messages=[m]))]
            batch = replace(batch, messages=fit)
            request = self._built(batch) if fit else None
        if request is None:
            return results
        try:
            reply = await wire.exchange(http, request)
        except wire.NeverSent as error:
            return results | _for_all(batch, Unavailable(str(error)))
        except wire.ReplyLost as error:
            return results | _for_all(batch, Unclear(str(error)))
        return results | self.judge(reply, batch)

    def judge(self, reply: Reply, batch: Batch) -> dict[UUID, Result]:
        """Return what a reply means for each message of the batch. Never raises."""
        found: Mapping[UUID, Result] = {}
        if not reply.is_redirect:
            try:
                found = self.parse(reply, reply.payload(), batch)
            except wire.ReplyLost:
                pass  # an error page is no JSON; its status still tells something
            except Exception as error:  # noqa: BLE001 - the request was sent, so this is not known
                self._log_defect("provider_answer_not_parsed", error)
        results = dict(found)
        if untold := [m for m in batch.messages if m.id not in results]:
            results |= dict.fromkeys((m.id for m in untold), self.by_status(reply.status))
        if (asked := wire.retry_after(reply.headers)) is not None:
            # What the carrier asks for today goes before what our table says in general.
            results = {
                message_id: replace(result, retry_after=asked)
                if isinstance(result, Unavailable)
                else result
                for message_id, result in results.items()
            }
        return results

    def by_reference(
        self, batch: Batch, answers: Iterable[tuple[object, Result]]
    ) -> dict[UUID, Result]:
        """Return the result of each message of the batch that the answers name by its `reference`.

        For a provider of many messages a request. What is said twice in two ways is not known;
        what names no message of the batch is left out, with an alert.
        """
        own = {message.reference: message.id for message in batch.messages}
        found: dict[UUID, Result] = {}
        foreign = 0
        for reference, result in answers:
            if not isinstance(reference, str) or reference not in own:
                foreign += 1
                continue
            message_id = own[reference]
            if found.setdefault(message_id, result) != result:
                found[message_id] = Unclear("the provider's answer contradicts itself")
        self._report_foreign(foreign)
        return found

    def by_status(self, status: int, *, code: str = "", words: str = "") -> Result:
        """Return what the HTTP status alone means, with the carrier's code and words if any.

        429 was not processed; 401, 402 and 403 concern the account; all else is not known, and a
        code beside it raises an alert. A 4xx with a code, but for 408, is a working carrier's answer.
        """
        told = f": {printable(words)}" if words else ""
        if status == 429:
            return Unavailable(
                f"the provider is busy (429){told}", gives_attempt_back=True, code=code
            )
        if status in {401, 402, 403}:
            return Misconfigured(
                f"the provider refused the account ({status}){told}", code or f"http_{status}"
            )
        if code:
            self.report_unknown(status, code)
        if 200 <= status < 300:
            return Unclear(f"answered {status} without saying that it took the message{told}", code)
        if 300 <= status < 400:
            return Unclear(f"answered {status} and pointed elsewhere, which is not followed", code)
        looked_at = bool(code) and 400 <= status < 500 and status != 408
        return Unclear(f"answered {status}{told}", code, is_an_answer=looked_at)

    def report_unknown(self, status: int, code: str) -> None:
        """Raise the alert for a code that stands in no table: somebody should look it up."""
        logger.warning(
            "provider_code_unknown",
            extra={"provider": self.name, "status": status, "code": code},
        )

    def _built(self, batch: Batch) -> Request | None:
        try:
            return self.build(batch)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing was sent yet
            self._log_defect("provider_request_not_built", error)
            return None


def printable(words: object, limit: int = 200) -> str:
    """Return a carrier's words fit to be kept and shown: no control character, no whole number."""
    text = _UNFIT.sub(" ", str(words)[: 4 * limit])
    return _NUMBERS.sub(lambda found: "•" * len(found[0]), text).strip()[:limit]


def _for_all(batch: Batch, result: Result) -> dict[UUID, Result]:
    return {message.id: result for message in batch.messages}

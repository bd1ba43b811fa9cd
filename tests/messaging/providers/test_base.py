"""The base of every provider, shown with one that takes many messages a request."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Self, cast
from uuid import UUID

import aiohttp
import pytest
from yarl import URL

from messaging.providers import signing
from messaging.providers.base import (
    Accepted,
    Batch,
    Callback,
    Credential,
    Found,
    Handed,
    HTTPProvider,
    Inbound,
    InvalidReport,
    Kind,
    LookUpFailed,
    Outgoing,
    Provider,
    ProviderURL,
    Refused,
    Reply,
    Report,
    Request,
    Result,
    Unavailable,
    Unclear,
    printable,
)
from messaging.providers.callbacks import ReportStatus
from tests.messaging.providers.batch_contract import BatchContract
from tests.messaging.providers.batches import a_batch, sent
from tests.messaging.providers.contract import HTTPProviderContract
from tests.messaging.providers.look_up_contract import LookUpContract, asked, handed_over

STATES: dict[str, ReportStatus] = {"here": "DELIVERED", "gone": "UNDELIVERED"}


class Post(HTTPProvider):
    """A carrier that takes ten messages a request, written as carelessly as one can."""

    slug: ClassVar[str] = "post"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"SMS"})
    lookup: ClassVar[bool] = True
    max_batch = 10

    def __init__(self, address: str) -> None:
        super().__init__(Credential("acme", "p0st-s3cret"))
        self._address = URL(address) / "many"

    @classmethod
    def from_url(cls, url: ProviderURL) -> Self:
        return cls(str(url.host))

    def build(self, batch: Batch) -> Request:
        fields = {
            "text": batch.text,
            "to": [{"ref": str(m.id), "number": m.recipient} for m in batch.messages],
        }
        body = json.dumps(fields, ensure_ascii=False).encode()
        return Request(self._address, body, {"Authorization": f"App {self.credential.token}"})

    def parse(self, reply: Reply, payload: Any, batch: Batch) -> Mapping[UUID, Result]:
        if reply.status >= 400:
            result = self.by_status(reply.status, code=str(payload.get("error", "")))
            return {message.id: result for message in batch.messages}
        return self.by_reference(
            batch,
            [
                (each["ref"], Accepted(each["id"]) if "id" in each else Refused("no", "no"))
                for each in payload["results"]
            ],
        )

    def build_look_up(self, handed: Handed) -> Request:
        address = (self._address.parent / "one").with_query(ref=str(handed.id))
        return Request(address, b"", {"Authorization": f"App {self.credential.token}"}, "GET")

    def parse_look_up(self, payload: Any, handed: Handed) -> list[Found]:
        return [
            Found(each["id"], STATES[each["state"]], is_certain=True)
            for each in payload["results"]
            if each["ref"] == str(handed.id)
        ]

    def verify(self, callback: Callback) -> bool:
        return signing.has_token(callback.url, self.name)

    def read_reports(self, callback: Callback) -> list[Report]:
        try:
            return [
                Report(
                    str(each["id"]),
                    STATES.get(str(each["state"]), ""),
                    raw=each,
                    message_id=UUID(str(each["ref"])),
                )
                for each in callback.results
            ]
        except (KeyError, ValueError) as error:
            raise InvalidReport("It names no message.") from error

    def read_inbound(self, callback: Callback) -> list[Inbound]:
        try:
            return [
                Inbound(str(each["id"]), str(each["by"]), "+5715551234", str(each["said"]), each)
                for each in callback.results
            ]
        except KeyError as error:
            raise InvalidReport("It names nobody.") from error


class TestPost(HTTPProviderContract, BatchContract, LookUpContract):
    secret = "p0st-s3cret"
    is_certain = True

    def provider(self, address: str) -> Post:
        return Post(address)

    def takes(self, batch: Batch, /) -> tuple[int, object]:
        return self.answer([self.taken(message) for message in batch.messages])

    def busy(self) -> object:
        return {"error": "slow down"}

    def strange(self, _batch: Batch, number: int, /) -> tuple[int, object]:
        return 400, {"error": number}

    def answer(self, entries: Sequence[object], /) -> tuple[int, object]:
        return 200, {"results": entries}

    def taken(self, message: Outgoing, /) -> object:
        return {"ref": str(message.id), "id": f"P{message.id.hex}"}

    def refused(self, message: Outgoing, /) -> object:
        return {"ref": str(message.id)}

    def found(self, *messages: Handed) -> object:
        return {"results": [{"id": "P1", "ref": str(m.id), "state": "here"} for m in messages]}

    def report(self, message_id: UUID, word: str = "", /) -> Callback:
        return called("reports", {"id": "P1", "ref": str(message_id), "state": word or "here"})

    def inbound(self, sender: str, text: str, /) -> Callback:
        return called("inbound", {"id": "P2", "by": sender, "said": text})


def called(door: signing.Door, result: dict[str, str]) -> Callback:
    url = signing.door_with_token("post", door, "post:acme")
    return Callback(url, {}, json.dumps({"results": [result]}).encode(), "application/json")


# --- defects --------------------------------------------------------------------------------------


def test_a_defect_in_a_provider_is_logged_by_kind_and_place_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Hasty(Post):
        def parse(self, _reply: Reply, _payload: Any, batch: Batch) -> Mapping[UUID, Result]:
            raise ValueError(f"{batch.messages[0].recipient} {batch.text}")

    batch = a_batch()
    recipient = batch.messages[0].recipient

    results = Hasty("http://127.0.0.1:1").judge(Reply(200, {}, b"{}"), batch)

    assert isinstance(results[batch.messages[0].id], Unclear)
    (record,) = caplog.records
    assert record.message == "provider_answer_not_parsed"
    assert vars(record)["error"] == "ValueError"
    assert vars(record)["where"].startswith("test_base.py:")
    assert record.exc_info is None
    assert recipient not in str(vars(record))


def test_a_defect_in_a_look_up_is_logged_by_kind_and_place_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Hasty(Post):
        def build_look_up(self, handed: Handed) -> Request:
            raise ValueError(f"{handed.recipient} {handed.text}")

    handed = handed_over()

    with pytest.raises(LookUpFailed, match="could not be built"):
        asked(Hasty("http://127.0.0.1:1"), handed)

    (record,) = caplog.records
    assert record.message == "provider_look_up_not_built"
    assert vars(record)["error"] == "ValueError"
    assert handed.recipient not in str(vars(record))


class Broken(Provider):
    """A provider that fails in the middle of the send."""

    slug: ClassVar[str] = "broken"

    @classmethod
    def from_url(cls, url: ProviderURL) -> Self:
        return cls(Credential(url.host))

    async def hand_over(self, batch: Batch, _http: aiohttp.ClientSession) -> Mapping[UUID, Result]:
        raise KeyError(batch.messages[0].recipient)


def test_nothing_escapes_from_a_send_and_every_message_is_of_unknown_outcome() -> None:
    batch = a_batch(2)

    results = sent(Broken(Credential("x")), batch)

    assert results.keys() == {message.id for message in batch.messages}
    assert all(isinstance(result, Unclear) for result in results.values())


def test_a_provider_without_a_carrier_is_called_by_nobody() -> None:
    callback = called("reports", {"id": "P1"})
    provider = Broken(Credential("x"))

    assert not provider.verify(callback)
    with pytest.raises(InvalidReport, match="sends no reports"):
        provider.read_reports(callback)
    with pytest.raises(InvalidReport, match="receives no messages"):
        provider.read_inbound(callback)
    with pytest.raises(LookUpFailed, match="broken cannot be asked"):
        asked(provider, handed_over())


def test_a_missing_hook_names_itself() -> None:
    class Unfinished(Post):
        verify = HTTPProvider.verify

    with pytest.raises(TypeError, match=r"abstract method '?verify"):
        Unfinished("http://127.0.0.1:1")


def test_a_table_s_pause_gives_way_to_the_one_the_carrier_asks_for() -> None:
    class Slow(Post):
        def parse(self, _reply: Reply, _json: object, batch: Batch) -> Mapping[UUID, Result]:
            return {batch.messages[0].id: Unavailable("full", 60.0)}

    batch = a_batch()
    slow = Slow("http://127.0.0.1:1")

    says_nothing = slow.judge(Reply(400, {}, b"{}"), batch)
    says_seven = slow.judge(Reply(400, {"Retry-After": "7"}, b"{}"), batch)

    assert says_nothing == {batch.messages[0].id: Unavailable("full", 60.0)}
    assert says_seven == {batch.messages[0].id: Unavailable("full", 7.0)}


@pytest.mark.parametrize(
    ("status", "code", "is_an_answer"),
    [
        (400, "no", True),
        (404, "no", True),
        (499, "no", True),
        (400, "", False),
        (408, "no", False),
        (500, "no", False),
        (503, "no", False),
        (302, "no", False),
        (200, "no", False),
    ],
)
def test_a_4xx_with_a_code_is_an_answer_though_nobody_knows_the_outcome(
    status: int, code: str, *, is_an_answer: bool
) -> None:
    result = Post("http://127.0.0.1:1").by_status(status, code=code)

    assert isinstance(result, Unclear)
    assert result.is_an_answer is is_an_answer


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("to +573001234567 and 300-123", "to +•••••••••567 and 300-123"),
        ("a\x00b\ud800c\r\nd", "a b c d"),
        ("x" * 1_000_000, "x" * 200),
        (cast(Any, None), "None"),
        ("9" * 900, "•" * 200),
    ],
)
def test_a_carrier_s_words_are_made_fit_to_be_shown(words: str, shown: str) -> None:
    assert printable(words) == shown

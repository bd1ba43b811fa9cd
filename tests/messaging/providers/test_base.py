"""The base of every provider, shown with one that takes many messages a request."""

import json
import logging
from collections.abc import Mapping
from typing import Any, ClassVar, Self, cast
from uuid import UUID, uuid4

import aiohttp
import pytest
from yarl import URL

from messaging.providers.base import (
    Accepted,
    Batch,
    Callback,
    Credential,
    HTTPProvider,
    Kind,
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
from tests.messaging.providers.batches import TEXT, a_batch, sent
from tests.messaging.providers.contract import HTTPProviderContract
from tests.messaging.providers.stand_in import StandIn, says


class Post(HTTPProvider):
    """A carrier that takes ten messages a request, written as carelessly as one can."""

    slug: ClassVar[str] = "post"
    kinds: ClassVar[frozenset[Kind]] = frozenset({"SMS"})
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

    def parse(self, reply: Reply, payload: Any, _batch: Batch) -> Mapping[UUID, Result]:
        if reply.status >= 400:
            return {}
        return {
            UUID(each["ref"]): Accepted(each["id"]) if "id" in each else Refused("no", "no")
            for each in payload["results"]
        }

    def verify(self, callback: Callback) -> bool:
        return callback.header("Authorization") == self.credential.token

    def read_reports(self, callback: Callback) -> list[Report]:
        return [Report(callback.form["id"], "DELIVERED")]


class TestPost(HTTPProviderContract):
    secret = "p0st-s3cret"

    def provider(self, address: str) -> Post:
        return Post(address)

    def takes(self, batch: Batch, /) -> tuple[int, object]:
        return 200, results_for(batch)

    def busy(self) -> object:
        return {"error": "slow down"}


def results_for(batch: Batch) -> dict[str, list[dict[str, str]]]:
    return {"results": [{"ref": str(m.id), "id": f"P{m.id.hex}"} for m in batch.messages]}


def judged(batch: Batch, payload: object) -> Mapping[UUID, Result]:
    return Post("http://127.0.0.1:1").judge(Reply(200, {}, json.dumps(payload).encode()), batch)


# --- many messages a request ----------------------------------------------------------------------


def test_each_message_has_its_own_outcome_whatever_the_order() -> None:
    batch = a_batch(3)
    answer = results_for(batch)
    del answer["results"][1]["id"]
    answer["results"].reverse()

    results = judged(batch, answer)

    assert results == {
        batch.messages[0].id: Accepted(f"P{batch.messages[0].id.hex}"),
        batch.messages[1].id: Refused("no", "no"),
        batch.messages[2].id: Accepted(f"P{batch.messages[2].id.hex}"),
    }


def test_a_message_the_answer_leaves_out_is_of_unknown_outcome() -> None:
    batch = a_batch(3)
    answer = results_for(batch)
    del answer["results"][1]

    results = judged(batch, answer)

    assert isinstance(results[batch.messages[0].id], Accepted)
    assert isinstance(results[batch.messages[1].id], Unclear)
    assert isinstance(results[batch.messages[2].id], Accepted)


def test_an_answer_about_somebody_else_s_message_is_dropped_and_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    batch = a_batch(2)
    answer = results_for(batch)
    answer["results"].append({"ref": str(uuid4()), "id": "P1"})

    with StandIn(says(200, answer)) as carrier:
        results = sent(Post(carrier.address), batch)

    assert results.keys() == {message.id for message in batch.messages}
    (record,) = [r for r in caplog.records if r.message == "provider_foreign_results"]
    assert record.levelno == logging.ERROR
    assert vars(record)["count"] == 1


def test_an_answer_lost_makes_the_whole_batch_unknown() -> None:
    batch = a_batch(3)
    with StandIn(says(502, b"")) as carrier:
        results = sent(Post(carrier.address), batch)

    assert len(results) == 3
    assert all(isinstance(result, Unclear) for result in results.values())


# --- defects --------------------------------------------------------------------------------------


def test_a_defect_in_a_provider_is_logged_by_kind_and_place_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    batch = a_batch()
    recipient = batch.messages[0].recipient

    results = judged(batch, {"results": [{"ref": f"{recipient} {TEXT}"}]})

    assert isinstance(results[batch.messages[0].id], Unclear)
    (record,) = caplog.records
    assert record.message == "provider_answer_not_parsed"
    assert vars(record)["error"] == "ValueError"
    assert vars(record)["where"].startswith("uuid.py:")
    assert record.exc_info is None
    assert recipient not in str(vars(record))


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

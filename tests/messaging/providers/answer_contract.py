"""What a provider must make of an answer: taken, or nobody knows. Whatever the carrier sends."""

import asyncio
import gzip
import json
import time
import tracemalloc
from abc import ABC, abstractmethod

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messaging.providers.base import (
    Accepted,
    Batch,
    HTTPProvider,
    Provider,
    Reply,
    Result,
    Unclear,
    http_session,
)
from tests.messaging.providers import answers
from tests.messaging.providers.batches import (
    ANY_JSON,
    IMPATIENT,
    PATIENT,
    a_batch,
    is_fit_to_be_stored,
    sent,
)
from tests.messaging.providers.stand_in import Answer, StandIn, hangs, says


class AnswerContract(ABC):
    """Part of `HTTPProviderContract`."""

    @abstractmethod
    def provider(self, address: str) -> HTTPProvider:
        """Return a provider that calls this address."""

    @abstractmethod
    def takes(self, batch: Batch, /) -> tuple[int, object]:
        """Return status and JSON of the carrier's answer that takes every message of the batch."""

    @abstractmethod
    def strange(self, batch: Batch, number: int, /) -> tuple[int, object]:
        """Return status and JSON of an answer with a code that is in no documentation.

        The code has the form of the carrier's own and is made of this number of five digits.
        """

    def outcome(self, answer: Answer, *, connect: float = PATIENT, read: float = PATIENT) -> Result:
        """Send one message to a carrier that answers so, once, and return what became of it."""
        batch = a_batch()
        with StandIn(answer) as carrier:
            results = sent(self.provider(carrier.address), batch, connect=connect, read=read)
        assert len(carrier.requests) == 1
        assert results.keys() == {batch.messages[0].id}
        assert is_fit_to_be_stored(results[batch.messages[0].id])
        return results[batch.messages[0].id]

    # --- taken ------------------------------------------------------------------------------------

    def test_every_message_of_a_full_batch_is_taken(self) -> None:
        provider = self.provider("http://127.0.0.1:1")
        batch = a_batch(provider.max_batch)

        with StandIn(says(*self.takes(batch))) as carrier:
            results = sent(self.provider(carrier.address), batch)

        assert results.keys() == {message.id for message in batch.messages}
        assert all(isinstance(result, Accepted) for result in results.values())
        assert all(is_fit_to_be_stored(result) for result in results.values())
        assert len(carrier.requests) == 1

    def test_a_compressed_answer_is_read(self) -> None:
        batch = a_batch()
        status, payload = self.takes(batch)
        body = gzip.compress(json.dumps(payload).encode())

        with StandIn(says(status, body, {"Content-Encoding": "gzip"})) as carrier:
            results = sent(self.provider(carrier.address), batch)

        assert isinstance(results[batch.messages[0].id], Accepted)

    def test_connections_are_used_again(self) -> None:
        batch = a_batch()

        with StandIn(says(*self.takes(batch))) as carrier:
            sent(self.provider(carrier.address), batch, times=3)

        assert len(carrier.requests) == 3
        assert carrier.connections == 1

    def test_a_connection_closed_while_we_were_busy_is_not_used_again(self) -> None:
        batch = a_batch()
        status, payload = self.takes(batch)

        async def run() -> Result:
            async with http_session(concurrency=10, connect=PATIENT, read=PATIENT) as http:
                await provider.send(batch, http)
                while not carrier.ended:
                    time.sleep(0.01)  # as the database does: the loop stands still
                return (await provider.send(batch, http))[batch.messages[0].id]

        with StandIn(says(status, payload, close=True)) as carrier:
            provider = self.provider(carrier.address)
            result = asyncio.run(run())

        assert isinstance(result, Accepted)
        assert carrier.connections == 2

    # --- nobody knows -----------------------------------------------------------------------------

    @pytest.mark.parametrize("status", [400, 404, 408, 409, 418, 500, 502, 503, 504, 599])
    @pytest.mark.parametrize(
        "body",
        [b"", b"<html>oops</html>", b'{"code": 99999, "message": "something new"}', b"[1, 2]"],
    )
    def test_B55_an_error_nobody_knows_leaves_the_outcome_open(
        self, status: int, body: bytes
    ) -> None:
        result = self.outcome(says(status, body, {"Retry-After": "1"}))

        assert isinstance(result, Unclear)
        assert str(status) in result.reason

    @pytest.mark.parametrize(
        "answer",
        answers.LOST,
    )
    def test_B54_an_answer_lost_on_the_way_leaves_the_outcome_open(self, answer: Answer) -> None:
        began = time.monotonic()

        result = self.outcome(answer, connect=2, read=IMPATIENT)

        assert isinstance(result, Unclear)
        assert time.monotonic() - began < PATIENT

    @pytest.mark.parametrize("read", [1, 40])
    def test_B53_a_request_cut_half_way_leaves_the_outcome_open(self, read: int) -> None:
        batch = a_batch(self.provider("http://127.0.0.1:1").max_batch)

        with StandIn(cut_after=read) as carrier:
            results = sent(self.provider(carrier.address), batch)

        assert results.keys() == {message.id for message in batch.messages}
        assert all(isinstance(result, Unclear) for result in results.values())
        assert carrier.connections == 1

    @pytest.mark.parametrize(
        ("body", "encoding"),
        answers.UNREADABLE,
    )
    def test_B61_a_success_nobody_can_read_leaves_the_outcome_open(
        self, body: bytes, encoding: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        result = self.outcome(says(201, body, {"Content-Encoding": encoding}))

        assert isinstance(result, Unclear)
        assert not caplog.records  # the carrier's mistake, no defect of ours

    @pytest.mark.parametrize("status", [200, 201, 202])
    @pytest.mark.parametrize(
        "body",
        answers.STRANGE,
    )
    def test_B61_a_success_without_an_acceptance_leaves_the_outcome_open(
        self, status: int, body: bytes
    ) -> None:
        assert isinstance(self.outcome(says(status, body)), Unclear)

    def test_B61_an_acceptance_that_does_not_end_is_not_read(self) -> None:
        batch = a_batch()
        status, payload = self.takes(batch)
        body = json.dumps(payload).encode()
        endless = body + b" " * 10_000_000
        squeezed = {"Content-Encoding": "gzip"}

        with StandIn(
            says(status, endless),
            says(status, gzip.compress(endless), squeezed),
            says(status, gzip.compress(body)[:-4], squeezed),
        ) as carrier:
            results = [sent(self.provider(carrier.address), batch) for _ in range(3)]

        assert all(isinstance(result[batch.messages[0].id], Unclear) for result in results)

    def test_no_content_leaves_the_outcome_open(self) -> None:
        result = self.outcome(says(204, b"", {"Content-Length": ""}))

        assert isinstance(result, Unclear)

    def test_B61_a_gzip_bomb_takes_no_memory(self) -> None:
        bomb = says(201, gzip.compress(b" " * 100_000_000), {"Content-Encoding": "gzip"})
        tracemalloc.start()
        try:
            self.outcome(bomb)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert peak < 8_000_000

    @pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
    def test_B68_a_redirect_is_not_followed(self, status: int) -> None:
        batch = a_batch()
        with StandIn(says(*self.takes(batch))) as elsewhere:
            result = self.outcome(
                says(status, self.takes(batch)[1], {"Location": f"{elsewhere.address}/elsewhere"})
            )

        assert isinstance(result, Unclear)
        assert elsewhere.requests == []

    def test_a_canceled_call_is_canceled(self) -> None:
        async def run(provider: Provider) -> None:
            async with http_session(concurrency=1, connect=PATIENT, read=PATIENT) as http:
                call = asyncio.create_task(provider.send(a_batch(), http))
                await asyncio.sleep(0.1)
                call.cancel()
                await call

        with StandIn(hangs) as carrier, pytest.raises(asyncio.CancelledError):
            asyncio.run(run(self.provider(carrier.address)))

    @settings(
        max_examples=300, deadline=None, suppress_health_check=[HealthCheck.differing_executors]
    )
    @given(status=st.integers(100, 599), payload=ANY_JSON, raw=st.binary(max_size=40) | st.none())
    def test_B60_no_answer_whatever_makes_it_fail(
        self, status: int, payload: object, raw: bytes | None
    ) -> None:
        provider = self.provider("http://127.0.0.1:1")
        batch = a_batch(provider.max_batch)
        body = json.dumps(payload).encode() if raw is None else raw

        results = provider.judge(Reply(status, {}, body), batch)

        assert results.keys() == {message.id for message in batch.messages}
        assert all(is_fit_to_be_stored(result) for result in results.values())
        if status >= 500 or status < 200:
            assert all(isinstance(result, Unclear) for result in results.values())

    @settings(
        max_examples=60, deadline=None, suppress_health_check=[HealthCheck.differing_executors]
    )
    @given(number=st.integers(90_000, 99_999))
    def test_B60_a_code_nobody_knows_is_kept_and_leaves_the_outcome_open(self, number: int) -> None:
        provider = self.provider("http://127.0.0.1:1")
        batch = a_batch(provider.max_batch)
        status, payload = self.strange(batch, number)

        results = provider.judge(Reply(status, {}, json.dumps(payload).encode()), batch)

        assert len(results) == len(batch.messages)
        assert all(isinstance(one, Unclear) and str(number) in one.code for one in results.values())

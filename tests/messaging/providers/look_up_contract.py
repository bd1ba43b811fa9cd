"""What a provider must do that can be asked what became of a message."""

import asyncio
import json
import logging
import socket
from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings

from messaging.providers.base import (
    Found,
    Handed,
    HTTPProvider,
    LookUpFailed,
    Provider,
    Reply,
    http_session,
)
from tests.messaging.providers import answers
from tests.messaging.providers.batches import ANY_JSON, IMPATIENT, PATIENT, TEXT
from tests.messaging.providers.stand_in import Answer, StandIn, hangs, says

SUBMITTED_AT = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


def handed_over(recipient: str = "+573001200007") -> Handed:
    return Handed(uuid4(), recipient, TEXT, SUBMITTED_AT)


def asked(
    provider: Provider, handed: Handed, *, connect: float = PATIENT, read: float = PATIENT
) -> list[Found]:
    """Look the message up through a session of its own."""

    async def run() -> list[Found]:
        async with http_session(concurrency=2, connect=connect, read=read) as http:
            return await provider.look_up(handed, http)

    return asyncio.run(run())


class LookUpContract(ABC):
    """Inherited beside `HTTPProviderContract` by who declares `lookup`."""

    is_certain: bool  # whether the carrier keeps a reference of ours
    secret: str

    @abstractmethod
    def provider(self, address: str) -> HTTPProvider:
        """Return a provider that calls this address."""

    @abstractmethod
    def found(self, *messages: Handed) -> object:
        """Return the JSON of the carrier's answer that lists these messages, all delivered."""

    def failure(
        self, answer: Answer, *, connect: float = PATIENT, read: float = PATIENT
    ) -> LookUpFailed:
        with StandIn(answer) as carrier, pytest.raises(LookUpFailed) as caught:
            asked(self.provider(carrier.address), handed_over(), connect=connect, read=read)
        assert len(carrier.requests) <= 2  # a question may be asked again where the line broke
        assert caught.value.reason == str(caught.value)
        assert caught.value.reason.isprintable()
        return caught.value

    def test_it_declares_that_it_can_be_asked(self) -> None:
        assert self.provider("http://127.0.0.1:1").lookup

    def test_a_message_the_carrier_has_is_found(self) -> None:
        handed = handed_over()

        with StandIn(says(200, self.found(handed))) as carrier:
            (found,) = asked(self.provider(carrier.address), handed)

        (request,) = carrier.requests
        assert (request.method, request.body) == ("GET", b"")
        assert request.headers["authorization"]
        assert found.status == "DELIVERED"
        assert found.is_certain == self.is_certain
        assert found.provider_message_id
        assert json.dumps(dict(found.raw), allow_nan=False)

    def test_a_message_the_carrier_does_not_have_is_not_found(self) -> None:
        with StandIn(says(200, self.found())) as carrier:
            assert asked(self.provider(carrier.address), handed_over()) == []

    def test_another_message_is_not_taken_for_it(self) -> None:
        handed = handed_over()
        other = replace(handed_over("+573001200008"), text="another text")

        with StandIn(says(200, self.found(other))) as carrier:
            assert asked(self.provider(carrier.address), handed) == []

    # --- nothing was learnt -----------------------------------------------------------------------

    def test_a_refused_connection_is_said(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]

        with pytest.raises(LookUpFailed, match="no connection to the carrier"):
            asked(self.provider(f"http://127.0.0.1:{port}"), handed_over())

    def test_an_unknown_host_is_said(self) -> None:
        with pytest.raises(LookUpFailed, match="does not resolve"):
            asked(self.provider("http://carrier.invalid"), handed_over())

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
    @pytest.mark.parametrize("body", [b"", b"<html>no</html>", b'{"results": [], "messages": []}'])
    def test_an_error_is_no_empty_list(self, status: int, body: bytes) -> None:
        failed = self.failure(says(status, body, {"Retry-After": "7"}))

        assert str(status) in failed.reason
        assert failed.retry_after == 7

    @pytest.mark.parametrize("answer", answers.LOST)
    def test_an_answer_lost_on_the_way_is_no_empty_list(self, answer: Answer) -> None:
        # Bytes that drip in are never late by themselves: both together end the waiting.
        assert self.failure(answer, connect=2, read=IMPATIENT).retry_after is None

    @pytest.mark.parametrize(("body", "encoding"), answers.UNREADABLE)
    def test_an_answer_nobody_can_read_is_no_empty_list(self, body: bytes, encoding: str) -> None:
        self.failure(says(200, body, {"Content-Encoding": encoding}))

    @pytest.mark.parametrize(
        "payload", [None, [], {}, {"results": 7, "messages": 7}, {"results": None}, "x"]
    )
    def test_an_answer_of_another_shape_is_no_empty_list(self, payload: object) -> None:
        self.failure(says(200, payload))

    def test_an_answer_that_does_not_end_is_not_read(self) -> None:
        body = json.dumps(self.found(handed_over())).encode() + b" " * 10_000_000

        self.failure(says(200, body))

    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_is_not_followed(self, status: int) -> None:
        handed = handed_over()
        with StandIn(says(200, self.found(handed))) as elsewhere:
            self.failure(
                says(status, self.found(handed), {"Location": f"{elsewhere.address}/elsewhere"})
            )

        assert elsewhere.requests == []

    def test_a_canceled_question_is_canceled(self) -> None:
        async def run(provider: HTTPProvider) -> None:
            async with http_session(concurrency=1, connect=PATIENT, read=PATIENT) as http:
                question = asyncio.create_task(provider.look_up(handed_over(), http))
                await asyncio.sleep(0.1)
                question.cancel()
                await question

        with StandIn(hangs) as carrier, pytest.raises(asyncio.CancelledError):
            asyncio.run(run(self.provider(carrier.address)))

    @settings(
        max_examples=300, deadline=None, suppress_health_check=[HealthCheck.differing_executors]
    )
    @given(payload=ANY_JSON)
    def test_no_answer_whatever_makes_it_fail_otherwise(self, payload: object) -> None:
        provider = self.provider("http://127.0.0.1:1")
        for shape in (payload, {"results": payload}, {"results": [payload], "messages": [payload]}):
            try:
                reply = Reply(200, {}, json.dumps(shape).encode())
                found = provider.judge_look_up(reply, handed_over())
            except LookUpFailed:
                continue
            assert found == []

    # --- secrets ----------------------------------------------------------------------------------

    def test_a_look_up_shows_no_secret_no_number_and_no_text(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        handed = handed_over()

        with StandIn(says(200, self.found(handed)), says(500)) as carrier:
            provider = self.provider(carrier.address)
            (found,) = asked(provider, handed)
            with pytest.raises(LookUpFailed) as caught:
                asked(provider, handed)

        shown = caplog.text + "".join(str(vars(record)) for record in caplog.records)
        shown += f"{handed!r} {found!r} {provider.build_look_up(handed)!r} {caught.value!r}"
        assert str(handed.id) in shown
        assert self.secret not in shown
        assert handed.recipient not in shown
        assert TEXT not in shown

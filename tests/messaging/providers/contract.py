"""What every provider must do. A provider's tests inherit this and say how its carrier speaks."""

import asyncio
import gzip
import json
import logging
import re
import socket
import time
import tracemalloc
from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messaging.providers.base import (
    Accepted,
    Batch,
    Callback,
    HTTPProvider,
    Misconfigured,
    Provider,
    Reply,
    Result,
    Unavailable,
    Unclear,
    http_session,
)
from tests.messaging.providers import answers
from tests.messaging.providers.batches import (
    IMPATIENT,
    PATIENT,
    TEXT,
    a_batch,
    is_fit_to_be_stored,
    sent,
)
from tests.messaging.providers.stand_in import Answer, StandIn, hangs, resets, says

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


class ProviderContract(ABC):
    """What holds for a provider of any kind."""

    @abstractmethod
    def provider(self, address: str) -> Provider:
        """Return a provider that calls this address, if it calls any."""

    def test_it_declares_what_it_can_do(self) -> None:
        provider = self.provider("http://127.0.0.1:1")

        assert re.fullmatch(r"[a-z][a-z0-9_]*", provider.slug)
        assert provider.kinds <= {"SMS", "OTP", "FLASH"}
        assert provider.kinds
        assert 1 <= provider.max_batch <= 100
        assert provider.concurrency >= 1
        assert provider.name == f"{provider.slug}:{provider.credential.account}"

    def test_it_carries_its_kinds_and_no_other(self) -> None:
        provider = self.provider("http://127.0.0.1:1")

        assert all(provider.carries(kind) for kind in provider.kinds)
        assert not provider.carries("PIGEON")

    def test_a_stranger_s_callback_is_not_believed(self) -> None:
        provider = self.provider("http://127.0.0.1:1")
        form = "application/x-www-form-urlencoded"

        assert not provider.verify(Callback("https://sms.example.org/r", {}, b"a=1", form))
        assert not provider.verify(Callback("https://sms.example.org/r", {}, b"{}", "text/html"))


class HTTPProviderContract(ProviderContract):
    """What holds for a provider that is called over HTTP."""

    secret: str  # a secret of the provider that `provider` returns
    unwritable = "+57\ud800"  # a recipient that fits in no request

    @abstractmethod
    def provider(self, address: str) -> HTTPProvider:
        """Return a provider that calls this address."""

    @abstractmethod
    def takes(self, batch: Batch, /) -> tuple[int, object]:
        """Return status and JSON of the carrier's answer that takes every message of the batch."""

    @abstractmethod
    def busy(self) -> object:
        """Return the JSON of the carrier's 429."""

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
                time.sleep(0.2)  # as the database does: the loop stands still
                return (await provider.send(batch, http))[batch.messages[0].id]

        with StandIn(says(status, payload, close=True)) as carrier:
            provider = self.provider(carrier.address)
            result = asyncio.run(run())

        assert isinstance(result, Accepted)
        assert carrier.connections == 2

    # --- provably not sent ------------------------------------------------------------------------

    def test_a_refused_connection_leaves_the_message_unsent(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        batch = a_batch()

        results = sent(self.provider(f"http://127.0.0.1:{port}"), batch)

        assert_unsent(
            results[batch.messages[0].id], "no connection to the carrier (ClientConnectorError)"
        )

    def test_an_unknown_host_leaves_the_message_unsent(self) -> None:
        batch = a_batch()

        results = sent(self.provider("http://carrier.invalid"), batch)

        assert_unsent(results[batch.messages[0].id], "the carrier's host name does not resolve")

    def test_a_connection_that_does_not_come_about_in_time_leaves_the_message_unsent(self) -> None:
        batch = a_batch()
        with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
            waiting = [socket.socket() for _ in range(4)]  # the queue is full with one or two
            for one in waiting:
                one.settimeout(0)
                one.connect_ex(full.getsockname())
            began = time.monotonic()

            provider = self.provider(f"http://127.0.0.1:{full.getsockname()[1]}")
            results = sent(provider, batch, connect=IMPATIENT)

            took = time.monotonic() - began
            for one in waiting:
                one.close()
        assert_unsent(results[batch.messages[0].id], "no connection to the carrier in time")
        assert IMPATIENT <= took < PATIENT

    def test_a_server_without_tls_leaves_the_message_unsent(self) -> None:
        batch = a_batch()
        with StandIn(greeting=b"220 this is a mail server\r\n") as carrier:
            results = sent(self.provider(f"https://127.0.0.1:{carrier.port}"), batch)

        assert_unsent(results[batch.messages[0].id], "no trusted TLS connection to the carrier")
        assert carrier.requests == []

    def test_a_certificate_nobody_vouches_for_leaves_the_message_unsent(self) -> None:
        batch = a_batch()
        with StandIn(says(*self.takes(batch)), tls=True) as carrier:
            results = sent(self.provider(f"https://localhost:{carrier.port}"), batch)

        assert_unsent(results[batch.messages[0].id], "no trusted TLS connection to the carrier")
        assert carrier.requests == []

    @pytest.mark.parametrize(
        ("header", "least", "most"),
        [
            ("2", 2, 2),
            ("3600", 3600, 3600),
            ("0", 0, 0),
            ("-5", 0, 0),
            ("1.5", 1.5, 1.5),
            pytest.param(
                format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True),
                6000,
                7200,
                id="in two hours",
            ),
            ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 1e9, 1e12),
        ],
    )
    def test_a_busy_carrier_is_asked_again_when_it_says(
        self, header: str, least: float, most: float
    ) -> None:
        result = self.outcome(says(429, self.busy(), {"Retry-After": header}))

        assert isinstance(result, Unavailable)
        assert result.gives_attempt_back
        assert result.retry_after is not None
        assert least <= result.retry_after <= most

    @pytest.mark.parametrize("header", ["", "abc", "1e9", "∞", "9" * 400, "31 Feb", "12;3"])
    @pytest.mark.parametrize("body", [b"", b"<html>busy</html>"])
    def test_a_busy_carrier_that_says_no_time_is_asked_again_all_the_same(
        self, header: str, body: bytes
    ) -> None:
        result = self.outcome(says(429, body, {"Retry-After": header}))

        assert result == Unavailable("the provider is busy (429)", gives_attempt_back=True)

    def test_a_request_that_cannot_be_built_is_our_defect_and_holds_up_no_sibling(self) -> None:
        batch = a_batch(self.provider("http://127.0.0.1:1").max_batch)
        broken = replace(batch.messages[0], recipient=self.unwritable)
        rest = replace(batch, messages=batch.messages[1:])
        batch = replace(batch, messages=[broken, *rest.messages])

        with StandIn(says(*self.takes(rest))) as carrier:
            results = sent(self.provider(carrier.address), batch)

        assert results[broken.id] == Unavailable(
            "our own request could not be built", internal=True
        )
        assert all(isinstance(results[message.id], Accepted) for message in rest.messages)
        assert len(carrier.requests) == min(1, len(rest.messages))

    # --- the account ------------------------------------------------------------------------------

    @pytest.mark.parametrize("status", [401, 402, 403])
    @pytest.mark.parametrize("body", [b"", b"<html>no</html>", b'{"code": 4711, "message": "no"}'])
    def test_a_refused_account_is_not_the_message_s_fault(self, status: int, body: bytes) -> None:
        result = self.outcome(says(status, body))

        assert isinstance(result, Misconfigured)
        assert result.code

    # --- nobody knows -----------------------------------------------------------------------------

    @pytest.mark.parametrize("status", [400, 404, 408, 409, 418, 500, 502, 503, 504, 599])
    @pytest.mark.parametrize(
        "body",
        [b"", b"<html>oops</html>", b'{"code": 99999, "message": "something new"}', b"[1, 2]"],
    )
    def test_an_error_nobody_knows_leaves_the_outcome_open(self, status: int, body: bytes) -> None:
        result = self.outcome(says(status, body, {"Retry-After": "1"}))

        assert isinstance(result, Unclear)
        assert str(status) in result.reason

    @pytest.mark.parametrize(
        "answer",
        answers.LOST,
    )
    def test_an_answer_lost_on_the_way_leaves_the_outcome_open(self, answer: Answer) -> None:
        began = time.monotonic()

        result = self.outcome(answer, connect=2, read=IMPATIENT)

        assert isinstance(result, Unclear)
        assert time.monotonic() - began < PATIENT

    @pytest.mark.parametrize(
        ("body", "encoding"),
        answers.UNREADABLE,
    )
    def test_a_success_nobody_can_read_leaves_the_outcome_open(
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
    def test_a_success_without_an_acceptance_leaves_the_outcome_open(
        self, status: int, body: bytes
    ) -> None:
        assert isinstance(self.outcome(says(status, body)), Unclear)

    def test_an_acceptance_that_does_not_end_is_not_read(self) -> None:
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

    def test_a_gzip_bomb_takes_no_memory(self) -> None:
        bomb = says(201, gzip.compress(b" " * 100_000_000), {"Content-Encoding": "gzip"})
        tracemalloc.start()
        try:
            self.outcome(bomb)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

        assert peak < 8_000_000

    @pytest.mark.parametrize("status", [300, 301, 302, 303, 307, 308])
    def test_a_redirect_is_not_followed(self, status: int) -> None:
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
    def test_no_answer_whatever_makes_it_fail(
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

    # --- secrets ----------------------------------------------------------------------------------

    def test_it_shows_no_secret_no_number_and_no_text(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        batch = a_batch()
        recipient = batch.messages[0].recipient
        answer = {"code": 99999, "message": f"{recipient} {TEXT}", "to": recipient, "body": TEXT}

        with StandIn(says(400, answer), says(201, answer), resets()) as carrier:
            provider = self.provider(carrier.address)
            sent(provider, batch, times=3)

        shown = caplog.text + "".join(str(vars(record)) for record in caplog.records)
        shown += f"{provider!r} {provider} {provider.name} {provider.credential!r} {batch!r}"
        shown += f"{provider.build(batch)!r}"
        assert provider.credential.account in shown
        assert self.secret not in shown
        assert recipient not in shown
        assert TEXT not in shown


def assert_unsent(result: Result, reason: str) -> None:
    assert result == Unavailable(reason)

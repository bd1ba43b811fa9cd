"""What every provider must do. A provider's tests inherit this and say how its carrier speaks."""

import logging
import re
import socket
import time
from abc import ABC, abstractmethod
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from messaging.providers.base import (
    Accepted,
    Callback,
    HTTPProvider,
    LookUpFailed,
    Misconfigured,
    Provider,
    Result,
    Unavailable,
)
from tests.messaging.providers.answer_contract import AnswerContract
from tests.messaging.providers.batch_contract import BatchContract
from tests.messaging.providers.batches import (
    IMPATIENT,
    PATIENT,
    TEXT,
    a_batch,
    sent,
)
from tests.messaging.providers.callback_contract import CallbackContract
from tests.messaging.providers.look_up_contract import LookUpContract, asked, handed_over
from tests.messaging.providers.stand_in import StandIn, resets, says


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
        assert provider.weight >= 1
        assert provider.max_characters is None or provider.max_characters >= 1
        assert provider.max_segments is None or provider.max_segments >= 1
        assert (provider.max_batch > 1) <= (isinstance(self, BatchContract) or not wired(provider))
        assert provider.lookup == isinstance(self, LookUpContract)
        assert provider.name == f"{provider.slug}:{provider.credential.account}"

    def test_it_carries_its_kinds_and_no_other(self) -> None:
        provider = self.provider("http://127.0.0.1:1")

        assert all(provider.carries(kind) for kind in provider.kinds)
        assert not provider.carries("PIGEON")

    def test_it_carries_to_its_countries_and_no_other(self) -> None:
        provider = self.provider("http://127.0.0.1:1")
        kind = min(provider.kinds)
        assert provider.carries(kind, "CO")
        assert provider.carries(kind, "ZZ")

        provider.countries = frozenset({"CO", "MX"})

        assert provider.carries(kind)
        assert provider.carries(kind, "MX")
        assert not provider.carries(kind, "US")
        assert not provider.carries(kind, "ZZ")
        assert not provider.carries("PIGEON", "CO")

    def test_who_cannot_be_asked_says_so(self) -> None:
        provider = self.provider("http://127.0.0.1:1")
        if not provider.lookup:
            with pytest.raises(LookUpFailed, match="cannot be asked"):
                asked(provider, handed_over())

    def test_a_stranger_s_callback_is_not_believed(self) -> None:
        provider = self.provider("http://127.0.0.1:1")
        form = "application/x-www-form-urlencoded"

        assert not provider.verify(Callback("https://sms.example.org/r", {}, b"a=1", form))
        assert not provider.verify(Callback("https://sms.example.org/r", {}, b"{}", "text/html"))


class HTTPProviderContract(ProviderContract, AnswerContract, CallbackContract):
    """What holds for a provider that is called over HTTP.

    One that declares a `max_batch` or `lookup` inherits `BatchContract` or `LookUpContract` too.
    """

    secret: str  # a secret of the provider that `provider` returns
    unwritable = "+57\ud800"  # a recipient that fits in no request

    @abstractmethod
    def provider(self, address: str) -> HTTPProvider:
        """Return a provider that calls this address."""

    @abstractmethod
    def busy(self) -> object:
        """Return the JSON of the carrier's 429."""

    # --- provably not sent ------------------------------------------------------------------------

    def test_B52_a_refused_connection_leaves_the_message_unsent(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        batch = a_batch()

        results = sent(self.provider(f"http://127.0.0.1:{port}"), batch)

        assert_unsent(
            results[batch.messages[0].id], "no connection to the carrier (ClientConnectorError)"
        )

    def test_B52_an_unknown_host_leaves_the_message_unsent(self) -> None:
        batch = a_batch()

        results = sent(self.provider("http://carrier.invalid"), batch)

        assert_unsent(results[batch.messages[0].id], "the carrier's host name does not resolve")

    def test_B52_a_connection_that_does_not_come_about_in_time_leaves_the_message_unsent(
        self,
    ) -> None:
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

    def test_B52_a_server_without_tls_leaves_the_message_unsent(self) -> None:
        batch = a_batch()
        with StandIn(greeting=b"220 this is a mail server\r\n") as carrier:
            results = sent(self.provider(f"https://127.0.0.1:{carrier.port}"), batch)

        assert_unsent(results[batch.messages[0].id], "no trusted TLS connection to the carrier")
        assert carrier.requests == []

    def test_B52_a_certificate_nobody_vouches_for_leaves_the_message_unsent(self) -> None:
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
            ("Wed, 21 Oct 2015 07:28:00 GMT", 0, 0),
            ("Fri, 31 Dec 9999 23:59:59 GMT", 1e9, 1e12),
        ],
    )
    def test_B56_a_busy_carrier_is_asked_again_when_it_says(
        self, header: str, least: float, most: float
    ) -> None:
        result = self.outcome(says(429, self.busy(), {"Retry-After": header}))

        assert isinstance(result, Unavailable)
        assert result.gives_attempt_back
        assert result.retry_after is not None
        assert least <= result.retry_after <= most

    def test_B56_a_busy_carrier_is_asked_again_at_the_moment_that_it_names(self) -> None:
        moment = format_datetime(datetime.now(UTC) + timedelta(hours=2), usegmt=True)

        result = self.outcome(says(429, self.busy(), {"Retry-After": moment}))

        assert isinstance(result, Unavailable)
        assert result.retry_after is not None
        assert 6000 <= result.retry_after <= 7200

    @pytest.mark.parametrize("header", ["", "abc", "1e9", "∞", "9" * 400, "31 Feb", "12;3"])
    @pytest.mark.parametrize("body", [b"", b"<html>busy</html>"])
    def test_B56_a_busy_carrier_that_says_no_time_is_asked_again_all_the_same(
        self, header: str, body: bytes
    ) -> None:
        result = self.outcome(says(429, body, {"Retry-After": header}))

        assert result == Unavailable("the provider is busy (429)", gives_attempt_back=True)

    def test_B34_a_request_that_cannot_be_built_is_our_defect_and_holds_up_no_sibling(self) -> None:
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
    def test_B59_a_refused_account_is_not_the_message_s_fault(
        self, status: int, body: bytes
    ) -> None:
        result = self.outcome(says(status, body))

        assert isinstance(result, Misconfigured)
        assert result.code

    # --- secrets ----------------------------------------------------------------------------------

    def test_S66_it_shows_no_secret_no_number_and_no_text(
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


def wired(provider: Provider) -> bool:
    return isinstance(provider, HTTPProvider)


def assert_unsent(result: Result, reason: str) -> None:
    assert result == Unavailable(reason)

"""What a provider must do with what its carrier calls us with: reports, and what people write."""

import json
from abc import ABC, abstractmethod
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from messaging.providers.base import Callback, HTTPProvider, Inbound, InvalidReport, Report
from tests.messaging.providers.batches import ANY_JSON

FORM = "application/x-www-form-urlencoded"
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=80)


class CallbackContract(ABC):
    """Part of `HTTPProviderContract`."""

    @abstractmethod
    def provider(self, address: str) -> HTTPProvider:
        """Return a provider that calls this address."""

    @abstractmethod
    def report(self, message_id: UUID, word: str = "", /) -> Callback:
        """Return the carrier's own callback that says that our message was delivered, or this word."""

    @abstractmethod
    def inbound(self, sender: str, text: str, /) -> Callback:
        """Return the carrier's own callback that says what somebody wrote to us."""

    @property
    def _provider(self) -> HTTPProvider:
        return self.provider("http://127.0.0.1:1")

    # --- whose it is ------------------------------------------------------------------------------

    def test_S60_the_carrier_s_own_callback_is_believed(self) -> None:
        assert self._provider.verify(self.report(uuid4()))
        assert self._provider.verify(self.inbound("+573001112233", "hola"))

    def test_S60_a_callback_without_its_proof_is_not_believed(self) -> None:
        for callback in (self.report(uuid4()), self.inbound("+573001112233", "STOP")):
            bare = replace(callback, url=callback.url.partition("?")[0], headers={})

            assert not self._provider.verify(bare)

    @pytest.mark.parametrize("door", ["reports", "inbound"])
    def test_S60_the_proof_of_one_door_opens_no_other(self, door: str) -> None:
        callback = self.report(uuid4()) if door == "inbound" else self.inbound("+573001112233", "a")
        other = "reports" if door == "inbound" else "inbound"
        assert f"/{other}" in callback.url

        assert not self._provider.verify(
            replace(callback, url=callback.url.replace(f"/{other}", f"/{door}"))
        )

    @pytest.mark.parametrize("body", [b"", b"{}", b"a=1", b"\xff\x00"])
    @pytest.mark.parametrize("content_type", [FORM, "application/json", "text/html", ""])
    def test_S60_nobody_is_believed_who_signs_nothing(self, body: bytes, content_type: str) -> None:
        address = "https://sms.example.org/api/providers/x/reports"
        for url in (address, f"{address}?callback_token=", f"{address}?m={uuid4().hex}&s="):
            assert not self._provider.verify(Callback(url, {}, b"a=1", FORM))
            try:
                believed = self._provider.verify(Callback(url, {}, body, content_type))
            except InvalidReport:
                continue
            assert not believed

    def test_S61_reading_it_again_says_the_same(self) -> None:
        callback = self.report(uuid4())
        again = replace(callback)

        assert self._provider.verify(again)
        assert self._provider.read_reports(callback) == self._provider.read_reports(again)

    # --- reports ----------------------------------------------------------------------------------

    def test_a_report_names_our_message_and_what_became_of_it(self) -> None:
        message_id = uuid4()

        (report,) = self._provider.read_reports(self.report(message_id))

        assert report.message_id == message_id
        assert report.status == "DELIVERED"
        assert report.provider_message_id
        assert not report.opts_out
        assert_fit_to_be_stored(report)

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(word=WORDS)
    def test_B60_a_word_nobody_knows_moves_nothing_and_is_kept(self, word: str) -> None:
        message_id = uuid4()

        (report,) = self._provider.read_reports(self.report(message_id, f"?{word}"))

        assert (report.message_id, report.status) == (message_id, "")
        assert f"?{word}" in texts(dict(report.raw))
        assert_fit_to_be_stored(report)

    # --- what people write ------------------------------------------------------------------------

    def test_a_message_from_somebody_is_read(self) -> None:
        (inbound,) = self._provider.read_inbound(self.inbound("+573001112233", "Hola ☕ STOP"))

        assert inbound.sender == "+573001112233"
        assert inbound.text == "Hola ☕ STOP"
        assert inbound.recipient
        assert inbound.provider_message_id
        assert_fit_to_be_stored(inbound)

    def test_a_report_is_no_message_and_a_message_no_report(self) -> None:
        with pytest.raises(InvalidReport):
            self._provider.read_reports(self.inbound("+573001112233", "hola"))
        with pytest.raises(InvalidReport):
            self._provider.read_inbound(as_inbound(self.report(uuid4())))

    # --- whatever else ----------------------------------------------------------------------------

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"", id="empty"),
            pytest.param(b"<html>hello</html>", id="HTML"),
            pytest.param(b"MessageSid=%00&MessageStatus=sent&From=%00", id="NUL"),
            pytest.param(b"MessageSid=%ff", id="bad UTF-8"),
            pytest.param(b"MessageSid[]=a&MessageSid[]=b", id="array in a form"),
            pytest.param(b"a=1&" * 10_000, id="10,000 fields"),
            pytest.param(b"x" * 10_000_000, id="10 MB"),
            pytest.param(b"[" * 100_000, id="deep JSON"),
            pytest.param(b"null", id="null"),
            pytest.param(b"[]", id="top-level list"),
            pytest.param(b'{"results": {}}', id="no list"),
            pytest.param(b'{"results": [1]}', id="numbers for results"),
            pytest.param(b'{"results": [{}]}', id="empty result"),
            pytest.param(b'{"results": [{"messageId": [], "status": [], "from": {}}]}', id="types"),
            pytest.param(b'{"results": [{"messageId": "a\\u0000"}]}', id="NUL in JSON"),
            pytest.param(b'{"results": [{"messageId": "\\ud800"}]}', id="half a surrogate pair"),
            pytest.param(b'{"results": [{"messageId": NaN}]}', id="NaN"),
            pytest.param(b'{"results": [{"messageId": 1e999}]}', id="1e999"),
            pytest.param(b'{"results": [' + b"{}," * 100 + b"{}]}", id="101 results"),
            pytest.param(b'\xef\xbb\xbf{"results": []}', id="byte order mark"),
        ],
    )
    @pytest.mark.parametrize("content_type", [FORM, "application/json", "text/plain", ""])
    def test_B82_an_unreadable_body_is_called_so(self, body: bytes, content_type: str) -> None:
        for callback in (self.report(uuid4()), self.inbound("+573001112233", "hola")):
            hostile = replace(callback, body=body, content_type=content_type)

            with pytest.raises(InvalidReport):
                self._provider.read_reports(hostile)
            with pytest.raises(InvalidReport):
                self._provider.read_inbound(hostile)

    @settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
    @given(payload=ANY_JSON, raw=st.binary(max_size=200) | st.none())
    def test_B82_no_body_whatever_makes_reading_fail_otherwise(
        self, payload: object, raw: bytes | None
    ) -> None:
        provider = self._provider
        body = json.dumps({"results": [payload, payload]}).encode() if raw is None else raw
        for content_type in (FORM, "application/json"):
            callback = Callback("https://sms.example.org/r", {}, body, content_type)
            read: list[Report | Inbound]
            try:
                read = [*provider.read_reports(callback), *provider.read_inbound(callback)]
            except InvalidReport:
                continue
            for one in read:
                assert_fit_to_be_stored(one)

    def test_S67_what_was_read_shows_no_number_and_no_text(self) -> None:
        callbacks = [self.report(uuid4()), self.inbound("+573001112233", "mi secreto")]
        shown = repr(callbacks)
        shown += repr(self._provider.read_reports(callbacks[0]))
        shown += repr(self._provider.read_inbound(callbacks[1]))

        assert "3001112233" not in shown
        assert "mi secreto" not in shown


def texts(value: object) -> list[str]:
    """Return every text in a JSON value."""
    match value:
        case str():
            return [value]
        case dict():
            return [text for inner in value.values() for text in texts(inner)]
        case list():
            return [text for inner in value for text in texts(inner)]
        case _:
            return []


def as_inbound(report: Callback) -> Callback:
    return replace(report, url=report.url.replace("/reports", "/inbound"))


def assert_fit_to_be_stored(read: Report | Inbound) -> None:
    """Pass when PostgreSQL takes every part of it: no NUL, no half of a surrogate pair, no NaN."""
    raw = json.dumps(dict(read.raw), ensure_ascii=False, allow_nan=False)
    words = [read.provider_message_id, raw]
    match read:
        case Report():
            words += [read.code, read.reason]
            assert len(read.code) <= 64
            assert len(read.reason) <= 300
        case Inbound():
            words += [read.sender, read.recipient, read.text, read.keyword]
    assert all(
        "\\u0000" not in word and "\x00" not in word and word.encode() for word in words if word
    )

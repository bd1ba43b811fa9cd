"""The two providers that reach nobody."""

import pytest

from messaging.providers.base import (
    Accepted,
    Callback,
    Credential,
    InvalidReport,
    Refused,
    Unavailable,
    Unclear,
)
from messaging.providers.console import Console
from messaging.providers.memory import Memory
from tests.messaging.providers.batches import TEXT, a_batch, sent
from tests.messaging.providers.contract import ProviderContract


class TestConsole(ProviderContract):
    def provider(self, _address: str) -> Console:
        return Console(Credential("local"))

    def test_it_writes_a_line_for_each_message_without_number_or_text(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        batch = a_batch(2, kind="OTP")

        results = sent(self.provider(""), batch)

        lines = capsys.readouterr().out.splitlines()
        assert lines == [
            f"OTP to ••••••••••000: {len(TEXT)} characters, message {batch.messages[0].id}",
            f"OTP to ••••••••••001: {len(TEXT)} characters, message {batch.messages[1].id}",
        ]
        assert all(isinstance(result, Accepted) for result in results.values())
        assert self.provider("").simulated


def test_nobody_reports_to_a_provider_without_a_carrier() -> None:
    with pytest.raises(InvalidReport, match="console sends no reports"):
        Console(Credential("local")).read_reports(Callback("https://x", {}, b"", ""))


class TestMemory(ProviderContract):
    def provider(self, _address: str) -> Memory:
        return Memory(Credential("local"))

    def test_it_keeps_what_it_takes(self) -> None:
        memory, batch = self.provider(""), a_batch(2)

        results = sent(memory, batch)

        assert [kept.message for kept in memory.messages] == list(batch.messages)
        assert {(kept.text, kept.kind) for kept in memory.messages} == {(TEXT, "SMS")}
        ids = {r.provider_message_id for r in results.values() if isinstance(r, Accepted)}
        assert len(ids) == 2
        assert memory.simulated

    def test_it_answers_as_it_is_told_then_takes_again(self) -> None:
        memory, batch = self.provider(""), a_batch(2)
        first, second = batch.messages
        memory.will_answer(first.recipient, Unavailable("busy"), Refused("1", "no"))

        results = [sent(memory, batch)[first.id] for _ in range(3)]

        assert results[:2] == [Unavailable("busy"), Refused("1", "no")]
        assert isinstance(results[2], Accepted)
        assert [kept.message for kept in memory.messages] == [second, second, first, second]

    def test_an_exception_it_is_told_leaves_every_outcome_open(self) -> None:
        memory, batch = self.provider(""), a_batch(2)
        memory.will_answer(batch.messages[1].recipient, RuntimeError("as a defect would"))

        results = sent(memory, batch)

        assert all(isinstance(result, Unclear) for result in results.values())

    def test_it_forgets(self) -> None:
        memory, batch = self.provider(""), a_batch()
        memory.will_answer(batch.messages[0].recipient, Refused("1", "no"))
        memory.clear()

        results = sent(memory, batch)

        assert isinstance(results[batch.messages[0].id], Accepted)
        assert len(memory.messages) == 1

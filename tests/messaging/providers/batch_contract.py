"""What a provider of many messages a request must do: the outcome of each by our own reference."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from uuid import UUID, uuid4

import pytest

from messaging.providers.base import (
    Accepted,
    Batch,
    HTTPProvider,
    Outgoing,
    Refused,
    Result,
    Unclear,
)
from tests.messaging.providers.batches import a_batch, sent
from tests.messaging.providers.stand_in import StandIn, resets, says


class BatchContract(ABC):
    """Inherited beside `HTTPProviderContract` by who declares a `max_batch` over 1."""

    @abstractmethod
    def provider(self, address: str) -> HTTPProvider:
        """Return a provider that calls this address."""

    @abstractmethod
    def taken(self, message: Outgoing, /) -> object:
        """Return what the carrier's answer says of a message that it takes."""

    @abstractmethod
    def refused(self, message: Outgoing, /) -> object:
        """Return what the carrier's answer says of a message that it will never take."""

    @abstractmethod
    def answer(self, entries: Sequence[object], /) -> tuple[int, object]:
        """Return status and JSON of the carrier's answer that says this, in this order."""

    def results(self, batch: Batch, entries: Sequence[object]) -> Mapping[UUID, Result]:
        """Send the batch to a carrier that answers so."""
        with StandIn(says(*self.answer(entries))) as carrier:
            results = sent(self.provider(carrier.address), batch)
        assert results.keys() == {message.id for message in batch.messages}
        assert len(carrier.requests) == 1
        return results

    def test_B62_each_message_has_its_own_outcome(self) -> None:
        batch = a_batch(3)
        first, second, third = batch.messages

        results = self.results(batch, [self.taken(first), self.refused(second), self.taken(third)])

        assert isinstance(results[first.id], Accepted)
        assert isinstance(results[second.id], Refused)
        assert isinstance(results[third.id], Accepted)

    def test_B63_the_order_of_the_answer_says_nothing(self) -> None:
        batch = a_batch(3)
        first, second, third = batch.messages

        results = self.results(batch, [self.refused(third), self.taken(second), self.taken(first)])

        assert isinstance(results[first.id], Accepted)
        assert isinstance(results[second.id], Accepted)
        assert isinstance(results[third.id], Refused)

    def test_B63_a_message_the_answer_leaves_out_is_of_unknown_outcome(self) -> None:
        batch = a_batch(3)
        first, second, third = batch.messages

        results = self.results(batch, [self.taken(third), self.refused(first)])

        assert isinstance(results[first.id], Refused)
        assert isinstance(results[second.id], Unclear)
        assert isinstance(results[third.id], Accepted)

    def test_B63_what_is_said_twice_is_true_once(self) -> None:
        batch = a_batch(2)
        first, second = batch.messages

        results = self.results(batch, [self.taken(first), self.taken(second), self.taken(first)])

        assert all(isinstance(result, Accepted) for result in results.values())

    @pytest.mark.parametrize("refused_first", [True, False])
    def test_B63_an_answer_that_contradicts_itself_is_not_believed(
        self, *, refused_first: bool
    ) -> None:
        batch = a_batch(2)
        first, second = batch.messages
        both = [self.refused(first), self.taken(first)]

        results = self.results(
            batch, [*(both if refused_first else reversed(both)), self.taken(second)]
        )

        assert isinstance(results[first.id], Unclear)
        assert isinstance(results[second.id], Accepted)

    def test_B63_a_foreign_message_is_dropped_with_an_alert(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        batch = a_batch(2)
        stranger = Outgoing(uuid4(), "+573009999999", "https://sms.example.org/r")

        results = self.results(
            batch, [self.taken(stranger), *(self.taken(message) for message in batch.messages)]
        )

        assert all(isinstance(result, Accepted) for result in results.values())
        (record,) = [r for r in caplog.records if r.message == "provider_foreign_results"]
        assert record.levelno == logging.ERROR
        assert vars(record)["count"] == 1

    def test_B64_a_lost_answer_leaves_the_whole_batch_open(self) -> None:
        batch = a_batch(self.provider("http://127.0.0.1:1").max_batch)

        with StandIn(resets()) as carrier:
            results = sent(self.provider(carrier.address), batch)

        assert results.keys() == {message.id for message in batch.messages}
        assert all(isinstance(result, Unclear) for result in results.values())

    def test_a_batch_of_one_is_taken_too(self) -> None:
        batch = a_batch()

        results = self.results(batch, [self.taken(batch.messages[0])])

        assert isinstance(results[batch.messages[0].id], Accepted)

"""A message that is handed over again: what is said of one attempt says nothing of the next."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import ClassVar, Final
from uuid import UUID, uuid4

import aiohttp
import pytest
from django.utils import timezone
from pytest_django import Settings

from messaging import delivery, lookups, providers, reports
from messaging.models import DeliveryReport, Message
from messaging.providers import references, registry
from messaging.providers.base import Batch, Handed, Report
from messaging.providers.lookups import Found
from messaging.providers.memory import Memory
from messaging.providers.results import Result, Unavailable, Unclear
from tests.messaging.conftest import Contacts, Send
from tests.messaging.factories import grant

PHONE: Final = "+573001234567"
MOMENT: Final = datetime(2026, 11, 23, 12, 0, 0, 123_456, tzinfo=UTC)


class ByReference(Memory):
    """Takes the id that we give it, as Infobip does, and is asked by it."""

    slug: ClassVar[str] = "byreference"
    lookup: ClassVar[bool] = True

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self.given: list[str] = []
        self.asked: list[str] = []

    async def hand_over(self, batch: Batch, http: aiohttp.ClientSession) -> Mapping[UUID, Result]:
        self.given += [message.reference for message in batch.messages]
        return await super().hand_over(batch, http)

    async def look_up(self, handed: Handed, http: aiohttp.ClientSession) -> list[Found]:  # noqa: ARG002 - there is no wire
        self.asked.append(handed.reference)
        return []


@pytest.fixture
def carrier(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> ByReference:
    monkeypatch.setitem(registry.PROVIDERS, "byreference", ByReference)
    settings.SMS_PROVIDERS = ["byreference://local"]
    (provider,) = providers.configured()
    assert isinstance(provider, ByReference)
    provider.clear()
    provider.given.clear()
    provider.asked.clear()
    return provider


@pytest.fixture
def tried_twice(memory: Memory, carrier: ByReference, contacts: Contacts, send: Send) -> Message:
    """A message that the carrier refused for the moment, and that was lost on its second way."""
    del memory  # which set up the limits anew
    (contact,) = contacts(PHONE)
    grant(contact.organization, 10)
    carrier.will_answer(PHONE, Unavailable("no credits", code="NO"), Unclear("read timeout"))
    broadcast = send()
    delivery.drain(queue_id=broadcast.pk, lane=0)
    Message.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    delivery.drain(queue_id=broadcast.pk, lane=0)
    return broadcast.messages.get()


def told(reference: str, status: str) -> None:
    """Have the carrier report under this id, as its callback is read, and apply it."""
    report = Report(reference, status, message_id=references.message_of(reference))  # type: ignore[arg-type]
    reports.keep(provider="byreference:local", reports=[report])
    reports.apply()


def test_each_attempt_has_an_id_of_its_own(tried_twice: Message, carrier: ByReference) -> None:
    first, second = carrier.given

    assert first == str(tried_twice.pk)
    assert second != first
    assert references.message_of(second) == tried_twice.pk


def test_a_look_up_asks_for_the_last_attempt(tried_twice: Message, carrier: ByReference) -> None:
    Message.objects.update(look_up_at=timezone.now())

    lookups.look_up(provider=carrier.name)

    assert carrier.asked == carrier.given[1:]
    assert tried_twice.status == "UNKNOWN"


def test_a_late_report_of_an_attempt_before_does_not_end_the_last(
    tried_twice: Message, carrier: ByReference
) -> None:
    told(carrier.given[0], "FAILED")

    tried_twice.refresh_from_db()
    assert (tried_twice.status, tried_twice.charge) == ("UNKNOWN", "RESERVED")
    assert DeliveryReport.objects.get().outcome == "NO_CHANGE"


def test_a_report_of_the_last_attempt_ends_it(tried_twice: Message, carrier: ByReference) -> None:
    told(carrier.given[1], "FAILED")

    tried_twice.refresh_from_db()
    assert (tried_twice.status, tried_twice.charge) == ("FAILED", "RELEASED")


def test_what_arrived_after_all_is_believed_of_every_attempt(
    tried_twice: Message, carrier: ByReference
) -> None:
    told(carrier.given[0], "DELIVERED")

    tried_twice.refresh_from_db()
    assert tried_twice.status == "DELIVERED"


@pytest.mark.parametrize("again_at", [None, MOMENT, datetime(9999, 12, 31, tzinfo=UTC)])
def test_a_reference_names_its_message(again_at: datetime | None) -> None:
    message_id = uuid4()

    reference = references.of(message_id, again_at)

    assert references.message_of(reference) == message_id
    assert len(reference) <= 64


def test_two_moments_a_microsecond_apart_are_two_attempts() -> None:
    message_id = uuid4()

    assert references.of(message_id, MOMENT) != references.of(
        message_id, MOMENT + timedelta(microseconds=1)
    )


_SOME = UUID("3efbb63d-61d2-44a6-81a5-4a433113fdb7")


@pytest.mark.parametrize(
    "reference",
    [
        *("", "-", "x" * 36, "x" * 50, _SOME.hex, str(_SOME).upper(), f"{_SOME}-"),
        *(
            f"{_SOME}-x",
            f"{_SOME}-6-4",
            f"{_SOME}:64",
            f"{_SOME}-{'6' * 17}",
            f"{_SOME} ",
        ),
    ],
)
def test_what_we_did_not_write_names_nothing_of_ours(reference: str) -> None:
    assert references.message_of(reference) is None

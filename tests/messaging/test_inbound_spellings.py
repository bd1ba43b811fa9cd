"""A STOP counts by whichever number a carrier tells for the telephone that was written to."""

import logging
from collections.abc import Callable
from typing import Any, Final

import pytest

from accounts.models import Organization
from contacts.models import Suppression
from messaging import delivery, inbound
from messaging.models import Broadcast, InboundMessage, Message
from messaging.providers.callbacks import Inbound
from messaging.providers.memory import Memory
from tests.messaging.conftest import Contacts, Send

pytestmark = pytest.mark.usefixtures("memory", "books_balance")

OURS: Final = "+525599998888"
Written = Callable[..., Broadcast]


@pytest.fixture
def written(
    acme: Organization,
    contacts: Contacts,
    grant: Callable[[Organization, int], None],
    send: Send,
) -> Written:
    """Write to these numbers as Acme."""
    grant(acme, 10)

    def to(*phones: str) -> Broadcast:
        contacts(*phones)
        broadcast = send()
        delivery.drain(queue_id=broadcast.pk, lane=0)
        return broadcast

    return to


def answers(sender: str, text: str = "STOP", **more: Any) -> None:
    inbound.take(
        provider="memory:local", messages=[Inbound(f"SM{text}", sender, OURS, text, {}, **more)]
    )


def opted_out() -> set[str]:
    return set(Suppression.objects.values_list("recipient", flat=True))


@pytest.mark.parametrize(
    ("to", "sender"),
    [
        ("+525512345678", "+5215512345678"),
        ("+525512345678", "5512345678"),
        ("+5491123456789", "+541123456789"),
        ("+541123456789", "+5491123456789"),
        ("+541123456789", "541123456789"),
        ("+5511987654321", "+551187654321"),
        ("+551187654321", "+5511987654321"),
    ],
)
def test_a_stop_in_the_other_spelling_counts(written: Written, to: str, sender: str) -> None:
    recipient = written(to).messages.get().recipient

    answers(sender)

    assert opted_out() == {recipient}
    assert InboundMessage.objects.get().organizations == 1


def test_a_stop_counts_for_what_was_sent_before_numbers_became_one(written: Written) -> None:
    written("+5491123456789")
    Message.objects.update(recipient="+541123456789")

    answers("+541123456789")

    # What still waits stands under the one, and the contact under the other.
    assert opted_out() == {"+541123456789", "+5491123456789"}
    answers("+541123456789", "START")
    assert opted_out() == set()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("+54 9 11 2345-6789", "+54 11 2345-6789"),
        ("+55 11 98765-4321", "+55 11 8765-4321"),
        ("+52 55 1234 5678", "+52 1 55 1234 5678"),
    ],
)
def test_B87_two_contacts_with_one_telephone_get_one_message(
    written: Written, memory: Memory, one: str, other: str
) -> None:
    broadcast = written(one, other)

    assert len(memory.messages) == 1
    assert broadcast.skips.get().reason == "duplicate"


def test_a_stop_that_counts_for_nobody_is_said(
    written: Written, caplog: pytest.LogCaptureFixture
) -> None:
    written("+573001234567")

    answers("+573009999999")

    (record,) = [r for r in caplog.records if r.message == "inbound_stop_for_nobody"]
    assert record.levelno == logging.WARNING
    assert "3009999999" not in str(vars(record))


@pytest.mark.parametrize(("sender", "text"), [("+573001234567", "STOP"), ("+573009999999", "Hi")])
def test_nothing_is_said_of_a_stop_that_counts_or_of_other_words(
    written: Written, caplog: pytest.LogCaptureFixture, sender: str, text: str
) -> None:
    written("+573001234567")

    answers(sender, text)

    assert "inbound_stop_for_nobody" not in caplog.messages

"""Rows of what was sent, in any state, for tests of the pages that show them."""

from factory.declarations import LazyAttribute, LazyFunction, Sequence, SubFactory
from factory.django import DjangoModelFactory

from messaging import journeys
from messaging.models import (
    Broadcast,
    DeliveryReport,
    InboundMessage,
    Message,
    MessageEvent,
    Skip,
)
from tests.factories import MemberFactory


class BroadcastFactory(DjangoModelFactory[Broadcast]):
    """A running broadcast without messages. Give the counters by status, and the skips by reason."""

    class Meta:
        model = Broadcast

    member = SubFactory(MemberFactory)
    organization = LazyAttribute(lambda row: row.member.organization)
    text = "Hola"
    encoding = "GSM-7"
    segments = 1
    status = Broadcast.Status.RUNNING
    messages_total = LazyAttribute(
        lambda row: sum(getattr(row, counter, 0) for counter in journeys.COUNTERS.values())
    )
    skipped_by_reason = LazyFunction(dict)
    skipped_total = LazyAttribute(lambda row: sum(row.skipped_by_reason.values()))
    audience = LazyAttribute(lambda row: row.messages_total + row.skipped_total)


class MessageFactory(DjangoModelFactory[Message]):
    """A queued message. Its broadcast's counters stay as they are."""

    class Meta:
        model = Message

    broadcast = SubFactory(BroadcastFactory)
    organization = LazyAttribute(lambda row: row.broadcast.organization)
    recipient = Sequence(lambda n: f"+57300{n:07}")
    country = "CO"
    segments = 1
    credits = 1
    status = Message.Status.QUEUED
    charge = Message.Charge.RESERVED


class SkipFactory(DjangoModelFactory[Skip]):
    class Meta:
        model = Skip

    broadcast = SubFactory(BroadcastFactory)
    phone = "123"
    reason = Skip.Reason.INVALID_NUMBER


class MessageEventFactory(DjangoModelFactory[MessageEvent]):
    class Meta:
        model = MessageEvent

    message = SubFactory(MessageFactory)
    kind = MessageEvent.Kind.PUT_BACK
    detail = "connection refused"


class DeliveryReportFactory(DjangoModelFactory[DeliveryReport]):
    """A report of a message of nobody's, unless its id is given."""

    class Meta:
        model = DeliveryReport

    provider = "twilio:AC1"
    status = Message.Status.DELIVERED
    raw = LazyFunction(lambda: {"MessageStatus": "delivered"})


class InboundMessageFactory(DjangoModelFactory[InboundMessage]):
    """What somebody wrote who was never written to, unless a message of the sender's is made."""

    class Meta:
        model = InboundMessage

    provider = "twilio:AC1"
    sender = "+573001234567"
    recipient = "+15005550006"
    text = "STOP"
    effect = InboundMessage.Effect.STOP
    raw = LazyFunction(lambda: {"Body": "STOP"})

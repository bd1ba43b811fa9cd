"""What the wire says on a client's start page."""

from typing import Any

from rest_framework import serializers

from accounts.doors.fields import MomentField
from messaging.models import Message
from messaging.serializers.messages import SHOWN


class MessageTotalsSerializer(serializers.Serializer[Any]):
    """How many messages of the last 30 days stand where, and the credits for more."""

    sent = serializers.IntegerField(help_text="SENT or DELIVERED, accepted in the last 30 days.")
    failed = serializers.IntegerField(
        help_text="FAILED or UNDELIVERED, accepted in the last 30 days."
    )
    pending = serializers.IntegerField(
        help_text="SCHEDULED, QUEUED, SENDING or UNKNOWN, accepted in the last 30 days."
    )
    available = serializers.IntegerField(help_text="Credits that may be used.")
    used = serializers.IntegerField(help_text="Credits spent since the beginning.")


class StatsSerializer(serializers.Serializer[Any]):
    """The organization's totals."""

    totalContacts = serializers.IntegerField(
        help_text="Exact up to 10,000, an estimate above; `/api/contacts/count` counts exactly."
    )
    messages = MessageTotalsSerializer()


class RecentMessageSerializer(serializers.Serializer[Message]):
    """A message in short."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=SHOWN, source="shown_status")
    createdAt = MomentField(source="created_at")
    phone = serializers.CharField(source="recipient", allow_blank=True)
    content = serializers.CharField(source="broadcast.text", allow_blank=True)


class DashboardSerializer(serializers.Serializer[Any]):
    """What a client's start page shows."""

    stats = StatsSerializer()
    recentMessages = RecentMessageSerializer(many=True)

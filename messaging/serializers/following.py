"""What the wire says of one broadcast."""

from datetime import datetime
from typing import Any

from django.utils import timezone
from rest_framework import serializers

from accounts.doors.fields import IdField, MomentField, NameField, PeriodField
from messaging.models import Broadcast, Kind, Skip


class BroadcastFilter(serializers.Serializer[Any]):
    """Which broadcasts are meant; all that is given must hold."""

    status = NameField(
        choices=Broadcast.Status.choices, required=False, help_text="In any letter case."
    )
    startDate = PeriodField(
        required=False,
        source="created_at__gte",
        help_text="The first day, of UTC, or the first moment of acceptance.",
    )
    endDate = PeriodField(
        is_end=True,
        required=False,
        source="created_at__lt",
        help_text="The last day, of UTC, or the last moment of acceptance.",
    )
    member = IdField(required=False, help_text="Who sent it.")


class CountsSerializer(serializers.Serializer[Broadcast]):
    """`audience` = `messages` + `skipped`, and the statuses add up to `messages`."""

    audience = serializers.IntegerField()
    messages = serializers.IntegerField()
    skipped = serializers.IntegerField()
    scheduled = serializers.IntegerField()
    queued = serializers.IntegerField()
    sending = serializers.IntegerField()
    sent = serializers.IntegerField()
    delivered = serializers.IntegerField()
    undelivered = serializers.IntegerField()
    failed = serializers.IntegerField()
    unknown = serializers.IntegerField()
    canceled = serializers.IntegerField()


class CreditsSerializer(serializers.Serializer[Broadcast]):
    """Where the credits of a broadcast are now."""

    reserved = serializers.IntegerField()
    captured = serializers.IntegerField()
    released = serializers.IntegerField()


class SenderSerializer(serializers.Serializer[Any]):
    """Who sent it."""

    id = serializers.UUIDField()
    name = serializers.CharField()


class BroadcastSerializer(serializers.Serializer[Broadcast]):
    """One broadcast, as it stands."""

    queueId = serializers.UUIDField()
    channel = serializers.ChoiceField(choices=["sms"])
    type = serializers.ChoiceField(choices=Kind.choices)
    status = serializers.ChoiceField(choices=Broadcast.Status.choices)
    pausedBecause = serializers.ChoiceField(
        choices=Broadcast.PausedBecause.choices, allow_null=True
    )
    message = serializers.CharField(allow_blank=True, help_text="Empty once it is blanked.")
    member = SenderSerializer()
    createdAt = MomentField()
    scheduledAt = MomentField(allow_null=True)
    startedAt = MomentField(allow_null=True)
    finishedAt = MomentField(allow_null=True)
    blankedAt = MomentField(
        allow_null=True,
        help_text="When text and numbers were removed, as the organization's retention says.",
    )
    etaSeconds = serializers.IntegerField(
        allow_null=True,
        help_text="Seconds until nothing waits, at the pace so far; null while nothing moves.",
    )
    progress = serializers.FloatField(min_value=0, max_value=1)
    counts = CountsSerializer()
    skipped = serializers.DictField(
        child=serializers.IntegerField(),
        help_text=f"Contacts by reason: {', '.join(Skip.Reason.values)}.",
    )
    credits = CreditsSerializer()
    providers = serializers.ListField(child=serializers.CharField())

    def to_representation(self, broadcast: Broadcast) -> dict[str, Any]:
        is_scheduled = broadcast.status == Broadcast.Status.SCHEDULED
        return super().to_representation(
            {  # type: ignore[arg-type] # the wire's shape stands between the row and the fields
                "queueId": broadcast.pk,
                "channel": "sms",
                "type": broadcast.kind,
                "status": broadcast.status,
                "pausedBecause": broadcast.paused_because or None,
                "message": broadcast.text,
                "member": broadcast.member,
                "createdAt": broadcast.created_at,
                "scheduledAt": broadcast.scheduled_at,
                "startedAt": broadcast.started_at,
                "finishedAt": broadcast.finished_at,
                "blankedAt": broadcast.blanked_at,
                "etaSeconds": _eta_seconds(broadcast, timezone.now()),
                "progress": round(broadcast.progress, 4),
                "counts": {
                    "audience": broadcast.audience,
                    "messages": broadcast.messages_total,
                    "skipped": broadcast.skipped_total,
                    "scheduled": broadcast.queued if is_scheduled else 0,
                    "queued": 0 if is_scheduled else broadcast.queued,
                    "sending": broadcast.sending,
                    "sent": broadcast.sent,
                    "delivered": broadcast.delivered,
                    "undelivered": broadcast.undelivered,
                    "failed": broadcast.failed,
                    "unknown": broadcast.unknown,
                    "canceled": broadcast.canceled,
                },
                "skipped": broadcast.skipped_by_reason,
                "credits": {
                    "reserved": broadcast.credits_reserved,
                    "captured": broadcast.credits_captured,
                    "released": broadcast.credits_released,
                },
                "providers": broadcast.providers,
            }
        )


def _eta_seconds(broadcast: Broadcast, now: datetime) -> int | None:
    """Return the seconds until nothing waits, at the pace so far; None where there is no pace."""
    if broadcast.status in Broadcast.FINISHED_STATUSES:
        return 0
    handed_over = broadcast.messages_total - broadcast.waiting
    if (
        broadcast.status != Broadcast.Status.RUNNING
        or broadcast.started_at is None
        or not handed_over
    ):
        return None
    seconds_a_message = (now - broadcast.started_at).total_seconds() / handed_over
    return max(1, round(seconds_a_message * broadcast.waiting))

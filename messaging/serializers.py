"""What the wire says of broadcasts and messages, in camelCase, and how a request to send is read."""

from datetime import datetime
from typing import Any, Final

from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework import serializers

from accounts.doors.fields import MomentField, StrictCharField
from contacts import phone_numbers
from messaging import broadcasts
from messaging.models import Broadcast, Kind, Message, Skip

UNSUPPORTED_TYPE: Final = "4001"
UNSUPPORTED_COUNTRY: Final = "4002"


class SendToAllSerializer(serializers.Serializer[dict[str, str]]):
    """The body of a send. Unknown fields are ignored."""

    message = StrictCharField(
        trim_whitespace=False,
        help_text="The text, kept exactly as given. Something of it must be visible.",
    )
    type = StrictCharField(
        required=False,
        allow_null=True,
        default=Kind.SMS.value,
        help_text="`SMS` (the default), `OTP` or `FLASH`, in any letter case.",
    )
    country = StrictCharField(
        required=False,
        allow_null=True,
        default=None,
        help_text="How national numbers are read: ISO 3166-1 alpha-2 as `CO`, or a calling code as `57`.",
    )

    def validate_message(self, text: str) -> str:
        try:
            broadcasts.require_visible(text)
        except broadcasts.TextNotAllowed as error:
            raise serializers.ValidationError(str(error)) from error
        return text

    def validate_type(self, name: str | None) -> str:
        if name is None:
            return Kind.SMS
        # Outside ASCII some letters become these in upper case: the long s of old prints is one.
        if not name.isascii() or name.upper() not in Kind.values:
            raise serializers.ValidationError(
                _("Use one of: %(kinds)s.") % {"kinds": ", ".join(Kind.values)},
                code=UNSUPPORTED_TYPE,
            )
        return name.upper()

    def validate_country(self, name: str | None) -> str:
        if name is None:
            return ""
        try:
            return phone_numbers.country_of(name)
        except phone_numbers.UnsupportedCountry as error:
            raise serializers.ValidationError(
                _("This is no country. Give two letters, as CO, or a calling code, as 57."),
                code=UNSUPPORTED_COUNTRY,
            ) from error


class AcceptedMessageSerializer(serializers.Serializer[Message]):
    """One entry of a send's answer."""

    id = serializers.UUIDField()
    recipient = serializers.CharField(help_text="E.164, as +573001234567.")


class EnqueueResultSerializer(serializers.Serializer[Broadcast]):
    """What a send answers."""

    queueId = serializers.CharField(  # noqa: N815 - the wire's name
        help_text="The broadcast, and the id of the task that carries it. Empty when nobody can be reached."
    )
    channel = serializers.ChoiceField(choices=["sms"])
    messages = AcceptedMessageSerializer(many=True)


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

    queueId = serializers.UUIDField()  # noqa: N815 - the wire's names, here and below
    channel = serializers.ChoiceField(choices=["sms"])
    type = serializers.ChoiceField(choices=Kind.choices)
    status = serializers.ChoiceField(choices=Broadcast.Status.choices)
    pausedBecause = serializers.ChoiceField(  # noqa: N815
        choices=Broadcast.PausedBecause.choices, allow_null=True
    )
    message = serializers.CharField()
    member = SenderSerializer()
    createdAt = MomentField()  # noqa: N815
    scheduledAt = MomentField(allow_null=True)  # noqa: N815
    startedAt = MomentField(allow_null=True)  # noqa: N815
    finishedAt = MomentField(allow_null=True)  # noqa: N815
    etaSeconds = serializers.IntegerField(  # noqa: N815
        allow_null=True, help_text="Seconds until nothing waits, at the pace so far."
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
    if broadcast.started_at is None or not handed_over:
        return None
    seconds_a_message = (now - broadcast.started_at).total_seconds() / handed_over
    return max(1, round(seconds_a_message * broadcast.waiting))

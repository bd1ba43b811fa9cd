"""How a request to send is read, and what it answers."""

from typing import Any, Final
from uuid import UUID

from django.utils.translation import gettext as _
from rest_framework import serializers

from accounts.doors.fields import IdsField, MomentField, StrictCharField
from contacts import phone_numbers
from messaging import orders
from messaging.classification import CountryShare
from messaging.estimates import Estimate
from messaging.models import Broadcast, Kind, Message

UNSUPPORTED_TYPE: Final = "4001"
UNSUPPORTED_COUNTRY: Final = "4002"


MOST: Final = 1_000
"""Numbers, or tags, that one request may name."""


class SendToAllSerializer(serializers.Serializer[dict[str, Any]]):
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
    scheduledAt = MomentField(
        required=False,
        allow_null=True,
        help_text="When to send it: a moment to come, at most 90 days ahead. Left out: at once.",
    )
    confirmToken = StrictCharField(
        required=False,
        allow_null=True,
        allow_blank=True,
        trim_whitespace=False,
        help_text=(
            "From a dry run of the same request, at most 30 minutes old: it is sent only if recipients and "
            "price are still what that dry run saw, and once."
        ),
    )

    def validate_message(self, text: str) -> str:
        try:
            orders.require_visible(text)
        except orders.TextNotAllowed as error:
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

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Leave out what is null, as if it were omitted: a request is known by its fields."""
        return {name: value for name, value in attrs.items() if value is not None}


class SendToContactsSerializer(SendToAllSerializer):
    """The body of a send to phone numbers. Unknown fields are ignored."""

    contacts = serializers.ListField(
        child=StrictCharField(
            allow_blank=True, trim_whitespace=False, max_length=phone_numbers.LONGEST
        ),
        min_length=1,
        max_length=MOST,
        help_text=(
            "Phone numbers, international as `+573001234567` or national. What is no number, or is given "
            "twice, is left out of the answer and kept with its reason."
        ),
    )


class SendToTagsSerializer(SendToAllSerializer):
    """The body of a send to tags. Unknown fields are ignored."""

    tagIds = IdsField(
        min_length=1, max_length=MOST, help_text="Contacts that carry any of these tags."
    )

    def validate_tagIds(self, ids: list[UUID]) -> list[UUID]:  # noqa: N802 - the field's name
        """Order and repetition say nothing: a request is known by its fields."""
        return sorted(set(ids))


class AcceptedMessageSerializer(serializers.Serializer[Message]):
    """One entry of a send's answer."""

    id = serializers.UUIDField()
    recipient = serializers.CharField(help_text="E.164, as +573001234567.")


class EnqueueResultSerializer(serializers.Serializer[Broadcast]):
    """What a send answers."""

    queueId = serializers.CharField(
        help_text="The broadcast, and the id of the task that carries it. Empty when nobody can be reached."
    )
    channel = serializers.ChoiceField(choices=["sms"])
    messages = AcceptedMessageSerializer(many=True)


class CountryShareSerializer(serializers.Serializer[CountryShare]):
    """What of it goes to one country."""

    country = serializers.CharField(help_text="ISO 3166-1 alpha-2; empty for no country's numbers.")
    recipients = serializers.IntegerField()
    credits = serializers.IntegerField()


class SentLatelySerializer(serializers.Serializer[Broadcast]):
    """A broadcast of the same text."""

    queueId = serializers.UUIDField(source="pk")
    createdAt = MomentField(source="created_at")
    messages = serializers.IntegerField(source="messages_total")


class EstimateSerializer(serializers.Serializer[Estimate]):
    """What sending it now would come to. Nothing was written or charged."""

    audience = serializers.IntegerField(help_text="`recipients` and all that are skipped.")
    recipients = serializers.IntegerField(help_text="Messages, one a number.")
    skipped = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="Contacts by the reason for which they get none.",
    )
    encoding = serializers.ChoiceField(choices=["GSM-7", "UCS-2"])
    segmentsPerMessage = serializers.IntegerField(source="segments_per_message")
    segments = serializers.IntegerField(help_text="Of all messages together.")
    credits = serializers.IntegerField()
    balance = serializers.IntegerField(help_text="Credits that are available now.")
    balanceAfter = serializers.IntegerField(
        source="balance_after", help_text="Below 0: there are too few, and sending answers 402."
    )
    byCountry = CountryShareSerializer(many=True, source="by_country")
    nonGsmCharacters = serializers.ListField(
        child=serializers.CharField(trim_whitespace=False),
        source="non_gsm_characters",
        help_text="Each character that makes the text UCS-2, once.",
    )
    sampleRecipients = serializers.ListField(
        child=serializers.CharField(),
        source="sample_recipients",
        help_text="The first recipients, at most five.",
    )
    etaSeconds = serializers.IntegerField(
        source="eta_seconds", help_text="From its start to the last hand-over, as providers allow."
    )
    confirmToken = serializers.CharField(
        source="confirm_token", help_text="Sends exactly this, once, within 30 minutes."
    )
    needsApproval = serializers.BooleanField(
        source="needs_approval",
        help_text="It would wait for another member: it has more recipients than may go without.",
    )
    sentLately = SentLatelySerializer(
        many=True,
        source="sent_lately",
        help_text="The last broadcasts of the same text within 24 hours, at most five.",
    )

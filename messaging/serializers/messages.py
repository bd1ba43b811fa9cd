"""What the wire says of messages and of who got none, and how lists of them are narrowed."""

from typing import Any, Final

from django.utils.translation import gettext as _
from rest_framework import serializers

from accounts.doors.fields import IdField, MomentField, NameField, PeriodField, StrictCharField
from contacts import phone_numbers
from messaging import life, searching
from messaging.life import Moment, What
from messaging.models import Kind, Message, Skip

UNSUPPORTED_COUNTRY: Final = "4002"
PENDING: Final = "PENDING"
"""The filter's word for every status that is not final."""

SHOWN: Final = [*Message.Status.values, searching.SCHEDULED]
"""Every status of a message that the wire has."""

_NAMES: Final = {"messageType": "type", "content": "search", "recipientDetails": "recipient"}
"""Other names of filters, each with the one that it stands for."""


class MessageFilter(serializers.Serializer[Any]):
    """Which messages are meant; all that is given must hold."""

    status = NameField(
        choices=[*SHOWN, PENDING],
        required=False,
        help_text="In any letter case. `PENDING` is every status that is not final, `SCHEDULED` what waits "
        "for its broadcast to start.",
    )
    type = NameField(choices=Kind.choices, required=False, help_text="In any letter case.")
    messageType = NameField(
        choices=Kind.choices, required=False, help_text="The same as `type`, which goes before it."
    )
    startDate = PeriodField(
        required=False,
        source="since",
        help_text="The first day, of UTC, or the first moment of acceptance.",
    )
    endDate = PeriodField(
        is_end=True,
        required=False,
        source="until",
        help_text="The last day, of UTC, or the last moment of acceptance.",
    )
    search = StrictCharField(
        required=False,
        max_length=200,
        help_text="Beginnings of words of the text, with or without accents; all of them must occur.",
    )
    content = StrictCharField(
        required=False, max_length=200, help_text="The same as `search`, which goes before it."
    )
    recipient = StrictCharField(
        required=False,
        max_length=phone_numbers.LONGEST,
        help_text="A whole number, or its beginning. A national one is read as your organization's.",
    )
    recipientDetails = StrictCharField(
        required=False,
        max_length=phone_numbers.LONGEST,
        help_text="The same as `recipient`, which goes before it.",
    )
    countryCode = StrictCharField(
        required=False,
        max_length=16,
        source="countries",
        help_text="The country of the number: a calling code, as `57`, with all countries that share "
        "it, or two letters, as `CO`.",
    )
    queueId = IdField(required=False, source="queue_id")
    contactId = IdField(required=False, source="contact_id")
    provider = StrictCharField(
        required=False, max_length=64, help_text="As the messages name it: `twilio:AC0…`."
    )

    def validate_countryCode(self, text: str) -> tuple[str, ...]:  # noqa: N802 - the wire's name
        try:
            return phone_numbers.countries_of(text)
        except phone_numbers.UnsupportedCountry as error:
            raise serializers.ValidationError(
                _("This is no country. Give two letters, as CO, or a calling code, as 57."),
                code=UNSUPPORTED_COUNTRY,
            ) from error

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return the filters as `searching.find` knows them."""
        for other, name in _NAMES.items():
            given = fields.pop(other, None)
            if given is not None:
                fields.setdefault(name, given)
        found = {ours: fields.pop(name) for name, ours in _VERB.items() if name in fields} | fields
        if (status := found.pop("status", None)) is not None:
            found["statuses"] = searching.PENDING if status == PENDING else {status}
        return found


_VERB: Final = {"type": "kind", "search": "text"}


class MessageSerializer(serializers.Serializer[Message]):
    """One message. What nobody knows yet is null."""

    id = serializers.UUIDField()
    queueId = serializers.UUIDField()
    type = serializers.ChoiceField(choices=Kind.choices)
    messageType = serializers.ChoiceField(choices=Kind.choices, help_text="The same as `type`.")
    contentType = serializers.ChoiceField(choices=["PLAIN_TEXT"])
    message = serializers.CharField(allow_blank=True, help_text="Empty once it is blanked.")
    content = serializers.CharField(allow_blank=True, help_text="The same as `message`.")
    recipient = serializers.CharField(
        allow_blank=True, help_text="E.164, as +573001234567. Empty once it is blanked."
    )
    recipientDetails = serializers.CharField(allow_blank=True, help_text="The same as `recipient`.")
    country = serializers.CharField(help_text="The country of the number, as CO.")
    countryCode = serializers.CharField(help_text="Its calling code, as 57.")
    status = serializers.ChoiceField(choices=SHOWN)
    segments = serializers.IntegerField()
    credits = serializers.IntegerField()
    provider = serializers.CharField(allow_null=True, help_text="Who has it, or had it last.")
    providerMessageId = serializers.CharField(allow_null=True)
    errorCode = serializers.CharField(allow_null=True)
    errorMessage = serializers.CharField(allow_null=True)
    contactId = serializers.UUIDField(allow_null=True)
    organizationId = serializers.UUIDField()
    createdAt = MomentField()
    sentAt = MomentField(allow_null=True)
    deliveredAt = MomentField(allow_null=True)
    updatedAt = MomentField()
    blankedAt = MomentField(
        allow_null=True,
        help_text="When text and numbers were removed, as the organization's retention says.",
    )

    def to_representation(self, message: Message) -> dict[str, Any]:
        return super().to_representation(self.shape(message))  # type: ignore[arg-type] # the wire's shape

    def shape(self, message: Message) -> dict[str, Any]:
        """Return the message under the wire's names; its broadcast is best fetched before."""
        broadcast = message.broadcast
        return {
            "id": message.pk,
            "queueId": broadcast.pk,
            "type": broadcast.kind,
            "messageType": broadcast.kind,
            "contentType": "PLAIN_TEXT",
            "message": broadcast.text,
            "content": broadcast.text,
            "recipient": message.recipient,
            "recipientDetails": message.recipient,
            "country": message.country,
            "countryCode": phone_numbers.calling_code_of(message.country),
            "status": message.shown_status,
            "segments": message.segments,
            "credits": message.credits,
            "provider": message.provider or None,
            "providerMessageId": message.provider_message_id or None,
            "errorCode": message.error_code or None,
            "errorMessage": message.reason or None,
            "contactId": message.contact_id,
            "organizationId": message.organization_id,
            "createdAt": message.created_at,
            "sentAt": message.sent_at,
            "deliveredAt": message.delivered_at,
            "updatedAt": message.updated_at,
            "blankedAt": broadcast.blanked_at,
        }


class MomentSerializer(serializers.Serializer[Moment]):
    """Something that happened to a message."""

    at = MomentField()
    event = serializers.ChoiceField(choices=[what.value for what in What], source="what")
    status = serializers.SerializerMethodField(
        help_text="The status it brought or speaks of; null where it speaks of none."
    )
    title = serializers.CharField(help_text="In words, in the language that was asked for.")
    details = serializers.ListField(child=serializers.CharField())
    raw = serializers.JSONField(allow_null=True, help_text="The provider's own words.")

    def get_status(self, moment: Moment) -> str | None:
        return moment.status or None


class MessageWithEventsSerializer(MessageSerializer):
    """One message and its whole life, earliest first."""

    events = MomentSerializer(many=True)

    def shape(self, message: Message) -> dict[str, Any]:
        """Return the message with its life."""
        return {**super().shape(message), "events": life.moments(message)}


class SkipSerializer(serializers.Serializer[Skip]):
    """A contact that got no message, and why."""

    contactId = serializers.UUIDField(source="contact_id", allow_null=True)
    phone = serializers.CharField(
        allow_blank=True, help_text="The number as it was given. Empty once it is blanked."
    )
    reason = serializers.ChoiceField(choices=Skip.Reason.choices)
    duplicateOf = serializers.UUIDField(
        source="duplicate_of_id",
        allow_null=True,
        help_text="The contact that has the number, where the reason is `duplicate`.",
    )

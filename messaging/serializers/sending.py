"""How a request to send is read, and what it answers."""

from typing import Final

from django.utils.translation import gettext as _
from rest_framework import serializers

from accounts.doors.fields import StrictCharField
from contacts import phone_numbers
from messaging import broadcasts
from messaging.models import Broadcast, Kind, Message

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

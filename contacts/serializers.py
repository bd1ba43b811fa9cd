"""The wire's shapes of contacts, tags and opt-outs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final
from uuid import UUID

from django.core.validators import EmailValidator
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.doors.fields import (
    ChangedField,
    DayField,
    IdField,
    IdsField,
    MomentField,
    NameField,
    StrictCharField,
)
from contacts import phone_numbers
from contacts.models import Contact, Suppression, Tag

UNSUPPORTED_COUNTRY: Final = "4002"

# The contract's names stand for themselves below: camelCase lives in serializers alone.
_EARLIEST_BIRTH: Final = date(1900, 1, 1)


class TagSerializer(serializers.ModelSerializer[Tag]):
    """A label on contacts."""

    organizationId = serializers.UUIDField(source="organization_id")
    createdAt = MomentField(source="created_at")
    updatedAt = ChangedField()

    class Meta:
        model = Tag
        fields = ["id", "name", "description", "color", "organizationId", "createdAt", "updatedAt"]
        read_only_fields = fields


class CountedTagSerializer(TagSerializer):
    """A label, and how many contacts carry it."""

    contactCount = serializers.SerializerMethodField()

    class Meta(TagSerializer.Meta):
        fields = [*TagSerializer.Meta.fields, "contactCount"]

    def get_contactCount(self, tag: Tag) -> int:  # noqa: N802 - named by the wire's field
        counted: int = self.context["counts"].get(tag.pk, 0)
        return counted


class ContactSerializer(serializers.ModelSerializer[Contact]):
    """A person the organization may write to. What is not known is an empty text, or null."""

    lastName = serializers.CharField(source="last_name")
    email = serializers.CharField()  # may be empty, which no e-mail address is
    phone = serializers.CharField(help_text="The number as it was given.")
    countryCode = serializers.SerializerMethodField(
        help_text="The calling code of `country`, as 57."
    )
    country = serializers.SerializerMethodField(
        help_text="The country of the number, as CO; of a number that cannot be read, what was given."
    )
    e164 = serializers.CharField(
        help_text="The number as it is dialed, as +573001234567; empty where it cannot be read."
    )
    birthDate = serializers.DateField(source="birth_date", allow_null=True)
    tags = TagSerializer(many=True)
    organizationId = serializers.UUIDField(source="organization_id")
    createdAt = MomentField(source="created_at")
    updatedAt = ChangedField()
    deletedAt = MomentField(source="deleted_at", allow_null=True)

    class Meta:
        model = Contact
        fields = [
            "id",
            "name",
            "lastName",
            "email",
            "phone",
            "countryCode",
            "country",
            "e164",
            "status",
            "origin",
            "birthDate",
            "tags",
            "organizationId",
            "createdAt",
            "updatedAt",
            "deletedAt",
        ]
        read_only_fields = fields

    def get_countryCode(self, contact: Contact) -> str:  # noqa: N802 - named by the wire's field
        return phone_numbers.calling_code_of(contact.country_shown)

    def get_country(self, contact: Contact) -> str:
        return contact.country_shown


class CountryField(StrictCharField):
    """A country by two letters or by calling code, in the body."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            return phone_numbers.country_of(text)
        except phone_numbers.UnsupportedCountry as error:
            raise serializers.ValidationError(
                _("This is no country. Give two letters, as CO, or a calling code, as 57."),
                code=UNSUPPORTED_COUNTRY,
            ) from error


class PlainTextField(StrictCharField):
    """A text that may be left empty; null says the same."""

    def __init__(self, **options: Any) -> None:
        super().__init__(required=False, allow_blank=True, allow_null=True, **options)

    def validate_empty_values(self, data: Any) -> tuple[bool, Any]:
        return (True, "") if data is None else super().validate_empty_values(data)


@extend_schema_field(
    {
        "oneOf": [
            {"type": "string", "format": "uuid"},
            {"type": "object", "properties": {"id": {"type": "string", "format": "uuid"}}},
        ]
    }
)
class TagReference(IdField):
    """A tag by its id, or as this API shows it."""

    def to_internal_value(self, data: Any) -> UUID:
        return super().to_internal_value(data.get("id") if isinstance(data, Mapping) else data)


class TagReferences(IdsField):
    child = TagReference()


class ContactChanges(serializers.Serializer[Any]):
    """What may be written of a contact. Unknown and read-only fields are ignored."""

    phone = StrictCharField(
        required=False,
        allow_blank=True,  # the number's reading says what is wrong, and by its own code
        help_text="In any usual spelling: +57 300 123 4567, 0057…, 300 123 4567, (300) 123-4567.",
    )
    name = PlainTextField(max_length=200)
    lastName = PlainTextField(max_length=200, source="last_name")
    email = PlainTextField(max_length=254, help_text="An e-mail address, or nothing.")
    country = CountryField(
        required=False,
        allow_blank=True,
        allow_null=True,
        help_text="How a national number is read: `CO`, or `57`. Without it the organization's "
        "country counts. A number that is written internationally names its country itself.",
    )
    countryCode = CountryField(
        required=False,
        allow_blank=True,
        allow_null=True,
        source="country_code",
        help_text="The same by its calling code, `57`. Where both are given, `country` counts.",
    )
    status = NameField(choices=Contact.Status.choices, required=False)
    birthDate = DayField(required=False, allow_null=True, source="birth_date")
    tagIds = IdsField(
        required=False,
        max_length=100,
        source="tag_ids",
        help_text="All the tags it is to carry.",
    )
    tags = TagReferences(
        required=False, max_length=100, help_text="The same. Where both are given, `tagIds` counts."
    )

    def validate_email(self, email: str) -> str:
        if email:
            EmailValidator(_("Write an e-mail address, as ana@example.org."))(email)
        return email

    def validate_birthDate(self, day: date | None) -> date | None:  # noqa: N802 - the wire's name
        if day is not None and not _EARLIEST_BIRTH <= day <= timezone.now().date():
            raise serializers.ValidationError(_("Write a day between 1900-01-01 and today."))
        return day

    def validate(self, fields: dict[str, Any]) -> dict[str, Any]:
        """Return the columns to write, and `tag_ids` where tags are given."""
        given = {name for name in ("country", "country_code") if name in fields}
        code = fields.pop("country_code", None)
        if given:
            fields["country"] = fields.get("country") or code or ""
        references = fields.pop("tags", None)
        if references is not None:
            fields.setdefault("tag_ids", references)
        return fields


class NewContact(ContactChanges):
    """A contact to be. Only `phone` is needed. Unknown and read-only fields are ignored."""

    phone = StrictCharField(allow_blank=True, help_text=ContactChanges().fields["phone"].help_text)


class ContactFilter(serializers.Serializer[Any]):
    """Which contacts are meant; all that are given must hold."""

    search = StrictCharField(
        required=False,
        max_length=200,
        help_text="A number or its beginning, or the beginnings of words of names and e-mail address.",
    )
    status = NameField(choices=Contact.Status.choices, required=False)
    tagIds = IdsField(
        required=False,
        max_length=50,  # the web server takes addresses of 8,190 characters
        source="tag_ids",
        help_text="Those that carry any of these tags: repeated, or separated by commas.",
    )
    countryCode = StrictCharField(
        required=False,
        max_length=16,
        source="countries",
        help_text="The country of the number: a calling code, as `57`, with all countries that share "
        "it, or two letters, as `CO`.",
    )
    origin = NameField(choices=Contact.Origin.choices, required=False)

    def validate_countryCode(self, text: str) -> tuple[str, ...]:  # noqa: N802 - the wire's name
        try:
            return phone_numbers.countries_of(text)
        except phone_numbers.UnsupportedCountry as error:
            raise serializers.ValidationError(
                _("This is no country. Give two letters, as CO, or a calling code, as 57."),
                code=UNSUPPORTED_COUNTRY,
            ) from error


class ExportFilter(ContactFilter):
    """Which contacts are exported, and as what."""

    format = serializers.ChoiceField(choices=["csv", "xlsx"], required=False, default="csv")


class ContactTotal(serializers.Serializer[Any]):
    """How many contacts there are."""

    total = serializers.IntegerField()


class ContactDeleted(serializers.Serializer[Any]):
    """That a contact is gone from every list and audience."""

    message = serializers.CharField()
    deletedContactId = serializers.UUIDField()


class TagChanges(serializers.Serializer[Any]):
    """What may be written of a tag. Unknown and read-only fields are ignored."""

    name = StrictCharField(required=False, max_length=100, help_text="Unique in the organization.")
    description = PlainTextField(max_length=300)
    color = StrictCharField(
        required=False,
        validators=Tag._meta.get_field("color").validators,
        help_text="As #7c3aed.",
    )


class NewTag(TagChanges):
    """A tag to be. Only `name` is needed."""

    name = StrictCharField(max_length=100, help_text="Unique in the organization.")


class TagDeleted(serializers.Serializer[Any]):
    """That a tag is gone, and off its contacts."""

    message = serializers.CharField()
    id = serializers.UUIDField()


class SuppressionSerializer(serializers.ModelSerializer[Suppression]):
    """A number that nothing is sent to any more, and who said so."""

    createdAt = MomentField(source="created_at")

    class Meta:
        model = Suppression
        fields = ["id", "recipient", "source", "createdAt"]
        read_only_fields = fields


class SuppressionFilter(serializers.Serializer[Any]):
    """Which opt-outs are meant."""

    recipient = StrictCharField(
        required=False,
        max_length=200,
        help_text="A number in any usual spelling, or how it begins.",
    )
    source = NameField(  # type: ignore[assignment]  # the metaclass takes it out
        choices=Suppression.Source.choices, required=False
    )


class RecipientOfSuppression(serializers.Serializer[Any]):
    """A number, with its country or as it is dialed in the organization's."""

    recipient = StrictCharField(
        allow_blank=True, help_text="In any usual spelling: +57 300 123 4567, 300 123 4567."
    )


class NamedRecipient(serializers.Serializer[Any]):
    """The number that is meant, in the address."""

    recipient = StrictCharField(
        trim_whitespace=False,
        max_length=200,
        help_text="In any usual spelling; write `+` as `%2B`.",
    )

    def validate_recipient(self, text: str) -> str:
        return f"+{text[1:]}" if text.startswith(" ") else text  # a + that nobody escaped


class SuppressionLifted(serializers.Serializer[Any]):
    """That a number may be written to again."""

    message = serializers.CharField()
    id = serializers.UUIDField()

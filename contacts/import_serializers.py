"""What the wire says of imports."""

from __future__ import annotations

import json
from typing import Any, Final

from django.utils.translation import gettext_lazy as _
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.doors.fields import MomentField
from contacts.import_rows import ImportJob, UntakenRow
from contacts.imports.mapping import FIELDS

_LONGEST_JSON: Final = 50_000
MOST_TAGS: Final = 100


class _JSONText(serializers.Field[Any, Any, Any, Any]):
    """JSON that comes as the text of a form's field."""

    default_error_messages = {"invalid": _("Write JSON, as %(example)s.")}

    def __init__(
        self, *, child: serializers.Field[Any, Any, Any, Any], example: str, **options: Any
    ) -> None:
        super().__init__(**options)
        self.child, self.example = child, example

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, str):
            try:
                data = json.loads(data[:_LONGEST_JSON])
            except (ValueError, RecursionError) as error:
                message = str(self.error_messages["invalid"]) % {"example": self.example}
                raise serializers.ValidationError(message) from error
        return self.child.run_validation(data)

    def to_representation(self, value: Any) -> Any:
        return value


@extend_schema_field(
    {
        "type": "string",
        "description": "JSON: our fields, each with the header of its column. Left out, they are guessed.",
        "example": '{"phone": "Celular", "name": "Nombre"}',
    }
)
class FieldMappingField(_JSONText):
    """Which column holds what."""


@extend_schema_field(
    {
        "type": "string",
        "description": "JSON: the ids of tags that all contacts of the file get.",
        "example": '["019a3c5e-1f6b-7c60-8f3a-6f0f4f0c1a01"]',
    }
)
class TagIdsField(_JSONText):
    """Tags for all."""


class _Header(serializers.CharField):
    """A header, or nothing where the field is left out."""

    def __init__(self) -> None:
        super().__init__(max_length=200, allow_blank=True, allow_null=True, trim_whitespace=False)


class PreviewRequest(serializers.Serializer[Any]):
    """The file to look at."""

    file = serializers.FileField(allow_empty_file=True, help_text="CSV or XLSX.")


class ImportRequest(serializers.Serializer[Any]):
    """The file, what its columns are, and what is to be done with those who are known."""

    file = serializers.FileField(allow_empty_file=True, help_text="CSV or XLSX.")
    fieldMapping = FieldMappingField(
        required=False,
        child=serializers.DictField(child=_Header()),
        example='{"phone": "Celular"}',
    )
    tagIds = TagIdsField(
        required=False,
        child=serializers.ListField(child=serializers.UUIDField(), max_length=MOST_TAGS),
        example='["<id>"]',
    )
    importMode = serializers.ChoiceField(
        choices=ImportJob.Mode.values,
        default=ImportJob.Mode.UPDATE.value,
        help_text=(
            "ADD: contacts whose number is known are listed as not taken. UPDATE: they get what the file "
            "says. DELETE_ALL: all contacts there were are deleted once the file's are added, and nobody is "
            "where less than half of its rows are contacts."
        ),
    )


class PreviewSerializer(serializers.Serializer[Any]):
    """A file before it is imported."""

    headers = serializers.ListField(child=serializers.CharField())
    sampleData = serializers.ListField(
        child=serializers.DictField(child=serializers.CharField(allow_blank=True)),
        help_text="The first rows, by header.",
    )
    availableFields = serializers.ListField(child=serializers.ChoiceField(choices=FIELDS))
    totalRows = serializers.IntegerField()
    fieldMapping = serializers.DictField(
        child=serializers.CharField(), help_text="What the columns seem to be."
    )


class StartedSerializer(serializers.Serializer[Any]):
    """An import that began."""

    jobId = serializers.UUIDField()


class RowErrorSerializer(serializers.Serializer[UntakenRow]):
    """A row that became no contact."""

    line = serializers.IntegerField(help_text="In the file, its first line being 1.")
    code = serializers.ChoiceField(choices=UntakenRow.Reason.values, source="reason")
    reason = serializers.CharField(source="sentence")


class ImportSerializer(serializers.Serializer[ImportJob]):
    """How an import stands."""

    jobId = serializers.UUIDField(source="pk")
    status = serializers.ChoiceField(choices=ImportJob.Status.values)
    message = serializers.CharField(
        allow_blank=True, source="get_failure_display", help_text="Why it was given up; else empty."
    )
    progress = serializers.IntegerField(source="done", help_text="Rows dealt with, of `total`.")
    total = serializers.IntegerField()
    importMode = serializers.ChoiceField(choices=ImportJob.Mode.values, source="mode")
    added = serializers.IntegerField()
    updated = serializers.IntegerField(help_text="Contacts that were known before.")
    deleted = serializers.IntegerField()
    notTaken = serializers.IntegerField(
        source="not_taken", help_text="Rows that became no contact."
    )
    errors = serializers.SerializerMethodField(  # type: ignore[assignment]  # the metaclass takes it out
        help_text="The first hundred of them. …/errors has all, as CSV."
    )
    createdAt = MomentField(source="created_at")
    finishedAt = MomentField(source="finished_at", allow_null=True)

    @extend_schema_field(RowErrorSerializer(many=True))
    def get_errors(self, _job: ImportJob) -> Any:
        return RowErrorSerializer(self.context["errors"], many=True).data

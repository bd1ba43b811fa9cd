"""What the wire says of credits."""

from typing import Any

from rest_framework import serializers

from accounts.doors.fields import MomentField, NameField, PeriodField
from billing.models import LedgerEntry


class BalanceSerializer(serializers.Serializer[Any]):
    """What an organization has, in credits: `balance` = `available` + `reserved`."""

    balance = serializers.IntegerField(source="total")
    reserved = serializers.IntegerField(help_text="Held for messages that are not handed over yet.")
    available = serializers.IntegerField()


class EntryFilter(serializers.Serializer[Any]):
    """Which movements are meant; all that is given must hold."""

    kind = NameField(
        choices=LedgerEntry.Kind.choices, required=False, help_text="In any letter case."
    )
    startDate = PeriodField(
        required=False, source="created_at__gte", help_text="The first day, of UTC, or moment."
    )
    endDate = PeriodField(
        is_end=True,
        required=False,
        source="created_at__lt",
        help_text="The last day, of UTC, or moment.",
    )


class EntrySerializer(serializers.ModelSerializer[LedgerEntry]):
    """One movement of credits: by how much it changed what is available, reserved and spent."""

    available = serializers.IntegerField(source="available_delta")
    reserved = serializers.IntegerField(source="reserved_delta")
    spent = serializers.IntegerField(source="spent_delta")
    reference = serializers.CharField(
        help_text="What moved them: `broadcast:` and its queue id, and for parts of it more."
    )
    createdAt = MomentField(source="created_at")

    class Meta:
        model = LedgerEntry
        fields = [
            "id",
            "kind",
            "amount",
            "available",
            "reserved",
            "spent",
            "reference",
            "note",
            "createdAt",
        ]
        read_only_fields = fields

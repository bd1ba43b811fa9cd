"""How requests that control a broadcast are read."""

from typing import Any

from rest_framework import serializers

from accounts.doors.fields import MomentField


class RescheduleSerializer(serializers.Serializer[Any]):
    """The body of a PATCH. Unknown fields are ignored."""

    scheduledAt = MomentField(help_text="In the future, at most 90 days ahead.")

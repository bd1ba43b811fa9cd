"""The admin's sessions that ended by themselves: forgotten, as Django only stops believing them."""

from typing import Final

from django.contrib.sessions.models import Session
from django.db.models.functions import Now

BITE: Final = 10_000
"""Sessions that are forgotten at a time."""


def forget_ended() -> bool:
    """Forget one bite of the sessions that have ended; return whether there are more."""
    ended = Session.objects.filter(expire_date__lt=Now()).order_by("expire_date")
    deleted, _of_each = Session.objects.filter(pk__in=ended.values("pk")[:BITE]).delete()
    return deleted == BITE

"""The admin's pages of message events; each is also told on its message's page, where it belongs."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from accounts.doors.labels import second
from messaging.admin.evidence import EvidencePages
from messaging.models import MessageEvent


@admin.register(MessageEvent)
class MessageEventPages(EvidencePages):
    """What befell messages that their own columns and reports cannot tell."""

    organization_path: ClassVar[str | None] = "message__organization"
    list_display = ("moment", "kind", "detail", "message")
    list_filter = (("kind", ChoicesDropdownFilter),)
    ordering = ("-id",)
    fields = ("kind", "detail", "message", "created_at", "id")

    @display(description=_("created at"))
    def moment(self, event: MessageEvent) -> SafeString:
        return second(event.created_at)

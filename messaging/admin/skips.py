"""The admin's pages of skips: who got no message, and why."""

from __future__ import annotations

from typing import ClassVar

from django.contrib import admin
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from accounts.doors.admin import OwnAutocompleteFilter
from messaging.admin.evidence import EvidencePages
from messaging.admin.filters import QueueFilter
from messaging.admin.labels import second, short_queue_id
from messaging.models import Skip


@admin.register(Skip)
class SkipPages(EvidencePages):
    """Every contact of an audience that got no message, with the first reason that held."""

    organization_path: ClassVar[str | None] = "broadcast__organization"
    list_display = (
        "phone",
        "reason",
        "contact",
        "duplicate_of",
        "queue_id",
        "moment",
        "broadcast__organization",
    )
    list_filter = (
        ("broadcast__organization", OwnAutocompleteFilter),
        QueueFilter,
        ("reason", ChoicesDropdownFilter),
    )
    list_select_related = ("contact", "duplicate_of", "broadcast__organization")
    ordering = ("-id",)
    fields = ("phone", "reason", "contact", "duplicate_of", "queue_id", "created_at", "id")

    @display(description=_("queue id"))
    def queue_id(self, skip: Skip) -> SafeString:
        address = reverse("admin:messaging_broadcast_change", args=[skip.broadcast_id])
        return format_html('<a href="{}">{}</a>', address, short_queue_id(skip.broadcast_id))

    @display(description=_("created at"))
    def moment(self, skip: Skip) -> SafeString:
        return second(skip.created_at)

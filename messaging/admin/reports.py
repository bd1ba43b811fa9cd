"""The admin's pages of delivery reports: what carriers said, in their own words."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, DropdownFilter
from unfold.decorators import display

from accounts.doors.labels import label, second
from accounts.doors.organization import member_of
from messaging.admin.evidence import EvidencePages, uuid_of
from messaging.admin.labels import OUTCOME_COLORS, status_label
from messaging.models import DeliveryReport, Message
from messaging.providers.registry import PROVIDERS


class ProviderFilter(DropdownFilter):
    """What one carrier told, of those this program knows, whichever of our accounts it was for."""

    title = _("provider")
    parameter_name = "provider"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:  # noqa: ARG002 - Django's signature
        return [(slug, slug) for slug in sorted(PROVIDERS)]

    def queryset(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        queryset: QuerySet[Any],
    ) -> QuerySet[Any]:
        return (
            queryset.filter(provider__startswith=f"{self.value()}:") if self.value() else queryset
        )


@admin.register(DeliveryReport)
class DeliveryReportPages(EvidencePages):
    """What providers reported. A report of no known message is the platform's own affair."""

    empty_text = _(
        "No reports yet. They come from the provider, seconds to hours after a message was handed over."
    )

    organization_path: ClassVar[str | None] = None  # a report knows its message's id, not its row
    list_display = (
        "moment",
        "provider",
        "status_label",
        "outcome_label",
        "code",
        "reason",
        "message_link",
    )
    list_filter = (
        ProviderFilter,
        ("status", ChoicesDropdownFilter),
        ("outcome", ChoicesDropdownFilter),
    )
    ordering = ("-id",)
    search_fields = ("message_id",)  # shows the box; what it finds is in get_search_results
    search_help_text = _("A full message id or provider's id.")
    fields = (
        "provider",
        "status_label",
        "code",
        "reason",
        "opts_out",
        "looked_up",
        "outcome_label",
        "message_link",
        "provider_message_id",
        "created_at",
        "applied_at",
        "due_at",
        "words",
        "id",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[DeliveryReport]:
        rows: QuerySet[DeliveryReport] = super().get_queryset(request)
        member = member_of(request)
        if member.is_superuser:
            return rows
        own = Message.objects.filter(organization=member.organization_id)
        return rows.filter(Exists(own.filter(pk=OuterRef("message_id"))))

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        queryset: QuerySet[DeliveryReport],
        search_term: str,
    ) -> tuple[QuerySet[DeliveryReport], bool]:
        """Find reports by their message's id, and by the provider's through the message's index."""
        text = search_term.strip()
        if not text:
            return queryset, False
        row = uuid_of(text)
        found = Q(message_id__in=Message.objects.filter(provider_message_id=text).values("pk"))
        if row is not None:
            found |= Q(message_id=row)
        return queryset.filter(found), False

    @display(description=_("status"))
    def status_label(self, report: DeliveryReport) -> SafeString | str:
        return status_label(report.status) if report.status else "-"

    @display(description=_("outcome"))
    def outcome_label(self, report: DeliveryReport) -> SafeString:
        text = report.get_outcome_display() if report.outcome else _("Not applied yet")
        return label(str(text), OUTCOME_COLORS[report.outcome])

    @display(description=_("message"))
    def message_link(self, report: DeliveryReport) -> SafeString | str:
        if report.message_id is None:
            return "-"
        address = reverse("admin:messaging_message_change", args=[report.message_id])
        return format_html('<a href="{}">{}</a>', address, report.message_id)

    @display(description=_("the provider's words"))
    def words(self, report: DeliveryReport) -> SafeString:
        raw = json.dumps(report.raw, indent=2, ensure_ascii=False, sort_keys=True)
        return format_html('<pre class="pregon-raw">{}</pre>', raw)

    @display(description=_("created at"))
    def moment(self, report: DeliveryReport) -> SafeString:
        return second(report.created_at)

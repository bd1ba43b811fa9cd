"""The admin's pages of messages: finding one, and its life."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET
from unfold.decorators import display

from accounts.doors import csv_rows
from accounts.doors.addresses import address_of
from accounts.doors.admin import OwnAutocompleteFilter, country_of_member
from accounts.doors.labels import label, second
from accounts.doors.organization import member_of
from accounts.models import Organization
from contacts import phone_numbers
from messaging import exporting, life, searching
from messaging.admin.evidence import EvidencePages, uuid_of
from messaging.admin.filters import (
    ORGANIZATION,
    ChargeFilter,
    CountryFilter,
    CreditsFilter,
    KindFilter,
    MessagePeriodFilter,
    MessageQueueFilter,
    ProviderFilter,
    ReasonFilter,
    RecentFilter,
    SenderFilter,
    StatusFilter,
    StatusGroupFilter,
    organization_asked,
)
from messaging.admin.labels import (
    CHARGE_COLORS,
    short_provider,
    short_queue_id,
    status_label,
    with_short_providers,
)
from messaging.models import Message

_VIEWS: Final[tuple[tuple[Any, dict[str, str]], ...]] = (
    (_("All"), {}),
    (_("Failed today"), {"group": "failed", "accepted": "today"}),
    (_("Unknown"), {"status__exact": "UNKNOWN"}),
    (_("No report after 24 h"), {"group": "no_report"}),
)
"""The questions that are asked most."""


@admin.register(Message)
class MessagePages(EvidencePages):
    """Every message ever accepted: found by what people know of it, told from beginning to end."""

    empty_text = _(
        "No messages yet. Each person whom a broadcast reaches stands here, with all that happened."
    )

    list_display = (
        "number",
        "moment",
        "status_label",
        "charge_label",
        "credits",
        "country",
        "provider_name",
        "error",
        "queue_id",
        "organization",
    )
    list_filter = (
        ("organization", OwnAutocompleteFilter),
        RecentFilter,
        ("created_at", MessagePeriodFilter),
        StatusGroupFilter,
        StatusFilter,
        ReasonFilter,
        MessageQueueFilter,
        ("broadcast__member", SenderFilter),
        KindFilter,
        ProviderFilter,
        CountryFilter,
        ChargeFilter,
        CreditsFilter,
    )
    list_select_related = ("organization", "broadcast")
    list_before_template = "admin/messaging/message/views.html"
    search_fields = ("id",)  # shows the box; what it finds is in get_search_results
    search_help_text = _("A full phone number, message id, queue id or provider's id.")
    change_form_outer_after_template = "admin/messaging/message/life.html"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "number",
                    "organization",
                    "status_label",
                    "error",
                    "text",
                    "contact",
                    "queue_link",
                )
            },
        ),
        (_("Credits"), {"fields": ("charge_label", "segments", "credits", "country")}),
        (
            _("Record"),
            {
                "classes": ("collapse",),
                "fields": (
                    "id",
                    "provider",
                    "provider_message_id",
                    "error_code",
                    "attempts",
                    "next_attempt_at",
                    "expires_at",
                    "lease_token",
                    "lease_until",
                    "updated_at",
                ),
            },
        ),
    )

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(require_GET(self.export))
        return [path("export/", view, name="messaging_message_export"), *super().get_urls()]

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Return the newest first, in the order of the index that answers.

        An organization's lists have theirs; of all organizations together only the key grows with time.
        """
        return ("-id",) if organization_asked(request) is None else ("-created_at", "-id")

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        address, asked = reverse("admin:messaging_message_changelist"), request.GET.dict()
        organization = {ORGANIZATION: asked[ORGANIZATION]} if ORGANIZATION in asked else {}
        views = [
            (title, f"{address}?{urlencode(organization | view)}", _holds(asked, view))
            for title, view in _VIEWS
        ]
        response: HttpResponse = super().changelist_view(
            request, {**(extra_context or {}), "saved_views": views}
        )
        return response

    def export(self, request: HttpRequest) -> HttpResponseBase:
        """Answer all messages of the list's filter as CSV, and write down who takes them."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            found = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return redirect("admin:messaging_message_changelist")
        exporting.record(
            act="messages.exported",
            subject="message",
            filters=[name for name, value in request.GET.items() if value],
            by=member_of(request),
            address=address_of(request),
        )
        pages = _pages(found, organization_asked(request))
        return csv_rows.answer("messages.csv", exporting.MESSAGES, pages)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Message], search_term: str
    ) -> tuple[QuerySet[Message], bool]:
        """Find messages by what names them exactly, each through its own index."""
        text = search_term.strip()
        if not text:
            return queryset, False
        row = uuid_of(text)
        if row is not None and queryset.filter(pk=row).exists():
            return queryset.filter(pk=row), False
        if row is not None and queryset.filter(broadcast=row).exists():
            whose = organization_asked(request)
            return searching.find(queryset, organization_id=whose, queue_id=row), False
        named = Q(provider_message_id=text)
        recipients = phone_numbers.meanings(text, country_of_member(request))
        if recipients:
            named |= Q(recipient__in=recipients)
        return queryset.filter(named), False

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        *args: Any,
        obj: Message | None = None,
        **options: Any,
    ) -> HttpResponse:
        if obj is not None:
            context["moments"] = [
                (
                    moment,
                    with_short_providers(moment.title),
                    status_label(moment.status) if moment.status else "",
                )
                for moment in life.moments(obj)
            ]
        response: HttpResponse = super().render_change_form(
            request, context, *args, obj=obj, **options
        )
        return response

    @display(description=_("recipient"))
    def number(self, message: Message) -> str:
        return message.shown_recipient

    @display(description=_("created at"))
    def moment(self, message: Message) -> SafeString:
        return second(message.created_at)

    @display(description=_("status"))
    def status_label(self, message: Message) -> SafeString:
        return status_label(message.shown_status)

    @display(description=_("charge"))
    def charge_label(self, message: Message) -> SafeString:
        return label(message.get_charge_display(), CHARGE_COLORS[message.charge])

    @display(description=_("provider"))
    def provider_name(self, message: Message) -> SafeString | str:
        return short_provider(message.provider)

    @display(description=_("error"))
    def error(self, message: Message) -> SafeString | str:
        """Return why it failed, linked to all that failed for the same reason."""
        if not message.error_code:
            return message.reason
        address = reverse("admin:messaging_message_changelist")
        return format_html(
            '<a href="{}?{}" title="{}">{}</a>',
            address,
            urlencode({"reason": message.error_code}),
            message.error_code,
            message.reason or message.error_code,
        )

    @display(description=_("queue id"))
    def queue_id(self, message: Message) -> SafeString:
        return _link_to_broadcast(message, short_queue_id(message.broadcast_id))

    @display(description=_("queue id"))
    def queue_link(self, message: Message) -> SafeString:
        return _link_to_broadcast(message, str(message.broadcast_id))

    @display(description=_("text"))
    def text(self, message: Message) -> str:
        return message.broadcast.shown_text


def _holds(asked: Mapping[str, str], view: Mapping[str, str]) -> bool:
    """Return whether the address asks for this view; for that of all, whether it asks for nothing."""
    return view.items() <= asked.items() if view else not (asked.keys() - {ORGANIZATION})


def _pages(found: QuerySet[Message], organization_id: UUID | None) -> Iterator[exporting.Page]:
    """Yield what was found; the platform's, one organization after the other, as the indexes have them."""
    if organization_id is not None:
        yield from exporting.messages(found)
        return
    for each in Organization.objects.order_by("created_at", "pk").values_list("pk", flat=True):
        yield from exporting.messages(found.filter(organization=each))


def _link_to_broadcast(message: Message, shown: str) -> SafeString:
    address = reverse("admin:messaging_broadcast_change", args=[message.broadcast_id])
    return format_html('<a href="{}">{}</a>', address, shown)

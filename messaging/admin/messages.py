"""The admin's pages of messages: finding one, and its life."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from accounts.doors.admin import OwnAutocompleteFilter, country_of_member
from accounts.doors.labels import label, second
from contacts import phone_numbers
from messaging.admin import life
from messaging.admin.evidence import EvidencePages, uuid_of
from messaging.admin.filters import CountryFilter, QueueFilter, StatusGroupFilter
from messaging.admin.labels import CHARGE_COLORS, short_queue_id, status_label
from messaging.models import Message


@admin.register(Message)
class MessagePages(EvidencePages):
    """Every message ever accepted: found by what people know of it, told from beginning to end."""

    list_display = (
        "recipient",
        "moment",
        "status_label",
        "charge_label",
        "credits",
        "country",
        "provider",
        "error",
        "queue_id",
        "organization",
    )
    list_filter = (
        ("organization", OwnAutocompleteFilter),
        QueueFilter,
        StatusGroupFilter,
        ("status", ChoicesDropdownFilter),
        CountryFilter,
        ("charge", ChoicesDropdownFilter),
    )
    list_select_related = ("organization",)
    ordering = ("-id",)  # the key grows with time
    search_fields = ("id",)  # shows the box; what it finds is in get_search_results
    search_help_text = _("A full phone number, message id, queue id or provider's id.")
    change_form_outer_after_template = "admin/messaging/message/life.html"
    fieldsets = (
        (
            None,
            {
                "fields": (
                    "recipient",
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
            return queryset.filter(broadcast=row), False
        found = Q(provider_message_id=text)
        recipients = phone_numbers.meanings(text, country_of_member(request))
        if recipients:
            found |= Q(recipient__in=recipients)
        return queryset.filter(found), False

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
                (moment, status_label(moment.status) if moment.status else "")
                for moment in life.moments(obj)
            ]
        response: HttpResponse = super().render_change_form(
            request, context, *args, obj=obj, **options
        )
        return response

    @display(description=_("created at"))
    def moment(self, message: Message) -> SafeString:
        return second(message.created_at)

    @display(description=_("status"))
    def status_label(self, message: Message) -> SafeString:
        return status_label(message.status)

    @display(description=_("charge"))
    def charge_label(self, message: Message) -> SafeString:
        return label(message.get_charge_display(), CHARGE_COLORS[message.charge])

    @display(description=_("error"))
    def error(self, message: Message) -> str:
        own = dict(Message.ErrorCode.choices)
        return message.error_message or str(own.get(message.error_code, message.error_code))

    @display(description=_("queue id"))
    def queue_id(self, message: Message) -> SafeString:
        return _link_to_broadcast(message, short_queue_id(message.broadcast_id))

    @display(description=_("queue id"))
    def queue_link(self, message: Message) -> SafeString:
        return _link_to_broadcast(message, str(message.broadcast_id))

    @display(description=_("text"))
    def text(self, message: Message) -> str:
        return message.broadcast.text


def _link_to_broadcast(message: Message, shown: str) -> SafeString:
    address = reverse("admin:messaging_broadcast_change", args=[message.broadcast_id])
    return format_html('<a href="{}">{}</a>', address, shown)

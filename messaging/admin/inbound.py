"""The admin's pages of inbound messages: what people wrote back, the evidence of their opt-outs."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from django.contrib import admin
from django.db.models import Exists, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from accounts.doors.admin import country_of_member
from accounts.doors.labels import label, second
from accounts.doors.organization import member_of
from contacts import phone_numbers
from messaging.admin.evidence import EvidencePages, uuid_of
from messaging.admin.labels import EFFECT_COLORS
from messaging.admin.reports import ProviderFilter
from messaging.models import InboundMessage, Message


@admin.register(InboundMessage)
class InboundMessagePages(EvidencePages):
    """What people wrote to our numbers.

    All organizations share these numbers, so nobody can tell whom a text is meant for. A member sees
    the keywords of numbers that his organization has written to; other words only where no other
    organization has written to that number through that provider. The platform sees all.
    """

    empty_text = _("Nobody has written back yet.")

    organization_path: ClassVar[str | None] = None  # see get_queryset
    list_display = ("number", "moment", "effect_label", "beginning", "recipient", "provider")
    list_filter = (("effect", ChoicesDropdownFilter), ProviderFilter)
    ordering = ("-created_at", "-id")
    search_fields = ("sender",)  # shows the box; what it finds is in get_search_results
    search_help_text = _("A full phone number, or the message's id.")
    fields = (
        "number",
        "recipient",
        "whole_text",
        "effect_label",
        "organizations",
        "provider",
        "provider_message_id",
        "created_at",
        "words",
        "id",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[InboundMessage]:
        rows: QuerySet[InboundMessage] = super().get_queryset(request)
        member = member_of(request)
        if member.is_superuser:
            return rows
        written = Message.objects.filter(
            recipient=OuterRef("sender"),
            provider=OuterRef("provider"),
            submit_started_at__isnull=False,
        )
        own = member.organization_id
        return rows.filter(
            Exists(written.filter(organization=own)),
            ~Q(effect="") | ~Exists(written.exclude(organization=own)),
        )

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[InboundMessage], search_term: str
    ) -> tuple[QuerySet[InboundMessage], bool]:
        """Find what one number wrote, through its index, or one message by its id."""
        text = search_term.strip()
        if not text:
            return queryset, False
        senders = phone_numbers.meanings(text, country_of_member(request))
        found = Q(sender__in=[text, *senders])
        row = uuid_of(text)
        return queryset.filter(found | Q(pk=row) if row is not None else found), False

    @display(description=_("effect"))
    def effect_label(self, message: InboundMessage) -> SafeString:
        return label(message.get_effect_display(), EFFECT_COLORS[message.effect])

    @display(description=_("from"))
    def number(self, message: InboundMessage) -> str:
        return message.shown(message.sender)

    @display(description=_("text"))
    def beginning(self, message: InboundMessage) -> str:
        return Truncator(message.shown(message.text)).chars(80)

    @display(description=_("text"))
    def whole_text(self, message: InboundMessage) -> str:
        return message.shown(message.text)

    @display(description=_("the provider's words"))
    def words(self, message: InboundMessage) -> SafeString:
        raw: Any = json.dumps(message.raw, indent=2, ensure_ascii=False, sort_keys=True)
        return format_html('<pre class="pregon-raw">{}</pre>', raw)

    @display(description=_("created at"))
    def moment(self, message: InboundMessage) -> SafeString:
        return second(message.created_at)

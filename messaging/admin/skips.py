"""The admin's pages of skips: who got no message, and why."""

from __future__ import annotations

from typing import ClassVar, Final

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from accounts.doors.admin import OwnAutocompleteFilter, country_of_member
from accounts.doors.labels import second
from accounts.doors.organization import member_of
from contacts import directory
from contacts.models import Contact
from messaging.admin.evidence import EvidencePages
from messaging.admin.filters import QueueFilter
from messaging.admin.labels import short_queue_id
from messaging.models import Skip

_FOUND: Final = 1_000  # contacts whose skips one search looks up


@admin.register(Skip)
class SkipPages(EvidencePages):
    """Every contact of an audience that got no message, with the first reason that held."""

    empty_text = _("Nobody was left out yet. Who gets no message stands here, with the reason.")

    organization_path: ClassVar[str | None] = "broadcast__organization"
    list_display = (
        "number",
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
    search_fields = ("phone",)  # shows the box; what it finds is in get_search_results
    search_help_text = _("The contact's number, name or e-mail, or the beginning of one.")
    fields = ("number", "reason", "contact", "duplicate_of", "queue_id", "created_at", "id")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Skip], search_term: str
    ) -> tuple[QuerySet[Skip], bool]:
        """Find skips by their contacts, through each broadcast's index: the newest contacts found."""
        if not search_term.strip():
            return queryset, False
        contacts = Contact.objects.order_by("-created_at")  # the deleted too: they were skipped
        member = member_of(request)
        if not member.is_superuser:
            contacts = contacts.filter(organization=member.organization_id)
        country = country_of_member(request)
        found = directory.find(contacts=contacts, text=search_term, country=country)
        return queryset.filter(contact__in=list(found.values_list("pk", flat=True)[:_FOUND])), False

    @display(description=_("number as given"))
    def number(self, skip: Skip) -> str:
        return skip.shown_phone

    @display(description=_("queue id"))
    def queue_id(self, skip: Skip) -> SafeString:
        address = reverse("admin:messaging_broadcast_change", args=[skip.broadcast_id])
        return format_html('<a href="{}">{}</a>', address, short_queue_id(skip.broadcast_id))

    @display(description=_("created at"))
    def moment(self, skip: Skip) -> SafeString:
        return second(skip.created_at)

"""The admin's pages of the audit trail."""

from __future__ import annotations

from django.contrib import admin

from accounts.doors.admin import Evidence, OrganizationAdmin, OwnAutocompleteFilter
from accounts.models import AuditEntry


@admin.register(AuditEntry)
class AuditEntryPages(Evidence, OrganizationAdmin):
    """Every act that somebody may have to answer for."""

    list_display = ("created_at", "act", "subject", "organization", "member", "address")
    list_filter = (("organization", OwnAutocompleteFilter), ("member", OwnAutocompleteFilter))
    search_fields = ("act", "subject")
    ordering = ("-created_at", "-id")
    sortable_by = ()
    list_select_related = ("member", "organization")
    fields = ("id", "created_at", "act", "subject", "organization", "member", "details", "address")

"""The admin's pages of organizations."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from accounts import organizations
from accounts.doors.addresses import address_of
from accounts.doors.admin import OrganizationAdmin
from accounts.doors.organization import member_of
from accounts.models import Organization


@admin.register(Organization)
class OrganizationPages(OrganizationAdmin):
    """Platform superusers add, change and suspend; an owner changes his own organization's settings."""

    organization_path = "pk"
    list_display = ("name", "shown_status", "country", "email", "created_at")
    list_filter = (("status", ChoicesDropdownFilter),)
    search_fields = ("name", "email")
    ordering = ("name",)
    readonly_fields = ("id", "created_at", "updated_at")
    fieldsets = (
        (None, {"fields": ("name", "email", "country", "status")}),
        (
            gettext_lazy("What it may send to"),
            {"fields": ("allowed_countries", "allows_special_numbers")},
        ),
        (
            gettext_lazy("Sending by mistake"),
            {"fields": ("repeat_guard_seconds", "confirm_above", "approval_above")},
        ),
        (gettext_lazy("How long it is kept"), {"fields": ("retention_days",)}),
        (gettext_lazy("Record"), {"fields": ("id", "created_at", "updated_at")}),
    )

    @display(
        description=gettext_lazy("status"),
        ordering="status",
        label={Organization.Status.ACTIVE: "success", Organization.Status.SUSPENDED: "danger"},
    )
    def shown_status(self, organization: Organization) -> tuple[str, str]:
        return organization.status, organization.get_status_display()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        fields = super().get_readonly_fields(request, obj)
        if member_of(request).is_superuser:
            return fields
        return (*fields, *sorted(organizations.PLATFORM_SETTINGS))

    def save_model(
        self,
        request: HttpRequest,
        obj: Organization,
        form: ModelForm[Any],
        change: bool,  # noqa: FBT001 - Django's
    ) -> None:
        if change:
            organizations.change(
                organization=obj,
                fields=form.changed_data,
                by=member_of(request),
                address=address_of(request),
            )
        else:
            organizations.create(
                organization=obj, by=member_of(request), address=address_of(request)
            )

"""The admin's pages of organizations, members, terms, acceptances and the audit trail."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin, messages
from django.contrib.auth.signals import user_logged_in
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.dispatch import receiver
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.urls import path, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from accounts import admin_forms, audit, members, organizations, terms
from accounts.doors.addresses import address_of
from accounts.doors.admin import (
    Evidence,
    OrganizationAdmin,
    OwnAutocompleteFilter,
    OwnRelatedFilter,
    member_of,
)
from accounts.models import AuditEntry, Member, Organization, Terms, TermsAcceptance


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
        own = organizations.OWN_SETTINGS
        named = (
            "name",
            "email",
            "country",
            "status",
            "allowed_countries",
            "allows_special_numbers",
        )
        return (*fields, *(name for name in named if name not in own))

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


@admin.register(Member)
class MemberPages(OrganizationAdmin):
    """Owners add members of their organization, change roles and switch members off; nobody deletes one."""

    list_display = (
        "email",
        "name",
        "organization",
        "role",
        "is_active",
        "shown_terms",
        "last_login",
    )
    list_filter = (
        ("organization", OwnAutocompleteFilter),
        ("role", ChoicesDropdownFilter),
        "is_active",
        "is_superuser",
    )
    search_fields = ("email", "name")
    ordering = ("email",)
    list_select_related = ("organization",)
    autocomplete_fields = ("organization",)
    readonly_fields = ("id", "has_one_time_password", "last_login", "created_at", "updated_at")
    add_fieldsets = ((None, {"fields": ("email", "name", "organization", "role")}),)
    fieldsets = (
        (None, {"fields": ("email", "name", "organization", "role", "is_active")}),
        (
            gettext_lazy("Record"),
            {"fields": ("id", "has_one_time_password", "last_login", "created_at", "updated_at")},
        ),
    )
    actions = ("give_one_time_password",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Member]:
        rows: QuerySet[Member] = super().get_queryset(request)
        in_force = terms.current()
        accepted = TermsAcceptance.objects.filter(member=OuterRef("pk"), terms=in_force)
        return rows.annotate(has_accepted=Exists(accepted))

    @display(description=gettext_lazy("accepted the current terms"), boolean=True)
    def shown_terms(self, member: Member) -> bool:
        return bool(getattr(member, "has_accepted", False))

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        # Else a filter in the address could ask for the password hash letter by letter.
        if lookup.startswith("password"):
            return False
        return bool(super().lookup_allowed(lookup, value, request))

    def get_form(
        self,
        request: HttpRequest,
        obj: Any = None,
        change: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        **kwargs: Any,
    ) -> type[ModelForm[Any]]:
        form = super().get_form(request, obj, change, **kwargs)
        for name in ("organization", "role"):
            # Optional in the table for platform superusers, whom only the command line makes.
            if name in form.base_fields and not (obj is not None and obj.is_superuser):
                form.base_fields[name].required = True
        return form

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[Any, ...]:
        fields = super().get_readonly_fields(request, obj)
        if obj is None:
            return fields
        if obj.is_superuser:
            fields = (*fields, "role")
        return (*fields, "role", "is_active") if obj.pk == member_of(request).pk else fields

    def save_model(
        self,
        request: HttpRequest,
        obj: Member,
        form: ModelForm[Any],
        change: bool,  # noqa: FBT001 - Django's
    ) -> None:
        by, address = member_of(request), address_of(request)
        if change:
            members.change(member=obj, fields=form.changed_data, by=by, address=address)
        else:
            self._show_once(request, obj, members.add(member=obj, by=by, address=address))

    @admin.action(description=gettext_lazy("Give a new one-time password"), permissions=["change"])
    def give_one_time_password(self, request: HttpRequest, queryset: QuerySet[Member]) -> None:
        for member in queryset.select_related("organization")[:20]:
            try:
                password = members.give_one_time_password(
                    member=member, by=member_of(request), address=address_of(request)
                )
            except members.NotYourself as refusal:
                self.message_user(request, str(refusal), messages.ERROR)
            else:
                self._show_once(request, member, password)

    def _show_once(self, request: HttpRequest, member: Member, password: str) -> None:
        self.message_user(
            request,
            format_html(
                _(
                    "One-time password of {}: <strong>{}</strong>. It is shown only now; the member "
                    "changes it after signing in with it."
                ),
                member.email,
                password,
            ),
            messages.WARNING,
        )


@admin.register(Terms)
class TermsPages(OrganizationAdmin):
    """Platform superusers write drafts and publish them; what is published stays as it is."""

    organization_path = None
    list_display = ("version", "title", "shown_state", "published_at", "created_at")
    search_fields = ("version", "title")
    ordering = ("-published_at", "-created_at")
    readonly_fields = ("id", "published_at", "created_at")
    fieldsets = (
        (None, {"fields": ("version", "title", "body")}),
        (gettext_lazy("Record"), {"fields": ("published_at", "id", "created_at")}),
    )
    actions = ("publish",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Terms]:
        rows: QuerySet[Terms] = super().get_queryset(request)
        rows = rows.annotate(in_force=Subquery(terms.published().values("pk")[:1]))
        # A draft is the platform's own until it is published.
        return rows if member_of(request).is_superuser else rows.filter(published_at__isnull=False)

    @display(
        description=gettext_lazy("state"),
        label={"current": "success", "draft": "warning", "earlier": "info"},
    )
    def shown_state(self, row: Terms) -> tuple[str, str]:
        if row.published_at is None:
            return "draft", _("Draft")
        if getattr(row, "in_force", None) == row.pk:
            return "current", _("In force")
        return "earlier", _("Earlier version")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        if obj is not None and obj.published_at is not None:
            return False
        return bool(super().has_change_permission(request, obj))

    def save_model(
        self,
        request: HttpRequest,
        obj: Terms,
        form: ModelForm[Any],  # noqa: ARG002 - Django's signature
        change: bool,  # noqa: ARG002, FBT001 - Django's signature
    ) -> None:
        terms.save_draft(terms=obj, member=member_of(request), address=address_of(request))

    @admin.action(
        description=gettext_lazy("Publish: everybody must accept before sending again"),
        permissions=["change"],
    )
    def publish(self, request: HttpRequest, queryset: QuerySet[Terms]) -> None:
        chosen = list(queryset[:2])
        if len(chosen) != 1:
            self.message_user(request, _("Choose one version to publish."), messages.ERROR)
            return
        try:
            terms.publish(terms=chosen[0], member=member_of(request), address=address_of(request))
        except terms.TermsPublished as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return
        self.message_user(
            request,
            _("Version %(version)s is in force. Nobody sends before accepting it.")
            % {"version": chosen[0].version},
            messages.SUCCESS,
        )


@admin.register(TermsAcceptance)
class TermsAcceptancePages(Evidence, OrganizationAdmin):
    """Who accepted which version, when and from where."""

    organization_path = "member__organization"
    list_display = ("member", "terms", "created_at", "address", "user_agent")
    list_filter = (("terms", OwnRelatedFilter), ("member", OwnAutocompleteFilter))
    search_fields = ("member__email", "terms__version")
    ordering = ("-created_at", "-id")
    list_select_related = ("member", "terms")
    fields = ("id", "member", "terms", "created_at", "address", "user_agent")


@admin.register(AuditEntry)
class AuditEntryPages(Evidence, OrganizationAdmin):
    """Every act that somebody may have to answer for."""

    list_display = ("created_at", "act", "subject", "organization", "member", "address")
    list_filter = (("organization", OwnAutocompleteFilter), ("member", OwnAutocompleteFilter))
    search_fields = ("act", "subject")
    ordering = ("-created_at", "-id")
    list_select_related = ("member", "organization")
    fields = ("id", "created_at", "act", "subject", "organization", "member", "details", "address")


@receiver(user_logged_in, dispatch_uid="accounts.admin.signed_in")
def signed_in(sender: Any, request: HttpRequest, user: Any, **_options: Any) -> None:  # noqa: ARG001 - the signal's signature
    """Record the sign-in at the admin, and show the way to who has a one-time password."""
    if not isinstance(user, Member):
        return
    audit.record(
        act="session.began",
        subject=user,
        member=user,
        details={"door": "admin"},
        address=address_of(request),
    )
    if user.has_one_time_password:
        messages.warning(
            request,
            format_html(
                _(
                    'You signed in with a one-time password. <a href="{}">Change it</a> to see anything here.'
                ),
                reverse("admin:password_change"),
            ),
            fail_silently=True,
        )


def _password_change(request: HttpRequest) -> HttpResponse:
    return admin_forms.password_change(request, **admin.site.each_context(request))


def _extra_urls() -> list[Any]:
    return [
        path("password_change/", admin.site.admin_view(_password_change), name="password_change")
    ]


# The site's own page would store the password without the verb, and so without its audit entry.
cast("Any", admin.site).extra_urls = _extra_urls

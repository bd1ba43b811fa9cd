"""The admin's pages of members: adding them, their roles, one-time passwords."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin, messages
from django.db.models import Exists, OuterRef, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from accounts import members, terms
from accounts.doors.addresses import address_of
from accounts.doors.admin import OrganizationAdmin, OwnAutocompleteFilter
from accounts.doors.organization import member_of
from accounts.models import Member, TermsAcceptance

MOST_PASSWORDS: Final = 20
"""One-time passwords that one action gives; more would not be read off one page."""


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
        chosen = list(queryset.select_related("organization")[: MOST_PASSWORDS + 1])
        if len(chosen) > MOST_PASSWORDS:
            self.message_user(
                request,
                _("At most %(limit)d members get a new password at once: choose fewer.")
                % {"limit": MOST_PASSWORDS},
                messages.ERROR,
            )
            return
        for member in chosen:
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

"""The admin's pages of API keys: making one, and ending one."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import admin, messages
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action, display

from accounts import api_keys, roles
from accounts.doors.addresses import address_of
from accounts.doors.admin import OrganizationAdmin, OwnAutocompleteFilter
from accounts.doors.organization import member_of
from accounts.models import ApiKey

_FIELDS: Final = (
    "name",
    "beginning",
    "organization",
    "member",
    "is_active",
    "last_used_at",
    "id",
    "created_at",
)


@admin.register(ApiKey)
class ApiKeyPages(OrganizationAdmin):
    """Owners make keys for their programs and end them; what a key is stays as it was made."""

    empty_text = gettext_lazy(
        "No keys yet. A program that sends by the API shows one, instead of somebody's password."
    )

    list_display = (
        "name",
        "beginning",
        "organization",
        "member",
        "is_active",
        "last_used_at",
        "created_at",
    )
    list_filter = (
        ("organization", OwnAutocompleteFilter),
        ("member", OwnAutocompleteFilter),
        "is_active",
    )
    search_fields = ("name", "prefix")
    ordering = ("-created_at", "-id")
    list_select_related = ("organization", "member")
    fieldsets = (
        (
            None,
            {
                "description": gettext_lazy(
                    "A program with a key acts as the member who made it, but never decides what takes a"
                    " person: approvals, members, keys, settings and terms. The key is shown once, when it"
                    " is made."
                ),
                "fields": _FIELDS,
            },
        ),
    )
    readonly_fields = _FIELDS[1:]
    actions_detail = ("end_key",)

    @display(description=gettext_lazy("begins with"), ordering="prefix")
    def beginning(self, key: ApiKey) -> str:
        return f"{key.prefix}…"

    def save_model(
        self,
        request: HttpRequest,
        obj: ApiKey,
        form: ModelForm[Any],  # noqa: ARG002 - Django's signature
        change: bool,  # noqa: ARG002, FBT001 - Django's signature
    ) -> None:
        written = api_keys.add(key=obj, by=member_of(request), address=address_of(request))
        self.message_user(
            request,
            format_html(
                _(
                    "The key of {}: <strong>{}</strong>. It is shown only now. The program sends it as the "
                    "header api-key."
                ),
                obj.name,
                written,
            ),
            messages.WARNING,
        )

    def has_end_permission(self, request: HttpRequest, key: str | None = None) -> bool:
        """Say whether the member may end keys, and where one is given, whether it is still served."""
        if not roles.may(member_of(request), roles.Right.MANAGE_KEYS):
            return False
        return key is None or self.get_queryset(request).filter(pk=key, is_active=True).exists()

    @action(
        description=gettext_lazy("End this key"),
        permissions=["end"],
        url_path="end",
        icon="key_off",
    )
    def end_key(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show what ending the key does, and end it once that is confirmed."""
        key = self.get_object(request, object_id)
        if key is None:
            raise Http404
        if request.method != "POST":
            context = {
                **self.admin_site.each_context(request),
                "title": _("End the key %(name)s") % {"name": key.name},
                "opts": self.opts,
                "key": key,
            }
            return TemplateResponse(request, "admin/accounts/apikey/end.html", context)
        api_keys.end(key=key, by=member_of(request), address=address_of(request))
        self.message_user(
            request,
            _("The key %(name)s is ended: nothing is served to it.") % {"name": key.name},
            messages.SUCCESS,
        )
        return redirect("admin:accounts_apikey_changelist")

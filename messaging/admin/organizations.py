"""Sending from the page of the organization."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from accounts import roles
from accounts.admin.organizations import OrganizationPages as WithoutSending
from accounts.doors.organization import member_of
from accounts.models import Organization

admin.site.unregister(Organization)


@admin.register(Organization)
class OrganizationPages(WithoutSending):
    """The pages of organizations, with the way to a broadcast to all contacts of the own one."""

    actions_detail = (*WithoutSending.actions_detail, "send_to_all")

    def has_send_permission(self, request: HttpRequest, key: object = None) -> bool:
        member = member_of(request)
        is_own = key is None or str(member.organization_id) == str(key)
        return is_own and roles.may(member, roles.Right.SEND)

    @action(permissions=["send"], description=_("Send to all"), url_path="send", icon="campaign")
    def send_to_all(self, request: HttpRequest, object_id: str) -> HttpResponse:  # noqa: ARG002 - unfold's signature
        return redirect("admin:messaging_broadcast_compose")

"""The admin's page of heartbeats: which parts of the installation work, for platform superusers."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils.timesince import timesince
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from accounts import roles
from accounts.doors.admin import Evidence, OrganizationAdmin
from accounts.doors.organization import member_of
from messaging.models import Heartbeat


@admin.register(Heartbeat)
class HeartbeatPages(Evidence, OrganizationAdmin):
    """When each part last showed that it works."""

    organization_path: ClassVar[str | None] = None
    list_display = ("part", "beat_at", "age")
    fields = ("part", "beat_at", "age")
    ordering = ("part",)
    warn_unsaved_form = False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        return roles.may(member_of(request), roles.Right.SEE_ALL)

    @display(description=_("time since then"))
    def age(self, heartbeat: Heartbeat) -> str:
        return timesince(heartbeat.beat_at)

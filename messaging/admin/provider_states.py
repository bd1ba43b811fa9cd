"""The admin's pages of providers' states: which credentials are held back, for platform superusers."""

from __future__ import annotations

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from unfold.decorators import display

from accounts import roles
from accounts.doors.admin import Evidence, OrganizationAdmin
from accounts.doors.labels import label, second
from accounts.doors.organization import member_of
from messaging.models import ProviderState


@admin.register(ProviderState)
class ProviderStatePages(Evidence, OrganizationAdmin):
    """How each credential is doing. Nothing is handed to one that is held back, but a trial now and then."""

    organization_path: ClassVar[str | None] = None
    list_display = ("name", "state", "because", "failures_in_a_row", "recent_results", "moment")
    fields = (
        "name",
        "state",
        "because",
        "open_until",
        "probing_until",
        "failures_in_a_row",
        "recent_results",
        "updated_at",
    )
    ordering = ("name",)
    warn_unsaved_form = False

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        return roles.may(member_of(request), roles.Right.SEE_ALL)

    @display(description=_("state"))
    def state(self, state: ProviderState) -> SafeString:
        return state_label(state)

    @display(description=_("updated at"))
    def moment(self, state: ProviderState) -> SafeString:
        return second(state.updated_at)


def state_label(state: ProviderState | None) -> SafeString:
    """Return how a credential is doing, on its colour; one without a row works."""
    if state is None or state.open_until is None:
        return label(str(_("Works")), "success")
    if state.open_until > timezone.now():
        return label(str(_("Held back")), "danger")
    return label(str(_("Next message is a trial")), "warning")

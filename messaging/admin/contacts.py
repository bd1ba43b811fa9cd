"""Sending from the list of contacts: to the selected rows, to all of a filter, or to everybody."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from unfold.decorators import action

from accounts import roles
from accounts.doors.organization import member_of
from contacts.admin import ContactAdmin
from contacts.models import Contact
from messaging.admin.drafts import MOST_CHOSEN, Choice

admin.site.unregister(Contact)


@admin.register(Contact)
class ContactPages(ContactAdmin):
    """The pages of contacts, with the way to a broadcast. The compose page asks; nothing is sent here."""

    actions: tuple[str, ...] = (*ContactAdmin.actions, "send_to_selected")  # type: ignore[assignment] # the other is as long as it is
    actions_list = (*ContactAdmin.actions_list, "send_to_everybody")

    def has_send_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002 - unfold's signature
        return roles.may(member_of(request), roles.Right.SEND)

    @admin.action(permissions=["send"], description=_("Send a broadcast to the selected contacts"))
    def send_to_selected(self, request: HttpRequest, queryset: Any) -> HttpResponse:
        """Lead to the compose page with the rows chosen, or with the whole filter."""
        if request.POST.get("select_across") == "1":
            return _compose(Choice.of_filter(request.GET))
        rows = queryset.order_by().values_list("pk", flat=True)[:MOST_CHOSEN]
        return _compose(Choice(contacts=tuple(key.hex for key in rows)))

    @action(permissions=["send"], description=_("Send to all"), url_path="send", icon="campaign")
    def send_to_everybody(self, request: HttpRequest) -> HttpResponse:  # noqa: ARG002 - unfold's signature
        return redirect("admin:messaging_broadcast_compose")


def _compose(choice: Choice) -> HttpResponse:
    address = reverse("admin:messaging_broadcast_compose")
    return HttpResponseRedirect(f"{address}?{choice.query}" if choice.query else address)

"""The admin's pages of broadcasts: the list, and how one stands."""

from __future__ import annotations

import re
from typing import Any, Final
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.loader import render_to_string
from django.urls import path
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display

from accounts import roles
from accounts.doors.admin import OwnAutocompleteFilter, PeriodFilter
from accounts.doors.labels import second
from accounts.doors.organization import member_of
from messaging.admin import composing, controls, following, previewing, start
from messaging.admin.evidence import EvidencePages
from messaging.admin.filters import MemberFilter
from messaging.admin.labels import number, short_queue_id
from messaging.admin.standing import Standing
from messaging.models import Broadcast

_ID_BEGINNING: Final = re.compile(r"[0-9a-f]{4,32}")


@admin.register(Broadcast)
class BroadcastPages(EvidencePages):
    """What was sent and how it stands. Every number is a kept counter: nothing is counted here."""

    empty_text = _("Nothing was sent yet. Each broadcast stands here, with how far it is.")

    list_display = (
        "queue_id",
        "moment",
        "shortened_text",
        "status_label",
        "progress_bar",
        "messages_number",
        "skipped_number",
        "credits_number",
        "kind",
        "member",
        "organization",
    )
    list_filter = (
        ("organization", OwnAutocompleteFilter),
        ("status", ChoicesDropdownFilter),
        ("kind", ChoicesDropdownFilter),
        ("created_at", PeriodFilter),
        ("member", MemberFilter),
    )
    list_select_related = ("organization", "member")
    ordering = ("-created_at", "-id")
    search_fields = ("id",)  # shows the box; what it finds is in get_search_results
    search_help_text = _("A queue id or its beginning.")

    class Media:
        css = {"all": ["pregon/desk.css"]}
        js = ["pregon/desk.js"]

    actions_list = ("send_to_all",)
    change_form_outer_before_template = "admin/messaging/broadcast/standing.html"
    fieldsets = (
        (
            _("Record"),
            {
                "classes": ("collapse",),
                "fields": (
                    "id",
                    "whole_text",
                    "kind",
                    "encoding",
                    "segments",
                    "country",
                    "audience_kind",
                    "organization",
                    "member",
                    "created_at",
                    "scheduled_at",
                    "blanked_at",
                    "fingerprint",
                    "woken_at",
                    "broken_drains",
                ),
            },
        ),
    )

    def get_urls(self) -> list[Any]:
        def at(address: str, view: Any, name: str) -> Any:
            return path(
                address, self.admin_site.admin_view(view), name=f"messaging_broadcast_{name}"
            )

        return [
            at("last/", start.show_last, "last"),
            at("compose/", composing.compose, "compose"),
            at("compose/audience/", composing.show_audience, "audience"),
            at("preview/<str:draft_id>/", previewing.preview, "preview"),
            at("<uuid:queue_id>/live/", following.show_live, "live"),
            at("<uuid:queue_id>/course/", following.show_course, "course"),
            at("<uuid:queue_id>/facts/", following.show_facts, "facts"),
            at("<uuid:queue_id>/control/<slug:deed>/", controls.control, "control"),
            *super().get_urls(),
        ]

    def has_send_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002 - unfold's signature
        return roles.may(member_of(request), roles.Right.SEND)

    @action(permissions=["send"], description=_("Send to all"), url_path="send", icon="campaign")
    def send_to_all(self, request: HttpRequest) -> HttpResponse:  # noqa: ARG002 - unfold's signature
        return redirect("admin:messaging_broadcast_compose")

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        queryset: QuerySet[Broadcast],
        search_term: str,
    ) -> tuple[QuerySet[Broadcast], bool]:
        digits = search_term.strip().lower().replace("-", "")
        if not digits:
            return queryset, False
        if not _ID_BEGINNING.fullmatch(digits):
            return queryset.none(), False
        # A range of the key: a pattern would read every row.
        first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
        return queryset.filter(pk__gte=first, pk__lte=last), False

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        *args: Any,
        obj: Broadcast | None = None,
        **options: Any,
    ) -> HttpResponse:
        if obj is not None:
            context["live"] = following.live_of(request, obj)
            context.update(following.happened(obj))
            context["may_see_facts"] = obj.paused_because == Broadcast.PausedBecause.APPROVAL
            context["pieces"] = previewing.pieces_of(obj.shown_text)
        response: HttpResponse = super().render_change_form(
            request, context, *args, obj=obj, **options
        )
        return response

    @display(description=_("queue id"))
    def queue_id(self, broadcast: Broadcast) -> SafeString:
        return short_queue_id(broadcast.pk)

    @display(description=_("text"))
    def shortened_text(self, broadcast: Broadcast) -> str:
        return Truncator(broadcast.shown_text).chars(48)

    @display(description=_("text"))
    def whole_text(self, broadcast: Broadcast) -> str:
        return broadcast.shown_text

    @display(description=_("status"))
    def status_label(self, broadcast: Broadcast) -> SafeString:
        return Standing(broadcast).label

    @display(description=_("progress"))
    def progress_bar(self, broadcast: Broadcast) -> SafeString:
        return render_to_string(
            "admin/messaging/broadcast/bar.html", {"standing": Standing(broadcast)}
        )

    @display(description=_("messages"))
    def messages_number(self, broadcast: Broadcast) -> str:
        return number(broadcast.messages_total)

    @display(description=_("skipped"))
    def skipped_number(self, broadcast: Broadcast) -> str:
        return number(broadcast.skipped_total)

    @display(description=_("credits"))
    def credits_number(self, broadcast: Broadcast) -> str:
        return number(broadcast.credits)

    @display(description=_("created at"))
    def moment(self, broadcast: Broadcast) -> SafeString:
        return second(broadcast.created_at)

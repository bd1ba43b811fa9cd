"""The admin's pages of terms: writing and publishing them, accepting them, who accepted."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet, Subquery
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action, display

from accounts import roles, terms
from accounts.doors.addresses import address_of
from accounts.doors.admin import (
    Evidence,
    OrganizationAdmin,
    OwnAutocompleteFilter,
    OwnRelatedFilter,
)
from accounts.doors.organization import member_of
from accounts.models import Terms, TermsAcceptance


@admin.register(Terms)
class TermsPages(OrganizationAdmin):
    """Platform superusers write drafts and publish them; what is published stays as it is."""

    empty_text = gettext_lazy(
        "No terms yet. Nobody can send before the platform has published some."
    )

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
    actions_detail = ("publish_draft",)

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

    def has_publish_permission(self, request: HttpRequest, key: str | None = None) -> bool:
        """Say whether the member may publish, and where a version is given, whether it is a draft."""
        if not roles.may(member_of(request), roles.Right.PUBLISH_TERMS):
            return False
        return key is None or self.get_queryset(request).filter(pk=key, published_at=None).exists()

    @action(
        description=gettext_lazy("Publish"),
        permissions=["publish"],
        url_path="publish",
        icon="gavel",
    )
    def publish_draft(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show whom the publication stops, and publish once that is confirmed."""
        draft = self.get_object(request, object_id)
        if draft is None:
            raise Http404
        if request.method != "POST":
            context = {
                **self.admin_site.each_context(request),
                "title": _("Publish version %(version)s") % {"version": draft.version},
                "opts": self.opts,
                "draft": draft,
                "in_force": terms.current(),
                "stopped": terms.who_would_be_stopped().count(),
            }
            return TemplateResponse(request, "admin/accounts/terms/publish.html", context)
        try:
            terms.publish(terms=draft, member=member_of(request), address=address_of(request))
        except terms.TermsPublished as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
        else:
            self.message_user(
                request,
                _("Version %(version)s is in force. Nobody sends before accepting it.")
                % {"version": draft.version},
                messages.SUCCESS,
            )
        return redirect("admin:accounts_terms_changelist")

    @admin.action(description=gettext_lazy("Publish…"), permissions=["publish"])
    def publish(self, request: HttpRequest, queryset: QuerySet[Terms]) -> HttpResponse | None:
        """Lead to the page of one draft's publication, which asks first."""
        chosen = list(queryset[:2])
        if len(chosen) != 1:
            self.message_user(request, _("Choose one version to publish."), messages.ERROR)
            return None
        if chosen[0].published_at is not None:
            refusal = _("Version %(version)s is published already.")
            self.message_user(request, refusal % {"version": chosen[0].version}, messages.ERROR)
            return None
        return redirect("admin:accounts_terms_publish_draft", chosen[0].pk)


@admin.register(TermsAcceptance)
class TermsAcceptancePages(Evidence, OrganizationAdmin):
    """Who accepted which version, when and from where."""

    empty_text = gettext_lazy(
        "Nobody has accepted the terms yet. Each member does it on the page Terms of use."
    )

    organization_path = "member__organization"
    list_display = ("member", "terms", "created_at", "address", "user_agent")
    list_filter = (("terms", OwnRelatedFilter), ("member", OwnAutocompleteFilter))
    search_fields = ("member__email", "terms__version")
    ordering = ("-created_at", "-id")
    list_select_related = ("member", "terms")
    fields = ("id", "member", "terms", "created_at", "address", "user_agent")


def show_current(request: HttpRequest) -> HttpResponse:
    """Show the terms in force; by POST the member accepts the version he has read."""
    member = member_of(request)
    if request.method == "POST":
        return _accept(request)
    in_force = terms.current()
    acceptance = in_force and in_force.acceptances.filter(member=member).first()
    context = {
        **admin.site.each_context(request),
        "title": _("Terms of use"),
        "in_force": in_force,
        "acceptance": acceptance,
        "no_organization": roles.no_organization() if member.is_superuser else "",
    }
    return TemplateResponse(request, "admin/accounts/terms/current.html", context)


def _accept(request: HttpRequest) -> HttpResponse:
    member, version = member_of(request), request.POST.get("version", "")
    try:
        roles.require(member, roles.Right.READ)
        terms.accept(
            member=member,
            version=version,
            address=address_of(request),
            user_agent=request.headers.get("User-Agent", ""),
        )
    except (roles.RoleMissing, terms.UnknownTerms) as refusal:
        messages.error(request, str(refusal))
        return redirect("admin:current_terms")
    except terms.TermsAlreadyAccepted as refusal:
        messages.warning(request, str(refusal))
    else:
        messages.success(
            request, _("You accepted version %(version)s of the terms.") % {"version": version}
        )
    return redirect("admin:index")

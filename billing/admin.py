"""The admin's pages about credits: balances, the ledger, granting, prices, spending caps."""

from __future__ import annotations

from datetime import UTC
from typing import Any, ClassVar
from urllib.parse import urlencode
from uuid import uuid4

from django import forms
from django.contrib import admin, messages
from django.db.models import Case, F, QuerySet, Value, When
from django.db.models.functions import Now, TruncDay
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import action, display
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelect2Widget,
    UnfoldAdminTextInputWidget,
)

from accounts import roles
from accounts.doors.addresses import address_of
from accounts.doors.admin import Evidence, OrganizationAdmin, OwnAutocompleteFilter, PeriodFilter
from accounts.doors.organization import member_of
from accounts.models import Organization
from billing import caps, ledger, rates
from billing.models import CreditAccount, LedgerEntry, Rate, SpendingCap


class GrantForm(forms.Form):
    """Who gets how many credits, and why; `movement` names this grant, however often it is sent."""

    organization = forms.ModelChoiceField(
        Organization.objects.order_by("name"),
        label=_("Organization"),
        empty_label=_("Select value"),
        widget=UnfoldAdminSelect2Widget,
    )
    amount = forms.IntegerField(
        label=_("Credits"),
        min_value=1,
        max_value=ledger.LARGEST_GRANT,
        widget=UnfoldAdminIntegerFieldWidget,
    )
    note = forms.CharField(
        label=_("Note"),
        max_length=LedgerEntry._meta.get_field("note").max_length,
        help_text=_("Why: an invoice, a trial. It stays in the ledger; the organization reads it."),
        widget=UnfoldAdminTextInputWidget,
    )
    movement = forms.UUIDField(
        widget=forms.HiddenInput,
        error_messages=dict.fromkeys(
            ("required", "invalid"),
            _("This page is incomplete. Open it again and repeat the grant."),
        ),
    )


@admin.register(CreditAccount)
class CreditAccountAdmin(Evidence, OrganizationAdmin):
    """Balances, read-only: credits come in by a grant and go out by messages, never by hand."""

    empty_text = _(
        "No credits yet. The platform grants them, and this page then shows what is left."
    )

    list_display = ("organization", "available", "reserved", "spent")
    list_filter = (("organization", OwnAutocompleteFilter),)
    list_select_related = ("organization",)
    search_fields = ("organization__name",)
    fields = ("organization", "available", "reserved", "spent", "created_at")
    ordering = ("-id",)
    actions_list = ("grant_credits",)
    actions_detail = ("show_entries", "grant_more")

    def has_grant_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002 - unfold's signature
        return roles.may(member_of(request), roles.Right.GRANT_CREDITS)

    @action(description=_("Grant credits"), permissions=["grant"], url_path="grant", icon="add")
    def grant_credits(self, request: HttpRequest) -> HttpResponse:
        """Ask how many, show what that comes to, and only then grant."""
        if request.method != "POST":
            blank = GrantForm(
                initial={"organization": request.GET.get("organization"), "movement": uuid4()}
            )
            return self._page(request, "grant", form=blank)
        form = GrantForm(request.POST)
        if not form.is_valid() or "edit" in request.POST:
            return self._page(request, "grant", form=form)
        if "confirm" not in request.POST:
            return self._page(request, "grant_confirmation", form=form, **_consequence(form))
        return self._grant(request, form)

    @action(description=_("Ledger entries"), url_path="entries", icon="receipt_long")
    def show_entries(self, request: HttpRequest, object_id: str) -> HttpResponse:  # noqa: ARG002 - unfold's signature
        return redirect(
            _page_of("admin:billing_ledgerentry_changelist", account__id__exact=object_id)
        )

    @action(description=_("Grant credits"), permissions=["grant"], url_path="grant", icon="add")
    def grant_more(self, request: HttpRequest, object_id: str) -> HttpResponse:
        account = self.get_object(request, object_id)
        if account is None:
            raise Http404
        return redirect(
            _page_of(
                "admin:billing_creditaccount_grant_credits", organization=account.organization_id
            )
        )

    def _grant(self, request: HttpRequest, form: GrantForm) -> HttpResponse:
        organization, amount = form.cleaned_data["organization"], form.cleaned_data["amount"]
        is_new = ledger.grant(
            organization=organization,
            amount=amount,
            member=member_of(request),
            note=form.cleaned_data["note"],
            reference=f"grant:{form.cleaned_data['movement']}",
            address=address_of(request),
        )
        if is_new:
            text = ngettext(
                "%(amount)d credit was granted to %(organization)s.",
                "%(amount)d credits were granted to %(organization)s.",
                amount,
            )
            self.message_user(
                request, text % {"amount": amount, "organization": organization}, messages.SUCCESS
            )
        else:
            self.message_user(
                request,
                _("This grant was made before: nothing was added now. For another, start again."),
                messages.WARNING,
            )
        account = CreditAccount.objects.get(organization=organization)
        return redirect("admin:billing_creditaccount_change", account.pk)

    def _page(self, request: HttpRequest, name: str, **context: Any) -> HttpResponse:
        return TemplateResponse(
            request,
            f"admin/billing/creditaccount/{name}.html",
            {
                **self.admin_site.each_context(request),
                "title": _("Grant credits"),
                "opts": self.opts,
                "media": self.media + context["form"].media,
                **context,
            },
        )


def _page_of(name: str, **query: object) -> str:
    return f"{reverse(name)}?{urlencode(query)}"


def _consequence(form: GrantForm) -> dict[str, Any]:
    """Return what the grant comes to, as the confirmation page shows it."""
    organization = form.cleaned_data["organization"]
    available = ledger.balance(organization.pk).available
    return {
        "organization": organization,
        "is_suspended": organization.status == Organization.Status.SUSPENDED,
        "amount": form.cleaned_data["amount"],
        "note": form.cleaned_data["note"],
        "available": available,
        "available_after": available + form.cleaned_data["amount"],
    }


@admin.register(LedgerEntry)
class LedgerEntryAdmin(Evidence, OrganizationAdmin):
    """Every movement of credits, newest first."""

    empty_text = _(
        "No credits have moved yet. Each grant and each message that is paid stands here for good."
    )

    organization_path: ClassVar[str | None] = "account__organization"
    list_display = (
        "created_at",
        "account__organization",
        "kind",
        "amount",
        "available_delta",
        "reserved_delta",
        "spent_delta",
        "reference",
    )
    list_filter = (
        ("kind", ChoicesDropdownFilter),
        ("created_at", PeriodFilter),
        ("account__organization", OwnAutocompleteFilter),
    )
    list_select_related = ("account__organization",)
    fields = (
        "created_at",
        "account",
        "kind",
        "amount",
        ("available_delta", "reserved_delta", "spent_delta"),
        "reference",
        "member",
        "note",
    )
    search_fields = ("reference__startswith",)
    search_help_text = _(
        "A reference or its beginning: broadcast: and the queue id find all it moved."
    )
    ordering = ("-id",)  # the primary key grows with time
    sortable_by = ()


@admin.register(Rate)
class RateAdmin(OrganizationAdmin):
    """Prices: everybody may read them, a platform superuser sets them."""

    empty_text = _("No prices yet: a segment costs one credit, wherever it goes.")

    organization_path: ClassVar[str | None] = None
    list_display = ("country", "credits_per_segment")
    search_fields = ("country",)
    ordering = ("country",)

    def save_model(
        self,
        request: HttpRequest,
        obj: Rate,
        form: forms.ModelForm[Rate],  # noqa: ARG002 - Django's signature
        change: bool,  # noqa: ARG002, FBT001 - Django's signature
    ) -> None:
        rates.save(rate=obj, member=member_of(request), address=address_of(request))

    def delete_model(self, request: HttpRequest, obj: Rate) -> None:
        rates.remove(rate=obj, member=member_of(request), address=address_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Rate]) -> None:
        for rate in queryset:
            self.delete_model(request, rate)


@admin.register(SpendingCap)
class SpendingCapAdmin(OrganizationAdmin):
    """What may be spent a day and a minute: an owner sets his organization's, the platform anybody's."""

    empty_text = _(
        "No cap is set: as many credits may be spent in a day as there are. A cap stops a mistake early."
    )

    list_display = ("organization", "per_day", "today", "per_minute")
    list_filter = (("organization", OwnAutocompleteFilter),)
    list_select_related = ("organization",)
    search_fields = ("organization__name",)
    fieldsets = (
        (
            None,
            {
                "description": _(
                    "A cap counts the credits of what is accepted, and refuses more until the day or the"
                    " minute is over. What was accepted before goes on."
                ),
                "fields": ("organization", "per_day", "per_minute", "today"),
            },
        ),
    )
    readonly_fields = ("today",)
    autocomplete_fields = ("organization",)
    ordering = ("organization__name", "id")
    sortable_by = ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Whoever has an organization sets its one cap once, and changes that from then on."""
        own = SpendingCap.objects.filter(organization=member_of(request).organization_id)
        return super().has_add_permission(request) and not own.exists()

    def get_queryset(self, request: HttpRequest) -> QuerySet[SpendingCap]:
        caps_of: QuerySet[SpendingCap] = super().get_queryset(request)
        counted = Case(
            When(day=TruncDay(Now(), tzinfo=UTC), then=F("taken_in_day")), default=Value(0)
        )
        return caps_of.annotate(counted_today=counted)

    @display(description=_("accepted today (UTC)"))
    def today(self, cap: SpendingCap) -> int:
        counted: int = getattr(cap, "counted_today", 0)  # a new row was not read by our query
        return counted

    def save_model(
        self,
        request: HttpRequest,
        obj: SpendingCap,
        form: forms.ModelForm[SpendingCap],  # noqa: ARG002 - Django's signature
        change: bool,  # noqa: ARG002, FBT001 - Django's signature
    ) -> None:
        caps.save(cap=obj, member=member_of(request), address=address_of(request))

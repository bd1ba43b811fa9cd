"""The admin's pages about contacts: people, tags, opt-outs, and how numbers were read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import actions
from django.db import transaction
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import ChoicesDropdownFilter, TextFilter
from unfold.decorators import action, display
from unfold.widgets import UnfoldAdminColorInputWidget, UnfoldAdminTextInputWidget

from accounts.doors.addresses import address_of
from accounts.doors.admin import (
    Evidence,
    OrganizationAdmin,
    OwnAutocompleteFilter,
    OwnRelatedFilter,
    country_of_member,
)
from accounts.doors.labels import label
from accounts.doors.organization import member_of
from contacts import directory, import_admin, phone_numbers, suppressions, tags
from contacts.models import Contact, ContactQuerySet, NumberReading, Suppression, Tag

REMOVED_AT_ONCE: Final = 1_000
"""Contacts that one confirmation page lists."""


class CountryFilter(TextFilter):
    """Rows whose number belongs to a country, given as CO, co, 57 or +57."""

    title = _("country of the number")
    parameter_name = "region"  # and the column's name

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        given = self.value()
        if not given:
            return queryset
        try:
            return queryset.filter(**{self.parameter_name: phone_numbers.country_of(given)})
        except phone_numbers.UnsupportedCountry:
            messages.error(request, _("Give the country as two letters, CO, or calling code, 57."))
            return queryset.none()


class DeletedAlone:
    """Rows whose deletion takes nothing else along: its page has no relatives to look for."""

    def get_deleted_objects(
        self, objs: Iterable[Model], request: HttpRequest
    ) -> tuple[list[str], dict[str, int], set[str], list[str]]:
        rows = list(objs)
        model_admin = cast("OrganizationAdmin", self)
        name, names = model_admin.opts.verbose_name, model_admin.opts.verbose_name_plural
        lacking = set() if model_admin.has_delete_permission(request) else {str(name)}
        return [str(row) for row in rows], {str(names): len(rows)}, lacking, []


@admin.register(Contact)
class ContactAdmin(DeletedAlone, OrganizationAdmin):
    """People the organization writes to. Deleting one takes it out of all lists; messages stay."""

    empty_text = _(
        "Nobody to write to yet. Contacts are imported from a file, or added one after the other."
    )

    list_display = (
        "__str__",
        "organization",
        "number",
        "region",
        "reachability",
        "status_label",
        "origin",
        "created_at",
    )
    list_filter = (
        ("organization", OwnAutocompleteFilter),
        ("status", ChoicesDropdownFilter),
        ("refusal", ChoicesDropdownFilter),
        ("tags", OwnRelatedFilter),
        CountryFilter,
        ("origin", ChoicesDropdownFilter),
    )
    list_select_related = ("organization",)
    ordering = ("-created_at", "-id")
    sortable_by = ()  # any other order would sort a million rows
    search_fields = ("name",)  # shows the box; what it finds is `directory.find`
    search_help_text = _("A number or its beginning, or the beginnings of names or of an e-mail.")
    autocomplete_fields = ("organization", "tags")
    actions = ("delete_selected",)
    actions_list: tuple[str, ...] = ("import_contacts",)
    fieldsets = (
        (None, {"fields": ("organization", ("name", "last_name"), ("phone", "country"), "status")}),
        (_("More"), {"fields": ("email", "birth_date", "tags")}),
        (
            _("How the number is read"),
            {"fields": ("reachability", "e164", "region", "read_as", "origin", "created_at")},
        ),
    )
    readonly_fields = ("e164", "region", "read_as", "reachability", "origin", "created_at")

    def get_queryset(self, request: HttpRequest) -> ContactQuerySet:
        return cast("ContactQuerySet", super().get_queryset(request)).living().with_opt_outs()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Contact], search_term: str
    ) -> tuple[QuerySet[Contact], bool]:
        contacts = cast("ContactQuerySet", queryset)
        country = country_of_member(request)
        return directory.find(contacts=contacts, text=search_term, country=country), False

    @display(description=_("number"))
    def number(self, contact: Contact) -> str:
        return contact.e164 or contact.phone

    @display(description=_("can be written to"))
    def reachability(self, contact: Contact) -> SafeString:
        reason = directory.obstacle(
            contact=contact, is_opted_out=bool(getattr(contact, "is_opted_out", False))
        )
        if contact.read_as == phone_numbers.NOWHERE and contact.status == Contact.Status.ACTIVE:
            return label(gettext("Needs a country"), "warning")
        if reason:
            return label(gettext("No: %(reason)s") % {"reason": reason}, "danger")
        return label(gettext("Yes"), "success")

    @display(
        description=_("status"),
        label={
            Contact.Status.ACTIVE.value: "success",
            Contact.Status.INACTIVE.value: "warning",
            Contact.Status.BLOCKED.value: "danger",
        },
    )
    def status_label(self, contact: Contact) -> tuple[str, str]:
        return contact.status, contact.get_status_display()

    def has_import_permission(self, request: HttpRequest, obj: object = None) -> bool:  # noqa: ARG002 - unfold's signature
        return import_admin.may_import(request)

    @action(permissions=["import"], description=_("Import"), url_path="import", icon="upload_file")
    def import_contacts(self, request: HttpRequest) -> HttpResponse:  # noqa: ARG002 - unfold's signature
        return redirect("admin:contacts_importjob_upload")

    @admin.action(permissions=["delete"], description=_("Delete the selected contacts"))
    def delete_selected(
        self, request: HttpRequest, queryset: QuerySet[Contact]
    ) -> HttpResponse | None:
        """Ask first, as Django's own action; the page names each contact, so there is a limit."""
        if queryset.order_by()[: REMOVED_AT_ONCE + 1].count() > REMOVED_AT_ONCE:
            self.message_user(
                request,
                _("At most %(limit)d contacts are deleted at once: narrow the filter.")
                % {"limit": REMOVED_AT_ONCE},
                messages.ERROR,
            )
            return None
        return actions.delete_selected(self, request, queryset)

    def delete_model(self, request: HttpRequest, obj: Contact) -> None:
        self.delete_queryset(request, Contact.objects.filter(pk=obj.pk))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Contact]) -> None:
        directory.remove(
            contacts=Contact.objects.filter(pk__in=queryset.order_by().values("pk")),
            by=member_of(request),
            address=address_of(request),
        )

    def save_model(
        self,
        request: HttpRequest,
        obj: Any,
        form: Any,
        change: bool,  # noqa: FBT001 - Django's signature
    ) -> None:
        """Keep what the API would refuse, a number that is none or another's, and warn of it."""
        who: dict[str, Any] = {"by": member_of(request), "address": address_of(request)}
        changed = set(form.changed_data)
        carried = form.cleaned_data["tags"] if "tags" in changed else None
        if change:
            fields = changed - {"tags"}
            directory.change(contact=obj, fields=fields, tags=carried, takes_doubtful=True, **who)
        else:
            directory.add(contact=obj, tags=carried or (), takes_doubtful=True, **who)
        if not {"phone", "country"} & changed:
            return
        if obj.refusal:
            self.message_user(request, _why_not(obj), messages.WARNING)
        first = directory.first_with_number_of(obj)
        if first is not None:
            self.message_user(request, _says_who_has_it(first), messages.WARNING)


def _why_not(contact: Contact) -> str:
    if contact.read_as == phone_numbers.NOWHERE:
        return gettext(
            "This number is written without its country and none is known: it is skipped until you "
            "give the contact or the organization a country, or write it as +57 300 123 4567."
        )
    if contact.refusal == Contact.Refusal.UNSUPPORTED:
        return gettext(
            "This is a premium, shared-cost or satellite number: it is skipped unless the "
            "organization may send to them."
        )
    return gettext(
        "This is no valid phone number: it is skipped until you correct the number or the country."
    )


def _says_who_has_it(contact: Contact) -> SafeString:
    return format_html(
        gettext(
            'Another contact has this number: <a href="{}">{}</a>. Both are kept, and a broadcast '
            "writes to the older of them alone."
        ),
        reverse("admin:contacts_contact_change", args=[contact.pk]),
        contact,
    )


@admin.register(Tag)
class TagAdmin(DeletedAlone, OrganizationAdmin):
    """Labels on contacts. Deleting one takes it off its contacts and deletes none of them."""

    empty_text = _("No tags yet. A tag gathers contacts, so that a broadcast may go to them alone.")

    list_display = ("name", "organization", "description", "created_at")
    list_filter = (("organization", OwnAutocompleteFilter),)
    list_select_related = ("organization",)
    search_fields = ("name",)
    ordering = ("name", "id")
    autocomplete_fields = ("organization",)
    fields = ("organization", "name", "description", "color")

    def save_model(
        self,
        request: HttpRequest,
        obj: Any,
        form: Any,
        change: bool,  # noqa: FBT001 - Django's signature
    ) -> None:
        by, address = member_of(request), address_of(request)
        if change:
            tags.change(tag=obj, fields=form.changed_data, by=by, address=address)
        else:
            tags.add(tag=obj, by=by, address=address)

    def delete_model(self, request: HttpRequest, obj: Tag) -> None:
        tags.remove(tag=obj, by=member_of(request), address=address_of(request))

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Tag]) -> None:
        for tag in queryset:
            self.delete_model(request, tag)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "color":
            kwargs["widget"] = UnfoldAdminColorInputWidget
        return super().formfield_for_dbfield(db_field, request, **kwargs)


class SuppressionForm(forms.ModelForm):  # type: ignore[type-arg]  # not subscriptable at run time
    """Takes the number as people write it. A number that is opted out already stays so."""

    recipient = forms.CharField(
        label=_("number"),
        max_length=phone_numbers.LONGEST,
        help_text=_("With its country, as +57 300 123 4567, or as written in your own country."),
        widget=UnfoldAdminTextInputWidget,
    )

    class Meta:
        model = Suppression
        fields = ("recipient",)

    def clean_recipient(self) -> str:
        country = self.instance.organization.country
        try:
            return suppressions.require_recipient(self.cleaned_data["recipient"], country=country)
        except suppressions.InvalidRecipient as error:
            raise forms.ValidationError(str(error)) from error

    def _get_validation_exclusions(self) -> set[str]:
        # `suppressions.add` answers a repetition; the constraint would refuse it here.
        excluded: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]  # not in the stubs
        return excluded | {"recipient"}


@admin.register(Suppression)
class SuppressionAdmin(OrganizationAdmin):
    """Opt-outs: senders add them, owners lift them, nobody changes one."""

    empty_text = _("Nobody has opted out. Who answers STOP stands here, and gets nothing more.")

    form = SuppressionForm
    list_display = ("recipient", "organization", "source", "member", "created_at")
    list_filter = (
        ("organization", OwnAutocompleteFilter),
        ("source", ChoicesDropdownFilter),
    )
    list_select_related = ("organization", "member")
    ordering = ("-created_at", "-id")
    sortable_by = ()
    search_fields = ("recipient",)  # shows the box; see get_search_results
    search_help_text = _("A number or its beginning.")

    def get_fields(self, request: HttpRequest, obj: Suppression | None = None) -> tuple[str, ...]:  # noqa: ARG002 - Django's signature
        return ("recipient",) if obj is None else ("recipient", "source", "member", "created_at")

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        return False

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Suppression], search_term: str
    ) -> tuple[QuerySet[Suppression], bool]:
        if not search_term:
            return queryset, False
        country = country_of_member(request)
        is_number = directory.is_number(search_term, country, column="recipient")
        return queryset.filter(is_number), False

    def save_model(
        self,
        request: HttpRequest,
        obj: Any,
        form: Any,  # noqa: ARG002 - Django's signature
        change: bool,  # noqa: ARG002, FBT001 - Django's signature
    ) -> None:
        # For the answer in words alone; what is kept is the verb's affair.
        obj.was_there = Suppression.objects.filter(
            organization=obj.organization, recipient=obj.recipient
        ).exists()
        kept = suppressions.add(
            organization=obj.organization,
            recipient=obj.recipient,
            source=Suppression.Source.MEMBER,
            member=member_of(request),
            address=address_of(request),
        )
        obj.pk = kept.pk

    def response_add(
        self, request: HttpRequest, obj: Any, post_url_continue: str | None = None
    ) -> HttpResponse:
        if obj.was_there:
            self.message_user(
                request,
                gettext("%(number)s was opted out already. It stays so.")
                % {"number": obj.recipient},
                messages.WARNING,
            )
            return redirect("admin:contacts_suppression_changelist")
        response: HttpResponse = super().response_add(request, obj, post_url_continue)
        return response

    def delete_model(self, request: HttpRequest, obj: Suppression) -> None:
        suppressions.lift(
            suppression=obj,
            member=member_of(request),
            address=address_of(request),
        )

    @transaction.atomic
    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Suppression]) -> None:
        for suppression in queryset:
            self.delete_model(request, suppression)


@admin.register(NumberReading)
class NumberReadingAdmin(Evidence, OrganizationAdmin):
    """What national numbers came to in a country, as broadcasts read them."""

    empty_text = _(
        "Nothing here yet. It fills when a broadcast is sent with a country for national numbers."
    )

    list_display = ("number", "country", "organization", "e164", "region", "refusal", "created_at")
    list_filter = (
        ("organization", OwnAutocompleteFilter),
        ("refusal", ChoicesDropdownFilter),
    )
    list_select_related = ("organization",)
    ordering = ("organization", "country", "number")
    sortable_by = ()
    search_fields = ("number__exact",)
    search_help_text = _("The number exactly as a contact has it.")
    fields = ("number", "country", "organization", "e164", "region", "refusal", "created_at")

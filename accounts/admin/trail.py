"""The admin's pages of the audit trail: who did what, when, from where, and what it was before."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import DropdownFilter
from unfold.decorators import display

from accounts import acts
from accounts.admin import details
from accounts.doors.admin import Evidence, OrganizationAdmin, OwnAutocompleteFilter, PeriodFilter
from accounts.doors.labels import second
from accounts.models import AuditEntry, AuditSeal, NounOf, UnsealedEntry

_FILTERED: Final = ("group", "seal", "organization", "member", "created_at")
"""What the address may ask for, by itself or as `created_at_from`: each has its index."""

_SHORT: Final = 8  # characters of an id that a list shows


class GroupFilter(DropdownFilter):
    """Acts by what they are done to."""

    title = _("what")
    parameter_name = "group"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002 - Django's signature
        return [(name, title) for name, (title, _nouns) in acts.GROUPS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's signature
        group = acts.GROUPS.get(self.value() or "")
        if group is None:
            return queryset
        nouns = sorted(group[1])
        rows: QuerySet[Any] = queryset.alias(noun=NounOf("act"))
        return rows.filter(noun=nouns[0]) if len(nouns) == 1 else rows.filter(noun__in=nouns)


class SealFilter(DropdownFilter):
    """Entries that wait for their seal: those of the last seconds, where a dispatcher runs."""

    title = _("seal")
    parameter_name = "seal"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002 - Django's signature
        return [("waits", _("Not sealed yet"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:  # noqa: ARG002 - Django's signature
        if self.value() != "waits":
            return queryset
        return queryset.filter(pk__in=UnsealedEntry.objects.values("entry_id"))


@admin.register(AuditEntry)
class AuditEntryPages(Evidence, OrganizationAdmin):
    """Every act that somebody may have to answer for."""

    empty_text = _("Nothing was done yet that anybody would have to answer for.")

    list_display = ("moment", "what", "of", "organization", "who", "address", "is_sealed")
    list_filter = (
        GroupFilter,
        ("member", OwnAutocompleteFilter),
        ("created_at", PeriodFilter),
        SealFilter,
        ("organization", OwnAutocompleteFilter),
    )
    search_fields = ("id",)  # shows the box; what it finds is in get_search_results
    search_help_text = _(
        "The whole id of a broadcast, contact, member, key, …: all that was done to it."
    )
    ordering = ("-created_at", "-id")
    sortable_by = ()
    fields = (
        "moment",
        "what",
        "of",
        "organization",
        "who",
        "address",
        "shown_details",
        "id",
        "shown_seal",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[AuditEntry]:
        rows: QuerySet[AuditEntry] = super().get_queryset(request)
        return rows.select_related("member", "organization", "seal")

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Allow what a filter on offer asks; any other column would be searched row by row."""
        is_offered = any(lookup == name or lookup.startswith(f"{name}_") for name in _FILTERED)
        return is_offered and bool(super().lookup_allowed(lookup, value, request))

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        queryset: QuerySet[AuditEntry],
        search_term: str,
    ) -> tuple[QuerySet[AuditEntry], bool]:
        """Find what was done to one row, by its id, through the index; or one entry by its own."""
        text = search_term.strip()
        if not text:
            return queryset, False
        try:
            row = UUID(text)
        except ValueError:
            return queryset.none(), False
        subjects = [f"{name}:{row}" for name in details.subjects()]
        return queryset.filter(Q(subject__in=subjects) | Q(pk=row)), False

    @display(description=_("when"))
    def moment(self, entry: AuditEntry) -> SafeString:
        return second(entry.created_at)

    @display(description=_("what"))
    def what(self, entry: AuditEntry) -> str:
        return acts.label(entry.act)

    @display(description=_("of which row"))
    def of(self, entry: AuditEntry) -> str | SafeString:
        name, _colon, key = entry.subject.partition(":")
        model = details.subjects().get(name)
        if model is None:
            return entry.subject
        shown = f"{capfirst(model._meta.verbose_name)} {key[:_SHORT]}"
        if model not in self.admin_site._registry:
            return shown
        address = reverse(f"admin:{model._meta.label_lower.replace('.', '_')}_change", args=[key])
        return format_html('<a href="{}" title="{}">{}</a>', address, key, shown)

    @display(description=_("who"))
    def who(self, entry: AuditEntry) -> str:
        if entry.member_id is None:
            return gettext("The system itself")
        if entry.member is None:
            return gettext("A member who is gone: %(id)s") % {"id": entry.member_id}
        if entry.member.is_superuser:
            # By name: the addresses of the platform's people are not for its customers.
            return gettext("Platform: %(name)s") % {"name": entry.member.get_full_name()}
        if "api_key" in entry.details:
            return gettext("%(member)s, by an API key") % {"member": entry.member}
        return str(entry.member)

    @display(description=_("sealed"), boolean=True)
    def is_sealed(self, entry: AuditEntry) -> bool:
        return _seal_of(entry) is not None

    @display(description=_("seal"))
    def shown_seal(self, entry: AuditEntry) -> str | SafeString:
        seal = _seal_of(entry)
        if seal is None:
            return gettext("Not sealed yet: the dispatcher does that within seconds.")
        return format_html("{} · {}", seal.sequence, second(seal.sealed_at))

    @display(description=_("details"))
    def shown_details(self, entry: AuditEntry) -> SafeString:
        return details.shown(entry)


def _seal_of(entry: AuditEntry) -> AuditSeal | None:
    return getattr(entry, "seal", None)

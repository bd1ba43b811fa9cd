"""What every page of the admin shares: each member sees and touches only the own organization."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any, ClassVar, Final, cast

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.utils import flatten, unquote
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Field, ForeignKey, Model, QuerySet
from django.forms import ModelForm
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    RangeDateFilter,
    RelatedDropdownFilter,
)
from unfold.views import ChangeList

from accounts import audit
from accounts.doors.lists import BoundedList, BoundedPaginator
from accounts.doors.organization import member_of
from accounts.models import AuditEntry


def country_of_member(request: HttpRequest) -> str:
    """Return the default country of the member's organization, "" where there is none."""
    organization = member_of(request).organization
    return organization.country if organization is not None else ""


UNFOLDS_OWN: Final = (_("Type to search"),)
"""Texts of unfold's templates that it has in no other language: ours are in the catalogue."""


class _Scoped:
    """Limits rows, and the choices of every form field, to the organization of who is signed in."""

    model: type[Model]
    admin_site: admin.AdminSite
    organization_path: ClassVar[str | None] = "organization"
    """The look-up from a row to its organization; `pk` on Organization; None: everybody's rows."""

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)  # type: ignore[misc]  # a mixin of admins
        member = member_of(request)
        if member.is_superuser or self.organization_path is None:
            return rows
        return rows.filter(**{self.organization_path: member.organization_id})

    def get_field_queryset(
        self, db: str | None, db_field: Field[Any, Any], request: HttpRequest
    ) -> QuerySet[Any]:
        """Return the rows a related field may point to: what the other model's own page would list."""
        related = cast("Any", db_field).remote_field.model
        registered = self.admin_site._registry.get(related)
        if registered is not None:
            reachable: QuerySet[Any] = registered.get_queryset(request)
            return reachable
        rows: QuerySet[Any] = related._default_manager.using(db)
        member = member_of(request)
        if member.is_superuser or not _has_organization(related):
            return rows.all()
        return rows.filter(organization=member.organization_id)

    @property
    def owns_organization_field(self) -> bool:
        return self.organization_path == "organization" and _has_organization(self.model)


def _has_organization(model: type[Model]) -> bool:
    return any(field.name == "organization" for field in model._meta.fields)


class OrganizationAdmin(_Scoped, ModelAdmin):
    """A model's pages, limited to the member's organization; platform superusers see all.

    The organization of a new row is the member's own, whatever the form says; only a superuser
    chooses it, and nobody moves a row to another. Use `autocomplete_fields` for related rows:
    raw-id fields would show the name of any row whose id is typed in.
    """

    paginator = BoundedPaginator
    show_facets = admin.ShowFacets.NEVER  # each choice would count the table
    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 0
    list_filter_submit = True
    list_before_template = "admin/filtered.html"
    empty_text: Any = _("There is nothing here yet.")
    """What an empty list says: why, and what fills it."""

    compressed_fields = True
    warn_unsaved_form = True

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:  # noqa: ARG002 - Django's signature
        return BoundedList

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        left_out: set[Any] = set()
        if obj is None:
            # What a row gets when it is saved is not known before.
            left_out |= set(self.get_readonly_fields(request, obj))
        if self.owns_organization_field and not member_of(request).is_superuser:
            left_out.add("organization")
        fieldsets = [
            (title, {**options, "fields": _without(left_out, options["fields"])})
            for title, options in super().get_fieldsets(request, obj)
        ]
        return [(title, options) for title, options in fieldsets if flatten(options["fields"])]

    def get_readonly_fields(
        self, request: HttpRequest, obj: Model | None = None
    ) -> tuple[Any, ...]:
        fields = tuple(super().get_readonly_fields(request, obj))
        if obj is None or not self.owns_organization_field:
            return fields
        return (*fields, "organization") if "organization" not in fields else fields

    def get_form(
        self,
        request: HttpRequest,
        obj: Any | None = None,
        change: bool = False,  # noqa: FBT001, FBT002 - Django's signature
        **kwargs: Any,
    ) -> type[ModelForm[Any]]:
        form: type[ModelForm[Any]] = super().get_form(request, obj, change, **kwargs)
        member = member_of(request)
        if member.is_superuser or not self.owns_organization_field:
            return form

        class OfOrganization(form):  # type: ignore[misc, valid-type]  # made at run time by Django
            """The form with the member's organization set before constraints are checked."""

            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                if self.instance._state.adding:
                    self.instance.organization_id = member.organization_id

            def _get_validation_exclusions(self) -> set[str]:
                # Else a name that is unique in the organization would be checked by the INSERT alone.
                excluded: set[str] = super()._get_validation_exclusions()
                return excluded - {"organization"}

        return OfOrganization

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        *args: Any,
        obj: Any | None = None,
        **options: Any,
    ) -> HttpResponse:
        context["show_history"] = obj is not None and self._has_history(request, obj)
        response: HttpResponse = super().render_change_form(
            request, context, *args, obj=obj, **options
        )
        return response

    def _has_history(self, request: HttpRequest, row: Model) -> bool:
        """Return whether the audit trail tells of the row, to somebody who may read it."""
        trail = self.admin_site.get_model_admin(AuditEntry)
        about = AuditEntry.objects.filter(subject=audit.subject_of(row))
        return trail.has_view_permission(request) and about.exists()

    def history_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,  # noqa: ARG002 - Django's signature
    ) -> HttpResponse:
        """Lead to what the audit trail has of the row: Django's own log knows only the admin's forms."""
        row = self.get_object(request, unquote(object_id))
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        trail = reverse("admin:accounts_auditentry_changelist", query={"q": row.pk})
        return HttpResponseRedirect(trail)

    def _get_obj_does_not_exist_redirect(self, *_args: Any) -> HttpResponse:
        """Answer what nobody or another organization has as any other address that leads nowhere."""
        raise Http404

    # What was done stands in the audit trail. Django's log would keep names after retention blanked them.
    def log_addition(self, request: HttpRequest, obj: Any, message: Any) -> None:
        pass

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> None:
        pass

    def log_deletions(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        pass

    def get_list_display(self, request: HttpRequest) -> Sequence[Any]:
        return self._columns(request, super().get_list_display(request))

    def get_list_filter(self, request: HttpRequest) -> Sequence[Any]:
        return self._columns(request, super().get_list_filter(request))

    def _columns(self, request: HttpRequest, columns: Sequence[Any]) -> Sequence[Any]:
        """Return the columns or filters without the organization's, which tells a member nothing."""
        if member_of(request).is_superuser:
            return columns
        return [
            column
            for column in columns
            if (column[0] if isinstance(column, tuple) else column) != self.organization_path
        ]


class OrganizationTabularInline(_Scoped, TabularInline):
    """Rows of another model under a row, limited like `OrganizationAdmin`."""

    extra = 0


class OwnRelatedFilter(RelatedDropdownFilter):
    """A filter by a related row that offers only rows the member may see: for short lists."""

    def field_choices(
        self, field: ForeignKey[Any, Any], request: HttpRequest, model_admin: Any
    ) -> list[tuple[str, str]]:
        rows = model_admin.get_field_queryset(None, field, request)
        return [(str(row.pk), str(row)) for row in rows[:1000]]


class OwnAutocompleteFilter(AutocompleteSelectFilter):
    """The same with search, for long lists. unfold's own would name any row whose id is typed in."""

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        for choice in super().choices(changelist):
            if not self._is_key(self.value()):
                choice["form"].data = {}  # Django answers 500 to a choice that is no key
            choice["form"].fields[self.lookup_kwarg].queryset = self.model_admin.get_field_queryset(
                None, self.field, self.request
            )
            yield choice

    def _is_key(self, written: Any) -> bool:
        try:
            self.field.target_field.to_python(written)
        except ValidationError:
            return False
        return True


class Evidence:
    """Rows that prove what happened: nobody adds, changes or deletes them here, superusers included.

    Stands before the admin class: `class MessageAdmin(Evidence, OrganizationAdmin)`.
    """

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002 - Django's signature
        return False


class PeriodFilter(RangeDateFilter):
    """Rows from the first moment of one day to the last of another, in the site's time zone.

    unfold's own compares naive midnights, leaves the last day out and reads a Spanish date as an
    English one.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.title = _("period")

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        first, last = self._written("from"), self._written("to")
        try:
            since = _midnight(_day(first)) if first else None
            until = _midnight(_day(last) + timedelta(days=1)) if last else None
        except (forms.ValidationError, OverflowError):
            messages.error(request, _("Give the days of the period as the calendar writes them."))
            return queryset.none()
        return self.within(request, queryset, since, until)

    def within(
        self,
        request: HttpRequest,  # noqa: ARG002 - for lists that are narrowed in another way
        rows: QuerySet[Any],
        since: datetime | None,
        until: datetime | None,
    ) -> QuerySet[Any]:
        """Return the rows from a first moment on and before another."""
        if since is not None:
            rows = rows.filter(**{f"{self.field_path}__gte": since})
        return rows if until is None else rows.filter(**{f"{self.field_path}__lt": until})

    def _written(self, end: str) -> str:
        return str(self.used_parameters.get(f"{self.parameter_name}_{end}") or "")


def _day(written: str) -> date:
    """Return the day as people of the active language write it, or in ISO 8601.

    Raises: ValidationError.
    """
    day = forms.DateField().clean(written)
    assert isinstance(day, date)  # noqa: S101 - a required field returns nothing else
    return day


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))


def _without(left_out: set[Any], fields: Sequence[Any]) -> list[Any]:
    """Return the fields of a fieldset, of which a tuple is one line, without these."""
    kept = [
        tuple(name for name in field if name not in left_out)
        if isinstance(field, tuple | list)
        else field
        for field in fields
        if isinstance(field, tuple | list) or field not in left_out
    ]
    return [field for field in kept if field]

"""What every page of the admin shares: each member sees and touches only the own organization."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Final, cast

from django.contrib import admin
from django.core.paginator import Paginator
from django.db.models import Field, ForeignKey, Model, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.functional import cached_property
from unfold.admin import ModelAdmin, TabularInline
from unfold.contrib.filters.admin import AutocompleteSelectFilter, RelatedDropdownFilter

from accounts.models import Member

COUNTED: Final = 10_000  # rows that a list counts and lets one page through; further on, filter


def member_of(request: HttpRequest) -> Member:
    """Return who is signed in; the admin's own gate has sent everybody else to the sign-in page."""
    if not isinstance(request.user, Member):
        raise TypeError("This page is behind the admin's sign-in, and nobody is signed in.")
    return request.user


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # no subscript at run time
    """Counts at most 10,000 rows, so that a list over millions opens as fast as one over ten."""

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        return rows.order_by()[:COUNTED].count() if isinstance(rows, QuerySet) else len(rows)


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
    show_full_result_count = False
    list_per_page = 50
    list_max_show_all = 0
    list_filter_submit = True
    compressed_fields = True
    warn_unsaved_form = True

    def get_fieldsets(self, request: HttpRequest, obj: Model | None = None) -> list[Any]:
        fieldsets = super().get_fieldsets(request, obj)
        if member_of(request).is_superuser or not self.owns_organization_field:
            return list(fieldsets)
        return [
            (title, {**options, "fields": _without_organization(options["fields"])})
            for title, options in fieldsets
        ]

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
            choice["form"].fields[self.lookup_kwarg].queryset = self.model_admin.get_field_queryset(
                None, self.field, self.request
            )
            yield choice


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


def _without_organization(fields: Sequence[Any]) -> list[Any]:
    """Return the fields of a fieldset, of which a tuple is one line, without the organization."""
    return [
        tuple(name for name in field if name != "organization")
        if isinstance(field, tuple | list)
        else field
        for field in fields
        if field != "organization"
    ]

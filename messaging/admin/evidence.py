"""What all lists of evidence share: one order, filters on offer only, pages that nobody counts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.filters import SimpleListFilter
from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.functional import cached_property
from unfold.views import ChangeList

from accounts.doors.admin import COUNTED, Evidence, OrganizationAdmin


class EvidenceList(ChangeList):
    """A list in its own order only: any other, asked for by the address, would sort the table."""

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:  # noqa: ARG002 - Django's signature
        return list(self.model_admin.get_ordering(request))

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        # Else the page's head says how many were counted, with a link to show all of them.
        self.full_result_count = self.result_count


class OpenPage(Page):  # type: ignore[type-arg]  # no subscript at run time
    """A page that knows from its own rows whether another one follows."""

    paginator: OpenPaginator

    def has_next(self) -> bool:
        return self.paginator.has_more


class OpenPaginator(Paginator):  # type: ignore[type-arg]  # no subscript at run time
    """Pages of a table of millions: asks for one row more than it shows instead of counting.

    Pages end at row 10,000, since whoever reads that far wants a filter. How many rows there are is
    known at the last page and estimated by the planner before it.
    """

    template_name = "admin/messaging/pages.html"
    has_more = False
    shown: tuple[int, int] = (0, 0)

    @cached_property
    def count(self) -> int:
        return COUNTED

    def page(self, number: int | str) -> OpenPage:
        """Return the page with its rows read.

        Raises: InvalidPage for what is no page up to row 10,000.
        """
        number = self.validate_number(number)
        start = (number - 1) * self.per_page
        rows = list(self.object_list[start : start + self.per_page + 1])
        self.has_more = len(rows) > self.per_page and start + self.per_page < COUNTED
        page = rows[: self.per_page]
        self.shown = (start + 1, start + len(page)) if page else (0, 0)
        self.is_complete = len(rows) <= self.per_page
        return OpenPage(page, number, self)

    @cached_property
    def total(self) -> str:
        """The number of rows as people read it: exact, or the planner's estimate to two digits."""
        if self.is_complete:
            return number_format(self.shown[1], force_grouping=True)
        rows = cast("QuerySet[Any]", self.object_list)
        plan = json.loads(rows.order_by().explain(format="json"))
        estimate = max(int(plan[0]["Plan"]["Plan Rows"]), self.shown[1] + 1)
        return number_format(_rounded(estimate), force_grouping=True)


def _rounded(number: int) -> int:
    """Return the next number with two digits before its zeros."""
    unit: int = 10 ** max(len(str(number)) - 2, 0)
    return -(-number // unit) * unit


class EvidencePages(Evidence, OrganizationAdmin):
    """Rows that prove what was sent: read-only, newest first, found through indexes."""

    show_facets = admin.ShowFacets.NEVER  # each choice would count the table
    sortable_by = ()
    warn_unsaved_form = False
    list_per_page = 50

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:  # noqa: ARG002 - Django's signature
        return EvidenceList

    def get_paginator(
        self,
        request: HttpRequest,
        queryset: QuerySet[Any],
        per_page: int,
        orphans: int = 0,
        allow_empty_first_page: bool = True,  # noqa: FBT001, FBT002 - Django's signature
    ) -> Paginator[Any]:
        # A row's history is paged by the same method.
        if queryset.model is self.model:
            return OpenPaginator(queryset, per_page)
        paginator: Paginator[Any] = super().get_paginator(
            request, queryset, per_page, orphans, allow_empty_first_page
        )
        return paginator

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Allow what a filter on offer asks; any other column would be searched row by row."""
        filters = self.list_filter if request is None else self.get_list_filter(request)
        is_offered = any(
            lookup == name or lookup.startswith(f"{name}_") for name in map(_parameter, filters)
        )
        return is_offered and bool(super().lookup_allowed(lookup, value, request))


def _parameter(list_filter: Any) -> str:
    """Return how the parameters of a filter begin."""
    if isinstance(list_filter, Sequence) and not isinstance(list_filter, str):
        return str(list_filter[0])
    if isinstance(list_filter, type) and issubclass(list_filter, SimpleListFilter):
        return str(list_filter.parameter_name)
    return str(list_filter)


def uuid_of(text: str) -> UUID | None:
    """Return the id that the text is, in any of the usual spellings; None when it is none."""
    try:
        return UUID(text.strip())
    except ValueError:
        return None

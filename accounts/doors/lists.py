"""The admin's lists: pages that never count a large table, one order, and words for a wrong address."""

from __future__ import annotations

from typing import Any, Final

from django.contrib import messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ERROR_FLAG, ORDER_VAR
from django.core.exceptions import ValidationError
from django.core.paginator import InvalidPage, Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.formats import number_format
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from unfold.views import ChangeList

from accounts.doors.row_counts import COUNTED, expected

_CHEAP: Final = 50_000.0
"""The planner's cost up to which rows are counted: 10,000 of them anywhere in a large table."""


class OpenPage(Page):  # type: ignore[type-arg]  # no subscript at run time
    """A page that knows from its own rows whether another one follows."""

    paginator: BoundedPaginator

    def has_next(self) -> bool:
        return self.paginator.has_more


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # no subscript at run time
    """Pages up to row 10,000, since whoever reads that far wants a filter.

    Few rows are counted exactly. Where the planner expects many, or a long search for few, it is
    asked for its estimate instead: a list over millions opens as fast as one over ten.
    """

    template_name = "admin/pages.html"
    has_more = False
    is_complete = False
    shown: tuple[int, int] = (0, 0)

    @cached_property
    def first_rows(self) -> list[Any]:
        """The first page and one row more: for most lists all there is to know."""
        return list(self.object_list[: self.per_page + 1])

    @cached_property
    def plan(self) -> tuple[int, float]:
        """How many rows the planner expects, and what reading them would cost."""
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows), 0.0
        return expected(rows.values("pk"))  # without what the page alone shows of each row

    @cached_property
    def exact(self) -> int | None:
        """How many rows there are; None when that is not known."""
        if len(self.first_rows) <= self.per_page:
            return len(self.first_rows)
        many, cost = self.plan
        if many > COUNTED or cost > _CHEAP:
            return None
        rows = self.object_list
        few = rows.order_by()[: COUNTED + 1] if isinstance(rows, QuerySet) else rows
        counted = few.count() if isinstance(few, QuerySet) else len(few)
        return counted if counted <= COUNTED else None

    @cached_property
    def count(self) -> int:
        return COUNTED if self.exact is None else self.exact

    @cached_property
    def total(self) -> int:
        """How many rows there are: exactly, or as the planner expects, to two digits."""
        if self.exact is not None:
            return self.exact
        return _rounded(max(self.plan[0], self.shown[1] + 1))

    @property
    def total_in_words(self) -> str:
        return number_format(self.total, force_grouping=True)

    def page(self, number: int | str) -> OpenPage:
        """Return the page with its rows read.

        Raises: InvalidPage for what is no page up to row 10,000.
        """
        number = self.validate_number(number)
        start = (number - 1) * self.per_page
        rows = (
            self.first_rows
            if number == 1
            else list(self.object_list[start : start + self.per_page + 1])
        )
        page = rows[: self.per_page]
        self.is_complete = len(rows) <= self.per_page
        self.has_more = not self.is_complete and number < self.num_pages
        self.shown = (start + 1, start + len(page)) if page else (0, 0)
        if self.is_complete and self.exact is None:
            self.__dict__["exact"] = start + len(page)  # the end was reached: now it is known
        return OpenPage(page, number, self)


def _rounded(number: int) -> int:
    """Return the next number with two digits before its zeros."""
    unit: int = 10 ** max(len(str(number)) - 2, 0)
    return -(-number // unit) * unit


class BoundedList(ChangeList):  # type: ignore[misc]  # unfold counts as untyped
    """A list in its own order, or in that of a column on offer: any other would sort the table."""

    def __init__(self, request: HttpRequest, *args: Any, **options: Any) -> None:
        super().__init__(request, *args, **options)
        if ERROR_FLAG in request.GET and request.method == "GET":
            messages.warning(
                request,
                _(
                    "The address asked for a page or a filter that this list does not have. "
                    "It is shown from its beginning."
                ),
            )

    @cached_property
    def asked(self) -> list[tuple[str, str]]:
        """What the list is narrowed by, in words: the name of each filter in use, and what it asks."""
        told = [(str(spec.title), _asked(spec, self.model_admin)) for spec in self.filter_specs]
        search = [(_("search"), str(self.query))] if self.query else []
        return [*search, *((title, words) for title, words in told if words)]

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Any]) -> list[Any]:
        if not self._is_on_offer(str(self.params.get(ORDER_VAR, ""))):
            self.params.pop(ORDER_VAR)
        ordering: list[Any] = super().get_ordering(request, queryset)
        return ordering

    def _is_on_offer(self, asked: str) -> bool:
        columns = [part.removeprefix("-") for part in asked.split(".") if part]
        return all(
            column.isdecimal()
            and int(column) < len(self.list_display)
            and self.list_display[int(column)] in self.sortable_by
            for column in columns
        )

    def get_results(self, request: HttpRequest) -> None:
        """Read the page asked for. Django's own shows a list of one page whatever page is asked for."""
        self.paginator = self.model_admin.get_paginator(request, self.queryset, self.list_per_page)
        try:
            self.result_list = self.paginator.page(self.page_num).object_list
        except InvalidPage as error:
            raise IncorrectLookupParameters from error
        # Equal, else the page's head tells one of the other, with a link to show all.
        self.result_count = self.full_result_count = self.paginator.total
        self.multi_page = self.paginator.num_pages > 1
        self.show_all = self.can_show_all = False
        self.show_admin_actions = True
        self.show_full_result_count = False


def _asked(spec: Any, pages: Any) -> str:
    """Return what one filter asks as people read it, "" where it asks nothing."""
    given = [
        str(value[-1] if isinstance(value, list) and value else value or "")
        for value in spec.used_parameters.values()
    ]
    if not any(given):
        return ""
    field = getattr(spec, "field", None)
    words = {str(key): str(text) for key, text in getattr(spec, "lookup_choices", None) or ()}
    if field is not None:
        words |= {str(key): str(text) for key, text in field.flatchoices}
        if field.remote_field is not None:
            words |= _names(pages.get_field_queryset(None, field, spec.request), given)
    return " … ".join(words.get(value, value) for value in given)


def _names(rows: QuerySet[Any], keys: list[str]) -> dict[str, str]:
    """Return the names of those rows; what is no key at all names nobody."""
    try:
        return {str(row.pk): str(row) for row in rows.filter(pk__in=keys)}
    except (ValueError, ValidationError):
        return {}

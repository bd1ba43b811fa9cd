"""What all lists of evidence share: their own order, filters on offer only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib.admin.filters import SimpleListFilter
from django.http import HttpRequest

from accounts.doors.admin import Evidence, OrganizationAdmin


class EvidencePages(Evidence, OrganizationAdmin):
    """Rows that prove what was sent: read-only, newest first, found through indexes."""

    sortable_by = ()
    warn_unsaved_form = False
    list_per_page = 50

    def lookup_allowed(self, lookup: str, value: Any, request: HttpRequest | None = None) -> bool:
        """Allow what a filter on offer asks; any other column would be searched row by row."""
        filters = self.list_filter if request is None else self.get_list_filter(request)
        is_offered = any(_asks(list_filter, lookup) for list_filter in filters)
        return is_offered and bool(super().lookup_allowed(lookup, value, request))


def _asks(list_filter: Any, lookup: str) -> bool:
    """Return whether the filter puts this into the address."""
    if isinstance(list_filter, type) and issubclass(list_filter, SimpleListFilter):
        return lookup == list_filter.parameter_name
    is_pair = isinstance(list_filter, Sequence) and not isinstance(list_filter, str)
    name = str(list_filter[0] if is_pair else list_filter)
    return lookup == name or lookup.startswith(f"{name}_")


def uuid_of(text: str) -> UUID | None:
    """Return the id that the text is, in any of the usual spellings; None when it is none."""
    try:
        return UUID(text.strip())
    except ValueError:
        return None

"""How many rows a list has: counted where they are few, and as the planner expects where they are many."""

from __future__ import annotations

import json
from typing import Any, Final

from django.db.models import QuerySet

COUNTED: Final = 10_000
"""Rows that a list counts, and reaches by page number."""


def expected(rows: QuerySet[Any]) -> tuple[int, float]:
    """Return how many rows the planner expects, and what it expects reading them to cost."""
    plan = json.loads(rows.order_by().explain(format="json"))[0]["Plan"]
    return int(plan["Plan Rows"]), float(plan["Total Cost"])

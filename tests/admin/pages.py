"""Reading the admin's pages: where they are, and what they show."""

import re
from typing import Any

from django.db.models import Model
from django.urls import reverse


def address(model: type[Model] | Model, page: str = "changelist") -> str:
    """Return the address of a model's list, or of a page of one row."""
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
    return reverse(name, args=[model.pk] if isinstance(model, Model) else [])


def rows(response: Any) -> list[Any]:
    """Return the rows that a list shows."""
    assert response.status_code == 200
    return list(response.context["cl"].result_list)


def text(response: Any) -> str:
    """Return the page as it is read: without marks, blanks folded."""
    assert response.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", response.content.decode()))

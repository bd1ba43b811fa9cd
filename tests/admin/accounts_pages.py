"""Reading the admin's pages as a browser does."""

import re
from typing import Any

from django.db.models import Model
from django.test import Client
from django.urls import reverse


def listing(model: str) -> str:
    """Return the address of a list of the accounts app."""
    return reverse(f"admin:accounts_{model}_changelist")


def page(row: Model) -> str:
    """Return the address of one row's page."""
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def form(client: Client, address: str, **changes: Any) -> Any:
    """Post the form at this address as a browser would, with these changes."""
    shown = client.get(address)
    assert shown.status_code == 200
    fields: dict[str, Any] = {}
    for field in shown.context["adminform"].form:
        value = field.value()
        if value is not None and value is not False:  # 0 is posted
            fields[field.html_name] = value
    return client.post(address, {**fields, **changes}, follow=True)


def texts(answer: Any) -> str:
    """Return the page with its blanks drawn together."""
    return re.sub(r"\s+", " ", answer.content.decode())

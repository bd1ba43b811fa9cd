"""What an audit entry tells besides who, what and when: in words, with before and after side by side."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from django.apps import apps
from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from accounts import acts
from accounts.models import AuditEntry

_FIELDS: Final = {"audience": "audience_kind"}
"""Details that tell of a field by another name."""

_ROOMS: Final = frozenset({"messaging", "contacts", "billing", "accounts"})


@cache
def subjects() -> Mapping[str, type[Model]]:
    """Return the models that an entry may be about, by the name that `audit.record` writes."""
    return {
        str(model._meta.model_name): model
        for model in apps.get_models()
        if model._meta.app_label in _ROOMS
    }


def shown(entry: AuditEntry) -> SafeString:
    """Return the details as a list, and as a table where they are a change."""
    model = subjects().get(entry.subject.partition(":")[0])
    told = dict(entry.details) if isinstance(entry.details, dict) else {"": entry.details}
    before, after = told.get("before"), told.get("after")
    changes: list[tuple[str, str, str]] = []
    if isinstance(before, dict) and isinstance(after, dict):
        del told["before"], told["after"]
        changes = [
            (_name(model, name), _value(model, name, before.get(name)), _value(model, name, value))
            for name, value in after.items()
        ]
    facts = [
        (capfirst(acts.detail(name)), _fact(model, name, value))
        for name, value in sorted(told.items())
    ]
    context = {"changes": changes, "facts": facts}
    return render_to_string("admin/accounts/auditentry/details.html", context)


def _fact(model: type[Model] | None, name: str, value: Any) -> str:
    if isinstance(value, list) and name == "fields":
        return ", ".join(_name(model, str(one)) for one in value) or "-"
    if isinstance(value, list) and name == "filters":
        # The names of an address: `status__exact` and `created_at_from` ask for the one and the other.
        asked = [str(one).partition("__")[0] for one in value]
        plain = [one.removesuffix("_from").removesuffix("_to") for one in asked]
        return ", ".join(dict.fromkeys(acts.detail(one) for one in plain)) or _(
            "Nothing: all of it"
        )
    return _value(model, _FIELDS.get(name, name), value)


def _name(model: type[Model] | None, name: str) -> str:
    """Return what the field is called on its own page."""
    if model is not None:
        try:
            return capfirst(str(getattr(model._meta.get_field(name), "verbose_name", name)))
        except FieldDoesNotExist:
            pass  # a field of an earlier version, or of no column
    return capfirst(acts.detail(name))


def _value(model: type[Model] | None, name: str, value: Any) -> str:
    if value is None or value == "" or value == []:
        return "-"
    if isinstance(value, bool):
        return _("Yes") if value else _("No")
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    if isinstance(value, dict):
        return ", ".join(f"{acts.detail(key)}: {inner}" for key, inner in value.items())
    return _choice(model, name, value)


def _choice(model: type[Model] | None, name: str, value: Any) -> str:
    """Return the word of a choice of the field, where it has choices and this is one."""
    field = next((one for one in model._meta.fields if one.name == name), None) if model else None
    choices = dict(field.flatchoices) if field is not None and field.choices else {}
    if value in choices:
        return str(choices[value])
    return _moment(value) or acts.value(value) if isinstance(value, str) else str(value)


def _moment(written: str) -> str:
    """Return the moment as people read it, "" where it is none."""
    if "T" not in written:
        return ""
    try:
        at = parse_datetime(written)
    except ValueError:
        return ""
    return f"{timezone.localtime(at):%Y-%m-%d %H:%M:%S}" if at and timezone.is_aware(at) else ""

"""What the acts of the audit trail are called: the word of the record, and what people read.

An act is `noun.deed`. Whoever records a new one gives it a line here; tests/house holds both together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

GROUPS: Final[dict[str, tuple[Any, frozenset[str]]]] = {
    "broadcasts": (_("Broadcasts"), frozenset({"broadcast"})),
    "credits": (_("Credits and prices"), frozenset({"credits", "spending_cap", "rate"})),
    "terms": (_("Terms of use"), frozenset({"terms"})),
    "members": (_("Members"), frozenset({"member"})),
    "sessions": (_("Sign-ins"), frozenset({"session"})),
    "keys": (_("API keys"), frozenset({"api_key"})),
    "organizations": (_("Organizations"), frozenset({"organization"})),
    "suppressions": (_("Opt-outs"), frozenset({"suppression"})),
    "contacts": (_("Contacts and tags"), frozenset({"contact", "tag"})),
    "imports": (_("Imports"), frozenset({"import"})),
    "exports": (
        _("Exports"),
        frozenset({"contacts", "suppressions", "messages", "skips"}),
    ),
}
"""What the trail is filtered by: a name in the address → what it is called, and the nouns of its acts."""

LABELS: Final[dict[str, Any]] = {
    "broadcast.accepted": _("Broadcast sent"),
    "broadcast.approved": _("Broadcast approved"),
    "broadcast.blanked": _("Numbers and text blanked"),
    "broadcast.canceled": _("Broadcast canceled"),
    "broadcast.paused": _("Broadcast paused"),
    "broadcast.rejected": _("Broadcast rejected"),
    "broadcast.rescheduled": _("Broadcast moved to another time"),
    "broadcast.resumed": _("Broadcast resumed"),
    "broadcast.started": _("Scheduled broadcast started"),
    "credits.granted": _("Credits granted"),
    "spending_cap.saved": _("Spending cap set"),
    "rate.saved": _("Price set"),
    "rate.removed": _("Price removed"),
    "terms.drafted": _("Terms drafted"),
    "terms.changed": _("Draft of terms changed"),
    "terms.published": _("Terms published"),
    "terms.accepted": _("Terms accepted"),
    "member.added": _("Member added"),
    "member.changed": _("Member changed"),
    "member.password_changed": _("Password changed"),
    "member.password_reset": _("One-time password given"),
    "session.began": _("Signed in"),
    "session.ended": _("Signed out"),
    "api_key.added": _("API key made"),
    "api_key.ended": _("API key ended"),
    "organization.created": _("Organization added"),
    "organization.changed": _("Organization's settings changed"),
    "suppression.added": _("Opt-out added"),
    "suppression.lifted": _("Opt-out lifted"),
    "contact.added": _("Contact added"),
    "contact.changed": _("Contact changed"),
    "contact.removed": _("Contacts removed"),
    "tag.added": _("Tag added"),
    "tag.changed": _("Tag changed"),
    "tag.removed": _("Tag removed"),
    "import.started": _("Import of contacts started"),
    "import.finished": _("Import of contacts finished"),
    "contacts.exported": _("Contacts exported"),
    "messages.exported": _("Messages exported"),
    "skips.exported": _("Skipped contacts exported"),
}
"""What each act is called."""

_DETAILS: Final[Mapping[str, Any]] = {
    "acceptance": _("acceptance"),
    "accepted": _("accepted"),
    "added": _("added"),
    "amount": _("credits"),
    "api_key": _("by the API key"),
    "audience": _("audience"),
    "because": _("because"),
    "broadcast": _("broadcast"),
    "charge": _("charge"),
    "country": _("country"),
    "created_at": _("created at"),
    "credits": _("credits"),
    "credits_per_segment": _("credits a segment"),
    "deleted": _("deleted"),
    "door": _("by"),
    "failure": _("failure"),
    "fields": _("fields"),
    "filters": _("filtered by"),
    "format": _("format"),
    "from": _("from"),
    "group": _("group of statuses"),
    "is_active": _("active"),
    "is_superuser": _("platform superuser"),
    "messages": _("messages"),
    "mode": _("mode"),
    "not_taken": _("not taken"),
    "of": _("of the member"),
    "paused_because": _("paused because"),
    "per_day": _("credits a day"),
    "per_minute": _("credits a minute"),
    "prefix": _("begins with"),
    "provider": _("provider"),
    "q": _("search"),
    "reason": _("reason"),
    "recipient_digest": _("digest of the number"),
    "reference": _("reference"),
    "resends": _("sends once more"),
    "resent": _("of it"),
    "role": _("role"),
    "rows": _("rows"),
    "scheduled_at": _("scheduled for"),
    "source": _("source"),
    "status": _("status"),
    "tags": _("tags"),
    "to": _("to"),
    "total": _("rows in all"),
    "type": _("type"),
    "updated": _("updated"),
    "version": _("version"),
}

_VALUES: Final[Mapping[str, Any]] = {
    "admin": _("the admin"),
    "csv": "CSV",
    "organization suspended": _("the organization was suspended"),
    "the database was restored from a backup": _("the database was restored from a backup"),
    "xlsx": "XLSX",
}


def label(act: str) -> str:
    """Return what people read for an act; what a newer version recorded is shown as it is."""
    return str(LABELS.get(act, act))


def detail(name: str) -> str:
    """Return what people read for the name of a detail."""
    return str(_DETAILS.get(name) or name.replace("_", " "))


def has_word(name: str) -> bool:
    """Return whether people read a word for the name of a detail."""
    return name in _DETAILS


def value(written: str) -> str:
    """Return what people read for what a detail says where that is a word of the program's own."""
    return str(_VALUES.get(written, written))


def noun_of(act: str) -> str:
    return act.partition(".")[0]

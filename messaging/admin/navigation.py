"""The admin's sidebar: every list that the member may see, grouped by what people come for."""

from __future__ import annotations

from typing import Any, Final

from django.apps import apps
from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from accounts.doors.organization import member_of

# Group → model → its icon, of Google's Material Symbols that unfold brings along.
_GROUPS: Final = (
    (
        _("Broadcasting"),
        {
            "messaging.Broadcast": "campaign",
            "messaging.Message": "sms",
            "messaging.Skip": "person_off",
            "messaging.DeliveryReport": "mark_chat_read",
            "messaging.InboundMessage": "reply",
        },
    ),
    (
        _("Contacts"),
        {
            "contacts.Contact": "contacts",
            "contacts.ImportJob": "upload_file",
            "contacts.Tag": "label",
            "contacts.Suppression": "do_not_disturb_on",
            "contacts.NumberReading": "dialpad",
        },
    ),
    (
        _("Billing"),
        {
            "billing.CreditAccount": "account_balance_wallet",
            "billing.LedgerEntry": "receipt_long",
            "billing.Rate": "price_change",
            "billing.SpendingCap": "speed",
        },
    ),
    (
        _("Organization"),
        {
            "accounts.Organization": "apartment",
            "accounts.Member": "group",
            "accounts.ApiKey": "key",
            "accounts.Terms": "gavel",
            "accounts.TermsAcceptance": "handshake",
            "accounts.AuditEntry": "policy",
            "messaging.Heartbeat": "monitor_heart",
            "messaging.ProviderState": "cell_tower",
        },
    ),
)


def groups(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the sidebar as unfold wants it, without what the member may not see."""
    first = [{"title": _("Start"), "icon": "home", "link": reverse("admin:index")}]
    if not member_of(request).has_one_time_password:
        first.append(
            {
                "title": _("Terms of use"),
                "icon": "contract",
                "link": reverse("admin:current_terms"),
            }
        )
    return [
        {"items": first},
        *(
            {"title": title, "separator": True, "items": items}
            for title, models in _GROUPS
            if (
                items := [
                    _item(name, icon) for name, icon in models.items() if _sees(request, name)
                ]
            )
        ),
    ]


def _sees(request: HttpRequest, name: str) -> bool:
    return admin.site.get_model_admin(apps.get_model(name)).has_view_permission(request)


def _item(name: str, icon: str) -> dict[str, Any]:
    options = apps.get_model(name)._meta
    return {
        "title": capfirst(options.verbose_name_plural),
        "icon": icon,
        "link": reverse(f"admin:{options.app_label}_{options.model_name}_changelist"),
    }

"""Who may do what: the one table that permissions, the admin and the tests read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from django.db import models
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

if TYPE_CHECKING:
    from accounts.models import Member


class Role(models.TextChoices):
    VIEWER = "VIEWER", _("Viewer")  # reads everything of the organization
    SENDER = "SENDER", _("Sender")  # also contacts, sending, run control
    OWNER = "OWNER", _("Owner")  # also members, keys, settings, approvals


class Right(models.TextChoices):
    """One thing a person may do, named as the field names it."""

    # Within an organization.
    READ = "READ", _("read")
    MANAGE_CONTACTS = "MANAGE_CONTACTS", _("manage contacts")
    SEND = "SEND", _("send")
    CONTROL_BROADCASTS = "CONTROL_BROADCASTS", _("pause, resume and cancel broadcasts")
    ADD_SUPPRESSIONS = "ADD_SUPPRESSIONS", _("add opt-outs")
    LIFT_SUPPRESSIONS = "LIFT_SUPPRESSIONS", _("lift opt-outs")
    MANAGE_MEMBERS = "MANAGE_MEMBERS", _("manage members")
    MANAGE_KEYS = "MANAGE_KEYS", _("manage keys")
    MANAGE_ORGANIZATION = "MANAGE_ORGANIZATION", _("change the organization's settings")
    APPROVE_BROADCASTS = "APPROVE_BROADCASTS", _("approve broadcasts")
    # Of the platform.
    SEE_ALL = "SEE_ALL", _("see every organization")
    MANAGE_ORGANIZATIONS = "MANAGE_ORGANIZATIONS", _("manage organizations")
    PUBLISH_TERMS = "PUBLISH_TERMS", _("publish terms")
    SET_RATES = "SET_RATES", _("set rates")
    GRANT_CREDITS = "GRANT_CREDITS", _("grant credits")


_VIEWER: Final = frozenset({Right.READ})
_SENDER: Final = _VIEWER | {
    Right.MANAGE_CONTACTS,
    Right.SEND,
    Right.CONTROL_BROADCASTS,
    Right.ADD_SUPPRESSIONS,
}
_OWNER: Final = _SENDER | {
    Right.LIFT_SUPPRESSIONS,
    Right.MANAGE_MEMBERS,
    Right.MANAGE_KEYS,
    Right.MANAGE_ORGANIZATION,
    Right.APPROVE_BROADCASTS,
}

RIGHTS: Final[dict[str, frozenset[Right]]] = {
    Role.VIEWER: _VIEWER,
    Role.SENDER: _SENDER,
    Role.OWNER: _OWNER,
}
"""What each role may do in its organization."""

PLATFORM_RIGHTS: Final = frozenset(
    {
        Right.SEE_ALL,
        Right.MANAGE_ORGANIZATIONS,
        Right.MANAGE_MEMBERS,
        Right.PUBLISH_TERMS,
        Right.SET_RATES,
        Right.GRANT_CREDITS,
    }
)
"""What a platform superuser may do. None of it is done for an organization: he sends nothing."""

NOT_BY_KEY: Final = frozenset(
    {
        Right.MANAGE_MEMBERS,
        Right.MANAGE_KEYS,
        Right.MANAGE_ORGANIZATION,
        Right.APPROVE_BROADCASTS,
    }
)
"""What takes a person: whoever finds a key in a program must not get more keys by it, nor approve."""

_SEE: Final = frozenset({Right.READ, Right.SEE_ALL})
_VIEW: Final = {"view": _SEE}


def _managed_by(*rights: Right, without: str = "") -> dict[str, frozenset[Right]]:
    deeds = {"add", "change", "delete"} - set(without.split())
    return {**_VIEW, **dict.fromkeys(deeds, frozenset(rights))}


ADMIN: Final[dict[str, dict[str, frozenset[Right]]]] = {
    "accounts.organization": {
        **_VIEW,
        "add": frozenset({Right.MANAGE_ORGANIZATIONS}),
        "change": frozenset({Right.MANAGE_ORGANIZATIONS, Right.MANAGE_ORGANIZATION}),
    },
    "accounts.member": _managed_by(Right.MANAGE_MEMBERS, without="delete"),
    "accounts.apikey": {
        "view": frozenset({Right.MANAGE_KEYS, Right.SEE_ALL}),
        "add": frozenset({Right.MANAGE_KEYS}),
    },
    "accounts.terms": _managed_by(Right.PUBLISH_TERMS, without="delete"),
    "accounts.termsacceptance": _VIEW,
    "accounts.auditentry": _VIEW,
    "contacts.contact": _managed_by(Right.MANAGE_CONTACTS),
    "contacts.tag": _managed_by(Right.MANAGE_CONTACTS),
    "contacts.suppression": {
        **_VIEW,
        "add": frozenset({Right.ADD_SUPPRESSIONS}),
        "delete": frozenset({Right.LIFT_SUPPRESSIONS}),
    },
    "contacts.numberreading": _VIEW,
    "contacts.importjob": {**_VIEW, "add": frozenset({Right.MANAGE_CONTACTS})},
    "billing.creditaccount": _VIEW,  # credits come in by a grant, whose page asks for its own right
    "billing.ledgerentry": _VIEW,
    "billing.rate": _managed_by(Right.SET_RATES),
    "billing.spendingcap": _managed_by(
        Right.MANAGE_ORGANIZATIONS, Right.MANAGE_ORGANIZATION, without="delete"
    ),
    "messaging.broadcast": _VIEW,
    "messaging.message": _VIEW,
    "messaging.skip": _VIEW,
    "messaging.messageevent": _VIEW,
    "messaging.deliveryreport": _VIEW,
    "messaging.inboundmessage": _VIEW,
    "messaging.heartbeat": {"view": frozenset({Right.SEE_ALL})},
    "messaging.providerstate": {"view": frozenset({Right.SEE_ALL})},
}
"""Django's admin permissions: model → deed → any of these rights is enough. What is missing, nobody may."""


class RoleMissing(Exception):
    """The member's role does not include this; nothing was done."""


def may(member: Member, right: Right) -> bool:
    """Return whether the member, as he and his organization were read, may do this.

    Nobody may do anything who is switched off, whose organization is suspended, or whose password
    somebody else knows. An API key may what its member may, but for `NOT_BY_KEY`.
    """
    if not member.is_admitted or member.has_one_time_password:
        return False
    if member.acts_by_key is not None and right in NOT_BY_KEY:
        return False
    rights = PLATFORM_RIGHTS if member.is_superuser else RIGHTS.get(member.role, frozenset())
    return right in rights


def require(member: Member, right: Right) -> None:
    """Pass when the member may do this.

    Raises: RoleMissing, also for a platform superuser on anything that an organization does.
    """
    if may(member, right):
        return
    if not member.is_active:
        raise RoleMissing(gettext("You are switched off. Ask an owner of your organization."))
    if not member.is_admitted:
        raise RoleMissing(gettext("Your organization is suspended. Ask the platform's operator."))
    if member.has_one_time_password:
        raise RoleMissing(
            gettext(
                "You signed in with a one-time password. Change it first, then sign in with the new one."
            )
        )
    if right in NOT_BY_KEY:
        require_person(member)
    if member.is_superuser:
        raise RoleMissing(no_organization())
    if right not in RIGHTS[Role.OWNER]:
        raise RoleMissing(platform_only())
    raise RoleMissing(
        gettext(
            "Your role %(role)s may not do this (%(right)s). Ask an owner of your organization."
        )
        % {"role": Role(member.role).label, "right": right.label}
    )


def require_person(member: Member) -> None:
    """Pass when the member acts himself, and not a program with a key of his.

    Raises: RoleMissing.
    """
    if member.acts_by_key is not None:
        raise RoleMissing(
            gettext("An API key may not do this. Sign in with your e-mail address and password.")
        )


def platform_only() -> str:
    """Return what a member is told where only the platform decides."""
    return gettext("Only the platform changes this. Ask the platform's operator.")


def no_organization() -> str:
    """Return what a platform superuser is told where only an organization can act."""
    return gettext(
        "A platform superuser belongs to no organization and cannot do this. "
        "Sign in as a member of the organization."
    )


def allows_admin(member: Member, permission: str) -> bool:
    """Return whether the member has Django's permission `app.deed_model`, read from `ADMIN`."""
    app, _dot, codename = permission.partition(".")
    deed, _underscore, model = codename.partition("_")
    rights = ADMIN.get(f"{app}.{model}", {}).get(deed, frozenset())
    return any(may(member, right) for right in rights)

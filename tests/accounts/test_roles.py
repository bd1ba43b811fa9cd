"""Who may do what."""

import pytest
from django.apps import apps
from django.contrib import admin

from accounts import roles
from accounts.models import Member, Organization
from accounts.roles import Right, Role, RoleMissing

VIEWERS = {Right.READ}
SENDERS = VIEWERS | {
    Right.MANAGE_CONTACTS,
    Right.SEND,
    Right.CONTROL_BROADCASTS,
    Right.ADD_SUPPRESSIONS,
}
OWNERS = SENDERS | {
    Right.LIFT_SUPPRESSIONS,
    Right.MANAGE_MEMBERS,
    Right.MANAGE_KEYS,
    Right.MANAGE_ORGANIZATION,
    Right.APPROVE_BROADCASTS,
}
PLATFORM = {
    Right.SEE_ALL,
    Right.MANAGE_ORGANIZATIONS,
    Right.MANAGE_MEMBERS,
    Right.PUBLISH_TERMS,
    Right.SET_RATES,
    Right.GRANT_CREDITS,
}


def somebody(role: str) -> Member:
    return Member(email="x@acme.example", role=role, is_superuser=not role)


@pytest.mark.parametrize(
    ("role", "rights"),
    [(Role.VIEWER, VIEWERS), (Role.SENDER, SENDERS), (Role.OWNER, OWNERS), ("", PLATFORM)],
)
def test_each_role_has_the_rights_of_the_table(role: str, rights: set[Right]) -> None:
    assert {right for right in Right if roles.may(somebody(role), right)} == rights


@pytest.mark.parametrize("right", Right)
def test_who_is_switched_off_may_nothing(right: Right) -> None:
    for role in ("", *Role):
        member = somebody(role)
        member.is_active = False
        assert not roles.may(member, right)


@pytest.mark.parametrize("right", Right)
@pytest.mark.parametrize("role", Role)
def test_who_is_of_a_suspended_organization_may_nothing_and_is_told_why(
    role: Role, right: Right
) -> None:
    member = somebody(role)
    member.organization = Organization(status=Organization.Status.SUSPENDED)

    with pytest.raises(RoleMissing, match="Your organization is suspended"):
        roles.require(member, right)


@pytest.mark.parametrize("right", Right)
def test_who_has_a_one_time_password_may_nothing_and_is_told_why(right: Right) -> None:
    member = somebody(Role.OWNER)
    member.has_one_time_password = True

    with pytest.raises(RoleMissing, match="Change it first"):
        roles.require(member, right)


def test_a_role_that_may_not_is_told_whom_to_ask() -> None:
    with pytest.raises(RoleMissing) as refusal:
        roles.require(somebody(Role.VIEWER), Right.CONTROL_BROADCASTS)

    assert str(refusal.value) == (
        "Your role Viewer may not do this (pause, resume and cancel broadcasts). "
        "Ask an owner of your organization."
    )


def test_what_is_the_platforms_is_not_asked_of_an_owner() -> None:
    with pytest.raises(RoleMissing, match="Ask the platform's operator"):
        roles.require(somebody(Role.OWNER), Right.GRANT_CREDITS)


def test_a_platform_superuser_sends_nothing() -> None:
    with pytest.raises(RoleMissing, match="belongs to no organization"):
        roles.require(somebody(""), Right.SEND)


def test_an_owner_sends() -> None:
    roles.require(somebody(Role.OWNER), Right.SEND)


EVIDENCE = [
    "accounts.termsacceptance",
    "accounts.auditentry",
    "billing.creditaccount",
    "billing.ledgerentry",
    "messaging.broadcast",
    "messaging.message",
    "messaging.skip",
    "messaging.messageevent",
    "messaging.deliveryreport",
]


@pytest.mark.parametrize("role", ["", *Role])
@pytest.mark.parametrize("model", EVIDENCE)
def test_everybody_sees_evidence_and_nobody_touches_it(model: str, role: str) -> None:
    app, name = model.split(".")

    assert roles.allows_admin(somebody(role), f"{app}.view_{name}")
    for deed in ("add", "change", "delete"):
        assert not roles.allows_admin(somebody(role), f"{app}.{deed}_{name}")


@pytest.mark.parametrize(
    ("permission", "allowed"),
    [
        ("accounts.add_member", {"", Role.OWNER}),
        ("accounts.change_member", {"", Role.OWNER}),
        ("accounts.delete_member", set()),
        ("accounts.add_organization", {""}),
        ("accounts.change_organization", {"", Role.OWNER}),
        ("accounts.delete_organization", set()),
        ("accounts.add_terms", {""}),
        ("accounts.change_terms", {""}),
        ("accounts.delete_terms", set()),
        ("contacts.add_contact", {Role.SENDER, Role.OWNER}),
        ("contacts.delete_contact", {Role.SENDER, Role.OWNER}),
        ("contacts.change_tag", {Role.SENDER, Role.OWNER}),
        ("contacts.add_suppression", {Role.SENDER, Role.OWNER}),
        ("contacts.change_suppression", set()),
        ("contacts.delete_suppression", {Role.OWNER}),
        ("billing.change_creditaccount", set()),
        ("billing.add_rate", {""}),
        ("billing.view_rate", {"", *Role}),
        ("auth.view_group", set()),
        ("token_blacklist.view_outstandingtoken", set()),
        ("accounts", set()),
        ("", set()),
        ("accounts.view_", set()),
    ],
)
def test_the_admin_asks_the_same_table(permission: str, allowed: set[str]) -> None:
    assert {role for role in ("", *Role) if somebody(role).has_perm(permission)} == allowed


def test_every_page_of_the_admin_that_is_ours_stands_in_the_table() -> None:
    ours = {"accounts", "contacts", "billing", "messaging"}

    registered = {
        model._meta.label_lower for model in admin.site._registry if model._meta.app_label in ours
    }

    assert registered <= set(roles.ADMIN)


def test_the_table_names_only_models_that_exist() -> None:
    for label in roles.ADMIN:
        assert apps.get_model(label)

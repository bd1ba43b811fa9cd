"""Adding and changing members, and who they are."""

import re
from typing import Any

import pytest
from django.core.management import call_command
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext

from accounts import members, sessions
from accounts.models import AuditEntry, Member, Organization
from accounts.roles import Role, RoleMissing
from tests.factories import PASSWORD, MemberFactory

pytestmark = pytest.mark.django_db


def new(organization: Organization) -> Member:
    return Member(
        email="nora@acme.example", name="Nora", organization=organization, role=Role.SENDER
    )


def test_a_new_member_signs_in_with_the_one_time_password(
    fresh_rate_limits: None, ana: Member, acme: Organization
) -> None:
    password = members.add(member=new(acme), by=ana)

    assert re.fullmatch(r"[a-z2-9]{4}(-[a-z2-9]{4}){3}", password)
    assert sessions.sign_in(email="nora@acme.example", password=password).access
    assert Member.objects.get(email="nora@acme.example").has_one_time_password


def test_adding_is_recorded_without_address_or_password(ana: Member, acme: Organization) -> None:
    password = members.add(member=new(acme), by=ana)

    entry = AuditEntry.objects.get(act="member.added")
    assert (entry.member_id, entry.organization_id, entry.details) == (
        ana.pk,
        acme.pk,
        {"role": "SENDER"},
    )
    assert password not in str(vars(entry))
    assert "nora@" not in str(vars(entry))


def test_a_sender_adds_nobody(sara: Member, acme: Organization) -> None:
    with pytest.raises(RoleMissing):
        members.add(member=new(acme), by=sara)

    assert not Member.objects.filter(email="nora@acme.example").exists()


def test_an_owner_adds_nobody_elsewhere(ana: Member, borealis: Organization) -> None:
    with pytest.raises(RoleMissing):
        members.add(member=new(borealis), by=ana)


def test_a_superuser_adds_members_anywhere(root: Member, borealis: Organization) -> None:
    assert members.add(member=new(borealis), by=root)


def test_a_change_of_role_is_kept_and_recorded(ana: Member, beto: Member) -> None:
    beto.role = Role.VIEWER

    members.change(member=beto, fields=["role"], by=ana)

    beto.refresh_from_db()
    assert beto.role == Role.VIEWER
    entry = AuditEntry.objects.get(act="member.changed")
    assert entry.details == {
        "fields": ["role"],
        "before": {"role": "SENDER"},
        "after": {"role": "VIEWER"},
    }


def test_only_the_named_fields_are_kept(ana: Member, beto: Member) -> None:
    beto.name, beto.role = "Roberto", Role.OWNER

    members.change(member=beto, fields=["name", "is_superuser", "password"], by=ana)

    beto.refresh_from_db()
    assert (beto.name, beto.role) == ("Roberto", Role.SENDER)


def test_switching_off_ends_the_sessions_for_good(
    fresh_rate_limits: None, ana: Member, beto: Member
) -> None:
    tokens = sessions.sign_in(email=beto.email, password=PASSWORD)
    beto.is_active = False
    members.change(member=beto, fields=["is_active"], by=ana)
    beto.is_active = True
    members.change(member=beto, fields=["is_active"], by=ana)

    with pytest.raises(sessions.InvalidToken):
        sessions.refresh(refresh_token=tokens.refresh)


@pytest.mark.parametrize("change", [{"role": Role.VIEWER}, {"is_active": False}])
def test_nobody_takes_away_his_own_role(ana: Member, change: dict[str, Any]) -> None:
    for name, value in change.items():
        setattr(ana, name, value)

    with pytest.raises((members.NotYourself, RoleMissing)):
        members.change(member=ana, fields=list(change), by=Member.objects.get(pk=ana.pk))

    ana.refresh_from_db()
    assert (ana.role, ana.is_active) == (Role.OWNER, True)


def test_an_owner_changes_nobody_of_another_organization(ana: Member, carla: Member) -> None:
    carla.role = Role.VIEWER

    with pytest.raises(RoleMissing):
        members.change(member=carla, fields=["role"], by=ana)

    carla.refresh_from_db()
    assert carla.role == Role.OWNER


def test_an_owner_changes_no_superuser(ana: Member, root: Member) -> None:
    with pytest.raises(RoleMissing):
        members.give_one_time_password(member=root, by=ana)


def test_a_new_one_time_password_replaces_the_old_and_ends_the_sessions(
    fresh_rate_limits: None, ana: Member, beto: Member
) -> None:
    tokens = sessions.sign_in(email=beto.email, password=PASSWORD)

    password = members.give_one_time_password(member=beto, by=ana)

    with pytest.raises(sessions.InvalidToken):
        sessions.refresh(refresh_token=tokens.refresh)
    with pytest.raises(sessions.WrongCredentials):
        sessions.sign_in(email=beto.email, password=PASSWORD)
    assert sessions.sign_in(email=beto.email, password=password).access
    assert AuditEntry.objects.get(act="member.password_reset").member_id == ana.pk


def test_nobody_resets_his_own_password(ana: Member) -> None:
    with pytest.raises(members.NotYourself):
        members.give_one_time_password(member=ana, by=ana)


# --- the table's own rules ------------------------------------------------------------------------
@pytest.mark.parametrize(
    "wrong",
    [
        {"is_superuser": True},
        {"is_superuser": True, "role": ""},
        {"organization": None},
        {"organization": None, "role": ""},
        {"role": ""},
        {"role": "KING"},
    ],
)
def test_a_member_has_an_organization_and_a_role_and_a_superuser_neither(
    db: None, wrong: dict[str, Any]
) -> None:
    with pytest.raises(IntegrityError, match="accounts_member_superuser_xor_organization"):
        MemberFactory.create(**wrong)


def test_an_address_belongs_to_one_member_in_any_letter_case(ana: Member) -> None:
    with pytest.raises(IntegrityError, match="accounts_member_email_unique"):
        MemberFactory.create(email="ANA@ACME.EXAMPLE")


def test_the_command_line_makes_a_superuser(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", "a-long-password")

    call_command("createsuperuser", email="boss@platform.example", interactive=False, verbosity=0)

    boss = Member.objects.get(email="boss@platform.example")
    assert boss.is_superuser
    assert boss.check_password("a-long-password")


def test_a_superuser_is_made_with_an_audit_entry(db: None) -> None:
    boss = Member.objects.create_superuser("boss@platform.example", "a-long-password")

    entry = AuditEntry.objects.get(act="member.added")
    assert (entry.subject, entry.member_id, entry.organization_id) == (
        f"member:{boss.pk}",
        None,
        None,
    )
    assert entry.details == {"role": "", "is_superuser": True}


def test_without_its_audit_entry_no_superuser_is_made(db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "ALTER TABLE accounts_auditentry ADD CONSTRAINT none CHECK (false) NOT VALID"
        )

    with pytest.raises(IntegrityError, match='"none"'):
        Member.objects.create_superuser("boss@platform.example", "a-long-password")

    assert not Member.objects.filter(email="boss@platform.example").exists()


def test_signing_in_uses_the_index_that_keeps_addresses_unique(
    fresh_rate_limits: None, ana: Member
) -> None:
    with CaptureQueriesContext(connection) as captured:
        sessions.identify(email="ANA@acme.example", password=PASSWORD)

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {captured.captured_queries[0]['sql']}")
        plan = str(cursor.fetchall())
    assert "accounts_member_email_unique" in plan


def test_an_address_that_only_capitals_make_equal_to_another_is_its_own(
    fresh_rate_limits: None, sara: Member
) -> None:
    MemberFactory.create(email="\N{LATIN SMALL LETTER LONG S}ara@acme.example")

    assert sessions.identify(email="Sara@acme.example", password=PASSWORD) == sara


def test_signing_in_fetches_the_member_with_the_organization(
    fresh_rate_limits: None, ana: Member, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(1):
        sessions.identify(email="ana@acme.example", password=PASSWORD)

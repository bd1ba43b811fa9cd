"""Creating, changing and suspending organizations."""

import pytest
from django.core.exceptions import ValidationError

from accounts import organizations, sessions
from accounts.models import AuditEntry, Member, Organization
from accounts.roles import RoleMissing
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db


def test_the_platform_creates_one_and_it_is_recorded(root: Member) -> None:
    organization = Organization(name="Nova")

    organizations.create(organization=organization, by=root, address="192.0.2.1")

    entry = AuditEntry.objects.get(act="organization.created")
    assert (entry.organization_id, entry.member_id, entry.address) == (
        organization.pk,
        root.pk,
        "192.0.2.1",
    )


def test_an_owner_creates_none(ana: Member) -> None:
    with pytest.raises(RoleMissing):
        organizations.create(organization=Organization(name="Nova"), by=ana)

    assert not Organization.objects.filter(name="Nova").exists()


def test_an_owner_changes_the_settings_of_his_own(ana: Member, acme: Organization) -> None:
    acme.country, acme.repeat_guard_seconds = "MX", 60
    fields = ["country", "repeat_guard_seconds"]

    organizations.change(organization=acme, fields=fields, by=ana)

    acme.refresh_from_db()
    assert (acme.country, acme.repeat_guard_seconds) == ("MX", 60)
    assert AuditEntry.objects.get(act="organization.changed").details["fields"] == fields


@pytest.mark.parametrize("field", ["status", "allows_special_numbers"])
def test_an_owner_does_not_change_what_the_platform_decides(
    ana: Member, acme: Organization, field: str
) -> None:
    with pytest.raises(RoleMissing, match="Only the platform"):
        organizations.change(organization=acme, fields=["name", field], by=ana)


def test_an_owner_changes_no_other(ana: Member, borealis: Organization) -> None:
    with pytest.raises(RoleMissing):
        organizations.change(organization=borealis, fields=["name"], by=ana)


def test_a_sender_changes_nothing(sara: Member, acme: Organization) -> None:
    with pytest.raises(RoleMissing):
        organizations.change(organization=acme, fields=["name"], by=sara)


def test_suspending_signs_everybody_out(
    fresh_rate_limits: None, root: Member, ana: Member, acme: Organization
) -> None:
    tokens = sessions.sign_in(email=ana.email, password=PASSWORD)
    acme.status = Organization.Status.SUSPENDED

    organizations.change(organization=acme, fields=["status"], by=root)

    with pytest.raises(sessions.InvalidToken):
        sessions.member_with(access_token=tokens.access)


def test_countries_are_written_as_they_are_compared() -> None:
    organization = Organization(name="Nova", country=" co", allowed_countries=["mx", "CO ", "co"])

    organization.clean()

    assert (organization.country, organization.allowed_countries) == ("CO", ["CO", "MX"])


def test_what_is_no_country_is_named() -> None:
    with pytest.raises(ValidationError) as refusal:
        Organization(name="Nova", country="XX", allowed_countries=["CO", "57", "ZZ"]).clean()

    assert refusal.value.message_dict == {
        "country": ["No such country: XX. Write two letters, as CO."],
        "allowed_countries": ["No such country: 57, ZZ. Write two letters, as CO."],
    }

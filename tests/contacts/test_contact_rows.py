"""Contacts as rows: the number as given, and what it was read as when it was saved."""

import pytest
from django.core.exceptions import ValidationError

from accounts.models import Organization
from contacts.models import Contact, Tag
from tests.contacts.factories import ContactFactory, TagFactory
from tests.factories import OrganizationFactory

pytestmark = pytest.mark.django_db


def reading(contact: Contact) -> tuple[str, str, str, str]:
    contact.refresh_from_db()
    return contact.e164, contact.region, contact.read_as, contact.refusal


@pytest.mark.parametrize(
    ("phone", "country", "expected"),
    [
        ("3001234567", "", ("", "", "ZZ", "invalid_number")),
        ("+57 300 123 4567", "", ("+573001234567", "CO", "", "")),
        ("0057 300 987 6543", "", ("+573009876543", "CO", "", "")),
        ("300-765-4321", "CO", ("+573007654321", "CO", "", "")),
        ("(202) 555-0123", "US", ("+12025550123", "US", "", "")),
        ("123", "", ("", "", "ZZ", "invalid_number")),
        ("+57 900 000 0000x12", "", ("", "", "", "invalid_number")),
    ],
)
def test_the_numbers_of_the_worked_example_without_a_default_country(
    phone: str, country: str, expected: tuple[str, str, str, str]
) -> None:
    contact = ContactFactory.create(
        organization=OrganizationFactory.create(country=""), phone=phone, country=country
    )

    assert reading(contact) == expected
    assert contact.phone == phone


def test_a_national_number_is_read_with_the_organizations_country(acme: Organization) -> None:
    contact = ContactFactory.create(organization=acme, phone="300 123 4567")

    assert reading(contact) == ("+573001234567", "CO", "CO", "")


def test_a_new_default_country_rewrites_no_contact(acme: Organization) -> None:
    contact = ContactFactory.create(organization=acme, phone="3001234567")
    Organization.objects.update(country="MX")

    again = Contact.objects.get(pk=contact.pk)
    again.name = "Renamed"
    again.save()

    assert reading(again) == ("+573001234567", "CO", "CO", "")


def test_a_changed_number_is_read_anew_whatever_fields_are_saved(acme: Organization) -> None:
    contact = ContactFactory.create(organization=acme, phone="3001234567")

    contact.phone = "3007654321"
    contact.save(update_fields=["phone"])

    assert reading(contact) == ("+573007654321", "CO", "CO", "")


def test_a_changed_country_is_read_anew(acme: Organization) -> None:
    contact = ContactFactory.create(organization=acme, phone="2025550123")

    contact.country = "US"
    contact.save()

    assert reading(contact) == ("+12025550123", "US", "", "")


def test_a_number_that_is_not_saved_changes_no_reading(acme: Organization) -> None:
    contact = ContactFactory.create(organization=acme, phone="3001234567")

    contact.phone, contact.name = "3007654321", "Renamed"
    contact.save(update_fields=["name"])

    assert reading(contact) == ("+573001234567", "CO", "CO", "")
    assert contact.name == "Renamed"


def test_a_number_set_back_after_someone_else_changed_it_is_read_anew(acme: Organization) -> None:
    contact = ContactFactory.create(organization=acme, phone="3001234567")
    other = Contact.objects.get(pk=contact.pk)
    other.phone = "3007654321"
    other.save()

    contact.refresh_from_db()
    contact.phone = "3001234567"
    contact.save()

    assert reading(contact) == ("+573001234567", "CO", "CO", "")


def test_a_row_loaded_in_part_is_read_anew_too(acme: Organization) -> None:
    pk = ContactFactory.create(organization=acme, phone="3001234567").pk

    contact = Contact.objects.only("name").get(pk=pk)
    contact.phone = "3007654321"
    contact.save()

    assert reading(contact) == ("+573007654321", "CO", "CO", "")


def test_saving_an_unchanged_contact_asks_the_database_once(
    acme: Organization, django_assert_num_queries: pytest.FixtureRequest
) -> None:
    contact = Contact.objects.get(
        pk=ContactFactory.create(organization=acme, phone="3001234567").pk
    )

    with django_assert_num_queries(1):  # type: ignore[operator]  # pytest-django's context manager
        contact.save()


def test_contacts_that_nobody_deleted_are_living(acme: Organization) -> None:
    kept, gone = ContactFactory.create_batch(2, organization=acme)
    Contact.objects.filter(pk=gone.pk).update(deleted_at=gone.created_at)

    assert list(Contact.objects.living()) == [kept]
    assert Contact.objects.count() == 2


@pytest.mark.parametrize(("given", "kept"), [("co", "CO"), ("57", "CO"), ("", "")])
def test_the_own_country_is_kept_as_two_letters(acme: Organization, given: str, kept: str) -> None:
    contact = ContactFactory.build(organization=acme, country=given)

    contact.full_clean()

    assert contact.country == kept


def test_an_own_country_without_numbers_is_refused_in_words(acme: Organization) -> None:
    contact = ContactFactory.build(organization=acme, country="AQ")

    with pytest.raises(ValidationError, match="Write two letters, as CO"):
        contact.full_clean()


@pytest.mark.parametrize("color", ["red", "#12345", "#1234567", "#12345g", "#123456\n", '"><b>'])
def test_a_tags_color_is_a_color(acme: Organization, color: str) -> None:
    with pytest.raises(ValidationError):
        TagFactory.build(organization=acme, color=color).full_clean()


def test_two_organizations_may_use_the_same_tag(acme: Organization, borealis: Organization) -> None:
    TagFactory.create(organization=acme, name="VIP")
    TagFactory.create(organization=borealis, name="VIP")

    assert Tag.objects.filter(name="VIP").count() == 2

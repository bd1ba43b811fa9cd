"""`manage.py make_contacts`: made-up contacts that read exactly as saved ones would."""

from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from accounts.models import Organization
from contacts import phone_numbers
from contacts.management.commands import make_contacts
from contacts.models import Contact
from tests.contacts.factories import ContactFactory
from tests.factories import OrganizationFactory

pytestmark = pytest.mark.django_db


def make(organization: Organization | str, count: int = 50, **options: Any) -> str:
    said = StringIO()
    name = organization.name if isinstance(organization, Organization) else organization
    call_command("make_contacts", organization=name, count=count, stdout=said, **options)
    return said.getvalue()


@pytest.mark.parametrize("country", ["CO", "MX", "US", "GB", "DE", "BR", "AR", "IT", "IN", "ES"])
@pytest.mark.parametrize("national", [False, True])
@pytest.mark.parametrize("count", [1, 30, 300])
def test_each_is_as_if_it_had_been_saved(
    acme: Organization,
    country: str,
    national: bool,  # noqa: FBT001 - a table
    count: int,
) -> None:
    make(acme, count, country=country, national=national)

    rows = list(Contact.objects.select_related("organization"))
    assert len({row.phone for row in rows}) == count
    for row in rows:
        reading, read_as = phone_numbers.read_contact(row.phone, row.country, "CO")
        assert (row.e164, row.region, row.refusal) == (
            reading.e164,
            reading.region,
            reading.refusal,
        )
        assert row.read_as == read_as
        assert row.phone.startswith("+") is not national


def test_the_range_of_a_million_is_valid_throughout(acme: Organization) -> None:
    numbers = make_contacts._numbers("CO", 1_000_000, seed=3)

    for position, (e164, digits) in enumerate(numbers):
        if position % 500 == 0:
            assert phone_numbers.read(digits, "CO") == phone_numbers.Reading(e164, "CO", "")


def test_they_were_created_one_after_the_other_and_after_all_the_others(acme: Organization) -> None:
    ContactFactory.create(organization=acme)
    make(acme, 20)
    make(acme, 20)

    created = list(Contact.objects.order_by("created_at").values_list("created_at", "id")[1:])

    assert len({moment for moment, _id in created}) == 40
    assert created[:20] == sorted(created[:20], key=lambda row: row[1])
    assert created[20:] == sorted(created[20:], key=lambda row: row[1])


def test_the_same_seed_makes_the_same_numbers(acme: Organization, borealis: Organization) -> None:
    make(acme, seed=1)
    make(borealis, seed=1)

    def phones(organization: Organization) -> list[str]:
        rows = organization.contacts.order_by("created_at")
        return list(rows.values_list("phone", flat=True))

    assert phones(acme) == phones(borealis)


def test_another_seed_makes_others(acme: Organization) -> None:
    make(acme, seed=1)
    make(acme, seed=2)

    assert Contact.objects.values("e164").distinct().count() > 60


def test_it_says_how_long_it_took(acme: Organization) -> None:
    assert make(acme, 1_234).startswith("1,234 contacts of Acme in ")


def test_an_organization_is_found_by_its_id(acme: Organization) -> None:
    make(str(acme.pk), 3)

    assert acme.contacts.count() == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"count": 0}, "--count must be 1 or more"),
        ({"country": "AQ"}, "--country: 'AQ' is no country with phone numbers"),
        ({"count": 10**9, "country": "CO"}, "Ask for fewer"),
        ({"count": 100_000, "country": "SH"}, "Ask for fewer"),
        ({"organization": "Nobody"}, "No organization is called 'Nobody'. There are: Acme"),
        ({"organization": "00000000-0000-4000-8000-000000000000"}, "No organization is called"),
    ],
)
def test_what_it_cannot_do_it_says(acme: Organization, options: Any, words: str) -> None:
    with pytest.raises(CommandError, match=words):
        make(options.pop("organization", acme), **options)

    assert not Contact.objects.exists()


def test_a_name_that_two_have_is_not_guessed(acme: Organization) -> None:
    OrganizationFactory.create(name="Acme")

    with pytest.raises(CommandError, match="give the id"):
        make(acme)


def test_production_takes_none(acme: Organization, settings: Settings) -> None:
    settings.PRODUCTION = True

    with pytest.raises(CommandError, match="production takes no test contacts"):
        make(acme)

    assert not Contact.objects.exists()

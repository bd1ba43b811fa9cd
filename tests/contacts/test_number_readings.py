"""Numbers read ahead of a broadcast: everything that it needs, nothing twice."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import Organization
from contacts import directory, number_readings, phone_numbers
from contacts.models import Contact, NumberReading
from tests.contacts.factories import ContactFactory
from tests.factories import OrganizationFactory

pytestmark = pytest.mark.django_db

NUMBERS = [
    "3001234567",  # Colombia
    "300 123 4567",
    "2025550123",  # the United States
    "9002345678",  # the United States, premium
    "55 1234 5678",  # Mexico
    "0301234567",  # Germany
    "123",
    "+573009876543",
    "+19002345678",
    "no number",
]
COUNTRIES = ["CO", "US", "MX", "DE"]


@pytest.fixture
def nowhere() -> Organization:
    """An organization without a default country."""
    return OrganizationFactory.create(name="Nowhere", country="")


def add(organization: Organization, phone: str, country: str = "") -> Contact:
    return ContactFactory.create(organization=organization, phone=phone, country=country)


def ensure(organization: Organization, *countries: str) -> int:
    return number_readings.ensure(organization_id=organization.pk, countries=countries)


def as_a_broadcast_reads(contact: Contact, countries: Sequence[str]) -> tuple[str, str, str]:
    """Return E.164, region and refusal as the classifying statement finds them, with no parsing."""
    own = contact.e164, contact.region, contact.refusal
    if not contact.read_as:
        return own
    found = ("", "", phone_numbers.INVALID)
    for country in countries:
        if country == contact.read_as:
            found = own
        else:
            kept = NumberReading.objects.filter(
                organization=contact.organization, country=country, number=contact.phone
            )
            found = kept.values_list("e164", "region", "refusal").get()
        if found[2] != phone_numbers.INVALID:
            return found
    return found


def by_the_rule(contact: Contact, countries: Sequence[str]) -> tuple[str, str, str]:
    """Return the same by parsing: international → own country → the countries in force."""
    for country in [contact.country, *countries]:
        reading = phone_numbers.read(contact.phone, country)
        if reading.refusal != phone_numbers.INVALID:
            return reading.e164, reading.region, reading.refusal
    return "", "", phone_numbers.INVALID


contacts = st.lists(
    st.tuples(st.sampled_from(NUMBERS), st.sampled_from(["", *COUNTRIES])), min_size=1, max_size=12
)
country_or_none = st.sampled_from(["", *COUNTRIES])


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    contacts=contacts, before=country_or_none, default=country_or_none, requested=country_or_none
)
def test_after_it_every_contact_reads_as_the_rule_says(
    db: None, contacts: list[tuple[str, str]], before: str, default: str, requested: str
) -> None:
    organization = OrganizationFactory.create(country=before)
    rows = [add(organization, phone, country) for phone, country in contacts]
    Organization.objects.filter(pk=organization.pk).update(country=default)
    in_force = [country for country in (requested, default) if country]

    ensure(organization, requested, default)

    for row in rows:
        assert as_a_broadcast_reads(row, in_force) == by_the_rule(row, in_force)
    assert ensure(organization, requested, default) == 0


def test_the_worked_example_with_the_requests_country(nowhere: Organization) -> None:
    phones = [("3001234567", ""), ("+57 300 123 4567", ""), ("0057 300 987 6543", "")]
    phones += [("300-765-4321", "CO"), ("(202) 555-0123", "US"), ("123", "")]
    phones += [("+57 900 000 0000x12", "")]
    rows = [add(nowhere, phone, country) for phone, country in phones]

    read = ensure(nowhere, "CO", "")

    assert read == 2  # the first and 123: the others need no country
    assert [as_a_broadcast_reads(row, ["CO"])[0] for row in rows] == [
        "+573001234567",
        "+573001234567",
        "+573009876543",
        "+573007654321",
        "+12025550123",
        "",
        "",
    ]


def test_a_number_is_read_once_however_many_have_it(nowhere: Organization) -> None:
    add(nowhere, "3001234567")
    add(nowhere, "3001234567")

    assert ensure(nowhere, "CO") == 1
    assert NumberReading.objects.get().e164 == "+573001234567"


def test_nothing_is_read_for_what_needs_no_country(acme: Organization) -> None:
    add(acme, "+573001234567")
    add(acme, "2025550123", "US")
    add(acme, "3001234567")

    assert ensure(acme, "CO", "CO") == 0


def test_without_a_country_in_force_nothing_is_asked(nowhere: Organization) -> None:
    add(nowhere, "3001234567")

    with CaptureQueriesContext(connection) as queries:
        assert ensure(nowhere, "", "ZZ") == 0

    assert len(queries) == 0


def test_the_default_is_tried_only_where_the_requests_country_settled_nothing(
    nowhere: Organization,
) -> None:
    add(nowhere, "3001234567")  # valid in Colombia
    add(nowhere, "9002345678")  # not in Colombia; in the United States a number of its own kind
    add(nowhere, "123")

    ensure(nowhere, "CO", "US")

    tried = NumberReading.objects.filter(country="US").order_by("number")
    assert [row.number for row in tried] == ["123", "9002345678"]
    assert [row.refusal for row in tried] == ["invalid_number", "unsupported_number"]


def test_an_own_reading_of_the_requests_country_settles_too(acme: Organization) -> None:
    add(acme, "3001234567")
    add(acme, "2025550123")
    Organization.objects.update(country="US")

    ensure(acme, "CO", "US")

    assert [row.number for row in NumberReading.objects.all()] == ["2025550123"]


def test_deleted_contacts_and_other_organizations_are_left_alone(
    nowhere: Organization, borealis: Organization
) -> None:
    add(nowhere, "3001234567")
    add(borealis, "3007654321")
    directory.remove(contacts=Contact.objects.filter(organization=nowhere))

    assert ensure(nowhere, "CO") == 0
    assert NumberReading.objects.count() == 0


def test_pages_and_chunks_end_where_they_may(
    nowhere: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(number_readings, "PAGE", 7)
    monkeypatch.setattr(number_readings, "CHUNK", 3)
    for i in range(21):
        add(nowhere, f"30012345{i % 18:02}")

    assert ensure(nowhere, "CO", "MX") == 18
    assert ensure(nowhere, "CO", "MX") == 0
    assert ensure(nowhere, "US", "CO") == 18  # not Colombia again


def test_what_is_known_is_found_to_be_known_in_three_statements(nowhere: Organization) -> None:
    for i in range(20):
        add(nowhere, f"30012345{i:02}")
    ensure(nowhere, "CO")

    with CaptureQueriesContext(connection) as queries:
        ensure(nowhere, "CO")

    assert len(queries) == 3  # which countries, where the page ends, what is missing


@pytest.mark.django_db(transaction=True)
def test_two_broadcasts_at_once_read_together_and_write_each_number_once() -> None:
    nowhere = OrganizationFactory.create(country="")
    for i in range(40):
        add(nowhere, f"30012345{i:02}")
    start = Barrier(2)

    def one() -> None:
        start.wait(timeout=60)
        ensure(nowhere, "CO")
        connection.close()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(one), pool.submit(one)]:
            done.result(timeout=60)

    assert NumberReading.objects.count() == 40


@pytest.fixture
def many_with_readings(nowhere: Organization) -> Organization:
    Contact.objects.bulk_create(
        Contact(
            organization=nowhere,
            phone=f"300{i:07}",
            read_as="" if i % 10 else "ZZ",  # a tenth depends on a country
            refusal=phone_numbers.INVALID,
        )
        for i in range(3000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE contacts_contact")
    return nowhere


def test_it_finds_the_numbers_by_the_index_made_for_it(many_with_readings: Organization) -> None:
    page = {"organization": str(many_with_readings.pk), "read_as": "ZZ", "country": "CO"}
    with connection.cursor() as cursor:
        cursor.execute(
            f"EXPLAIN {number_readings._MISSING}",
            {**page, "earlier": None, "after": "", "last": "3000000500"},
        )
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert "contacts_contact_read_as" in plan
    assert "Seq Scan on contacts_contact" not in plan

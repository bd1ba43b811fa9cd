"""Finding contacts by number or by words, from indexes; taking them out of every list."""

import pytest
from django.db import connection

from accounts.models import Organization
from contacts import directory
from contacts.models import Contact
from tests.contacts.factories import ContactFactory
from tests.factories import OrganizationFactory

pytestmark = pytest.mark.django_db


def found(text: str, country: str = "CO") -> set[str]:
    contacts = directory.find(contacts=Contact.objects.living(), text=text, country=country)
    return {contact.name for contact in contacts}


@pytest.fixture
def people(acme: Organization) -> None:
    for name, last_name, email, phone in [
        ("Ana María", "Londoño", "ana@acme.example", "+57 300 123 4567"),
        ("José", "Pérez O'Neill", "jose.perez@example.org", "301 765 4321"),
        ("Anabel", "García-Márquez", "", "+12025550123"),
        ("Óscar", "", "", "0057 300 999 0000"),
    ]:
        ContactFactory.create(
            organization=acme, name=name, last_name=last_name, email=email, phone=phone
        )


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("+573001234567", {"Ana María"}),
        ("+57 300 123-4567", {"Ana María"}),
        ("0057300", {"Ana María", "Óscar"}),
        ("+57", {"Ana María", "José", "Óscar"}),
        ("3001234567", {"Ana María"}),
        ("300", {"Ana María", "Óscar"}),
        ("301 765", {"José"}),
        ("3017654321", {"José"}),
        ("+1202", {"Anabel"}),
        ("999", set()),
        ("ana", {"Ana María", "Anabel"}),
        ("ANA MAR", {"Ana María", "Anabel"}),
        ("mar ana lon", {"Ana María"}),
        ("perez", {"José"}),
        ("oscar", {"Óscar"}),
        ("pèrez", {"José"}),
        ("londoño", {"Ana María"}),
        ("o'neill", {"José"}),
        ("márquez", {"Anabel"}),
        ("garcía-m", {"Anabel"}),
        ("ana@acme.example", {"Ana María"}),
        ("ana@acme.ex", {"Ana María"}),
        ("nobody", set()),
        ("", {"Ana María", "José", "Anabel", "Óscar"}),
        ("  ", {"Ana María", "José", "Anabel", "Óscar"}),
    ],
)
def test_what_a_search_finds(text: str, names: set[str]) -> None:
    assert found(text) == names


def test_a_number_that_no_country_reads_is_found_as_it_was_written() -> None:
    nowhere = OrganizationFactory.create(country="")
    ContactFactory.create(organization=nowhere, name="Ana", phone="3001234567")

    assert found("3001234567", country="") == {"Ana"}
    assert found("300123", country="") == {"Ana"}
    assert found("301", country="") == set()


@pytest.mark.usefixtures("people")
@pytest.mark.parametrize(
    "text",
    [
        "'",
        "''",
        "\\",
        "\\'",
        "a' & 'b",
        "!ana",
        "ana | jose",
        "(ana",
        "ana:*",
        "<->",
        "%",
        "_",
        "&",
        ":",
        "😀",
        "ana" * 200,
        "x " * 5000,
        "+",
        "+++",
        "---",
        "...",
        "9" * 300,
        "(((((",
        "\u200b",
    ],
)
def test_no_search_breaks(text: str) -> None:
    found(text)


def test_numbers_and_words_are_answered_from_indexes(acme: Organization) -> None:
    Contact.objects.bulk_create(
        Contact(organization=acme, name=f"Name{i}", phone=f"+573{i:09}", e164=f"+573{i:09}")
        for i in range(5000)
    )
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE contacts_contact")

    for text, index in [
        ("+573000001234", "contacts_contact_e164"),
        ("name1234", "contacts_contact_words"),
    ]:
        contacts = Contact.objects.living().filter(organization=acme)
        assert index in directory.find(contacts=contacts, text=text, country="CO").explain()


def test_removed_contacts_leave_every_list_and_stay_as_rows(acme: Organization) -> None:
    gone, kept = ContactFactory.create_batch(2, organization=acme)

    removed = directory.remove(contacts=Contact.objects.filter(pk=gone.pk))

    assert removed == 1
    assert list(Contact.objects.living()) == [kept]
    gone.refresh_from_db()
    assert gone.deleted_at == gone.updated_at is not None


def test_removing_again_changes_nothing(acme: Organization) -> None:
    gone = ContactFactory.create(organization=acme)
    directory.remove(contacts=Contact.objects.all())
    gone.refresh_from_db()
    first = gone.deleted_at

    assert directory.remove(contacts=Contact.objects.all()) == 0

    gone.refresh_from_db()
    assert gone.deleted_at == first

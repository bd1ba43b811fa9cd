"""Who gets a broadcast and who is skipped: the one statement, against real rows."""

import pytest

from accounts.models import Organization
from billing import ledger
from billing.models import Rate
from contacts.models import Contact, Suppression
from messaging.models import Broadcast, Message, Skip
from tests.messaging.conftest import Contacts, Send

pytestmark = pytest.mark.usefixtures("books_balance")

TEN = [
    ("3001234567", "", "ACTIVE"),
    ("+57 300 123 4567", "", "ACTIVE"),
    ("0057 300 987 6543", "", "ACTIVE"),
    ("300-765-4321", "CO", "ACTIVE"),
    ("(202) 555-0123", "US", "ACTIVE"),
    ("123", "", "ACTIVE"),
    ("3011234567", "", "BLOCKED"),
    ("3021234567", "", "INACTIVE"),
    ("3031234567", "", "ACTIVE"),
    ("+57 900 000 0000x12", "", "ACTIVE"),
]


@pytest.fixture
def ten(acme: Organization, grant) -> list[Contact]:
    """Ten contacts of an organization without a country, one of them opted out."""
    grant(acme, 1_000)
    Organization.objects.filter(pk=acme.pk).update(country="")
    acme.refresh_from_db()
    Suppression.objects.create(
        organization=acme, recipient="+573031234567", source=Suppression.Source.MEMBER
    )
    return [
        Contact.objects.create(organization=acme, phone=phone, country=country, status=status)
        for phone, country, status in TEN
    ]


def recipients(broadcast: Broadcast) -> list[str]:
    return list(broadcast.messages.order_by("id").values_list("recipient", flat=True))


def skips(broadcast: Broadcast) -> list[tuple[str, str]]:
    return list(broadcast.skips.order_by("id").values_list("phone", "reason"))


def test_it_accounts_for_every_contact_with_the_requests_country(ten, send: Send):
    broadcast = send(country="CO")

    assert recipients(broadcast) == [
        "+573001234567",
        "+573009876543",
        "+573007654321",
        "+12025550123",
    ]
    assert skips(broadcast) == [
        ("+57 300 123 4567", "duplicate"),
        ("123", "invalid_number"),
        ("3011234567", "contact_blocked"),
        ("3021234567", "contact_inactive"),
        ("3031234567", "opted_out"),
        ("+57 900 000 0000x12", "invalid_number"),
    ]
    assert (broadcast.audience, broadcast.messages_total, broadcast.skipped_total) == (10, 4, 6)


def test_without_a_country_the_second_contact_has_the_number(ten, send: Send):
    broadcast = send()

    assert recipients(broadcast)[0] == "+573001234567"
    assert broadcast.messages.get(recipient="+573001234567").contact_id == ten[1].pk
    assert ("3001234567", "invalid_number") in skips(broadcast)
    assert (broadcast.audience, broadcast.messages_total) == (10, 4)


def test_a_duplicate_names_the_contact_that_has_the_number(ten, send: Send):
    broadcast = send(country="CO")

    duplicate = broadcast.skips.get(reason=Skip.Reason.DUPLICATE)
    assert (duplicate.contact_id, duplicate.duplicate_of_id) == (ten[1].pk, ten[0].pk)


def test_a_blocked_contact_does_not_keep_its_number_from_another(acme, contacts, send, grant):
    grant(acme, 10)
    contacts("+573001234567", status="BLOCKED")
    (second,) = contacts("+57 300 1234567")

    broadcast = send()

    assert broadcast.messages.get().contact_id == second.pk
    assert broadcast.skipped_by_reason == {"contact_blocked": 1}


def test_the_requests_country_goes_before_the_organizations(acme, contacts, send, grant):
    grant(acme, 10)
    contacts("5512345678")  # Acme is in CO, where this is no number

    assert send().messages_total == 0
    assert recipients(send(country="MX")) == ["+525512345678"]


def test_the_organizations_country_helps_where_the_requests_reads_nothing(
    acme, contacts, send, grant
):
    grant(acme, 10)
    contacts("3001234567")  # a number in CO, none in ES

    assert recipients(send(country="ES")) == ["+573001234567"]


def test_a_new_default_country_is_in_force_at_once(acme, contacts, send, grant):
    grant(acme, 10)
    contacts("3001234567", "5512345678")
    Organization.objects.filter(pk=acme.pk).update(country="MX")

    broadcast = send()

    assert "+525512345678" in recipients(broadcast)
    assert not Contact.objects.filter(read_as="MX").exists()


def test_deleted_contacts_are_no_audience(acme, contacts, send, grant):
    grant(acme, 10)
    gone, stays = contacts("+573001234567", "+573001234568")
    gone.deleted_at = gone.created_at
    gone.save()

    broadcast = send()

    assert broadcast.audience == 1
    assert recipients(broadcast) == [stays.e164]


def test_another_organizations_contacts_and_opt_outs_count_for_nothing(
    acme, borealis, contacts, send, grant
):
    grant(acme, 10)
    contacts("+573001234567")
    Contact.objects.create(organization=borealis, phone="+573009999999")
    Suppression.objects.create(
        organization=borealis, recipient="+573001234567", source=Suppression.Source.MEMBER
    )

    assert recipients(send()) == ["+573001234567"]


def test_premium_numbers_are_skipped_until_the_organization_allows_them(
    acme, contacts, send, grant
):
    grant(acme, 10)
    contacts("+19002345678")

    assert send().skipped_by_reason == {"unsupported_number": 1}

    Organization.objects.filter(pk=acme.pk).update(allows_special_numbers=True)
    assert recipients(send()) == ["+19002345678"]


def test_countries_that_are_not_allowed_are_skipped(acme, contacts, send, grant):
    grant(acme, 10)
    contacts("+573001234567", "+12025550123")
    Organization.objects.filter(pk=acme.pk).update(allowed_countries=["CO"])

    broadcast = send()

    assert recipients(broadcast) == ["+573001234567"]
    assert broadcast.skipped_by_reason == {"unsupported_country": 1}


def test_credits_are_segments_times_the_countrys_rate(acme, contacts, send, grant):
    grant(acme, 100)
    contacts("+573001234567", "+12025550123")
    Rate.objects.create(country="US", credits_per_segment=5)

    broadcast = send(text="a" * 161)

    assert broadcast.segments == 2
    assert dict(broadcast.messages.values_list("country", "credits")) == {"CO": 2, "US": 10}
    assert broadcast.credits == 12


def test_a_number_read_in_a_broadcast_is_not_read_again(
    acme, contacts: Contacts, send, grant, django_assert_max_num_queries
):
    grant(acme, 100)
    contacts(*(f"55123456{number:02}" for number in range(30)))
    send(country="MX")

    with django_assert_max_num_queries(40):
        assert send(country="MX").messages_total == 30


def test_messages_stand_in_the_order_in_which_contacts_were_created(acme, contacts, send, grant):
    grant(acme, 1_000)
    made = contacts(*(f"+57300{number:07}" for number in range(0, 7_000_000, 70_000)))

    assert recipients(send()) == [contact.e164 for contact in made]


def test_two_audiences_of_the_same_people_have_one_fingerprint(acme, contacts, send, grant):
    grant(acme, 100)
    contacts("+573001234567", "+573001234568")
    first, second = send(), send(text="Something else")

    contacts("+573001234569")
    third = send()

    assert first.fingerprint == second.fingerprint != third.fingerprint


def test_nobody_to_write_to_is_a_completed_broadcast_that_costs_nothing(acme, contacts, send):
    contacts("123", "456")

    broadcast = send()

    assert broadcast.status == Broadcast.Status.COMPLETED
    assert (broadcast.audience, broadcast.skipped_by_reason) == (2, {"invalid_number": 2})
    assert not Message.objects.exists()
    assert ledger.balance(acme.pk).total == 0

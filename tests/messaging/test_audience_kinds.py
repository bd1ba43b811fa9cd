"""Audiences beside everyone: tags, chosen contacts, and the numbers of a request."""

from typing import Any
from uuid import uuid4

import pytest
from django.db.models import F, Q
from django.db.models.functions import Now

from accounts.models import Organization
from contacts import number_readings, tags
from contacts.models import Contact, Tag
from messaging import audiences, broadcasts, estimates, orders
from messaging.models import Broadcast
from tests.contacts.factories import ContactFactory, SuppressionFactory
from tests.messaging.conftest import Contacts
from tests.messaging.factories import contacts_in_order, grant, many_contacts

pytestmark = pytest.mark.usefixtures("books_balance", "memory")


@pytest.fixture(autouse=True)
def _paid(acme: Organization) -> None:
    grant(acme, 10_000)


def recipients(broadcast: Broadcast) -> list[str]:
    return list(broadcast.messages.order_by("id").values_list("recipient", flat=True))


def linked(broadcast: Broadcast) -> list[Any]:
    return list(broadcast.messages.order_by("id").values_list("contact_id", flat=True))


def skips(broadcast: Broadcast) -> list[tuple[Any, str, str]]:
    return list(broadcast.skips.order_by("id").values_list("contact_id", "phone", "reason"))


# --- everyone -------------------------------------------------------------------------------------
def test_everyone_is_foreseen_as_they_are_written(acme, send_to):
    SuppressionFactory(organization=acme, recipient="+573001234560")
    contacts_in_order(
        acme,
        "+573001234567",
        {"phone": "+573001234568", "status": "BLOCKED"},
        {"phone": "+573001234569", "status": "INACTIVE"},
        "123",
        "+19002345678",
        "+573001234560",
        "300 1234567",
        "3001234567",
        "+525512345678",
    )

    broadcast = send_to(audiences.Everyone())

    assert broadcast.audience_kind == "all"
    assert recipients(broadcast) == ["+573001234567", "+525512345678"]
    assert broadcast.skipped_by_reason == {
        "contact_blocked": 1,
        "contact_inactive": 1,
        "invalid_number": 1,
        "unsupported_number": 1,
        "opted_out": 1,
        "duplicate": 2,
    }


def test_numbers_that_need_the_country_of_the_request_are_foreseen(contacts: Contacts, send_to):
    contacts("5512345678", "+573001234567")

    assert recipients(send_to(audiences.Everyone(), country="MX")) == [
        "+525512345678",
        "+573001234567",
    ]


# --- tags -----------------------------------------------------------------------------------------
def test_who_carries_any_of_the_tags_gets_one_message(acme, contacts: Contacts, send_to):
    first, second, _neither, both = contacts(*(f"+57300123456{digit}" for digit in range(4)))
    friends, family = (
        Tag.objects.create(organization=acme, name=name) for name in ("friends", "family")
    )
    friends.contacts.set([first, both])
    family.contacts.set([second, both])

    broadcast = send_to(audiences.Tagged([friends.pk, family.pk]))

    assert broadcast.audience_kind == "tags"
    assert linked(broadcast) == [first.pk, second.pk, both.pk]
    assert broadcast.audience == 3


def test_a_deleted_contact_keeps_its_tag_and_gets_nothing(acme, contacts: Contacts, send_to):
    (contact,) = contacts("+573001234567")
    tag = Tag.objects.create(organization=acme, name="friends")
    tag.contacts.set([contact])
    Contact.objects.filter(pk=contact.pk).update(deleted_at=Now())

    assert send_to(audiences.Tagged([tag.pk])).audience == 0


@pytest.mark.parametrize("whose", ["borealis", "nobody"])
def test_another_organizations_tag_is_not_found(request, acme, ana, whose):
    if whose == "nobody":
        tag_id = uuid4()
    else:
        tag_id = Tag.objects.create(organization=request.getfixturevalue(whose), name="theirs").pk
    own = Tag.objects.create(organization=acme, name="ours")

    for verb in (broadcasts.send, estimates.estimate):
        with pytest.raises(tags.TagNotFound):
            verb(member=ana, audience=audiences.Tagged([own.pk, tag_id]), text="Hola")

    assert not Broadcast.objects.exists()


# --- chosen contacts ------------------------------------------------------------------------------
def test_any_query_of_contacts_may_be_written_to(contacts: Contacts, send_to):
    ana, beto, carla = contacts("+573001234567", "+573001234568", "+573001234569")
    queries = [
        Contact.objects.filter(pk__in=[carla.pk, ana.pk]),
        Contact.objects.filter(phone__regex="7$|9$"),
        Contact.objects.exclude(pk=beto.pk).order_by("-name").select_related("organization"),
        Contact.objects.filter(Q(phone__contains="%") | Q(phone__endswith="7") | Q(pk=carla.pk)),
        Contact.objects.annotate(same=F("e164")).filter(same__in=[ana.e164, carla.e164]).distinct(),
    ]

    for number, query in enumerate(queries):
        broadcast = send_to(audiences.Chosen(query), text=f"Hola {number}")
        assert (broadcast.audience_kind, linked(broadcast)) == ("selection", [ana.pk, carla.pk])


def test_nobody_chosen_is_nobody(contacts: Contacts, send_to):
    contacts("+573001234567")

    broadcast = send_to(audiences.Chosen(Contact.objects.none()))

    assert (broadcast.audience, broadcast.status) == (0, "COMPLETED")


def test_S14_of_all_contacts_only_the_own_organizations_are_chosen(borealis, contacts, send_to):
    (own,) = contacts("+573001234567")
    ContactFactory.create(organization=borealis, phone="+525512345678")
    gone = contacts("+573001234568")[0]
    Contact.objects.filter(pk=gone.pk).update(deleted_at=Now())

    assert linked(send_to(audiences.Chosen(Contact.objects.all()))) == [own.pk]


# --- numbers --------------------------------------------------------------------------------------
def test_numbers_are_written_to_in_their_order_and_linked_to_contacts(contacts, send_to):
    first, second = contacts("300 123 4567", "+573001234568")

    broadcast = send_to(
        audiences.Numbers(["+57 300 1234568", "+525512345678", "+573001234567", "3001234569"])
    )

    assert broadcast.audience_kind == "contacts"
    assert recipients(broadcast) == [
        "+573001234568",
        "+525512345678",
        "+573001234567",
        "+573001234569",
    ]
    assert linked(broadcast) == [second.pk, None, first.pk, None]


def test_numbers_that_cannot_be_written_to_are_skipped_each_with_its_reason(acme, send_to):
    blocked, inactive = contacts_in_order(
        acme,
        {"phone": "+573001234568", "status": "BLOCKED"},
        {"phone": "+573001234569", "status": "INACTIVE"},
    )
    SuppressionFactory(organization=acme, recipient="+573001234560")
    Organization.objects.filter(pk=acme.pk).update(allowed_countries=["CO"])

    broadcast = send_to(
        audiences.Numbers(
            [
                "abc",
                "3001234568",
                "+573001234569",
                "+573001234560",
                "+573001234567",
                "",
                "300-123-4567",
                "+12025550123",
                "+19002345678",
            ]
        )
    )

    assert recipients(broadcast) == ["+573001234567"]
    assert skips(broadcast) == [
        (None, "abc", "invalid_number"),
        (blocked.pk, "3001234568", "contact_blocked"),
        (inactive.pk, "+573001234569", "contact_inactive"),
        (None, "+573001234560", "opted_out"),
        (None, "", "invalid_number"),
        (None, "300-123-4567", "duplicate"),
        (None, "+12025550123", "unsupported_country"),
        (None, "+19002345678", "unsupported_number"),
    ]


def test_a_number_given_again_and_again_is_skipped_each_time(acme, send_to):
    contact, blocked = contacts_in_order(
        acme, "+573001234567", {"phone": "+573001234568", "status": "BLOCKED"}
    )

    broadcast = send_to(
        audiences.Numbers(["3001234567", "+573001234568"] * 3 + ["+573001234569"] * 3)
    )

    assert linked(broadcast) == [contact.pk, None]
    assert broadcast.skipped_by_reason == {"duplicate": 4, "contact_blocked": 3}
    assert [whose for whose, _, _ in skips(broadcast) if whose is not None] == [blocked.pk]
    assert set(
        broadcast.skips.filter(reason="duplicate").values_list("duplicate_of_id", flat=True)
    ) == {contact.pk, None}


def test_of_several_contacts_the_earliest_that_may_be_written_to_has_the_number(contacts, send_to):
    contacts("+573001234567", status="BLOCKED")
    contacts("+573001234567", status="INACTIVE")
    second, _third = contacts("300 1234567", "+573001234567")

    assert linked(send_to(audiences.Numbers(["3001234567"]))) == [second.pk]


@pytest.mark.parametrize(
    ("given", "country", "recipient"),
    [
        ("5512345678", "MX", "+525512345678"),
        ("3001234567", "", "+573001234567"),
        ("3001234567", "ES", "+573001234567"),
        ("+525512345678", "CO", "+525512345678"),
        ("0052 55 1234 5678", "", "+525512345678"),
    ],
)
def test_numbers_are_read_as_those_of_contacts_are(send_to, given, country, recipient):
    assert recipients(send_to(audiences.Numbers([given]), country=country)) == [recipient]


def test_without_any_country_a_national_number_is_none(acme, send_to):
    Organization.objects.filter(pk=acme.pk).update(country="")

    assert send_to(audiences.Numbers(["3001234567"])).skipped_by_reason == {"invalid_number": 1}


def test_a_block_holds_for_the_very_text_of_the_contact_whatever_the_country(contacts, send_to):
    (blocked,) = contacts("5512345678", status="BLOCKED")  # of CO, where it is no number

    broadcast = send_to(audiences.Numbers(["5512345678"]), country="MX")

    assert skips(broadcast) == [(blocked.pk, "5512345678", "contact_blocked")]


def test_other_organizations_contacts_and_opt_outs_count_for_nothing(borealis, send_to):
    contacts_in_order(borealis, {"phone": "+573001234567", "status": "BLOCKED"})
    SuppressionFactory(organization=borealis, recipient="+573001234567")

    assert linked(send_to(audiences.Numbers(["+573001234567"]))) == [None]


def test_a_deleted_contact_has_no_number(contacts, send_to):
    (contact,) = contacts("+573001234567", status="BLOCKED")
    Contact.objects.filter(pk=contact.pk).update(deleted_at=Now())

    assert linked(send_to(audiences.Numbers(["+573001234567"]))) == [None]


def test_a_thousand_numbers_cost_as_many_queries_as_one(ana, django_assert_max_num_queries):
    numbers = [f"+57300{number:07}" for number in range(1_000)]

    with django_assert_max_num_queries(25):
        broadcast = broadcasts.send(member=ana, audience=audiences.Numbers(numbers), text="Hola")

    assert recipients(broadcast) == numbers


# --- what an estimate costs -----------------------------------------------------------------------
def test_an_estimate_asks_as_often_for_a_thousand_as_for_one(
    acme, ana, contacts: Contacts, django_assert_max_num_queries
):
    contacts("+573001234567")
    many_contacts(acme, 1_000)

    with django_assert_max_num_queries(25):
        seen = estimates.estimate(member=ana, audience=audiences.Everyone(), text="Hola")

    assert seen.audience == 1_001


def test_a_number_that_came_in_after_the_readings_is_read_before_anything_is_estimated(
    acme, ana, contacts: Contacts, monkeypatch
):
    contacts("5512345678")
    ensure = number_readings.ensure

    def ensure_and_then_somebody_adds_a_contact(**arguments):
        read = ensure(**arguments)
        if Contact.objects.count() == 1:
            contacts("5512345679")
        return read

    monkeypatch.setattr(number_readings, "ensure", ensure_and_then_somebody_adds_a_contact)

    seen = estimates.estimate(member=ana, audience=audiences.Everyone(), text="Hola", country="MX")

    assert (seen.recipients, seen.skipped) == (2, {})


def test_contacts_that_never_stop_changing_are_told_so(ana, contacts: Contacts, monkeypatch):
    contacts("5512345678")
    monkeypatch.setattr(number_readings, "ensure", lambda **_: 0)

    for verb in (broadcasts.send, estimates.estimate):
        with pytest.raises(orders.ContactsKeepChanging):
            verb(member=ana, audience=audiences.Everyone(), text="Hola", country="MX")

    assert not Broadcast.objects.exists()

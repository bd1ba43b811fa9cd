"""Contacts that are added or changed at the same moment: threads on real PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from accounts.models import Member, Organization
from accounts.roles import RoleMissing
from contacts import directory, tags
from contacts.models import Contact, Tag
from tests.contacts.factories import ContactFactory, TagFactory
from tests.races import patient

THREADS = 8


def at_once(work: Callable[[int], object]) -> list[str]:
    """Run the work in threads that are let go together; return what came of each."""
    barrier = threading.Barrier(THREADS)

    def start(number: int) -> str:
        try:
            patient()
            barrier.wait(60)
            work(number)
        except (directory.DuplicatePhone, tags.TagNameTaken) as error:
            return type(error).__name__
        else:
            return "done"
        finally:
            connection.close()

    with ThreadPoolExecutor(THREADS) as pool:
        return sorted(pool.map(start, range(THREADS)))


@pytest.mark.django_db(transaction=True)
def test_of_those_who_add_a_number_at_once_one_has_it(acme: Organization, sara: Member) -> None:
    spellings = ["+573001234567", "300 123 4567", "0057 3001234567", "(300) 1234567"]

    came = at_once(
        lambda number: directory.add(
            contact=Contact(organization=acme, phone=spellings[number % 4]), by=sara
        )
    )

    assert came == ["DuplicatePhone"] * (THREADS - 1) + ["done"]
    assert Contact.objects.count() == 1


@pytest.mark.django_db
def test_number_and_country_that_two_change_are_read_together(
    acme: Organization, sara: Member
) -> None:
    known = ContactFactory.create(organization=acme, phone="300 123 4567", country="CO")
    one, other = (Contact.objects.get(pk=known.pk) for _ in range(2))

    one.phone = "202 555 0123"
    directory.change(contact=one, fields={"phone"}, by=sara, takes_doubtful=True)
    other.country = "US"
    directory.change(contact=other, fields={"country"}, by=sara)

    known.refresh_from_db()
    assert (known.phone, known.country) == ("202 555 0123", "US")
    assert (known.e164, known.region) == ("+12025550123", "US")


@pytest.mark.django_db(transaction=True)
def test_of_those_who_take_a_number_over_at_once_one_has_it(
    acme: Organization, sara: Member
) -> None:
    contacts = ContactFactory.create_batch(THREADS, organization=acme)

    def take(number: int) -> None:
        contact = Contact.objects.select_related("organization").get(pk=contacts[number].pk)
        contact.phone = "+573019999999"
        directory.change(contact=contact, fields=["phone"], by=sara)

    assert at_once(take) == ["DuplicatePhone"] * (THREADS - 1) + ["done"]
    assert Contact.objects.filter(e164="+573019999999").count() == 1


@pytest.mark.django_db(transaction=True)
def test_of_tags_that_are_made_at_once_one_has_the_name(acme: Organization, sara: Member) -> None:
    came = at_once(lambda _number: tags.add(tag=Tag(organization=acme, name="VIP"), by=sara))

    assert came == ["TagNameTaken"] * (THREADS - 1) + ["done"]


@pytest.mark.django_db
def test_the_verbs_ask_for_the_role_whoever_calls_them(
    acme: Organization, vera: Member, root: Member
) -> None:
    contact, tag = ContactFactory.create(organization=acme), TagFactory.create(organization=acme)

    for by in (vera, root):
        for refused in (
            lambda by: directory.add(contact=Contact(organization=acme, phone="1"), by=by),
            lambda by: directory.change(contact=contact, fields=["name"], by=by),
            lambda by: directory.remove(contacts=Contact.objects.all(), by=by),
            lambda by: tags.add(tag=Tag(organization=acme, name="x"), by=by),
            lambda by: tags.change(tag=tag, fields=["name"], by=by),
            lambda by: tags.remove(tag=tag, by=by),
        ):
            with pytest.raises(RoleMissing):
                refused(by)
    assert (Contact.objects.living().count(), Tag.objects.count()) == (1, 1)


@pytest.mark.django_db
def test_a_door_that_warns_keeps_what_is_doubtful(acme: Organization, sara: Member) -> None:
    ContactFactory.create(organization=acme, phone="+573001234567")

    for phone in ("3001234567", "123"):
        contact = Contact(organization=acme, phone=phone)
        directory.add(contact=contact, by=sara, takes_doubtful=True)

    assert Contact.objects.count() == 3

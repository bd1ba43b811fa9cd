"""Opt-outs: added by anybody who may, lifted by an owner, each with its trace and without its number."""

import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.db import connection

from accounts.models import AuditEntry, Member, Organization
from accounts.roles import RoleMissing
from contacts import suppressions
from contacts.models import Suppression
from tests.contacts.factories import SuppressionFactory

pytestmark = pytest.mark.django_db

Source = Suppression.Source


def add(organization: Organization, member: Member | None = None, **given: str) -> Suppression:
    given = {"recipient": "+573031234567", "source": Source.MEMBER, **given}
    return suppressions.add(organization=organization, member=member, **given)


def acts() -> list[str]:
    return list(AuditEntry.objects.order_by("created_at").values_list("act", flat=True))


@pytest.mark.parametrize(
    "written", ["+573031234567", "+57 303 123-4567", "0057 303 123 4567", "303 1234567"]
)
def test_a_number_is_opted_out_however_it_is_written(
    acme: Organization, sara: Member, written: str
) -> None:
    suppression = add(acme, sara, recipient=written)

    assert suppression.recipient == "+573031234567"
    assert (suppression.source, suppression.member) == (Source.MEMBER, sara)


def test_the_act_is_recorded_with_a_digest_and_never_the_number(
    acme: Organization, sara: Member
) -> None:
    suppression = add(acme, sara, address="192.0.2.7")

    entry = AuditEntry.objects.get(act="suppression.added")
    assert (entry.member, entry.organization, entry.address) == (sara, acme, "192.0.2.7")
    assert entry.subject == f"suppression:{suppression.pk}"
    assert entry.details["recipient_digest"] == suppressions.digest("+573031234567")
    assert "3031234567" not in json.dumps(entry.details) + entry.subject


def test_digests_tell_numbers_apart() -> None:
    assert suppressions.digest("+573031234567") == suppressions.digest("+573031234567")
    assert suppressions.digest("+573031234567") != suppressions.digest("+573031234568")


def test_adding_it_again_changes_and_records_nothing(
    acme: Organization, sara: Member, ana: Member
) -> None:
    first = add(acme, sara)

    again = add(acme, ana)

    assert again == first
    assert again.member == sara
    assert acts() == ["suppression.added"]


def test_a_members_word_outweighs_a_keyword_which_start_would_lift(
    acme: Organization, sara: Member
) -> None:
    add(acme, source=Source.KEYWORD)

    suppression = add(acme, sara)

    assert (suppression.source, suppression.member) == (Source.MEMBER, sara)
    assert acts() == ["suppression.added", "suppression.added"]


@pytest.mark.parametrize("earlier", [Source.MEMBER, Source.CARRIER])
def test_a_keyword_outweighs_nobody(acme: Organization, earlier: str) -> None:
    add(acme, source=earlier)

    assert add(acme, source=Source.KEYWORD).source == earlier


def test_the_same_number_is_opted_out_of_one_organization_alone(
    acme: Organization, borealis: Organization, sara: Member
) -> None:
    add(acme, sara)

    assert not Suppression.objects.filter(organization=borealis).exists()


@pytest.mark.parametrize("written", ["", "123", "no number", "+57303123456x7", "\0"])
def test_what_is_no_number_is_refused_in_words_and_leaves_nothing(
    acme: Organization, sara: Member, written: str
) -> None:
    with pytest.raises(suppressions.InvalidRecipient, match=r"Write it with its country"):
        add(acme, sara, recipient=written)

    assert not Suppression.objects.exists()
    assert acts() == []


def test_what_the_carrier_opts_out_is_kept_as_it_is_and_recorded_once(acme: Organization) -> None:
    """A number of no plan too: it was written to, so it may have to be stopped."""
    for _again in range(2):
        suppressions.add_from_carrier(
            organization_id=acme.pk, recipients=["+573031234567", "+57999", "+573031234567"]
        )

    rows = Suppression.objects.filter(organization=acme, source=Source.CARRIER, member=None)
    assert set(rows.values_list("recipient", flat=True)) == {"+573031234567", "+57999"}
    assert acts() == ["suppression.added", "suppression.added"]


def test_the_carriers_word_outweighs_a_keyword_which_start_would_lift(acme: Organization) -> None:
    keyword = add(acme, source=Source.KEYWORD)

    suppressions.add_from_carrier(organization_id=acme.pk, recipients=[keyword.recipient])

    keyword.refresh_from_db()
    assert keyword.source == Source.CARRIER


def test_a_premium_number_can_be_opted_out(acme: Organization, sara: Member) -> None:
    assert add(acme, sara, recipient="+19002345678").recipient == "+19002345678"


def test_a_viewer_adds_none(acme: Organization, vera: Member) -> None:
    with pytest.raises(RoleMissing):
        add(acme, vera)

    assert not Suppression.objects.exists()


def test_an_owner_lifts_it_and_that_is_recorded(acme: Organization, ana: Member) -> None:
    suppression = add(acme, ana)
    subject = f"suppression:{suppression.pk}"

    suppressions.lift(suppression=suppression, member=ana, address="192.0.2.7")

    assert not Suppression.objects.exists()
    entry = AuditEntry.objects.get(act="suppression.lifted")
    assert (entry.member, entry.subject, entry.address) == (ana, subject, "192.0.2.7")
    assert entry.details["recipient_digest"] == suppressions.digest("+573031234567")


def test_a_sender_lifts_none(acme: Organization, sara: Member) -> None:
    suppression = add(acme, sara)

    with pytest.raises(RoleMissing):
        suppressions.lift(suppression=suppression, member=sara)

    assert Suppression.objects.get() == suppression
    assert acts() == ["suppression.added"]


@pytest.mark.django_db(transaction=True)
def test_of_two_who_lift_it_at_once_one_is_recorded(acme: Organization, ana: Member) -> None:
    suppression = SuppressionFactory.create(organization=acme)
    start = Barrier(2)

    def lift() -> None:
        start.wait(timeout=60)
        suppressions.lift(suppression=Suppression(pk=suppression.pk, organization=acme), member=ana)
        connection.close()

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(lift), pool.submit(lift)]:
            done.result(timeout=60)

    assert acts() == ["suppression.lifted"]


@pytest.mark.django_db(transaction=True)
def test_of_two_who_add_it_at_once_both_get_the_one_row(acme: Organization, ana: Member) -> None:
    start = Barrier(2)

    def once() -> Suppression:
        start.wait(timeout=60)
        suppression = add(acme, ana)
        connection.close()
        return suppression

    with ThreadPoolExecutor(2) as pool:
        first, second = (done.result(timeout=60) for done in [pool.submit(once), pool.submit(once)])

    assert first == second
    assert acts() == ["suppression.added"]


# --- keywords of the person -----------------------------------------------------------------------
def test_a_keyword_stops_every_organization_that_is_named(
    acme: Organization, borealis: Organization
) -> None:
    ids = [borealis.pk, acme.pk, acme.pk]

    suppressions.add_from_keyword(recipient="+573031234567", organization_ids=ids)

    assert set(Suppression.objects.values_list("organization", "recipient", "source")) == {
        (acme.pk, "+573031234567", "KEYWORD"),
        (borealis.pk, "+573031234567", "KEYWORD"),
    }
    assert acts() == ["suppression.added"] * 2


@pytest.mark.parametrize("source", [Source.MEMBER, Source.CARRIER])
def test_a_keyword_takes_over_nobodys_opt_out(acme: Organization, source: Source) -> None:
    add(acme, source=source)

    suppressions.add_from_keyword(recipient="+573031234567", organization_ids=[acme.pk])

    assert Suppression.objects.get().source == source
    assert acts() == ["suppression.added"]


def test_start_lifts_what_a_keyword_set_for_the_named_and_is_recorded(
    acme: Organization, borealis: Organization
) -> None:
    for organization in (acme, borealis):
        add(organization, source=Source.KEYWORD)
    add(acme, source=Source.KEYWORD, recipient="+573039999999")

    lifted = suppressions.lift_from_keyword(recipient="+573031234567", organization_ids=[acme.pk])

    assert lifted == 1
    assert set(Suppression.objects.values_list("organization", "recipient")) == {
        (borealis.pk, "+573031234567"),
        (acme.pk, "+573039999999"),
    }
    entry = AuditEntry.objects.get(act="suppression.lifted")
    assert (entry.organization, entry.member) == (acme, None)
    assert entry.details["recipient_digest"] == suppressions.digest("+573031234567")


@pytest.mark.parametrize("source", [Source.MEMBER, Source.CARRIER])
def test_start_lifts_nothing_that_a_person_or_the_carrier_set(
    acme: Organization, source: Source
) -> None:
    add(acme, source=source)

    lifted = suppressions.lift_from_keyword(recipient="+573031234567", organization_ids=[acme.pk])

    assert lifted == 0
    assert Suppression.objects.get().source == source


def test_twenty_starts_at_once_lift_it_once(transactional_db: None, acme: Organization) -> None:
    add(acme, source=Source.KEYWORD)
    together = Barrier(20)

    def lift(_number: int) -> int:
        together.wait()
        try:
            return suppressions.lift_from_keyword(
                recipient="+573031234567", organization_ids=[acme.pk]
            )
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        lifted = list(pool.map(lift, range(20)))

    assert sum(lifted) == 1
    assert acts() == ["suppression.added", "suppression.lifted"]

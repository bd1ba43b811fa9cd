"""What a segment costs in which country."""

from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction

from accounts.models import AuditEntry, Member
from accounts.roles import RoleMissing
from billing import rates
from billing.models import Rate

pytestmark = pytest.mark.django_db


def test_the_table_has_the_countries_with_a_rate() -> None:
    Rate.objects.create(country="CO", credits_per_segment=2)
    Rate.objects.create(country="US", credits_per_segment=5)

    assert rates.table() == {"CO": 2, "US": 5}


def test_a_country_without_a_rate_costs_one() -> None:
    Rate.objects.create(country="CO", credits_per_segment=2)

    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT region, {rates.PRICE} FROM unnest(%s::text[]) AS region"
            f" {rates.join('region')}",
            [["CO", "DE", ""]],
        )
        prices = dict(cursor.fetchall())

    assert prices == {"CO": 2, "DE": 1, "": 1}


@pytest.mark.parametrize(
    ("countries", "least"),
    [([], 1), (["CO"], 2), (["CO", "US"], 2), (["US", "DE"], 1), (["DE"], 1)],
)
def test_the_lowest_price_of_some_countries(countries: list[str], least: int) -> None:
    Rate.objects.create(country="CO", credits_per_segment=2)
    Rate.objects.create(country="US", credits_per_segment=9)

    assert rates.lowest(countries) == least


def test_without_any_rate_everything_costs_one() -> None:
    assert rates.lowest(["CO"]) == rates.lowest() == 1


def test_a_saved_rate_is_audited(root: Member) -> None:
    rate = Rate(country="CO", credits_per_segment=3)

    rates.save(rate=rate, member=root)

    assert rates.table() == {"CO": 3}
    entry = AuditEntry.objects.get(act="rate.saved")
    assert entry.member == root
    assert entry.subject == f"rate:{rate.pk}"
    assert entry.details == {
        "before": {"country": None, "credits_per_segment": None},
        "after": {"country": "CO", "credits_per_segment": 3},
    }


def test_a_removed_rate_is_audited(root: Member) -> None:
    rate = Rate.objects.create(country="CO", credits_per_segment=3)
    subject = f"rate:{rate.pk}"

    rates.remove(rate=rate, member=root)

    assert rates.table() == {}
    assert AuditEntry.objects.get(act="rate.removed").subject == subject


def test_an_owner_sets_no_rate(ana: Member) -> None:
    rate = Rate.objects.create(country="CO", credits_per_segment=3)
    rate.credits_per_segment = 1

    with pytest.raises(RoleMissing):
        rates.save(rate=rate, member=ana)
    with pytest.raises(RoleMissing):
        rates.remove(rate=rate, member=ana)

    assert rates.table() == {"CO": 3}


@pytest.mark.parametrize(
    ("constraint", "row"),
    [
        ("billing_rate_in_range", {"country": "CO", "credits_per_segment": 0}),
        ("billing_rate_in_range", {"country": "CO", "credits_per_segment": 10_001}),
        ("billing_rate_country_two_letters", {"country": "co", "credits_per_segment": 1}),
        ("billing_rate_country_two_letters", {"country": "C", "credits_per_segment": 1}),
    ],
)
def test_the_database_refuses_a_rate_that_nothing_could_match(
    constraint: str, row: dict[str, Any]
) -> None:
    with pytest.raises(IntegrityError, match=constraint), transaction.atomic():
        Rate.objects.create(**row)


def test_a_country_is_written_in_capitals() -> None:
    rate = Rate(country="co", credits_per_segment=2)

    rate.full_clean()

    assert rate.country == "CO"


@pytest.mark.parametrize("country", ["XX", "UK", "57", "c", ""])
def test_what_is_no_country_has_no_rate(country: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        Rate(country=country, credits_per_segment=2).full_clean()

    assert "country" in refusal.value.message_dict


def test_what_is_no_country_is_told_by_its_letters() -> None:
    with pytest.raises(ValidationError, match="No such country: XX"):
        Rate(country="xx", credits_per_segment=2).full_clean()

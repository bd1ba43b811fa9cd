"""Prices: credits a segment by the destination's country; a country without a rate costs one."""

from collections.abc import Collection
from typing import Final, LiteralString

from django.db import transaction

from accounts import audit, roles
from accounts.models import Member
from billing.models import Rate

DEFAULT: Final = 1

# Stands in a SELECT list beside `join(…)`: what one segment to the joined country costs.
PRICE: Final = "coalesce(billing_rate.credits_per_segment, 1)"


def join(country: LiteralString) -> LiteralString:
    """Return the JOIN that `PRICE` needs; country is SQL for two letters, as `contact.region`."""
    return "LEFT JOIN billing_rate ON billing_rate.country = " + country


def table() -> dict[str, int]:
    """Return the credits a segment costs in each country that has a rate of its own."""
    return dict(Rate.objects.values_list("country", "credits_per_segment"))


def lowest(countries: Collection[str] = ()) -> int:
    """Return the least a segment can cost in these countries; without any, in the whole world.

    Without any is how `Organization.allowed_countries` says that every country is allowed.
    """
    if not countries:
        return DEFAULT  # there are always countries without a rate, and no rate is lower
    prices = table()
    return min(prices.get(country, DEFAULT) for country in countries)


@transaction.atomic
def save(*, rate: Rate, member: Member, address: str | None = None) -> None:
    """Keep the rate as it is in memory; broadcasts accepted from now on cost it.

    What was accepted before keeps its price: each message carries its own credits.

    Raises: RoleMissing when the member may not set rates.
    """
    roles.require(member, roles.Right.SET_RATES)
    before = Rate.objects.filter(pk=rate.pk).values("country", "credits_per_segment").first()
    rate.save()
    after = {"country": rate.country, "credits_per_segment": rate.credits_per_segment}
    audit.record(
        act="rate.saved",
        subject=rate,
        member=member,
        details=audit.change(before=before or {}, after=after),
        address=address,
    )


@transaction.atomic
def remove(*, rate: Rate, member: Member, address: str | None = None) -> None:
    """Remove the rate; broadcasts accepted from now on cost one credit a segment to its country.

    Raises: RoleMissing when the member may not set rates.
    """
    roles.require(member, roles.Right.SET_RATES)
    audit.record(
        act="rate.removed",
        subject=rate,
        member=member,
        details={"country": rate.country, "credits_per_segment": rate.credits_per_segment},
        address=address,
    )
    rate.delete()

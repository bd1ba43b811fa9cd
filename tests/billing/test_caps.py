"""Spending caps: a day and a minute in UTC, counted with the acceptance or not at all."""

import logging
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.test import TestCase
from django.utils import timezone

from accounts import roles
from accounts.models import AuditEntry, Member, Organization
from billing import caps
from billing.caps import SpendingCapReached
from billing.models import SpendingCap
from tests.races import at_once

pytestmark = pytest.mark.django_db


def cap(
    organization: Organization, per_day: int | None = None, per_minute: int | None = None
) -> SpendingCap:
    return SpendingCap.objects.create(
        organization=organization, per_day=per_day, per_minute=per_minute
    )


def take(organization: Organization, amount: int) -> None:
    caps.take(organization_id=organization.pk, amount=amount)


def take_in_vain(organization: Organization, amount: int) -> None:
    with transaction.atomic():
        take(organization, amount)
        raise RuntimeError


def midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


# --- counting -------------------------------------------------------------------------------------
def test_without_a_cap_nothing_is_refused_and_nothing_counted(acme: Organization) -> None:
    take(acme, 10**12)

    assert caps.room(acme.pk) is None
    assert not SpendingCap.objects.exists()


def test_S22_what_fits_is_counted_and_what_is_more_is_refused_whole(acme: Organization) -> None:
    cap(acme, per_day=100)

    take(acme, 60)
    with pytest.raises(SpendingCapReached, match="40 are left of the 100"):
        take(acme, 41)
    take(acme, 40)

    assert caps.room(acme.pk) == 0
    assert SpendingCap.objects.get().taken_in_day == 100


def test_a_refusal_says_when_the_day_ends_in_utc(acme: Organization) -> None:
    cap(acme, per_day=100)
    take(acme, 100)
    today = midnight(timezone.now())

    with pytest.raises(SpendingCapReached) as refused:
        take(acme, 1)

    assert refused.value.resets_at in {today + timedelta(days=1), today + timedelta(days=2)}


def test_what_costs_more_than_the_whole_cap_is_never_accepted_and_says_so(
    acme: Organization,
) -> None:
    cap(acme, per_day=100, per_minute=10)
    take(acme, 5)

    with pytest.raises(SpendingCapReached, match="may spend 10 a minute") as refused:
        take(acme, 11)

    assert refused.value.resets_at is None


def test_of_two_reached_caps_the_later_end_is_told(acme: Organization) -> None:
    cap(acme, per_day=100, per_minute=100)
    take(acme, 100)

    with pytest.raises(SpendingCapReached, match="a day") as refused:
        take(acme, 1)

    assert refused.value.resets_at == max(each.ends_at for each in caps.standing(acme.pk))


@pytest.mark.parametrize(
    ("column", "counted", "limit"),
    [("day", "taken_in_day", "per_day"), ("minute", "taken_in_minute", "per_minute")],
)
def test_a_new_day_or_minute_begins_at_nothing(
    acme: Organization, column: str, counted: str, limit: str
) -> None:
    cap(acme, **{limit: 100})
    SpendingCap.objects.update(**{column: timezone.now() - timedelta(days=1), counted: 100})

    take(acme, 70)

    assert caps.room(acme.pk) == 30
    assert getattr(SpendingCap.objects.get(), counted) == 70


def test_a_clock_that_was_set_back_gives_nothing_back(acme: Organization) -> None:
    tomorrow = midnight(timezone.now()) + timedelta(days=1)
    cap(acme, per_day=100)
    SpendingCap.objects.update(day=tomorrow, taken_in_day=100)

    with pytest.raises(SpendingCapReached) as refused:
        take(acme, 1)

    assert refused.value.resets_at == tomorrow + timedelta(days=1)


def test_a_refusal_further_on_gives_back_what_was_taken(acme: Organization) -> None:
    cap(acme, per_day=100)

    with pytest.raises(RuntimeError):
        take_in_vain(acme, 60)

    assert caps.room(acme.pk) == 100


def test_anothers_cap_is_anothers(acme: Organization, borealis: Organization) -> None:
    cap(acme, per_day=100)
    cap(borealis, per_day=1)

    take(acme, 100)

    assert caps.room(borealis.pk) == 1


@pytest.mark.django_db(transaction=True)
def test_S22_twenty_at_once_never_overrun_it(acme: Organization) -> None:
    cap(acme, per_day=70, per_minute=10_000)

    def take_ten() -> None:
        with transaction.atomic():
            take(acme, 10)

    outcomes = at_once(*[take_ten] * 20)

    assert outcomes.count(None) == 7
    assert sum(isinstance(outcome, SpendingCapReached) for outcome in outcomes) == 13
    assert SpendingCap.objects.get().taken_in_day == 70


@pytest.mark.django_db(transaction=True)
def test_S22_while_the_cap_cannot_be_asked_nothing_is_taken(acme: Organization) -> None:
    cap(acme, per_day=70)

    def wait_in_vain() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout = '100ms'")
            take(acme, 10)

    with transaction.atomic():
        SpendingCap.objects.select_for_update().get()
        (outcome,) = at_once(wait_in_vain)

    assert "lock timeout" in str(outcome)
    assert SpendingCap.objects.get().taken_in_day == 0


# --- telling --------------------------------------------------------------------------------------
def test_S25_half_four_fifths_and_all_of_it_are_told_once_each(
    acme: Organization,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cap(acme, per_day=100)
    with TestCase.captureOnCommitCallbacks(execute=True):
        for amount in (49, 1, 29, 1, 20):
            take(acme, amount)

    told = [record for record in caplog.records if record.msg == "spending_cap_share_used"]

    assert [record.__dict__["percent"] for record in told] == [50, 80, 100]
    assert {record.levelno for record in told} == {logging.WARNING}
    assert {record.__dict__["organization"] for record in told} == {str(acme.pk)}


def test_S25_what_is_not_accepted_after_all_is_not_told(
    acme: Organization,
    caplog: pytest.LogCaptureFixture,
) -> None:
    cap(acme, per_day=100)

    with TestCase.captureOnCommitCallbacks(execute=True), pytest.raises(RuntimeError):
        take_in_vain(acme, 60)

    assert "spending_cap_share_used" not in caplog.messages


def test_S25_a_refusal_is_told(acme: Organization, caplog: pytest.LogCaptureFixture) -> None:
    cap(acme, per_minute=10)

    with pytest.raises(SpendingCapReached):
        take(acme, 11)

    (record,) = [record for record in caplog.records if record.msg == "spending_cap_reached"]
    assert (record.__dict__["period"], record.__dict__["refused"]) == ("minute", 11)


# --- setting --------------------------------------------------------------------------------------
@pytest.mark.parametrize("who", ["ana", "root"])
def test_an_owner_and_the_platform_set_it_and_it_is_recorded(
    request: pytest.FixtureRequest, acme: Organization, who: str
) -> None:
    member = request.getfixturevalue(who)
    caps.save(cap=SpendingCap(organization=acme, per_day=100), member=member, address="192.0.2.7")

    changed = SpendingCap.objects.get()
    changed.per_day, changed.per_minute = None, 7
    caps.save(cap=changed, member=member)

    first, second = AuditEntry.objects.filter(act="spending_cap.saved").order_by("created_at")
    assert first.details == {"before": {"per_day": None}, "after": {"per_day": 100}}
    assert second.details["before"] == {"per_day": 100, "per_minute": None}
    assert second.details["after"] == {"per_day": None, "per_minute": 7}
    assert (first.organization, first.member, first.address) == (acme, member, "192.0.2.7")


@pytest.mark.parametrize("who", ["sara", "vera", "carla"])
def test_nobody_else_sets_it(request: pytest.FixtureRequest, acme: Organization, who: str) -> None:
    with pytest.raises(roles.RoleMissing):
        caps.save(
            cap=SpendingCap(organization=acme, per_day=1), member=request.getfixturevalue(who)
        )

    assert not SpendingCap.objects.exists()


def test_setting_it_keeps_what_was_counted_meanwhile(acme: Organization, ana: Member) -> None:
    as_read = cap(acme, per_day=100)
    take(acme, 60)

    as_read.per_day = 70
    caps.save(cap=as_read, member=ana)

    assert caps.room(acme.pk) == 10


def test_a_cap_below_what_was_spent_leaves_nothing(acme: Organization, ana: Member) -> None:
    as_read = cap(acme, per_day=100)
    take(acme, 60)
    as_read.per_day = 10
    caps.save(cap=as_read, member=ana)

    assert caps.room(acme.pk) == 0
    with pytest.raises(SpendingCapReached):
        take(acme, 1)

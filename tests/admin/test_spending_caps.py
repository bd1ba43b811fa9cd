"""The admin's pages about spending caps: an owner sets his organization's, the platform anybody's."""

from datetime import timedelta
from typing import Any

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, Member, Organization
from billing import caps
from billing.models import SpendingCap
from tests.admin.pages import address, rows, text
from tests.people import AdminOf

pytestmark = pytest.mark.django_db

ADD = "admin:billing_spendingcap_add"


@pytest.fixture
def both(acme: Organization, borealis: Organization) -> tuple[SpendingCap, SpendingCap]:
    cap = SpendingCap.objects.create
    return cap(organization=acme, per_day=7_000), cap(organization=borealis, per_day=9_000)


def test_an_owner_sets_the_own_cap_and_it_is_recorded(
    acme: Organization, ana: Member, admin_of: AdminOf
) -> None:
    answer = admin_of(ana).post(reverse(ADD), {"per_day": "500", "per_minute": ""})

    assert answer.status_code == 302
    cap = SpendingCap.objects.get()
    assert (cap.organization, cap.per_day, cap.per_minute) == (acme, 500, None)
    entry = AuditEntry.objects.get(act="spending_cap.saved")
    assert (entry.member, entry.organization, entry.address) == (ana, acme, "127.0.0.1")
    assert entry.details["after"] == {"per_day": 500}


def test_the_platform_sets_anybodys(
    borealis: Organization, root: Member, admin_of: AdminOf
) -> None:
    fields = {"organization": borealis.pk, "per_day": "", "per_minute": "50"}

    assert admin_of(root).post(reverse(ADD), fields).status_code == 302

    assert SpendingCap.objects.get().organization == borealis


def test_an_organization_has_one_cap(
    both: tuple[SpendingCap, SpendingCap], ana: Member, root: Member, admin_of: AdminOf
) -> None:
    fields = {"organization": both[0].organization_id, "per_day": "1"}

    by_platform = admin_of(root).post(reverse(ADD), fields)
    by_owner = admin_of(ana).post(reverse(ADD), fields)

    assert "Change that one" in text(by_platform)
    assert by_owner.status_code == 403
    assert SpendingCap.objects.count() == 2


@pytest.mark.parametrize("wrong", ["0", "-1", "1.5", "NaN", str(2**63), str(10**12 + 1)])
def test_what_is_no_number_of_credits_is_refused(
    both: tuple[SpendingCap, SpendingCap], ana: Member, admin_of: AdminOf, wrong: str
) -> None:
    answer = admin_of(ana).post(address(both[0], "change"), {"per_day": wrong})

    assert answer.status_code == 200
    assert answer.context["adminform"].form.errors.keys() == {"per_day"}


def test_changing_it_keeps_what_was_counted(
    both: tuple[SpendingCap, SpendingCap], acme: Organization, ana: Member, admin_of: AdminOf
) -> None:
    caps.take(organization_id=acme.pk, amount=60)

    answer = admin_of(ana).post(address(both[0], "change"), {"per_day": "100", "per_minute": ""})

    assert answer.status_code == 302
    assert caps.room(acme.pk) == 40


def test_the_list_says_what_was_accepted_today_and_not_what_was_before(
    both: tuple[SpendingCap, SpendingCap],
    acme: Organization,
    borealis: Organization,
    root: Member,
    admin_of: AdminOf,
) -> None:
    caps.take(organization_id=acme.pk, amount=61)
    SpendingCap.objects.filter(organization=borealis).update(
        day=timezone.now() - timedelta(days=1), taken_in_day=678_905
    )

    answer = admin_of(root).get(address(SpendingCap))

    assert {row.organization: row.counted_today for row in rows(answer)} == {acme: 61, borealis: 0}
    assert "61" in text(answer)
    assert "678" not in text(answer)


def test_the_list_asks_nothing_a_row(
    both: tuple[SpendingCap, SpendingCap],
    root: Member,
    admin_of: AdminOf,
    django_assert_max_num_queries: Any,
) -> None:
    client = admin_of(root)

    with django_assert_max_num_queries(8):
        client.get(address(SpendingCap))


def test_S54_another_organizations_is_neither_listed_nor_opened(
    both: tuple[SpendingCap, SpendingCap], ana: Member, admin_of: AdminOf
) -> None:
    client = admin_of(ana)

    assert rows(client.get(address(SpendingCap))) == [both[0]]
    foreign = client.post(address(both[1], "change"), {"per_day": "1"})
    assert foreign.status_code == 404
    assert SpendingCap.objects.get(pk=both[1].pk).per_day == 9_000


@pytest.mark.parametrize("who", ["sara", "vera"])
def test_who_may_not_change_settings_only_reads(
    request: pytest.FixtureRequest,
    both: tuple[SpendingCap, SpendingCap],
    admin_of: AdminOf,
    who: str,
) -> None:
    client = admin_of(request.getfixturevalue(who))

    assert "7000" in text(client.get(address(both[0], "change"))).replace(",", "")
    assert client.post(address(both[0], "change"), {"per_day": "1"}).status_code == 403
    assert client.get(reverse(ADD)).status_code == 403
    assert SpendingCap.objects.get(pk=both[0].pk).per_day == 7_000


def test_nobody_deletes_it_an_empty_cap_is_none(
    both: tuple[SpendingCap, SpendingCap], acme: Organization, ana: Member, admin_of: AdminOf
) -> None:
    client = admin_of(ana)

    assert client.post(address(both[0], "delete"), {"post": "yes"}).status_code == 403
    client.post(address(both[0], "change"), {"per_day": "", "per_minute": ""})

    assert caps.room(acme.pk) is None

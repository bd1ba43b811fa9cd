"""The lists of credits: how many queries they ask, and how they write moments."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import Member, Organization
from billing import ledger
from billing.models import CreditAccount, LedgerEntry
from tests.people import AdminOf

pytestmark = pytest.mark.django_db


def _list_of(model: str) -> str:
    return reverse(f"admin:billing_{model}_changelist")


@pytest.mark.parametrize("model", ["creditaccount", "ledgerentry"])
def test_a_longer_list_asks_no_more_queries(root: Member, model: str, admin_of: AdminOf) -> None:
    client, asked = admin_of(root), []
    for shown in (2, 20):
        for number in range(Organization.objects.count(), shown):
            organization = Organization.objects.create(name=f"Organization {number}")
            ledger.grant(organization=organization, amount=1, member=root, note="")
        with CaptureQueriesContext(connection) as queries:
            answer = client.get(_list_of(model))
        assert len(answer.context["cl"].result_list) == shown
        asked.append(len(queries))

    assert asked[0] == asked[1]


@pytest.mark.parametrize("model", ["creditaccount", "ledgerentry"])
def test_moments_are_written_in_one_way_to_the_second(
    root: Member, acme: Organization, model: str, admin_of: AdminOf
) -> None:
    ledger.grant(organization=acme, amount=1, member=root, note="")
    client = admin_of(root)
    row = (CreditAccount if model == "creditaccount" else LedgerEntry).objects.get()

    for language in ("en", "es"):
        page = client.get(
            reverse(f"admin:billing_{model}_change", args=[row.pk]),
            headers={"Accept-Language": language},
        )
        written = f"{timezone.localtime(row.created_at):%Y-%m-%d %H:%M:%S}"
        assert re.search(rf">\s*{written}\s*<", page.content.decode())

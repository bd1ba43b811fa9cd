"""The admin's pages about credits: who sees what, and how credits are granted."""

import re
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import AuditEntry, Member, Organization
from billing import ledger
from billing.models import CreditAccount, LedgerEntry, Rate
from tests.people import AdminOf

pytestmark = pytest.mark.django_db

GRANT = "admin:billing_creditaccount_grant_credits"


def test_the_operator_is_asked_and_shown_the_consequence_and_only_then_grants(
    acme: Organization, root: Member, admin_of: AdminOf
) -> None:
    ledger.grant(organization=acme, amount=10, member=root, note="")
    client = admin_of(root)

    asked = client.get(reverse(GRANT), {"organization": str(acme.pk)})
    movement = _value(asked, "movement")
    answers = {"organization": acme.pk, "amount": "500", "note": "Invoice 17", "movement": movement}
    shown = client.post(reverse(GRANT), answers)

    assert ledger.balance(acme.pk).available == 10
    assert asked.content.decode().count('name="amount"') == 1
    page = shown.content.decode()
    assert page.count('name="amount"') == 1
    for consequence in ("500 credits", "Acme", "510", "Invoice 17", "cannot be taken back"):
        assert consequence in page

    confirmed = client.post(
        reverse(GRANT), {**_hidden_values(shown), "confirm": "yes"}, follow=True
    )

    assert ledger.balance(acme.pk).available == 510
    assert "500 credits were granted to Acme." in confirmed.content.decode()
    entry = LedgerEntry.objects.get(reference=f"grant:{movement}")
    assert (entry.member, entry.note) == (root, "Invoice 17")
    assert AuditEntry.objects.filter(act="credits.granted", address="127.0.0.1").count() == 1


def test_a_get_never_grants(acme: Organization, root: Member, admin_of: AdminOf) -> None:
    answers = _answers(acme, confirm="yes")

    response = admin_of(root).get(reverse(GRANT), answers)

    assert response.status_code == 200
    assert ledger.balance(acme.pk).available == 0


def test_a_double_click_grants_once_and_says_so(
    acme: Organization, root: Member, admin_of: AdminOf
) -> None:
    client, answers = admin_of(root), _answers(acme, confirm="yes")

    client.post(reverse(GRANT), answers)
    second = client.post(reverse(GRANT), answers, follow=True)

    assert ledger.balance(acme.pk).available == 500
    assert "nothing was added now" in second.content.decode()


def test_the_answers_can_be_changed_before_they_are_confirmed(
    acme: Organization, root: Member, admin_of: AdminOf
) -> None:
    response = admin_of(root).post(reverse(GRANT), _answers(acme, edit="yes"))

    assert 'value="500"' in response.content.decode()
    assert 'name="confirm"' not in response.content.decode()
    assert ledger.balance(acme.pk).available == 0


@pytest.mark.parametrize("role", ["VIEWER", "SENDER", "OWNER"])
@pytest.mark.parametrize("method", ["get", "post"])
def test_nobody_of_an_organization_grants(
    acme: Organization, ana: Member, role: str, method: str, admin_of: AdminOf
) -> None:
    Member.objects.filter(pk=ana.pk).update(role=role)

    response = getattr(admin_of(ana), method)(reverse(GRANT), _answers(acme, confirm="yes"))

    assert response.status_code == 403
    assert ledger.balance(acme.pk).available == 0


def test_who_is_not_signed_in_is_sent_to_the_sign_in(acme: Organization) -> None:
    response = Client().post(reverse(GRANT), _answers(acme, confirm="yes"))

    assert response.status_code == 302
    assert response["Location"].startswith(reverse("admin:login"))
    assert ledger.balance(acme.pk).available == 0


def test_a_grant_without_the_csrf_token_is_refused(acme: Organization, root: Member) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(root)

    response = client.post(reverse(GRANT), _answers(acme, confirm="yes"))

    assert response.status_code == 403
    assert ledger.balance(acme.pk).available == 0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", "0"),
        ("amount", "-1"),
        ("amount", "1.5"),
        ("amount", "NaN"),
        ("amount", str(10**12 + 1)),
        ("amount", str(2**63)),
        ("amount", ""),
        ("note", ""),
        ("note", "x" * 201),
        ("organization", ""),
        ("organization", "nobody"),
        ("organization", "1a9886b9-60d1-4c55-af97-f58762d5374a"),
        ("movement", ""),
        ("movement", "1"),
    ],
)
def test_a_wrong_answer_is_shown_and_grants_nothing(
    acme: Organization, root: Member, field: str, value: str, admin_of: AdminOf
) -> None:
    answers = _answers(acme, confirm="yes") | {field: value}

    response = admin_of(root).post(reverse(GRANT), answers)

    assert response.status_code == 200
    assert response.context["form"].errors[field][0] in response.content.decode()
    assert not LedgerEntry.objects.exists()


def test_a_grant_to_a_suspended_organization_is_warned_of(
    acme: Organization, root: Member, admin_of: AdminOf
) -> None:
    Organization.objects.filter(pk=acme.pk).update(status="SUSPENDED")

    response = admin_of(root).post(reverse(GRANT), _answers(acme))

    assert "is suspended" in response.content.decode()


def test_markup_in_a_name_or_a_note_stays_text(
    acme: Organization, root: Member, admin_of: AdminOf
) -> None:
    Organization.objects.filter(pk=acme.pk).update(name="<script>alert(1)</script>")
    client, answers = admin_of(root), _answers(acme) | {"note": "<b>bold</b>"}

    shown = client.post(reverse(GRANT), answers)
    granted = client.post(reverse(GRANT), {**answers, "confirm": "yes"}, follow=True)

    for page in (shown.content.decode(), granted.content.decode()):
        assert "<script>alert(1)" not in page
        assert "<b>bold" not in page


def test_the_lists_offer_to_grant_to_the_operator_alone(
    acme: Organization, root: Member, ana: Member, admin_of: AdminOf
) -> None:
    ledger.grant(organization=acme, amount=10, member=root, note="")
    account = CreditAccount.objects.get()

    for page in (_list_of("creditaccount"), _page_of(account)):
        assert "Grant credits" in admin_of(root).get(page).content.decode()
        assert "Grant credits" not in admin_of(ana).get(page).content.decode()


def test_an_accounts_page_leads_to_its_grant_and_its_entries(
    acme: Organization, borealis: Organization, root: Member, admin_of: AdminOf
) -> None:
    ledger.grant(organization=acme, amount=10, member=root, note="")
    ledger.grant(organization=borealis, amount=77, member=root, note="")
    account, client = CreditAccount.objects.get(organization=acme), admin_of(root)

    more = client.get(reverse("admin:billing_creditaccount_grant_more", args=[account.pk]))
    entries = client.get(
        reverse("admin:billing_creditaccount_show_entries", args=[account.pk]), follow=True
    )

    assert more["Location"] == f"{reverse(GRANT)}?organization={acme.pk}"
    assert [entry.amount for entry in entries.context["cl"].result_list] == [10]


@pytest.mark.parametrize("name", ["not-an-id", "00000000-0000-0000-0000-000000000000"])
def test_a_grant_from_an_account_that_is_not_there_is_not_found(
    root: Member, name: str, admin_of: AdminOf
) -> None:
    response = admin_of(root).get(reverse("admin:billing_creditaccount_grant_more", args=[name]))

    assert response.status_code == 404


@pytest.mark.parametrize("model", ["creditaccount", "ledgerentry"])
def test_a_member_sees_only_the_own_organizations_credits(
    acme: Organization,
    borealis: Organization,
    root: Member,
    ana: Member,
    carla: Member,
    model: str,
    admin_of: AdminOf,
) -> None:
    ledger.grant(organization=acme, amount=111_222, member=root, note="")
    theirs: Any = CreditAccount if model == "creditaccount" else LedgerEntry

    seen_by_ana = admin_of(ana).get(_list_of(model)).content.decode()
    seen_by_carla = admin_of(carla).get(_list_of(model)).content.decode()
    opened_by_carla = admin_of(carla).get(_page_of(theirs.objects.get()))

    assert "111222" in seen_by_ana
    assert "111222" not in seen_by_carla
    assert opened_by_carla.status_code == 404


def test_the_operator_sees_every_organizations_credits(
    acme: Organization, borealis: Organization, root: Member, admin_of: AdminOf
) -> None:
    ledger.grant(organization=acme, amount=111, member=root, note="")
    ledger.grant(organization=borealis, amount=222, member=root, note="")

    for model in ("creditaccount", "ledgerentry"):
        response = admin_of(root).get(_list_of(model))
        assert response.context["cl"].result_count == 2


@pytest.mark.parametrize("model", ["creditaccount", "ledgerentry"])
def test_credits_are_never_edited_by_hand(
    acme: Organization, root: Member, ana: Member, model: str, admin_of: AdminOf
) -> None:
    ledger.grant(organization=acme, amount=10, member=root, note="")
    row: Any = (CreditAccount if model == "creditaccount" else LedgerEntry).objects.get()

    for member in (root, ana):
        client = admin_of(member)
        assert client.get(_page_of(row)).status_code == 200
        assert client.post(_page_of(row), {"available": "999"}).status_code == 403
        assert client.get(_page_of(row, "delete")).status_code == 403
        assert client.post(_page_of(row, "delete"), {"post": "yes"}).status_code == 403
        assert client.get(reverse(f"admin:billing_{model}_add")).status_code == 403
        client.post(
            _list_of(model),
            {"action": "delete_selected", "_selected_action": row.pk, "post": "yes"},
        )

    assert ledger.balance(acme.pk).available == 10
    assert LedgerEntry.objects.count() == 1


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"kind__exact": "GRANT"}, ["grant:1"]),
        ({"kind__exact": "RESERVE"}, ["broadcast:1"]),
        ({"q": "broadcast:1"}, ["broadcast:1:a:1", "broadcast:1"]),
        ({"created_at_from": "2999-01-01"}, []),
        ({"created_at_to": "2000-01-01"}, []),
        ({"created_at_from": "yesterday"}, []),
        ({"created_at_to": "9999-12-31"}, []),
        (
            {"created_at_from": "2000-01-01", "created_at_to": str(datetime.now(tz=UTC).date())},
            ["broadcast:1:a:1", "broadcast:1", "grant:1"],
        ),
    ],
)
def test_entries_are_filtered_by_kind_period_and_reference(
    acme: Organization,
    root: Member,
    ana: Member,
    query: dict[str, str],
    found: list[str],
    admin_of: AdminOf,
) -> None:
    ledger.grant(organization=acme, amount=10, member=root, note="", reference="grant:1")
    ledger.reserve(organization_id=acme.pk, amount=10, reference="broadcast:1")
    ledger.capture(organization_id=acme.pk, amount=10, reference="broadcast:1:a:1")

    response = admin_of(ana).get(_list_of("ledgerentry"), query)

    assert [entry.reference for entry in response.context["cl"].result_list] == found


def test_the_operator_sets_a_rate(root: Member, admin_of: AdminOf) -> None:
    admin_of(root).post(
        reverse("admin:billing_rate_add"), {"country": "co", "credits_per_segment": "3"}
    )

    rate = Rate.objects.get()
    assert (rate.country, rate.credits_per_segment) == ("CO", 3)
    assert AuditEntry.objects.get(act="rate.saved").member == root


def test_the_operator_changes_and_removes_rates(root: Member, admin_of: AdminOf) -> None:
    colombia = Rate.objects.create(country="CO", credits_per_segment=3)
    spain = Rate.objects.create(country="ES", credits_per_segment=4)
    client = admin_of(root)

    client.post(_page_of(colombia), {"country": "CO", "credits_per_segment": "5"})
    assert Rate.objects.get(country="CO").credits_per_segment == 5

    client.post(_page_of(colombia, "delete"), {"post": "yes"})
    client.post(
        _list_of("rate"),
        {"action": "delete_selected", "_selected_action": spain.pk, "post": "yes"},
    )
    assert not Rate.objects.exists()
    assert AuditEntry.objects.filter(act="rate.removed").count() == 2


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("country", "UK"),
        ("country", "es"),
        ("credits_per_segment", "0"),
        ("credits_per_segment", "10001"),
        ("credits_per_segment", str(2**63)),
    ],
)
def test_a_rate_that_cannot_be_is_shown_to_be_wrong(
    root: Member, field: str, value: str, admin_of: AdminOf
) -> None:
    Rate.objects.create(country="ES", credits_per_segment=2)
    answers = {"country": "CO", "credits_per_segment": "3"} | {field: value}

    response = admin_of(root).post(reverse("admin:billing_rate_add"), answers)

    assert response.status_code == 200
    assert field in response.context["adminform"].form.errors
    assert Rate.objects.count() == 1


@pytest.mark.parametrize("role", ["VIEWER", "SENDER", "OWNER"])
def test_members_read_rates_and_set_none(ana: Member, role: str, admin_of: AdminOf) -> None:
    rate = Rate.objects.create(country="CO", credits_per_segment=3)
    Member.objects.filter(pk=ana.pk).update(role=role)
    client = admin_of(ana)

    assert "CO" in client.get(_list_of("rate")).content.decode()
    for page in (_page_of(rate), _page_of(rate, "delete"), reverse("admin:billing_rate_add")):
        answers = {"country": "CO", "credits_per_segment": "1", "post": "yes"}
        assert client.post(page, answers).status_code == 403
    assert Rate.objects.get().credits_per_segment == 3


def _answers(organization: Organization, **more: str) -> dict[str, str]:
    return {
        "organization": str(organization.pk),
        "amount": "500",
        "note": "Invoice 17",
        "movement": str(uuid4()),
        **more,
    }


def _list_of(model: str) -> str:
    return reverse(f"admin:billing_{model}_changelist")


def _page_of(row: Any, page: str = "change") -> str:
    return reverse(f"admin:billing_{row._meta.model_name}_{page}", args=[row.pk])


def _value(response: Any, name: str) -> str:
    return _hidden_values(response)[name]


def _hidden_values(response: Any) -> dict[str, str]:
    """Return what the page's form would send back by itself."""
    inputs = re.findall(r'<input type="hidden"[^>]*>', response.content.decode())
    found = {}
    for tag in inputs:
        attributes = dict(re.findall(r'(\w+)="([^"]*)"', tag))
        if attributes.get("name") not in (None, "csrfmiddlewaretoken"):
            found[attributes["name"]] = attributes.get("value", "")
    return found

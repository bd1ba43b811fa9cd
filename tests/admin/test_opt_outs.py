"""The admin's pages about opt-outs and number readings: who adds, who lifts, what nobody writes."""

import re
from typing import Any

import pytest
from django.db.models import Model
from django.urls import reverse

from accounts.models import AuditEntry, Member, Organization
from contacts import number_readings
from contacts.models import NumberReading, Suppression
from tests.contacts.factories import ContactFactory, SuppressionFactory
from tests.people import AdminOf

pytestmark = pytest.mark.django_db


def address(model: type[Model] | Model, page: str = "changelist") -> str:
    name = f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}"
    return reverse(name, args=[model.pk] if isinstance(model, Model) else [])


def text(response: Any) -> str:
    return re.sub(r"\s+", " ", response.content.decode())


# --- opt-outs -------------------------------------------------------------------------------------
def test_a_sender_opts_a_number_out_as_it_is_written_at_home(
    acme: Organization, sara: Member, admin_of: AdminOf
) -> None:
    admin_of(sara).post(address(Suppression, "add"), {"recipient": "303 123 4567"})

    suppression = Suppression.objects.get()
    assert (suppression.organization, suppression.recipient) == (acme, "+573031234567")
    assert (suppression.source, suppression.member) == (Suppression.Source.MEMBER, sara)
    entry = AuditEntry.objects.get(act="suppression.added")
    assert (entry.member, entry.address) == (sara, "127.0.0.1")


def test_opting_out_again_answers_with_the_first(
    acme: Organization, sara: Member, admin_of: AdminOf
) -> None:
    first = SuppressionFactory.create(
        organization=acme, recipient="+573031234567", source="KEYWORD"
    )

    response = admin_of(sara).post(address(Suppression, "add"), {"recipient": first.recipient})

    assert response.status_code == 302
    first.refresh_from_db()
    assert (first.source, first.member) == ("MEMBER", sara)
    assert Suppression.objects.count() == 1


def test_what_is_no_number_is_refused_on_the_form(
    acme: Organization, sara: Member, admin_of: AdminOf
) -> None:
    response = admin_of(sara).post(address(Suppression, "add"), {"recipient": "12"})

    assert "This is no valid phone number. Write it with its country" in text(response)
    assert not Suppression.objects.exists()


def test_an_owner_lifts_opt_outs_one_by_one_and_together(
    acme: Organization, ana: Member, admin_of: AdminOf
) -> None:
    one, *others = SuppressionFactory.create_batch(3, organization=acme)
    client = admin_of(ana)

    client.post(address(one, "delete"), {"post": "yes"})
    chosen = {"action": "delete_selected", "_selected_action": [str(o.pk) for o in others]}
    client.post(address(Suppression), {**chosen, "post": "yes"})

    assert not Suppression.objects.exists()
    assert AuditEntry.objects.filter(act="suppression.lifted", member=ana).count() == 3


def test_a_sender_lifts_none_and_nobody_changes_one(
    acme: Organization, sara: Member, ana: Member, admin_of: AdminOf
) -> None:
    kept = SuppressionFactory.create(organization=acme)
    client = admin_of(sara)

    assert client.post(address(kept, "delete"), {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [str(kept.pk)], "post": "yes"}
    client.post(address(Suppression), chosen)
    for member in (sara, ana):
        changed = admin_of(member).post(address(kept, "change"), {"recipient": "+573039999999"})
        assert changed.status_code == 403

    kept.refresh_from_db()
    assert kept.recipient != "+573039999999"


@pytest.mark.parametrize(("who", "status"), [("vera", 403), ("root", 403), ("sara", 200)])
def test_who_may_open_the_form_of_an_opt_out(
    request: pytest.FixtureRequest, admin_of: AdminOf, who: str, status: int
) -> None:
    client = admin_of(request.getfixturevalue(who))

    assert client.get(address(Suppression, "add")).status_code == status


@pytest.mark.parametrize(
    ("question", "count"),
    [("+573031234567", 1), ("303 123", 1), ("+57", 1), ("304", 0), ("Ana", 0), ("", 2)],
)
def test_opt_outs_are_found_by_number(
    acme: Organization, vera: Member, admin_of: AdminOf, question: str, count: int
) -> None:
    SuppressionFactory.create(organization=acme, recipient="+573031234567")
    SuppressionFactory.create(organization=acme, recipient="+12025550123")

    response = admin_of(vera).get(address(Suppression), {"q": question})

    assert len(response.context["cl"].result_list) == count


def test_opt_outs_of_others_are_not_seen(
    borealis: Organization, vera: Member, admin_of: AdminOf
) -> None:
    foreign = SuppressionFactory.create(organization=borealis)
    client = admin_of(vera)

    assert foreign.recipient not in text(client.get(address(Suppression)))
    assert client.get(address(foreign, "change")).status_code == 404


# --- number readings ------------------------------------------------------------------------------
def test_number_readings_are_shown_and_never_written(
    acme: Organization, ana: Member, root: Member, admin_of: AdminOf
) -> None:
    ContactFactory.create(organization=acme, phone="3001234567")
    number_readings.ensure(organization_id=acme.pk, countries=["US"])
    row = NumberReading.objects.get()

    for member in (ana, root):
        client = admin_of(member)
        assert "3001234567" in text(client.get(address(NumberReading), {"q": "3001234567"}))
        assert client.get(address(row, "change")).status_code == 200
        assert client.get(address(NumberReading, "add")).status_code == 403
        assert client.post(address(row, "change"), {"e164": "+1"}).status_code == 403
        assert client.post(address(row, "delete"), {"post": "yes"}).status_code == 403

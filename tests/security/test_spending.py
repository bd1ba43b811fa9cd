"""Toll fraud and programs that run wild: what stops a send before it costs too much, at every door."""

from typing import Any, Final

import pytest
from django.test import TestCase
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import Member, Organization
from billing import caps, ledger
from billing.models import SpendingCap
from contacts.models import Tag
from messaging.models import Broadcast, Skip
from tests.api.refusals import fields, nothing_happens, told
from tests.messaging.factories import contacts_in_order, grant
from tests.people import ClientOf
from tests.races import at_once

pytestmark = pytest.mark.django_db

CO, MX, US_PREMIUM, SATELLITE = "+573001234567", "+525512345678", "+19005551234", "+8823421234"
DOORS: Final = ("all", "contacts", "tags")


@pytest.fixture
def ready(settings: Settings, acme: Organization) -> Tag:
    """Two contacts in Colombia and Mexico, both with one tag; credits enough."""
    settings.SMS_PROVIDERS = ["memory://local"]
    grant(acme, 1_000)
    tag = Tag.objects.create(organization=acme, name="all")
    tag.contacts.set(contacts_in_order(acme, CO, MX))
    return tag


def send(client: APIClient, tag: Tag, door: str = "all", text: str = "Hola") -> Any:
    to: dict[str, Any] = {
        "all": {},
        "contacts": {"contacts": [CO, MX]},
        "tags": {"tagIds": [tag.pk]},
    }
    return client.post(f"/api/messages/sms/{door}", {"message": text, **to[door]}, format="json")


@pytest.mark.parametrize("door", DOORS)
def test_S22_a_cap_stops_every_door(
    client_of: ClientOf, acme: Organization, ana: Member, ready: Tag, door: str
) -> None:
    SpendingCap.objects.create(organization=acme, per_day=3)
    client = client_of(ana)
    send(client, ready, door)

    with nothing_happens():
        over = send(client, ready, door, "Otra vez")

    assert told(over) == (402, "4020")


@pytest.mark.django_db(transaction=True)
def test_S22_requests_at_once_do_not_overrun_it(
    client_of: ClientOf, key_of: ClientOf, acme: Organization, ana: Member, ready: Tag
) -> None:
    SpendingCap.objects.create(organization=acme, per_day=7)
    client = client_of(ana)

    answers = at_once(*[lambda n=n: send(client, ready, text=f"Hola {n}") for n in range(8)])

    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [402] * 5
    assert caps.room(acme.pk) == 1
    assert ledger.balance(acme.pk).reserved == 6


@pytest.mark.parametrize("door", DOORS)
def test_S23_only_countries_on_the_organizations_list_are_written_to(
    client_of: ClientOf, acme: Organization, ana: Member, ready: Tag, door: str
) -> None:
    Organization.objects.filter(pk=acme.pk).update(allowed_countries=["CO"])

    answer = send(client_of(ana), ready, door)

    assert answer.status_code == 201
    assert list(Broadcast.objects.get().messages.values_list("recipient", flat=True)) == [CO]
    assert list(Skip.objects.values_list("phone", "reason")) == [(MX, "unsupported_country")]


def test_S23_without_a_list_premium_and_satellite_numbers_are_left_out_all_the_same(
    client_of: ClientOf, acme: Organization, ana: Member, ready: Tag
) -> None:
    contacts_in_order(acme, US_PREMIUM, SATELLITE)

    answer = send(client_of(ana), ready)

    assert answer.status_code == 201
    assert set(Broadcast.objects.get().messages.values_list("recipient", flat=True)) == {CO, MX}
    assert set(Skip.objects.values_list("phone", "reason")) == {
        (US_PREMIUM, "unsupported_number"),
        (SATELLITE, "unsupported_number"),
    }


def test_S25_somebody_is_told_at_half_at_four_fifths_and_at_the_stop(
    client_of: ClientOf,
    acme: Organization,
    ana: Member,
    ready: Tag,
    caplog: pytest.LogCaptureFixture,
) -> None:
    SpendingCap.objects.create(organization=acme, per_day=10)
    client = client_of(ana)

    with TestCase.captureOnCommitCallbacks(execute=True):
        answers = [send(client, ready, text=f"Hola {n}").status_code for n in range(6)]

    told_of = [
        (record.message, record.__dict__.get("percent"))
        for record in caplog.records
        if record.message.startswith("spending_cap")
    ]
    assert answers == [201] * 5 + [402]
    assert sorted(told_of, key=str) == [
        ("spending_cap_reached", None),
        ("spending_cap_share_used", 100),
        ("spending_cap_share_used", 50),
        ("spending_cap_share_used", 80),
    ]


@pytest.mark.parametrize("door", DOORS)
def test_S26_a_text_has_at_most_so_many_segments_and_an_audience_so_many_contacts(
    client_of: ClientOf, settings: Settings, ana: Member, ready: Tag, door: str
) -> None:
    client = client_of(ana)
    settings.MAX_AUDIENCE = 1
    with nothing_happens():
        large = send(client, ready, door)
    settings.SMS_PROVIDERS = [
        f"twilio://AC{'0' * 32}:token@api.twilio.com?from=%2B15005550006"  # 1,600 characters
    ]
    with nothing_happens():
        long = send(client, ready, door, "a" * 1_601)

    assert told(large) == (400, "4004")
    assert told(long) == (400, "4003")
    assert fields(long) == {"message"}


@pytest.mark.parametrize("door", DOORS)
def test_S27_above_the_organizations_size_another_member_decides_at_every_door(
    client_of: ClientOf, acme: Organization, ana: Member, ready: Tag, door: str
) -> None:
    Organization.objects.filter(pk=acme.pk).update(approval_above=1)
    client = client_of(ana)

    answer = send(client, ready, door)

    broadcast = Broadcast.objects.get()
    assert answer.status_code == 201
    assert (broadcast.status, broadcast.paused_because) == ("PAUSED", "approval")
    for verb in ("resume", "approve"):
        assert client.post(f"/api/messages/queues/{broadcast.pk}/{verb}").status_code >= 400

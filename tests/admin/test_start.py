"""The admin's start page and sidebar: what each member finds when he comes in."""

import re
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Member, Terms
from billing import ledger
from messaging.models import Broadcast, Heartbeat, ProviderState
from messaging.providers import registry
from tests.contacts.factories import ContactFactory
from tests.factories import TermsFactory
from tests.messaging.rows import BroadcastFactory
from tests.people import AdminOf

pytestmark = pytest.mark.django_db


def start(client: Client) -> str:
    """Return the start page as it is read, blanks folded."""
    page = client.get(reverse("admin:index"))
    assert page.status_code == 200
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page.content.decode()))


def sidebar(client: Client) -> dict[str, list[str]]:
    groups = client.get(reverse("admin:index")).context["sidebar_navigation"]
    return {
        str(group.get("title", "")): [str(item["title"]) for item in group["items"]]
        for group in groups
    }


def test_a_member_finds_the_balance_and_the_own_last_broadcasts(
    ana: Member, carla: Member, root: Member, admin_of: AdminOf
) -> None:
    assert ana.organization is not None
    ledger.grant(organization=ana.organization, amount=12_345, member=root, note="for a test")
    ledger.reserve(organization_id=ana.organization.pk, amount=345, reference="broadcast:1")
    BroadcastFactory.create(member=ana, text="Ours", delivered=1_000)
    BroadcastFactory.create(member=carla, text="Theirs")

    page = start(admin_of(ana))

    for shown in ("Credits available 12,000", "Credits reserved 345", "Ours", "1,000", "100 %"):
        assert shown in page
    assert "Theirs" not in page


def test_the_platform_finds_everybodys_last_broadcasts(
    ana: Member, carla: Member, root: Member, admin_of: AdminOf
) -> None:
    BroadcastFactory.create(member=ana, text="Ours")
    BroadcastFactory.create(member=carla, text="Theirs")

    page = start(admin_of(root))

    for shown in ("Acme", "Borealis", "Ours", "Theirs"):
        assert shown in page
    assert "Credits available" not in page


def test_the_last_ten_broadcasts_are_enough(ana: Member, admin_of: AdminOf) -> None:
    now = timezone.now()
    for minutes in range(12):
        BroadcastFactory.create(
            member=ana, text=f"Text {minutes}.", created_at=now - timedelta(minutes=minutes)
        )

    page = start(admin_of(ana))

    assert "Text 9." in page
    assert "Text 10." not in page


def test_who_begins_is_told_how_to_send(ana: Member, admin_of: AdminOf) -> None:
    page = admin_of(ana).get(reverse("admin:index")).content.decode()

    assert "Nothing was sent yet" in page
    assert reverse("docs") in page


def test_a_sender_is_told_what_is_in_the_way(beto: Member, admin_of: AdminOf) -> None:
    page = start(admin_of(beto))

    assert "not accepted the current terms" in page
    assert "No credits are available" in page


def test_who_may_not_send_is_not_bothered(vera: Member, admin_of: AdminOf) -> None:
    page = start(admin_of(vera))

    assert "No credits are available" not in page


def test_the_platform_is_told_when_no_dispatcher_works(root: Member, admin_of: AdminOf) -> None:
    TermsFactory.create()
    client = admin_of(root)

    assert "No dispatcher has worked" in start(client)
    Heartbeat.objects.create(part="dispatcher", beat_at=timezone.now())
    assert "No dispatcher has worked" not in start(client)


def test_everybody_is_told_while_no_terms_are_published(
    ana: Member, root: Member, admin_of: AdminOf
) -> None:
    Terms.objects.update(published_at=None)

    assert "No terms are published" in start(admin_of(ana))
    assert "No terms are published" in start(admin_of(root))


def test_the_sidebar_leads_to_every_list_that_the_member_may_see(
    ana: Member, root: Member, admin_of: AdminOf
) -> None:
    seen = sidebar(admin_of(ana))

    assert seen["Broadcasting"] == [
        *("Broadcasts", "Messages", "Skips", "Delivery reports", "Inbound messages")
    ]
    assert list(seen) == ["", "Broadcasting", "Contacts", "Billing", "Organization"]
    assert "Heartbeats" not in seen["Organization"]
    assert "Heartbeats" in sidebar(admin_of(root))["Organization"]


def test_every_entry_of_the_sidebar_opens(root: Member, admin_of: AdminOf) -> None:
    client = admin_of(root)
    groups = client.get(reverse("admin:index")).context["sidebar_navigation"]

    for item in [item for group in groups for item in group["items"]]:
        assert client.get(item["link"]).status_code == 200


# --- what waits for a decision --------------------------------------------------------------------
def awaiting(client: Client) -> str:
    page = client.get(reverse("admin:index")).content.decode()
    return page[page.index('id="awaiting"') :] if 'id="awaiting"' in page else ""


def test_who_may_approve_finds_what_waits_for_the_decision(
    ana: Member, sara: Member, vera: Member, carla: Member, root: Member, admin_of: AdminOf
) -> None:
    held = BroadcastFactory.create(
        member=sara, text="Held back", status="PAUSED", paused_because="approval", queued=7
    )
    BroadcastFactory.create(member=sara, text="Paused", status="PAUSED", paused_because="operator")

    found = awaiting(admin_of(ana))

    assert "Held back" in found
    assert reverse("admin:messaging_broadcast_change", args=[held.pk]) in found
    assert "to 7 people" in found
    for member in (sara, vera, carla, root):
        assert awaiting(admin_of(member)) == ""


def test_nobody_is_asked_to_approve_what_is_the_own(ana: Member, admin_of: AdminOf) -> None:
    BroadcastFactory.create(member=ana, status="PAUSED", paused_because="approval", queued=7)

    assert awaiting(admin_of(ana)) == ""


# --- what moves -----------------------------------------------------------------------------------
def test_the_last_broadcasts_are_asked_for_again_while_one_moves(
    ana: Member, admin_of: AdminOf
) -> None:
    broadcast = BroadcastFactory.create(member=ana, queued=1)
    client, address = admin_of(ana), reverse("admin:messaging_broadcast_last")

    running = client.get(address).content.decode()
    Broadcast.objects.filter(pk=broadcast.pk).update(status="COMPLETED", queued=0, delivered=1)
    ended = client.get(address).content.decode()

    assert f'hx-get="{address}"' in running
    assert "hx-get" not in ended
    assert "100 %" in ended


def test_S54_the_last_broadcasts_are_the_own(
    ana: Member, carla: Member, root: Member, admin_of: AdminOf
) -> None:
    BroadcastFactory.create(member=ana, text="Ours")
    address = reverse("admin:messaging_broadcast_last")

    assert "Ours" in admin_of(root).get(address).content.decode()
    assert "Ours" not in admin_of(carla).get(address).content.decode()


# --- the platform's own ---------------------------------------------------------------------------
def test_the_platform_finds_whose_credits_end_first(
    ana: Member, carla: Member, root: Member, admin_of: AdminOf
) -> None:
    for member, amount in ((ana, 700), (carla, 70)):
        assert member.organization is not None
        ledger.grant(organization=member.organization, amount=amount, member=root, note="a test")
        BroadcastFactory.create(member=member, credits=70)

    page = start(admin_of(root))

    assert re.search(r"Borealis 70 7 .*Acme 700 70 ", page)
    assert "Whose credits end first" not in start(admin_of(ana))


def test_a_provider_that_is_held_back_is_told_before_anything_was_sent(
    root: Member, ana: Member, admin_of: AdminOf, settings: Settings
) -> None:
    settings.SMS_PROVIDERS = ["memory://local"]
    (provider,) = registry.configured()
    ProviderState.objects.create(
        name=provider.name,
        open_until=timezone.now() + timedelta(hours=1),
        because="wrong password",
    )

    page = start(admin_of(root))

    assert "Held back" in page
    assert "wrong password" in page
    BroadcastFactory.create(member=ana)
    assert "wrong password" not in start(admin_of(ana))


def test_who_has_no_contacts_is_told_how_to_bring_them_in(ana: Member, admin_of: AdminOf) -> None:
    client = admin_of(ana)
    page = client.get(reverse("admin:index")).content.decode()

    assert "You have no contacts yet" in page
    assert client.get(reverse("admin:contacts_importjob_upload")).status_code == 200
    ContactFactory.create(organization=ana.organization)
    assert "You have no contacts yet" not in start(client)

"""The confirmation of a broadcast: it sends once, whatever somebody does, and nothing but what was shown."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.db import connections
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Member, Organization, Terms
from billing import ledger
from contacts.models import Contact, Suppression
from messaging.models import Broadcast
from tests.admin.desk import COMPOSE, confirm, confirmation_on, drafted
from tests.admin.pages import address, text
from tests.contacts.factories import ContactFactory
from tests.messaging.factories import contacts_in_order, grant, many_contacts
from tests.people import AdminOf

pytestmark = pytest.mark.django_db


@pytest.fixture
def paid(acme: Organization) -> Organization:
    """Acme with 1,000 credits and three contacts."""
    grant(acme, 1_000)
    contacts_in_order(acme, "+573001111111", "+573002222222", "+525512345678")
    return acme


def page_of(broadcast: Broadcast) -> str:
    return address(broadcast, "change")


# --- it sends once -------------------------------------------------------------------------------
def test_S53_the_confirmation_sends_and_leads_to_the_broadcast(
    ana: Member, paid: Organization, admin_of: AdminOf
) -> None:
    client = admin_of(ana)

    answer = confirm(client, drafted(client, "Hola"))

    broadcast = Broadcast.objects.get()
    assert answer.url == page_of(broadcast)
    assert (broadcast.text, broadcast.messages_total, broadcast.member) == ("Hola", 3, ana)
    assert "Accepted: 3 messages go out" in text(client.get(answer.url))
    assert ledger.balance(paid.pk).available == 997


def test_S53_looking_sends_nothing(ana: Member, paid: Organization, admin_of: AdminOf) -> None:
    client = admin_of(ana)
    preview = drafted(client)
    token = confirmation_on(client.get(preview))

    client.get(preview, {"confirmation": token})

    assert not Broadcast.objects.exists()


def test_S53_it_is_refused_without_the_csrf_token(
    ana: Member, paid: Organization, fresh_rate_limits: None
) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ana)
    page = client.get(reverse(COMPOSE))
    csrf = {"csrfmiddlewaretoken": page.cookies["csrftoken"].value}
    preview = client.post(reverse(COMPOSE), {"text": "a", "kind": "SMS", "when": "now", **csrf})[
        "Location"
    ]
    token = confirmation_on(client.get(preview))

    assert client.post(preview, {"confirmation": token}).status_code == 403
    assert not Broadcast.objects.exists()
    assert client.post(preview, {"confirmation": token, **csrf}).status_code == 302
    assert Broadcast.objects.count() == 1


def test_pressing_twice_sends_once(ana: Member, paid: Organization, admin_of: AdminOf) -> None:
    client = admin_of(ana)
    preview = drafted(client)
    page = client.get(preview)

    first, second = confirm(client, preview, page), confirm(client, preview, page)

    assert first.url == second.url == page_of(Broadcast.objects.get())
    assert "sent before, and not a second time" in text(client.get(second.url))


def test_two_tabs_with_one_draft_send_once_where_neither_sees_the_other(
    ana: Member, paid: Organization, admin_of: AdminOf
) -> None:
    client = admin_of(ana)
    preview = drafted(client)
    one_tab, other_tab = client.get(preview), client.get(preview)
    before = dict(client.session)

    first = confirm(client, preview, one_tab)
    session = client.session
    session.update(before)
    session.save()
    second = confirm(client, preview, other_tab)

    assert confirmation_on(one_tab)
    assert first.url == second.url == page_of(Broadcast.objects.get())


def test_pressing_twice_sends_once_where_the_session_forgot_the_first(
    ana: Member, paid: Organization, admin_of: AdminOf
) -> None:
    client = admin_of(ana)
    preview = drafted(client)
    page = client.get(preview)
    before = dict(client.session)

    first = confirm(client, preview, page)
    session = client.session
    session.update(before)
    session.save()
    second = confirm(client, preview, page)

    assert first.url == second.url == page_of(Broadcast.objects.get())
    assert "sent before, and not a second time" in text(client.get(second.url))


@pytest.mark.django_db(transaction=True)
def test_pressing_twice_at_the_same_moment_sends_once(
    ana: Member, paid: Organization, admin_of: AdminOf
) -> None:
    client = admin_of(ana)
    preview = drafted(client)
    token = confirmation_on(client.get(preview))

    def press(_time: int) -> str:
        hand = Client()
        hand.cookies[settings.SESSION_COOKIE_NAME] = client.session.session_key or ""
        try:
            return str(hand.post(preview, {"confirmation": token})["Location"])
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as hands:
        led_to = set(hands.map(press, range(4)))

    assert led_to == {page_of(Broadcast.objects.get())}
    assert ledger.balance(paid.pk).available == 997


def test_going_back_leads_to_what_was_sent(
    ana: Member, paid: Organization, admin_of: AdminOf
) -> None:
    client = admin_of(ana)
    preview = drafted(client)
    sent = confirm(client, preview).url

    back = client.get(preview)

    assert back["Location"] == sent
    assert Broadcast.objects.count() == 1


def test_what_was_sent_can_begin_another(
    ana: Member, paid: Organization, admin_of: AdminOf
) -> None:
    client = admin_of(ana)
    preview = drafted(client, "Hola")
    confirm(client, preview)

    again = drafted(client, "Hola", f"draft={preview.rstrip('/').split('/')[-1]}")

    assert again != preview
    confirm(client, again)
    assert Broadcast.objects.count() == 2


def test_an_old_confirmation_shows_a_new_preview(
    ana: Member, paid: Organization, admin_of: AdminOf
) -> None:
    client = admin_of(ana)
    preview = drafted(client)
    page = client.get(preview)

    with time_machine.travel(timezone.now() + timedelta(minutes=31)):
        answer = confirm(client, preview, page)

        assert answer.url == preview
        assert "older than 30 minutes" in text(client.get(preview))
    assert not Broadcast.objects.exists()


def _another_contact(house: Organization) -> None:
    ContactFactory.create(organization=house)


def _another_person(house: Organization) -> None:
    contact = Contact.objects.filter(phone="+573001111111").get()
    contact.phone = "+573009999999"
    contact.save()


def _an_opt_out(house: Organization) -> None:
    Suppression.objects.create(
        organization=house, recipient="+573001111111", source=Suppression.Source.KEYWORD
    )


@pytest.mark.parametrize("happens", [_another_contact, _another_person, _an_opt_out])
def test_a_changed_audience_shows_a_new_preview(
    ana: Member, paid: Organization, admin_of: AdminOf, happens: Any
) -> None:
    client = admin_of(ana)
    preview = drafted(client)
    page = client.get(preview)
    happens(paid)

    answer = confirm(client, preview, page)

    assert answer.url == preview
    shown = client.get(preview)
    assert "has changed since" in text(shown)
    assert not Broadcast.objects.exists()
    assert confirm(client, preview, shown).url == page_of(Broadcast.objects.get())


def test_credits_that_went_meanwhile_are_told(
    ana: Member, paid: Organization, admin_of: AdminOf
) -> None:
    client = admin_of(ana)
    preview = drafted(client)
    page = client.get(preview)
    ledger.reserve(organization_id=paid.pk, amount=999, reference="broadcast:1")

    answer = confirm(client, preview, page)

    assert answer.url == preview
    assert "2 credits are missing" in text(client.get(preview))
    assert not Broadcast.objects.exists()


def test_terms_that_came_into_force_meanwhile_are_told(
    ana: Member, paid: Organization, admin_of: AdminOf
) -> None:
    client = admin_of(ana)
    preview = drafted(client)
    page = client.get(preview)
    Terms.objects.create(version="2026-2", title="New", body="New", published_at=timezone.now())

    answer = confirm(client, preview, page)

    assert answer.status_code == 403
    assert reverse("admin:current_terms") in answer.content.decode()
    assert not Broadcast.objects.exists()


@pytest.mark.parametrize("change", ["", "nonsense", "é", "swapped", "cut"])
def test_a_tampered_confirmation_sends_nothing(
    ana: Member, paid: Organization, admin_of: AdminOf, change: str
) -> None:
    client = admin_of(ana)
    preview, other = drafted(client, "Hola"), drafted(client, "Adiós")
    own = confirmation_on(client.get(preview))
    token = {"swapped": confirmation_on(client.get(other)), "cut": own[:-1]}.get(change, change)

    answer = client.post(preview, {"confirmation": token})

    assert answer["Location"] == preview
    assert "Nothing was sent" in text(client.get(preview))
    assert not Broadcast.objects.exists()


def test_a_confirmation_is_its_members_alone(
    ana: Member, sara: Member, paid: Organization, admin_of: AdminOf
) -> None:
    hers, his = admin_of(sara), admin_of(ana)
    token = confirmation_on(hers.get(drafted(hers)))
    preview = drafted(his)

    his.post(preview, {"confirmation": token})

    assert not Broadcast.objects.exists()


def test_a_draft_is_its_sessions_alone(
    ana: Member, sara: Member, paid: Organization, admin_of: AdminOf
) -> None:
    preview = drafted(admin_of(ana))

    for other in (admin_of(sara), admin_of(ana)):
        answer = other.get(preview)
        assert answer.status_code == 404
        assert "This draft is no longer here" in answer.content.decode()


def test_the_last_five_drafts_are_kept(ana: Member, paid: Organization, admin_of: AdminOf) -> None:
    client = admin_of(ana)
    previews = [drafted(client, f"Hola {number}") for number in range(6)]

    assert client.get(previews[0]).status_code == 404
    assert client.get(previews[1]).status_code == 200


# --- the number that is typed ---------------------------------------------------------------------
def test_for_more_than_the_organizations_number_one_types_how_many(
    ana: Member, acme: Organization, admin_of: AdminOf
) -> None:
    grant(acme, 5_000)
    many_contacts(acme, 1_001)
    client = admin_of(ana)
    preview = drafted(client)

    for typed in ({}, {"typed": ""}, {"typed": "1000"}, {"typed": "10011"}):
        answer = confirm(client, preview, **typed)
        assert "Type the number of recipients, 1,001" in text(answer)
    assert not Broadcast.objects.exists()
    confirm(client, preview, typed=" 1,001 ")
    assert Broadcast.objects.get().messages_total == 1_001


def test_up_to_the_organizations_number_nothing_is_typed(
    ana: Member, paid: Organization, admin_of: AdminOf
) -> None:
    client = admin_of(ana)

    Organization.objects.update(confirm_above=2)
    assert 'name="typed"' in client.get(drafted(client)).content.decode()
    Organization.objects.update(confirm_above=3)
    assert 'name="typed"' not in client.get(drafted(client)).content.decode()

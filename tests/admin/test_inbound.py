"""The admin's lists of what people wrote back, and of how providers are: shown to whom it concerns."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from accounts.models import Member
from messaging.models import InboundMessage, ProviderState
from tests.admin.pages import address, rows
from tests.messaging.rows import BroadcastFactory, InboundMessageFactory, MessageFactory
from tests.people import AdminOf

pytestmark = pytest.mark.django_db

PERSON = "+573001234567"


def wrote(member: Member, recipient: str = PERSON, **fields: Any) -> None:
    """Have the member's organization write to this number."""
    MessageFactory.create(
        broadcast=BroadcastFactory.create(member=member),
        recipient=recipient,
        **{"provider": "twilio:AC1", "submit_started_at": timezone.now(), **fields},
    )


@pytest.mark.parametrize("effect", ["STOP", "START", "HELP"])
def test_a_keyword_is_shown_to_every_organization_that_wrote_to_the_number(
    ana: Member, carla: Member, admin_of: AdminOf, effect: str
) -> None:
    wrote(ana)
    wrote(carla)
    stop = InboundMessageFactory.create(effect=effect)

    for member in (ana, carla):
        assert rows(admin_of(member).get(address(InboundMessage))) == [stop]
        assert admin_of(member).get(address(stop, "change")).status_code == 200


def test_other_words_are_shown_only_where_they_can_be_for_nobody_else(
    ana: Member, carla: Member, root: Member, admin_of: AdminOf
) -> None:
    wrote(ana)
    words = InboundMessageFactory.create(effect="", text="See you at five")
    alone = rows(admin_of(ana).get(address(InboundMessage)))

    wrote(carla)

    assert alone == [words]
    for member in (ana, carla):
        assert rows(admin_of(member).get(address(InboundMessage))) == []
        assert admin_of(member).get(address(words, "change")).status_code == 404
    assert rows(admin_of(root).get(address(InboundMessage))) == [words]


@pytest.mark.parametrize(
    "fields",
    [
        {"recipient": "+573009999999"},
        {"provider": "twilio:AC2"},
        {"provider": "", "submit_started_at": None},
        {"submit_started_at": None},
    ],
    ids=["another number", "another account", "not handed over", "put back"],
)
def test_what_cannot_concern_an_organization_is_not_shown_to_it(
    ana: Member, admin_of: AdminOf, fields: dict[str, Any]
) -> None:
    wrote(ana, **fields)
    InboundMessageFactory.create()

    assert rows(admin_of(ana).get(address(InboundMessage))) == []


def test_it_is_found_by_the_number_and_filtered_by_what_it_asked(
    ana: Member, admin_of: AdminOf
) -> None:
    wrote(ana)
    wrote(ana, "+573007654321")
    stop = InboundMessageFactory.create()
    InboundMessageFactory.create(effect="HELP", sender="+573007654321", provider="twilio:AC1")
    client = admin_of(ana)

    for question in (
        {"q": "300 123 4567"},
        {"q": PERSON},
        {"q": str(stop.pk)},
        {"effect__exact": "STOP"},
        {"effect__exact": "STOP", "provider": "twilio"},
    ):
        assert rows(client.get(address(InboundMessage), question)) == [stop]
    assert rows(client.get(address(InboundMessage), {"provider": "infobip"})) == []


def test_its_page_shows_the_whole_text_and_the_carriers_words(
    ana: Member, admin_of: AdminOf
) -> None:
    wrote(ana)
    written = "please STOP " * 20
    message = InboundMessageFactory.create(text=written, raw={"Body": written, "SmsSid": "SM7"})

    page = admin_of(ana).get(address(message, "change")).content.decode()

    assert written.strip() in page
    assert "SM7" in page
    assert "Opted out" in page


def test_only_the_platform_sees_how_providers_are_and_nobody_changes_it(
    ana: Member, root: Member, admin_of: AdminOf
) -> None:
    now = timezone.now()
    held_back = ProviderState.objects.create(
        name="twilio:AC1", open_until=now + timedelta(minutes=1), because="answered 401"
    )
    trial = ProviderState.objects.create(name="twilio:AC2", open_until=now - timedelta(minutes=1))
    works = ProviderState.objects.create(name="twilio:AC3")

    page = admin_of(root).get(address(ProviderState))

    assert rows(page) == [held_back, trial, works]
    shown = page.content.decode()
    for words in ("Held back", "Next message is a trial", "Works", "answered 401"):
        assert words in shown
    assert admin_of(ana).get(address(ProviderState)).status_code == 403
    assert admin_of(root).get(address(works, "change")).status_code == 200
    assert admin_of(root).post(address(works, "change"), {"because": "x"}).status_code == 403
    assert admin_of(root).post(address(works, "delete"), {"post": "yes"}).status_code == 403
    assert admin_of(root).get(address(ProviderState, "add")).status_code == 403

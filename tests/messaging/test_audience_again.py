"""The audience of a broadcast's messages that failed, or whose outcome nobody knows: sent once more."""

from typing import Any

import pytest
from django.db.models.functions import Now

from accounts.models import Member, Organization
from contacts.models import Contact
from messaging import audiences, broadcasts
from messaging.models import Broadcast, Message
from tests.contacts.factories import SuppressionFactory
from tests.messaging.conftest import Contacts
from tests.messaging.factories import grant
from tests.messaging.rows import BroadcastFactory

pytestmark = pytest.mark.usefixtures("memory")

Resent = Broadcast.Resent


def recipients(broadcast: Broadcast) -> list[str]:
    return list(broadcast.messages.order_by("id").values_list("recipient", flat=True))


def linked(broadcast: Broadcast) -> list[Any]:
    return list(broadcast.messages.order_by("id").values_list("contact_id", flat=True))


@pytest.fixture
def ended(acme: Organization, ana: Member, contacts: Contacts) -> Broadcast:
    """A broadcast to six contacts, of which each message ended in its own way."""
    grant(acme, 100)
    contacts(*(f"+57300123456{digit}" for digit in range(6)))
    broadcast = broadcasts.send(member=ana, audience=audiences.Everyone(), text="Hola")
    ways = ["FAILED", "UNDELIVERED", "UNKNOWN", "DELIVERED", "SENT", "CANCELED"]
    for message, status in zip(broadcast.messages.order_by("id"), ways, strict=True):
        Message.objects.filter(pk=message.pk).update(status=status)
    return broadcast


def test_what_failed_is_sent_once_more(ended, send_to):
    broadcast = send_to(audiences.Again(ended.pk, Resent.FAILED))

    assert recipients(broadcast) == ["+573001234560", "+573001234561"]
    assert linked(broadcast) == linked(ended)[:2]
    assert (broadcast.audience_kind, broadcast.resends, broadcast.resent) == (
        "resend",
        ended,
        "FAILED",
    )


def test_what_is_unknown_is_sent_once_more_by_itself(ended, send_to):
    assert recipients(send_to(audiences.Again(ended.pk, Resent.UNKNOWN))) == ["+573001234562"]


def test_who_was_written_to_once_more_is_not_again(ended, send_to):
    send_to(audiences.Again(ended.pk, Resent.UNKNOWN))
    ended.messages.filter(status="UNKNOWN").update(status="UNDELIVERED")

    broadcast = send_to(audiences.Again(ended.pk, Resent.FAILED))

    assert recipients(broadcast) == ["+573001234560", "+573001234561"]


def test_whether_they_may_be_written_to_is_asked_anew(acme, ended, send_to):
    failed, undelivered = linked(ended)[:2]
    Contact.objects.filter(pk=failed).update(deleted_at=Now())
    Contact.objects.filter(pk=undelivered).update(status="BLOCKED")

    broadcast = send_to(audiences.Again(ended.pk, Resent.FAILED))

    assert broadcast.skipped_by_reason == {"contact_inactive": 1, "contact_blocked": 1}


def test_numbers_without_a_contact_are_sent_once_more(acme, ana, send_to):
    grant(acme, 100)
    numbers = ["+573001234567", "+573001234568"]
    first = broadcasts.send(member=ana, audience=audiences.Numbers(numbers), text="Hola")
    first.messages.update(status="FAILED")
    SuppressionFactory(organization=acme, recipient=numbers[1])

    broadcast = send_to(audiences.Again(first.pk, Resent.FAILED))

    assert recipients(broadcast) == numbers[:1]
    assert broadcast.skipped_by_reason == {"opted_out": 1}


def test_S16_another_organizations_broadcast_has_nobody(carla, send_to):
    theirs = BroadcastFactory.create(member=carla)
    Message.objects.create(
        broadcast=theirs,
        organization=carla.organization,
        recipient="+525512345678",
        segments=1,
        credits=1,
        status="FAILED",
    )

    assert send_to(audiences.Again(theirs.pk, Resent.FAILED)).audience == 0

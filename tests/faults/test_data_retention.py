"""B94: reports that come while numbers and texts are blanked, and several who blank at once."""

import threading
from datetime import timedelta

import pytest
from django.utils import timezone

from accounts.models import AuditEntry, Organization
from billing import invariants
from messaging import journeys, reports, retention
from messaging.models import Broadcast, DeliveryReport, Message
from messaging.providers.callbacks import Report
from tests.messaging.rows import BroadcastFactory, MessageFactory
from tests.races import at_once

pytestmark = pytest.mark.django_db(transaction=True)

ROUNDS, MESSAGES = 10, 20


def taken(organization: Organization) -> Broadcast:
    """Make a broadcast that a carrier took a month ago and never reported on."""
    Organization.objects.filter(pk=organization.pk).update(retention_days=7)
    broadcast: Broadcast = BroadcastFactory.create(
        organization=organization,
        member__organization=organization,
        member__role="SENDER",
        status=Broadcast.Status.COMPLETED,
        finished_at=timezone.now() - timedelta(days=31),
        sent=MESSAGES,
    )
    MessageFactory.create_batch(
        MESSAGES,
        broadcast=broadcast,
        status="SENT",
        charge="CAPTURED",
        credits=0,
        provider="memory:local",
    )
    return broadcast


def report_on(broadcast: Broadcast) -> None:
    """Keep a final report of each message, with its number in the carrier's words."""
    told = [
        Report(
            provider_message_id="",
            status="UNDELIVERED",
            message_id=message.pk,
            reason=f"{message.recipient} unreachable",
            raw={"To": message.recipient},
        )
        for message in broadcast.messages.all()
    ]
    reports.keep(provider="memory:local", reports=told)


def apply_all() -> None:
    while DeliveryReport.objects.filter(applied_at=None, due_at__lte=timezone.now()).exists():
        reports.apply()


def test_B94_retention_races_reports_and_itself(acme: Organization) -> None:
    for number in range(1, ROUNDS + 1):
        broadcast = taken(acme)
        report_on(broadcast)

        outcomes = at_once(apply_all, retention.blank, retention.blank)
        retention.blank()  # where a report held it meanwhile

        assert outcomes == [None, False, False]
        broadcast.refresh_from_db()
        assert (broadcast.text, broadcast.undelivered) == ("", MESSAGES)
        assert set(broadcast.messages.values_list("recipient", "status", "error_message")) == {
            ("", "UNDELIVERED", "")
        }
        told = DeliveryReport.objects.filter(message_id__in=broadcast.messages.values("pk"))
        assert set(told.values_list("raw__To", "reason", "outcome")) == {(None, "", "APPLIED")}
        assert AuditEntry.objects.filter(act="broadcast.blanked").count() == number
    assert not [found for found in invariants.check(thorough=True) if found.rows]


def test_B94_what_a_report_holds_is_blanked_after_it(acme: Organization) -> None:
    broadcast = taken(acme)
    is_held, may_go = threading.Event(), threading.Event()

    def hold() -> None:
        with journeys.of_broadcast(broadcast.pk):
            is_held.set()
            assert may_go.wait(60)

    def blank() -> int:
        assert is_held.wait(60)
        retention.blank()
        left = Message.objects.exclude(recipient="").count()
        may_go.set()
        return left

    outcomes = at_once(hold, blank)
    retention.blank()

    assert outcomes == [None, MESSAGES]
    assert not Message.objects.exclude(recipient="").exists()

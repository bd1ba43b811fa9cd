"""What approving and rejecting over HTTP share: a broadcast that waits, and who decides nothing."""

from typing import Any

import pytest
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import Member, Organization
from messaging import audiences, broadcasts
from messaging.models import Broadcast
from tests.messaging.factories import contacts_in_order, grant

# Everything that does not wait for approval, as (status, why it is paused).
UNDECIDABLE = [
    ("PAUSED", "operator"),
    ("PAUSED", "error_rate"),
    ("PAUSED", "no_progress"),
    ("SCHEDULED", ""),
    ("RUNNING", ""),
    ("COMPLETED", ""),
    ("COMPLETED_WITH_FAILURES", ""),
    ("CANCELED", ""),
]


@pytest.fixture
def waiting(settings: Settings, sara: Member) -> Broadcast:
    """Sara's broadcast, which another member lets go or does not."""
    settings.SMS_PROVIDERS = ["memory://local"]
    return waiting_broadcast(sara)


def waiting_broadcast(member: Member, **fields: Any) -> Broadcast:
    """Send to two people where one more than one needs approval."""
    organization = member.organization
    assert organization is not None
    Organization.objects.filter(pk=organization.pk).update(approval_above=1)
    grant(organization, 100)
    contacts_in_order(organization, "+573001234567", "+573001234568")
    return broadcasts.send(member=member, audience=audiences.Everyone(), text="Hola", **fields)


def decide(client: APIClient, broadcast: Broadcast, verb: str) -> Any:
    return client.post(f"/api/messages/queues/{broadcast.pk}/{verb}")

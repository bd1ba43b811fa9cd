"""GET /api/reports/dashboard: totals from kept counters, and the last messages."""

from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import Member
from messaging import delivery
from messaging.models import Broadcast, Message
from messaging.views import dashboard
from tests.api.refusals import told
from tests.messaging.factories import sent_broadcast
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/reports/dashboard"


@pytest.fixture(autouse=True)
def memory(settings: Settings) -> None:
    settings.SMS_PROVIDERS = ["memory://local"]


def test_it_says_everything(
    transactional_db: None, client_of: ClientOf, vera: Member, ana: Member
) -> None:
    delivery.drain(queue_id=sent_broadcast(ana, "+573001234567", text="Uno").pk, lane=0)
    sent_broadcast(ana, "+573001234568", text="Dos")
    message = Message.objects.order_by("-created_at", "-id")[0]

    body = client_of(vera).get(URL).json()

    assert body["stats"] == {
        "totalContacts": 2,
        "messages": {"sent": 1, "failed": 0, "pending": 2, "available": 1_997, "used": 1},
    }
    assert [row["content"] for row in body["recentMessages"]] == ["Dos", "Dos", "Uno"]
    moment = body["recentMessages"][0].pop("createdAt")
    assert moment.endswith("Z")
    assert body["recentMessages"][0] == {
        "id": str(message.pk),
        "status": "QUEUED",
        "phone": "+573001234568",
        "content": "Dos",
    }


def test_every_message_but_the_canceled_is_sent_failed_or_pending(
    client_of: ClientOf, ana: Member
) -> None:
    broadcast = sent_broadcast(ana, *(f"+57300123450{number}" for number in range(8)))
    Broadcast.objects.filter(pk=broadcast.pk).update(
        queued=1, sending=1, unknown=1, sent=1, delivered=1, undelivered=1, failed=1, canceled=1
    )

    stats = client_of(ana).get(URL).json()["stats"]["messages"]

    assert (stats["sent"], stats["failed"], stats["pending"]) == (2, 2, 3)


def test_what_is_older_than_thirty_days_is_not_counted(client_of: ClientOf, ana: Member) -> None:
    old = sent_broadcast(ana, "+573001234567")
    sent_broadcast(ana, "+573001234568", "+573001234569")
    Broadcast.objects.filter(pk=old.pk).update(created_at=timezone.now() - timedelta(days=31))

    stats = client_of(ana).get(URL).json()["stats"]["messages"]

    assert stats["pending"] == 3  # each goes to all contacts: the second to all three


def test_of_very_many_broadcasts_the_latest_are_counted(
    client_of: ClientOf, ana: Member, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "MOST", 1)
    sent_broadcast(ana, "+573001234567")
    sent_broadcast(ana, "+573001234568")

    stats = client_of(ana).get(URL).json()["stats"]["messages"]

    assert stats["pending"] == 2


def test_an_organization_without_anything_has_zeros(client_of: ClientOf, ana: Member) -> None:
    assert client_of(ana).get(URL).json() == {
        "stats": {
            "totalContacts": 0,
            "messages": {"sent": 0, "failed": 0, "pending": 0, "available": 0, "used": 0},
        },
        "recentMessages": [],
    }


def test_another_organization_sees_nothing_of_it(
    client_of: ClientOf, carla: Member, ana: Member
) -> None:
    sent_broadcast(ana, "+573001234567")

    body = client_of(carla).get(URL).json()

    assert body["recentMessages"] == []
    assert body["stats"]["totalContacts"] == body["stats"]["messages"]["pending"] == 0


def test_it_counts_no_messages(
    client_of: ClientOf,
    ana: Member,
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    for _ in range(3):
        sent_broadcast(ana, "+573001234567")
    client = client_of(ana)

    with django_assert_max_num_queries(7) as captured:
        client.get(URL)

    assert not any("COUNT" in query["sql"] and "messaging_" in query["sql"] for query in captured)


def test_a_superuser_has_no_dashboard(client_of: ClientOf, root: Member) -> None:
    assert told(client_of(root).get(URL)) == (403, "1003")

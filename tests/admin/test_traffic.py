"""The start page's figures: today's traffic, pace, what waits, providers, why messages failed."""

import re
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Member
from billing import ledger
from messaging.admin import traffic
from messaging.models import Message, ProviderState
from tests.admin.pages import text
from tests.messaging.rows import BroadcastFactory, MessageFactory
from tests.people import AdminOf

pytestmark = pytest.mark.django_db

START = "admin:index"


def test_todays_traffic_and_delivery_rate_are_the_organizations_own(
    ana: Member, carla: Member, root: Member, admin_of: AdminOf
) -> None:
    BroadcastFactory.create(member=ana, delivered=900, failed=60, undelivered=40, queued=500)
    BroadcastFactory.create(member=carla, delivered=7_000)
    old = timezone.now() - timedelta(days=1)
    BroadcastFactory.create(member=ana, failed=5_000, created_at=old)

    own, all_of_them = (text(admin_of(who).get(reverse(START))) for who in (ana, root))

    assert "Messages accepted today 1,500 100 of them failed." in own
    assert "Delivery rate today 90 %" in own
    assert "Messages waiting 500 None is late." in own
    assert "Messages accepted today 8,500" in all_of_them


def test_a_day_without_an_outcome_has_no_delivery_rate(ana: Member, admin_of: AdminOf) -> None:
    BroadcastFactory.create(member=ana, queued=1)

    assert "Delivery rate today - " in text(admin_of(ana).get(reverse(START)))


def test_the_chart_says_the_same_as_its_table(ana: Member, admin_of: AdminOf) -> None:
    BroadcastFactory.create(member=ana, delivered=750, failed=250)
    last_week = timezone.now() - timedelta(days=7)
    BroadcastFactory.create(member=ana, delivered=500, created_at=last_week)
    long_ago = timezone.now() - timedelta(days=traffic.DAYS)
    BroadcastFactory.create(member=ana, delivered=9_999, created_at=long_ago)

    page = admin_of(ana).get(reverse(START))

    days = page.context["start"].traffic.days
    assert [(day.messages, day.failed) for day in days if day.messages] == [(500, 0), (1_000, 250)]
    assert days[-1].day == timezone.localdate()
    assert f"{timezone.localdate()} 1,000 750 250 0 75 %" in text(page)
    bars = [(bar.name, bar.y, bar.height) for bar in page.context["start"].traffic.bars]
    assert bars == [
        ("delivered", 150.0, 150.0),
        ("delivered", 75.0, 225.0),
        ("failed", 0.0, 75.0),
    ]
    assert 'role="img"' in page.content.decode()


def test_numbers_of_the_chart_are_written_the_same_in_every_language(
    ana: Member, admin_of: AdminOf
) -> None:
    BroadcastFactory.create(member=ana, delivered=2, failed=1)

    page = admin_of(ana).get(reverse(START), headers={"accept-language": "es"}).content.decode()

    assert 'x="939.3"' in page
    assert "939,3" not in page


@pytest.mark.parametrize(
    ("spent", "returned", "told"),
    [
        (7_000, 0, "About 10 days left at the pace of the last 7 days."),
        (7_000, 3_500, "About 20 days left"),
        (0, 0, "Nothing was spent in the last 7 days."),
    ],
)
def test_the_balance_says_how_long_it_lasts(
    ana: Member, root: Member, admin_of: AdminOf, spent: int, returned: int, told: str
) -> None:
    assert ana.organization is not None
    ledger.grant(organization=ana.organization, amount=10_000, member=root, note="for a test")
    recently = timezone.now() - timedelta(days=2)
    BroadcastFactory.create(
        member=ana, credits=spent, credits_released=returned, created_at=recently
    )
    before = timezone.now() - timedelta(days=8)
    BroadcastFactory.create(member=ana, credits=1_000_000, created_at=before)

    assert f"Credits available 10,000 {told}" in text(admin_of(ana).get(reverse(START)))


def test_the_first_message_that_is_due_tells_how_long_it_waits(
    ana: Member, carla: Member, admin_of: AdminOf
) -> None:
    broadcast = BroadcastFactory.create(member=ana, queued=2)
    for minutes in (-60, 90):
        due = timezone.now() + timedelta(minutes=minutes)
        MessageFactory.create(broadcast=broadcast, next_attempt_at=due)
    theirs = BroadcastFactory.create(member=carla, queued=1)
    MessageFactory.create(broadcast=theirs, next_attempt_at=timezone.now() - timedelta(days=3))

    count, age = traffic.waiting(ana.organization_id)

    assert count == 2
    assert age is not None
    assert 3_600 <= age < 4_600
    assert "Messages waiting 2 The first is due for 1 h" in text(admin_of(ana).get(reverse(START)))


def test_what_is_due_later_is_not_late(ana: Member) -> None:
    later = timezone.now() + timedelta(hours=1)
    broadcast = BroadcastFactory.create(member=ana, queued=1)
    MessageFactory.create(broadcast=broadcast, next_attempt_at=later)

    assert traffic.waiting(ana.organization_id) == (1, None)


def test_reasons_lead_to_todays_messages_that_failed_so(
    ana: Member, carla: Member, admin_of: AdminOf
) -> None:
    for member, count in ((ana, 2), (carla, 5)):
        broadcast = BroadcastFactory.create(member=member, failed=count + 1, unknown=1)
        MessageFactory.create(broadcast=broadcast, status="UNKNOWN")
        for code in (*["30003"] * count, "expired"):
            MessageFactory.create(
                broadcast=broadcast, status="FAILED", charge="RELEASED", error_code=code
            )
    client = admin_of(ana)

    reasons = client.get(reverse(START)).context["start"].reasons

    told = [(share.text, share.count) for share in reasons]
    assert told == [("30003", 2), ("Unknown", 1), ("Not taken by a provider in time", 1)]
    for share in reasons:
        assert parse_qs(urlsplit(share.address).query)["accepted"] == ["today"]
        assert len(client.get(share.address).context["cl"].result_list) == share.count


def test_everybody_sees_which_provider_is_held_back_and_the_platform_why(
    settings: Settings, vera: Member, root: Member, admin_of: AdminOf
) -> None:
    settings.SMS_PROVIDERS = ["memory://local"]
    BroadcastFactory.create(member=vera, queued=1)
    ProviderState.objects.create(
        name="memory:local",
        open_until=timezone.now() + timedelta(minutes=5),
        because="401 at the carrier",
    )

    own, platform = (text(admin_of(who).get(reverse(START))) for who in (vera, root))

    assert "memory:local Held back" in own
    assert "401 at the carrier" not in own
    assert re.search(r"memory:local Held back Tried again at [\d:]+ 401 at the carrier", platform)


def test_the_start_page_asks_the_same_however_much_was_sent(
    ana: Member, root: Member, admin_of: AdminOf
) -> None:
    for member in (ana, root):
        client, asked = admin_of(member), []
        for _more in range(2):
            for _each in range(4):
                broadcast = BroadcastFactory.create(member=ana, failed=1, queued=1)
                MessageFactory.create(broadcast=broadcast, status="FAILED", error_code="1")
            with CaptureQueriesContext(connection) as queries:
                client.get(reverse(START))
            asked.append(len(queries))

        assert asked[0] == asked[1]
        assert asked[0] <= 16


def test_figures_come_from_broadcasts_and_never_from_counting_messages(
    ana: Member, root: Member, admin_of: AdminOf
) -> None:
    BroadcastFactory.create(member=ana, failed=1, queued=1)
    with connection.cursor() as cursor:
        cursor.execute("SET enable_seqscan = off")
    for member in (ana, root):
        with CaptureQueriesContext(connection) as queries:
            admin_of(member).get(reverse(START))

        of_messages = [q["sql"] for q in queries if Message._meta.db_table in q["sql"]]
        assert len(of_messages) == 2  # the first that waits, why some failed
        for statement in of_messages:
            with connection.cursor() as cursor:
                cursor.execute(f"EXPLAIN {statement}")
                plan = "\n".join(line for (line,) in cursor.fetchall())
            assert "Seq Scan on messaging_message" not in plan

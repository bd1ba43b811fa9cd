"""A broadcast's page as it moves: what is asked again and again, its course, its failures, its history."""

import re
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import ANY

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import audit
from accounts.models import Member
from messaging.admin import following, pace
from messaging.models import Broadcast, Message
from tests.admin.desk import part
from tests.admin.pages import address, text
from tests.messaging.rows import BroadcastFactory, MessageFactory
from tests.people import AdminOf

pytestmark = pytest.mark.django_db

Status = Broadcast.Status


def asks_next(page: str) -> str:
    """Return where a page asks next for what moves; "" where it asks no more."""
    found = re.search(r'id="broadcast-live"[^>]*?hx-get="([^"]+)"', page)
    return found[1].replace("&amp;", "&") if found else ""


# --- what moves by itself -------------------------------------------------------------------------
def test_a_running_broadcast_asks_for_what_moves_every_two_seconds(
    ana: Member, admin_of: AdminOf
) -> None:
    broadcast = BroadcastFactory.create(member=ana, queued=3, sent=1)
    client = admin_of(ana)

    page = client.get(address(broadcast, "change")).content.decode()
    live = client.get(part(broadcast, "live")).content.decode()

    assert 'hx-trigger="every 2s"' in page
    assert asks_next(page).startswith(part(broadcast, "live"))
    assert 'data-percent="25"' in live
    assert 'id="deed-pause"' in live


def test_nothing_new_is_answered_without_a_body(ana: Member, admin_of: AdminOf) -> None:
    broadcast = BroadcastFactory.create(member=ana, queued=3)
    client = admin_of(ana)
    way = asks_next(client.get(part(broadcast, "live")).content.decode())

    same = client.get(way)
    Broadcast.objects.filter(pk=broadcast.pk).update(
        queued=2, sending=1, updated_at=timezone.now() + timedelta(seconds=1)
    )
    other = client.get(way)

    assert (same.status_code, same.content) == (204, b"")
    assert other.status_code == 200


@pytest.mark.parametrize(
    ("fields", "every"),
    [
        ({"status": "RUNNING", "queued": 1}, "2"),
        ({"status": "PAUSED", "queued": 1}, "5"),
        ({"status": "SCHEDULED", "queued": 1}, "5"),
        ({"status": "CANCELED", "queued": 1}, "2"),
        ({"status": "CANCELED", "canceled": 1}, ""),
        ({"status": "COMPLETED", "delivered": 1}, ""),
        ({"status": "COMPLETED", "sent": 1}, "10"),
    ],
)
def test_it_stops_where_nothing_moves_any_more(
    ana: Member, admin_of: AdminOf, fields: dict[str, Any], every: str
) -> None:
    broadcast = BroadcastFactory.create(member=ana, finished_at=timezone.now(), **fields)

    page = admin_of(ana).get(part(broadcast, "live")).content.decode()

    found = re.search(r'id="broadcast-live"[^>]*?hx-trigger="every (\d+)s"', page)
    assert (found[1] if found else "") == every


def test_reports_that_never_come_are_not_waited_for(ana: Member, admin_of: AdminOf) -> None:
    long_ago = timezone.now() - timedelta(hours=2)
    broadcast = BroadcastFactory.create(
        member=ana, status=Status.COMPLETED, sent=1, finished_at=long_ago
    )

    assert asks_next(admin_of(ana).get(part(broadcast, "live")).content.decode()) == ""


def test_screen_readers_hear_every_tenth_and_every_change_of_status(
    ana: Member, admin_of: AdminOf
) -> None:
    broadcast = BroadcastFactory.create(member=ana, queued=90, sent=10)
    client = admin_of(ana)

    ways = [asks_next(client.get(address(broadcast, "change")).content.decode())]

    def heard(**now: Any) -> str:
        Broadcast.objects.filter(pk=broadcast.pk).update(updated_at=timezone.now(), **now)
        page = client.get(ways[-1]).content.decode()
        ways.append(asks_next(page))
        found = re.search(r'id="broadcast-said"[^>]*>([^<]*)<', page)
        return found[1] if found else ""

    assert heard(queued=81, sent=19) == ""
    assert heard(queued=80, sent=20) == "Running: 20 percent handed over."
    assert heard(queued=79, sent=21) == ""
    assert heard(status="PAUSED") == "Paused: 21 percent handed over."


def test_what_moves_costs_five_queries_and_what_does_not_three(
    ana: Member, admin_of: AdminOf, django_assert_max_num_queries: Any
) -> None:
    broadcast = BroadcastFactory.create(member=ana, queued=90, sent=10)
    client = admin_of(ana)
    way = asks_next(client.get(part(broadcast, "live")).content.decode())

    with django_assert_max_num_queries(3):  # the session, the member, the broadcast
        client.get(way)
    with django_assert_max_num_queries(5):  # what was done to it, and once more what was of it
        client.get(part(broadcast, "live"))


@pytest.mark.parametrize("name", ["live", "course"])
def test_what_happened_moves_by_itself(ana: Member, admin_of: AdminOf, name: str) -> None:
    broadcast = BroadcastFactory.create(member=ana, status=Status.PAUSED, queued=90)
    client = admin_of(ana)
    audit.record(act="broadcast.paused", subject=broadcast, member=ana)
    again = BroadcastFactory.create(member=ana, resends=broadcast, resent="FAILED")

    shown = client.get(part(broadcast, name)).content.decode()

    happened = shown[shown.index('id="broadcast-happenings" hx-swap-oob="true"') :]
    assert "Broadcast paused" in happened
    assert address(again, "change") in happened


@pytest.mark.parametrize("name", ["live", "course", "facts"])
def test_S14_every_part_is_the_organizations_alone(
    ana: Member, vera: Member, carla: Member, root: Member, admin_of: AdminOf, name: str
) -> None:
    broadcast = BroadcastFactory.create(member=ana, queued=1)

    assert admin_of(vera).get(part(broadcast, name)).status_code == 200
    assert admin_of(root).get(part(broadcast, name)).status_code == 200
    assert admin_of(carla).get(part(broadcast, name)).status_code == 404
    assert admin_of(ana).post(part(broadcast, name)).status_code == 405


# --- the rate -------------------------------------------------------------------------------------
def test_the_rate_is_that_of_the_last_seconds(ana: Member) -> None:
    now = timezone.now()
    broadcast = BroadcastFactory.create(
        member=ana, queued=400, sent=600, started_at=now - timedelta(seconds=1_000)
    )

    def ago(seconds: int, done: int) -> str:
        return f"{int((now - timedelta(seconds=seconds)).timestamp() * 1000)}-{done}"

    first = pace.Trail().pace(broadcast, now)
    watched = pace.Trail.of(f"{ago(10, 400)}.{ago(5, 500)}").pace(broadcast, now)

    assert (first.rate, first.seconds_left) == (0.6, 667)
    assert (round(watched.rate or 0), watched.seconds_left) == (20, 20)


def test_what_stands_still_has_no_rate(ana: Member) -> None:
    now = timezone.now()
    broadcast = BroadcastFactory.create(member=ana, queued=4, status="PAUSED", started_at=now)

    assert pace.Trail().pace(broadcast, now) == pace.Pace(None, None)
    assert pace.Trail.of("1-1").followed_by(broadcast, now) == pace.Trail()


def test_a_trail_travels_in_the_address_and_stays_short(ana: Member) -> None:
    broadcast = BroadcastFactory.create(member=ana, queued=4, sent=6)
    trail = pace.Trail()

    for _look in range(20):
        trail = pace.Trail.of(str(trail.followed_by(broadcast, timezone.now())))

    assert trail.points == ((ANY, 6),) * 8


@pytest.mark.parametrize("written", ["", "x", "-1--1", "9" * 500, "1-999999999.", "²-²"])
def test_a_trail_that_is_none_breaks_nothing(ana: Member, admin_of: AdminOf, written: str) -> None:
    broadcast = BroadcastFactory.create(
        member=ana, queued=4, sent=6, started_at=timezone.now() - timedelta(seconds=9)
    )

    answer = admin_of(ana).get(part(broadcast, "live"), {"trail": written, "said": "<b>"})

    assert answer.status_code == 200


# --- over time ------------------------------------------------------------------------------------
def _written(broadcast: Broadcast, count: int, begin: datetime, gap: int = 0) -> None:
    """Write messages that were taken one a second, and delivered ten seconds later.

    Accepting them stood still for `gap` milliseconds half-way.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO messaging_message (id, organization_id, broadcast_id, recipient, country,"
            " segments, credits, status, sent_at, delivered_at)"
            " SELECT (lpad(to_hex(1700000000000 + n + CASE WHEN n > %(half)s THEN %(gap)s ELSE 0 END), 12,"
            " '0') || '70008000' || lpad(to_hex(n), 12, '0'))::uuid,"
            " %(organization)s, %(broadcast)s, '+57300', 'CO', 1, 1,"
            " 'DELIVERED', %(begin)s + n * interval '1 s', %(begin)s + (n + 10) * interval '1 s'"
            " FROM generate_series(1, %(count)s) n",
            {
                "organization": broadcast.organization_id,
                "broadcast": broadcast.pk,
                "begin": begin,
                "count": count,
                "half": count // 2,
                "gap": gap,
            },
        )


def test_the_course_of_a_small_broadcast_is_exact(ana: Member, admin_of: AdminOf) -> None:
    begin = timezone.now() - timedelta(hours=1)
    broadcast = BroadcastFactory.create(
        member=ana, status=Status.COMPLETED, delivered=100, started_at=begin
    )
    _written(broadcast, 100, begin)

    course = pace.course(broadcast)

    assert course is not None
    assert not course.is_sample
    assert (course.begins, course.moments[-1].taken) == (begin, 100)
    middle = course.moments[pace.STEPS // 2]
    assert middle.taken == int((middle.at - begin).total_seconds())
    assert middle.delivered == middle.taken - 10
    page = admin_of(ana).get(part(broadcast, "course")).content.decode()
    assert "<svg" in page
    assert "As a table" in page


@pytest.mark.parametrize("gap", [0, 30_000])
def test_the_course_of_a_large_broadcast_is_read_from_a_sample(ana: Member, gap: int) -> None:
    begin = timezone.now() - timedelta(days=2)
    broadcast = BroadcastFactory.create(
        member=ana, status=Status.COMPLETED, delivered=30_000, started_at=begin
    )
    _written(broadcast, 30_000, begin, gap)

    with CaptureQueriesContext(connection) as queries:
        course = pace.course(broadcast)

    assert course is not None
    assert course.is_sample
    assert len(queries) == 2
    assert course.moments[-1].taken == 30_000
    for moment in course.moments[1:-2]:
        exact = (moment.at - begin).total_seconds()
        assert abs(moment.taken - exact) < 600, "two in a hundred"
    plan = _explained(broadcast)
    assert "messaging_message_broadcast" in plan
    assert "Seq Scan" not in plan


def _explained(broadcast: Broadcast) -> str:
    with connection.cursor() as cursor:
        cursor.execute(
            "EXPLAIN " + pace._SAMPLED,
            {"places": [broadcast.pk], "broadcast_id": broadcast.pk, "each": 20},
        )
        return "\n".join(row[0] for row in cursor.fetchall())


def test_before_anything_was_taken_there_is_no_course(ana: Member, admin_of: AdminOf) -> None:
    broadcast = BroadcastFactory.create(member=ana, queued=1)
    MessageFactory.create(broadcast=broadcast)

    assert "No provider has taken a message yet" in text(
        admin_of(ana).get(part(broadcast, "course"))
    )


def test_a_course_outlives_its_messages(ana: Member) -> None:
    broadcast = BroadcastFactory.create(member=ana, status=Status.COMPLETED, delivered=30_000)

    assert pace.course(broadcast) is None


# --- why messages failed --------------------------------------------------------------------------
def test_failures_are_told_by_reason_the_most_frequent_first(
    ana: Member, admin_of: AdminOf
) -> None:
    broadcast = BroadcastFactory.create(member=ana, failed=3, unknown=1, delivered=1)
    for code, reason in (("21211", "not a <valid> number"),) * 2 + (("expired", ""),):
        MessageFactory.create(
            broadcast=broadcast,
            status=Message.Status.FAILED,
            error_code=code,
            error_message=reason,
        )
    MessageFactory.create(broadcast=broadcast, status=Message.Status.UNKNOWN)
    MessageFactory.create(broadcast=broadcast, status=Message.Status.DELIVERED)
    client = admin_of(ana)

    told = text(client.get(part(broadcast, "course")))

    assert "21211: not a &lt;valid&gt; number 2" in told
    assert "Not taken by a provider in time 1" in told
    assert "No result came back 1" in told
    assert [line.number for line in following.failures_of(broadcast)] == ["2", "1", "1"]


def test_of_very_many_failures_only_that_they_are_many_is_told(ana: Member) -> None:
    broadcast = BroadcastFactory.create(member=ana, failed=20_003)
    _written(broadcast, 20_003, timezone.now())
    Message.objects.update(status=Message.Status.FAILED, error_code="30008")
    rare = list(Message.objects.values_list("pk", flat=True)[:3])
    Message.objects.filter(pk__in=rare).update(error_code="30003")

    told = [(line.text, line.number) for line in following.failures_of(broadcast)]

    assert told == [("30008", "10,000 or more"), ("30003", "3")]


# --- what happened --------------------------------------------------------------------------------
def test_the_page_tells_what_was_done_and_by_whom(
    ana: Member, sara: Member, carla: Member, admin_of: AdminOf
) -> None:
    broadcast = BroadcastFactory.create(member=sara, queued=1)
    other = BroadcastFactory.create(member=sara, queued=1)
    audit.record(act="broadcast.accepted", subject=broadcast, member=sara)
    audit.record(act="broadcast.paused", subject=broadcast, organization=sara.organization)
    audit.record(act="broadcast.resumed", subject=broadcast, member=ana)
    audit.record(act="broadcast.canceled", subject=other, member=ana)

    page = admin_of(ana).get(address(broadcast, "change")).content.decode()
    told = re.sub(r"\s+", " ", re.sub("<[^>]*>", " ", page.split('id="happenings"')[1]))

    assert re.search(
        r"Broadcast sent.*sara@acme.*Broadcast paused.*Pregón itself.*Broadcast resumed.*ana@acme",
        told,
    )
    assert "Broadcast canceled" not in told


def test_a_broadcasts_page_costs_the_same_whatever_its_size(
    ana: Member, admin_of: AdminOf, django_assert_max_num_queries: Any
) -> None:
    broadcast = BroadcastFactory.create(member=ana, delivered=50)
    MessageFactory.create_batch(50, broadcast=broadcast)
    for _time in range(5):
        audit.record(act="broadcast.paused", subject=broadcast, member=ana)
    client = admin_of(ana)
    client.get(address(broadcast, "change"))

    with django_assert_max_num_queries(8):
        client.get(address(broadcast, "change"))
    with django_assert_max_num_queries(6):
        client.get(part(broadcast, "course"))

"""The admin's pages of broadcasts: how each stands, filters, and the way to its messages and skips."""

import re
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.models import Member
from messaging.models import Broadcast, Message, Skip
from tests.admin.pages import address, rows, text
from tests.messaging.rows import BroadcastFactory, MessageFactory, SkipFactory
from tests.people import AdminOf

pytestmark = pytest.mark.django_db


def test_the_list_shows_how_each_broadcast_stands_by_its_kept_counters(
    ana: Member, admin_of: AdminOf
) -> None:
    BroadcastFactory.create(
        member=ana,
        text="Mañana cerramos a las cinco de la tarde, y el lunes no abrimos.",
        queued=250,
        sent=500,
        delivered=1_250,
        skipped_by_reason={"opted_out": 7},
        credits=2_000,
    )

    page = admin_of(ana).get(address(Broadcast))

    assert "Mañana cerramos a las cinco de la tarde, y el l…" in text(page)
    for shown in ("Running", "87 %", "2,000", " 7 ", "ana@acme.example"):
        assert shown in text(page)
    assert 'aria-label="Delivered: 1,250, Sent: 500, Queued: 250"' in page.content.decode()


def test_one_message_that_waits_keeps_the_bar_below_100(ana: Member, admin_of: AdminOf) -> None:
    BroadcastFactory.create(member=ana, queued=1, delivered=999_999)

    assert "99 %" in text(admin_of(ana).get(address(Broadcast)))


@pytest.mark.parametrize(
    ("question", "found"),
    [
        ({"status__exact": "PAUSED"}, {"paused"}),
        ({"kind__exact": "OTP"}, {"code"}),
        ({"created_at_from": "2026-03-05"}, {"last", "after"}),
        ({"created_at_to": "2026-03-05"}, {"paused", "code", "last"}),
        ({"created_at_from": "2026-03-05", "created_at_to": "2026-03-05"}, {"last"}),
        ({"created_at_from": "yesterday"}, set()),
        ({"created_at_to": "9999-12-31"}, set()),
        ({"status__exact": "NONSENSE"}, set()),
        ({"status__exact": "", "q": " "}, {"paused", "code", "last", "after"}),
    ],
)
def test_broadcasts_are_filtered_by_status_type_and_whole_days(
    ana: Member, admin_of: AdminOf, question: dict[str, str], found: set[str]
) -> None:
    noon = datetime(2026, 3, 5, 12, tzinfo=timezone.get_default_timezone())
    end_of_day = noon.replace(hour=23, minute=59, second=59, microsecond=999_999)
    early = noon - timedelta(days=9)
    BroadcastFactory.create(member=ana, text="paused", status="PAUSED", created_at=early)
    BroadcastFactory.create(member=ana, text="code", kind="OTP", created_at=early)
    BroadcastFactory.create(member=ana, text="last", created_at=end_of_day)
    BroadcastFactory.create(
        member=ana, text="after", created_at=end_of_day + timedelta(microseconds=1)
    )

    page = admin_of(ana).get(address(Broadcast), question)

    assert {row.text for row in rows(page)} == found


def test_a_day_is_read_as_the_members_language_writes_it(ana: Member, admin_of: AdminOf) -> None:
    BroadcastFactory.create(
        member=ana, created_at=datetime(2026, 5, 11, tzinfo=timezone.get_default_timezone())
    )
    question = {"created_at_from": "11/05/2026", "created_at_to": "11/05/2026"}
    client = admin_of(ana)

    in_spanish = client.get(address(Broadcast), question, headers={"Accept-Language": "es"})
    in_english = client.get(address(Broadcast), question, headers={"Accept-Language": "en"})

    assert len(rows(in_spanish)) == 1
    assert len(rows(in_english)) == 0


def test_broadcasts_are_filtered_by_the_member_that_sent_them(
    ana: Member, sara: Member, admin_of: AdminOf
) -> None:
    ours = BroadcastFactory.create(member=sara)
    BroadcastFactory.create(member=ana)

    page = admin_of(ana).get(address(Broadcast), {"member__id__exact": str(sara.pk)})

    assert rows(page) == [ours]


def test_a_superuser_filters_by_organization(
    ana: Member, carla: Member, root: Member, admin_of: AdminOf
) -> None:
    theirs = BroadcastFactory.create(member=carla)
    BroadcastFactory.create(member=ana)
    question = {"organization__id__exact": str(carla.organization_id)}

    assert rows(admin_of(root).get(address(Broadcast), question)) == [theirs]


def test_a_broadcast_is_found_by_its_queue_id_or_its_beginning(
    ana: Member, admin_of: AdminOf
) -> None:
    broadcast = BroadcastFactory.create(member=ana)
    BroadcastFactory.create(member=ana, pk=uuid4())
    client, queue_id = admin_of(ana), str(broadcast.pk)

    for written in (queue_id, queue_id.upper(), queue_id[:8], queue_id[:13], f" {queue_id} "):
        assert rows(client.get(address(Broadcast), {"q": written})) == [broadcast]
    for written in ("Hola", "%", "0" * 33, "ffffffff-ffff"):
        assert rows(client.get(address(Broadcast), {"q": written})) == []


def test_a_broadcasts_page_accounts_for_every_contact_and_credit(
    ana: Member, admin_of: AdminOf
) -> None:
    broadcast = BroadcastFactory.create(
        member=ana,
        text="Hola\n<b>todos</b>",
        status="PAUSED",
        paused_because="operator",
        delivered=3,
        failed=2,
        skipped_by_reason={"duplicate": 4, "contact_blocked": 1},
        credits=50,
        credits_captured=30,
        credits_released=15,
    )

    page = admin_of(ana).get(address(broadcast, "change"))

    told = text(page)
    for figure in ("Delivered 3", "Failed 2", "All messages 5", "All skipped 5", "skipped 10"):
        assert figure in told
    for figure in ("Reserved 5", "Spent 30", "Returned 15", "In all 50"):
        assert figure in told
    assert told.index("Contact is blocked 1") < told.index("Another contact has the same number 4")
    assert "Paused by an operator" in told
    assert "&lt;b&gt;todos" in told


def test_a_broadcasts_page_leads_to_its_messages_and_skips(ana: Member, admin_of: AdminOf) -> None:
    broadcast = BroadcastFactory.create(member=ana, failed=1, skipped_by_reason={"opted_out": 1})
    failed = MessageFactory.create(broadcast=broadcast, status=Message.Status.FAILED)
    MessageFactory.create(broadcast=broadcast, created_at=failed.created_at)  # one statement
    MessageFactory.create(broadcast__member=ana, status=Message.Status.FAILED)
    skip = SkipFactory.create(broadcast=broadcast, reason=Skip.Reason.OPTED_OUT)
    SkipFactory.create(broadcast=broadcast)
    client = admin_of(ana)

    page = client.get(address(broadcast, "change")).content.decode()
    links = [
        link.replace("&amp;", "&") for link in re.findall(r'href="(/[^"]*broadcast=[^"]*)"', page)
    ]

    assert rows(client.get(_only(links, "status__exact=FAILED"))) == [failed]
    assert rows(client.get(_only(links, "reason__exact=opted_out"))) == [skip]
    assert len(rows(client.get(_only(links, f"message/?broadcast={broadcast.pk}")))) == 2
    assert len(rows(client.get(_only(links, f"skip/?broadcast={broadcast.pk}")))) == 2


def _only(links: list[str], end: str) -> str:
    (link,) = [link for link in links if link.endswith(end)]
    return link

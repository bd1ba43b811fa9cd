"""What a restored backup takes for unsent: nothing of it leaves a second time."""

import io
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Organization
from billing import invariants as books
from contacts.models import Suppression
from messaging import delivery, inbound, providers, reports, restoring
from messaging.models import Broadcast, Message, MessageEvent
from messaging.providers.callbacks import Inbound, Report
from messaging.providers.memory import Memory
from messaging.providers.results import Unavailable
from tests.messaging.conftest import Contacts, Send

pytestmark = pytest.mark.usefixtures("books_balance")

Status = Broadcast.Status


@pytest.fixture
def broadcast(acme, grant, contacts: Contacts, send: Send) -> Broadcast:
    grant(acme, 100)
    contacts("+573001234567", "+573001234568")
    return send()


@pytest.fixture
def sending_is_off(settings: Settings) -> None:
    settings.SENDING = False


def ran(*arguments: str) -> str:
    output = io.StringIO()
    call_command("after_restore", *arguments, stdout=output)
    return output.getvalue()


def statuses(broadcast: Broadcast) -> list[tuple[str, str]]:
    rows = Message.objects.filter(broadcast=broadcast).order_by("recipient")
    return list(rows.values_list("status", "charge"))


@pytest.mark.usefixtures("sending_is_off")
def test_what_waits_becomes_unknown_and_is_never_handed_over(
    broadcast: Broadcast, memory: Memory, settings: Settings
) -> None:
    output = ran("--yes")

    assert "2 messages are UNKNOWN now" in output
    assert statuses(broadcast) == [("UNKNOWN", "RESERVED")] * 2
    broadcast.refresh_from_db()
    assert broadcast.status == Status.COMPLETED_WITH_FAILURES
    settings.SENDING = True
    delivery.drain(queue_id=broadcast.pk, lane=0)
    assert memory.messages == []


@pytest.mark.usefixtures("sending_is_off")
def test_without_yes_it_only_counts(broadcast: Broadcast) -> None:
    output = ran()

    assert f"{broadcast.pk}: 2 messages" in output
    assert "Nothing was changed" in output
    assert statuses(broadcast) == [("QUEUED", "RESERVED")] * 2


def test_while_sending_is_on_it_refuses(broadcast: Broadcast) -> None:
    with pytest.raises(CommandError, match="PREGON_SENDING=off"):
        ran("--yes")

    assert statuses(broadcast) == [("QUEUED", "RESERVED")] * 2


@pytest.mark.usefixtures("sending_is_off")
def test_a_second_run_finds_nothing(broadcast: Broadcast) -> None:
    ran("--yes")

    assert "Nothing waits" in ran("--yes")


@pytest.mark.usefixtures("sending_is_off")
def test_what_a_worker_held_or_put_back_is_doubted_too(
    broadcast: Broadcast, memory: Memory, settings: Settings
) -> None:
    settings.SENDING = True
    memory.will_answer("+573001234567", Unavailable("refused"))
    delivery.drain(queue_id=broadcast.pk, lane=0)
    Message.objects.filter(recipient="+573001234567").update(
        status="SENDING", lease_until=timezone.now()
    )
    Broadcast.objects.update(queued=0, sending=1)
    settings.SENDING = False

    ran("--yes")

    assert statuses(broadcast) == [("UNKNOWN", "RESERVED"), ("SENT", "CAPTURED")]


@pytest.mark.usefixtures("sending_is_off")
def test_a_report_settles_what_was_sent(broadcast: Broadcast) -> None:
    ran("--yes")
    told = Message.objects.get(recipient="+573001234567")

    reports.keep(
        provider="memory:local",
        reports=[Report(message_id=told.pk, provider_message_id="", status="DELIVERED")],
    )
    reports.apply()

    assert statuses(broadcast) == [("DELIVERED", "CAPTURED"), ("UNKNOWN", "RESERVED")]


@pytest.mark.usefixtures("sending_is_off")
def test_the_one_who_can_have_taken_it_is_asked_and_of_several_each_is_believed(
    broadcast: Broadcast, send: Send, settings: Settings
) -> None:
    ran("--yes")
    assert set(Message.objects.values_list("provider", flat=True)) == {"memory:local"}
    assert not Message.objects.filter(look_up_at=None).exists()

    another = send("Otra vez")
    settings.SMS_PROVIDERS = ["memory://local", "memory://other"]
    assert len(providers.configured()) == 2
    ran("--yes")

    rows = Message.objects.filter(broadcast=another)
    assert set(rows.values_list("provider", flat=True)) == {""}


@pytest.mark.usefixtures("sending_is_off")
def test_every_message_says_why(broadcast: Broadcast) -> None:
    ran("--yes")

    events = MessageEvent.objects.values_list("kind", "detail")
    assert list(events) == [("UNKNOWN", "the database was restored from a backup")] * 2


@pytest.mark.usefixtures("sending_is_off")
def test_a_bite_at_a_time_comes_to_the_same(
    broadcast: Broadcast, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = restoring._DOUBT.replace(f"LIMIT {restoring.BITE}", "LIMIT 1")
    monkeypatch.setattr(restoring, "_DOUBT", small)

    ran("--yes")

    assert statuses(broadcast) == [("UNKNOWN", "RESERVED")] * 2
    assert MessageEvent.objects.count() == 2


@pytest.mark.parametrize(
    ("status", "scheduled_in", "becomes"),
    [
        (Status.PAUSED, None, "UNKNOWN"),  # somebody may have resumed it since
        (Status.SCHEDULED, timedelta(hours=-1), "UNKNOWN"),
        (Status.SCHEDULED, timedelta(hours=1), "QUEUED"),  # its moment has not come: it is held
        (Status.PAUSED, timedelta(hours=1), "QUEUED"),  # held before, or waiting for approval
        (Status.CANCELED, None, "QUEUED"),  # nothing of it could leave any more
    ],
)
@pytest.mark.usefixtures("sending_is_off")
def test_what_cannot_have_left_stays_as_it_is(
    broadcast: Broadcast, status: str, scheduled_in: timedelta | None, becomes: str
) -> None:
    Broadcast.objects.update(
        status=status, scheduled_at=timezone.now() + scheduled_in if scheduled_in else None
    )

    ran("--yes")

    assert statuses(broadcast) == [(becomes, "RESERVED")] * 2
    assert [found for found in books.check(thorough=True) if found.rows] == []


def test_stop_to_a_message_of_a_restored_database_opts_out(
    broadcast: Broadcast, acme: Organization, settings: Settings
) -> None:
    settings.SMS_PROVIDERS = ["memory://local", "memory://other"]  # nobody knows which took it
    for waiting in restoring.waiting():
        restoring.doubt(waiting)

    inbound.take(
        provider="memory:local",
        messages=[Inbound("SM1", "+573001234567", "+15005550006", "STOP", {})],
    )

    assert Suppression.objects.filter(organization=acme, recipient="+573001234567").exists()


def test_what_no_provider_carries_any_more_is_doubted_all_the_same(
    broadcast: Broadcast, settings: Settings
) -> None:
    Broadcast.objects.update(kind="FLASH")
    settings.SMS_PROVIDERS = [
        f"twilio://AC{'0' * 32}:token@api.twilio.com?from=%2B15005550006"  # carries no FLASH
    ]

    assert [restoring.doubt(waiting) for waiting in restoring.waiting()] == [2]

    assert set(broadcast.messages.values_list("status", "provider")) == {("UNKNOWN", "")}


def test_what_was_marked_before_the_backup_stays_with_its_provider(broadcast: Broadcast) -> None:
    broadcast.messages.update(provider="other:account", submit_started_at=timezone.now())

    for waiting in restoring.waiting():
        restoring.doubt(waiting)

    assert set(broadcast.messages.values_list("provider", flat=True)) == {"other:account"}

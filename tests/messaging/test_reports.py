"""Delivery reports: kept first, applied after, forward only, and harmless when they repeat."""

import itertools
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection
from django.utils import timezone

from billing import ledger
from contacts.models import Suppression
from messaging import delivery, leases, locks, reports, tasks
from messaging.leases import Lease
from messaging.models import Broadcast, DeliveryReport, Message, MessageEvent
from messaging.providers.callbacks import Report
from messaging.providers.results import Accepted, Unavailable, Unclear

pytestmark = pytest.mark.usefixtures("books_balance")

PHONE = "+573001234567"
ORDERS = list(itertools.permutations(["SENT", "DELIVERED", "UNDELIVERED"]))


@pytest.fixture
def broadcast(acme, contacts, grant, send) -> Broadcast:
    grant(acme, 10)
    contacts(PHONE)
    return send()


@pytest.fixture
def sent(broadcast, memory) -> Message:
    """A message that the provider took."""
    delivery.drain(queue_id=broadcast.pk, lane=0)
    return broadcast.messages.get()


@pytest.fixture
def unknown(broadcast, memory) -> Message:
    """A message that was handed over, and nobody knows how that ended."""
    memory.will_answer(PHONE, Unclear("read timeout"))
    delivery.drain(queue_id=broadcast.pk, lane=0)
    return broadcast.messages.get()


def report(message_id: UUID | None, status: str, **fields: Any) -> None:
    """Keep one report of the memory provider, as its callback would."""
    reports.keep(
        provider="memory:local",
        reports=[
            Report(
                **{"provider_message_id": "", "status": status, "message_id": message_id, **fields}
            )
        ],
    )


def status_of(message: Message) -> str:
    message.refresh_from_db()
    return message.status


def outcomes() -> list[str]:
    return list(DeliveryReport.objects.order_by("id").values_list("outcome", flat=True))


@pytest.mark.parametrize(
    ("told", "becomes"),
    [("DELIVERED", "DELIVERED"), ("UNDELIVERED", "UNDELIVERED"), ("FAILED", "UNDELIVERED")],
)
def test_a_final_report_ends_a_sent_message(sent, told, becomes):
    report(sent.pk, told, code="30003", reason="unreachable")

    reports.apply()

    assert status_of(sent) == becomes
    assert sent.error_code == ("" if becomes == "DELIVERED" else "30003")
    assert outcomes() == ["APPLIED"]


def test_delivered_sets_the_moment_and_the_counters(sent, broadcast):
    report(sent.pk, "DELIVERED")

    reports.apply()

    sent.refresh_from_db()
    broadcast.refresh_from_db()
    assert sent.delivered_at is not None
    assert (broadcast.delivered, broadcast.sent, broadcast.status) == (1, 0, "COMPLETED")


def test_it_is_found_by_the_providers_id_too(sent):
    report(None, "DELIVERED", provider_message_id=sent.provider_message_id)

    reports.apply()

    assert status_of(sent) == "DELIVERED"
    assert DeliveryReport.objects.get().message_id == sent.pk


@pytest.mark.parametrize("order", ORDERS)
def test_whatever_the_order_the_first_final_report_wins(sent, order):
    for status in order:
        report(sent.pk, status)
        reports.apply()

    first_final = next(status for status in order if status != "SENT")
    assert status_of(sent) == first_final
    assert outcomes().count("CONFLICT") == 1


@pytest.mark.parametrize("order", ORDERS)
def test_the_same_holds_when_they_are_applied_together(sent, order):
    for status in order:
        report(sent.pk, status)

    reports.apply()

    assert status_of(sent) == next(status for status in order if status != "SENT")


def test_a_repeated_report_changes_nothing(acme, sent):
    for _repeat in range(3):
        report(sent.pk, "DELIVERED")
    reports.apply()
    reports.apply()

    assert outcomes() == ["APPLIED", "NO_CHANGE", "NO_CHANGE"]
    assert ledger.balance(acme.pk) == ledger.Balance(available=9, spent=1)


@pytest.mark.parametrize(
    ("told", "becomes", "balance"),
    [
        ("SENT", "SENT", ledger.Balance(available=9, spent=1)),
        ("DELIVERED", "DELIVERED", ledger.Balance(available=9, spent=1)),
        ("UNDELIVERED", "UNDELIVERED", ledger.Balance(available=9, spent=1)),
        ("FAILED", "FAILED", ledger.Balance(available=10)),
    ],
)
def test_a_report_resolves_an_unknown_message(acme, unknown, told, becomes, balance):
    report(unknown.pk, told, provider_message_id="SM1")

    reports.apply()

    assert status_of(unknown) == becomes
    assert unknown.provider_message_id == "SM1"
    assert ledger.balance(acme.pk) == balance
    assert unknown.events.filter(kind=MessageEvent.Kind.RESOLVED).count() == 1


def test_a_report_before_our_own_record_waits_for_it(broadcast, memory):
    lease = Lease(broadcast.pk, uuid4())
    (claimed,) = leases.claim(lease, most=1)
    leases.mark(lease, [claimed.id], provider=memory.name)
    report(claimed.id, "DELIVERED")
    reports.apply()
    message = broadcast.messages.get()
    assert message.status == "SENDING"

    Message.objects.update(status="UNKNOWN", unknown_since=timezone.now())
    Broadcast.objects.update(sending=0, unknown=1)
    DeliveryReport.objects.update(due_at=timezone.now())
    reports.apply()

    assert status_of(message) == "DELIVERED"


def test_a_report_for_nobody_is_kept_and_given_up_after_72_hours(db, memory):
    report(uuid4(), "DELIVERED")
    reports.apply()
    assert outcomes() == [""]
    assert DeliveryReport.objects.get().due_at > timezone.now()

    DeliveryReport.objects.update(
        created_at=timezone.now() - timedelta(hours=73), due_at=timezone.now()
    )
    reports.apply()

    assert outcomes() == ["UNMATCHED"]


def test_reports_for_nobody_do_not_hold_up_the_others(sent, monkeypatch):
    monkeypatch.setattr(reports, "BITE", 3)
    for _stranger in range(7):
        report(uuid4(), "DELIVERED")
    report(sent.pk, "DELIVERED")

    while reports.apply():
        pass

    assert status_of(sent) == "DELIVERED"


@pytest.mark.parametrize("provider", ["twilio:local", "memory:other", "memory"])
@pytest.mark.parametrize("names", ["our id", "the provider's id", "both"])
def test_B77_another_providers_report_does_not_move_it(sent, provider, names):
    reports.keep(
        provider=provider,
        reports=[
            Report(
                provider_message_id="" if names == "our id" else sent.provider_message_id,
                status="DELIVERED",
                message_id=None if names == "the provider's id" else sent.pk,
            )
        ],
    )

    reports.apply()

    assert status_of(sent) == "SENT"


def test_a_report_that_says_nothing_is_kept_and_moves_nothing(sent):
    report(sent.pk, "")

    reports.apply()

    assert status_of(sent) == "SENT"
    assert outcomes() == ["NO_CHANGE"]


def test_the_carriers_opt_out_in_a_report_is_kept(sent):
    report(sent.pk, "UNDELIVERED", code="21610", opts_out=True)

    reports.apply()

    assert Suppression.objects.get().recipient == PHONE


def released(message: Message) -> None:
    """Let 72 hours pass for an unknown message, and its credits go back."""
    from messaging.dispatching import Dispatcher

    Message.objects.update(unknown_since=timezone.now() - timedelta(hours=73))
    Dispatcher().sweep()
    message.refresh_from_db()
    assert message.charge == "RELEASED"


def test_a_report_after_the_release_is_charged_when_the_balance_covers_it(acme, unknown):
    released(unknown)
    report(unknown.pk, "DELIVERED")

    reports.apply()

    assert status_of(unknown) == "DELIVERED"
    assert unknown.charge == "CAPTURED"
    assert ledger.balance(acme.pk) == ledger.Balance(available=9, spent=1)


def test_a_report_after_the_release_is_uncollected_when_nothing_is_left(
    acme, unknown, contacts, send
):
    released(unknown)
    contacts(*(f"+5730012345{number:02}" for number in range(9)))
    send()  # takes all ten credits
    report(unknown.pk, "DELIVERED")

    reports.apply()

    assert status_of(unknown) == "DELIVERED"
    assert unknown.charge == "UNCOLLECTED"


def test_two_messages_with_one_id_of_the_provider_are_both_resolved(
    acme, contacts, grant, send, memory
):
    grant(acme, 10)
    for contact in contacts("+573001234561", "+573001234562"):
        memory.will_answer(contact.e164, Unclear("read timeout"))
    broadcast = send()
    delivery.drain(queue_id=broadcast.pk, lane=0)
    for message in broadcast.messages.all():
        report(message.pk, "DELIVERED", provider_message_id="SM1")

    reports.apply()

    broadcast.refresh_from_db()
    assert broadcast.delivered == 2
    ids = sorted(broadcast.messages.values_list("provider_message_id", flat=True))
    assert ids == ["", "SM1"]


def test_reports_that_cannot_be_applied_do_not_hold_up_other_broadcasts(
    acme, sent, contacts, send, memory, monkeypatch
):
    second = send(text="Another")
    delivery.drain(queue_id=second.pk, lane=0)
    report(sent.pk, "DELIVERED")
    report(second.messages.get().pk, "DELIVERED")
    apply_to = reports._apply_to

    def apply_to_all_but_one(broadcast_id, pairs):
        if broadcast_id == sent.broadcast_id:
            raise RuntimeError("a defect")
        apply_to(broadcast_id, pairs)

    monkeypatch.setattr(reports, "_apply_to", apply_to_all_but_one)
    reports.apply()

    assert status_of(second.messages.get()) == "DELIVERED"
    waiting = DeliveryReport.objects.get(applied_at=None)
    assert waiting.due_at > timezone.now()


def test_an_opt_out_of_a_number_that_is_not_valid_any_more_is_kept(sent):
    Message.objects.filter(pk=sent.pk).update(recipient="+5799999999999")
    report(sent.pk, "UNDELIVERED", opts_out=True)

    reports.apply()

    assert Suppression.objects.get().recipient == "+5799999999999"


def test_the_raw_words_are_kept_for_ever(sent):
    report(sent.pk, "DELIVERED", raw={"MessageStatus": "delivered", "SmsSid": "SM1"})

    reports.apply()

    assert DeliveryReport.objects.get().raw == {"MessageStatus": "delivered", "SmsSid": "SM1"}


@pytest.mark.parametrize("second", [Accepted("x"), Unclear("read timeout")])
def test_what_is_said_of_an_attempt_that_never_left_does_not_end_the_next_one(
    broadcast, memory, second
):
    memory.will_answer(PHONE, Unavailable("a system error", code="REJECTED_SYSTEM_ERROR"), second)
    delivery.drain(queue_id=broadcast.pk, lane=0)
    message = broadcast.messages.get()
    assert message.status == "QUEUED"
    report(message.pk, "FAILED")
    reports.apply()
    Message.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    delivery.drain(queue_id=broadcast.pk, lane=0)

    DeliveryReport.objects.update(due_at=timezone.now() - timedelta(seconds=1))
    reports.apply()
    report(message.pk, "DELIVERED")
    reports.apply()

    assert status_of(message) == "DELIVERED"
    assert sorted(DeliveryReport.objects.values_list("status", "outcome")) == [
        ("DELIVERED", "APPLIED"),
        ("FAILED", "NO_CHANGE"),
    ]


@pytest.fixture
def refused(broadcast, memory) -> Message:
    """A message that the provider provably refused: it waits for its next attempt."""
    memory.will_answer(PHONE, Unavailable("a system error", code="REJECTED_SYSTEM_ERROR"))
    delivery.drain(queue_id=broadcast.pk, lane=0)
    return broadcast.messages.get()


@pytest.mark.parametrize(
    ("told", "becomes"),
    [(["SENT"], "SENT"), (["DELIVERED"], "DELIVERED"), (["SENT", "DELIVERED"], "DELIVERED")],
)
@pytest.mark.parametrize("is_claimed", [False, True])
def test_what_was_refused_and_taken_all_the_same_never_leaves_again(
    acme, broadcast, memory, refused, told, becomes, is_claimed, caplog
):
    Message.objects.update(next_attempt_at=timezone.now() - timedelta(seconds=1))
    lease = Lease(broadcast.pk, uuid4())
    claimed = leases.claim(lease, most=1) if is_claimed else []
    for status in told:
        report(refused.pk, status)

    reports.apply()

    assert leases.mark(lease, [each.id for each in claimed], provider=memory.name) == {}
    delivery.drain(queue_id=broadcast.pk, lane=0)
    assert (status_of(refused), refused.charge) == (becomes, "CAPTURED")
    assert memory.messages == []
    assert set(outcomes()) == {"APPLIED"}
    assert ledger.balance(acme.pk) == ledger.Balance(available=9, spent=1)
    assert "refused_and_taken" in caplog.text
    broadcast.refresh_from_db()
    assert broadcast.status == "COMPLETED"


@pytest.mark.parametrize("told", ["FAILED", "UNDELIVERED"])
def test_what_was_refused_and_is_said_to_have_failed_is_tried_again(broadcast, refused, told):
    report(refused.pk, told)

    reports.apply()

    assert status_of(refused) == "QUEUED"


def test_what_never_left_is_not_believed_to_have_arrived(broadcast):
    message = broadcast.messages.get()
    report(message.pk, "DELIVERED")

    reports.apply()

    assert status_of(message) == "QUEUED"


def test_of_two_who_apply_the_inbox_one_works(sent, transactional_db):
    report(sent.pk, "DELIVERED")
    other = connection.copy()
    with other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [locks.APPLYING_REPORTS])
    try:
        tasks.apply_reports()
        assert status_of(sent) == "SENT"
        with other.cursor() as cursor:  # the end of a connection lets go of it a moment later
            cursor.execute("SELECT pg_advisory_unlock(%s)", [locks.APPLYING_REPORTS])
    finally:
        other.close()

    tasks.apply_reports()
    assert status_of(sent) == "DELIVERED"

"""Handing messages over: claim, mark, call, record, with a provider that answers as it is told."""

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from billing import ledger
from contacts.models import Contact, Suppression
from messaging import delivery, recording
from messaging.models import Broadcast, Message, MessageEvent, ProviderState
from messaging.providers.results import Accepted, Misconfigured, Refused, Unavailable, Unclear
from tests.contacts.factories import ContactFactory

pytestmark = pytest.mark.usefixtures("books_balance")

PHONE = "+573001234567"


@pytest.fixture
def broadcast(acme, contacts, grant, send) -> Broadcast:
    """One broadcast to one recipient, not handed over yet."""
    grant(acme, 1_000)
    contacts(PHONE)
    return send()


def drained(broadcast: Broadcast, *, lane: int = 0) -> Broadcast:
    delivery.drain(queue_id=broadcast.pk, lane=lane)
    broadcast.refresh_from_db()
    return broadcast


def only_message(broadcast: Broadcast) -> Message:
    return broadcast.messages.get()


def test_what_the_provider_takes_is_sent_and_captured(acme, broadcast, memory):
    drained(broadcast)

    message = only_message(broadcast)
    assert (message.status, message.charge) == ("SENT", "CAPTURED")
    assert message.provider == memory.name
    assert message.provider_message_id.startswith("memory-")
    assert message.sent_at is not None
    assert [kept.message.recipient for kept in memory.messages] == [PHONE]
    assert ledger.balance(acme.pk) == ledger.Balance(available=999, spent=1)
    assert (broadcast.status, broadcast.sent) == ("COMPLETED", 1)
    assert broadcast.providers == [memory.name]


def test_the_callback_carries_our_signed_id(broadcast, memory):
    drained(broadcast)

    (kept,) = memory.messages
    assert f"m={only_message(broadcast).pk.hex}&s=" in kept.message.callback_url


def test_what_is_refused_for_ever_fails_and_is_paid_back(acme, broadcast, memory):
    memory.will_answer(PHONE, Refused("21211", "no such number"))

    drained(broadcast)

    message = only_message(broadcast)
    assert (message.status, message.charge, message.error_code) == ("FAILED", "RELEASED", "21211")
    assert ledger.balance(acme.pk) == ledger.Balance(available=1_000)
    assert broadcast.status == "COMPLETED_WITH_FAILURES"


def test_the_carriers_opt_out_is_kept_for_the_next_broadcast(acme, broadcast, memory, send):
    memory.will_answer(PHONE, Refused("21610", "unsubscribed", opts_out=True))

    drained(broadcast)

    assert Suppression.objects.get().source == Suppression.Source.CARRIER
    assert send().skipped_by_reason == {"opted_out": 1}


def test_what_provably_never_left_waits_and_goes_out_later(broadcast, memory):
    memory.will_answer(PHONE, Unavailable("connection refused", retry_after=30))

    drained(broadcast)

    message = only_message(broadcast)
    assert (message.status, message.charge, message.attempts) == ("QUEUED", "RESERVED", 1)
    wait = message.next_attempt_at - timezone.now()
    assert timedelta(seconds=20) < wait <= timedelta(seconds=31)
    assert message.events.get().kind == MessageEvent.Kind.PUT_BACK
    Message.objects.update(next_attempt_at=timezone.now())
    assert drained(broadcast).sent == 1


def test_a_busy_provider_costs_the_message_no_attempt(broadcast, memory):
    memory.will_answer(PHONE, Unavailable("429", retry_after=1, gives_attempt_back=True))

    drained(broadcast)

    assert only_message(broadcast).attempts == 0


@pytest.mark.parametrize(
    ("asked", "least", "most"), [(-5.0, 0.5, 6.0), (3_600.0, 899.0, 901.0), (None, 0.5, 6.0)]
)
def test_what_a_provider_asks_to_wait_is_kept_within_bounds(broadcast, memory, asked, least, most):
    memory.will_answer(PHONE, Unavailable("429", retry_after=asked, gives_attempt_back=True))

    before = timezone.now()
    drained(broadcast)

    passed = (timezone.now() - before).total_seconds()
    wait = (only_message(broadcast).next_attempt_at - before).total_seconds()
    assert least <= wait <= most + passed


def test_after_eight_attempts_it_fails_as_expired(acme, broadcast, memory):
    memory.will_answer(PHONE, *[Unavailable("connection refused")] * recording.MOST_ATTEMPTS)

    for _attempt in range(recording.MOST_ATTEMPTS):
        assert only_message(broadcast).status == "QUEUED"
        Message.objects.update(next_attempt_at=timezone.now())
        ProviderState.objects.all().delete()  # after five of these its breaker is open
        drained(broadcast)

    message = only_message(broadcast)
    assert (message.status, message.error_code) == ("FAILED", "expired")
    assert ledger.balance(acme.pk) == ledger.Balance(available=1_000)


def test_a_message_that_cannot_be_built_fails_after_three_attempts(broadcast, memory):
    memory.will_answer(PHONE, *[Unavailable("not built", internal=True)] * 3)

    for _attempt in range(3):
        Message.objects.update(next_attempt_at=timezone.now())
        drained(broadcast)

    message = only_message(broadcast)
    assert (message.status, message.error_code) == ("FAILED", "internal")


def test_an_account_that_needs_repair_burns_nothing(acme, broadcast, memory):
    memory.will_answer(PHONE, Misconfigured("suspended", "20005"))

    drained(broadcast)

    message = only_message(broadcast)
    assert (message.status, message.attempts, message.charge) == ("QUEUED", 0, "RESERVED")
    assert broadcast.status == "RUNNING"


def test_an_account_that_needs_repair_is_not_asked_again_and_again(
    acme, contacts, grant, send, memory
):
    grant(acme, 1_000)
    made = contacts(*(f"+57300123{number:04}" for number in range(250)))
    for contact in made:
        memory.will_answer(contact.e164, *[Misconfigured("suspended", "20005")] * 9)
    broadcast = send()

    drained(broadcast)

    tried = broadcast.messages.exclude(error_code="").count()
    assert tried == delivery.CLAIM  # one window
    assert not delivery.drain(queue_id=broadcast.pk, lane=0)
    waits = broadcast.messages.exclude(error_code="").values_list("next_attempt_at", flat=True)
    assert min(waits) > timezone.now() + timedelta(seconds=20)


def test_the_same_reason_is_told_once(broadcast, memory):
    memory.will_answer(PHONE, *[Unavailable("connection refused")] * 3)
    for _attempt in range(3):
        Message.objects.update(next_attempt_at=timezone.now())
        drained(broadcast)

    assert only_message(broadcast).events.count() == 1


def test_an_unclear_answer_is_unknown_and_never_sent_again(acme, broadcast, memory):
    memory.will_answer(PHONE, Unclear("read timeout"))

    drained(broadcast)
    drained(broadcast)

    message = only_message(broadcast)
    assert (message.status, message.charge) == ("UNKNOWN", "RESERVED")
    assert message.unknown_since is not None
    assert not memory.messages
    assert ledger.balance(acme.pk) == ledger.Balance(available=999, reserved=1)
    assert (broadcast.status, broadcast.unknown) == ("COMPLETED_WITH_FAILURES", 1)


def test_messages_that_no_provider_carries_any_more_wait(broadcast, settings):
    settings.SMS_PROVIDERS = [
        "twilio://AC00000000000000000000000000000000:t@api.twilio.com?from=%2B15005550006"
    ]
    Broadcast.objects.update(kind="FLASH")

    assert not delivery.drain(queue_id=broadcast.pk, lane=0)

    broadcast.refresh_from_db()
    assert (broadcast.status, broadcast.queued, broadcast.broken_drains) == ("RUNNING", 1, 0)


def test_small_broadcasts_on_one_credential_share_its_rate(
    acme, contacts, grant, send, settings, fresh_rate_limits
):
    settings.SMS_PROVIDERS = ["memory://shared?rate=100"]
    grant(acme, 100)
    contacts(PHONE)

    broadcasts = [drained(send(text=f"Number {number}")) for number in range(5)]

    assert [broadcast.sent for broadcast in broadcasts] == [1] * 5


def test_a_credentials_rate_is_kept(acme, contacts, grant, send, settings, fresh_rate_limits):
    settings.SMS_PROVIDERS = ["memory://slow?rate=5"]
    grant(acme, 100)
    contacts(*(f"+57300123{number:04}" for number in range(40)))
    broadcast = send()

    drained(broadcast)  # two seconds of five messages, and what a window's edges allow

    assert 5 <= broadcast.sent <= 15


def test_a_defect_in_the_provider_is_an_unclear_answer(broadcast, memory):
    memory.will_answer(PHONE, RuntimeError("a defect"))

    assert drained(broadcast).unknown == 1


def test_an_opt_out_after_acceptance_is_honoured(acme, broadcast, memory):
    Suppression.objects.create(organization=acme, recipient=PHONE, source="MEMBER")

    drained(broadcast)

    message = only_message(broadcast)
    assert (message.status, message.charge, message.error_code) == (
        "CANCELED",
        "RELEASED",
        "opted_out",
    )
    assert not memory.messages
    assert broadcast.status == "COMPLETED"


def test_a_block_after_acceptance_is_honoured(broadcast, memory):
    Contact.objects.update(status=Contact.Status.BLOCKED)

    drained(broadcast)

    assert only_message(broadcast).error_code == "contact_blocked"
    assert not memory.messages


def test_who_was_deleted_after_acceptance_is_left_alone(acme, broadcast, memory):
    Contact.objects.update(deleted_at=timezone.now())

    drained(broadcast)

    message = only_message(broadcast)
    assert (message.status, message.charge, message.error_code) == (
        "CANCELED",
        "RELEASED",
        "contact_deleted",
    )
    assert not memory.messages
    assert ledger.balance(acme.pk).reserved == 0


def test_who_was_deleted_and_stands_in_the_directory_again_is_written_to(acme, broadcast, memory):
    """As after an import that replaces all contacts."""
    Contact.objects.update(deleted_at=timezone.now())
    ContactFactory.create(organization=acme, phone=PHONE)

    drained(broadcast)

    assert [kept.message.recipient for kept in memory.messages] == [PHONE]


def test_who_was_deleted_and_stands_there_again_as_blocked_is_left_alone(acme, broadcast, memory):
    Contact.objects.update(deleted_at=timezone.now())
    ContactFactory.create(organization=acme, phone=PHONE, status="BLOCKED")

    assert drained(broadcast).canceled == 1
    assert not memory.messages


def test_a_number_that_the_requests_country_read_stands_in_the_directory_again(
    acme, grant, send, memory
):
    grant(acme, 10)
    ContactFactory.create(organization=acme, phone="5512345678")
    broadcast = send(country="MX")
    Contact.objects.update(deleted_at=timezone.now())
    ContactFactory.create(organization=acme, phone="5512345678")

    drained(broadcast)

    assert [kept.message.recipient for kept in memory.messages] == ["+525512345678"]


def test_who_stands_in_anothers_directory_alone_is_left_alone(borealis, broadcast, memory):
    Contact.objects.update(deleted_at=timezone.now())
    ContactFactory.create(organization=borealis, phone=PHONE)

    assert drained(broadcast).canceled == 1
    assert not memory.messages


@pytest.mark.parametrize("status", ["PAUSED", "CANCELED", "SCHEDULED"])
def test_only_running_broadcasts_are_handed_over(broadcast, memory, status):
    Broadcast.objects.update(status=status)

    assert not delivery.drain(queue_id=broadcast.pk, lane=0)

    assert only_message(broadcast).status == "QUEUED"
    assert not memory.messages


def test_nothing_is_handed_over_while_sending_is_off(broadcast, memory, settings):
    settings.SENDING = False

    drained(broadcast)

    assert only_message(broadcast).status == "QUEUED"


def test_what_waits_for_a_later_moment_is_not_claimed(broadcast, memory):
    Message.objects.update(next_attempt_at=timezone.now() + timedelta(minutes=1))

    assert not delivery.drain(queue_id=broadcast.pk, lane=0)

    assert not memory.messages


def test_an_unknown_queue_id_is_no_work(db, memory):
    assert not delivery.drain(queue_id=uuid4(), lane=0)


def test_it_hands_over_more_than_one_claim(acme, contacts, grant, send, memory):
    grant(acme, 1_000)
    contacts(*(f"+57300{number:07}" for number in range(delivery.CLAIM + 30)))

    broadcast = drained(send())

    assert broadcast.sent == delivery.CLAIM + 30
    assert len({kept.message.id for kept in memory.messages}) == delivery.CLAIM + 30


def test_outcomes_of_one_window_are_told_apart(acme, contacts, grant, send, memory):
    grant(acme, 10)
    taken, refused, busy, lost = contacts(*(f"+57300123456{digit}" for digit in range(4)))
    memory.will_answer(refused.e164, Refused("1", "no"))
    memory.will_answer(busy.e164, Unavailable("later"))
    memory.will_answer(lost.e164, Unclear("?"))

    broadcast = drained(send())

    statuses = dict(broadcast.messages.values_list("recipient", "status"))
    assert statuses == {
        taken.e164: "SENT",
        refused.e164: "FAILED",
        busy.e164: "QUEUED",
        lost.e164: "UNKNOWN",
    }
    assert ledger.balance(acme.pk) == ledger.Balance(available=7, reserved=2, spent=1)


def test_carriers_that_ask_for_whole_broken_and_no_seconds_are_recorded_together(
    acme, contacts, grant, send, memory
):
    grant(acme, 10)
    waits = [None, 30.0, 0.0, -1.0, 5_000]
    made = contacts(*(f"+57300123456{digit}" for digit in range(len(waits) + 1)))
    for contact, wait in zip(made, waits, strict=False):
        memory.will_answer(contact.e164, Unavailable("busy", retry_after=wait))

    broadcast = drained(send())

    assert (broadcast.sent, broadcast.queued, broadcast.unknown) == (1, len(waits), 0)


def test_words_that_cannot_be_stored_do_not_cost_the_others_their_result(
    acme, contacts, grant, send, memory
):
    grant(acme, 10)
    bad, good = contacts("+573001234567", "+573001234568")
    memory.will_answer(bad.e164, Accepted("id\0with-a-nul"))
    memory.will_answer(good.e164, Accepted("good"))

    broadcast = drained(send())

    assert broadcast.sent == 2
    assert broadcast.messages.get(contact=good).provider_message_id == "good"


def test_a_providers_id_that_another_message_has_is_left_out(acme, contacts, grant, send, memory):
    grant(acme, 10)
    first, second = contacts("+573001234567", "+573001234568")
    for contact in (first, second):
        memory.will_answer(contact.e164, Accepted("the-same-id"))

    broadcast = drained(send())

    assert broadcast.sent == 2
    ids = set(broadcast.messages.values_list("provider_message_id", flat=True))
    assert ids == {"the-same-id", ""}

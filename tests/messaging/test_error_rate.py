"""A broadcast of whose last 200 messages half FAILED or are UNKNOWN is held up, and says so."""

from collections import Counter
from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from accounts.models import AuditEntry
from messaging import delivery, dispatching, journeys, leases, recording, run_control
from messaging.leases import Lease
from messaging.models import Broadcast, Message
from messaging.providers.results import Accepted, Refused, Unavailable, Unclear

pytestmark = pytest.mark.usefixtures("books_balance")

REFUSED = Refused("21211", "no such number")
LOST = Unclear("read timeout")
BUSY = Unavailable("429", gives_attempt_back=True)


@pytest.fixture
def broadcast(acme, contacts, grant, send, memory):
    """Make a broadcast of so many messages; the n-th to fail by these answers."""

    def made(count: int, failing=(), answer=REFUSED) -> Broadcast:
        grant(acme, 1_000)
        contacts(*(f"+57300{number:07}" for number in range(count)))
        sent = send()
        recipients = list(sent.messages.order_by("id").values_list("recipient", flat=True))
        for number in failing:
            memory.will_answer(recipients[number], answer)
        return sent

    return made


def drained(broadcast: Broadcast) -> Broadcast:
    while delivery.drain(queue_id=broadcast.pk, lane=0):
        pass
    broadcast.refresh_from_db()
    return broadcast


@pytest.mark.parametrize("answer", [REFUSED, LOST])
def test_it_is_held_up_at_half_of_two_hundred(broadcast, answer, caplog):
    sent = drained(broadcast(250, range(0, 200, 2), answer))

    assert (sent.status, sent.paused_because, sent.queued) == ("PAUSED", "error_rate", 50)
    assert sent.recent_results.count("-") == 100
    entry = AuditEntry.objects.get(act="broadcast.paused")
    assert entry.subject == f"broadcast:{sent.pk}"
    assert (entry.organization_id, entry.member_id) == (sent.organization_id, None)
    assert entry.details == {"paused_because": "error_rate"}
    (told,) = [record for record in caplog.records if record.msg == "broadcast_paused"]
    assert told.levelname == "ERROR"


def test_one_less_than_half_holds_nothing_up(broadcast):
    assert drained(broadcast(250, range(0, 198, 2))).sent == 250 - 99


def test_fewer_than_two_hundred_results_hold_nothing_up(broadcast, memory):
    sent = broadcast(200, range(199))
    last = sent.messages.order_by("id").last()
    memory.will_answer(last.recipient, *[BUSY] * 9)

    drained(sent)

    assert (sent.status, sent.failed, sent.queued) == ("RUNNING", 199, 1)


def test_only_the_last_two_hundred_count(broadcast):
    sent = broadcast(300, range(99))
    Broadcast.objects.update(recent_results="+" * 200)

    assert drained(sent).status == "COMPLETED_WITH_FAILURES"
    assert sent.recent_results == "+" * 200


def test_what_was_put_back_is_no_result(broadcast):
    sent = drained(broadcast(10, range(10), BUSY))

    assert (sent.queued, sent.recent_results) == (10, "")


def test_what_the_sweep_finds_unknown_counts(broadcast):
    sent = broadcast(300)
    lease = Lease(sent.pk, uuid4())
    ids = [message.id for message in leases.claim(lease, most=250)]
    leases.mark(lease, ids, provider="memory:local")
    Message.objects.filter(pk__in=ids).update(lease_until=timezone.now() - timedelta(seconds=1))

    dispatching.Dispatcher().sweep()

    sent.refresh_from_db()
    assert (sent.status, sent.paused_because, sent.unknown) == ("PAUSED", "error_rate", 250)


def test_what_expired_while_it_waited_or_was_settled_later_is_no_result(broadcast, memory):
    sent = broadcast(2)
    late, unknown = sent.messages.order_by("id")
    Message.objects.filter(pk=late.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    dispatching.Dispatcher().sweep()
    memory.will_answer(unknown.recipient, LOST)
    drained(sent)
    assert (sent.failed, sent.unknown, sent.recent_results) == (1, 1, "-")
    token = Message.objects.get(pk=unknown.pk).lease_token
    assert token is not None

    recording.record(
        queue_id=sent.pk,
        token=token,
        provider="memory:local",
        results={unknown.pk: Accepted("late")},
    )

    sent.refresh_from_db()
    assert (sent.sent, sent.recent_results) == (1, "-")


def test_whoever_resumes_it_counts_anew(broadcast, ana):
    sent = drained(broadcast(300, range(0, 200, 2)))
    resumed = run_control.resume(member=ana, broadcast=sent)

    drained(resumed)

    assert (resumed.status, resumed.sent) == ("COMPLETED_WITH_FAILURES", 200)
    assert resumed.recent_results == "+" * 100


def test_one_that_ended_is_not_held_up(broadcast):
    assert drained(broadcast(200, range(200))).status == "COMPLETED_WITH_FAILURES"


@pytest.mark.parametrize(("taken", "failed"), [(60, 40), (0, 7), (7, 0), (1, 99), (300, 200)])
def test_a_windows_results_are_a_fair_sample_wherever_they_are_cut(taken, failed):
    shown = journeys._mixed(Counter({"+": taken, "-": failed}))

    assert len(shown) == min(200, taken + failed)
    share = failed / (taken + failed)
    for start in range(len(shown)):
        assert abs(shown[start:].count("-") - share * len(shown[start:])) <= 1

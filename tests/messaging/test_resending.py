"""Resending: what failed, or is unknown, becomes a broadcast of its own, once."""

from collections.abc import Callable
from typing import Literal

import pytest

from accounts import roles, terms
from accounts.models import Member, Organization
from billing import ledger
from billing.caps import SpendingCapReached
from billing.ledger import InsufficientCredits
from billing.models import SpendingCap
from contacts import suppressions
from contacts.models import Contact, Suppression
from messaging import approvals, delivery, idempotency, reports, resending, run_control
from messaging.models import Broadcast, Message
from messaging.providers.callbacks import Report
from messaging.providers.memory import Memory
from messaging.providers.results import Accepted, Refused, Unavailable, Unclear
from tests.factories import TermsFactory
from tests.messaging.conftest import Contacts, Send

pytestmark = pytest.mark.usefixtures("books_balance")

Grant = Callable[[Organization, int], None]
REFUSED, LOST, UNDELIVERED, TAKEN = (f"+57300123456{number}" for number in range(4))


@pytest.fixture
def first(
    acme: Organization, grant: Grant, contacts: Contacts, send: Send, memory: Memory
) -> Broadcast:
    """Finished: one refused, one lost, one undelivered, one taken. 97 credits are available."""
    grant(acme, 100)
    contacts(REFUSED, LOST, UNDELIVERED, TAKEN)
    memory.will_answer(REFUSED, Refused("21211", "no such number"))
    memory.will_answer(LOST, Unclear("timeout"))
    memory.will_answer(UNDELIVERED, Accepted("SM-undelivered"))
    broadcast = send()
    delivery.drain(queue_id=broadcast.pk, lane=0)
    report("SM-undelivered", "UNDELIVERED")
    memory.messages.clear()
    broadcast.refresh_from_db()
    assert (broadcast.failed, broadcast.unknown, broadcast.undelivered) == (1, 1, 1)
    return broadcast


def report(
    provider_message_id: str,
    status: Literal["DELIVERED", "UNDELIVERED"],
    message: Message | None = None,
) -> None:
    reports.keep(
        provider="memory:local",
        reports=[
            Report(
                message_id=message.pk if message else None,
                provider_message_id=provider_message_id,
                status=status,
            )
        ],
    )
    reports.apply()


def recipients(broadcast: Broadcast) -> list[str]:
    return sorted(broadcast.messages.values_list("recipient", flat=True))


# --- what failed ----------------------------------------------------------------------------------
def test_what_failed_and_what_was_undelivered_is_sent_once_more_and_nothing_else(
    acme: Organization, ana: Member, first: Broadcast, memory: Memory
) -> None:
    again = resending.resend_failed(member=ana, broadcast=first)
    delivery.drain(queue_id=again.pk, lane=0)

    assert recipients(again) == [REFUSED, UNDELIVERED]
    assert (again.text, again.audience_kind) == (first.text, "resend")
    assert (again.resends, again.resent) == (first, "FAILED")
    assert [kept.message.recipient for kept in memory.messages] == [REFUSED, UNDELIVERED]
    assert ledger.balance(acme.pk) == ledger.Balance(available=95, reserved=1, spent=4)


def test_the_first_broadcast_stays_as_it_was(ana: Member, first: Broadcast) -> None:
    before = list(first.messages.order_by("id").values())

    resending.resend_failed(member=ana, broadcast=first)

    assert list(first.messages.order_by("id").values()) == before
    assert Broadcast.objects.get(pk=first.pk).status == "COMPLETED_WITH_FAILURES"


def test_it_happens_once_a_broadcast(ana: Member, sara: Member, first: Broadcast) -> None:
    resending.resend_failed(member=ana, broadcast=first)

    with pytest.raises(run_control.StateDoesNotAllow, match="resent before"):
        resending.resend_failed(member=sara, broadcast=first)

    assert Broadcast.objects.filter(resends=first).count() == 1


def test_a_resend_that_failed_is_resent_itself(
    ana: Member, first: Broadcast, memory: Memory
) -> None:
    memory.will_answer(REFUSED, Refused("21211", "no such number"))
    again = resending.resend_failed(member=ana, broadcast=first)
    delivery.drain(queue_id=again.pk, lane=0)

    third = resending.resend_failed(member=ana, broadcast=again)

    assert recipients(third) == [REFUSED]


def test_a_refused_resend_may_be_tried_again(
    acme: Organization, ana: Member, first: Broadcast
) -> None:
    SpendingCap.objects.create(organization=acme, per_day=1)
    with pytest.raises(SpendingCapReached):
        resending.resend_failed(member=ana, broadcast=first)
    SpendingCap.objects.all().delete()

    assert resending.resend_failed(member=ana, broadcast=first).messages_total == 2


def test_one_that_reached_nobody_leaves_the_one_time_to_another(
    ana: Member, first: Broadcast
) -> None:
    Contact.objects.update(status="BLOCKED")
    nobody = resending.resend_failed(member=ana, broadcast=first)
    Contact.objects.update(status="ACTIVE")

    again = resending.resend_failed(member=ana, broadcast=first)

    assert (nobody.status, nobody.messages_total) == ("COMPLETED", 0)
    assert recipients(again) == [REFUSED, UNDELIVERED]


def test_one_that_was_rejected_leaves_it_too_once_its_messages_have_followed(
    acme: Organization, ana: Member, sara: Member, first: Broadcast
) -> None:
    Organization.objects.filter(pk=acme.pk).update(approval_above=0)
    rejected = resending.resend_failed(member=sara, broadcast=first)
    approvals.reject(member=ana, broadcast=rejected)
    Organization.objects.filter(pk=acme.pk).update(approval_above=None)

    with pytest.raises(run_control.StateDoesNotAllow, match="being canceled"):
        resending.resend_failed(member=ana, broadcast=first)
    run_control.cancel_bite()

    assert recipients(resending.resend_failed(member=ana, broadcast=first)) == [
        REFUSED,
        UNDELIVERED,
    ]


def test_whom_a_canceled_one_wrote_to_is_not_written_to_again(
    ana: Member, first: Broadcast, memory: Memory
) -> None:
    memory.will_answer(UNDELIVERED, Unavailable("busy"))
    canceled = resending.resend_failed(member=ana, broadcast=first)
    delivery.drain(queue_id=canceled.pk, lane=0)
    run_control.cancel(member=ana, broadcast=canceled)
    run_control.cancel_bite()

    again = resending.resend_failed(member=ana, broadcast=first)

    assert canceled.messages.get(recipient=REFUSED).status == "SENT"
    assert recipients(again) == [UNDELIVERED]


def test_its_key_is_answered_again_and_not_told_that_it_was_resent(
    ana: Member, first: Broadcast
) -> None:
    once = idempotency.once(key="k", method="POST", path="/resend-failed", fields={})
    again = resending.resend_failed(member=ana, broadcast=first, once=once)

    with pytest.raises(idempotency.CarriedOutBefore) as before:
        resending.resend_failed(member=ana, broadcast=first, once=once)

    assert before.value.broadcast == again


def test_opt_outs_blocks_and_deletions_of_the_time_between_hold(
    acme: Organization, ana: Member, first: Broadcast, send: Send
) -> None:
    suppressions.add(
        organization=acme, recipient=REFUSED, source=Suppression.Source.MEMBER, member=ana
    )
    Contact.objects.filter(phone=UNDELIVERED).update(status="BLOCKED")

    again = resending.resend_failed(member=ana, broadcast=first)

    assert (again.status, again.messages_total) == ("COMPLETED", 0)
    assert again.skipped_by_reason == {"opted_out": 1, "contact_blocked": 1}


def test_contacts_deleted_since_are_not_written_to(ana: Member, first: Broadcast) -> None:
    Contact.objects.filter(phone=REFUSED).update(deleted_at="2026-01-01T00:00Z")

    assert recipients(resending.resend_failed(member=ana, broadcast=first)) == [UNDELIVERED]


def test_it_waits_for_approval_as_any_other(
    acme: Organization, ana: Member, first: Broadcast
) -> None:
    Organization.objects.filter(pk=acme.pk).update(approval_above=1)

    again = resending.resend_failed(member=ana, broadcast=first)

    assert (again.status, again.paused_because) == ("PAUSED", "approval")


def test_it_is_refused_where_credits_are_missing(
    acme: Organization, ana: Member, first: Broadcast
) -> None:
    ledger.reserve(organization_id=acme.pk, amount=96, reference="elsewhere")

    with pytest.raises(InsufficientCredits) as refused:
        resending.resend_failed(member=ana, broadcast=first)
    ledger.release(organization_id=acme.pk, amount=96, reference="elsewhere")

    assert (refused.value.required, refused.value.available) == (2, 1)
    assert Broadcast.objects.count() == 1


# --- what is unknown ------------------------------------------------------------------------------
def test_what_is_unknown_is_sent_once_more_when_somebody_says_how_many_may_arrive_twice(
    ana: Member, first: Broadcast
) -> None:
    again = resending.resend_unknown(member=ana, broadcast=first, may_arrive_twice=1)

    assert recipients(again) == [LOST]
    assert (again.resends, again.resent) == (first, "UNKNOWN")
    assert first.messages.get(recipient=LOST).status == "UNKNOWN"


@pytest.mark.parametrize("shown", [0, 2])
def test_whoever_was_shown_another_number_is_asked_again(
    ana: Member, first: Broadcast, shown: int
) -> None:
    with pytest.raises(resending.NotAcknowledged):
        resending.resend_unknown(member=ana, broadcast=first, may_arrive_twice=shown)

    assert Broadcast.objects.count() == 1


def test_a_report_that_comes_after_the_resend_counts_for_the_first(
    acme: Organization, ana: Member, first: Broadcast
) -> None:
    again = resending.resend_unknown(member=ana, broadcast=first, may_arrive_twice=1)
    delivery.drain(queue_id=again.pk, lane=0)

    report("", "DELIVERED", first.messages.get(recipient=LOST))

    assert first.messages.get(recipient=LOST).status == "DELIVERED"
    assert again.messages.get(recipient=LOST).status == "SENT"
    assert ledger.balance(acme.pk) == ledger.Balance(available=96, spent=4)


def test_nobody_who_was_written_to_again_is_written_to_a_third_time(
    ana: Member, first: Broadcast
) -> None:
    resending.resend_unknown(member=ana, broadcast=first, may_arrive_twice=1)
    report("", "UNDELIVERED", first.messages.get(recipient=LOST))

    again = resending.resend_failed(member=ana, broadcast=first)

    assert recipients(again) == [REFUSED, UNDELIVERED]


# --- when not -------------------------------------------------------------------------------------
@pytest.mark.parametrize("counter", ["queued", "sending"])
def test_not_before_everything_is_handed_over(ana: Member, first: Broadcast, counter: str) -> None:
    # As it stands while one of four still waits.
    taken = first.messages.get(recipient=TAKEN)
    Broadcast.objects.filter(pk=first.pk).update(sent=0, status="RUNNING", **{counter: 1})

    with pytest.raises(run_control.StateDoesNotAllow, match="Wait for its end"):
        resending.resend_failed(member=ana, broadcast=first)
    with pytest.raises(run_control.StateDoesNotAllow, match="Wait for its end"):
        resending.resend_unknown(member=ana, broadcast=first, may_arrive_twice=1)

    Broadcast.objects.filter(pk=first.pk).update(sent=1, **{counter: 0})
    assert taken.status == "SENT"


def test_not_where_there_is_nothing_to_resend(
    acme: Organization, ana: Member, grant: Grant, contacts: Contacts, send: Send
) -> None:
    grant(acme, 10)
    contacts(TAKEN)
    broadcast = send()
    delivery.drain(queue_id=broadcast.pk, lane=0)

    with pytest.raises(run_control.StateDoesNotAllow, match="failed"):
        resending.resend_failed(member=ana, broadcast=broadcast)
    with pytest.raises(run_control.StateDoesNotAllow, match="unknown"):
        resending.resend_unknown(member=ana, broadcast=broadcast, may_arrive_twice=0)

    assert Broadcast.objects.count() == 1


@pytest.mark.parametrize("who", ["vera", "root", "carla"])
def test_who_may_not_send_does_not_resend(
    request: pytest.FixtureRequest, first: Broadcast, who: str
) -> None:
    with pytest.raises(roles.RoleMissing):
        resending.resend_failed(member=request.getfixturevalue(who), broadcast=first)
    with pytest.raises(roles.RoleMissing):
        resending.resend_unknown(
            member=request.getfixturevalue(who), broadcast=first, may_arrive_twice=1
        )


def test_S12_new_terms_are_accepted_first(ana: Member, first: Broadcast) -> None:
    TermsFactory.create(version="2026-2")

    with pytest.raises(terms.TermsNotAccepted):
        resending.resend_failed(member=ana, broadcast=first)

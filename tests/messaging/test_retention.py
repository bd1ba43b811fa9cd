"""Retention: what is blanked and what stays, when, in bites, and what comes late."""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import pytest
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts import seals
from accounts.models import AuditEntry, Organization
from contacts.models import Suppression
from messaging import broadcasts, delivery, inbound, reports, resending, retention
from messaging.dispatching import Dispatcher
from messaging.models import (
    Broadcast,
    DeliveryReport,
    InboundMessage,
    Message,
    MessageEvent,
)
from messaging.providers.callbacks import Inbound, Report
from messaging.providers.memory import Memory
from messaging.providers.results import Accepted, Refused
from messaging.run_control import StateDoesNotAllow
from tests.accounts.sealing import verified
from tests.factories import OrganizationFactory
from tests.messaging.conftest import Contacts, Send
from tests.messaging.factories import grant
from tests.messaging.rows import (
    BroadcastFactory,
    DeliveryReportFactory,
    InboundMessageFactory,
    MessageFactory,
    SkipFactory,
)

pytestmark = pytest.mark.usefixtures("books_balance")

TAKEN, REFUSED, LATE = "+573001234567", "+573001234568", "+573001234569"


@pytest.fixture
def keeps(acme: Organization) -> Callable[[int | None], None]:
    """Have Acme keep numbers and texts so many days."""

    def kept(days: int | None) -> None:
        Organization.objects.filter(pk=acme.pk).update(retention_days=days)

    return kept


@pytest.fixture
def sent(acme: Organization, contacts: Contacts, send: Send, memory: Memory) -> Broadcast:
    """A broadcast of Acme's that ended: one message taken, one refused in the carrier's words, a skip."""
    grant(acme, 10)
    contacts(TAKEN, REFUSED, "no number")
    memory.will_answer(TAKEN, Accepted("SM1", {"to": TAKEN}))
    memory.will_answer(REFUSED, Refused("21211", f"{REFUSED} is not valid"))
    broadcast = send("Hola Ana")
    delivery.drain(queue_id=broadcast.pk, lane=0)
    report("SENT", raw={"To": TAKEN}, reason=TAKEN)
    reports.apply()
    return broadcast


def report(status: str, **fields: object) -> None:
    """Keep a report of the message that the provider calls SM1."""
    told = {"provider_message_id": "SM1", "status": status, "message_id": None, **fields}
    reports.keep(provider="memory:local", reports=[Report(**told)])  # type: ignore[arg-type] # as given


def age(days: int) -> None:
    """Have everything ended, or come in, so many days ago."""
    then = timezone.now() - timedelta(days=days)
    Broadcast.objects.filter(finished_at__isnull=False).update(finished_at=then)
    InboundMessage.objects.update(created_at=then)
    DeliveryReport.objects.update(created_at=then)


def personal(broadcast: Broadcast) -> list[object]:
    """Return what is left of numbers, texts and carriers' words of a broadcast and all about it."""
    ours = Message.objects.filter(broadcast=broadcast)
    told = DeliveryReport.objects.filter(message_id__in=ours.values("pk"))
    return [
        *Broadcast.objects.filter(pk=broadcast.pk).exclude(text="").values_list("text"),
        *ours.exclude(recipient="").values_list("recipient"),
        *ours.exclude(error_message="").values_list("error_message"),
        *ours.exclude(provider_metadata=None).values_list("provider_metadata"),
        *broadcast.skips.exclude(phone="").values_list("phone"),
        *told.exclude(raw={}).values_list("raw"),
        *told.exclude(reason="").values_list("reason"),
    ]


def standing(broadcast: Broadcast) -> dict[str, object]:
    """Return all of a broadcast that retention leaves as it is."""
    (row,) = Broadcast.objects.filter(pk=broadcast.pk).values()
    gone = {"text", "fingerprint", "blanked_at", "unblanked_from", "updated_at", "finished_at"}
    return {name: value for name, value in row.items() if name not in gone}


# --- what goes, and what stays --------------------------------------------------------------------
def test_numbers_texts_and_carriers_words_go(sent, keeps):
    assert (
        len(personal(sent)) == 8
    )  # text, numbers, a reason, words, a skip, a report and its reason
    keeps(30)
    age(31)

    retention.blank()

    assert personal(sent) == []
    sent.refresh_from_db()
    assert (sent.fingerprint, sent.unblanked_from) == (0, None)
    assert abs(sent.blanked_at - timezone.now()) < timedelta(minutes=1)


def test_counts_statuses_credits_and_ids_stay(sent, keeps):
    names = ["pk", "contact_id", "status", "charge", "credits", "country", "error_code", "sent_at"]
    names += ["provider", "provider_message_id", "updated_at"]
    before = (standing(sent), list(sent.messages.order_by("pk").values_list(*names)))
    reasons = list(sent.skips.order_by("pk").values_list("contact_id", "reason"))
    keeps(30)
    age(31)

    retention.blank()

    assert (standing(sent), list(sent.messages.order_by("pk").values_list(*names))) == before
    assert list(sent.skips.order_by("pk").values_list("contact_id", "reason")) == reasons


def test_the_trail_tells_it_and_its_seals_hold(sent, keeps):
    keeps(30)
    age(31)

    retention.blank()
    retention.blank()

    entry = AuditEntry.objects.get(act="broadcast.blanked")
    assert (entry.subject, entry.member) == (f"broadcast:{sent.pk}", None)
    assert entry.organization_id == sent.organization_id
    assert "Hola" not in str(entry.details)
    while seals.seal():
        pass
    assert verified()[0]


def test_what_was_tried_and_put_back_keeps_its_moment_and_not_its_words(acme, keeps):
    message = ended(acme).messages.get()
    event = MessageEvent.objects.create(
        message=message, kind=MessageEvent.Kind.PUT_BACK, detail=f"{TAKEN} refused"
    )
    keeps(30)

    retention.blank()

    event.refresh_from_db()
    assert (event.kind, event.detail) == ("PUT_BACK", "")


# --- when -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(("days", "old"), [(None, 4_000), (30, 29)])
def test_what_is_kept_for_ever_or_not_old_enough_is_left_alone(sent, keeps, days, old):
    keeps(days)
    age(old)
    before = personal(sent)

    retention.blank()

    assert personal(sent) == before
    assert AuditEntry.objects.filter(act="broadcast.blanked").count() == 0


def ended(organization: Organization, **fields: object) -> Broadcast:
    """Make a broadcast that was delivered 31 days ago to one person."""
    broadcast: Broadcast = BroadcastFactory.create(
        **{
            "organization": organization,
            "member__organization": organization,
            "member__role": "SENDER",
            "status": Broadcast.Status.COMPLETED,
            "finished_at": timezone.now() - timedelta(days=31),
            "delivered": 1,
            "credits": 0,
            **fields,
        }
    )
    if broadcast.messages_total:
        MessageFactory.create(
            broadcast=broadcast,
            status="DELIVERED" if broadcast.delivered else "UNKNOWN",
            charge="RESERVED" if broadcast.unknown else "CAPTURED",
            credits=0,
        )
    return broadcast


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "RUNNING", "finished_at": None},
        {"status": "PAUSED", "finished_at": None},
        {"status": "SCHEDULED", "finished_at": None},
        {"status": "CANCELED", "finished_at": None},  # its messages still follow
        {"status": "COMPLETED_WITH_FAILURES", "delivered": 0, "unknown": 1},  # still asked about
    ],
)
def test_what_is_not_finished_is_left_alone(acme, keeps, fields):
    broadcast = ended(acme, created_at=timezone.now() - timedelta(days=31), **fields)
    keeps(7)

    retention.blank()

    broadcast.refresh_from_db()
    assert (broadcast.text, broadcast.blanked_at) == ("Hola", None)


def test_a_broadcast_that_waits_hides_no_other(acme, keeps):
    older = timezone.now() - timedelta(days=90)
    waits = ended(acme, delivered=0, unknown=1, finished_at=older)
    done = ended(acme)
    keeps(30)

    retention.blank()

    waits.refresh_from_db()
    done.refresh_from_db()
    assert (waits.blanked_at, done.blanked_at is None) == (None, False)


def test_each_organization_keeps_as_long_as_it_says(acme, keeps):
    globex = OrganizationFactory.create(retention_days=60)
    theirs, ours = ended(globex), ended(acme)
    keeps(30)

    for _ in range(3):
        retention.blank()

    assert personal(theirs) != []
    assert personal(ours) == []


def test_the_database_refuses_a_week_too_short(acme):
    for days in (0, 6, 36_501):
        with pytest.raises(IntegrityError, match="retention_range"), transaction.atomic():
            Organization.objects.filter(pk=acme.pk).update(retention_days=days)


# --- in bites -------------------------------------------------------------------------------------
def test_it_goes_on_where_it_stopped_through_messages_and_skips(acme, keeps, monkeypatch):
    monkeypatch.setattr(retention, "_BLANK", retention._BLANK.replace("LIMIT 2000", "LIMIT 2"))
    monkeypatch.setattr(retention, "BITE", 2)
    broadcast = ended(acme, delivered=3, skipped_by_reason={"invalid_number": 4})
    MessageFactory.create_batch(
        2, broadcast=broadcast, status="DELIVERED", charge="CAPTURED", credits=0
    )
    SkipFactory.create_batch(4, broadcast=broadcast)
    keeps(30)

    left = []
    for _ in range(4):
        retention.blank()
        left.append(len(personal(broadcast)))

    assert left == [5, 3, 1, 0]
    broadcast.refresh_from_db()
    assert broadcast.unblanked_from is None
    assert AuditEntry.objects.filter(act="broadcast.blanked").count() == 1


def test_the_next_broadcast_by_key_is_left_alone(acme, keeps):
    old = ended(acme, id=UUID(int=1), skipped_by_reason={"invalid_number": 1})
    running = ended(acme, id=UUID(int=2), skipped_by_reason={"invalid_number": 1}, finished_at=None)
    for broadcast in (old, running):
        SkipFactory.create(broadcast=broadcast)
    keeps(30)

    retention.blank()

    assert personal(old) == []
    assert len(personal(running)) == 3


def test_many_small_ones_go_in_one_sweep(acme, keeps, monkeypatch):
    monkeypatch.setattr(retention, "PATIENCE", 60)
    small = [ended(acme) for _ in range(5)]
    keeps(30)

    retention.blank()

    assert [personal(each) for each in small] == [[]] * 5


def test_the_longest_ended_goes_first_and_each_once(acme, keeps, monkeypatch):
    monkeypatch.setattr(retention, "PATIENCE", 0)  # one a call
    globex = OrganizationFactory.create(retention_days=30)
    newest = ended(acme)
    oldest = ended(acme, finished_at=timezone.now() - timedelta(days=90))
    between = ended(globex, finished_at=timezone.now() - timedelta(days=60))
    keeps(30)

    left = []
    for _ in range(3):
        retention.blank()
        left.append([bool(personal(each)) for each in (oldest, between, newest)])
    with CaptureQueriesContext(connection) as asked:
        retention.blank()

    assert left == [[False, True, True], [False, False, True], [False, False, False]]
    assert not any("FOR UPDATE" in query["sql"] for query in asked.captured_queries)


def test_the_dispatcher_sees_to_it(sent, keeps, published):
    keeps(30)
    age(31)

    Dispatcher().sweep()

    assert personal(sent) == []


def test_a_broadcast_without_messages_loses_its_text_and_its_skips_numbers(acme, keeps):
    broadcast = ended(acme, delivered=0, skipped_by_reason={"invalid_number": 1})
    SkipFactory.create(broadcast=broadcast)
    keeps(30)

    retention.blank()

    assert personal(broadcast) == []


# --- what comes late ------------------------------------------------------------------------------
@pytest.fixture
def blanked(sent: Broadcast, keeps: Callable[[int | None], None]) -> Broadcast:
    keeps(30)
    age(31)
    retention.blank()
    sent.refresh_from_db()
    assert sent.blanked_at
    return sent


def test_B94_a_late_report_moves_its_message_and_leaves_no_number(blanked):
    report("UNDELIVERED", code="30003", reason=f"{TAKEN} unreachable", raw={"To": TAKEN})

    reports.apply()

    message = blanked.messages.get(provider_message_id="SM1")
    assert (message.status, message.error_code) == ("UNDELIVERED", "30003")
    assert DeliveryReport.objects.latest("id").outcome == "APPLIED"
    assert personal(blanked) == []


def test_B94_a_report_that_changes_nothing_leaves_no_number_either(blanked):
    report("SENT", raw={"To": TAKEN})

    reports.apply()

    assert DeliveryReport.objects.latest("id").outcome == "NO_CHANGE"
    assert personal(blanked) == []


def test_an_opt_out_of_a_blanked_message_is_told(blanked, caplog):
    report("UNDELIVERED", opts_out=True)

    reports.apply()

    assert not Suppression.objects.exists()
    assert "opt_out_of_a_blanked_message" in caplog.messages


def test_a_stop_after_it_is_obeyed_and_a_start_lifts_it(blanked, send, memory):
    """A telephone shows the text for longer than we do."""

    def writes(text: str, name: str) -> None:
        word = Inbound(
            provider_message_id=name, sender=TAKEN, recipient="+15005550006", text=text, raw={}
        )
        inbound.take(provider=memory.name, messages=[word])

    writes("STOP", "MO7")
    assert Suppression.objects.get().recipient == TAKEN
    assert send("Otra vez").skipped_by_reason["opted_out"] == 1

    writes("START", "MO8")
    assert not Suppression.objects.exists()


def test_what_was_blanked_is_not_resent(blanked, ana):
    with pytest.raises(StateDoesNotAllow, match="blanked"):
        resending.resend_failed(member=ana, broadcast=blanked)


def test_a_resend_that_raced_it_writes_to_nobody(blanked, ana):
    Message.objects.filter(recipient="").update(recipient=LATE)  # those of a later bite
    audience = resending.audience_of(broadcast=blanked, resent=Broadcast.Resent.FAILED)

    resent = broadcasts.send(member=ana, audience=audience, text="Hola Ana")

    assert (resent.audience, resent.status) == (0, "COMPLETED")


# --- what is no organization's --------------------------------------------------------------------
def test_inbound_messages_and_strange_reports_go_once_no_organization_keeps_them(acme, keeps):
    globex = OrganizationFactory.create()
    written = InboundMessageFactory.create(provider_message_id="MO1")
    strange = DeliveryReportFactory.create(outcome="UNMATCHED", reason=TAKEN)
    age(40)

    kept = []
    for ours, theirs in ((30, None), (30, 60), (30, 35)):
        keeps(ours)
        Organization.objects.filter(pk=globex.pk).update(retention_days=theirs)
        retention.blank()
        written.refresh_from_db()
        strange.refresh_from_db()
        kept.append((written.text, written.sender, written.raw != {}, strange.raw != {}))

    assert kept == [
        ("STOP", "+573001234567", True, True),
        ("STOP", "+573001234567", True, True),
        ("", "", False, False),
    ]
    assert (written.effect, strange.reason) == ("STOP", "")


def test_a_blanked_message_that_a_carrier_brings_again_does_nothing(acme, keeps):
    told = Inbound(
        provider_message_id="MO1", sender=TAKEN, recipient="+15005550006", text="STOP", raw={}
    )
    inbound.take(provider="memory:local", messages=[told])
    keeps(30)
    age(31)
    retention.blank()

    inbound.take(provider="memory:local", messages=[told])

    assert InboundMessage.objects.get().text == ""

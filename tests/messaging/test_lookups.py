"""Asking carriers about unknown outcomes: what is certain settles, what is not proves nothing."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import ClassVar, Final, Literal

import aiohttp
import pytest
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Member, Organization
from billing import ledger
from messaging import audiences, broadcasts, delivery, lookups, providers, reports
from messaging.models import Broadcast, DeliveryReport, Message, MessageEvent
from messaging.providers import registry
from messaging.providers.callbacks import Report
from messaging.providers.lookups import Found, Handed, LookUpFailed
from messaging.providers.memory import Memory
from messaging.providers.results import Unclear
from messaging.timings import TIMINGS
from tests.messaging import factories

pytestmark = pytest.mark.usefixtures("books_balance")

ONE, TWO = "+573001234561", "+573001234562"
NAME: Final = "askable:local"
Status = Literal["SENT", "DELIVERED", "UNDELIVERED", "FAILED"]


def found(
    provider_id: str = "SM1", status: Status = "DELIVERED", *, is_certain: bool = True
) -> Found:
    return Found(provider_id, status, is_certain=is_certain, raw={"status": status.lower()})


class Askable(Memory):
    """Knows what became of a message, as a test says by its recipient."""

    slug: ClassVar[str] = "askable"
    lookup: ClassVar[bool] = True

    def __init__(self, *given: object) -> None:
        super().__init__(*given)  # type: ignore[arg-type]
        self.asked: list[Handed] = []
        self.knows: dict[str, Sequence[Found] | LookUpFailed] = {}

    async def look_up(self, handed: Handed, http: aiohttp.ClientSession) -> Sequence[Found]:  # type: ignore[override]
        assert not http.closed
        self.asked.append(handed)
        answer = self.knows.get(handed.recipient, [])
        if isinstance(answer, LookUpFailed):
            raise answer
        return list(answer)


@pytest.fixture
def carrier(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Askable:
    """The only provider there is; what it answers to a hand-over is unclear, unless it is told otherwise."""
    monkeypatch.setitem(registry.PROVIDERS, "askable", Askable)
    settings.SMS_PROVIDERS = ["askable://local"]
    (provider,) = providers.configured()
    assert isinstance(provider, Askable)
    provider.clear()
    provider.asked.clear()
    provider.knows.clear()
    return provider


@pytest.fixture
def send(ana: Member, acme: Organization, carrier: Askable) -> Callable[..., Broadcast]:
    """Send to all contacts as Ana; each message of these numbers ends UNKNOWN, and may be asked about."""
    factories.grant(acme, 100)

    def sent(*unknown: str, text: str = "Hola") -> Broadcast:
        for recipient in unknown:
            carrier.will_answer(recipient, Unclear("read timeout"))
        broadcast = broadcasts.send(member=ana, audience=audiences.Everyone(), text=text)
        delivery.drain(queue_id=broadcast.pk, lane=0)
        ask_now(broadcast.messages.filter(status="UNKNOWN"))
        return broadcast

    return sent


@pytest.fixture
def unknown(acme: Organization, send: Callable[..., Broadcast]) -> Message:
    factories.contacts_in_order(acme, ONE)
    return send(ONE).messages.get()


def ask_now(messages: object = None) -> None:
    (Message.objects.all() if messages is None else messages).update(look_up_at=timezone.now())  # type: ignore[attr-defined]


def status_of(message: Message) -> str:
    message.refresh_from_db()
    return message.status


def asked_and_applied() -> bool:
    is_more_due = lookups.look_up(provider=NAME)
    reports.apply()
    return is_more_due


# --- settled --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "balance"),
    [
        ("SENT", ledger.Balance(available=99, spent=1)),
        ("DELIVERED", ledger.Balance(available=99, spent=1)),
        ("UNDELIVERED", ledger.Balance(available=99, spent=1)),
        ("FAILED", ledger.Balance(available=100)),
    ],
)
@pytest.mark.parametrize("finds", [[found()], [found(is_certain=False)]], ids=["certain", "not"])
def test_what_is_found_settles_the_message_as_a_report_would(
    acme: Organization,
    carrier: Askable,
    unknown: Message,
    status: Status,
    balance: ledger.Balance,
    finds: list[Found],
) -> None:
    carrier.knows[ONE] = [replace(each, status=status) for each in finds]

    asked_and_applied()

    assert status_of(unknown) == status
    assert unknown.provider_message_id == "SM1"
    assert ledger.balance(acme.pk) == balance


def test_it_is_told_that_a_look_up_resolved_it(carrier: Askable, unknown: Message) -> None:
    carrier.knows[ONE] = [found()]

    asked_and_applied()

    event = unknown.events.get(kind=MessageEvent.Kind.RESOLVED)
    assert event.detail == "by a look-up"
    kept = DeliveryReport.objects.get()
    assert (kept.message_id, kept.looked_up, kept.provider) == (unknown.pk, True, NAME)
    assert (kept.outcome, kept.raw) == ("APPLIED", {"status": "delivered"})


def test_the_carrier_is_asked_with_what_was_handed_over(carrier: Askable, unknown: Message) -> None:
    asked_and_applied()

    (handed,) = carrier.asked
    assert (handed.id, handed.recipient, handed.text) == (unknown.pk, ONE, "Hola")
    assert handed.submitted_at == unknown.submit_started_at


def test_a_late_result_of_its_own_is_not_taken_back(carrier: Askable, unknown: Message) -> None:
    carrier.knows[ONE] = [found(status="SENT")]
    reports.keep(
        provider=NAME,
        reports=[Report(provider_message_id="", status="DELIVERED", message_id=unknown.pk)],
    )
    reports.apply()
    Message.objects.update(status="UNKNOWN")  # as it was when the carrier was asked
    lookups.look_up(provider=NAME)
    Message.objects.update(status="DELIVERED")

    reports.apply()

    assert status_of(unknown) == "DELIVERED"


# --- not settled ----------------------------------------------------------------------------------
def test_nothing_found_proves_nothing(
    acme: Organization, carrier: Askable, unknown: Message
) -> None:
    asked_and_applied()

    assert status_of(unknown) == "UNKNOWN"
    assert ledger.balance(acme.pk) == ledger.Balance(available=99, reserved=1)
    assert unknown.look_up_at is not None
    assert unknown.look_up_at > timezone.now()


@pytest.mark.parametrize(
    ("unknown_for", "next_in"),
    [
        (0, TIMINGS.look_up_first),
        (10 * TIMINGS.look_up_first, 10 * TIMINGS.look_up_first),
        (10 * TIMINGS.look_up_most, TIMINGS.look_up_most),
    ],
)
def test_the_question_is_asked_ever_more_rarely(
    carrier: Askable, unknown: Message, unknown_for: float, next_in: float
) -> None:
    Message.objects.update(unknown_since=timezone.now() - timedelta(seconds=unknown_for))

    asked_and_applied()

    unknown.refresh_from_db()
    assert unknown.look_up_at is not None
    waits = (unknown.look_up_at - timezone.now()).total_seconds()
    assert next_in * 0.7 - 5 < waits <= next_in + 60


def test_a_message_is_not_asked_about_before_its_time(carrier: Askable, unknown: Message) -> None:
    asked_and_applied()

    asked_and_applied()

    assert len(carrier.asked) == 1


@pytest.mark.parametrize("charge", ["RELEASED"])
def test_after_72_hours_nobody_asks_any_more(
    carrier: Askable, unknown: Message, charge: str
) -> None:
    from messaging.dispatching import Dispatcher

    Message.objects.update(unknown_since=timezone.now() - timedelta(hours=73))
    Dispatcher().sweep()
    assert Message.objects.get().charge == charge

    assert lookups.due() == []
    asked_and_applied()

    assert carrier.asked == []


def test_a_carrier_that_cannot_be_asked_is_asked_later(carrier: Askable, unknown: Message) -> None:
    carrier.knows[ONE] = LookUpFailed("answered 503", retry_after=600)

    assert not asked_and_applied()

    assert status_of(unknown) == "UNKNOWN"
    assert unknown.look_up_at is not None
    wished = min(600.0, TIMINGS.retry_after_most)
    assert (unknown.look_up_at - timezone.now()).total_seconds() > wished - 30


@pytest.mark.parametrize("asked", [float("inf"), -1.0, 1e300])
def test_whatever_pause_a_carrier_asks_for_has_a_limit(
    carrier: Askable, unknown: Message, asked: float
) -> None:
    carrier.knows[ONE] = LookUpFailed("answered 429", retry_after=asked)

    asked_and_applied()

    unknown.refresh_from_db()
    assert unknown.look_up_at is not None
    waits = (unknown.look_up_at - timezone.now()).total_seconds()
    assert 0 < waits <= max(TIMINGS.retry_after_most, TIMINGS.look_up_first) + 1


# --- could be another message's -------------------------------------------------------------------
def test_an_id_of_another_message_is_left_to_it(
    acme: Organization, carrier: Askable, send: Callable[..., Broadcast]
) -> None:
    factories.contacts_in_order(acme, ONE)
    first = send().messages.get()
    second = send(ONE).messages.get()
    carrier.knows[ONE] = [found(first.provider_message_id, is_certain=False)]

    asked_and_applied()

    assert (status_of(first), status_of(second)) == ("SENT", "UNKNOWN")
    assert not DeliveryReport.objects.exists()


def test_of_several_finds_the_one_that_nobody_has_is_believed(
    acme: Organization, carrier: Askable, send: Callable[..., Broadcast]
) -> None:
    factories.contacts_in_order(acme, ONE)
    first = send().messages.get()
    second = send(ONE).messages.get()
    carrier.knows[ONE] = [
        found(first.provider_message_id, is_certain=False),
        found("SM2", is_certain=False),
    ]

    asked_and_applied()

    assert status_of(second) == "DELIVERED"
    assert second.provider_message_id == "SM2"


def test_several_that_nobody_has_settle_nothing(carrier: Askable, unknown: Message) -> None:
    carrier.knows[ONE] = [found("SM1", is_certain=False), found("SM2", is_certain=False)]

    asked_and_applied()

    assert status_of(unknown) == "UNKNOWN"


@pytest.mark.parametrize(
    ("status", "settled"), [("UNKNOWN", 0), ("SENDING", 0), ("SENT", 0), ("QUEUED", 1)]
)
def test_a_find_that_fits_another_unresolved_message_settles_neither(
    acme: Organization,
    carrier: Askable,
    send: Callable[..., Broadcast],
    status: str,
    settled: int,
) -> None:
    factories.contacts_in_order(acme, ONE)
    first, second = send(ONE).messages.get(), send(ONE).messages.get()
    moved = {"submit_started_at": None if status == "QUEUED" else first.submit_started_at}
    Message.objects.filter(pk=first.pk).update(status=status, look_up_at=None, **moved)
    carrier.knows[ONE] = [found(is_certain=False)]

    lookups.look_up(provider=NAME)

    assert DeliveryReport.objects.count() == settled
    Message.objects.filter(pk=first.pk).update(
        status="UNKNOWN", submit_started_at=second.created_at
    )


@pytest.mark.parametrize("differs", ["text", "time", "provider", "recipient"])
def test_a_message_that_cannot_be_meant_does_not_stand_in_the_way(
    acme: Organization, carrier: Askable, send: Callable[..., Broadcast], differs: str
) -> None:
    factories.contacts_in_order(acme, ONE)
    first = send(ONE, text="Adiós" if differs == "text" else "Hola").messages.get()
    if differs == "time":
        earlier = timezone.now() - timedelta(hours=2)
        Message.objects.update(submit_started_at=earlier)
    elif differs == "provider":
        Message.objects.update(provider="askable:other")
    elif differs == "recipient":
        Message.objects.update(recipient=TWO)
    second = send(ONE).messages.get()
    ask_now(Message.objects.filter(pk=second.pk))
    Message.objects.filter(pk=first.pk).update(look_up_at=None)
    carrier.knows[ONE] = [found(is_certain=False)]

    asked_and_applied()

    assert (status_of(first), status_of(second)) == ("UNKNOWN", "DELIVERED")


def test_two_asked_together_do_not_both_take_one_find(
    acme: Organization, carrier: Askable, send: Callable[..., Broadcast]
) -> None:
    factories.contacts_in_order(acme, ONE)
    send(ONE)
    send(ONE)
    carrier.knows[ONE] = [found(is_certain=False)]

    asked_and_applied()

    assert len(carrier.asked) == 2
    assert set(Message.objects.values_list("status", flat=True)) == {"UNKNOWN"}


def test_a_certain_find_needs_no_more(
    acme: Organization, carrier: Askable, send: Callable[..., Broadcast]
) -> None:
    factories.contacts_in_order(acme, ONE)
    first, second = send(ONE).messages.get(), send(ONE).messages.get()
    Message.objects.filter(pk=first.pk).update(look_up_at=None)
    carrier.knows[ONE] = [found("SM9"), found("SM1", is_certain=False)]

    asked_and_applied()

    assert (status_of(first), status_of(second)) == ("UNKNOWN", "DELIVERED")
    assert second.provider_message_id == "SM9"


def test_a_certain_find_under_an_id_of_another_message_settles_without_it(
    acme: Organization, carrier: Askable, send: Callable[..., Broadcast]
) -> None:
    factories.contacts_in_order(acme, ONE)
    first, second = send().messages.get(), send(ONE).messages.get()
    carrier.knows[ONE] = [found(first.provider_message_id)]

    asked_and_applied()

    assert status_of(second) == "DELIVERED"
    assert second.provider_message_id == ""


# --- in bites, and fair ---------------------------------------------------------------------------
def test_it_names_the_providers_that_have_something_to_be_asked(
    carrier: Askable, unknown: Message
) -> None:
    assert lookups.due() == [NAME]

    asked_and_applied()

    assert lookups.due() == []


@pytest.mark.parametrize("urls", [["memory://local"], []])
def test_a_provider_that_cannot_be_asked_is_left_alone_for_an_hour(
    settings: Settings, carrier: Askable, unknown: Message, urls: list[str]
) -> None:
    settings.SMS_PROVIDERS = urls

    assert lookups.due() == []
    assert not lookups.look_up(provider=NAME)

    settings.SMS_PROVIDERS = ["askable://local"]
    assert lookups.due() == []
    unknown.refresh_from_db()
    assert unknown.look_up_at is not None
    assert unknown.look_up_at > timezone.now()


def test_more_than_one_window_is_asked_in_turn(
    acme: Organization, carrier: Askable, send: Callable[..., Broadcast]
) -> None:
    recipients = [f"+5730012345{number:02}" for number in range(lookups.AT_ONCE + 3)]
    factories.contacts_in_order(acme, *recipients)
    broadcast = send(*recipients)
    for number, recipient in enumerate(recipients):
        carrier.knows[recipient] = [found(f"SM{number}")]

    while lookups.look_up(provider=NAME):
        pass
    reports.apply()

    broadcast.refresh_from_db()
    assert (broadcast.delivered, broadcast.unknown) == (len(recipients), 0)
    assert len(carrier.asked) == len(recipients)


def test_a_carrier_that_answers_nothing_is_not_asked_for_the_whole_time(
    acme: Organization, carrier: Askable, send: Callable[..., Broadcast]
) -> None:
    recipients = [f"+5730012345{number:02}" for number in range(3 * lookups.AT_ONCE)]
    factories.contacts_in_order(acme, *recipients)
    send(*recipients)
    for recipient in recipients:
        carrier.knows[recipient] = LookUpFailed("connect timeout")

    assert not lookups.look_up(provider=NAME)

    assert len(carrier.asked) == lookups.AT_ONCE

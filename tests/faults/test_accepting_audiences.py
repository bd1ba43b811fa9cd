"""B20, B21, B24: whom a broadcast reaches when it is nobody, a million, or changing at this moment."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import psutil
import pytest
from django.db.models import QuerySet

from accounts.models import Member, Organization, TermsAcceptance
from contacts import suppressions
from contacts.models import Contact, Suppression
from tests.faults.harness.houses import House
from tests.faults.harness.stack import Stack
from tests.faults.harness.waiting import until
from tests.faults.test_accepting_processes import broadcasts, nothing_was_kept, sign_in
from tests.figures import figure

MILLION = 1_000_000
MOST_MEMORY = 48 * 2**20  # bytes a million contacts may cost the web


# --- changing meanwhile ---------------------------------------------------------------------------
def test_B20_contacts_that_change_meanwhile_are_as_they_were_but_for_opt_outs(
    stack: Stack,
) -> None:
    house = stack.house(contacts=4)
    sign_in(house)
    first, second, third, _fourth = _numbers(stack, house)
    with ThreadPoolExecutor() as pool:
        with stack.web.held_at("api.after_insert", word="Hola") as wait:
            asked = pool.submit(partial(house.client.send, "Hola"))
            wait()
            house.add_contacts(1)
            with stack.django():
                suppressions.add(
                    organization=house.organization,
                    recipient=first,
                    source=Suppression.Source.MEMBER,
                    member=house.ana,
                )
                mine = Contact.objects.filter(organization=house.organization)
                mine.filter(e164=second).update(deleted_at="2026-01-01T00:00Z")
                mine.filter(e164=third).update(status="BLOCKED")
        answer = asked.result()

    assert answer.status == 201
    assert len(answer.json["messages"]) == 4  # one moment: whoever came in later has none
    house.wait_until_sent(answer.queue_id)
    rows = stack.sql(
        "SELECT recipient, status, error_code FROM messaging_message WHERE broadcast_id = %s",
        answer.queue_id,
    )
    ends = {recipient: (status, code) for recipient, status, code in rows}
    assert ends[first] == ("CANCELED", "opted_out")
    assert ends[third] == ("CANCELED", "contact_blocked")
    assert ends[second] == ("CANCELED", "contact_deleted")
    until(lambda: house.statuses(answer.queue_id)["DELIVERED"] == 1, 60, "the other is delivered")
    assert house.balance()[1:] == (0, 1)


def _numbers(stack: Stack, house: House) -> list[str]:
    rows = stack.sql(
        "SELECT e164 FROM contacts_contact WHERE organization_id = %s ORDER BY created_at, id",
        house.organization.pk,
    )
    return [number for (number,) in rows]


WITHDRAWN: dict[str, tuple[str, Callable[[House], object]]] = {
    "the terms": ("1022", lambda house: TermsAcceptance.objects.filter(member=house.ana).delete()),
    "the role": ("1003", lambda house: _members(house).update(role="VIEWER")),
    "the membership": ("1003", lambda house: _members(house).update(is_active=False)),
    "the organization": (
        "1003",
        lambda house: Organization.objects.filter(pk=house.organization.pk).update(
            status="SUSPENDED"
        ),
    ),
}


def _members(house: House) -> QuerySet[Member]:
    return Member.objects.filter(pk=house.ana.pk)


@pytest.mark.parametrize("what", WITHDRAWN)
def test_B24_what_is_withdrawn_before_the_credits_move_is_403(stack: Stack, what: str) -> None:
    house = stack.house(contacts=5)
    sign_in(house)
    code, withdraw = WITHDRAWN[what]
    with ThreadPoolExecutor() as pool:
        with stack.web.held_at("api.after_insert", word="Hola") as wait:
            asked = pool.submit(partial(house.client.send, "Hola", key="k"))
            wait()
            with stack.django():
                withdraw(house)
        answer = asked.result()

    assert (answer.status, answer.code) == (403, code)
    nothing_was_kept(stack, house)


# --- nobody, and everybody ------------------------------------------------------------------------
def _duplicates(house: House) -> None:
    house.add_contacts(1)
    (number,) = _numbers(house.stack, house)
    for _ in range(3):
        house.add_contact(number)


def _invalid(house: House) -> None:
    for phone in ("123", "abc", "+57", "00000"):
        house.add_contact(phone)


@pytest.mark.parametrize(
    ("fill", "recipients", "skipped"),
    [
        pytest.param(lambda _: None, 0, {}, id="nobody"),
        pytest.param(lambda house: house.add_contacts(1), 1, {}, id="one"),
        pytest.param(_duplicates, 1, {"duplicate": 3}, id="all duplicates"),
        pytest.param(_invalid, 0, {"invalid_number": 4}, id="all invalid"),
    ],
)
def test_B21_small_and_empty_audiences(
    stack: Stack, fill: Callable[[House], None], recipients: int, skipped: dict[str, int]
) -> None:
    house = stack.house(credits_=0 if not recipients else 10)
    fill(house)

    answer = house.client.send("Hola", key="k")
    again = house.client.send("Hola", key="k")

    assert again.json == answer.json
    assert again.headers["idempotent-replayed"] == "true"
    assert len(answer.json["messages"]) == recipients
    assert (answer.status, bool(answer.json["queueId"])) == (
        (201, True) if recipients else (200, False)
    )
    (queue_id,) = broadcasts(stack, house)
    assert house.broadcast(queue_id, "skipped_by_reason") == skipped
    if recipients:
        house.wait_until_delivered(queue_id)
    assert house.broadcast(queue_id) == "COMPLETED"
    assert house.balance()[1:] == (0, recipients) if recipients else True


def test_B21_an_audience_over_the_ceiling_is_400(stack: Stack) -> None:
    stack.web.restart(MAX_AUDIENCE="10")
    stack.wait_until_ready()
    house, exact = stack.house(contacts=11), stack.house(contacts=10)

    answer = house.client.send("Hola")

    assert (answer.status, answer.code) == (400, "4004")
    assert "11" in answer.json["message"]
    nothing_was_kept(stack, house)
    exact.wait_until_delivered(exact.send("Hola"))


def test_B21_a_million_contacts_are_accepted_whole_and_in_little_memory(
    own_stack: Callable[..., Stack],
) -> None:
    stack = own_stack(postgresql={"autovacuum": "off"})
    house = stack.house(contacts=MILLION)
    stack.worker.pause()  # delivering is another test's business
    stack.dispatcher.pause()
    stack.house(contacts=1).send("Hola")  # both parts of the web have worked once
    began = time.monotonic()

    with _most_memory(stack) as most:
        answer = house.client.send("Hola", key="k")
        accepted = time.monotonic() - began
        again = house.client.send("Hola", key="k")

    assert answer.status == 201, answer.text
    assert again.body == answer.body
    messages = answer.json["messages"]
    assert len(messages) == len({entry["id"] for entry in messages}) == MILLION
    assert [entry["recipient"] for entry in messages[:3]] == _numbers(stack, house)[:3]
    figure("B21: a million accepted and answered, seconds", f"{accepted:.0f}", "-")
    figure("B21: memory of the web for it, MB", f"{most() / 2**20:.0f}", "48")
    assert most() < MOST_MEMORY

    assert house.balance() == (10_000_000 - MILLION, MILLION, 0)
    paused = house.client.call("POST", f"/api/messages/queues/{answer.queue_id}/pause")
    assert paused.json["counts"]["queued"] == MILLION
    stack.may_wait.add(answer.queue_id)
    stack.dispatcher.resume()
    stack.worker.resume()


@contextmanager
def _most_memory(stack: Stack) -> Iterator[Callable[[], int]]:
    """Watch how much more the web's processes hold than in the beginning, each for itself."""
    before = {pid: psutil.Process(pid).memory_info().rss for pid in stack.web.children()}
    most, ended = [0], threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            for pid, at_first in before.items():
                most[0] = max(most[0], psutil.Process(pid).memory_info().rss - at_first)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lambda: most[0]
    finally:
        ended.set()
        thread.join()

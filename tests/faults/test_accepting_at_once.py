"""B12, B13, B15 to B18: many at once, on real processes; each is accepted once, or refused in words."""

import contextlib
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from uuid import UUID, uuid4

import psycopg
import pytest
from django.db import connection
from pytest_django import Settings

from accounts.models import Member, Organization
from accounts.roles import Role
from billing import invariants, ledger
from messaging import audiences, broadcasts, delivery
from tests.faults.harness.houses import House
from tests.faults.harness.http import Answer
from tests.faults.harness.stack import Stack
from tests.faults.harness.waiting import until
from tests.faults.test_accepting_processes import broadcasts as broadcasts_of
from tests.faults.test_accepting_processes import is_repeated, nothing_was_kept, sign_in
from tests.figures import figure
from tests.messaging.factories import contacts_in_order

ROUNDS = 500
KEYS, TWINS = 200, 20


# --- deadlocks ------------------------------------------------------------------------------------
def deadlocks() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
        return int(cursor.fetchone()[0])


@pytest.mark.django_db(transaction=True)
def test_B12_accepting_capturing_and_topping_up_never_wait_for_each_other_in_a_circle(
    acme: Organization, ana: Member, root: Member, settings: Settings
) -> None:
    settings.SMS_PROVIDERS = ["memory://local"]
    contacts_in_order(acme, "+573001234567", "+573001234568")
    ledger.grant(organization=acme, amount=2 * ROUNDS, member=root, note="for a test")
    before = deadlocks()
    start = threading.Barrier(3)
    accepted: list[UUID] = []
    errors: list[Exception] = []

    def accept() -> None:
        sent = broadcasts.send(member=ana, audience=audiences.Everyone(), text="Hola")
        accepted.append(sent.pk)

    def capture() -> None:
        if len(accepted) > 1:
            delivery.drain(queue_id=accepted[-2], lane=0)

    def top_up() -> None:
        ledger.grant(organization=acme, amount=1, member=root, note="for a test")

    def each_round(deed: Callable[[], None]) -> None:
        try:
            for _ in range(ROUNDS):
                start.wait(60)
                deed()
        except Exception as error:  # noqa: BLE001 - told below, whatever it is
            errors.append(error)
            start.abort()
        finally:
            connection.close()

    threads = [
        threading.Thread(target=each_round, args=(deed,)) for deed in (accept, capture, top_up)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not errors
    figure("B12: deadlocks in 500 rounds of three", deadlocks() - before, "0")
    assert deadlocks() == before
    assert len(accepted) == ROUNDS
    assert not [found for found in invariants.check(thorough=True) if found.rows]


def _make_deadlocks(stack: Stack, house: House, count: int) -> None:
    """Close a circle with the request that waits for the account, so often; it is the one broken off.

    Whoever waited first looks first whether there is a circle, and gives way.
    """
    organization_id = house.organization.pk
    with contextlib.closing(stack.connect()) as other, other.transaction():
        other.execute("SET LOCAL lock_timeout = '60s'")
        other.execute(
            "SELECT 1 FROM billing_creditaccount WHERE organization_id = %s FOR UPDATE",
            [organization_id],
        )
        for _ in range(count):
            until(partial(_somebody_waits_for, stack, other), 30, "the request waits")
            with other.transaction(force_rollback=True):
                other.execute(
                    "INSERT INTO messaging_idempotencykey (organization_id, key, fingerprint)"
                    " VALUES (%s, 'k', '')",
                    [organization_id],
                )


def _somebody_waits_for(stack: Stack, other: psycopg.Connection) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY(pg_blocking_pids(pid))"
    return stack.sql(query, other.info.backend_pid) != [(0,)]


@pytest.mark.parametrize(("count", "status"), [(1, 201), (2, 201), (3, 503)])
def test_B12_a_deadlock_is_tried_again_twice_and_is_then_503(
    stack: Stack, count: int, status: int
) -> None:
    house = stack.house(contacts=5)
    sign_in(house)
    with ThreadPoolExecutor() as pool:
        made = pool.submit(_make_deadlocks, stack, house, count)
        until(lambda: _is_held(stack, house), 30, "the account is held")
        answer = house.client.send("Hola", key="k")
        made.result()

    assert answer.status == status, answer.text
    if status == 503:
        assert answer.code == "4090"
        nothing_was_kept(stack, house)
        answer = house.client.send("Hola", key="k")
    assert not is_repeated(answer)
    assert broadcasts_of(stack, house) == [answer.queue_id]
    house.wait_until_delivered(answer.queue_id)


def _is_held(stack: Stack, house: House) -> bool:
    rows = stack.sql(
        "SELECT 1 FROM billing_creditaccount WHERE organization_id = %s FOR UPDATE SKIP LOCKED",
        house.organization.pk,
    )
    return not rows


# --- money for some -------------------------------------------------------------------------------
@pytest.mark.parametrize(("at_once", "paid"), [(2, 1), (50, 1), (50, 7)])
def test_B13_of_many_at_once_exactly_as_many_are_accepted_as_the_balance_pays(
    stack: Stack, at_once: int, paid: int
) -> None:
    house = stack.house(contacts=5, credits_=5 * paid + 4)
    sign_in(house)

    with ThreadPoolExecutor(at_once) as pool:
        answers = list(pool.map(house.client.send, (f"Hola {n}" for n in range(at_once))))

    told = Counter(answer.status for answer in answers)
    assert told == {201: paid, 402: at_once - paid}
    assert {answer.code for answer in answers if answer.status == 402} == {"3001"}
    accepted = {answer.queue_id for answer in answers if answer.status == 201}
    assert set(broadcasts_of(stack, house)) == accepted
    for queue_id in accepted:
        house.wait_until_delivered(queue_id)
    assert house.balance() == (4, 0, 5 * paid)


# --- keys -----------------------------------------------------------------------------------------
def test_B15_two_hundred_keys_twenty_times_each_at_once_are_two_hundred_broadcasts(
    stack: Stack,
) -> None:
    house = stack.house(contacts=2)
    sign_in(house)
    keys = [f"key-{number}" for number in range(KEYS)]
    # Twins stand side by side, so that they meet.
    requests = [key for key in keys for _ in range(TWINS)]

    def post(key: str) -> tuple[str, Answer]:
        return key, house.client.send(f"Hola {key}", key=key)

    began = time.monotonic()
    with ThreadPoolExecutor(TWINS * 2) as pool:
        answers = list(pool.map(post, requests))

    assert Counter(answer.status for _, answer in answers) == {201: KEYS * TWINS}
    for key in keys:
        own = [answer for of, answer in answers if of == key]
        assert len({answer.body for answer in own}) == 1
        assert Counter(is_repeated(answer) for answer in own) == {False: 1, True: TWINS - 1}
    count = len(broadcasts_of(stack, house))
    figure(f"B15: {KEYS} keys, {TWINS} requests, broadcasts", count, f"exactly {KEYS}")
    figure("B15: that took, seconds", f"{time.monotonic() - began:.0f}", "60")
    assert count == KEYS
    for queue_id in {answer.queue_id for _, answer in answers}:
        house.wait_until_delivered(queue_id)


def test_B15_a_twin_waits_five_seconds_and_is_then_told_that_the_first_still_runs(
    stack: Stack,
) -> None:
    house = stack.house(contacts=5)
    sign_in(house)
    with ThreadPoolExecutor() as pool, stack.web.held_at("api.before_commit", word="Hola") as wait:
        first = pool.submit(partial(house.client.send, "Hola", key="k"))
        wait()
        twin = house.client.send("Hola", key="k")

    assert (twin.status, twin.code) == (409, "4010")
    assert int(twin.headers["retry-after"]) >= 1
    assert 4 < twin.seconds < 30
    assert first.result().status == 201
    again = house.client.send("Hola", key="k")
    assert is_repeated(again)
    assert again.body == first.result().body
    house.wait_until_delivered(again.queue_id)


def test_B15_a_twin_that_waits_less_hears_the_firsts_answer(stack: Stack) -> None:
    house = stack.house(contacts=5)
    sign_in(house)
    with ThreadPoolExecutor() as pool:
        with stack.web.held_at("api.before_commit", word="Hola") as wait:
            first = pool.submit(partial(house.client.send, "Hola", key="k"))
            wait()
            twin = pool.submit(partial(house.client.send, "Hola", key="k"))
            until(lambda: _twin_waits(stack), 60, "the twin waits")
        assert (first.result().status, twin.result().status) == (201, 201)

    assert is_repeated(twin.result())
    assert twin.result().body == first.result().body
    house.wait_until_delivered(twin.result().queue_id)


def _twin_waits(stack: Stack) -> bool:
    query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
    return stack.sql(query, "%INSERT INTO messaging_idempotencykey%") != [(0,)]


def test_B16_a_key_is_one_organizations_and_one_requests(stack: Stack) -> None:
    house, other = stack.house(contacts=3), stack.house(contacts=3)
    colleague = house.client_of(house.add_member(Role.SENDER))

    first = house.client.send("Hola", key="k")
    another_body = house.client.send("Adiós", key="k")
    by_colleague = colleague.send("Hola", key="k")
    elsewhere = other.client.send("Hola", key="k")

    assert (another_body.status, another_body.code) == (422, "4011")
    assert by_colleague.body == first.body
    assert is_repeated(by_colleague)
    assert not is_repeated(elsewhere)
    own = {entry["id"] for entry in first.json["messages"]}
    assert own.isdisjoint(entry["id"] for entry in elsewhere.json["messages"])
    house.wait_until_delivered(first.queue_id)
    other.wait_until_delivered(elsewhere.queue_id)


@pytest.mark.parametrize(
    ("key", "codes"),
    [
        (b"", {"4000"}),
        (b"k" * 256, {"4000"}),
        (b"cl\xc3\xa9", {"4000"}),
        (b"cl\xe9", {"4000"}),
        # The web server itself refuses what is no header, before anybody of ours is asked.
        (b"a\x00b", None),
        (b"a\r\nb", None),
    ],
    ids=["empty", "256", "UTF-8", "Latin-1", "NUL", "CR LF"],
)
def test_B17_what_is_no_key_is_400_on_the_wire(
    stack: Stack, key: bytes, codes: set[str] | None
) -> None:
    house = stack.house(contacts=2)
    token = house.client._token
    assert token is not None
    head = (
        b"POST /api/messages/sms/all HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: 19\r\n"
        b"Authorization: Bearer " + token().encode() + b"\r\nIdempotency-Key: " + key + b"\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", stack.port), timeout=60) as link:
        link.sendall(head + b'{"message": "Hola"}')
        answer = b""
        with contextlib.suppress(ConnectionResetError):
            while data := link.recv(65_536):
                answer += data

    assert answer.split(b" ")[1] == b"400", answer[:300]
    if codes is not None:
        assert b'"code":"4000"' in answer
        assert b"Idempotency-Key" in answer
    assert broadcasts_of(stack, house) == []


def test_B18_two_clicks_at_once_are_one_broadcast_where_the_guard_is_on(stack: Stack) -> None:
    house = stack.house(contacts=5, repeat_guard_seconds=60)
    sign_in(house)

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(house.client.send, ["Hola", "Hola"]))

    assert sorted((answer.status, answer.json.get("code")) for answer in answers) == [
        (201, None),
        (409, "4014"),
    ]
    stack.sql(
        "UPDATE messaging_idempotencykey SET created_at = created_at - interval '1 minute'"
        " WHERE organization_id = %s",
        house.organization.pk,
    )
    assert house.client.send("Hola").status == 201  # after the window it is taken
    ids = broadcasts_of(stack, house)
    assert len(ids) == 2
    for queue_id in ids:
        house.wait_until_delivered(queue_id)


def test_B18_without_the_guard_both_pass(stack: Stack) -> None:
    house = stack.house(contacts=5)
    sign_in(house)
    text = f"Hola {uuid4()}"

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(house.client.send, [text, text]))

    assert [answer.status for answer in answers] == [201, 201]
    for answer in answers:
        house.wait_until_delivered(answer.queue_id)

"""Steps of the sweep that meet very much at once: in bites, and without waiting for anybody."""

from collections.abc import Callable, Iterator

import pytest
from django.db import connection

from accounts.models import Organization
from messaging import lookups, run_control
from messaging.models import Broadcast, Message
from tests.messaging.conftest import Contacts, Send

pytestmark = pytest.mark.usefixtures("memory")

_UNKNOWN = """
INSERT INTO messaging_message (organization_id, broadcast_id, recipient, country, segments, credits,
  status, charge, provider, unknown_since, submit_started_at, look_up_at)
SELECT organization_id, id, '+573' || lpad(n::text, 9, '0'), 'CO', 1, 1, 'UNKNOWN', 'RESERVED', '', now(),
  now(), now()
FROM messaging_broadcast, generate_series(1, %s) n
"""


@pytest.fixture
def broadcast(
    acme: Organization,
    contacts: Contacts,
    grant: Callable[[Organization, int], None],
    send: Send,
) -> Broadcast:
    grant(acme, 10)
    contacts("+573001234561")
    return send()


def still_due() -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM messaging_message"
            " WHERE status = 'UNKNOWN' AND look_up_at <= statement_timestamp()"
        )
        return int(cursor.fetchone()[0])


def test_what_nobody_can_be_asked_about_is_put_off_ten_thousand_at_a_time(
    broadcast: Broadcast,
) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_UNKNOWN, [10_001])

    assert lookups.due() == []
    assert still_due() == 1
    lookups.due()

    assert still_due() == 0


@pytest.mark.django_db(transaction=True)
def test_what_somebody_holds_is_put_off_another_time(broadcast: Broadcast) -> None:
    with connection.cursor() as cursor:
        cursor.execute(_UNKNOWN, [3])
    held = Message.objects.filter(status="UNKNOWN").values_list("pk", flat=True)[0]
    other = connection.copy()
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT 1 FROM messaging_message WHERE id = %s FOR UPDATE", [held])

        lookups.due()  # which would wait for five seconds, and then break off

        assert still_due() == 1
    finally:
        other.rollback()
        other.close()


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock finds it a second further."""

    def seconds() -> Iterator[float]:
        now = 0.0
        while True:
            yield now
            now += 1.0

    clock = seconds()
    monkeypatch.setattr("messaging.run_control.time.monotonic", lambda: next(clock))


def test_a_sweep_cancels_for_two_seconds_and_leaves_the_rest_for_the_next(
    broadcast: Broadcast, send: Send, slow: None
) -> None:
    for number in range(5):
        send(str(number))
    Broadcast.objects.update(status="CANCELED")

    assert run_control.cancel_bite()

    assert 0 < Broadcast.objects.filter(queued__gt=0).count() < 6
    while run_control.cancel_bite():
        pass
    assert not Broadcast.objects.filter(queued__gt=0).exists()

"""Two messages that one find could be: whoever is recorded while the carrier's answer is read is seen."""

from typing import Any
from zlib import crc32

from django.db import connection

from messaging import locks, lookups, reports
from messaging.models import Message
from tests.messaging import factories
from tests.messaging.test_lookups import NAME, ONE, carrier, found, send

__all__ = ["carrier", "send"]


def test_a_twin_that_is_recorded_between_two_questions_keeps_its_own_find(acme, carrier, send):
    factories.contacts_in_order(acme, ONE)
    lost = send(ONE).messages.get()
    twin = send(ONE).messages.get()
    Message.objects.filter(pk=twin.pk).update(status="SENDING", look_up_at=None)  # under way
    carrier.knows[ONE] = [found("SM-of-the-twin", is_certain=False)]

    def recorded_after(execute: Any, sql: str, *rest: Any) -> Any:
        done = execute(sql, *rest)
        if sql in {lookups._OWNERS, lookups._RIVALLED}:
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE messaging_message SET status = 'SENT', provider_message_id = %s"
                    " WHERE id = %s AND status = 'SENDING'",
                    ["SM-of-the-twin", twin.pk],
                )
        return done

    with connection.execute_wrapper(recorded_after):
        lookups.look_up(provider=NAME)
    reports.apply()

    lost.refresh_from_db()
    assert lost.status == "UNKNOWN"


def test_of_two_who_ask_one_provider_one_asks(acme, carrier, send, transactional_db):
    factories.contacts_in_order(acme, ONE)
    send(ONE)
    key = [crc32(NAME.encode()) - 2**31, locks.LOOKING_UP]
    other = connection.copy()
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s, %s)", key)
            assert not lookups.look_up(provider=NAME)
            assert carrier.asked == []
            # A session that ends holds it for another moment.
            cursor.execute("SELECT pg_advisory_unlock(%s, %s)", key)
    finally:
        other.close()

    lookups.look_up(provider=NAME)
    assert len(carrier.asked) == 1

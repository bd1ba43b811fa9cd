"""Two callbacks that tell of the same people: neither waits for the other in a circle."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final

import pytest
from django.db import connection

from accounts.models import Organization
from contacts.models import Suppression
from messaging import delivery, inbound
from messaging.providers.callbacks import Inbound
from tests.messaging.conftest import Contacts, Send

NUMBERS: Final = ("+573001234561", "+573001234562")


@pytest.mark.usefixtures("memory")
@pytest.mark.django_db(transaction=True)
def test_callbacks_with_the_same_people_in_another_order_are_both_obeyed(
    acme: Organization,
    contacts: Contacts,
    grant: Callable[[Organization, int], None],
    send: Send,
) -> None:
    grant(acme, 10)
    contacts(*NUMBERS)
    broadcast = send()
    delivery.drain(queue_id=broadcast.pk, lane=0)
    met = threading.Barrier(2, timeout=2)
    errors: list[Exception] = []

    def meets_the_other(execute: Any, sql: str, *rest: Any) -> Any:
        done = execute(sql, *rest)
        if sql.startswith('INSERT INTO "contacts_suppression"'):
            # Both hold their first opt-out now; or one waits for the other's, as it should.
            with suppress(threading.BrokenBarrierError):
                met.wait()
        return done

    def call(numbers: Sequence[str], name: str) -> None:
        messages = [Inbound(f"{name}{n}", one, "", "STOP", {}) for n, one in enumerate(numbers)]
        try:
            with connection.execute_wrapper(meets_the_other):
                inbound.take(provider="memory:local", messages=messages)
        except Exception as error:  # noqa: BLE001 - told below, whatever it is
            errors.append(error)
        finally:
            connection.close()

    threads = [
        threading.Thread(target=call, args=args) for args in ((NUMBERS, "a"), (NUMBERS[::-1], "b"))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert errors == []
    assert Suppression.objects.count() == 2

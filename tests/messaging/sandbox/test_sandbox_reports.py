"""The sandbox carrier reports, and loses no report on the way."""

import time

import pytest

from messaging.providers.base import Accepted
from tests.messaging.providers.stand_in import Answer, StandIn, says
from tests.messaging.sandbox.carrier import (
    Carrier,
    callbacks,
    running,
    until,
)
from tests.ports import free_port


def test_all_reports_come_in_their_order() -> None:
    with running("all", delay=0.1) as carrier, StandIn(says(204)) as web:
        carrier.send("+573001112233", web=web.address)
        carrier.send("+17015550100", web=web.address)
        assert carrier.stats()["reports"]["pending"] + len(web.requests) >= 6
        until(lambda: carrier.stats()["reports"]["sent"] == 6)

    words: dict[str, list[str]] = {}
    for callback in callbacks(web):
        assert carrier.provider.verify(callback)
        words.setdefault(callback.form["To"], []).append(callback.form["MessageStatus"])
    assert words == {
        "+573001112233": ["queued", "sent", "delivered"],
        "+17015550100": ["queued", "sent", "undelivered"],
    }


def test_no_report_comes_where_none_is_wanted() -> None:
    with running("none", delay=0) as carrier, StandIn(says(204)) as web:
        carrier.send("+573001112233", web=web.address)
        time.sleep(0.3)
        stats = carrier.stats()

    assert stats["accepted"] == 1
    assert stats["reports"] == {"sent": 0, "pending": 0, "failed": 0, "lastFailure": ""}
    assert web.requests == []


def test_a_report_waits_for_its_delay() -> None:
    with running(delay=0.6) as carrier, StandIn(says(204)) as web:
        began = time.monotonic()
        carrier.send("+573001112233", web=web.address)
        until(lambda: len(web.requests) == 1)

    assert time.monotonic() - began > 0.6


def test_a_web_that_is_down_loses_no_report(carrier: Carrier) -> None:
    port = free_port()
    messages = {carrier.send("+573001112233", web=f"http://127.0.0.1:{port}")[0] for _ in range(30)}
    until(lambda: "no connection" in carrier.stats()["reports"]["lastFailure"])
    assert carrier.stats()["reports"]["pending"] == 30

    with StandIn(says(204), port=port) as web:
        until(lambda: carrier.stats()["reports"]["sent"] == 30)
        once_more, _ = carrier.send("+573001112233", web=web.address)
        until(lambda: carrier.stats()["reports"]["sent"] == 31)

    told = [callback.message_id for callback in callbacks(web)]
    assert len(told) == 31
    assert set(told) == {*messages, once_more}


@pytest.mark.parametrize("answer", [says(503), says(500), says(429), says(204, close=True)])
def test_a_report_the_web_fails_on_is_sent_again(carrier: Carrier, answer: Answer) -> None:
    with StandIn(answer, answer, says(204)) as web:
        ids = {carrier.send("+573001112233", web=web.address)[0] for _ in range(2)}
        until(lambda: carrier.stats()["reports"]["sent"] == 2)

    assert {callback.message_id for callback in callbacks(web)} == ids
    assert carrier.stats()["reports"]["pending"] == 0


@pytest.mark.parametrize("status", [301, 400, 403, 404])
def test_a_report_the_web_does_not_want_is_not_sent_again(carrier: Carrier, status: int) -> None:
    with StandIn(says(status)) as web:
        carrier.send("+573001112233", web=web.address)
        until(lambda: carrier.stats()["reports"]["failed"] == 1)
        time.sleep(0.3)

    assert len(web.requests) == 1
    stats = carrier.stats()["reports"]
    assert (stats["pending"], stats["sent"]) == (0, 0)
    assert stats["lastFailure"].endswith(f"answered {status}")


def test_a_reset_drops_the_reports_that_wait() -> None:
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with running(delay=0.3) as carrier:
        carrier.send("+573001112233", web=address)  # nobody listens before it is dropped
        assert carrier.stats()["reports"]["pending"] == 1
        carrier.ask("POST", "/_sandbox/reset")
        assert carrier.stats()["reports"]["pending"] == 0
        with StandIn(says(204), port=port) as web:
            later, _ = carrier.send("+573001112233", web=address)
            until(lambda: carrier.stats()["reports"]["sent"] == 1)

    assert [callback.message_id for callback in callbacks(web)] == [later]


# --- as a rule says -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ({"reports": ["delivered", "sent"]}, ["delivered", "sent"]),
        ({"preset": "reordered_reports"}, ["delivered", "sent"]),
        ({"preset": "contradicting_reports"}, ["delivered", "failed:30008"]),
        ({"reports": ["failed:30008", "delivered"]}, ["failed:30008", "delivered"]),
        ({"reports": ["delivered", "delivered"]}, ["delivered", "delivered"]),
        ({"reports": ["teleported"]}, ["teleported"]),
        ({"reports": ["undelivered:99999"]}, ["undelivered:99999"]),
        ({"preset": "doubled_reports"}, ["delivered"] * 3),
        ({"copies": 100}, ["delivered"] * 100),
        ({"preset": "broken_taken"}, ["delivered"]),
    ],
)
def test_reports_come_as_the_rule_says(
    carrier: Carrier, rule: dict[str, object], words: list[str]
) -> None:
    carrier.misbehave(rule)

    with StandIn(says(204)) as web:
        message_id, _ = carrier.send("+573001112233", web=web.address)
        until(lambda: len(web.requests) == len(words))
        until(lambda: carrier.stats()["reports"]["pending"] == 0)

    told = callbacks(web)
    assert [
        ":".join(filter(None, (one.form["MessageStatus"], one.form.get("ErrorCode"))))
        for one in told
    ] == words
    assert {one.message_id for one in told} == {message_id}
    assert all(carrier.provider.verify(one) for one in told)


def test_a_report_is_left_out_late_forged_or_about_nobody(carrier: Carrier) -> None:
    carrier.misbehave(
        {"preset": "no_reports", "to": "+573000000001"},
        {"lag": 3600, "to": "+573000000002"},
        {"preset": "forged_report", "to": "+573000000003"},
        {"preset": "stray_report", "to": "+573000000004"},
    )

    with StandIn(says(204)) as web:
        for number in range(1, 5):
            carrier.send(f"+57300000000{number}", web=web.address)
        until(lambda: len(web.requests) == 2)
        until(lambda: carrier.stats()["reports"]["pending"] == 1)

    told = {one.form["To"][-1]: one for one in callbacks(web)}
    assert set(told) == {"3", "4"}
    assert not carrier.provider.verify(told["3"])
    assert carrier.provider.verify(told["4"])
    assert told["4"].message_id is None
    assert told["4"].form["MessageSid"] not in {row["id"] for row in carrier.accepted()}


def test_an_early_report_is_answered_before_the_message_is(carrier: Carrier) -> None:
    carrier.misbehave({"preset": "early_report"})

    with StandIn(says(204)) as web:
        _, result = carrier.send("+573001112233", web=web.address)
        seen = len(web.requests)

    assert isinstance(result, Accepted)
    assert seen == 1
    until(lambda: carrier.stats()["reports"]["sent"] == 1)

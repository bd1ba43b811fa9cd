"""What the sandbox carrier owes when it stops is sent after its next start."""

import os
import time
from pathlib import Path

import pytest
from pytest_django import Settings

from tests.messaging.providers.stand_in import StandIn, says
from tests.messaging.sandbox.carrier import Carrier, callbacks, running, until
from tests.messaging.sandbox.test_sandbox_infobip import send
from tests.ports import free_port

ANA = "+573001112233"


async def _never(*_: object) -> None:
    """Read the report and say nothing."""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "owed"


def pending(carrier: Carrier) -> int:
    return int(carrier.stats()["reports"]["pending"])


def test_reports_that_waited_are_sent_after_the_next_start(state: Path) -> None:
    with StandIn(says(204)) as web:
        with running(delay=3600, state=state) as carrier:
            ids = {carrier.send(ANA, web=web.address)[0] for _ in range(3)}
            before = {row["id"] for row in carrier.accepted()}
        assert web.requests == []

        with running(delay=3600, state=state) as carrier:
            until(lambda: carrier.stats()["reports"]["sent"] == 3)
            assert carrier.stats()["accepted"] == 0
            assert pending(carrier) == 0

    told = callbacks(web)
    assert {one.message_id for one in told} == ids
    assert {one.form["MessageSid"] for one in told} == before
    assert {(one.form["To"], one.form["MessageStatus"]) for one in told} == {(ANA, "delivered")}
    assert all(carrier.provider.verify(one) for one in told)
    assert not state.exists()


def test_reports_nobody_listened_to_are_sent_after_the_next_start(state: Path) -> None:
    port = free_port()
    with running(delay=0, state=state) as carrier:
        ids = {carrier.send(ANA, web=f"http://127.0.0.1:{port}")[0] for _ in range(30)}
        until(lambda: "no connection" in carrier.stats()["reports"]["lastFailure"])
    with running(delay=0, state=state) as carrier:
        until(lambda: "no connection" in carrier.stats()["reports"]["lastFailure"])
        assert pending(carrier) == 30

    with StandIn(says(204), port=port) as web, running(delay=0, state=state) as carrier:
        until(lambda: pending(carrier) == 0)

    assert {one.message_id for one in callbacks(web)} == ids


def test_a_report_that_is_under_way_when_it_stops_comes_again(state: Path) -> None:
    with StandIn(_never) as web:
        with running(delay=0, state=state) as carrier:
            message_id, _ = carrier.send(ANA, web=web.address)
            until(lambda: len(web.requests) == 1)
        with running(delay=0, state=state) as carrier:
            until(lambda: len(web.requests) == 2)

    assert {one.message_id for one in callbacks(web)} == {message_id}


def test_what_was_left_of_a_story_is_told_as_the_rule_said(state: Path, settings: Settings) -> None:
    with StandIn(says(503), says(204)) as web:
        settings.PUBLIC_URL = web.address
        with running("all", delay=3600, state=state) as carrier:
            carrier.misbehave(
                {"reports": ["failed:30008", "delivered"], "copies": 2, "signed": False}
            )
            carrier.send(ANA, web=web.address)
            carrier.misbehave({"lag": 3600})
            ids, _ = send(carrier)
            until(lambda: len(web.requests) >= 2)
        seen = len(web.requests)
        with running("all", delay=0.1, state=state) as carrier:
            until(lambda: pending(carrier) == 0, 60)

    said = callbacks(web)[seen:]
    twilio = [one for one in said if one.is_form]
    words = [one.form["MessageStatus"] for one in twilio]
    assert words[-2:] == ["delivered"] * 2
    assert not any(carrier.provider.verify(one) for one in twilio)
    assert {result["messageId"] for one in said if one.is_json for result in one.results} == {
        str(one) for one in ids
    }


def test_only_the_owner_can_read_it(state: Path) -> None:
    with running(delay=3600, state=state) as carrier:
        carrier.send(ANA)

    assert state.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in state.parent.iterdir()] == [state.name]


def test_nothing_is_left_where_nothing_is_owed(state: Path) -> None:
    with running("none", state=state) as carrier:
        carrier.send(ANA)

    assert not state.exists()


def test_a_carrier_that_was_killed_repeats_what_it_owed(state: Path) -> None:
    with running(delay=3600, state=state) as carrier:
        carrier.send(ANA)
    kept = state.read_bytes()

    with running(delay=0, state=state) as carrier:
        until(lambda: pending(carrier) == 1)
        assert state.read_bytes() == kept


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]\n", b'{"sender": ["pigeon", "a", "b", "c", "d"]}\n', b"[0, 0, 0]\n", b"\xff"],
)
def test_a_file_that_cannot_be_read_stops_nothing(state: Path, content: bytes) -> None:
    state.write_bytes(content)

    with running(state=state) as carrier:
        assert pending(carrier) == 0
        assert carrier.stats()["accepted"] == 0


def test_what_is_older_than_three_days_is_forgotten(state: Path) -> None:
    with running(delay=3600, state=state) as carrier:
        carrier.send(ANA)
    old = time.time() - 73 * 3600
    os.utime(state, (old, old))

    with running(delay=0, state=state) as carrier:
        assert pending(carrier) == 0


def test_a_file_that_cannot_be_written_does_not_keep_it_from_stopping(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()

    with running(delay=3600, state=folder / "owed") as carrier:
        carrier.send(ANA)
        folder.rmdir()


def test_what_was_reset_is_not_owed(state: Path) -> None:
    with StandIn(_never) as web, running(delay=0, state=state) as carrier:
        carrier.send(ANA, web=web.address)
        until(lambda: len(web.requests) == 1)
        carrier.ask("POST", "/_sandbox/reset")

    assert not state.exists()

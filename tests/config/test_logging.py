"""Logs: nothing that identifies a person or opens a door, and no line that was not written by us."""

import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from pytest_django import Settings

from accounts.models import Member
from config import logging as house
from messaging import delivery, providers
from messaging.providers.memory import Memory
from messaging.providers.results import Refused, Unclear
from tests.messaging.factories import sent_broadcast

Lines = Callable[[], list[str]]

log = logging.getLogger("tests.logged")

HOUSE: Final = ("config", "messaging", "contacts", "billing", "accounts")
TOKEN: Final = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbmEifQ.c2lnbmF0dXJl"


@contextmanager
def configured(*, production: bool, level: str = "INFO") -> Iterator[Lines]:
    """The house's own logging, written to memory; afterwards the tests' own is back."""
    root = logging.getLogger()
    handlers, before = root.handlers[:], root.level
    house.configure(production=production, level=level)
    (console,) = root.handlers
    assert isinstance(console, logging.StreamHandler)
    written = io.StringIO()
    console.setStream(written)
    try:
        yield lambda: written.getvalue().splitlines()
    finally:
        root.handlers[:] = handlers
        root.setLevel(before)


@pytest.fixture
def in_production() -> Iterator[Lines]:
    with configured(production=True) as lines:
        yield lines


@pytest.fixture
def in_development() -> Iterator[Lines]:
    with configured(production=False) as lines:
        yield lines


@pytest.fixture(params=["in_production", "in_development"])
def lines(request: pytest.FixtureRequest) -> Lines:
    found: Lines = request.getfixturevalue(request.param)
    return found


def test_where_the_web_server_listens_stays_readable() -> None:
    line = "Listening at: http://127.0.0.1:8000 (19470)"

    assert house.masked(line) == line


def test_the_end_of_the_audits_chain_can_be_noted_from_the_log_however_long_it_is() -> None:
    end = f"1000017:{'0b8096777a9ab49a' * 4}"

    assert house.masked(f"audit_sealed head={end}") == f"audit_sealed head={end}"
    assert house.masked("1000017:abc") == "***017:abc"


# --- shape ----------------------------------------------------------------------------------------
def test_a_line_in_production_is_json_with_the_fields(in_production: Lines) -> None:
    log.warning("broadcast_accepted", extra={"broadcast": "0d6a8cf9", "messages": 3})

    (line,) = in_production()
    found = json.loads(line)
    at = found.pop("at")
    assert at
    assert found == {
        "level": "WARNING",
        "logger": "tests.logged",
        "event": "broadcast_accepted",
        "broadcast": "0d6a8cf9",
        "messages": 3,
    }


def test_a_line_in_development_is_readable(in_development: Lines) -> None:
    log.warning("broadcast_accepted", extra={"broadcast": "0d6a8cf9", "messages": 3})

    (line,) = in_development()
    assert line.endswith("WARNING tests.logged: broadcast_accepted broadcast=0d6a8cf9 messages=3")


def test_what_is_below_the_level_is_not_written(lines: Lines) -> None:
    log.debug("too fine")
    log.info("fine enough")

    assert len(lines()) == 1


FORGERY: Final = 'x\r\n{"level": "INFO", "event": "forged"}\n\x85\u2028\x0b\x0c\x1b[31m'


@pytest.mark.parametrize("write", [
    lambda: log.warning("told: %s", FORGERY),
    lambda: log.warning(FORGERY),
    lambda: log.warning("event", extra={"told": FORGERY}),
    lambda: log.warning("event", extra={FORGERY: 1}),
], ids=["argument", "event", "field", "name of a field"])  # fmt: skip
def test_S68_a_line_break_cannot_forge_a_line(
    in_production: Lines, write: Callable[[], None]
) -> None:
    write()

    (line,) = [each for each in "\n".join(in_production()).split("\n") if each]
    assert json.loads(line)["level"] == "WARNING"


# --- S67: numbers ---------------------------------------------------------------------------------
NUMBERS: Final = [
    "+573001234567",
    "573001234567",
    "3001234567",
    "+57 300 123 4567",
    "0057-300-123-4567",
    "(202) 555-0123",
    "+1 (202) 555.0123",
]


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize(
    "write",
    [
        lambda number: log.warning("to %s now", number),
        lambda number: log.warning("to %(to)s now", {"to": number}),
        lambda number: log.warning(f"to {number} now"),  # noqa: G004 - what third parties do
        lambda number: log.warning("event", extra={"recipient": number}),
        lambda number: log.warning("event", extra={"recipients": [number, {"to": number}]}),
        lambda number: log.warning("failed: %s", ValueError(f"cannot write to {number}")),
        lambda number: log.warning(
            "event", extra={"error": ValueError(f"cannot write to {number}")}
        ),
    ],
    ids=[
        "argument",
        "named argument",
        "event",
        "field",
        "inside a field",
        "error",
        "error as a field",
    ],
)
def test_a_number_is_cut_to_its_last_three_digits(
    lines: Lines, number: str, write: Callable[[str], None]
) -> None:
    write(number)

    told = "\n".join(lines())
    digits = "".join(filter(str.isdigit, number))
    assert digits[-3:] in told
    for written in (number, digits, digits[:-3], number[:-3].strip()):
        assert written not in told


def test_a_number_in_a_trace_is_cut(lines: Lines) -> None:
    try:
        int("+573001234567 or so")  # the error repeats what it was given
    except ValueError:
        log.exception("it broke")

    told = "\n".join(lines())
    assert "ValueError" in told
    assert "3001234567" not in told


@pytest.mark.parametrize(
    "harmless",
    [
        "0d6a8cf9-8d7c-4f27-9a0c-5b8c3f7a6f10",
        "12345678-1234-4a34-8234-123456789012",
        "2026-11-23T06:12:00.123Z",
        "2026-11-23 06:12:00",
        "127.0.0.1",
        "took 12.5 s",
        "100000 messages",
        "9.2.0",
    ],
)
def test_ids_moments_and_counts_stay(lines: Lines, harmless: str) -> None:
    log.warning("about %s here", harmless)

    assert harmless in "\n".join(lines())


# --- S67: secrets ---------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "told",
    [
        f"Authorization: Bearer {TOKEN}",
        f"authorization=bearer {TOKEN}",
        f"'HTTP_AUTHORIZATION': 'Bearer {TOKEN}'",
        f'{{"accessToken": "{TOKEN}"}}',
        f"refreshToken={TOKEN}&x=1",
        f"the token {TOKEN} is no good",
        f"Bearer  {TOKEN}",
        f"GET /api/x?token={TOKEN} HTTP/1.1",
    ],
)
def test_a_token_is_not_written(lines: Lines, told: str) -> None:
    log.warning("%s", told)

    assert not [part for part in TOKEN.split(".") if part in "\n".join(lines())]


@pytest.mark.parametrize(
    "told",
    [
        "password=hunter2",
        "password: hunter2",
        '{"password": "hunter2"}',
        "{'newPassword': 'hunter2'}",
        "SECRET_KEY=hunter2",
        "jwt_signing_key = hunter2",
        "api-key: hunter2",
        "Authorization: Basic hunter2",
        "client_secret=hunter2&x=1",
        "auth_token='hunter2'",
    ],
)
def test_a_secret_is_not_written(lines: Lines, told: str) -> None:
    log.warning(told)
    log.warning("event", extra={"told": told})

    assert "hunter2" not in "\n".join(lines())


@pytest.mark.parametrize(
    "name", ["password", "token", "Authorization", "secret", "api_key", "signing_key"]
)
def test_a_field_that_is_a_secret_by_its_name_is_not_written(lines: Lines, name: str) -> None:
    log.warning("event", extra={name: "hunter2"})
    log.warning("event", extra={"headers": {name: "hunter2"}})

    assert "hunter2" not in "\n".join(lines())


def test_urls_are_written_without_their_password(lines: Lines) -> None:
    log.warning("cannot reach redis://:hunter2@redis.example.org:6379/0")
    log.warning("cannot reach %s", "postgresql://pregon:hunter2@db.example.org/pregon")
    log.warning("cannot reach %s", "twilio://AC1:hunter2@api.twilio.com?from=x")

    told = "\n".join(lines())
    assert "hunter2" not in told
    assert "db.example.org" in told


# --- robust ---------------------------------------------------------------------------------------
HOSTILE: Final = {
    "one long word": "x" * 8_000,
    "digits": "1" * 8_000,
    "digits apart": "1 " * 4_000,
    "digits and brackets": "1" + "(" * 8_000,
    "token": "token" * 1_600,
    "password-": "password-" * 900,
    "tokens that begin": "eyJ" * 2_700,
    "tokens with dots": "eyJa." * 1_600,
    "bearer": "bearer " * 1_100,
    "blanks after a secret": "token" + " " * 8_000,
    "blanks after bearer": "bearer" + " " * 8_000,
    "equal signs": "secret=" * 1_100,
    "quotes": "'\"" * 4_000,
    "dates": "2026-11-23" * 800,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_no_text_makes_masking_slow(text: str) -> None:
    """A stranger chooses these: a refused Host header is logged."""
    started = time.thread_time()  # the work itself, whatever else the machine does

    house.masked(text)

    assert time.thread_time() - started < 0.25


BROKEN: Final[list[Callable[[], Any]]] = [
    lambda: log.warning("%d messages", "three"),
    lambda: log.warning("%s and %s", "one"),
    lambda: log.warning("none", "one"),
    lambda: log.warning("%(name)s", "one"),
    lambda: log.warning(None),
    lambda: log.warning(b"bytes \xff"),
    lambda: log.warning("event", extra={"told": object()}),
    lambda: log.warning("event", extra={"told": b"\xff"}),
]


@pytest.mark.parametrize("write", BROKEN)
def test_a_line_that_is_written_wrongly_breaks_nothing(
    lines: Lines, write: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)

    write()

    assert log.isEnabledFor(logging.WARNING)


# --- while a broadcast goes out -------------------------------------------------------------------
@pytest.mark.django_db
def test_S67_sending_and_delivering_name_nobody_even_before_masking(
    settings: Settings, ana: Member, caplog: pytest.LogCaptureFixture
) -> None:
    """What the filter would mask is not even handed to it."""
    settings.SMS_PROVIDERS = ["memory://local?concurrency=1"]
    (provider,) = providers.configured()
    assert isinstance(provider, Memory)
    provider.will_answer("+573001234568", Refused("21211", "the number is not valid"))
    provider.will_answer("+573001234569", Unclear("read timeout"), ValueError("+573001234569"))
    numbers = ["+573001234567", "+573001234568", "+573001234569"]
    root = logging.getLogger()
    handlers, root.handlers = root.handlers, [caplog.handler]

    with caplog.at_level(logging.DEBUG):
        broadcast = sent_broadcast(ana, *numbers, text="Hola secreta palabra")
        delivery.drain(queue_id=broadcast.pk, lane=0)

    root.handlers = handlers
    ours = [record for record in caplog.records if record.name.split(".")[0] in HOUSE]
    told = " ".join(str(vars(record)) for record in ours)
    assert not [number for number in (*numbers, "secreta") if number.lstrip("+") in told]

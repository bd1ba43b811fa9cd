"""The sandbox carrier misbehaves as it is told at run time."""

import base64
import gzip
import json
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlencode, urlsplit

import pytest

from messaging.providers.base import Accepted, Misconfigured, Refused, Unavailable, Unclear
from tests.messaging.sandbox.carrier import ACCOUNT, GOOD_FORM, TOKEN, Carrier, running, until

SID = "SM" + "0" * 32


# --- what is answered -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "kind", "taken"),
    [
        ({"preset": "good"}, Accepted, 1),
        ({"preset": "invalid"}, Refused, 0),
        ({"preset": "landline"}, Refused, 0),
        ({"preset": "opted_out"}, Refused, 0),
        ({"preset": "busy"}, Unavailable, 0),
        ({"preset": "busy", "accepts": True}, Unavailable, 1),
        ({"preset": "broken"}, Unclear, 0),
        ({"preset": "broken_taken"}, Unclear, 1),
        ({"preset": "reply_lost"}, Unclear, 1),
        ({"preset": "down"}, Unclear, 0),
        ({"preset": "account_refused"}, Misconfigured, 0),
        ({"preset": "account_refused", "status": 402}, Misconfigured, 0),
        ({"preset": "account_refused", "status": 403}, Misconfigured, 0),
        ({"status": 302, "headers": {"Location": "http://169.254.169.254/"}}, Unclear, 0),
        ({"status": 404}, Misconfigured, 0),
        ({"status": 408}, Unclear, 0),
        ({"status": 503, "headers": {"Retry-After": "3600"}}, Unclear, 0),
        ({"status": 400, "code": 99999}, Unclear, 0),
        ({"status": 400, "code": "what"}, Unclear, 0),
        ({"closes": "halfway"}, Unclear, 1),
        ({"closes": "halfway", "body": "huge"}, Unclear, 1),
        ({"body": "empty"}, Unclear, 1),
        ({"body": "html"}, Unclear, 1),
        ({"body": "broken_json"}, Unclear, 1),
        ({"body": "huge"}, Unclear, 1),
        ({"body": "gzip_bomb"}, Unclear, 1),
        ({"body": '{"sid": []}'}, Unclear, 1),
        ({"id": 7}, Unclear, 1),
        ({"id": None}, Unclear, 1),
        ({"accepts": False}, Accepted, 0),
        ({"pause": 0.05}, Accepted, 1),
        ({"delay": 0.05}, Accepted, 1),
    ],
)
def test_an_answer_is_what_the_rule_says(
    carrier: Carrier, rule: dict[str, object], kind: type, taken: int
) -> None:
    carrier.misbehave(rule)

    _, result = carrier.send("+573001112233")

    assert isinstance(result, kind), result
    assert (carrier.stats()["accepted"], carrier.stats()["refused"]) == (taken, 1 - taken)
    assert carrier.rules() == [rule | {"matched": 1}]


def test_an_answer_has_the_headers_and_the_body_that_the_rule_says(carrier: Carrier) -> None:
    carrier.misbehave(
        {"status": 429, "headers": {"Retry-After": "soon", "Content-Type": "text/x"}, "body": "…"}
    )

    status, body, headers = carrier.post(GOOD_FORM)

    assert (status, body) == (429, "…")
    assert (headers["Retry-After"], headers["Content-Type"]) == ("soon", "text/x")


def test_a_large_answer_would_be_good_for_who_reads_it_whole(carrier: Carrier) -> None:
    carrier.misbehave({"body": "huge"})

    status, answer, headers = carrier.post(GOOD_FORM)

    assert status == 201
    assert int(headers["Content-Length"]) > 10 << 20
    assert answer["sid"] == carrier.accepted()[0]["id"]


def test_a_bomb_is_small_on_the_way(carrier: Carrier) -> None:
    carrier.misbehave({"body": "gzip_bomb"})

    head, _, body = answer(asked(carrier)).partition(b"\r\n\r\n")

    assert b"Content-Encoding: gzip" in head
    assert len(body) < 1 << 19
    whole = gzip.decompress(body)
    assert len(whole) > 64 << 20
    assert json.loads(whole)["sid"] == carrier.accepted()[0]["id"]


def test_the_same_id_can_be_given_twice(carrier: Carrier) -> None:
    carrier.misbehave({"id": SID, "times": 2})

    results = [carrier.send("+573001112233")[1] for _ in range(3)]

    given = [result.provider_message_id for result in results if isinstance(result, Accepted)]
    assert given[:2] == [SID, SID]
    assert given[2] != SID
    assert [row["id"] for row in carrier.accepted()] == given
    assert carrier.stats()["doubled"] == 0


def test_other_segments_can_be_answered(carrier: Carrier) -> None:
    carrier.misbehave({"segments": 9})

    _, result = carrier.send("+573001112233")

    assert isinstance(result, Accepted)
    assert result.metadata["segments"] == 9


# --- how a connection ends ------------------------------------------------------------------------


def asked(carrier: Carrier) -> socket.socket:
    """Send a good message over a connection of its own and return that."""
    parts = urlsplit(carrier.address)
    connection = socket.create_connection((parts.hostname or "", parts.port or 0), timeout=30)
    login = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    body = urlencode(GOOD_FORM)
    connection.sendall(
        f"POST /2010-04-01/Accounts/{ACCOUNT}/Messages.json HTTP/1.1\r\nHost: x\r\n"
        f"Connection: close\r\nAuthorization: Basic {login}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
    )
    return connection


def answer(connection: socket.socket) -> bytes:
    """Return all that comes over it until it ends."""
    found = b""
    with connection:
        while part := connection.recv(65_536):
            found += part
    return found


def test_a_connection_that_is_closed_unread_is_reset(carrier: Carrier) -> None:
    carrier.misbehave({"preset": "down"})

    with pytest.raises(ConnectionResetError):
        answer(asked(carrier))

    assert carrier.stats()["accepted"] == 0
    assert carrier.stats()["requests"]["answers"] == {"unread": 1}


def test_a_connection_that_is_closed_unanswered_ends_in_order_without_a_byte(
    carrier: Carrier,
) -> None:
    carrier.misbehave({"preset": "reply_lost"})

    assert answer(asked(carrier)) == b""
    assert carrier.stats()["accepted"] == 1


def test_a_connection_that_is_closed_halfway_ends_within_the_body(carrier: Carrier) -> None:
    carrier.misbehave({"closes": "halfway"})

    head, _, body = answer(asked(carrier)).partition(b"\r\n\r\n")

    announced = re.search(rb"Content-Length: (\d+)", head)
    assert announced
    assert head.startswith(b"HTTP/1.1 201")
    assert 0 < len(body) < int(announced[1])


def test_a_message_is_taken_though_its_caller_gave_up(carrier: Carrier) -> None:
    carrier.misbehave({"pause": 0.5})
    asked(carrier).close()

    until(lambda: carrier.stats()["accepted"] == 1)


@pytest.mark.parametrize("rule", [{"preset": "hanging"}, {"pause": 3600}])
def test_what_hangs_is_let_go_when_the_rules_go(carrier: Carrier, rule: dict[str, object]) -> None:
    carrier.misbehave(rule)
    connection = asked(carrier)
    until(lambda: carrier.stats()["requests"]["now"] == 1)

    carrier.ask("DELETE", "/_sandbox/behaviour")

    with pytest.raises(ConnectionResetError):
        answer(connection)
    until(lambda: carrier.stats()["requests"]["now"] == 0)
    assert carrier.stats()["accepted"] == 0
    assert carrier.rules() == []


def test_what_hangs_is_let_go_when_the_carrier_stops() -> None:
    with running() as carrier:
        carrier.misbehave({"preset": "hanging"})
        connection = asked(carrier)
        until(lambda: carrier.stats()["requests"]["now"] == 1)

    with pytest.raises(ConnectionResetError):
        answer(connection)


# --- whom a rule is for ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("whom", "matched"),
    [
        ({}, 1),
        ({"to": "+573001112233"}, 1),
        ({"to": "+573001112234"}, 0),
        ({"to": "+57300111"}, 0),
        ({"to": "+57300111*"}, 1),
        ({"to": "+1*"}, 0),
        ({"to": "*"}, 1),
        ({"account": ACCOUNT}, 1),
        ({"account": "AC1"}, 0),
        ({"dialect": "twilio"}, 1),
        ({"dialect": "infobip"}, 0),
        ({"call": "send"}, 1),
        ({"call": "any"}, 1),
        ({"call": "lookup"}, 0),
        ({"to": "+573001112233", "account": "AC1"}, 0),
        ({"share": 0}, 0),
        ({"share": 1}, 1),
        ({"beyond": 1000}, 0),
    ],
)
def test_a_rule_is_for_those_that_fit(
    carrier: Carrier, whom: dict[str, object], matched: int
) -> None:
    carrier.misbehave({"preset": "invalid", **whom})

    _, result = carrier.send("+573001112233")

    assert isinstance(result, Refused if matched else Accepted)
    assert carrier.rules()[0]["matched"] == matched


def test_the_first_rule_that_fits_decides_and_the_magic_numbers_come_last(
    carrier: Carrier,
) -> None:
    carrier.misbehave(
        {"preset": "invalid", "times": 1},
        {"preset": "opted_out", "times": 1},
        {"preset": "good", "times": 1},
    )

    results = [carrier.send("+18085550100")[1] for _ in range(4)]

    assert [result.code for result in results if isinstance(result, Refused)] == [
        "21211",
        "21610",
        "21614",
    ]
    assert isinstance(results[2], Accepted)


def test_rules_that_are_posted_later_come_behind(carrier: Carrier) -> None:
    carrier.misbehave({"preset": "invalid", "times": 1})
    carrier.ask("POST", "/_sandbox/behaviour", '{"preset": "opted_out"}')

    results = [carrier.send("+573001112233")[1] for _ in range(2)]

    assert [getattr(result, "code", "") for result in results] == ["21211", "21610"]


def test_a_share_is_drawn_the_same_way_again(carrier: Carrier) -> None:
    drawn = []
    for seed in (1, 1, 2):
        carrier.misbehave({"preset": "invalid", "share": 0.5, "seed": seed})
        drawn.append([carrier.post(GOOD_FORM)[0] for _ in range(40)])

    assert drawn[0] == drawn[1] != drawn[2]
    assert 5 < drawn[0].count(400) < 35


def test_what_is_beyond_a_rate_is_refused(carrier: Carrier) -> None:
    carrier.misbehave({"preset": "busy", "beyond": 10})
    began = time.monotonic()

    statuses = [carrier.post(GOOD_FORM)[0] for _ in range(60)]

    passed = time.monotonic() - began
    assert statuses[:10] == [201] * 10
    assert 10 <= statuses.count(201) <= 11 + 10 * passed
    carrier.misbehave({"preset": "busy", "beyond": 10})
    assert carrier.post(GOOD_FORM)[0] == 201


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([1], "A rule is an object"),
        ("no", "A rule is an object"),
        ({"what": 1}, "A rule has no 'what'"),
        ({"preset": "bad"}, "preset must be one of good, invalid"),
        ({"preset": []}, "preset must be one of"),
        ({"status": 100}, "status must be an HTTP status"),
        ({"status": True}, "status must be"),
        ({"status": "500"}, "status must be"),
        ({"delay": -1}, "delay must be seconds"),
        ({"delay": 1e9}, "delay must be seconds"),
        ({"share": 1.5}, "share must be a number from 0 to 1"),
        ({"times": 1.5}, "times must be a whole number"),
        ({"copies": 0}, "copies must be a whole number from 1"),
        ({"closes": "slowly"}, "closes must be one of unread"),
        ({"line": "gone"}, "line must be one of kept"),
        ({"call": "read"}, "call must be one of send"),
        ({"reports": "delivered"}, "reports must be a list"),
        ({"reports": [1]}, "reports must be a list"),
        ({"headers": {"A": 1}}, "headers must be an object"),
        ({"headers": {"A": "b\r\nC: d"}}, "headers must be an object"),
        ({"headers": {"A b": "c"}}, "headers must be an object"),
        ({"accepts": 1}, "accepts must be true or false"),
        ({"id": 1.5}, "id must be a text"),
        ({"to": 57}, "to must be a number, or its beginning"),
        ([{"preset": "good"}, {"status": 1}], "status must be"),
    ],
)
def test_what_is_no_rule_is_refused_in_words_and_sets_nothing(
    carrier: Carrier, said: object, words: str
) -> None:
    status, error, _ = carrier.ask("POST", "/_sandbox/behaviour", json.dumps(said))

    assert status == 400
    assert words in error["message"]
    assert carrier.rules() == []


@pytest.mark.parametrize("body", ["", "{", '{"delay": NaN}', "[" * 100_000, "\x00"])
def test_what_is_no_json_is_refused_in_words(carrier: Carrier, body: str) -> None:
    status, error, _ = carrier.ask("POST", "/_sandbox/behaviour", body)

    assert (status, error["message"]) == (400, "The body must be JSON.")


# --- what is counted ------------------------------------------------------------------------------


def test_requests_are_counted_by_path_and_answer_and_how_many_came_at_once(
    carrier: Carrier,
) -> None:
    carrier.misbehave({"delay": 0.7, "times": 4}, {"preset": "invalid"})
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda _: carrier.post(GOOD_FORM)[0], range(4))) == [201] * 4
    carrier.post(GOOD_FORM)
    carrier.ask("GET", "/2010-04-01/nothing")

    counted = carrier.stats()["requests"]

    assert 2 <= counted.pop("peak") <= 4
    assert counted == {
        "total": 6,
        "now": 0,
        "answers": {"201": 4, "400": 1, "404": 1},
        "paths": {
            "/2010-04-01/Accounts/{account}/Messages.json": 5,
            "/2010-04-01/{rest}": 1,
        },
    }
    assert carrier.stats()["refused"] == 1

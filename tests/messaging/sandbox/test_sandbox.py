"""The sandbox carrier takes messages as a carrier does, and remembers them."""

import base64
import hashlib
import hmac
import time
import tracemalloc
from urllib.parse import parse_qsl, urlencode
from uuid import uuid4

import phonenumbers
import pytest

from messaging.providers.base import (
    Accepted,
    Misconfigured,
    Refused,
    Unavailable,
    Unclear,
)
from messaging.sandbox.behaviour import MAGIC, PRESETS
from messaging.sandbox.record import Record, Shared
from messaging.sandbox.segments import segments
from tests.messaging.providers.stand_in import StandIn, says
from tests.messaging.sandbox.carrier import (
    ACCOUNT,
    GOOD_FORM,
    ROOT,
    TOKEN,
    Carrier,
    callbacks,
    until,
)

SHARED = Shared("twilio", ACCOUNT, "+15005550006", "Hola")

# --- taking messages ------------------------------------------------------------------------------


def test_the_real_provider_s_message_is_taken_and_reported(carrier: Carrier) -> None:
    with StandIn(says(204)) as web:
        message_id, result = carrier.send("+573001112233", web=web.address)
        until(lambda: carrier.stats()["reports"]["sent"] == 1)

    assert isinstance(result, Accepted)
    assert result.metadata == {"status": "queued", "segments": 1}
    (acceptance,) = carrier.accepted()
    assert acceptance["id"] == result.provider_message_id
    assert acceptance["to"] == "+573001112233"
    assert acceptance["message"] == message_id.hex
    assert abs(acceptance["at"] - time.time()) < 60
    (callback,) = callbacks(web)
    assert carrier.provider.verify(callback)
    (report,) = carrier.provider.read_reports(callback)
    assert report.status == "DELIVERED"
    assert report.provider_message_id == result.provider_message_id
    assert report.message_id == message_id


def test_a_report_is_signed_as_twilio_documents_it(carrier: Carrier) -> None:
    with StandIn(says(204)) as web:
        carrier.send("+573001112233", web=web.address)
        until(lambda: len(web.requests) == 1)

    (request,) = web.requests
    text = web.address + request.path
    for name, value in sorted(parse_qsl(request.body.decode(), keep_blank_values=True)):
        text += name + value
    mac = hmac.new(TOKEN.encode(), text.encode(), hashlib.sha1).digest()
    assert request.headers["x-twilio-signature"] == base64.b64encode(mac).decode()


def test_the_answer_looks_like_twilio_s(carrier: Carrier) -> None:
    status, message, _ = carrier.post(GOOD_FORM | {"Body": "ñ" * 200})

    assert status == 201
    assert message["sid"].startswith("SM")
    assert len(message["sid"]) == 34
    assert (message["to"], message["from"]) == ("+573001112233", "+15005550006")
    assert (message["num_segments"], message["status"]) == ("2", "queued")
    assert message["uri"] == f"/2010-04-01/Accounts/{ACCOUNT}/Messages/{message['sid']}.json"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"To": ""}, 21604),
        ({"To": "3001112233"}, 21211),
        ({"To": "+0300111223"}, 21211),
        ({"To": "+57300111223344556"}, 21211),
        ({"To": "+٥٧٣٠٠١١١٢٢"}, 21211),
        ({"From": ""}, 21603),
        ({"Body": ""}, 21602),
        ({"Body": "a" * 1601}, 21617),
        ({"Body": "😀" * 801}, 21617),
        ({"StatusCallback": "nonsense"}, 21609),
        ({"StatusCallback": "ftp://x/"}, 21609),
        ({"StatusCallback": "http://x:port/"}, 21609),
    ],
)
def test_what_twilio_would_refuse_is_refused(
    carrier: Carrier, change: dict[str, str], code: int
) -> None:
    status, error, _ = carrier.post(GOOD_FORM | change)

    assert status == 400
    assert error["code"] == code
    assert error["status"] == 400
    assert error["message"]
    assert error["more_info"] == f"https://www.twilio.com/docs/errors/{code}"
    assert carrier.stats()["accepted"] == 0


@pytest.mark.parametrize("body", ["a" * 1600, "😀" * 800])
def test_what_twilio_just_takes_is_taken(carrier: Carrier, body: str) -> None:
    assert carrier.post(GOOD_FORM | {"Body": body})[0] == 201


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic " + base64.b64encode(ACCOUNT.encode()).decode(),
        "Basic " + base64.b64encode(f"{ACCOUNT}:".encode()).decode(),
        "Basic " + base64.b64encode(b"AC1:token").decode(),
        "Basic " + base64.b64encode(b"\xff:\xff").decode(),
        "Bearer " + base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode(),
    ],
)
def test_a_stranger_is_not_served(carrier: Carrier, authorization: str) -> None:
    status, error, _ = carrier.ask(
        "POST",
        f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json",
        urlencode(GOOD_FORM),
        Authorization=authorization,
    )

    assert (status, error["code"]) == (401, 20003)
    assert carrier.stats()["accepted"] == 0


def test_other_addresses_are_not_found(carrier: Carrier) -> None:
    status, error, _ = carrier.ask("GET", f"/2010-04-01/Accounts/{ACCOUNT}/Calls.json")

    assert (status, error["code"]) == (404, 20404)


@pytest.mark.parametrize("body", ["", "\xff\x00%zz", "=&=&=", "To=%00&Body=%ff&From=%ed%a0%80"])
def test_no_form_makes_it_fail(carrier: Carrier, body: str) -> None:
    login = base64.b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    path = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"

    status, _, _ = carrier.ask("POST", path, body, Authorization=f"Basic {login}")

    assert status == 400


# --- magic numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipient", "kind", "code"),
    [
        ("+19075550100", Refused, "21211"),
        ("+18085550199", Refused, "21614"),
        ("+14065550150", Refused, "21610"),
        ("+16055550100", Unavailable, "20429"),
        ("+18025550101", Unclear, "20500"),
    ],
)
def test_a_magic_number_is_refused_and_not_accepted(
    carrier: Carrier, recipient: str, kind: type, code: str
) -> None:
    _, result = carrier.send(recipient)

    assert isinstance(result, kind)
    assert not isinstance(result, Accepted | Misconfigured)
    assert result.code == code
    assert carrier.stats()["accepted"] == 0


@pytest.mark.parametrize(
    ("recipient", "kind", "status", "code"),
    [
        ("+17015550100", Accepted, "UNDELIVERED", "30003"),
        ("+13075550100", Accepted, "UNDELIVERED", "30008"),
        ("+12075550100", Unclear, "DELIVERED", ""),
        ("+19075550200", Accepted, "DELIVERED", ""),
        ("+12025550123", Accepted, "DELIVERED", ""),
    ],
)
def test_a_magic_number_is_accepted_and_reported(
    carrier: Carrier, recipient: str, kind: type, status: str, code: str
) -> None:
    with StandIn(says(204)) as web:
        message_id, result = carrier.send(recipient, web=web.address)
        until(lambda: len(web.requests) == 1)

    assert isinstance(result, kind)
    assert carrier.stats()["accepted"] == 1
    (report,) = carrier.provider.read_reports(callbacks(web)[0])
    assert (report.status, report.code, report.message_id) == (status, code, message_id)


def test_a_busy_number_gives_in_after_as_many_times_as_its_last_digit(carrier: Carrier) -> None:
    results = [carrier.send("+16055550112")[1] for _ in range(4)]

    assert (
        results[:2]
        == [Unavailable("Twilio is busy", retry_after=1.0, gives_attempt_back=True, code="20429")]
        * 2
    )
    assert all(isinstance(result, Accepted) for result in results[2:])
    carrier.ask("POST", "/_sandbox/reset")
    assert isinstance(carrier.send("+16055550112")[1], Unavailable)


def test_every_magic_number_may_be_a_contact_s() -> None:
    for area in MAGIC:
        number = phonenumbers.parse(f"+1{area}5550100")
        assert phonenumbers.is_valid_number(number), area


def test_the_document_has_every_magic_number() -> None:
    document = (ROOT / "docs" / "sandbox.md").read_text()

    for area, behaviour in MAGIC.items():
        (row,) = [line for line in document.splitlines() if f"+1 {area} 555 01" in line]
        dash = "\N{EN DASH}"
        answers = not (behaviour.closes or behaviour.delay)
        assert str(behaviour.code or behaviour.final_code or "") in row
        assert f"| {behaviour.status or 201 if answers else dash} |" in row
        assert f"`{next(name for name in PRESETS if PRESETS[name] is behaviour)}`" in row


# --- the record -----------------------------------------------------------------------------------


def test_a_message_handed_over_twice_is_counted_as_doubled(carrier: Carrier) -> None:
    first, second = uuid4().hex, uuid4().hex
    for message in (first, second, first, first, ""):
        callback = f"http://127.0.0.1:9/r?m={message}&s=x" if message else ""
        assert carrier.post(GOOD_FORM | {"StatusCallback": callback})[0] == 201

    stats = carrier.stats()

    assert (stats["accepted"], stats["doubled"]) == (5, 2)
    assert [row["message"] for row in carrier.accepted()] == [first, second, first, first, None]
    assert len({row["id"] for row in carrier.accepted()}) == 5


def test_the_record_is_read_from_any_place(carrier: Carrier) -> None:
    for number in range(3):
        carrier.post(GOOD_FORM | {"To": f"+5730011122{number:02}"})

    assert [row["to"] for row in carrier.accepted("?after=1")] == ["+573001112201", "+573001112202"]
    assert carrier.accepted("?after=3") == []
    assert carrier.ask("GET", "/_sandbox/accepted?after=x")[0] == 400


def test_a_reset_forgets_everything_but_no_id_comes_twice(carrier: Carrier) -> None:
    with StandIn(says(500)) as web:
        carrier.send("+573001112233", web=web.address)
        until(lambda: len(web.requests) >= 1)
    before = carrier.accepted()

    carrier.ask("POST", "/_sandbox/reset")

    assert carrier.stats() == {
        "accepted": 0,
        "doubled": 0,
        "refused": 0,
        "requests": {"total": 0, "now": 0, "peak": 0, "answers": {}, "paths": {}},
        "reports": {"sent": 0, "pending": 0, "failed": 0, "lastFailure": ""},
    }
    assert carrier.accepted() == []
    _, result = carrier.send("+573001112233")
    assert isinstance(result, Accepted)
    assert result.provider_message_id != before[0]["id"]


def test_a_message_takes_little_memory() -> None:
    ids = [uuid4().hex for _ in range(50_000)]
    record = Record()
    tracemalloc.start()
    try:
        for message_id in ids:
            record.add("+573001112233", message_id, SHARED)
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert record.doubled == 0
    assert used / len(ids) < 160


def test_ids_that_overlap_are_not_taken_for_the_same() -> None:
    record = Record()
    whole = uuid4().hex + uuid4().hex
    record.add("+573001112233", whole[:32], SHARED)
    record.add("+573001112233", whole[32:], SHARED)
    record._seen.add(hash(bytes.fromhex(whole[16:48])))  # as if two hashes were equal

    record.add("+573001112233", whole[16:48], SHARED)
    assert record.doubled == 0

    record.add("+573001112233", whole[16:48], SHARED)
    assert record.doubled == 1


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("€" * 80, 1),
        ("€" * 153, 3),
        ("a" * 152 + "€" + "a" * 152, 3),
        ("☕" * 70, 1),
        ("☕" * 71, 2),
        ("😀" * 35, 1),
        ("😀" * 67, 3),
    ],
)
def test_segments_are_counted_apart(text: str, count: int) -> None:
    assert segments(text) == count


def test_a_record_with_many_texts_keeps_each_once() -> None:
    record = Record()
    for number in range(100):
        record.add("+573001112233", None, Shared("twilio", ACCOUNT, "x", f"Hola {number % 10}"))

    assert len({id(one.shared) for one in record.acceptances()}) == 10

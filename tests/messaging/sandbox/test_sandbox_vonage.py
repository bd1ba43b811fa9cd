"""The sandbox carrier speaks Vonage's Messages API: one message a request, callbacks with a token."""

import base64
import json
from typing import Any
from uuid import UUID, uuid4

import pytest
from yarl import URL

from messaging.providers import signing
from messaging.providers.base import (
    Accepted,
    Batch,
    Credential,
    Misconfigured,
    Outgoing,
    Refused,
    Result,
    Unavailable,
    Unclear,
)
from messaging.providers.vonage import Vonage
from tests.messaging.providers.batches import sent
from tests.messaging.providers.stand_in import StandIn, says
from tests.messaging.sandbox.carrier import Carrier, callbacks, until

KEY, SECRET = "a1b2c3d4", "any-secret"
GOOD: dict[str, object] = {
    "channel": "sms",
    "message_type": "text",
    "to": "573001112233",
    "from": "Acme",
    "text": "Hola",
}


def vonage(carrier: Carrier) -> Vonage:
    return Vonage(
        Credential(KEY, SECRET),
        sender="Acme",
        signature_secrets=(SECRET,),
        base_url=URL(carrier.address),
    )


def send(
    carrier: Carrier, recipient: str = "+573001112233", *, web: str = "http://127.0.0.1:9"
) -> tuple[UUID, Result]:
    """Hand one message over with the real provider; its reports go to `web`."""
    message_id = uuid4()
    path = signing.callback_url("vonage", message_id).split("/api/", 1)[1]
    batch = Batch([Outgoing(message_id, recipient, f"{web}/api/{path}")], "Hola ☕", "SMS")
    return message_id, sent(vonage(carrier), batch)[message_id]


def post(carrier: Carrier, said: object, *, login: str = f"{KEY}:{SECRET}") -> tuple[int, Any]:
    body = said if isinstance(said, str) else json.dumps(said)
    authorization = f"Basic {base64.b64encode(login.encode()).decode()}"
    status, answer, _ = carrier.ask("POST", "/v1/messages", body, Authorization=authorization)
    return status, answer


# --- taking ---------------------------------------------------------------------------------------


def test_a_message_is_taken_and_reported(carrier: Carrier) -> None:
    with StandIn(says(204)) as web:
        message_id, result = send(carrier, web=web.address)
        until(lambda: carrier.stats()["reports"]["sent"] == 1)
        (call,) = callbacks(web)

    assert isinstance(result, Accepted)
    assert vonage(carrier).verify(call)
    assert json.loads(call.body)["client_ref"] == str(message_id)
    (report,) = vonage(carrier).read_reports(call)
    assert (report.message_id, report.status) == (message_id, "DELIVERED")
    assert report.provider_message_id == result.provider_message_id
    (row,) = carrier.accepted()
    assert row["message"] == message_id.hex
    assert (row["id"], row["to"]) == (result.provider_message_id, "+573001112233")
    assert row["account"] == KEY


def test_the_same_message_twice_is_counted_as_doubled(carrier: Carrier) -> None:
    reference = {"client_ref": str(uuid4())}

    ids = [post(carrier, GOOD | reference)[1]["message_uuid"] for _ in range(2)]

    assert ids[0] != ids[1]
    assert carrier.stats()["doubled"] == 1


def test_the_answer_looks_like_vonage_s(carrier: Carrier) -> None:
    status, answer = post(carrier, GOOD)

    assert status == 202
    assert list(answer) == ["message_uuid"]
    assert str(UUID(answer["message_uuid"])) == answer["message_uuid"]


@pytest.mark.parametrize(
    ("changed", "blamed"),
    [
        ({"channel": "whatsapp"}, "channel"),
        ({"message_type": "image"}, "message_type"),
        ({"to": ""}, "to"),
        ({"to": "+573001112233"}, "to"),
        ({"to": 573001112233}, "to"),
        ({"from": None}, "from"),
        ({"text": ""}, "text"),
        ({"text": "x" * 3201}, "text"),
        ({"client_ref": "x" * 101}, "client_ref"),
        ({"webhook_url": []}, "webhook_url"),
    ],
)
def test_a_parameter_vonage_would_not_take_is_blamed(
    carrier: Carrier, changed: dict[str, object], blamed: str
) -> None:
    status, answer = post(carrier, GOOD | changed)

    assert status == 422
    assert answer["type"] == "https://developer.vonage.com/api-errors/messages#1150"
    assert [one["name"] for one in answer["invalid_parameters"]] == [blamed]
    assert carrier.stats()["accepted"] == 0


@pytest.mark.parametrize("body", ["", "[]", "{", '"a"', "[" * 100_000])
def test_what_is_no_object_is_no_request(carrier: Carrier, body: str) -> None:
    status, answer = post(carrier, body)

    assert (status, answer["type"].rpartition("#")[2]) == (422, "invalid-json")


@pytest.mark.parametrize("login", ["", "key", "key:", "☕"])
def test_who_does_not_say_who_he_is_is_refused(carrier: Carrier, login: str) -> None:
    status, answer = post(carrier, GOOD, login=login)

    assert (status, answer["type"].rpartition("#")[2]) == (401, "unauthorized")


def test_there_is_nothing_else(carrier: Carrier) -> None:
    assert carrier.ask("GET", "/v1/messages/1")[0] == 404


# --- misbehaving ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("number", "code"),
    [("+19075550100", "1430"), ("+18085550100", "1040"), ("+14065550100", "1240")],
)
def test_magic_numbers_are_refused_in_vonage_s_codes(
    carrier: Carrier, number: str, code: str
) -> None:
    _, result = send(carrier, number)

    assert isinstance(result, Refused)
    assert result.code == code
    assert result.opts_out == (code == "1240")


@pytest.mark.parametrize(
    ("rule", "kind", "taken"),
    [
        ({"preset": "busy"}, Unavailable, 0),
        ({"preset": "broken"}, Unclear, 0),
        ({"preset": "broken_taken"}, Unclear, 1),
        ({"preset": "reply_lost"}, Unclear, 1),
        ({"preset": "down"}, Unclear, 0),
        ({"preset": "account_refused"}, Misconfigured, 0),
        ({"preset": "account_refused", "status": 402}, Misconfigured, 0),
        ({"preset": "account_refused", "status": 403}, Misconfigured, 0),
        ({"status": 302, "headers": {"Location": "http://169.254.169.254/"}}, Unclear, 0),
        ({"closes": "halfway"}, Unclear, 1),
        ({"body": "html"}, Unclear, 1),
        ({"body": "gzip_bomb"}, Unclear, 1),
        ({"id": 7}, Unclear, 1),
        ({"id": None}, Unclear, 1),
        ({"status": 400, "code": "1050"}, Refused, 0),
        ({"status": 400, "code": "4711"}, Unclear, 0),
        ({"delay": 0.05}, Accepted, 1),
    ],
)
def test_a_message_is_treated_as_the_rule_says(
    carrier: Carrier, rule: dict[str, object], kind: type, taken: int
) -> None:
    carrier.misbehave(rule)

    _, result = send(carrier)

    assert isinstance(result, kind)
    assert (carrier.stats()["accepted"], carrier.stats()["refused"]) == (taken, 1 - taken)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"reports": ["queued", "sent"]}, [("SENT", ""), ("SENT", "")]),
        ({"preset": "undelivered"}, [("UNDELIVERED", "1180")]),
        ({"preset": "failed"}, [("UNDELIVERED", "1330")]),
        ({"reports": ["undelivered"]}, [("UNDELIVERED", "1330")]),
        ({"reports": ["failed"]}, [("UNDELIVERED", "1331")]),
        ({"reports": ["rejected:1050"]}, [("FAILED", "1050")]),
        ({"reports": ["teleported"]}, [("", "")]),
    ],
)
def test_reports_come_as_the_rule_says(
    carrier: Carrier, rule: dict[str, object], expected: list[tuple[str, str]]
) -> None:
    carrier.misbehave(rule)

    with StandIn(says(204)) as web:
        message_id, _ = send(carrier, web=web.address)
        until(lambda: carrier.stats()["reports"]["sent"] == len(expected))
        reports = [vonage(carrier).read_reports(call)[0] for call in callbacks(web)]

    assert [(report.status, report.code) for report in reports] == expected
    assert {report.message_id for report in reports} == {message_id}


def test_a_forged_report_is_told_apart_and_a_stray_one_names_nobody(carrier: Carrier) -> None:
    carrier.misbehave({"preset": "forged_report", "times": 1}, {"preset": "stray_report"})

    with StandIn(says(204)) as web:
        send(carrier, web=web.address)
        until(lambda: carrier.stats()["reports"]["sent"] == 1)
        _, result = send(carrier, web=web.address)
        until(lambda: carrier.stats()["reports"]["sent"] == 2)
        forged, stray = callbacks(web)

    assert not vonage(carrier).verify(forged)
    assert vonage(carrier).verify(stray)
    (report,) = vonage(carrier).read_reports(stray)
    assert report.message_id is None
    assert isinstance(result, Accepted)
    assert report.provider_message_id != result.provider_message_id


# --- what people write ----------------------------------------------------------------------------


def test_somebody_s_sms_is_handed_over_signed(carrier: Carrier) -> None:
    with StandIn(says(204)) as web:
        send(carrier, web=web.address)
        until(lambda: carrier.stats()["reports"]["sent"] == 1)

        status, answer = carrier.write(**{"from": "+573001112233", "text": "STOP ☕"})
        forged = carrier.write(**{"from": "+57300111", "text": "", "bad_signature": True})
        good, bad = callbacks(web)[1:]

    assert (status, answer["answers"], forged[1]["answers"]) == (200, [204], [204])
    assert good.url == f"{web.address}/api/providers/vonage/inbound"
    assert vonage(carrier).verify(good)
    assert not vonage(carrier).verify(bad)
    (inbound,) = vonage(carrier).read_inbound(good)
    assert (inbound.sender, inbound.recipient, inbound.text) == ("+573001112233", "Acme", "STOP ☕")


def test_an_account_that_sent_nothing_yet_can_be_written_to(carrier: Carrier) -> None:
    with StandIn(says(204)) as web:
        url = f"{web.address}/api/providers/vonage/inbound"
        account = {"dialect": "vonage", "account": KEY, "token": SECRET, "url": url, "to": "85432"}
        carrier.write(**{"from": "+573001112233", "text": "BAJA", "id": "mine"}, **account)
        (call,) = callbacks(web)

    assert vonage(carrier).verify(call)
    (inbound,) = vonage(carrier).read_inbound(call)
    assert (inbound.provider_message_id, inbound.text) == ("mine", "BAJA")

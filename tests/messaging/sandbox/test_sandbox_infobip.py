"""The sandbox carrier speaks Infobip's HTTP: many recipients a request, reports by the hundred."""

import json
import time
from collections.abc import Mapping
from typing import Any
from uuid import UUID, uuid4

import pytest
from pytest_django import Settings
from yarl import URL

from messaging.providers.base import (
    Accepted,
    Batch,
    Callback,
    Credential,
    Misconfigured,
    Outgoing,
    Refused,
    Result,
    Unavailable,
    Unclear,
)
from messaging.providers.infobip import Infobip
from tests.messaging.providers.batches import sent
from tests.messaging.providers.stand_in import StandIn, says
from tests.messaging.sandbox.carrier import Carrier, until

KEY = "any-key"
RECIPIENTS = [f"+57300111220{number}" for number in range(5)]


def infobip(carrier: Carrier) -> Infobip:
    return Infobip(Credential("acme", KEY), sender="Acme", base_url=URL(carrier.address))


def send(
    carrier: Carrier, recipients: list[str] = RECIPIENTS
) -> tuple[list[UUID], Mapping[UUID, Result]]:
    """Hand one batch over with the real provider; return the ids in their order, and the results."""
    messages = [Outgoing(uuid4(), recipient, "") for recipient in recipients]
    return (
        [message.id for message in messages],
        sent(infobip(carrier), Batch(messages, "Hola ☕", "SMS")),
    )


def post(carrier: Carrier, said: object) -> tuple[int, Any]:
    body = said if isinstance(said, str) else json.dumps(said)
    status, answer, _ = carrier.ask("POST", "/sms/3/messages", body, Authorization=f"App {KEY}")
    return status, answer


def told(web: StandIn) -> list[list[tuple[str, str, str]]]:
    """Return message, status and error of each report of each call."""
    return [
        [
            (one["messageId"], one["status"]["name"], one["error"]["name"])
            for one in json.loads(request.body)["results"]
        ]
        for request in web.requests
    ]


# --- taking ---------------------------------------------------------------------------------------


def test_a_batch_is_taken_and_reported_in_one_call(carrier: Carrier, settings: Settings) -> None:
    with StandIn(says(204)) as web:
        settings.PUBLIC_URL = web.address
        ids, results = send(carrier)
        until(lambda: carrier.stats()["reports"]["sent"] == 5)
        calls = [
            Callback(web.address + r.path, r.headers, r.body, r.headers["content-type"])
            for r in web.requests
        ]

        provider = infobip(carrier)
        assert all(provider.verify(call) for call in calls)
        reports = [report for call in calls for report in provider.read_reports(call)]

    assert all(isinstance(result, Accepted) for result in results.values())
    assert [row["message"] for row in carrier.accepted()] == [one.hex for one in ids]
    assert [row["id"] for row in carrier.accepted()] == [str(one) for one in ids]
    assert [row["to"] for row in carrier.accepted()] == RECIPIENTS
    assert {row["account"] for row in carrier.accepted()} == {KEY}
    assert {(report.message_id, report.status) for report in reports} == {
        (one, "DELIVERED") for one in ids
    }
    assert len(calls) < 5


def test_the_answer_looks_like_infobip_s(carrier: Carrier) -> None:
    message = {
        "sender": "Acme",
        "destinations": [{"to": "573001112233", "messageId": "mine"}, {"to": "+573001112234"}],
        "content": {"text": "ñ" * 200},
    }

    status, answer = post(
        carrier, {"messages": [message], "options": {"includeSmsCountInResponse": True}}
    )

    assert status == 200
    assert answer["bulkId"]
    first, second = answer["messages"]
    assert first == {
        "messageId": "mine",
        "status": {
            "groupId": 1,
            "groupName": "PENDING",
            "id": 26,
            "name": "PENDING_ACCEPTED",
            "description": "Pending accepted",
        },
        "destination": "573001112233",
        "details": {"messageCount": 2},
    }
    assert second["messageId"]
    assert [row["id"] for row in carrier.accepted()] == ["mine", second["messageId"]]


@pytest.mark.parametrize(
    "said",
    [
        "",
        "{",
        "[]",
        "null",
        "[" * 100_000,
        {},
        {"messages": []},
        {"messages": [1]},
        {"messages": [{"destinations": [{"to": "573001112233"}]}]},
        {"messages": [{"destinations": [{"to": "573001112233"}], "content": {"text": ""}}]},
        {"messages": [{"destinations": [], "content": {"text": "Hola"}}]},
        {"messages": [{"destinations": [{"to": 57}], "content": {"text": "Hola"}}]},
        {"messages": [{"destinations": [{}], "content": {"text": "Hola"}}]},
    ],
)
def test_what_is_no_request_is_refused(carrier: Carrier, said: object) -> None:
    status, answer = post(carrier, said)

    assert (status, answer["errorCode"]) == (400, "E400")
    assert carrier.stats()["accepted"] == 0


@pytest.mark.parametrize("authorization", ["", "App", "App ", "Basic YTpi"])
def test_a_stranger_is_not_served(carrier: Carrier, authorization: str) -> None:
    for method, path in (("POST", "/sms/3/messages"), ("GET", "/sms/3/logs")):
        status, answer, _ = carrier.ask(method, path, Authorization=authorization)
        assert (status, answer["errorCode"]) == (401, "E401")


def test_other_addresses_are_not_found(carrier: Carrier) -> None:
    assert carrier.ask("GET", "/sms/9/nothing")[0] == 404


def test_a_message_handed_over_twice_is_counted_as_doubled(carrier: Carrier) -> None:
    mine = str(uuid4())
    message = {
        "destinations": [{"to": "573001112233", "messageId": mine}],
        "content": {"text": "Hola"},
    }
    for _ in range(2):
        post(carrier, {"messages": [message]})

    assert carrier.stats()["doubled"] == 1
    assert [row["id"] for row in carrier.accepted()] == [mine, mine]


# --- misbehaving ----------------------------------------------------------------------------------


def test_magic_numbers_are_told_apart_within_a_batch(carrier: Carrier) -> None:
    ids, results = send(
        carrier, ["+573001112233", "+19075550100", "+18085550100", "+14065550100", "+12025550123"]
    )

    assert [type(results[one]) for one in ids] == [Accepted, Refused, Refused, Refused, Accepted]
    assert [getattr(results[one], "code", "") for one in ids[1:4]] == [
        "REJECTED_DESTINATION",
        "REJECTED_NETWORK",
        "REJECTED_DESTINATION_BLOCKLISTED",
    ]
    assert (carrier.stats()["accepted"], carrier.stats()["refused"]) == (2, 3)


def test_a_number_that_is_none_is_refused_in_its_line(carrier: Carrier) -> None:
    ids, results = send(carrier, ["+573001112233", "+57", "+573001112234"])

    assert [type(results[one]) for one in ids] == [Accepted, Refused, Accepted]


def test_a_share_of_a_batch_is_refused(carrier: Carrier) -> None:
    carrier.misbehave({"preset": "invalid", "share": 0.5, "seed": 1})

    ids, results = send(carrier, [f"+5730011122{number:02}" for number in range(40)])

    kinds = [type(results[one]) for one in ids]
    assert 5 < kinds.count(Refused) < 35
    assert kinds.count(Refused) + kinds.count(Accepted) == 40
    assert carrier.stats()["accepted"] == kinds.count(Accepted)


@pytest.mark.parametrize(
    ("line", "third"),
    [
        ("missing", Unclear),
        ("foreign", Unclear),
        ("doubled", Accepted),
        ("contradicted", Unclear),
        ("extra", Accepted),
        ("reordered", Accepted),
    ],
)
def test_a_line_of_the_answer_is_what_the_rule_says(
    carrier: Carrier, line: str, third: type
) -> None:
    carrier.misbehave({"line": line, "to": RECIPIENTS[2]})

    ids, results = send(carrier)

    others = [*ids[:2], *ids[3:]]
    assert isinstance(results[ids[2]], third)
    assert all(isinstance(results[one], Accepted) for one in others)
    assert carrier.stats()["accepted"] == 5


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ("missing", "ab"),
        ("foreign", "ab?"),
        ("doubled", "abcc"),
        ("contradicted", "abcc"),
        ("extra", "abc?"),
        ("reordered", "cba"),
    ],
)
def test_the_lines_stand_as_the_rule_says(carrier: Carrier, line: str, order: str) -> None:
    carrier.misbehave({"line": line, "to": RECIPIENTS[2]})
    destinations = [
        {"to": to[1:], "messageId": name} for to, name in zip(RECIPIENTS, "abc", strict=False)
    ]

    _, answer = post(
        carrier, {"messages": [{"destinations": destinations, "content": {"text": "Hola"}}]}
    )

    ids = [one["messageId"] for one in answer["messages"]]
    assert "".join(one if one in {"a", "b", "c"} else "?" for one in ids) == order


@pytest.mark.parametrize(
    ("rule", "kind", "taken"),
    [
        ({"preset": "busy"}, Unavailable, 0),
        ({"preset": "broken"}, Unclear, 0),
        ({"preset": "broken_taken"}, Unclear, 5),
        ({"preset": "reply_lost"}, Unclear, 5),
        ({"preset": "down"}, Unclear, 0),
        ({"preset": "account_refused"}, Misconfigured, 0),
        ({"preset": "account_refused", "status": 402}, Misconfigured, 0),
        ({"status": 302, "headers": {"Location": "http://169.254.169.254/"}}, Unclear, 0),
        ({"preset": "broken", "to": RECIPIENTS[3]}, Unclear, 0),
        ({"closes": "halfway"}, Unclear, 5),
        ({"body": "html"}, Unclear, 5),
        ({"body": "gzip_bomb"}, Unclear, 5),
        ({"id": 7}, Unclear, 5),
        ({"status": 400, "code": "REJECTED_FOR_A_NEW_REASON"}, Unclear, 0),
        ({"preset": "opted_out"}, Refused, 0),
        ({"delay": 0.05}, Accepted, 5),
    ],
)
def test_a_whole_batch_is_treated_as_the_rule_says(
    carrier: Carrier, rule: dict[str, object], kind: type, taken: int
) -> None:
    carrier.misbehave(rule)

    _, results = send(carrier)

    assert {type(result) for result in results.values()} == {kind}
    assert (carrier.stats()["accepted"], carrier.stats()["refused"]) == (taken, 5 - taken)


def test_a_rule_about_whole_requests_counts_and_draws_once_a_request(carrier: Carrier) -> None:
    carrier.misbehave({"preset": "broken", "times": 1})
    kinds = [{type(result) for result in send(carrier)[1].values()} for _ in range(2)]
    assert kinds == [{Unclear}, {Accepted}]

    carrier.misbehave({"preset": "broken", "share": 0.5, "seed": 1})
    for _ in range(20):
        assert len({type(result) for result in send(carrier)[1].values()}) == 1
    assert 2 < carrier.rules()[0]["matched"] < 18


def test_a_rate_counts_messages_not_requests(carrier: Carrier) -> None:
    carrier.misbehave({"preset": "busy", "beyond": 2})

    kinds = [{type(result) for result in send(carrier)[1].values()} for _ in range(2)]

    assert kinds == [{Accepted}, {Unavailable}]


def test_reports_come_as_the_rule_says(carrier: Carrier, settings: Settings) -> None:
    carrier.misbehave(
        {"reports": ["sent", "undelivered:30003"], "to": RECIPIENTS[0]},
        {"reports": ["exploded:EC_WHAT"], "to": RECIPIENTS[1]},
        {"preset": "stray_report", "to": RECIPIENTS[2]},
        {"preset": "forged_report", "to": RECIPIENTS[3]},
        {"preset": "no_reports"},
    )

    with StandIn(says(204)) as web:
        settings.PUBLIC_URL = web.address
        ids, _ = send(carrier)
        until(lambda: carrier.stats()["reports"]["sent"] == 5)
        genuine = {
            one: infobip(carrier).verify(
                Callback(web.address + r.path, r.headers, r.body, "application/json")
            )
            for r in web.requests
            for one in (each["messageId"] for each in json.loads(r.body)["results"])
        }

    said = [one for call in told(web) for one in call]
    mine = {str(one) for one in ids}
    assert [one[1:] for one in said if one[0] == str(ids[0])] == [
        ("PENDING_ENROUTE", "NO_ERROR"),
        ("UNDELIVERABLE_NOT_DELIVERED", "EC_ABSENT_SUBSCRIBER"),
    ]
    assert [one[1:] for one in said if one[0] == str(ids[1])] == [("exploded", "EC_WHAT")]
    assert len([one for one in said if one[0] not in mine]) == 1
    assert genuine.pop(str(ids[3])) is False
    assert all(genuine.values())
    assert str(ids[4]) not in genuine


def test_reports_of_one_call_go_to_one_address(carrier: Carrier) -> None:
    carrier.misbehave({"lag": 0.3})
    with StandIn(says(204)) as web:
        messages = [
            {
                "destinations": [{"to": RECIPIENTS[0][1:], "messageId": f"{path}{number}"}],
                "content": {"text": "Hola"},
                "webhooks": {"delivery": {"url": f"{web.address}/{path}"}},
            }
            for number in range(5)
            for path in ("a", "b")
        ]
        assert post(carrier, {"messages": messages})[0] == 200
        until(lambda: carrier.stats()["reports"]["sent"] == 10)

    for request, call in zip(web.requests, told(web), strict=True):
        assert {one[0][0] for one in call} == {request.path[1]}


def test_a_slow_carrier_does_not_slow_down_its_doors(carrier: Carrier) -> None:
    carrier.misbehave({"preset": "hanging", "dialect": "infobip"})
    began = time.monotonic()

    _, result = carrier.send("+573001112233")

    assert isinstance(result, Accepted)
    assert time.monotonic() - began < 30

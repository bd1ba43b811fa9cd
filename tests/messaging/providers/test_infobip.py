"""Infobip: the contract of every provider, and what is Infobip's own in sending and looking up."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import UUID

import pytest
from yarl import URL

from messaging.providers import signing
from messaging.providers.base import (
    Accepted,
    Batch,
    Callback,
    Credential,
    Found,
    Handed,
    Kind,
    Misconfigured,
    Outgoing,
    Refused,
    Reply,
    Result,
    Unavailable,
    Unclear,
)
from messaging.providers.infobip import Infobip
from messaging.providers.infobip.words import ANSWERS, GROUP_IDS, GROUPS, REASONS, STATUSES
from tests.messaging.providers.batch_contract import BatchContract
from tests.messaging.providers.batches import TEXT, a_batch, sent
from tests.messaging.providers.contract import HTTPProviderContract
from tests.messaging.providers.look_up_contract import LookUpContract, asked, handed_over
from tests.messaging.providers.stand_in import StandIn, says

ACCOUNT = "acme"
KEY = "0a1b2c3d-s3cret-of-acme"
SENDER = "573001110000"


def infobip(address: str = "http://127.0.0.1:1") -> Infobip:
    return Infobip(Credential(ACCOUNT, KEY), sender=f"+{SENDER}", base_url=URL(address))


def status(group: str, name: str) -> dict[str, object]:
    return {
        "groupId": GROUP_IDS.get(group, 9),
        "groupName": group,
        "id": 1,
        "name": name,
        "description": f"What {name} means",
    }


def of(message_id: UUID, group: str, name: str, **more: object) -> dict[str, object]:
    """Return what an answer says of a message."""
    return {
        "messageId": str(message_id),
        "status": status(group, name),
        "destination": "573001200000",
        "details": {"messageCount": 2},
    } | more


def reported(
    message_id: UUID, group: str, name: str = "", *, error: str = "NO_ERROR", **more: object
) -> dict[str, object]:
    """Return what a report or a log says of a message."""
    return {
        "bulkId": "2034072219640523072",
        "price": {"pricePerMessage": 0.01, "currency": "EUR"},
        "status": status(group, name or f"{group}_TO_HANDSET"),
        "error": {
            "groupId": 0,
            "groupName": "OK",
            "id": 0,
            "name": error,
            "description": f"What {error} means",
            "permanent": False,
        },
        "messageId": str(message_id),
        "to": "573001200007",
        "sender": SENDER,
        "sentAt": "2026-11-23T12:00:01.000+0000",
        "doneAt": "2026-11-23T12:00:03.000+0000",
        "messageCount": 2,
    } | more


def called(url: str, *results: object) -> Callback:
    body = json.dumps({"results": results}).encode()
    return Callback(
        url, {"content-type": "application/json"}, body, "application/json;charset=UTF-8"
    )


def reports_of(*results: object) -> Callback:
    return called(signing.door_with_token("infobip", "reports", f"infobip:{ACCOUNT}"), *results)


def inbound_of(*results: object) -> Callback:
    return called(infobip().inbound_url, *results)


class TestInfobip(HTTPProviderContract, BatchContract, LookUpContract):
    secret = KEY
    is_certain = True

    def provider(self, address: str) -> Infobip:
        return infobip(address)

    def takes(self, batch: Batch, /) -> tuple[int, object]:
        return self.answer([self.taken(message) for message in batch.messages])

    def busy(self) -> object:
        return {"errorCode": "E429", "description": "Too many requests sent."}

    def strange(self, batch: Batch, number: int, /) -> tuple[int, object]:
        return self.answer([of(m.id, "REJECTED", f"REJECTED_{number}") for m in batch.messages])

    def answer(self, entries: Sequence[object], /) -> tuple[int, object]:
        return 200, {"bulkId": "2034072219640523072", "messages": entries}

    def taken(self, message: Outgoing, /) -> object:
        return of(message.id, "PENDING", "PENDING_ACCEPTED")

    def refused(self, message: Outgoing, /) -> object:
        return of(message.id, "REJECTED", "REJECTED_DESTINATION")

    def found(self, *messages: Handed) -> object:
        return {"results": [reported(message.id, "DELIVERED") for message in messages]}

    def report(self, message_id: UUID, word: str = "", /) -> Callback:
        return reports_of(reported(message_id, word or "DELIVERED", "SOMETHING"))

    def inbound(self, sender: str, text: str, /) -> Callback:
        return inbound_of(
            {
                "messageId": "817790313235066447",
                "from": sender.removeprefix("+"),
                "to": "573005550000",
                "text": text,
                "cleanText": text,
                "keyword": "",
                "receivedAt": "2026-11-23T12:00:00.000+0000",
                "smsCount": 1,
            }
        )


# --- the request ----------------------------------------------------------------------------------


def asked_with(*, kind: Kind = "SMS", size: int = 2) -> tuple[Any, Any, Any]:
    """Send a batch; return the batch, the one request, and its JSON."""
    batch = a_batch(size, kind=kind)
    entries = [of(message.id, "PENDING", "PENDING_ACCEPTED") for message in batch.messages]
    with StandIn(says(200, {"messages": entries})) as carrier:
        sent(infobip(carrier.address), batch)
    (request,) = carrier.requests
    return batch, request, json.loads(request.body)


def test_it_asks_as_infobip_wants_to_be_asked() -> None:
    batch, request, body = asked_with()

    assert (request.method, request.path) == ("POST", "/sms/3/messages")
    assert request.headers["content-type"] == "application/json"
    assert request.headers["authorization"] == f"App {KEY}"
    assert body["options"] == {"includeSmsCountInResponse": True}
    (message,) = body["messages"]
    assert message.pop("webhooks") == {
        "delivery": {"url": signing.door_with_token("infobip", "reports", "infobip:acme")},
        "contentType": "application/json",
    }
    assert message == {
        "sender": SENDER,
        "destinations": [
            {"to": "573001200000", "messageId": str(batch.messages[0].id)},
            {"to": "573001200001", "messageId": str(batch.messages[1].id)},
        ],
        "content": {"text": TEXT},
    }


def test_a_hundred_messages_are_one_request() -> None:
    batch, _, body = asked_with(size=100)

    assert len(body["messages"][0]["destinations"]) == len(batch.messages) == 100


def test_a_flash_message_is_asked_for() -> None:
    _, _, body = asked_with(kind="FLASH")

    assert body["messages"][0]["options"] == {"flash": True}


# --- the answer -----------------------------------------------------------------------------------


def judged(group: str, name: str, **more: object) -> Result:
    batch = a_batch()
    answer = {"messages": [of(batch.messages[0].id, group, name, **more)]}
    reply = Reply(200, {}, json.dumps(answer).encode())
    return infobip().judge(reply, batch)[batch.messages[0].id]


@pytest.mark.parametrize("group", ["PENDING", "ACCEPTED", "DELIVERED"])
def test_what_infobip_took_is_taken_under_our_own_id(group: str) -> None:
    batch = a_batch()
    message = batch.messages[0]
    answer = {"messages": [of(message.id, group, f"{group}_SOMEHOW")]}

    results = infobip().judge(Reply(200, {}, json.dumps(answer).encode()), batch)

    metadata = {"status": f"{group}_SOMEHOW", "segments": 2}
    assert results == {message.id: Accepted(str(message.id), metadata)}


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("REJECTED_DESTINATION", Refused),
        ("REJECTED_PREFIX_MISSING", Refused),
        ("REJECTED_NETWORK", Refused),
        ("REJECTED_DND", Refused),
        ("REJECTED_DESTINATION_BLOCKLISTED", Refused),
        ("REJECTED_MESSAGE_TOO_LONG", Refused),
        ("REJECTED_FLOODING_FILTER", Refused),
        ("REJECTED_NOT_ENOUGH_CREDITS", Misconfigured),
        ("REJECTED_SOURCE", Misconfigured),
        ("REJECTED_ROUTE_NOT_AVAILABLE", Misconfigured),
        ("REJECTED_SYSTEM_ERROR", Unavailable),
    ],
)
def test_what_infobip_rejects_is_told_apart(name: str, kind: type[Result]) -> None:
    result = judged("REJECTED", name)

    assert isinstance(result, kind)
    assert result == ANSWERS[name]


def test_an_id_that_infobip_knows_already_leaves_the_outcome_open() -> None:
    result = judged("REJECTED", "REJECTED_DUPLICATE_MESSAGE_ID")

    assert isinstance(result, Unclear)
    assert result.code == "REJECTED_DUPLICATE_MESSAGE_ID"


@pytest.mark.parametrize(
    ("group", "name"),
    [
        ("REJECTED", "REJECTED_BY_THE_MOON"),
        ("UNDELIVERABLE", "UNDELIVERABLE_NOT_DELIVERED"),
        ("EXPIRED", "EXPIRED_EXPIRED"),
        ("ASCENDED", "REJECTED_DESTINATION"),
    ],
)
def test_B60_a_status_nobody_knows_leaves_the_outcome_open_with_an_alert(
    group: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    result = judged(group, name)

    assert result == Unclear(f"answered 200 with the status {name}", name)
    (record,) = caplog.records
    assert (record.message, vars(record)["code"]) == ("provider_code_unknown", name)


def test_a_group_whose_name_and_number_disagree_is_not_believed() -> None:
    lie = {"groupId": 5, "groupName": "PENDING", "id": 26, "name": "PENDING_ACCEPTED"}

    assert isinstance(judged("PENDING", "PENDING_ACCEPTED", status=lie), Unclear)


def failed(status: int, payload: Mapping[str, object], *, size: int = 2) -> Result:
    """Return the one result that all messages of a batch have."""
    batch = a_batch(size)
    results = infobip().judge(Reply(status, {}, json.dumps(payload).encode()), batch)
    (result,) = set(results.values())
    return result


def test_a_request_infobip_cannot_read_is_our_defect() -> None:
    result = failed(400, {"errorCode": "E400", "description": "Request cannot be processed."})

    assert isinstance(result, Unavailable)
    assert result.internal
    assert result.code == "E400"


@pytest.mark.parametrize(
    "payload",
    [
        {"errorCode": "E401", "description": "no"},
        {"requestError": {"serviceException": {"messageId": "UNAUTHORIZED", "text": "no"}}},
    ],
)
def test_a_wrong_key_burns_no_message(payload: Mapping[str, object]) -> None:
    result = failed(401, payload)

    assert isinstance(result, Misconfigured)
    assert result.code in {"E401", "UNAUTHORIZED"}


def test_B57_no_code_makes_a_server_error_certain() -> None:
    assert isinstance(failed(500, {"errorCode": "E500", "description": "wrong"}), Unclear)
    assert isinstance(failed(503, {"errorCode": "E400", "description": "wrong"}), Unclear)


def test_an_unknown_error_alerts_once_a_request(caplog: pytest.LogCaptureFixture) -> None:
    result = failed(400, {"errorCode": "E477", "description": "call +573001234567"}, size=100)

    assert result == Unclear("answered 400: call +•••••••••567", "E477", is_an_answer=True)
    (record,) = caplog.records
    assert record.message == "provider_code_unknown"


def test_every_word_stands_in_its_table_under_its_own_name() -> None:
    assert all(ANSWERS[name].code == name for name in ANSWERS)
    assert GROUP_IDS.keys() == GROUPS.keys()
    assert sorted(GROUP_IDS.values()) == [0, 1, 2, 3, 4, 5]
    assert all(name == name.upper() and reason for name, reason in REASONS.items())
    assert all(len(name) <= 64 for name in [*REASONS, *STATUSES])


# --- look-up --------------------------------------------------------------------------------------


def found_in(handed: Handed, *logs: object) -> list[Found]:
    with StandIn(says(200, {"results": logs})) as carrier:
        return asked(infobip(carrier.address), handed)


def test_it_asks_for_the_log_of_our_own_id() -> None:
    handed = handed_over()

    with StandIn(says(200, {"results": []})) as carrier:
        asked(infobip(carrier.address), handed)

    (request,) = carrier.requests
    parts = urlsplit(request.path)
    assert parts.path == "/sms/3/logs"
    assert parse_qsl(parts.query, strict_parsing=True) == [("messageId", str(handed.id))]
    assert request.headers["authorization"] == f"App {KEY}"


@pytest.mark.parametrize(
    ("group", "name", "expected"),
    [
        ("PENDING", "PENDING_ENROUTE", "SENT"),
        ("DELIVERED", "DELIVERED_TO_HANDSET", "DELIVERED"),
        ("DELIVERED", "DELIVERED_TO_OPERATOR", "SENT"),
        ("UNDELIVERABLE", "UNDELIVERABLE_NOT_DELIVERED", "UNDELIVERED"),
        ("UNDELIVERABLE", "UNDELIVERABLE_NOT_SENT", "FAILED"),
        ("EXPIRED", "EXPIRED_EXPIRED", "UNDELIVERED"),
        ("EXPIRED", "EXPIRED_DLR_UNKNOWN", "SENT"),
        ("REJECTED", "REJECTED_NOT_ENOUGH_CREDITS", "FAILED"),
        ("SOMETHING_NEW", "SOMETHING_NEW", "SENT"),
    ],
)
def test_a_log_tells_for_certain_what_became_of_it(group: str, name: str, expected: str) -> None:
    handed = handed_over()

    (found,) = found_in(handed, reported(handed.id, group, name))

    assert (found.status, found.is_certain) == (expected, True)
    assert found.provider_message_id == str(handed.id)


def test_of_several_logs_the_one_that_says_most_counts() -> None:
    handed = handed_over()
    sending = reported(handed.id, "PENDING", "PENDING_ENROUTE")
    arrived = reported(handed.id, "DELIVERED", "DELIVERED_TO_HANDSET")
    twice = reported(handed.id, "REJECTED", "REJECTED_DUPLICATE_MESSAGE_ID")

    (found,) = found_in(handed, twice, arrived, sending, twice)

    assert found.status == "DELIVERED"


def test_a_refused_second_request_says_nothing_of_the_first() -> None:
    handed = handed_over()
    twice = reported(handed.id, "REJECTED", "REJECTED_DUPLICATE_MESSAGE_ID")

    assert found_in(handed, twice) == []


def test_a_log_says_why() -> None:
    handed = handed_over()
    log = reported(
        handed.id, "UNDELIVERABLE", "UNDELIVERABLE_NOT_DELIVERED", error="EC_CONTENT_BLOCKED"
    )

    (found,) = found_in(handed, log)

    assert (found.code, found.reason) == (
        "EC_CONTENT_BLOCKED",
        "the recipient opted out at the carrier",
    )
    assert found.opts_out

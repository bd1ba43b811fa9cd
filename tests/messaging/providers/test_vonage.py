"""Vonage: the contract of every provider, and what is Vonage's own in sending."""

import base64
import json
from uuid import UUID

import pytest
from yarl import URL

from messaging.providers.base import (
    Accepted,
    Callback,
    Credential,
    Misconfigured,
    Refused,
    Reply,
    Result,
    Unavailable,
    Unclear,
)
from messaging.providers.vonage import Vonage
from messaging.providers.vonage.words import CODES, NOT_REJECTED, PARAMETERS, REASONS
from tests.messaging.providers import vonage_callbacks as calls
from tests.messaging.providers.batches import TEXT, a_batch, sent
from tests.messaging.providers.contract import HTTPProviderContract
from tests.messaging.providers.stand_in import StandIn, says

KEY = calls.KEY
SECRET = "s3cret-of-acme"
UUID_OF_THEIRS = "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab"  # as its reference has it
ERRORS = "https://developer.vonage.com/api-errors"


def vonage(address: str = "http://127.0.0.1:1") -> Vonage:
    return Vonage(
        Credential(KEY, SECRET),
        sender="+573001110000",
        signature_secrets=(calls.SIGNATURE_SECRET, "the-old-one"),
        base_url=URL(address),
    )


class TestVonage(HTTPProviderContract):
    secret = SECRET

    def provider(self, address: str) -> Vonage:
        return vonage(address)

    def takes(self, _batch: object, /) -> tuple[int, object]:
        return 202, {"message_uuid": UUID_OF_THEIRS}

    def busy(self) -> object:
        return an_error("1000", detail="Throttled - You have exceeded the submission capacity")

    def strange(self, _batch: object, number: int, /) -> tuple[int, object]:
        return 422, an_error(str(number))

    def report(self, message_id: UUID, word: str = "", /) -> Callback:
        return calls.report(message_id, word or "delivered")

    def inbound(self, sender: str, text: str, /) -> Callback:
        return calls.inbound(sender, text)


def an_error(code: str, *, detail: str = "words", **more: object) -> dict[str, object]:
    """Return an error in the form of RFC 7807, as the reference has it."""
    return {
        "type": f"{ERRORS}/messages#{code}",
        "title": "Generic error message",
        "detail": detail,
        "instance": "bf0ca0bf927b3b52e3cb03217e1a1ddf",
        **more,
    }


def judged(status: int, payload: object) -> Result:
    batch = a_batch()
    reply = Reply(status, {}, json.dumps(payload).encode())
    return vonage().judge(reply, batch)[batch.messages[0].id]


# --- the request ----------------------------------------------------------------------------------


def test_it_asks_as_vonage_wants_to_be_asked() -> None:
    batch = a_batch()
    message = batch.messages[0]

    with StandIn(says(202, {"message_uuid": UUID_OF_THEIRS})) as carrier:
        results = sent(vonage(carrier.address), batch)

    (request,) = carrier.requests
    assert (request.method, request.path) == ("POST", "/v1/messages")
    assert request.headers["content-type"] == "application/json"
    login = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
    assert request.headers["authorization"] == f"Basic {login}"
    assert json.loads(request.body) == {
        "channel": "sms",
        "message_type": "text",
        "to": "573001200000",
        "from": "573001110000",
        "text": TEXT,
        "client_ref": str(message.id),
        "webhook_url": message.callback_url,
        "webhook_version": "v1",
    }
    assert results == {message.id: Accepted(UUID_OF_THEIRS)}


def test_it_carries_no_flash_messages() -> None:
    assert vonage().kinds == {"SMS", "OTP"}


# --- the answer -----------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["110", "1040", "1050", "1090", "1160", "1170", "1430", "1474"])
def test_B58_a_number_or_text_vonage_will_not_take_is_refused_for_ever(code: str) -> None:
    result = judged(422, an_error(code))

    assert isinstance(result, Refused)
    assert result.code == code
    assert not result.opts_out


def test_S32_an_opt_out_at_the_carrier_is_told_apart() -> None:
    result = judged(422, an_error("1240"))

    assert result == Refused("1240", "the recipient opted out at the carrier", opts_out=True)


@pytest.mark.parametrize(
    ("status", "payload", "code"),
    [
        (401, {"type": f"{ERRORS}/#unathorized", "title": "You did not …"}, "unathorized"),
        (401, {"type": f"{ERRORS}/#unprovisioned", "title": "The credentials …"}, "unprovisioned"),
        (402, {"type": f"{ERRORS}/#low-balance", "title": "Low balance"}, "low-balance"),
        (403, {"type": f"{ERRORS}#forbidden", "title": "Forbidden"}, "forbidden"),
        (402, an_error("1070"), "1070"),
        (422, an_error("1060"), "1060"),
        (422, an_error("1420"), "1420"),
    ],
)
def test_B59_a_broken_account_or_sender_burns_no_message(
    status: int, payload: object, code: str
) -> None:
    result = judged(status, payload)

    assert isinstance(result, Misconfigured)
    assert result.code == code


@pytest.mark.parametrize("status", [429, 422])
def test_B56_a_throttled_message_was_not_taken_and_gets_its_attempt_back(status: int) -> None:
    assert judged(status, an_error("1000")) == Unavailable(
        "Vonage is busy", gives_attempt_back=True, code="1000"
    )


def test_a_communication_that_failed_may_have_reached_the_phone() -> None:
    assert isinstance(judged(422, an_error("1100")), Unclear)


def test_what_this_sender_may_not_send_there_may_go_another_way() -> None:
    result = judged(422, an_error("1120"))

    assert isinstance(result, Unavailable)
    assert not result.internal
    assert not result.gives_attempt_back


@pytest.mark.parametrize(
    ("blamed", "kind"),
    [
        (["to"], Refused),
        (["text"], Refused),
        (["from"], Misconfigured),
        (["webhook_url"], Unavailable),
        (["to", "from"], Unavailable),
        ([], Unavailable),
        (None, Unavailable),
        (["to", 7], Refused),
    ],
)
def test_a_request_vonage_cannot_read_is_our_defect_but_for_what_it_blames(
    blamed: list[object] | None, kind: type[Result]
) -> None:
    entries = blamed and [
        {"name": one, "reason": "invalid"} if isinstance(one, str) else one for one in blamed
    ]

    result = judged(422, an_error("1150", invalid_parameters=entries))

    assert isinstance(result, kind)
    assert not isinstance(result, Unavailable) or result.internal


@pytest.mark.parametrize("code", sorted(CODES))
@pytest.mark.parametrize("status", [500, 503])
def test_B57_no_code_makes_a_server_error_certain(code: str, status: int) -> None:
    assert isinstance(judged(status, an_error(code)), Unclear)


@pytest.mark.parametrize("code", ["1030", "1320", "1490", "not-found"])
def test_what_vonage_does_not_say_for_certain_leaves_the_outcome_open(code: str) -> None:
    assert isinstance(judged(422, an_error(code)), Unclear)


def test_B60_an_unknown_code_is_kept_with_its_words_and_without_the_number() -> None:
    result = judged(422, an_error("1999", detail="The number 573001200000 is on the moon"))

    assert result == Unclear(
        "answered 422: The number •••••••••000 is on the moon", "1999", is_an_answer=True
    )


@pytest.mark.parametrize("reference", ["", "SM123", 7, None, UUID_OF_THEIRS[:-1], "z" * 36])
def test_a_success_with_a_strange_id_leaves_the_outcome_open(reference: object) -> None:
    assert isinstance(judged(202, {"message_uuid": reference}), Unclear)


def test_every_code_stands_in_the_table_under_its_own_name() -> None:
    assert all(CODES[code].code == code for code in CODES)
    assert all(REASONS.values())
    assert NOT_REJECTED.keys().isdisjoint(CODES)
    assert all(isinstance(one, Misconfigured | Refused) for one in PARAMETERS.values())

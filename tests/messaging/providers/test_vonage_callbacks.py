"""Vonage's callbacks: whose they are, and what they say."""

import json
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from yarl import URL

from messaging.providers import signing
from messaging.providers.base import Callback, Credential, InvalidReport, Report
from messaging.providers.vonage import Vonage
from messaging.providers.vonage.words import CODES, STATUSES
from tests.messaging.providers import vonage_callbacks as calls
from tests.messaging.providers.test_vonage import vonage

# --- signatures -----------------------------------------------------------------------------------


def signed(
    *,
    secret: str = calls.SIGNATURE_SECRET,
    header: dict[str, str] | None = None,
    scheme: str = "Bearer",
    **claims: object,
) -> Callback:
    """Return a report with another token: of another secret, or that says something else."""
    callback = calls.report(uuid4(), "delivered")
    said = {
        name: value
        for name, value in (calls.claims_for(callback.body) | claims).items()
        if value is not None
    }
    proof = {"Authorization": f"{scheme} {calls.token(said, secret, header)}"}
    return replace(callback, headers=proof)


@pytest.mark.parametrize("secret", [calls.SIGNATURE_SECRET, "the-old-one"])
def test_S60_both_secrets_are_believed_while_one_takes_the_place_of_the_other(secret: str) -> None:
    assert vonage().verify(signed(secret=secret))


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_S60_the_sample_of_the_documentation_is_believed(scheme: str) -> None:
    assert vonage().verify(signed(scheme=scheme))
    assert vonage().verify(signed(application_id=None))  # only where an application was used


@pytest.mark.parametrize(
    "callback",
    [
        pytest.param(signed(secret="of another account"), id="secret"),
        pytest.param(signed(secret=""), id="no secret"),
        pytest.param(signed(header={"alg": "none"}), id="none"),
        pytest.param(signed(header={"alg": "HS512"}), id="algorithm"),
        pytest.param(signed(scheme="Basic"), id="scheme"),
        pytest.param(signed(iss="Carla"), id="issuer"),
        pytest.param(signed(api_key="another1"), id="account"),
        pytest.param(signed(api_key=None), id="no account"),
        pytest.param(signed(payload_hash="0" * 64), id="hash"),
        pytest.param(signed(payload_hash=None), id="no hash"),
        pytest.param(signed(payload_hash=7), id="hash of another kind"),
    ],
)
def test_S60_nobody_else_is_believed(callback: Callback) -> None:
    assert not vonage().verify(callback)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "Bearer",
        "Bearer ",
        "Bearer ..",
        "Bearer a.b.c",
        "Bearer ☕.☕.☕",
        "Bearer " + "." * 9_999,
    ],
)
def test_S60_a_token_that_is_none_is_not_believed(given: str) -> None:
    callback = replace(calls.report(uuid4(), "delivered"), headers={"Authorization": given})

    assert not vonage().verify(callback)


@pytest.mark.parametrize(("index", "instead"), [(0, "e30"), (1, "e30"), (2, ""), (2, "AAAA")])
def test_S60_a_token_that_was_changed_is_not_believed(index: int, instead: str) -> None:
    callback = calls.report(uuid4(), "delivered")
    parts = callback.header("Authorization").removeprefix("Bearer ").split(".")
    parts[index] = instead

    assert not vonage().verify(
        replace(callback, headers={"Authorization": f"Bearer {'.'.join(parts)}"})
    )


def test_S60_a_body_that_was_changed_is_not_believed() -> None:
    callback = calls.report(uuid4(), "rejected")

    changed = replace(callback, body=callback.body.replace(b"rejected", b"delivered"))

    assert vonage().verify(callback)
    assert not vonage().verify(changed)


def test_what_is_signed_and_no_json_is_called_unreadable() -> None:
    callback = calls.report(uuid4(), "delivered")

    with pytest.raises(InvalidReport):
        vonage().verify(replace(callback, content_type="text/plain"))


def test_without_a_secret_nobody_is_believed() -> None:
    provider = Vonage(
        Credential(calls.KEY, "secret"),
        sender="Acme",
        signature_secrets=(),
        base_url=URL("http://x"),
    )

    assert not provider.verify(signed(secret=""))


# --- reports --------------------------------------------------------------------------------------


def read(message_id: UUID, word: str, **more: object) -> Report:
    (report,) = vonage().read_reports(calls.report(message_id, word, **more))
    return report


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("submitted", "SENT"),
        ("delivered", "DELIVERED"),
        ("rejected", "UNDELIVERED"),
        ("undeliverable", "UNDELIVERED"),
        ("teleported", ""),
    ],
)
def test_each_status_of_vonage_is_one_of_ours(word: str, status: str) -> None:
    message_id = uuid4()

    report = read(message_id, word)

    assert (report.status, report.message_id) == (status, message_id)
    assert (report.code, report.reason, report.opts_out) == ("", "", False)
    assert report.provider_message_id == calls.UUID_OF_THEIRS
    assert len(STATUSES) == 4


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("1180", "UNDELIVERED", "the phone is off or out of reach"),
        ("1360", "UNDELIVERED", "the message waited longer than it was valid"),
        ("1000", "FAILED", "Vonage is busy"),
        ("1050", "FAILED", "the number is on a block list at Vonage"),
        ("1070", "FAILED", "the Vonage account's quota or credit is used up"),
        ("1320", "", "What it means"),
        ("1490", "SENT", "not every part of it was reported on in time"),
        ("9999", "UNDELIVERED", "What it means"),
    ],
)
def test_a_rejection_says_why_and_whether_vonage_took_it(
    code: str, status: str, reason: str
) -> None:
    report = read(uuid4(), "rejected", error=calls.error(code))

    assert (report.status, report.code, report.reason) == (status, code, reason)


def test_S32_an_opt_out_at_the_carrier_is_read_from_its_report() -> None:
    report = read(uuid4(), "rejected", error=calls.error("1240"))

    assert report.opts_out
    assert report.status == "FAILED"


@pytest.mark.parametrize("code", sorted(CODES))
@pytest.mark.parametrize("word", ["submitted", "delivered"])
def test_no_code_takes_back_what_a_status_says(code: str, word: str) -> None:
    assert read(uuid4(), word, error=calls.error(code)).status == STATUSES[word]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"title": "1190"}, "1190"),
        ({"title": 1190}, "1190"),
        ({"type": "https://developer.vonage.com/api-errors/messages-olympus#1190"}, "1190"),
        ({"type": "https://developer.vonage.com/api-errors", "title": "Some words"}, ""),
        ({"type": 7, "title": []}, "7"),
        ({"type": "x#" + "9" * 99, "title": "9" * 99}, ""),
        ([], ""),
        (None, ""),
        ("1190", ""),
    ],
)
def test_the_code_is_found_wherever_vonage_writes_it(said: object, code: str) -> None:
    assert read(uuid4(), "rejected", error=said).code == code


def test_our_reference_goes_before_the_address() -> None:
    ours, address = uuid4(), uuid4()
    url = signing.callback_url("vonage", address)

    def named(reference: str) -> UUID | None:
        (report,) = vonage().read_reports(
            calls.called(url, calls.status_of(reference, "delivered"))
        )
        return report.message_id

    assert named(str(ours)) == ours
    assert named("of somebody else") == address
    assert named(ours.hex) == address


@pytest.mark.parametrize("missing", ["message_uuid", "status"])
def test_a_report_without_its_message_or_status_is_called_unreadable(missing: str) -> None:
    said = calls.status_of(str(uuid4()), "delivered")
    del said[missing]

    with pytest.raises(InvalidReport):
        vonage().read_reports(calls.called(signing.door("vonage", "reports"), said))


# --- what people write ----------------------------------------------------------------------------


def test_the_first_word_is_no_keyword_that_vonage_acted_on() -> None:
    (inbound,) = vonage().read_inbound(calls.inbound("+573001112233", "Stop calling it that"))

    assert inbound.raw["sms"] == {"num_messages": "2", "keyword": "STOP"}
    assert inbound.keyword == ""
    assert inbound.recipient == "+573001110000"


@pytest.mark.parametrize(
    "changed",
    [
        {"message_uuid": ""},
        {"from": ""},
        {"from": 573001112233},
        {"text": None},
        {"channel": "whatsapp"},
        {"channel": None},
    ],
)
def test_what_is_no_sms_is_called_unreadable(changed: dict[str, object]) -> None:
    with pytest.raises(InvalidReport):
        vonage().read_inbound(calls.inbound("+573001112233", "hola", **changed))


def test_a_sender_that_is_no_number_stays_as_it_is() -> None:
    (inbound,) = vonage().read_inbound(calls.inbound("85432", "hola"))

    assert inbound.sender == "85432"
    assert json.loads(json.dumps(inbound.raw))["from"] == "85432"

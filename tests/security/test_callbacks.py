"""S60 to S63: who may say what became of a message, shown at the address that carriers call."""

import base64
import hashlib
import hmac
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID

import pytest
import time_machine
from django.conf import settings as configured
from django.core import signing as djangos
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import Member
from billing.models import LedgerEntry
from messaging import reports
from messaging.models import Broadcast, DeliveryReport, Message
from messaging.providers import signing
from tests.messaging.factories import sent_broadcast

pytestmark = pytest.mark.django_db

ACCOUNT: Final = "AC" + "1" * 32
TOKEN: Final = "the-token-of-the-account"
PUBLIC: Final = "https://sms.example.org"
PATH: Final = "/api/providers/twilio/reports"
FORM: Final = "application/x-www-form-urlencoded"


@pytest.fixture(autouse=True)
def one_account(settings: Settings) -> None:
    settings.PUBLIC_URL = PUBLIC
    settings.SMS_PROVIDERS = [f"twilio://{ACCOUNT}:{TOKEN}@api.twilio.com?from=%2B15005550006"]


@pytest.fixture
def message(ana: Member) -> Message:
    """A message that was handed over, and nobody knows how that ended."""
    sent = sent_broadcast(ana, "+573001234567")
    Broadcast.objects.filter(pk=sent.pk).update(queued=0, unknown=1)
    Message.objects.update(status="UNKNOWN", provider=f"twilio:{ACCOUNT}")
    return Message.objects.get()


def signature(url: str, fields: dict[str, str], token: str = TOKEN) -> str:
    """Sign as Twilio documents it: the address, then every name and value in the order of names."""
    text = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def said(message_sid: str = "SM" + "2" * 32, status: str = "delivered") -> dict[str, str]:
    return {"MessageSid": message_sid, "MessageStatus": status}


def post(
    fields: dict[str, str], *, query: str = "", proof: str | None = None, **headers: str
) -> Any:
    """Call as the carrier does; the proof is right unless another is given."""
    url = f"{PUBLIC}{PATH}{query}"
    proof = signature(url, fields) if proof is None else proof
    return Client().post(
        f"{PATH}{query}",
        urlencode(fields),
        content_type=FORM,
        headers={"X-Twilio-Signature": proof, **headers} if proof else headers,
    )


def about(message: Message) -> str:
    return f"?m={message.pk.hex}&s={signing.sign(message.pk)}"


# --- S60 ------------------------------------------------------------------------------------------
def test_S60_the_address_that_was_signed_is_ours_whatever_host_was_called() -> None:
    behind_a_proxy = post(said(), Host="127.0.0.1")
    for_another_host = post(said(), proof=signature(f"http://127.0.0.1{PATH}", said()))

    assert behind_a_proxy.status_code == 204
    assert for_another_host.status_code == 403


@pytest.mark.parametrize(
    "proof",
    ["", "x", "A" * 28, signature(f"{PUBLIC}{PATH}", said(), "another token"), "é", "=" * 5_000],
    ids=["none", "short", "zeros", "another account's", "not ASCII", "long"],
)
def test_S60_without_its_proof_nothing_is_read_and_nothing_is_kept(proof: str) -> None:
    refused = post(said(), proof=proof)
    unread = Client().post(PATH, b"\xff\x00 no form at all", content_type=FORM)

    assert (refused.status_code, unread.status_code) == (403, 403)
    assert DeliveryReport.objects.count() == 0


def test_S60_a_field_more_or_another_value_breaks_the_proof() -> None:
    proof = signature(f"{PUBLIC}{PATH}", said())

    assert post(said(status="failed"), proof=proof).status_code == 403
    assert post({**said(), "x": "y"}, proof=proof).status_code == 403


def test_S60_two_tokens_are_believed_while_one_replaces_the_other(settings: Settings) -> None:
    (url,) = settings.SMS_PROVIDERS
    settings.SMS_PROVIDERS = [url.replace(TOKEN, "new-token") + f"&previous_token={TOKEN}"]

    assert post(said()).status_code == 204
    new = signature(f"{PUBLIC}{PATH}", said(), "new-token")
    assert post(said(), proof=new).status_code == 204


# --- S61 ------------------------------------------------------------------------------------------
def test_S61_a_replay_changes_nothing_now_or_after_a_year(message: Message) -> None:
    answers = [post(said(), query=about(message)) for _time in range(3)]
    reports.apply()
    first = Message.objects.get()
    with time_machine.travel("2027-11-23", tick=True):
        answers.append(post(said(), query=about(message)))
        reports.apply()

    assert [answer.status_code for answer in answers] == [204] * 4
    after = Message.objects.get()
    assert (after.status, after.delivered_at) == ("DELIVERED", first.delivered_at)
    assert LedgerEntry.objects.filter(kind="CAPTURE").count() == 1
    outcomes = DeliveryReport.objects.order_by("created_at", "id").values_list("outcome", flat=True)
    assert sorted(outcomes) == ["APPLIED", "NO_CHANGE", "NO_CHANGE", "NO_CHANGE"]


# --- S62 ------------------------------------------------------------------------------------------
def delivered(message: Message, query: str) -> bool:
    """Return whether a report at this address moves the message, which has no id of the carrier's."""
    assert post(said(), query=query).status_code == 204
    DeliveryReport.objects.update(due_at=message.created_at)
    reports.apply()
    message.refresh_from_db()
    return message.status == "DELIVERED"


def test_S62_our_own_token_in_the_address_names_the_message(message: Message) -> None:
    assert delivered(message, about(message))


def test_S62_a_token_of_an_earlier_key_is_believed_as_long_as_the_key_is_kept(
    message: Message, settings: Settings
) -> None:
    query, old = about(message), settings.SECRET_KEY
    settings.SECRET_KEY = "a-new-key-that-nobody-has-seen-before-0123456789"

    assert not delivered(message, query)  # forgotten: the report waits, and moves nothing
    DeliveryReport.objects.all().delete()
    settings.SECRET_KEY_FALLBACKS = [old]
    assert delivered(message, query)


@pytest.mark.parametrize("forged", ["another message's", "Django's own", "none", "cut"])
def test_S62_nobody_else_can_make_one(message: Message, forged: str) -> None:
    right = signing.sign(message.pk)
    proof = {
        "another message's": signing.sign(message.broadcast_id),
        "Django's own": djangos.Signer().signature(message.pk.hex),
        "none": "",
        "cut": right[:-1],
    }[forged]

    assert proof != right
    assert not delivered(message, f"?m={message.pk.hex}&s={proof}")


def test_S62_the_key_of_the_address_is_derived_and_not_the_key_itself() -> None:
    nobody = UUID(int=0)
    plain = hmac.digest(configured.SECRET_KEY.encode(), nobody.bytes, "sha256")[:20]

    assert signing.sign(nobody) != base64.urlsafe_b64encode(plain).rstrip(b"=").decode()


# --- S63 ------------------------------------------------------------------------------------------
def test_S63_a_body_over_64_kB_is_413_and_over_100_fields_400() -> None:
    large = post({**said(), "x": "a" * 65_536})
    many = post({**said(), **{f"x{number}": "y" for number in range(99)}})
    most = post({**said(), **{f"x{number}": "y" for number in range(98)}})

    assert (large.status_code, many.status_code, most.status_code) == (413, 400, 204)
    assert DeliveryReport.objects.count() == 1


def test_S63_it_is_kept_by_one_statement_and_applied_later(
    message: Message, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        assert post(said(), query=about(message)).status_code == 204

    message.refresh_from_db()
    assert message.status == "UNKNOWN"

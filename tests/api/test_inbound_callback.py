"""POST /api/providers/{slug}/inbound: what people write back, and a STOP that is in force at once."""

import json
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, Final
from urllib.parse import urlencode

import psycopg
import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from accounts.models import AuditEntry, Member, Organization
from contacts import suppressions
from contacts.models import Contact, Suppression
from messaging import delivery, providers
from messaging.models import Broadcast, InboundMessage
from tests.api.refusals import told
from tests.api.test_reports_callback import (
    ACCOUNT,
    FORM,
    OTHER_TOKEN,
    PUBLIC_URL,
    TOKEN,
    TWILIO,
    signature,
)
from tests.messaging.factories import sent_broadcast

pytestmark = pytest.mark.django_db

PATH: Final = "/api/providers/twilio/inbound"
PERSON, OURS = "+573001234567", "+15005550006"
SID: Final = "SM" + "a" * 32
OTHER_ACCOUNT: Final = "AC" + "2" * 32
OTHER: Final = f"twilio://{OTHER_ACCOUNT}:{OTHER_TOKEN}@api.twilio.com?from=%2B15005550007"
INFOBIP: Final = "infobip://acme:KEY@acme.api.infobip.com?from=Acme"
Source = Suppression.Source


@pytest.fixture(autouse=True)
def _ready(settings: Settings) -> None:
    settings.PUBLIC_URL = PUBLIC_URL
    settings.SMS_PROVIDERS = [TWILIO]
    settings.STOP_KEYWORDS = ()


def wrote(
    member: Member, recipient: str = PERSON, provider: str = f"twilio:{ACCOUNT}"
) -> Broadcast:
    """Have the member's organization write to this number through this provider."""
    broadcast = sent_broadcast(member, recipient)
    broadcast.messages.update(
        provider=provider, status="SENT", submit_started_at=broadcast.created_at
    )
    return broadcast


def form(
    text: str = "STOP", *, sid: str = SID, sender: str = PERSON, **more: str
) -> dict[str, str]:
    return {"MessageSid": sid, "From": sender, "To": OURS, "Body": text, **more}


def answer(
    fields: Mapping[str, str] | None = None, *, signed: str | None = None, token: str = TOKEN
) -> Any:
    """Call us as Twilio does when somebody wrote, by default with a good signature."""
    fields = form() if fields is None else fields
    proof = signature(PUBLIC_URL + PATH, fields, token) if signed is None else signed
    return Client().generic(
        "POST", PATH, urlencode(fields), FORM, headers={"x-twilio-signature": proof}
    )


def opted_out() -> list[tuple[str, str, str]]:
    rows = Suppression.objects.order_by("organization__name")
    return list(rows.values_list("organization__name", "recipient", "source"))


def acts() -> Counter[str]:
    entries = AuditEntry.objects.filter(act__startswith="suppression")
    return Counter(entries.values_list("act", flat=True))


# --- kept -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "effect"),
    [
        ("Stop please", "STOP"),
        ("start", "START"),
        ("AYUDA", "HELP"),
        ("See you at 5", ""),
        ("", ""),
    ],
)
def test_whatever_somebody_writes_is_kept(ana: Member, text: str, effect: str) -> None:
    wrote(ana)

    reply = answer(form(text))

    assert (reply.status_code, reply.content) == (204, b"")
    kept = InboundMessage.objects.get()
    assert (kept.provider, kept.provider_message_id) == (f"twilio:{ACCOUNT}", SID)
    assert (kept.sender, kept.recipient, kept.text) == (PERSON, OURS, text)
    assert (kept.effect, kept.raw) == (effect, form(text))


@pytest.mark.parametrize("text", ["HELP", "info", "¿qué es esto?", "don't stop"])
def test_S29_other_words_stop_nothing(ana: Member, text: str) -> None:
    wrote(ana)

    answer(form(text))

    assert opted_out() == []


def test_nothing_is_sent_back(ana: Member) -> None:
    before = wrote(ana).messages.count()

    answer()

    assert Broadcast.objects.count() == 1
    assert Broadcast.objects.get().messages.count() == before


# --- STOP -----------------------------------------------------------------------------------------
def test_S31_a_stop_is_in_force_when_the_carrier_hears_received(ana: Member) -> None:
    wrote(ana)

    assert answer().status_code == 204

    assert opted_out() == [("Acme", PERSON, "KEYWORD")]
    assert InboundMessage.objects.get().organizations == 1


def test_a_stop_counts_for_every_organization_that_wrote_to_the_number(
    ana: Member, carla: Member
) -> None:
    wrote(ana)
    wrote(carla)

    answer()

    assert opted_out() == [("Acme", PERSON, "KEYWORD"), ("Borealis", PERSON, "KEYWORD")]
    assert InboundMessage.objects.get().organizations == 2


def test_a_stop_counts_for_nobody_else(ana: Member, carla: Member) -> None:
    wrote(ana)
    wrote(carla, "+573009999999")

    answer()

    assert opted_out() == [("Acme", PERSON, "KEYWORD")]


def test_a_stop_counts_for_nobody_who_wrote_through_another_account(
    settings: Settings, ana: Member, carla: Member
) -> None:
    settings.SMS_PROVIDERS = [TWILIO, OTHER]
    wrote(ana)
    wrote(carla, provider=f"twilio:{OTHER_ACCOUNT}")

    assert answer(token=OTHER_TOKEN).status_code == 204

    assert opted_out() == [("Borealis", PERSON, "KEYWORD")]
    assert InboundMessage.objects.get().provider == f"twilio:{OTHER_ACCOUNT}"


def test_what_only_waits_was_not_written(ana: Member) -> None:
    sent_broadcast(ana, PERSON)

    answer()

    assert opted_out() == []
    assert InboundMessage.objects.get().effect == "STOP"


def test_S30_B83_what_is_not_marked_yet_is_not_sent(
    settings: Settings, ana: Member, acme: Organization
) -> None:
    wrote(ana)
    settings.SMS_PROVIDERS = ["memory://local"]
    second = sent_broadcast(ana, "+573007654321")
    settings.SMS_PROVIDERS = [TWILIO]
    answer()
    settings.SMS_PROVIDERS = ["memory://local"]

    delivery.drain(queue_id=second.pk, lane=0)

    codes = dict(second.messages.values_list("recipient", "error_code"))
    assert codes == {PERSON: "opted_out", "+573007654321": ""}
    assert set(second.messages.values_list("status", flat=True)) == {"CANCELED", "SENT"}


def test_S33_it_survives_deletion_and_import_of_the_contact(
    ana: Member, acme: Organization
) -> None:
    wrote(ana)
    answer()
    Contact.objects.filter(organization=acme).delete()

    again = sent_broadcast(ana, PERSON)

    assert again.messages.count() == 0
    assert list(again.skips.values_list("reason", flat=True)) == ["opted_out"]


def test_the_audit_tells_it_without_the_number(ana: Member, acme: Organization) -> None:
    wrote(ana)

    answer()

    entry = AuditEntry.objects.get(act="suppression.added")
    assert (entry.organization, entry.member) == (acme, None)
    assert entry.details == {
        "recipient_digest": suppressions.digest(PERSON),
        "source": "KEYWORD",
    }


def test_an_installation_adds_its_own_words(settings: Settings, ana: Member) -> None:
    settings.STOP_KEYWORDS = ("no más",)
    wrote(ana)

    answer(form("¡NO MAS!"))

    assert opted_out() == [("Acme", PERSON, "KEYWORD")]


@pytest.mark.parametrize("told_by_the_carrier", ["STOP", "stop"])
def test_the_carriers_own_keywords_count_too(ana: Member, told_by_the_carrier: str) -> None:
    wrote(ana)

    answer(form("NO QUIERO", OptOutType=told_by_the_carrier))

    assert opted_out() == [("Acme", PERSON, "KEYWORD")]


def test_a_stop_is_one_whatever_the_carrier_took_it_for(ana: Member) -> None:
    wrote(ana)

    answer(form("STOP", OptOutType="HELP"))

    assert opted_out() == [("Acme", PERSON, "KEYWORD")]


# --- START ----------------------------------------------------------------------------------------
def test_start_lifts_what_a_keyword_set(ana: Member, carla: Member) -> None:
    wrote(ana)
    wrote(carla)
    answer()

    answer(form("START", sid="SM" + "b" * 32))

    assert opted_out() == []
    assert acts() == {"suppression.added": 2, "suppression.lifted": 2}


@pytest.mark.parametrize("source", [Source.MEMBER, Source.CARRIER])
@pytest.mark.parametrize("first", ["the keyword", "the other"])
def test_start_never_lifts_what_a_person_or_the_carrier_set(
    ana: Member, acme: Organization, source: Source, first: str
) -> None:
    wrote(ana)
    if first == "the keyword":
        answer()
    suppressions.add(organization=acme, recipient=PERSON, source=source)
    if first == "the other":
        answer()

    answer(form("START", sid="SM" + "b" * 32))

    assert opted_out() == [("Acme", PERSON, source)]


def test_start_lifts_nothing_of_other_numbers_and_other_accounts(
    settings: Settings, ana: Member, carla: Member
) -> None:
    settings.SMS_PROVIDERS = [TWILIO, OTHER]
    wrote(ana)
    wrote(carla, "+573009999999")
    answer()
    answer(form(sid="SM" + "b" * 32, sender="+573009999999"))

    answer(form("START", sid="SM" + "c" * 32), token=OTHER_TOKEN)
    answer(form("START", sid="SM" + "d" * 32, sender="+573009999999"))

    assert opted_out() == [("Acme", PERSON, "KEYWORD")]


# --- repeated and at once -------------------------------------------------------------------------
def test_B83_the_same_message_again_does_nothing(ana: Member) -> None:
    wrote(ana)
    replies = [answer() for _ in range(3)]
    answer(form("START", sid="SM" + "b" * 32))

    replies.append(answer())  # the carrier repeats the STOP that came before the START

    assert [reply.status_code for reply in replies] == [204] * 4
    assert InboundMessage.objects.count() == 2
    assert opted_out() == []
    assert acts() == {"suppression.added": 1, "suppression.lifted": 1}


def test_the_same_id_of_another_account_is_another_message(settings: Settings, ana: Member) -> None:
    settings.SMS_PROVIDERS = [TWILIO, OTHER]

    answer()
    answer(token=OTHER_TOKEN)

    assert InboundMessage.objects.count() == 2


def test_B83_twenty_at_once_are_one(transactional_db: None, ana: Member, carla: Member) -> None:
    wrote(ana)
    wrote(carla)

    def call(_number: int) -> int:
        try:
            return int(answer().status_code)
        finally:
            connection.close()

    with ThreadPoolExecutor(20) as pool:
        codes = list(pool.map(call, range(20)))

    assert codes == [204] * 20
    assert InboundMessage.objects.count() == 1
    assert acts() == {"suppression.added": 2}


def test_a_stop_that_cannot_be_put_into_force_is_not_kept_as_if_it_were(
    transactional_db: None, ana: Member, acme: Organization
) -> None:
    wrote(ana)
    settings_ = connection.settings_dict
    other = psycopg.connect(
        host=settings_["HOST"], user=settings_["USER"], dbname=settings_["NAME"]
    )
    with closing(other), connection.cursor() as cursor:
        other.execute(  # somebody else is about to opt the number out, and hangs
            "INSERT INTO contacts_suppression (organization_id, recipient, source)"
            " VALUES (%s, %s, 'MEMBER')",
            [acme.pk, PERSON],
        )
        cursor.execute("SET lock_timeout = '200ms'")

        reply = answer()

        cursor.execute("RESET lock_timeout")
    assert told(reply) == (503, "4090")
    assert not InboundMessage.objects.exists()
    assert answer().status_code == 204
    assert opted_out() == [("Acme", PERSON, "KEYWORD")]


# --- who wrote ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "written", ["+57 300 123 4567", "573001234567", "00573001234567", "+57-300-1234567"]
)
def test_the_sender_is_kept_in_e164(ana: Member, written: str) -> None:
    wrote(ana)

    answer(form(sender=written))

    assert InboundMessage.objects.get().sender == PERSON
    assert opted_out() == [("Acme", PERSON, "KEYWORD")]


def test_a_number_as_dialed_is_read_in_the_country_of_ours(ana: Member) -> None:
    wrote(ana, "+12125550123")

    answer(form(sender="(212) 555-0123"))

    assert opted_out() == [("Acme", "+12125550123", "KEYWORD")]


def test_a_number_that_no_numbering_plan_knows_counts_as_it_stands(ana: Member) -> None:
    wrote(ana).messages.update(recipient="+5799999999999")

    answer(form(sender="+5799999999999"))

    assert opted_out() == [("Acme", "+5799999999999", "KEYWORD")]


@pytest.mark.parametrize(
    "sender",
    ["Acme", "12345", "INFO-SMS", "whatsapp:+573001234567", "", "' OR 1=1 --", "+0", "x" * 90],
)
def test_a_sender_that_is_no_number_is_kept_alone(ana: Member, sender: str) -> None:
    wrote(ana)

    assert answer(form(sender=sender)).status_code in {204, 400}

    assert opted_out() == []
    assert all(kept.sender == sender[:32] for kept in InboundMessage.objects.all())


# --- many in one body -----------------------------------------------------------------------------
def infobip(results: object) -> Any:
    """Call us as Infobip does, at the address that was entered there."""
    (provider,) = providers.configured()
    url = provider.inbound_url.removeprefix(PUBLIC_URL)
    return Client().generic("POST", url, json.dumps({"results": results}), "application/json")


def test_many_messages_in_one_body_are_taken_in_their_order(
    settings: Settings, ana: Member
) -> None:
    settings.SMS_PROVIDERS = [INFOBIP]
    (provider,) = providers.configured()
    wrote(ana, provider=provider.name)
    texts = ["STOP", "hello", "START", "Baja."]

    reply = infobip(
        [
            {"messageId": f"i{number}", "from": PERSON[1:], "to": OURS[1:], "text": text}
            for number, text in enumerate(texts)
        ]
    )

    assert reply.status_code == 204
    assert InboundMessage.objects.count() == 4
    assert opted_out() == [("Acme", PERSON, "KEYWORD")]
    assert acts() == {"suppression.added": 2, "suppression.lifted": 1}

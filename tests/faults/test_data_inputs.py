"""B85 to B88 and B96: what people and programs type, from the door to the rows it leaves."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final
from uuid import uuid4

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from django.urls import reverse
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from accounts.models import Member, Organization
from billing import ledger, rates
from billing.ledger import Balance, InvalidAmount
from billing.models import CreditAccount, LedgerEntry, Rate
from contacts import phone_numbers
from contacts.models import Contact
from contacts.phone_numbers import INVALID, UNSUPPORTED
from messaging import audiences, broadcasts, orders
from messaging.models import Message, Skip
from tests.factories import OrganizationFactory
from tests.faults.harness.stack import Stack
from tests.messaging.conftest import memory
from tests.messaging.factories import contacts_in_order, grant
from tests.messaging.test_sms_text import TEXTS, slow_segments
from tests.people import AdminOf, ClientOf
from tests.security.addresses import READS_JSON, of_acme
from tests.security.test_hostile_inputs import BODIES

__all__ = ["memory"]  # a fixture

JSON: Final = {"Content-Type": "application/json"}
SEND: Final = "/api/messages/sms/all"

# The database of an example is the test's own, and rows of earlier examples do no harm.
few = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


# --- B85: hostile bodies --------------------------------------------------------------------------
def test_B85_every_hostile_body_is_4xx_at_every_door_of_the_real_web_server(stack: Stack) -> None:
    """What `tests/security` proves door by door, once more past gunicorn and a wire."""
    house = stack.house(contacts=1)

    answers = [
        house.client.call("POST", of_acme(address, house.organization), body, headers=JSON)
        for address in READS_JSON
        for body in BODIES.values()
    ]

    assert len(answers) >= 150
    for answer in answers:
        assert (answer.status, answer.code) == (400, "4000"), answer.text
    stored = "SELECT count(*) FROM messaging_broadcast WHERE organization_id = %s"
    assert stack.sql(stored, house.organization.pk) == [(0,)]
    assert house.client.is_alive()


JSONS: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
REQUESTS: Final = st.fixed_dictionaries(
    {},
    optional={
        "message": JSONS | st.text(max_size=400),
        "country": JSONS | st.text(max_size=3),
        "type": JSONS | st.sampled_from(["SMS", "OTP", "FLASH", "sms"]),
        "scheduledAt": JSONS,
        "filters": JSONS,
    },
)


@pytest.mark.django_db
@few
@given(body=REQUESTS.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=60))
def test_B85_whatever_is_sent_is_answered_in_words(
    client_of: ClientOf, ana: Member, body: bytes
) -> None:
    answer = client_of(ana).post(SEND, body, content_type="application/json")

    assert answer.status_code in {200, 201, 400, 402, 415}, (body, answer.status_code)
    if answer.status_code >= 400:
        assert answer.json()["statusCode"] == answer.status_code
        assert answer.json()["message"]


# --- B86: numbers ---------------------------------------------------------------------------------
CANONICAL: Final = "+573001234567"
NUMBERS: Final = {
    "full-width": ("\uff0b\uff15\uff17\uff13\uff10\uff10 123 4567", CANONICAL),
    "Arabic-Indic digits": ("٣٠٠١٢٣٤٥٦٧", CANONICAL),
    "zero-width space": ("300\u200b1234567", CANONICAL),
    "marks of direction": ("\u202a+57 300 1234567\u202c", CANONICAL),
    "an extension": ("3001234567;ext=5", INVALID),
    "an extension in short": ("3001234567x12", INVALID),
    "a context": ("3001234567;phone-context=+57", INVALID),
    "a scheme": ("tel:+573001234567", INVALID),
    "premium": ("+1 900 234 5678", UNSUPPORTED),
    "satellite": ("+882 16 1234 5678", UNSUPPORTED),
    "emergency": ("911", INVALID),
    "letters": ("300 FLOWERS", INVALID),
    "two numbers": ("3001234567/3011234567", INVALID),
}
NEVER_STORED: Final = {"NUL": "3001234567\0", "300 characters": "3" * 300}


@pytest.mark.django_db
@pytest.mark.parametrize("number", NUMBERS)
def test_B86_a_number_is_canonical_or_its_contact_is_skipped(
    acme: Organization, ana: Member, memory: Any, number: str
) -> None:
    given_, expected = NUMBERS[number]
    grant(acme, 10)
    contacts_in_order(acme, given_)

    sent = broadcasts.send(member=ana, audience=audiences.Everyone(), text="Hola")

    recipients = list(Message.objects.filter(broadcast=sent).values_list("recipient", flat=True))
    reasons = list(Skip.objects.filter(broadcast=sent).values_list("reason", flat=True))
    if expected == CANONICAL:
        assert (recipients, reasons) == ([CANONICAL], [])
    else:
        assert (recipients, reasons) == ([], [expected])


@pytest.mark.parametrize("number", NEVER_STORED)
def test_B86_what_cannot_be_a_number_is_none(number: str) -> None:
    assert phone_numbers.read(NEVER_STORED[number], "CO").refusal == INVALID


# --- B87: one person in two spellings -------------------------------------------------------------
def _spelt(digits: str, style: int, separator: str, position: int) -> str:
    styles: list[Callable[[str], str]] = [
        lambda number: f"+57{number}",
        lambda number: f"0057{number}",
        lambda number: f"57{number}",
        lambda number: number,
        lambda number: "+57" + number.translate({ord("0") + i: 0xFF10 + i for i in range(10)}),
        lambda number: number.translate({ord("0") + i: 0x0660 + i for i in range(10)}),
    ]
    written = styles[style](digits)
    place = len(written) - 1 - position  # never before the first digits, which tell the country
    return written[:place] + separator + written[place:]


SPELLINGS: Final = st.lists(
    st.tuples(
        st.integers(0, 5),
        # No dot: a number that ends in .0 is one that a spreadsheet has spoilt, and refused.
        st.sampled_from(["", " ", "-", "\u00a0", "\u200b", "\u2011"]),
        st.integers(0, 5),
    ),
    min_size=2,
    max_size=6,
    unique=True,
)


@pytest.mark.django_db
@few
@given(digits=st.integers(3_000_000_000, 3_049_999_999).map(str), spellings=SPELLINGS)
def test_B87_one_person_in_many_spellings_gets_one_message(
    root: Member, ana: Member, memory: Any, digits: str, spellings: list[tuple[int, str, int]]
) -> None:
    house = OrganizationFactory.create(name=f"Organization {uuid4()}", country="CO")
    ana.organization = house
    ana.save()
    ledger.grant(organization=house, amount=10, member=root, note="")
    written = dict.fromkeys(_spelt(digits, *spelling) for spelling in spellings)
    contacts_in_order(house, *written)

    sent = broadcasts.send(member=ana, audience=audiences.Everyone(), text="Hola")

    (message,) = Message.objects.filter(broadcast=sent)
    assert message.recipient == f"+57{digits}"
    first = Contact.objects.filter(organization=house).order_by("created_at").first()
    assert first
    assert message.contact_id == first.pk
    reasons = Skip.objects.filter(broadcast=sent).values_list("reason", flat=True)
    assert list(reasons) == ["duplicate"] * (len(written) - 1)
    assert sent.credits == 1


# --- B88: texts -----------------------------------------------------------------------------------
@pytest.mark.django_db
@few
@given(text=TEXTS)
@example("€" * 153)
@example("😀" * 67)
@example("a" * 152 + "€" + "a" * 152)
def test_B88_a_broadcast_costs_what_an_independent_counter_counts(
    acme: Organization, ana: Member, memory: Any, text: str
) -> None:
    grant(acme, 1_000)
    contacts_in_order(acme, CANONICAL)
    try:
        sent = broadcasts.send(member=ana, audience=audiences.Everyone(), text=text)
    except orders.TextNotAllowed:
        return  # nothing to see in it; the table below has those

    encoding, segments, _units = slow_segments(text)
    assert (sent.encoding, sent.segments, sent.credits) == (encoding, segments, segments)


@pytest.mark.parametrize(
    "body",
    [
        b'{"message": "Hola \\ud83d"}',
        json.dumps({"message": "a" * 160 * 1601}).encode(),
        json.dumps({"message": "a" * 1601}).encode(),
        json.dumps({"message": "\u200b\u200d\u2060\ufeff"}).encode(),
        json.dumps({"message": " \n\t"}).encode(),
    ],
    ids=["lone surrogate", "1,601 segments", "1,601 characters", "zero-width", "blank"],
)
@pytest.mark.django_db
def test_B88_what_no_phone_can_show_is_400(
    client_of: ClientOf, ana: Member, acme: Organization, body: bytes
) -> None:
    contacts_in_order(acme, CANONICAL)
    grant(acme, 10_000)

    answer = client_of(ana).post(SEND, body, content_type="application/json")

    assert answer.status_code == (413 if len(body) > 256 * 1024 else 400)
    assert Message.objects.count() == 0


# --- B96: credits ---------------------------------------------------------------------------------
NO_AMOUNTS: Final = st.one_of(
    st.integers(max_value=0),
    st.integers(min_value=2**63),
    st.floats(),
    st.decimals(),
    st.booleans(),
    st.none(),
    st.text(max_size=5),
    st.sampled_from([2**63, -(2**63), 10**30, Decimal(1), 1.0, float("nan"), float("inf"), b"1"]),
)


@pytest.mark.django_db
@settings(max_examples=200, parent=few)
@given(amount=NO_AMOUNTS)
def test_B96_what_is_no_number_of_credits_moves_nothing(
    acme: Organization, root: Member, amount: Any
) -> None:
    before = ledger.balance(acme.pk)
    rows: dict[str, Any] = {"organization_id": acme.pk, "amount": amount, "reference": "x"}
    verbs = [ledger.reserve, ledger.late_capture]
    if type(amount) is not int or amount != 0:
        verbs += [ledger.capture, ledger.release]  # to settle 0 is to settle nothing, which is fine

    for verb in verbs:
        with pytest.raises(InvalidAmount):
            verb(**rows)
    with pytest.raises(InvalidAmount):
        ledger.grant(organization=acme, amount=amount, member=root, note="")

    assert ledger.balance(acme.pk) == before
    assert LedgerEntry.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize(
    "amount",
    ["0", "-1", "1.5", "NaN", "Infinity", "1e3", str(2**63), "10000000000001", "", "٣x", "0x10"],
)
def test_B96_the_grant_page_refuses_it_and_asks_again(
    acme: Organization, root: Member, admin_of: AdminOf, amount: str
) -> None:
    page = reverse("admin:billing_creditaccount_grant_credits")
    answers = {"organization": acme.pk, "note": "x", "movement": uuid4(), "confirm": "yes"}

    shown = admin_of(root).post(page, {**answers, "amount": amount})

    assert shown.status_code == 200
    assert "errorlist" in shown.content.decode() or "error" in shown.content.decode()
    assert ledger.balance(acme.pk) == Balance()
    assert LedgerEntry.objects.count() == 0


@pytest.mark.django_db
@pytest.mark.parametrize("price", [0, -1, 10_001])
def test_B96_a_price_out_of_range_is_refused_by_the_database_itself(price: int) -> None:
    with (
        pytest.raises((IntegrityError, DataError)),
        transaction.atomic(),
    ):
        Rate.objects.create(country="CO", credits_per_segment=price)

    assert rates.lowest([]) == 1


@pytest.mark.django_db
@pytest.mark.parametrize(
    "value", ["0", "-5", "9223372036854775808", "'NaN'::float8", "NULL", "1.4"]
)
def test_B96_the_checks_are_the_last_line(acme: Organization, root: Member, value: str) -> None:
    ledger.grant(organization=acme, amount=10, member=root, note="")
    entry = f"""
        INSERT INTO billing_ledgerentry (
          account_id, kind, amount, available_delta, reserved_delta, spent_delta, reference, note)
        SELECT id, 'CAPTURE', {value}, 0, -2, 2, 'x', '' FROM billing_creditaccount"""

    with pytest.raises((IntegrityError, DataError)), transaction.atomic():
        _execute(entry)
    for column in ("available", "reserved", "spent"):
        below = f"UPDATE billing_creditaccount SET {column} = -1"
        with pytest.raises(IntegrityError, match="not_negative"), transaction.atomic():
            _execute(below)

    assert CreditAccount.objects.get().available == 10


def _execute(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)

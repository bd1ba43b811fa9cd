"""POST /api/providers/{slug}/inbound: what is refused, and that nothing of it is kept."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from django.test import Client
from pytest_django import Settings

from accounts.models import Member
from messaging.models import InboundMessage
from tests.api.outages import database_away, database_only_reads
from tests.api.refusals import nothing_happens, told
from tests.api.test_inbound_callback import PATH, PERSON, answer, form, opted_out, wrote
from tests.api.test_reports_callback import (
    OTHER_TOKEN,
    PREVIOUS_TOKEN,
    PUBLIC_URL,
    TWILIO,
    signature,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _ready(settings: Settings) -> None:
    settings.PUBLIC_URL = PUBLIC_URL
    settings.SMS_PROVIDERS = [TWILIO]


GOOD: Final = signature(PUBLIC_URL + PATH, form())


@pytest.mark.parametrize(
    "signed",
    [
        "",
        GOOD[:-2],
        signature(PUBLIC_URL + PATH, form(), OTHER_TOKEN),
        signature(PUBLIC_URL + PATH, form("START")),
        signature(f"{PUBLIC_URL}/api/providers/twilio/reports", form()),
    ],
    ids=["missing", "truncated", "another account", "other words", "the other door"],
)
def test_S60_without_a_good_signature_it_is_403_and_the_database_is_not_asked(
    signed: str, django_assert_num_queries: Any
) -> None:
    with django_assert_num_queries(0):
        reply = answer(signed=signed)

    assert told(reply) == (403, "1003")
    assert not InboundMessage.objects.exists()


def test_the_token_before_a_rotation_still_signs() -> None:
    assert answer(token=PREVIOUS_TOKEN).status_code == 204


@pytest.mark.parametrize("slug", ["vonage", "memory", "console", "Twilio"])
def test_a_carrier_we_do_not_have_is_404(slug: str) -> None:
    assert told(Client().post(f"/api/providers/{slug}/inbound")) == (404, "1005")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_another_method_is_405(method: str) -> None:
    assert told(Client().generic(method, PATH)) == (405, "4040")


@pytest.mark.parametrize(
    ("fields", "refused"),
    [
        (form("x" * 65_536), (413, "4042")),
        (form(**{f"f{number}": "" for number in range(100)}), (400, "4000")),
        (form("\0"), (400, "4000")),
        ({"Body": "STOP"}, (400, "4000")),
        ({**form(), "MessageSid": "SM1' OR 1=1"}, (400, "4000")),
    ],
    ids=["64 kB", "100 fields", "NUL", "nobody", "no id"],
)
def test_S63_what_cannot_be_read_is_refused_whole(
    fields: Mapping[str, str], refused: tuple[int, str]
) -> None:
    with nothing_happens():
        reply = answer(fields)

    assert told(reply) == refused
    assert not InboundMessage.objects.exists()


@pytest.mark.parametrize("away", [database_away, database_only_reads])
def test_B80_a_database_that_is_away_is_503_so_that_the_carrier_calls_again(
    transactional_db: None, ana: Member, away: Callable[[], Any]
) -> None:
    wrote(ana)

    with away():
        reply = answer()

    assert told(reply) == (503, "4090")
    assert opted_out() == []
    assert answer().status_code == 204
    assert opted_out() == [("Acme", PERSON, "KEYWORD")]

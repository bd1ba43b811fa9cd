"""The sandbox carrier hands the site what people write, as the real one does."""

import pytest
from pytest_django import Settings
from yarl import URL

from messaging.providers.base import Credential
from messaging.providers.infobip import Infobip
from tests.messaging.providers.stand_in import StandIn, says
from tests.messaging.sandbox.carrier import ACCOUNT, TOKEN, Carrier, callbacks

ANA = "+573001112233"


def test_an_sms_goes_where_the_last_message_s_reports_go(carrier: Carrier) -> None:
    with StandIn(says(204)) as web:
        carrier.misbehave({"preset": "no_reports"})
        carrier.send(ANA, web=web.address)

        status, answer = carrier.write(**{"from": ANA, "text": "BAJA ñ"})

    assert status == 200
    assert answer["url"] == f"{web.address}/api/providers/twilio/inbound"
    assert answer["answers"] == [204]
    (callback,) = callbacks(web)
    assert carrier.provider.verify(callback)
    (inbound,) = carrier.provider.read_inbound(callback)
    assert (inbound.sender, inbound.recipient, inbound.text) == (ANA, "+15005550006", "BAJA ñ")
    assert inbound.provider_message_id == answer["id"]


def test_an_sms_can_come_again_and_forged(carrier: Carrier) -> None:
    with StandIn(says(204)) as web:
        carrier.misbehave({"preset": "no_reports"})
        carrier.send(ANA, web=web.address)

        _, again = carrier.write(**{"from": ANA, "text": "STOP", "times": 3, "id": "SM1"})
        carrier.write(**{"from": ANA, "text": "STOP", "bad_signature": True})

    *genuine, forged = callbacks(web)
    assert again["answers"] == [204, 204, 204]
    assert [one.form["MessageSid"] for one in genuine] == ["SM1"] * 3
    assert all(carrier.provider.verify(one) for one in genuine)
    assert not carrier.provider.verify(forged)


def test_what_the_site_answers_is_told(carrier: Carrier) -> None:
    with StandIn(says(403), says(503), says(204, close=True)) as web:
        said = {
            "from": ANA,
            "to": "+15005550006",
            "text": "",
            "dialect": "twilio",
            "account": "AC1",
            "token": "t",
            "url": f"{web.address}/x?y=1",
            "times": 2,
        }
        assert carrier.write(**said)[1]["answers"] == [403, 503]
    assert carrier.write(**said)[1]["answers"] == ["ClientConnectorError"] * 2
    assert [one.path for one in web.requests] == ["/x?y=1"] * 2


def test_an_account_that_sent_nothing_is_told_in_the_request(carrier: Carrier) -> None:
    with StandIn(says(204)) as web:
        url = f"{web.address}/api/providers/twilio/inbound"
        carrier.write(
            **{"from": ANA, "to": "+15005550006", "text": "HELP", "dialect": "twilio"},
            account=ACCOUNT,
            token=TOKEN,
            url=url,
        )

    assert carrier.provider.verify(callbacks(web)[0])


def test_infobip_s_comes_with_the_token_in_its_address(
    carrier: Carrier, settings: Settings
) -> None:
    provider = Infobip(Credential("acme", "key"), sender="Acme", base_url=URL(carrier.address))
    with StandIn(says(204)) as web:
        settings.PUBLIC_URL = web.address
        said = {"from": ANA, "to": "+57322", "text": "Hola", "url": provider.inbound_url}
        account = {"dialect": "infobip", "account": "key", "token": "key"}
        carrier.write(**said, **account)
        carrier.write(**said, **account, bad_signature=True)

    genuine, forged = callbacks(web)
    assert provider.verify(genuine)
    assert not provider.verify(forged)
    (inbound,) = provider.read_inbound(genuine)
    assert (inbound.sender, inbound.text) == (ANA, "Hola")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({}, "send one first, or give dialect, account, token and url"),
        ({"dialect": "pigeon", "account": "a", "token": "b", "url": "c"}, "send one first"),
    ],
)
def test_where_it_goes_has_to_be_known(
    carrier: Carrier, said: dict[str, object], words: str
) -> None:
    nobody = {"from": ANA, "text": "STOP", "account": "nobody"}

    status, answer = carrier.write(**(nobody | said))

    assert status == 400
    assert words in answer["message"]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"text": "STOP"}, "from must be a text"),
        ({"from": ANA}, "text must be a text"),
        ({"from": 57, "text": "STOP"}, "from must be a text"),
        ({"from": ANA, "text": "STOP", "times": 0}, "times must be a whole number"),
        ({"from": ANA, "text": "STOP", "times": True}, "times must be a whole number"),
    ],
)
def test_what_is_no_sms_is_refused_in_words(
    carrier: Carrier, said: dict[str, object], words: str
) -> None:
    carrier.send(ANA)

    status, answer = carrier.write(**said)

    assert status == 400
    assert words in answer["message"]


@pytest.mark.parametrize("body", ["", "{", "[]", "1"])
def test_what_is_no_object_is_refused_in_words(carrier: Carrier, body: str) -> None:
    status, answer, _ = carrier.ask("POST", "/_sandbox/inbound", body)

    assert status == 400
    assert "must be" in answer["message"]

"""The sandbox carrier tells what it accepted to who looks it up as at the real one."""

import asyncio
import base64
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

import pytest
from yarl import URL

from messaging.providers.base import (
    Accepted,
    Batch,
    Credential,
    Found,
    Handed,
    HTTPProvider,
    LookUpFailed,
    Outgoing,
    http_session,
)
from messaging.providers.infobip import Infobip
from tests.messaging.providers.batches import sent
from tests.messaging.sandbox.carrier import ACCOUNT, GOOD_FORM, TOKEN, Carrier, until

TO = "+573001112233"


def ask(carrier: Carrier, rest: str, account: str = ACCOUNT, **query: str) -> tuple[int, Any]:
    login = base64.b64encode(f"{account}:{TOKEN}".encode()).decode()
    path = f"/2010-04-01/Accounts/{account}/{rest}"
    status, answer, _ = carrier.ask(
        "GET", f"{path}?{urlencode(query)}" if query else path, Authorization=f"Basic {login}"
    )
    return status, answer


def listed(carrier: Carrier, account: str = ACCOUNT, **query: str) -> list[dict[str, Any]]:
    status, answer = ask(carrier, "Messages.json", account, **query)
    assert status == 200, answer
    return list(answer["messages"])


def look_up(provider: HTTPProvider, message_id: UUID, text: str = "Hola ☕") -> list[Found]:
    async def run() -> list[Found]:
        async with http_session(concurrency=2, connect=10, read=10) as http:
            return await provider.look_up(Handed(message_id, TO, text, datetime.now(UTC)), http)

    return asyncio.run(run())


def hand_over(carrier: Carrier, slug: str) -> tuple[HTTPProvider, UUID]:
    if slug == "twilio":
        return carrier.provider, carrier.send(TO)[0]
    provider = Infobip(Credential("acme", "key"), sender="Acme", base_url=URL(carrier.address))
    message_id = uuid4()
    results = sent(provider, Batch([Outgoing(message_id, TO, "")], "Hola ☕", "SMS"))
    assert isinstance(results[message_id], Accepted)
    return provider, message_id


# --- by the real providers ------------------------------------------------------------------------


@pytest.mark.parametrize("slug", ["twilio", "infobip"])
def test_the_real_provider_finds_its_message(carrier: Carrier, slug: str) -> None:
    provider, message_id = hand_over(carrier, slug)

    until(lambda: [one.status for one in look_up(provider, message_id)] == ["DELIVERED"])

    (found,) = look_up(provider, message_id)
    assert found.provider_message_id == carrier.accepted()[0]["id"]


@pytest.mark.parametrize("slug", ["twilio", "infobip"])
def test_a_message_whose_answer_was_lost_is_found(carrier: Carrier, slug: str) -> None:
    carrier.misbehave({"preset": "broken_taken", "reports": []})
    if slug == "twilio":
        provider: HTTPProvider = carrier.provider
        message_id, _ = carrier.send(TO)
    else:
        provider = Infobip(Credential("acme", "key"), sender="Acme", base_url=URL(carrier.address))
        message_id = uuid4()
        sent(provider, Batch([Outgoing(message_id, TO, "")], "Hola ☕", "SMS"))

    assert len(look_up(provider, message_id)) == 1


@pytest.mark.parametrize("slug", ["twilio", "infobip"])
def test_a_look_up_fails_or_finds_nothing_where_a_rule_says_so(carrier: Carrier, slug: str) -> None:
    provider, message_id = hand_over(carrier, slug)

    carrier.misbehave({"call": "lookup", "accepts": False})
    assert look_up(provider, message_id) == []
    for rule in ({"status": 500}, {"preset": "down"}, {"body": "html"}, {"closes": "halfway"}):
        carrier.misbehave({"call": "any", **rule})
        with pytest.raises(LookUpFailed):
            look_up(provider, message_id)
    carrier.misbehave({"preset": "broken"})
    assert len(look_up(provider, message_id)) == 1


def test_what_was_never_taken_is_not_found(carrier: Carrier) -> None:
    carrier.misbehave({"preset": "broken"})

    message_id, _ = carrier.send(TO)

    assert look_up(carrier.provider, message_id) == []


# --- Twilio's list --------------------------------------------------------------------------------


def test_a_list_tells_text_sender_and_moment(carrier: Carrier) -> None:
    service = "MG" + "0" * 32
    sid = carrier.post(GOOD_FORM | {"Body": "Uno"})[1]["sid"]
    carrier.post({"To": TO, "MessagingServiceSid": service, "Body": "ñ" * 200})

    newest, oldest = listed(carrier, To=TO)

    assert (oldest["sid"], oldest["body"], oldest["from"]) == (sid, "Uno", "+15005550006")
    assert (newest["messaging_service_sid"], newest["from"]) == (service, None)
    assert (newest["num_segments"], newest["direction"]) == ("2", "outbound-api")
    assert ask(carrier, f"Messages/{sid}.json") == (200, oldest)


def test_a_list_is_of_one_recipient_sender_and_account(carrier: Carrier) -> None:
    carrier.post(GOOD_FORM)
    carrier.post(GOOD_FORM | {"To": "+573001112299"})
    carrier.post(GOOD_FORM | {"From": "Acme"})
    carrier.post(GOOD_FORM, account="AC1")

    assert len(listed(carrier, To=TO)) == 2
    assert len(listed(carrier, To=TO, From="Acme")) == 1
    assert len(listed(carrier, "AC1", To=TO)) == 1
    assert len(listed(carrier)) == 3
    assert listed(carrier, To="+573009999999") == []


def test_a_list_is_of_the_days_that_are_asked_for(carrier: Carrier) -> None:
    carrier.post(GOOD_FORM)
    today = datetime.fromtimestamp(carrier.accepted()[0]["at"], UTC).date()
    before, after = today - timedelta(days=1), today + timedelta(days=1)

    counts = {
        f"{name}{day}": len(listed(carrier, **{"To": TO, f"DateSent{name}": str(day)}))
        for name in ("", ">", "<")
        for day in (before, today, after)
    }

    assert counts == {
        f"{before}": 0,
        f"{today}": 1,
        f"{after}": 0,
        f">{before}": 1,
        f">{today}": 1,
        f">{after}": 0,
        f"<{before}": 0,
        f"<{today}": 1,
        f"<{after}": 1,
    }


def test_a_list_comes_in_pages(carrier: Carrier) -> None:
    for number in range(5):
        carrier.post(GOOD_FORM | {"Body": f"{number}"})

    _, page = ask(carrier, "Messages.json", To=TO, PageSize="2")
    bodies = [[one["body"] for one in page["messages"]]]
    while page["next_page_uri"]:
        _, page = ask(carrier, page["next_page_uri"].split(f"{ACCOUNT}/")[1])
        bodies.append([one["body"] for one in page["messages"]])

    assert bodies == [["4", "3"], ["2", "1"], ["0"]]
    assert (page["page"], page["start"], page["end"], page["page_size"]) == (2, 4, 4, 2)
    assert "Page=1&" in page["previous_page_uri"] + "&"


@pytest.mark.parametrize(
    "query", [{"DateSent": "yesterday"}, {"PageSize": "many"}, {"Page": "x"}, {"To": "57"}]
)
def test_a_question_nobody_understands_is_not_answered(
    carrier: Carrier, query: dict[str, str]
) -> None:
    status, answer = ask(carrier, "Messages.json", **({"To": TO} | query))

    assert status in {200, 400}
    assert not answer.get("messages")


def test_a_stranger_sees_nothing(carrier: Carrier) -> None:
    sid = carrier.post(GOOD_FORM)[1]["sid"]
    for rest in ("Messages.json", f"Messages/{sid}.json"):
        assert carrier.ask("GET", f"/2010-04-01/Accounts/{ACCOUNT}/{rest}")[0] == 401
        assert ask(carrier, rest, "AC1")[0] in {200, 404}
    assert listed(carrier, "AC1") == []
    assert ask(carrier, f"Messages/{sid}.json", "AC1")[0] == 404
    for unknown in ("SM1", "SM" + "0" * 32, "SM" + "f" * 32, "%C3%B1" * 34):
        assert ask(carrier, f"Messages/{unknown}.json")[0] == 404


def test_an_id_that_was_made_up_is_found_too(carrier: Carrier) -> None:
    sid = "SM" + "0" * 31 + "1"
    carrier.misbehave({"id": sid})
    carrier.post(GOOD_FORM)

    assert ask(carrier, f"Messages/{sid}.json")[1]["sid"] == sid


@pytest.mark.parametrize(
    ("to", "word", "code"),
    [
        (TO, "delivered", None),
        ("+17015550100", "undelivered", 30003),
        ("+13075550100", "failed", 30008),
        ("+16035550100", "delivered", None),
    ],
)
def test_a_message_ends_as_its_report_says(
    carrier: Carrier, to: str, word: str, code: int | None
) -> None:
    carrier.post(GOOD_FORM | {"To": to})

    until(lambda: listed(carrier, To=to)[0]["status"] == word)
    assert listed(carrier, To=to)[0]["error_code"] == code


def test_a_message_is_on_its_way_until_then(carrier: Carrier) -> None:
    carrier.misbehave({"lag": 3600})
    carrier.post(GOOD_FORM)

    assert listed(carrier)[0]["status"] == "sent"


# --- Infobip's logs -------------------------------------------------------------------------------


def logs(carrier: Carrier, key: str = "key", **query: str) -> list[dict[str, Any]]:
    status, answer, _ = carrier.ask(
        "GET", f"/sms/3/logs?{urlencode(query)}", Authorization=f"App {key}"
    )
    assert status == 200
    return list(answer["results"])


def test_logs_are_found_by_message_or_destination(carrier: Carrier) -> None:
    _, one = hand_over(carrier, "infobip")
    _, two = hand_over(carrier, "infobip")

    both = f"{one},{two}"

    assert [log["messageId"] for log in logs(carrier, messageId=both)] == [str(one), str(two)]
    assert [log["messageId"] for log in logs(carrier, messageId=str(two))] == [str(two)]
    assert len(logs(carrier, destination=TO[1:])) == 2
    assert logs(carrier, messageId=str(one))[0]["content"] == {"text": "Hola ☕"}
    assert logs(carrier, "another", messageId=str(one)) == []
    assert logs(carrier, messageId=str(uuid4())) == []
    assert logs(carrier) == []


def test_a_further_attempt_is_found_under_its_own_id_and_is_the_same_message(
    carrier: Carrier,
) -> None:
    provider = Infobip(Credential("acme", "key"), sender="Acme", base_url=URL(carrier.address))
    first = Outgoing(uuid4(), TO, "")
    second = replace(first, again_at=datetime.now(UTC))
    carrier.misbehave({"preset": "broken_taken", "reports": []})
    sent(provider, Batch([second], "Hola ☕", "SMS"))
    handed = Handed(second.id, TO, "Hola ☕", datetime.now(UTC), second.again_at)

    async def run(asked: Handed) -> list[Found]:
        async with http_session(concurrency=2, connect=10, read=10) as http:
            return await provider.look_up(asked, http)

    (found,) = asyncio.run(run(handed))
    assert found.provider_message_id == second.reference
    assert asyncio.run(run(replace(handed, again_at=None))) == []
    sent(provider, Batch([first], "Hola ☕", "SMS"))
    assert carrier.stats()["doubled"] == 1

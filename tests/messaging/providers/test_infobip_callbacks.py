"""Infobip's callbacks: whose they are, and what they say."""

import json
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from messaging.providers import signing
from messaging.providers.base import Callback, Credential, InvalidReport
from messaging.providers.infobip import Infobip
from tests.messaging.providers.test_infobip import (
    KEY,
    inbound_of,
    infobip,
    reported,
    reports_of,
)

# --- whose they are -------------------------------------------------------------------------------


def test_the_address_that_we_gave_is_the_proof() -> None:
    callback = reports_of(reported(uuid4(), "DELIVERED"))

    assert callback.url.startswith("http")
    assert "/api/providers/infobip/reports?callback_token=" in callback.url
    assert infobip().verify(callback)
    assert KEY not in callback.url


@pytest.mark.parametrize(
    "change",
    [
        lambda url: url[:-1],
        lambda url: url + "A",
        lambda url: url.partition("?")[0],
        lambda url: url.replace("callback_token", "token"),
        lambda url: url.partition("=")[0] + "=",
        lambda url: url.partition("=")[0] + "=☕",
        lambda url: url.replace("reports", "inbound"),
        lambda url: f"{url}&callback_token=x",
        lambda _: "https://[bad/reports?callback_token=1",
    ],
)
def test_another_address_is_no_proof(change: Any) -> None:
    callback = reports_of(reported(uuid4(), "DELIVERED"))

    assert not infobip().verify(replace(callback, url=change(callback.url)))


def test_the_proof_of_one_account_is_none_of_another() -> None:
    other = Infobip(Credential("carla", KEY), sender="Carla", base_url=URL("http://x"))

    assert not other.verify(reports_of(reported(uuid4(), "DELIVERED")))
    assert not other.verify(inbound_of())


def test_our_mark_of_a_message_is_no_proof_here() -> None:
    url = signing.callback_url("infobip", uuid4())

    assert not infobip().verify(Callback(url, {}, b"{}", "application/json"))
    assert not infobip().verify(
        Callback(url.replace("&s=", "&callback_token="), {}, b"{}", "application/json")
    )


def test_S62_a_new_key_still_knows_the_old_one_s_token(settings: Any) -> None:
    settings.SECRET_KEY = "old" * 20
    callback, before = reports_of(), infobip().inbound_url

    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "new" * 20, ["other" * 12, "old" * 20]
    assert infobip().verify(callback)
    assert infobip().inbound_url != before

    settings.SECRET_KEY_FALLBACKS = []
    assert not infobip().verify(callback)


# --- reports --------------------------------------------------------------------------------------


def test_a_hundred_reports_come_at_once() -> None:
    ids = [uuid4() for _ in range(100)]
    callback = reports_of(*(reported(message_id, "DELIVERED") for message_id in ids))
    assert len(callback.body) > 64 * 1024 * 0.6

    reports = infobip().read_reports(callback)

    assert [report.message_id for report in reports] == ids
    assert infobip().max_callback >= 3 * len(callback.body)


@pytest.mark.parametrize(
    ("group", "name", "status"),
    [
        ("PENDING", "PENDING_ENROUTE", "SENT"),
        ("DELIVERED", "DELIVERED_TO_HANDSET", "DELIVERED"),
        ("DELIVERED", "DELIVERED_TO_OPERATOR", "SENT"),
        ("UNDELIVERABLE", "UNDELIVERABLE_REJECTED_OPERATOR", "UNDELIVERED"),
        ("EXPIRED", "EXPIRED_EXPIRED", "UNDELIVERED"),
        ("EXPIRED", "EXPIRED_DLR_UNKNOWN", "SENT"),
        ("REJECTED", "REJECTED_NETWORK", "FAILED"),
        ("REJECTED", "REJECTED_DUPLICATE_MESSAGE_ID", ""),
    ],
)
def test_infobip_s_words_become_ours(group: str, name: str, status: str) -> None:
    (report,) = infobip().read_reports(reports_of(reported(uuid4(), group, name)))

    assert report.status == status


def test_a_report_is_read_in_our_words() -> None:
    message_id = uuid4()
    result = reported(message_id, "UNDELIVERABLE", "NOT_DELIVERED", error="EC_ABSENT_SUBSCRIBER")

    (report,) = infobip().read_reports(reports_of(result))

    assert (report.message_id, report.provider_message_id) == (message_id, str(message_id))
    assert (report.status, report.code) == ("UNDELIVERED", "EC_ABSENT_SUBSCRIBER")
    assert report.reason == "the phone is off or out of reach"
    assert report.raw == result


def test_what_no_table_explains_is_explained_by_infobip_itself() -> None:
    status_alone = reported(uuid4(), "UNDELIVERABLE", "UNDELIVERABLE_NOT_DELIVERED")
    unknown = reported(uuid4(), "UNDELIVERABLE", "UNDELIVERABLE_NOT_DELIVERED", error="EC_NEW")
    delivered = reported(uuid4(), "DELIVERED", "DELIVERED_TO_HANDSET", error="EC_NEW")

    first, second, third = infobip().read_reports(reports_of(status_alone, unknown, delivered))

    assert (first.code, first.reason) == (
        "UNDELIVERABLE_NOT_DELIVERED",
        "What UNDELIVERABLE_NOT_DELIVERED means",
    )
    assert (second.code, second.reason) == ("EC_NEW", "What EC_NEW means")
    assert (third.code, third.reason) == ("", "")


@pytest.mark.parametrize("error", ["EC_CONTENT_BLOCKED", "EC_SC_BLOCKED_BY_END_USER"])
def test_S32_an_opt_out_in_a_report_is_told_apart(error: str) -> None:
    result = reported(uuid4(), "UNDELIVERABLE", "UNDELIVERABLE_REJECTED_OPERATOR", error=error)

    (report,) = infobip().read_reports(reports_of(result))

    assert report.opts_out


def test_the_message_of_another_program_on_the_account_is_none_of_ours() -> None:
    mine, theirs = uuid4(), ["12db39c3", "2250be2d4219-3af1-78856-aabe-1362af1edfd2", uuid4().hex]
    results = [
        reported(mine, "DELIVERED"),
        *({**reported(mine, "DELIVERED"), "messageId": one} for one in theirs),
    ]

    reports = infobip().read_reports(reports_of(*results))

    assert [report.message_id for report in reports] == [mine, None, None, None]
    assert [report.provider_message_id for report in reports[1:]] == theirs


def test_a_result_that_says_nothing_does_not_hold_up_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    mine = uuid4()
    broken = [{}, {"messageId": 7}, {"messageId": "a"}, {"messageId": "a", "status": "x"}]

    (report,) = infobip().read_reports(reports_of(*broken, reported(mine, "DELIVERED")))

    assert report.message_id == mine
    (record,) = caplog.records
    assert (record.message, vars(record)["count"]) == ("provider_results_unreadable", 4)


def test_no_result_at_all_is_no_report() -> None:
    assert infobip().read_reports(reports_of()) == []
    with pytest.raises(InvalidReport):
        infobip().read_reports(reports_of({}))


@given(
    st.recursive(
        st.none() | st.integers() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(st.sampled_from(["name", "groupName", "groupId", "description"]), x)
        ),
    )
)
def test_no_status_whatever_makes_reading_fail_otherwise(status: object) -> None:
    result = {"messageId": str(uuid4()), "status": status, "error": status}
    body = json.dumps({"results": [result]}).encode()
    try:
        (report,) = infobip().read_reports(Callback("https://x", {}, body, "application/json"))
    except InvalidReport:
        return
    assert len(report.code) <= 64


# --- what people write ----------------------------------------------------------------------------

WRITTEN = {
    "messageId": "817790313235066447",
    "from": "385916242493",
    "to": "385921004026",
    "text": "QUIZ Correct answer is Paris",
    "cleanText": "Correct answer is Paris",
    "keyword": "QUIZ",
    "receivedAt": "2019-11-09T16:00:00.000+0000",
    "smsCount": 1,
}


def test_the_documented_example_is_read() -> None:
    (inbound,) = infobip().read_inbound(inbound_of(WRITTEN))

    assert (inbound.sender, inbound.recipient) == ("+385916242493", "+385921004026")
    assert inbound.text == "QUIZ Correct answer is Paris"
    assert inbound.provider_message_id == "817790313235066447"
    assert inbound.keyword == ""
    assert inbound.raw == WRITTEN


@pytest.mark.parametrize("word", ["STOP", "START", None])
def test_what_a_text_begins_with_is_no_reading_of_it(word: str | None) -> None:
    (inbound,) = infobip().read_inbound(inbound_of({**WRITTEN, "keyword": word}))

    assert inbound.keyword == ""


def test_a_short_code_stays_one() -> None:
    (inbound,) = infobip().read_inbound(inbound_of({**WRITTEN, "to": "890123", "text": None}))

    assert (inbound.recipient, inbound.text) == ("890123", "")


def test_a_message_of_nobody_does_not_hold_up_the_others() -> None:
    (inbound,) = infobip().read_inbound(inbound_of({**WRITTEN, "from": ""}, {}, WRITTEN))

    assert inbound.sender == "+385916242493"

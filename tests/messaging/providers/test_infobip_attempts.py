"""Infobip keeps what it says under the id that we gave: each attempt has its own."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from messaging.providers.base import Accepted, Batch, Unclear
from tests.messaging.providers.batches import a_batch, sent
from tests.messaging.providers.look_up_contract import asked, handed_over
from tests.messaging.providers.stand_in import StandIn, says
from tests.messaging.providers.test_infobip import infobip, of, reported, reports_of

AGAIN_AT: Final = datetime(2026, 11, 23, 12, 0, 0, 123_456, tzinfo=UTC)


def again(batch: Batch) -> Batch:
    return replace(batch, messages=[replace(one, again_at=AGAIN_AT) for one in batch.messages])


def test_a_second_attempt_goes_under_another_id_and_is_matched_by_it() -> None:
    batch = again(a_batch(2))
    first, second = batch.messages
    entries = [
        of(first.id, "PENDING", "PENDING_ACCEPTED", messageId=first.reference),
        of(second.id, "PENDING", "PENDING_ACCEPTED"),  # what was said under the first attempt's
    ]

    with StandIn(says(200, {"messages": entries})) as carrier:
        results = sent(infobip(carrier.address), batch)

    (request,) = carrier.requests
    (message,) = json.loads(request.body)["messages"]
    assert [one["messageId"] for one in message["destinations"]] == [
        f"{first.id}-{first.reference[37:]}",
        second.reference,
    ]
    assert results[first.id] == Accepted(
        first.reference, {"status": "PENDING_ACCEPTED", "segments": 2}
    )
    assert isinstance(results[second.id], Unclear)


def test_a_report_names_its_message_and_its_attempt() -> None:
    (message,) = again(a_batch()).messages
    result = reported(message.id, "DELIVERED", messageId=message.reference)

    (report,) = infobip().read_reports(reports_of(result))

    assert (report.message_id, report.provider_message_id) == (message.id, message.reference)


def test_a_look_up_asks_for_the_attempt_and_believes_no_other_log() -> None:
    handed = replace(handed_over(), again_at=AGAIN_AT)
    earlier = reported(handed.id, "REJECTED", "REJECTED_NOT_ENOUGH_CREDITS")
    own = reported(handed.id, "DELIVERED", "DELIVERED_TO_HANDSET", messageId=handed.reference)

    with StandIn(
        says(200, {"results": [earlier]}), says(200, {"results": [earlier, own]})
    ) as carrier:
        nothing = asked(infobip(carrier.address), handed)
        (found,) = asked(infobip(carrier.address), handed)

    assert nothing == []
    assert (found.status, found.provider_message_id) == ("DELIVERED", handed.reference)
    query = parse_qsl(urlsplit(carrier.requests[0].path).query)
    assert query == [("messageId", handed.reference)]

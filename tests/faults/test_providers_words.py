"""B34, B56, B60: whatever a carrier says, each message has one of five outcomes; a busy one is heeded."""

import asyncio
import contextlib
import json
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.models import Member
from accounts.rate_limits import Bucket
from messaging import breaker, delivery, providers
from messaging.providers.base import (
    Batch,
    HTTPProvider,
    InvalidReport,
    Outgoing,
    Reply,
    Request,
)
from messaging.providers.callbacks import Callback
from messaging.providers.credentials import ProviderURL
from messaging.providers.infobip import Infobip
from messaging.providers.registry import PROVIDERS
from messaging.providers.results import Result, Unavailable
from tests.messaging.factories import sent_broadcast
from tests.messaging.providers.stand_in import Received, StandIn, says

URLS = {
    "twilio": f"twilio://AC{'0' * 32}:token@api.twilio.com?from=%2B15005550006",
    "infobip": "infobip://acme:key@x.api.infobip.com?from=Acme",
    "vonage": "vonage://a1b2c3d4:secret@api.nexmo.com?from=Acme&signature_secret=signature",
}

# Anything that is JSON, with the words of the carriers' own answers more often than chance gives them.
words = st.sampled_from(
    [
        *("sid", "code", "message", "status", "num_segments", "messages", "results", "messageId"),
        *("groupName", "groupId", "name", "error", "to", "id", "description", "requestError"),
    ]
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=6),
    max_leaves=25,
)


def carriers() -> list[HTTPProvider]:
    """Return every provider that speaks HTTP."""
    made = []
    for slug, url in URLS.items():
        provider = PROVIDERS[slug].from_url(ProviderURL.parse(url, production=False))
        assert isinstance(provider, HTTPProvider)
        made.append(provider)
    return made


def test_every_provider_that_speaks_http_stands_above() -> None:
    assert URLS.keys() == {slug for slug, cls in PROVIDERS.items() if issubclass(cls, HTTPProvider)}


def batch_for(provider: HTTPProvider) -> Batch:
    messages = [
        Outgoing(uuid4(), "+573001234567", "https://pregon.example/r")
        for _number in range(min(3, provider.max_batch))
    ]
    return Batch(messages=messages, text="Hola", kind="SMS")


@pytest.mark.parametrize("provider", carriers(), ids=lambda provider: provider.slug)
@settings(max_examples=300, deadline=None)
@given(status=st.integers(200, 599), payload=values)
def test_B60_whatever_is_answered_each_message_has_one_of_five_outcomes(
    provider: HTTPProvider, status: int, payload: object
) -> None:
    batch = batch_for(provider)

    results = provider.judge(Reply(status, {}, json.dumps(payload).encode()), batch)

    assert results.keys() == {message.id for message in batch.messages}
    assert all(isinstance(result, Result) for result in results.values())


@pytest.mark.parametrize("provider", carriers(), ids=lambda provider: provider.slug)
@settings(max_examples=300, deadline=None)
@given(body=values | st.dictionaries(st.just("results"), st.lists(values)), status=st.text())
def test_B60_whatever_is_reported_is_read_or_refused_in_words(
    provider: HTTPProvider, body: object, status: str
) -> None:
    for content_type, raw in (
        ("application/json", json.dumps(body).encode()),
        (
            "application/x-www-form-urlencoded",
            f"MessageSid=SM{'0' * 32}&MessageStatus={status}".encode(errors="replace"),
        ),
    ):
        callback = Callback(
            url=f"https://pregon.example/api/providers/{provider.slug}/reports",
            headers={},
            body=raw,
            content_type=content_type,
        )
        reports = []
        with contextlib.suppress(InvalidReport):  # and nothing else
            reports = provider.read_reports(callback)

        known = {"", "SENT", "DELIVERED", "UNDELIVERED", "FAILED"}
        assert {report.status for report in reports} <= known


@pytest.mark.parametrize("provider", carriers(), ids=lambda provider: provider.slug)
def test_B56_a_429_is_never_processed_and_gives_the_attempt_back(provider: HTTPProvider) -> None:
    batch = batch_for(provider)

    results = provider.judge(Reply(429, {"Retry-After": "7"}, b"{}"), batch)

    for result in results.values():
        assert isinstance(result, Unavailable)
        assert (result.gives_attempt_back, result.retry_after) == (True, 7.0)


@pytest.mark.usefixtures("fresh_rate_limits")
def test_B56_a_busy_carriers_bucket_gives_no_worker_anything_meanwhile() -> None:
    workers = [Bucket("provider:busy", rate=50) for _number in range(4)]
    assert all(worker.take(amount=1, patience=0).granted for worker in workers)

    workers[0].hold(60)

    assert not any(worker.take(amount=1, patience=1).granted for worker in workers)
    assert workers[1].take(amount=1, patience=100).wait > 30


@pytest.mark.usefixtures("fresh_rate_limits")
def test_B34_a_message_that_cannot_be_put_into_a_request_fails_after_three_tries_alone(
    ana: Member, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, *others = [f"+57300123456{digit}" for digit in range(5)]
    with StandIn(_takes_all) as carrier:
        settings.SMS_PROVIDERS = [f"{URLS['infobip']}&base_url={carrier.address}"]
        (provider,) = providers.configured()
        assert isinstance(provider, Infobip)
        build = provider.build

        def build_all_but_one(batch: Batch) -> Request:
            if bad in [message.recipient for message in batch.messages]:
                raise ValueError("cannot be put into words")
            return build(batch)

        monkeypatch.setattr(provider, "build", build_all_but_one)
        sent = sent_broadcast(ana, bad, *others)
        for _try in range(3):
            assert sent.messages.get(recipient=bad).status == "QUEUED"
            sent.messages.update(next_attempt_at=timezone.now())
            delivery.drain(queue_id=sent.pk, lane=0)

    failed = sent.messages.get(recipient=bad)
    found = (failed.status, failed.error_code, failed.charge, failed.attempts)
    assert found == ("FAILED", "internal", "RELEASED", 3)
    assert set(sent.messages.exclude(recipient=bad).values_list("status", flat=True)) == {"SENT"}
    assert len(carrier.requests) == 1
    assert breaker.states([provider.name]) == {}


async def _takes_all(request: Received, writer: asyncio.StreamWriter) -> None:
    (message,) = json.loads(request.body)["messages"]
    status = {"groupId": 1, "groupName": "PENDING", "id": 26, "name": "PENDING_ACCEPTED"}
    answers = [
        {"messageId": destination["messageId"], "status": status}
        for destination in message["destinations"]
    ]
    await says(200, {"messages": answers})(request, writer)

"""What every refusal of the API has in common: one shape on the wire, and no trace anywhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from django.test import TestCase

from accounts.models import AuditEntry
from billing.models import CreditAccount, LedgerEntry
from messaging.models import Broadcast, DeliveryReport, IdempotencyKey, Message, Skip

# Python's own phrases changed from version to version.
PHRASES = {413: "Payload Too Large", 422: "Unprocessable Entity"}
SHAPE = {"statusCode", "code", "message", "error"}
OF_CREDITS = {"required", "available", "shortfall"}
OF_A_CAP = {"resetsAt"}


def told(answer: Any) -> tuple[int, str]:
    """Return status and code of a refusal, which must have the contract's shape."""
    assert answer["Content-Type"] == "application/json"
    body = answer.json()
    status = answer.status_code
    extras = set(body) - SHAPE
    allowed = {400: {"fields"}, 402: OF_A_CAP if body["code"] == "4020" else OF_CREDITS}.get(
        status, set()
    )
    assert set(body) >= SHAPE, body
    assert extras <= allowed, body
    assert body["statusCode"] == status
    assert isinstance(body["code"], str)
    assert body["error"] == PHRASES.get(status, HTTPStatus(status).phrase)
    sentences = body["message"] if isinstance(body["message"], list) else [body["message"]]
    assert sentences
    assert all(isinstance(sentence, str) and sentence.strip() for sentence in sentences)
    for name, texts in body.get("fields", {}).items():
        assert name
        assert texts
        assert all(isinstance(text, str) and text.strip() for text in texts)
    return status, body["code"]


def fields(answer: Any) -> set[str]:
    """Return the names of the fields that a refusal is about."""
    return set(answer.json().get("fields", {}))


@contextmanager
def nothing_happens() -> Iterator[None]:
    """Hold that nothing is stored, charged or queued meanwhile."""
    before = _everything()
    with TestCase.captureOnCommitCallbacks() as wakes:
        yield
    assert _everything() == before
    assert wakes == []


def _everything() -> dict[str, Any]:
    rows = (Broadcast, Message, Skip, LedgerEntry, AuditEntry, DeliveryReport, IdempotencyKey)
    return {
        **{model.__name__: model._default_manager.count() for model in rows},
        "balances": sorted(
            CreditAccount.objects.values_list("id", "available", "reserved", "spent")
        ),
    }

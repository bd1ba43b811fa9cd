"""Vonage's callbacks as its documentation has them, signed apart from the code under test."""

import base64
import hashlib
import hmac
import json
from uuid import UUID

from messaging.providers import signing
from messaging.providers.base import Callback

KEY = "a1b2c3d4"
SIGNATURE_SECRET = "the+signature/secret=of acme"
UUID_OF_THEIRS = "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab"


def part(content: object) -> str:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).decode().replace("=", "")


def token(claims: dict[str, object], secret: str, header: dict[str, str] | None = None) -> str:
    """Return a JSON web token (RFC 7515, HS256)."""
    signed = f"{part(header or {'alg': 'HS256', 'typ': 'JWT'})}.{part(claims)}"
    mac = hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{part(mac)}"


def claims_for(body: bytes) -> dict[str, object]:
    """Return what the sample in Vonage's documentation of signed webhooks holds, for this body."""
    return {
        "iat": 1587494962,
        "jti": "c5ba8f24-1a14-4c10-bfdf-3fbe8ce511b5",
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(body).hexdigest(),
        "api_key": KEY,
        "application_id": "aaaaaaaa-bbbb-cccc-dddd-0123456789ab",
    }


def called(url: str, said: object, *, secret: str = SIGNATURE_SECRET) -> Callback:
    body = json.dumps(said).encode()
    proof = {"authorization": f"Bearer {token(claims_for(body), secret)}"}
    return Callback(url, proof, body, "application/json; charset=utf-8")


def status_of(client_ref: str, word: str, **more: object) -> dict[str, object]:
    """Return a status callback for SMS, as the reference shows it."""
    return {
        "message_uuid": UUID_OF_THEIRS,
        "to": "573001112233",
        "from": "573001110000",
        "timestamp": "2025-02-03T12:14:25Z",
        "status": word,
        "client_ref": client_ref,
        "usage": {"currency": "EUR", "price": "0.0333"},
        "channel": "sms",
        "destination": {"network_code": "12345"},
        "sms": {"count_total": "2"},
        **more,
    }


def error(code: str, detail: str = "What it means") -> dict[str, object]:
    return {
        "type": f"https://developer.vonage.com/api-errors/messages#{code}",
        "title": code,
        "detail": detail,
        "instance": "bf0ca0bf927b3b52e3cb03217e1a1ddf",
    }


def report(message_id: UUID, word: str, /, **more: object) -> Callback:
    url = signing.callback_url("vonage", message_id)
    return called(url, status_of(str(message_id), word, **more))


def inbound(sender: str, text: str, /, **more: object) -> Callback:
    """Return an inbound SMS, as the reference shows it."""
    said = {
        "channel": "sms",
        "message_uuid": UUID_OF_THEIRS,
        "to": "573001110000",
        "from": sender.removeprefix("+"),
        "timestamp": "2025-02-03T12:14:25Z",
        "text": text,
        "sms": {"num_messages": "2", "keyword": text.split(maxsplit=1)[0].upper()},
        "usage": {"currency": "EUR", "price": "0.0333"},
        "origin": {"network_code": "12345"},
        **more,
    }
    return called(signing.door("vonage", "inbound"), said)

"""Vonage's way: `POST /v1/messages` as JSON, one message a request, callbacks with a signed token."""

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final
from uuid import UUID, uuid4

from aiohttp import web

from messaging.sandbox.answers import phrase
from messaging.sandbox.behaviour import Behaviour
from messaging.sandbox.carrier import CARRIER, Offer
from messaging.sandbox.dialect import Call, Dialect, Envelope, Told, Written
from messaging.sandbox.segments import segments, utf_16_units

_NUMBER: Final = re.compile(r"[1-9][0-9]{6,14}")
_ERRORS: Final = "https://developer.vonage.com/api-errors"

# The refusals of a message, by the code of a behaviour, which is Twilio's.
_REFUSED: Final[Mapping[int, int]] = {21211: 1430, 21614: 1040, 21610: 1240}
# The refusals of an account, and what goes wrong, by the HTTP status.
_NAMES: Final[Mapping[int, str]] = {
    401: "unauthorized",
    402: "low-balance",
    403: "forbidden",
    404: "not-found",
    429: "throttled",
}

# What a report's word is here, with the error it has where the behaviour names none.
_WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "queued": ("submitted", ""),
    "sent": ("submitted", ""),
    "delivered": ("delivered", ""),
    "undelivered": ("rejected", "1330"),
    "failed": ("undeliverable", "1331"),
}
_TWILIO_S: Final[Mapping[str, str]] = {"30003": "1180", "30008": "1330"}


def routes() -> list[web.RouteDef]:
    """Return what Vonage answers to."""
    return [
        web.post("/v1/messages", create_message),
        web.route("*", "/v1/{rest:.*}", not_found),
    ]


# --- taking ---------------------------------------------------------------------------------------


async def create_message(request: web.Request) -> web.Response:
    """Take a message or refuse it, with what is wrong about it."""
    login = _login(request.headers.get("Authorization", ""))
    if login is None:
        return _error(401, "#unauthorized", "You did not provide correct credentials.")
    try:
        said = json.loads(await request.read())
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        return _error(422, "#invalid-json", "The request body did not contain valid JSON")
    if wrong := _wrong(said):
        return _invalid(*wrong)
    reference = said.get("client_ref", "")
    offer = Offer(
        f"+{said['to']}",
        said["from"],
        said["text"],
        said.get("webhook_url", ""),
        _ours(reference),
        str(uuid4()),
    )
    (line,) = await request.app[CARRIER].take(request, DIALECT, login, [offer])
    if line.behaviour.status >= 300:
        return _refused(line.behaviour)
    return web.json_response({"message_uuid": line.id}, status=line.behaviour.status or 202)


async def not_found(_request: web.Request) -> web.Response:
    """Answer as Vonage does where it has nothing."""
    return _error(404, "#not-found", "The requested resource does not exist")


def _wrong(said: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the first parameter that Vonage would not take, with its reason."""
    if said.get("channel") != "sms":
        return "channel", "must be `sms`, which is what this carrier knows"
    if said.get("message_type") != "text":
        return "message_type", "must be `text`"
    for name in ("to", "from", "text"):
        if not isinstance(said.get(name), str) or not said[name]:
            return name, "is required"
    if not _NUMBER.fullmatch(said["to"]):
        return "to", "must be a number in E.164 without a leading +"
    if utf_16_units(said["text"]) > 3200:
        return "text", "is limited to 3200 characters"
    for name, most in (("client_ref", 100), ("webhook_url", 2048)):
        if not isinstance(said.get(name, ""), str) or len(said.get(name, "")) > most:
            return name, f"must be a string of up to {most} characters"
    return None


def _ours(reference: str) -> str | None:
    """Return the site's own id, hexadecimal; none where the reference is no UUID."""
    try:
        return UUID(reference).hex
    except ValueError:
        return None


def _refused(behaviour: Behaviour) -> web.Response:
    status = 422 if behaviour.status == 400 else behaviour.status
    if isinstance(behaviour.code, str):
        pointer = f"/messages#{behaviour.code}"
    elif behaviour.code in _REFUSED:
        pointer = f"/messages#{_REFUSED[behaviour.code]}"
    else:
        pointer = f"#{_NAMES.get(status, 'internal-error')}"
    return _error(status, pointer, behaviour.words or phrase(status))


def _invalid(name: str, reason: str) -> web.Response:
    return _error(
        422,
        "/messages#1150",
        "The value of one or more parameters is invalid.",
        invalid_parameters=[{"name": name, "reason": reason}],
    )


def _error(status: int, pointer: str, detail: str, **more: object) -> web.Response:
    return web.json_response(
        {
            "type": f"{_ERRORS}{pointer}",
            "title": phrase(status),
            "detail": detail,
            "instance": uuid4().hex,
            **more,
        },
        status=status,
        content_type="application/problem+json",
    )


@lru_cache(maxsize=64)
def _login(header: str) -> tuple[str, str] | None:
    """Return key and secret of Basic authentication; any pair is welcome."""
    scheme, _, encoded = header.partition(" ")
    try:
        key, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (key, secret) if scheme.lower() == "basic" and colon and secret else None


# --- telling --------------------------------------------------------------------------------------


def report(envelope: Envelope, told: Sequence[Told]) -> Call:
    """Return the status callback of one message."""
    (one,) = told
    if not one.is_known:
        envelope = envelope._replace(url=envelope.url.partition("?")[0])
    # Words and codes that nobody knows stay as they are.
    word, error = _WORDS.get(one.word, (one.word, ""))
    error = _TWILIO_S.get(one.code, one.code) or error
    said: dict[str, object] = {
        "message_uuid": _uuid(one.provider_id),
        "to": one.recipient[1:],
        "from": envelope.sender.number,
        "timestamp": _time(),
        "status": word,
        "channel": "sms",
        "usage": {"currency": "EUR", "price": "0.0333"},
        "sms": {"count_total": "1"},
    }
    if one.message_id:
        said["client_ref"] = str(UUID(one.message_id))
    if error:
        said["error"] = {
            "type": f"{_ERRORS}/messages#{error}",
            "title": error,
            "detail": "What happened to it",
            "instance": uuid4().hex,
        }
    return _signed(envelope, said)


def inbound(envelope: Envelope, written: Written) -> Call:
    """Return the webhook call for an SMS that somebody wrote to a number of the account."""
    return _signed(
        envelope,
        {
            "channel": "sms",
            "message_uuid": _uuid(written.provider_id),
            "to": written.recipient.removeprefix("+"),
            "from": written.sender.removeprefix("+"),
            "timestamp": _time(),
            "text": written.text,
            "sms": {
                "num_messages": str(segments(written.text)),
                "keyword": (written.text.split() or [""])[0].upper(),
            },
            "usage": {"currency": "EUR", "price": "0.0"},
        },
    )


def _signed(envelope: Envelope, said: dict[str, object]) -> Call:
    """Return the call with Vonage's token: the secret of the login stands in for the signature's."""
    body = json.dumps(said, separators=(",", ":"), ensure_ascii=False).encode()
    claims = {
        "iat": int(time.time()),
        "jti": str(uuid4()),
        "iss": "Vonage",
        "payload_hash": hashlib.sha256(body).hexdigest(),
        "api_key": envelope.sender.account,
    }
    head = ".".join(_part(json.dumps(part).encode()) for part in (_HEADER, claims))
    mac = hmac.digest(envelope.token.encode(), head.encode(), "sha256")
    return Call(
        envelope.url,
        body,
        {"Content-Type": "application/json", "Authorization": f"Bearer {head}.{_part(mac)}"},
    )


_HEADER: Final = {"alg": "HS256", "typ": "JWT"}


def _part(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _uuid(reference: str) -> str:
    """Return an id as Vonage writes it; one that a test chose stays as it is."""
    return str(UUID(reference)) if re.fullmatch(r"[0-9a-f]{32}", reference) else reference


def _time() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


DIALECT: Final = Dialect(slug="vonage", own_ids="", routes=routes, report=report, inbound=inbound)

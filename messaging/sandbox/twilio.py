"""Twilio's way of taking messages: `POST /2010-04-01/Accounts/{sid}/Messages.json`."""

import base64
import binascii
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from aiohttp import web

from messaging.sandbox.behaviour import Behaviour
from messaging.sandbox.carrier import CARRIER, Carrier

API: Final = "2010-04-01"

_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_OUR_ID: Final = re.compile(r"[?&]m=([0-9a-f]{32})(?:&|$)")
_GSM_7: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_7_EXTENSION: Final = frozenset("^{}\\[~]|€\f")


def routes() -> list[web.AbstractRouteDef]:
    """Return what Twilio answers to."""
    return [
        web.post(f"/{API}/Accounts/{{account}}/Messages.json", create_message),
        web.route("*", f"/{API}/{{rest:.*}}", not_found),
    ]


async def create_message(request: web.Request) -> web.Response:
    """Take a message or refuse it, in the order in which Twilio checks."""
    carrier = request.app[CARRIER]
    login = _login(request.headers.get("Authorization", ""))
    if login is None or login[0] != request.match_info["account"]:
        return _error(401, 20003, "Authenticate")
    form = dict(parse_qsl((await request.read()).decode(errors="replace"), keep_blank_values=True))
    if refusal := _refusal(form):
        return _error(400, *refusal)
    behaviour = carrier.behaviours.of(form["To"])
    sid = _accept(carrier, login, form, behaviour) if behaviour.accepts else ""
    if behaviour.status != 201:
        return _error(
            behaviour.status, behaviour.code, behaviour.words, retry_after=behaviour.retry_after
        )
    return web.json_response(_message(login[0], sid, form), status=201)


async def not_found(request: web.Request) -> web.Response:
    """Answer as Twilio does where it has nothing."""
    return _error(404, 20404, f"The requested resource {request.path} was not found")


def _accept(
    carrier: Carrier, login: tuple[str, str], form: Mapping[str, str], behaviour: Behaviour
) -> str:
    callback = form.get("StatusCallback", "")
    ours = _OUR_ID.search(callback)
    number = carrier.record.add(form["To"], ours[1] if ours else None)
    carrier.reporter.report(
        number,
        login=login,
        sender=_sender(form),
        callback=callback,
        final=(behaviour.final, behaviour.final_code),
    )
    return carrier.record.provider_id(number)


def _refusal(form: Mapping[str, str]) -> tuple[int, str] | None:
    """Return code and words of what Twilio would not take of this form."""
    to, body, callback = form.get("To", ""), form.get("Body", ""), form.get("StatusCallback", "")
    if not to:
        return 21604, "A 'To' phone number is required."
    if not _sender(form):
        return 21603, "A 'From' phone number is required."
    if not body:
        return 21602, "Message body is required."
    if _utf_16_units(body) > 1600:
        return 21617, "The concatenated message body exceeds the 1600 character limit."
    if not _E164.fullmatch(to):
        return 21211, f"Invalid 'To' Phone Number: {to[:20]}"
    if callback and not _is_address(callback.partition("?")[0]):
        return 21609, "The 'StatusCallback' URL is not a valid URL."
    return None


def _error(status: int, code: int, words: str, *, retry_after: str = "") -> web.Response:
    return web.json_response(
        {
            "code": code,
            "message": words,
            "more_info": f"https://www.twilio.com/docs/errors/{code}",
            "status": status,
        },
        status=status,
        headers={"Retry-After": retry_after} if retry_after else None,
    )


def _message(account: str, sid: str, form: Mapping[str, str]) -> dict[str, object]:
    now = format_datetime(datetime.now(UTC))
    service = form.get("MessagingServiceSid")
    uri = f"/{API}/Accounts/{account}/Messages/{sid}"
    return {
        "account_sid": account,
        "api_version": API,
        "body": form["Body"],
        "date_created": now,
        "date_sent": None,
        "date_updated": now,
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": None if service else form.get("From"),
        "messaging_service_sid": service,
        "num_media": "0",
        "num_segments": "0" if service else str(segments(form["Body"])),
        "price": None,
        "price_unit": "USD",
        "sid": sid,
        "status": "accepted" if service else "queued",
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": form["To"],
        "uri": f"{uri}.json",
    }


def _sender(form: Mapping[str, str]) -> str:
    return form.get("MessagingServiceSid") or form.get("From", "")


@lru_cache(maxsize=64)
def _login(header: str) -> tuple[str, str] | None:
    """Return user and password of Basic authentication; any pair is welcome."""
    scheme, _, encoded = header.partition(" ")
    try:
        user, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if scheme.lower() == "basic" and colon and password else None


@lru_cache(maxsize=64)
def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # no number for a port, half an IPv6 address
        return False


@lru_cache(maxsize=64)
def segments(text: str) -> int:
    """Return how many SMS parts the text takes (3GPP 23.038): the carrier's own count.

    A character of two units is never split over two parts.
    """
    if set(text) <= _GSM_7 | _GSM_7_EXTENSION:
        sizes, alone, part = [1 + (c in _GSM_7_EXTENSION) for c in text], 160, 153
    else:
        sizes, alone, part = [1 + (ord(c) > 0xFFFF) for c in text], 70, 67
    if sum(sizes) <= alone:
        return 1
    count, used = 1, 0
    for size in sizes:
        if used + size > part:
            count, used = count + 1, 0
        used += size
    return count


@lru_cache(maxsize=64)
def _utf_16_units(text: str) -> int:
    return len(text) + sum(character > "\uffff" for character in text)

"""Twilio's way: `POST /2010-04-01/Accounts/{sid}/Messages.json`, look-ups, signed callbacks."""

import base64
import binascii
import hmac
import re
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from datetime import time as dt_time
from email.utils import format_datetime
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_plus, urlencode, urlsplit

from aiohttp import web

from messaging.sandbox.answers import phrase
from messaging.sandbox.behaviour import Behaviour
from messaging.sandbox.carrier import CARRIER, Offer
from messaging.sandbox.dialect import Call, Dialect, Envelope, Told, Written
from messaging.sandbox.record import Acceptance
from messaging.sandbox.segments import segments, utf_16_units

API: Final = "2010-04-01"

_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_OUR_ID: Final = re.compile(r"[?&]m=([0-9a-f]{32})(?:&|$)")


def routes() -> list[web.RouteDef]:
    """Return what Twilio answers to."""
    return [
        web.post(f"/{API}/Accounts/{{account}}/Messages.json", create_message),
        web.get(f"/{API}/Accounts/{{account}}/Messages.json", list_messages),
        web.get(f"/{API}/Accounts/{{account}}/Messages/{{sid}}.json", fetch_message),
        web.route("*", f"/{API}/{{rest:.*}}", not_found),
    ]


# --- taking ---------------------------------------------------------------------------------------


async def create_message(request: web.Request) -> web.Response:
    """Take a message or refuse it, in the order in which Twilio checks."""
    login = _login(request.headers.get("Authorization", ""))
    if login is None or login[0] != request.match_info["account"]:
        return _error(401, 20003, "Authenticate")
    form = _form(await request.read())
    if refusal := _refusal(form):
        return _error(400, *refusal)
    callback = form.get("StatusCallback", "")
    ours = _OUR_ID.search(callback)
    offer = Offer(form["To"], _sender(form), form["Body"], callback, ours[1] if ours else None)
    (line,) = await request.app[CARRIER].take(request, DIALECT, login, [offer])
    if line.behaviour.status >= 300:
        return _refused(line.behaviour)
    parts = line.behaviour.segments or (0 if _is_service(offer.sender) else segments(offer.text))
    word = "accepted" if _is_service(offer.sender) else "queued"
    message = _message(login[0], line.id, offer.recipient, offer.sender, offer.text, parts)
    message["status"] = word
    return web.json_response(message, status=line.behaviour.status or 201)


async def not_found(request: web.Request) -> web.Response:
    """Answer as Twilio does where it has nothing."""
    return _error(404, 20404, f"The requested resource {request.path} was not found")


def _form(body: bytes) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in body.decode(errors="replace").split("&"))
    return {_unquoted(name): _unquoted(value) for name, _, value in pairs}


# Most of a form is the same from message to message, and taking it apart is most of the work.
_unquoted = lru_cache(maxsize=256)(unquote_plus)


def _refusal(form: Mapping[str, str]) -> tuple[int, str] | None:
    """Return code and words of what Twilio would not take of this form."""
    to, body, callback = form.get("To", ""), form.get("Body", ""), form.get("StatusCallback", "")
    if not to:
        return 21604, "A 'To' phone number is required."
    if not _sender(form):
        return 21603, "A 'From' phone number is required."
    if not body:
        return 21602, "Message body is required."
    if utf_16_units(body) > 1600:
        return 21617, "The concatenated message body exceeds the 1600 character limit."
    if not _E164.fullmatch(to):
        return 21211, f"Invalid 'To' Phone Number: {to[:20]}"
    if callback and not _is_address(callback.partition("?")[0]):
        return 21609, "The 'StatusCallback' URL is not a valid URL."
    return None


def _refused(behaviour: Behaviour) -> web.Response:
    status = behaviour.status
    code = behaviour.code or (20003 if status == 401 else 20000 + status)
    words = behaviour.words or phrase(status)
    return _error(status, code, words)


def _error(status: int, code: int | str, words: str) -> web.Response:
    return web.json_response(
        {
            "code": code,
            "message": words,
            "more_info": f"https://www.twilio.com/docs/errors/{code}",
            "status": status,
        },
        status=status,
    )


def _message(
    account: str, sid: str | int | None, to: str, sender: str, text: str, parts: int, at: float = 0
) -> dict[str, object]:
    """Return a message as Twilio shows it, when it is new."""
    created = _date(int(at or time.time()))
    uri = f"/{API}/Accounts/{account}/Messages/{sid}"
    return {
        "account_sid": account,
        "api_version": API,
        "body": text,
        "date_created": created,
        "date_sent": None,
        "date_updated": created,
        "direction": "outbound-api",
        "error_code": None,
        "error_message": None,
        "from": None if _is_service(sender) else sender,
        "messaging_service_sid": sender if _is_service(sender) else None,
        "num_media": "0",
        "num_segments": str(parts),
        "price": None,
        "price_unit": "USD",
        "sid": sid,
        "status": "queued",
        "subresource_uris": {"media": f"{uri}/Media.json"},
        "to": to,
        "uri": f"{uri}.json",
    }


@lru_cache(maxsize=64)
def _date(second: int) -> str:
    return format_datetime(datetime.fromtimestamp(second, UTC))


def _is_service(sender: str) -> bool:
    return sender.startswith("MG") and len(sender) == 34


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


# --- looking up -----------------------------------------------------------------------------------


async def list_messages(request: web.Request) -> web.Response:
    """List the messages of an account, the newest first, by `To`, `From` and `DateSent` in pages."""
    carrier, account = request.app[CARRIER], request.match_info["account"]
    login = _login(request.headers.get("Authorization", ""))
    if login is None or login[0] != account:
        return _error(401, 20003, "Authenticate")
    query, to = request.query, request.query.get("To", "")
    behaviour = await carrier.asked(request, DIALECT, account, to)
    if behaviour.status >= 300:
        return _refused(behaviour)
    try:
        wanted = _wanted(query)
        size = min(max(int(query.get("PageSize", "50")), 1), 1000)
        page = max(int(query.get("Page", "0")), 0)
    except ValueError:
        return _error(400, 20001, "Invalid parameter")
    kept = carrier.record.of_recipient(to) if to else carrier.record.acceptances()
    found = [
        one
        for one in kept
        if one.shared.dialect == DIALECT.slug and one.shared.account == account and wanted(one)
    ]
    if not behaviour.takes:
        found = []
    found.reverse()
    shown = found[page * size : (page + 1) * size]
    return web.json_response(
        {
            "messages": [_found(one) for one in shown],
            "page": page,
            "page_size": size,
            "start": page * size,
            "end": page * size + max(len(shown) - 1, 0),
            "uri": _page(request, page, size),
            "first_page_uri": _page(request, 0, size),
            "previous_page_uri": _page(request, page - 1, size) if page else None,
            "next_page_uri": (
                _page(request, page + 1, size) if len(found) > (page + 1) * size else None
            ),
        },
        status=behaviour.status or 200,
    )


async def fetch_message(request: web.Request) -> web.Response:
    """Show one message of an account."""
    carrier, account = request.app[CARRIER], request.match_info["account"]
    login = _login(request.headers.get("Authorization", ""))
    if login is None or login[0] != account:
        return _error(401, 20003, "Authenticate")
    found = carrier.record.of_provider_id(request.match_info["sid"])
    behaviour = await carrier.asked(request, DIALECT, account, found.recipient if found else "")
    if behaviour.status >= 300:
        return _refused(behaviour)
    if found is None or found.shared.account != account or not behaviour.takes:
        return await not_found(request)
    return web.json_response(_found(found), status=behaviour.status or 200)


def _wanted(query: Mapping[str, str]) -> Callable[[Acceptance], bool]:
    """Return whether an acceptance is one of those asked for. Dates are days of UTC."""
    day = {name: _day(query[name]) for name in query if name.startswith("DateSent")}
    sender = query.get("From")

    def wanted(one: Acceptance) -> bool:
        return (
            (sender is None or one.shared.sender == sender)
            and ("DateSent" not in day or day["DateSent"] <= one.at < day["DateSent"] + 86_400)
            and ("DateSent>" not in day or one.at >= day["DateSent>"])
            and ("DateSent<" not in day or one.at < day["DateSent<"] + 86_400)
        )

    return wanted


def _day(date: str) -> float:
    """Return when a day begins, in seconds since 1970."""
    return datetime.combine(datetime.fromisoformat(date).date(), dt_time(), UTC).timestamp()


def _found(one: Acceptance) -> dict[str, object]:
    word, code = one.state
    shared = one.shared
    message = _message(
        shared.account,
        one.provider_id,
        one.recipient,
        shared.sender,
        shared.text,
        segments(shared.text),
        one.at,
    )
    return message | {
        "date_sent": message["date_created"],
        "status": word,
        "error_code": int(code) if code.isdecimal() else None,
    }


def _page(request: web.Request, page: int, size: int) -> str:
    url = request.rel_url.update_query(Page=str(page), PageSize=str(size))
    return url.path_qs


# --- telling --------------------------------------------------------------------------------------


def report(envelope: Envelope, told: Sequence[Told]) -> Call:
    """Return the status callback of one message."""
    (one,) = told
    if not one.is_known:
        envelope = envelope._replace(url=envelope.url.partition("?")[0])
    return _signed(
        envelope,
        {
            "AccountSid": envelope.sender.account,
            "ApiVersion": API,
            **({"ErrorCode": one.code} if one.code else {}),
            "From": envelope.sender.number,
            "MessageSid": one.provider_id,
            "MessageStatus": one.word,
            "SmsSid": one.provider_id,
            "SmsStatus": one.word,
            "To": one.recipient,
        },
    )


def inbound(envelope: Envelope, written: Written) -> Call:
    """Return the webhook call for an SMS that somebody wrote to a number of the account."""
    return _signed(
        envelope,
        {
            "AccountSid": envelope.sender.account,
            "ApiVersion": API,
            "Body": written.text,
            "From": written.sender,
            "MessageSid": written.provider_id,
            "NumMedia": "0",
            "NumSegments": str(segments(written.text)),
            "SmsMessageSid": written.provider_id,
            "SmsSid": written.provider_id,
            "SmsStatus": "received",
            "To": written.recipient,
        },
    )


def _signed(envelope: Envelope, fields: Mapping[str, str]) -> Call:
    """Return the call with Twilio's signature; the fields stand in the order of their names."""
    said = envelope.url + "".join(name + value for name, value in fields.items())
    mac = hmac.digest(envelope.token.encode(), said.encode(), "sha1")
    return Call(
        envelope.url,
        urlencode(fields).encode(),
        {
            "Content-Type": "application/x-www-form-urlencoded; charset=utf-8",
            "User-Agent": "TwilioProxy/1.1",
            "X-Twilio-Signature": base64.b64encode(mac).decode(),
        },
    )


DIALECT: Final = Dialect(slug="twilio", own_ids="SM", routes=routes, report=report, inbound=inbound)

"""Infobip's way: `POST /sms/3/messages` for many recipients, logs, reports a hundred at a time."""

import json
import re
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid4

from aiohttp import web

from messaging.sandbox.answers import phrase
from messaging.sandbox.behaviour import PRESETS, Behaviour
from messaging.sandbox.carrier import CARRIER, Line, Offer
from messaging.sandbox.dialect import Call, Dialect, Envelope, Told, Written
from messaging.sandbox.record import DASHES, HEX, Acceptance
from messaging.sandbox.segments import segments

_E164: Final = re.compile(r"\+[1-9][0-9]{6,14}")
_OWN: Final = re.compile(
    r"(?P<id>[0-9a-f]{32}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})(-[0-9a-f]{1,16})?"
)
_MOST: Final = 1000  # logs in one answer

Status = tuple[int, str, int, str]  # group's number and name, own number and name

_ACCEPTED: Final[Status] = (1, "PENDING", 26, "PENDING_ACCEPTED")
_SYSTEM_ERROR: Final[Status] = (5, "REJECTED", 21, "REJECTED_SYSTEM_ERROR")

# The rejections of single messages, by the code of a behaviour, which is Twilio's.
_REJECTED: Final[Mapping[int, Status]] = {
    21211: (5, "REJECTED", 52, "REJECTED_DESTINATION"),
    21614: (5, "REJECTED", 6, "REJECTED_NETWORK"),
    21610: (5, "REJECTED", 14, "REJECTED_DESTINATION_BLOCKLISTED"),
}

# What a report's word is here, with the error it has where the behaviour names none.
_WORDS: Final[Mapping[str, tuple[Status, str]]] = {
    "queued": (_ACCEPTED, "NO_ERROR"),
    "sent": ((1, "PENDING", 7, "PENDING_ENROUTE"), "NO_ERROR"),
    "delivered": ((3, "DELIVERED", 5, "DELIVERED_TO_HANDSET"), "NO_ERROR"),
    "undelivered": ((2, "UNDELIVERABLE", 9, "UNDELIVERABLE_NOT_DELIVERED"), "EC_UNKNOWN_ERROR"),
    "failed": ((2, "UNDELIVERABLE", 4, "UNDELIVERABLE_REJECTED_OPERATOR"), "EC_UNKNOWN_ERROR"),
}
_ERRORS: Final[Mapping[str, tuple[int, str, int]]] = {  # group's number and name, own number
    "NO_ERROR": (0, "OK", 0),
    "EC_ABSENT_SUBSCRIBER": (1, "HANDSET_ERRORS", 27),
    "EC_UNKNOWN_ERROR": (3, "OPERATOR_ERRORS", 255),
}
_TWILIO_S: Final[Mapping[str, str]] = {"30003": "EC_ABSENT_SUBSCRIBER", "30008": "EC_UNKNOWN_ERROR"}


def routes() -> list[web.RouteDef]:
    """Return what Infobip answers to."""
    return [
        web.post("/sms/3/messages", create_messages),
        web.get("/sms/3/logs", list_logs),
        web.route("*", "/sms/{rest:.*}", not_found),
    ]


# --- taking ---------------------------------------------------------------------------------------


async def create_messages(request: web.Request) -> web.Response:
    """Take the messages of a request one by one, each or not, and tell of each."""
    key = _key(request)
    if not key:
        return _error(401)
    try:
        said = json.loads(await request.read())
        offers = list(_offers(said))
        counts = bool(said.get("options", {}).get("includeSmsCountInResponse"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return _error(400)
    if not offers:
        return _error(400)
    good = [offer for offer in offers if _E164.fullmatch(offer.recipient)]
    taken = await request.app[CARRIER].take(request, DIALECT, (key, key), good) if good else []
    for line in taken:
        if line.behaviour.status >= 300 and line.behaviour.is_whole:
            return _refused(line.behaviour)
    left = iter(taken)
    lines = [
        next(left)
        if _E164.fullmatch(offer.recipient)
        else Line(offer, PRESETS["invalid"], offer.provider_id)
        for offer in offers
    ]
    return web.json_response(
        {"bulkId": str(secrets.randbits(63)), "messages": list(_told(lines, counts=counts))},
        status=next((s for line in taken if 200 < (s := line.behaviour.status) < 300), 200),
    )


async def not_found(_request: web.Request) -> web.Response:
    """Answer as Infobip does where it has nothing."""
    return _error(404)


def _offers(said: Any) -> Iterator[Offer]:
    """Yield the messages of a request.

    Raises: KeyError, TypeError, AttributeError, ValueError, where it is none.
    """
    for message in said["messages"]:
        callback = message.get("webhooks", {}).get("delivery", {}).get("url", "")
        text, sender = message["content"]["text"], message.get("sender", "")
        if not text or not all(isinstance(one, str) for one in (callback, text, sender)):
            raise ValueError
        for destination in message["destinations"]:
            to, reference = destination["to"], destination.get("messageId", "")
            if not isinstance(to, str) or not isinstance(reference, str):
                raise TypeError
            message_id, style = _ours(reference)
            yield Offer(
                f"+{to.removeprefix('+')}", sender, text, callback, message_id, reference, style
            )


def _ours(reference: str) -> tuple[str | None, str]:
    """Return the site's own id in a message id, and how it is written; none where it is no UUID.

    What follows on it is the site's word for a further attempt: the message is the same.
    """
    known = _OWN.fullmatch(reference)
    if known is None:
        return None, ""
    raw = UUID(known["id"])
    return raw.hex, {raw.hex: HEX, str(raw): DASHES}.get(reference, "")


def _told(lines: Sequence[Line], *, counts: bool) -> Iterator[dict[str, object]]:
    """Yield what is answered of each message, as far as its behaviour leaves it in its place."""
    if any(line.behaviour.line == "reordered" for line in lines):
        lines = lines[::-1]
    for line in lines:
        behaviour = line.behaviour
        entry: dict[str, object] = {
            "messageId": line.id,
            "status": _status(_rejection(behaviour) if behaviour.status >= 300 else _ACCEPTED),
            "destination": line.offer.recipient[1:],
        }
        if counts:
            entry["details"] = {"messageCount": behaviour.segments or segments(line.offer.text)}
        if behaviour.line == "foreign":
            entry["messageId"] = str(uuid4())
        if behaviour.line != "missing":
            yield entry
        if behaviour.line == "doubled":
            yield entry
        if behaviour.line == "contradicted":
            yield entry | {"status": _status(_SYSTEM_ERROR)}
        if behaviour.line == "extra":
            yield entry | {"messageId": str(uuid4())}


def _rejection(behaviour: Behaviour) -> Status:
    if isinstance(behaviour.code, str):
        return 5, "REJECTED", 0, behaviour.code
    return _REJECTED.get(behaviour.code, _SYSTEM_ERROR)


def _status(status: Status) -> dict[str, object]:
    group, group_name, number, name = status
    return {
        "groupId": group,
        "groupName": group_name,
        "id": number,
        "name": name,
        "description": name.replace("_", " ").capitalize(),
    }


def _refused(behaviour: Behaviour) -> web.Response:
    code = behaviour.code if isinstance(behaviour.code, str) else ""
    return _error(behaviour.status, code, behaviour.words)


def _error(status: int, code: str = "", words: str = "") -> web.Response:
    return web.json_response(
        {
            "errorCode": code or f"E{status}",
            "description": words or phrase(status),
            "action": "Check the request, or try again later.",
            "violations": [],
            "resources": [],
        },
        status=status,
    )


def _key(request: web.Request) -> str:
    """Return the API key; any is welcome."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "app" else ""


# --- looking up -----------------------------------------------------------------------------------


async def list_logs(request: web.Request) -> web.Response:
    """Tell what became of messages, by `messageId`, several with commas between, or `destination`."""
    key = _key(request)
    if not key:
        return _error(401)
    carrier = request.app[CARRIER]
    references = [one for one in request.query.get("messageId", "").split(",") if one]
    to = f"+{request.query.get('destination', '').removeprefix('+')}"
    found = [one for ref in references if (one := carrier.record.of_provider_id(ref))]
    if not references and _E164.fullmatch(to):
        found = list(carrier.record.of_recipient(to))
    behaviour = await carrier.asked(
        request, DIALECT, key, found[0].recipient if found else to if len(to) > 1 else ""
    )
    if behaviour.status >= 300:
        return _refused(behaviour)
    mine = [one for one in found if one.shared.account == key and behaviour.takes]
    return web.json_response(
        {
            "results": [_log(one) for one in mine[:_MOST]],
            "cursor": {"limit": _MOST, "nextCursor": None},
        },
        status=behaviour.status or 200,
    )


def _log(one: Acceptance) -> dict[str, object]:
    word, code = one.state
    return {
        "sender": one.shared.sender,
        "destination": one.recipient[1:],
        "messageId": one.provider_id,
        "sentAt": _time(one.at),
        "doneAt": _time(one.at + one.shared.lag),
        "messageCount": segments(one.shared.text),
        "price": {"pricePerMessage": 0.0, "currency": "EUR"},
        **_outcome(word, code),
        "content": {"text": one.shared.text},
    }


def _outcome(word: str, code: str) -> dict[str, object]:
    """Return status and error of a message. Words and codes that nobody knows stay as they are."""
    status, error = _WORDS.get(word, ((99, word, 0, word), "EC_UNKNOWN_ERROR"))
    error = _TWILIO_S.get(code, code) or error
    group, group_name, number = _ERRORS.get(error, (3, "OPERATOR_ERRORS", 9999))
    return {
        "status": _status(status),
        "error": {
            "groupId": group,
            "groupName": group_name,
            "id": number,
            "name": error,
            "description": error.replace("_", " ").capitalize(),
            "permanent": group_name != "OK",
        },
    }


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


# --- telling --------------------------------------------------------------------------------------


def report(envelope: Envelope, told: Sequence[Told]) -> Call:
    """Return the call that reports on messages."""
    now = _time(time.time())
    results = [
        {
            "messageId": one.provider_id,
            "to": one.recipient[1:],
            "sender": envelope.sender.number,
            "sentAt": _time(one.at),
            "doneAt": now,
            "messageCount": 1,
            "price": {"pricePerMessage": 0.0, "currency": "EUR"},
            **_outcome(one.word, one.code),
        }
        for one in told
    ]
    return _call(envelope, {"results": results})


def inbound(envelope: Envelope, written: Written) -> Call:
    """Return the webhook call for an SMS that somebody wrote to a number of the account."""
    result = {
        "messageId": written.provider_id,
        "from": written.sender.removeprefix("+"),
        "to": written.recipient.removeprefix("+"),
        "text": written.text,
        "cleanText": written.text,
        "keyword": "",
        "receivedAt": _time(time.time()),
        "smsCount": segments(written.text),
        "price": {"pricePerMessage": 0.0, "currency": "EUR"},
        "callbackData": "",
    }
    return _call(envelope, {"results": [result], "messageCount": 1, "pendingMessageCount": 0})


def _call(envelope: Envelope, said: dict[str, object]) -> Call:
    # Infobip signs nothing. What shows who it is stands in the address, for its eyes alone.
    url = envelope.url if envelope.is_signed else envelope.url.partition("?")[0]
    return Call(url, json.dumps(said).encode(), {"Content-Type": "application/json"})


DIALECT: Final = Dialect(
    slug="infobip",
    own_ids="",
    routes=routes,
    report=report,
    inbound=inbound,
    reports_at_once=100,
)

"""The doors for tests and operators: what the carrier took, how it is to behave, what people write."""

import json
import secrets
from itertools import islice
from typing import Any, Final

from aiohttp import ClientError, web

from messaging.sandbox import rules
from messaging.sandbox.carrier import CARRIER, Carrier
from messaging.sandbox.dialect import Envelope, Sender, Written

_PAGE: Final = 1_000  # acceptances written at once


def routes() -> list[web.RouteDef]:
    """Return what it answers to below `/_sandbox/`."""
    return [
        web.get("/_sandbox/stats", _stats),
        web.get("/_sandbox/accepted", _accepted),
        web.post("/_sandbox/reset", _reset),
        web.get("/_sandbox/behaviour", _rules),
        web.post("/_sandbox/behaviour", _add_rules),
        web.delete("/_sandbox/behaviour", _clear_rules),
        web.post("/_sandbox/inbound", _inbound),
    ]


async def _stats(request: web.Request) -> web.Response:
    """Count what came in, was accepted and reported since the start or the last reset."""
    carrier = request.app[CARRIER]
    traffic = carrier.traffic
    return web.json_response(
        {
            "accepted": len(carrier.record),
            "doubled": carrier.record.doubled,
            "refused": traffic.refused,
            "requests": {
                "total": traffic.requests,
                "now": traffic.now,
                "peak": traffic.peak,
                "answers": dict(traffic.answers),
                "paths": dict(traffic.paths),
            },
            "reports": {
                "sent": carrier.reporter.sent,
                "pending": carrier.reporter.pending,
                "failed": carrier.reporter.failed,
                "lastFailure": carrier.reporter.last_failure,
            },
        }
    )


async def _accepted(request: web.Request) -> web.StreamResponse:
    """Stream every acceptance in order, one JSON object a line; `?after=N` skips the first N."""
    after = request.query.get("after", "0")
    if not (after.isascii() and after.isdigit()):
        return _refused("after must be a whole number")
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    acceptances = request.app[CARRIER].record.acceptances(int(after))
    while page := list(islice(acceptances, _PAGE)):
        lines = (
            json.dumps(
                {
                    "id": acceptance.provider_id,
                    "to": acceptance.recipient,
                    "message": acceptance.message_id,
                    "at": acceptance.at,
                    "account": acceptance.shared.account,
                }
            )
            for acceptance in page
        )
        await response.write("".join(f"{line}\n" for line in lines).encode())
    return response


async def _reset(request: web.Request) -> web.Response:
    """Forget what was accepted, what waits to be reported, what was counted, and every rule."""
    carrier = request.app[CARRIER]
    carrier.reporter.clear()
    carrier.record.clear()
    carrier.behaviours.clear()
    carrier.traffic.clear()
    carrier.let_go()
    return web.Response(status=204)


# --- behaviour ------------------------------------------------------------------------------------


async def _rules(request: web.Request) -> web.Response:
    return _list(request.app[CARRIER])


async def _add_rules(request: web.Request) -> web.Response:
    """Add one rule, or several, behind those that there are."""
    carrier = request.app[CARRIER]
    try:
        new = rules.read(await _json(request))
    except ValueError as error:
        return _refused(str(error))
    carrier.behaviours.rules += new
    return _list(carrier, status=201)


async def _clear_rules(request: web.Request) -> web.Response:
    """Remove every rule, and end what waits by order of one."""
    carrier = request.app[CARRIER]
    carrier.behaviours.clear()
    carrier.let_go()
    return web.Response(status=204)


def _list(carrier: Carrier, *, status: int = 200) -> web.Response:
    return web.json_response([rules.told(rule) for rule in carrier.behaviours.rules], status=status)


# --- inbound --------------------------------------------------------------------------------------


async def _inbound(request: web.Request) -> web.Response:
    """Hand an SMS to the site as the real carrier would, and tell what the site answered."""
    carrier = request.app[CARRIER]
    try:
        said = _object(await _json(request))
        sender, url = _mailbox(carrier, said)
        written, times = _written(said, sender)
    except ValueError as error:
        return _refused(str(error))
    envelope = Envelope(sender, url, is_signed=not said.get("bad_signature"))
    call = sender.dialect.inbound(envelope, written)
    answers: list[int | str] = []
    for _ in range(times):
        try:
            answers.append(await carrier.reporter.post(call))
        except (ClientError, OSError) as error:
            answers.append(type(error).__name__)
    return web.json_response({"id": written.provider_id, "url": url, "answers": answers})


def _written(said: dict[str, Any], sender: Sender) -> tuple[Written, int]:
    texts = {name: said.get(name) for name in ("from", "to", "text")}
    texts["to"] = texts["to"] or sender.number
    for name, text in texts.items():
        if not isinstance(text, str) or (name != "text" and not text):
            raise ValueError(f"{name} must be a text.")
    times = said.get("times", 1)
    if type(times) is not int or not 1 <= times <= 1000:
        raise ValueError("times must be a whole number from 1 to 1000.")
    provider_id = said.get("id") or f"{sender.dialect.own_ids}{secrets.token_hex(16)}"
    return Written(
        str(provider_id), str(texts["from"]), str(texts["to"]), str(texts["text"])
    ), times


def _mailbox(carrier: Carrier, said: dict[str, Any]) -> tuple[Sender, str]:
    """Return the account that gets the message, and the address: learned from its callbacks."""
    known = next(
        (
            sender
            for sender in carrier.reporter.senders()
            if said.get("dialect", sender.dialect.slug) == sender.dialect.slug
            and said.get("account", sender.account) == sender.account
            and said.get("token", sender.token) == sender.token
        ),
        None,
    )
    if known and (url := said.get("url") or _beside(known.address)):
        return known, str(url)
    dialect = next((one for one in carrier.dialects if one.slug == said.get("dialect")), None)
    account, token, url = (said.get(name) for name in ("account", "token", "url"))
    if dialect and account and token and url:
        return Sender(dialect, str(account), str(token), "", str(url)), str(url)
    raise ValueError(
        "No message with a callback came in yet from such an account; send one first, or give "
        "dialect, account, token and url (…/api/providers/<name>/inbound)."
    )


def _beside(address: str) -> str:
    """Return where a site takes inbound messages, from where it takes reports."""
    door, reports, rest = address.rpartition("/reports")
    return f"{door}/inbound{rest}" if reports else ""


# --- reading --------------------------------------------------------------------------------------


async def _json(request: web.Request) -> Any:
    try:
        return json.loads(await request.read(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise ValueError("The body must be JSON.") from error


def _object(said: object) -> dict[str, Any]:
    if not isinstance(said, dict):
        raise ValueError("The body must be an object.")  # noqa: TRY004 (it is told to the caller)
    return said


def _no_constant(name: str) -> None:
    raise ValueError(name)


def _refused(words: str) -> web.Response:
    return web.json_response({"message": words}, status=400)

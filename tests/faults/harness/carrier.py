"""The carrier's side of a stack: what it is told to do, and reports signed as Twilio documents it."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import json
import urllib.request
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode, urlsplit
from uuid import UUID, uuid4

from messaging.providers import signing
from tests.faults.harness.http import Answer

if TYPE_CHECKING:
    from tests.faults.harness.stack import Stack

ACCOUNT: Final = "AC" + "0" * 32
TOKEN: Final = "sandbox-token"
FORM: Final = "application/x-www-form-urlencoded"


@contextlib.contextmanager
def behaving(stack: Stack, *rules: Mapping[str, Any]) -> Iterator[None]:
    """Let the carrier follow these rules of docs/sandbox.md meanwhile."""
    _ask(stack, "POST", "/_sandbox/behaviour", list(rules))
    try:
        yield
    finally:
        _ask(stack, "DELETE", "/_sandbox/behaviour")


def writes(stack: Stack, **said: Any) -> list[int | str]:
    """Have somebody write to our number; return what the site answered the carrier, one a time."""
    own = {"account": ACCOUNT, "token": TOKEN}  # of all that other tests sent by
    answers: list[int | str] = _ask(stack, "POST", "/_sandbox/inbound", own | said)["answers"]
    return answers


def report_path(message_id: UUID) -> str:
    """Return the address that the carrier was given for this message, without the host."""
    parts = urlsplit(signing.callback_url("twilio", message_id))
    return f"{parts.path}?{parts.query}"


def signature(url: str, fields: Mapping[str, str], token: str = TOKEN) -> str:
    """Return Twilio's signature: HMAC-SHA1 over the URL and the sorted names and values."""
    text = url + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    return base64.b64encode(hmac.new(token.encode(), text.encode(), hashlib.sha1).digest()).decode()


def signed(stack: Stack, path: str, fields: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """Return body and headers of a call as the stack's own account at the carrier signs it."""
    return urlencode(fields).encode(), {
        "Content-Type": FORM,
        "X-Twilio-Signature": signature(f"{stack.public_url}{path}", fields),
    }


def reports(
    stack: Stack,
    message_id: UUID | None,
    word: str = "delivered",
    *,
    sid: str = "",
    may_break: bool = False,
    **fields: str,
) -> Answer:
    """Report on a message as the carrier does, around its proxy; without an id, on nobody's message."""
    path = report_path(message_id) if message_id else "/api/providers/twilio/reports"
    said = {
        "MessageSid": sid or f"SM{uuid4().hex}",
        "MessageStatus": word,
        "AccountSid": ACCOUNT,
        **fields,
    }
    body, headers = signed(stack, path, said)
    return stack.client().call("POST", path, body, headers=headers, may_break=may_break)


def _ask(stack: Stack, method: str, path: str, said: Any = None) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{stack.carriers[0].port}{path}",
        method=method,
        data=None if said is None else json.dumps(said).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 - a loopback address
        content = answer.read()
    return json.loads(content) if content else None

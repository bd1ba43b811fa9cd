"""The first broadcast of a stranger, over HTTP: sign in, send, watch until all is delivered."""

import http.client
import json
from collections.abc import Callable
from typing import Any, Final

_BODY: Final = {"message": "Hola", "country": "CO"}
_SHOWN: Final = 5  # messages of the answer that are printed
_POLL: Final = 0.5  # seconds
_LIMIT: Final = 90.0  # seconds until all must be delivered


class NotDelivered(Exception):
    """The broadcast was refused, or was not delivered in time; the message says what happened."""


def send(
    *,
    port: int,
    email: str,
    password: str,
    wait: Callable[[float], None],
    say: Callable[[str], None],
) -> None:
    """Send one broadcast to all demo contacts and return when every message is DELIVERED.

    Raises: NotDelivered.
    """
    signed_in = _call(port, "POST", "/api/auth/sign-in", {"email": email, "password": password})
    token = signed_in["accessToken"]

    say(f"POST /api/messages/sms/all\n{json.dumps(_BODY)}")
    answer = _call(port, "POST", "/api/messages/sms/all", _BODY, token=token)
    messages = answer["messages"]
    shown = answer | {"messages": messages[:_SHOWN]}
    more = f"\n… and {len(messages) - _SHOWN} more messages" if len(messages) > _SHOWN else ""
    say(f"201 Created\n{json.dumps(shown, indent=2)}{more}")
    if not messages:
        raise NotDelivered("The demo organization has no contact that can be written to.")

    path = f"/api/messages/queues/{answer['queueId']}"
    counts: dict[str, int] = {}
    for _ in range(round(_LIMIT / _POLL)):
        counts = _call(port, "GET", path, token=token)["counts"]
        if counts["delivered"] == counts["messages"]:
            say(f"GET {path}\n{json.dumps(counts)}")
            say(f"All {counts['messages']} messages are DELIVERED.")
            return
        wait(_POLL)
    raise NotDelivered(f"Not everything was delivered within {_LIMIT:g} s: {json.dumps(counts)}")


def _call(
    port: int,
    method: str,
    path: str,
    body: dict[str, str] | None = None,
    *,
    token: str = "",
    timeout: float = 30,
) -> dict[str, Any]:
    """Return the JSON of a 2xx answer. Raises: NotDelivered with any other."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    try:
        connection.request(method, path, json.dumps(body) if body else None, headers)
        response = connection.getresponse()
        text = response.read().decode()
    except OSError as error:
        raise NotDelivered(f"{method} {path}: {error}") from error
    finally:
        connection.close()
    if response.status not in {200, 201}:
        raise NotDelivered(f"{method} {path} was answered {response.status}: {text[:500]}")
    answer: dict[str, Any] = json.loads(text)
    return answer


def is_alive(port: int) -> bool:
    """Return whether the web server answers."""
    try:
        _call(port, "GET", "/healthz", timeout=2)
    except NotDelivered:
        return False
    return True

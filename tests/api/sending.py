"""Posting to /api/messages/sms/all as it comes, and bodies that are wrong each in its own way."""

import json
from typing import Any, Final

from rest_framework.test import APIClient

from tests.api.refusals import nothing_happens, told

URL: Final = "/api/messages/sms/all"
JSON: Final = "application/json"
GOOD: Final = (json.dumps({"message": "Hola"}), JSON)

# Each is refused by itself, but later than whatever is tested with it.
BODIES: Final = {
    "good": GOOD,
    "malformed": ("{", JSON),
    "wrong field": (json.dumps({"message": ""}), JSON),
    "form": ("message=Hola", "application/x-www-form-urlencoded"),
    "too large": (json.dumps({"message": "a" * 300_000}), JSON),
    "nothing": ("", ""),
}


def send(client: APIClient, body: tuple[str, str] = GOOD) -> Any:
    """Post this text as this content type."""
    text, content_type = body
    return client.generic("POST", URL, text, content_type)


def each_is_refused(client: APIClient, status: int, code: str) -> None:
    """Hold that every body is refused in this one way, and that nothing comes of it."""
    for name, body in BODIES.items():
        with nothing_happens():
            answer = send(client, body)
        assert (name, *told(answer)) == (name, status, code)

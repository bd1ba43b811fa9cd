"""Broadcasting as a person does it in the admin: write, look, confirm."""

import re
from typing import Any

from django.test import Client
from django.urls import reverse

from messaging.models import Broadcast

COMPOSE = "admin:messaging_broadcast_compose"


def compose(client: Client, text: str = "Hola", query: str = "", **fields: str) -> Any:
    """Fill the compose page in and send it off."""
    address = reverse(COMPOSE) + (f"?{query}" if query else "")
    return client.post(address, {"text": text, "kind": "SMS", "when": "now", **fields})


def drafted(client: Client, text: str = "Hola", query: str = "", **fields: str) -> str:
    """Write a draft; return the address of its preview."""
    answer = compose(client, text, query, **fields)
    assert answer.status_code == 302, answer.context["form"].errors
    return str(answer.url)


def confirmation_on(page: Any) -> str:
    """Return what the confirmation form of a preview carries."""
    (found,) = re.findall(r'name="confirmation"\s+value="([^"]+)"', page.content.decode())
    return str(found)


def confirm(client: Client, preview: str, page: Any = None, **fields: str) -> Any:
    """Press the button of a preview page, of the one just opened unless another is given."""
    shown = page if page is not None else client.get(preview)
    return client.post(preview, {"confirmation": confirmation_on(shown), **fields})


def control(broadcast: Broadcast, deed: str) -> str:
    """Return the address of a deed's page."""
    return reverse("admin:messaging_broadcast_control", args=[broadcast.pk, deed])


def part(broadcast: Broadcast, name: str) -> str:
    """Return the address of a part of the broadcast's page: live, course, facts."""
    return reverse(f"admin:messaging_broadcast_{name}", args=[broadcast.pk])

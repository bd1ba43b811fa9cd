"""The three doors of sending, each opened to the same people: all contacts, their numbers, their tag."""

import json
from typing import Any, Final

from rest_framework.test import APIClient

from accounts.models import Organization
from contacts.models import Contact, Tag

DOORS: Final = ("all", "contacts", "tags")


def url(door: str) -> str:
    return f"/api/messages/sms/{door}"


def aim(door: str, organization: Organization) -> dict[str, Any]:
    """Return the fields that aim this door at every contact of the organization."""
    living = Contact.objects.filter(organization=organization, deleted_at=None)
    if door == "contacts":
        return {"contacts": list(living.order_by("created_at").values_list("phone", flat=True))}
    if door == "tags":
        tag, _ = Tag.objects.get_or_create(organization=organization, name="everybody")
        tag.contacts.set(living)
        return {"tagIds": [str(tag.pk)]}
    return {}


def post(
    client: APIClient,
    door: str,
    body: dict[str, Any],
    *,
    query: str = "",
    **headers: str,
) -> Any:
    return client.post(f"{url(door)}{query}", body, format="json", headers=headers)


def dry_run(client: APIClient, door: str, body: dict[str, Any]) -> Any:
    return post(client, door, body, query="?dryRun=true")


def read(answer: Any) -> Any:
    return json.loads(answer.getvalue())

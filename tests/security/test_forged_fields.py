"""S19: what a body may not decide it does not, and no header turns one method into another."""

import json
from typing import Any, Final

import pytest

from accounts.models import ApiKey, Member
from contacts.models import Contact, Suppression, Tag
from messaging.models import Broadcast
from tests.api.refusals import told
from tests.people import ClientOf
from tests.security.rows import named, state

pytestmark = pytest.mark.django_db

JSON: Final = "application/json"

FORGED: Final[dict[str, Any]] = {
    "id": "{others.contact_id}",
    "organization": "{others.organization_id}",
    "organizationId": "{others.organization_id}",
    "organization_id": "{others.organization_id}",
    "member": "{others.organization_id}",
    "createdBy": "{others.organization_id}",
    "createdAt": "1999-01-01T00:00:00Z",
    "deletedAt": "1999-01-01T00:00:00Z",
    "credits": 0,
    "origin": "ADMIN",
    "source": "CARRIER",
    "e164": "+12025550199",
    "role": "OWNER",
    "is_superuser": True,
    "isActive": False,
    "key": "mine",
    "pausedBecause": None,
    "approval_above": 10**9,
}
TAKEN: Final[list[tuple[str, dict[str, Any]]]] = [
    ("POST messages/sms/all", {"message": "Good day", "status": "COMPLETED"}),
    (
        "POST messages/sms/contacts",
        {"message": "Good day", "contacts": ["+573001234567"], "status": "COMPLETED"},
    ),
    (
        "POST messages/sms/tags",
        {"message": "Good day", "tagIds": ["{tag_id}"], "status": "COMPLETED"},
    ),
    ("POST contacts", {"phone": "+573007654321"}),
    ("PATCH contacts/{contact_id}", {"name": "Eva"}),
    ("POST tags", {"name": "another"}),
    ("PATCH tags/{tag_id}", {"name": "best friends"}),
    ("POST suppressions", {"recipient": "+573008888888"}),
    ("POST api-keys", {"name": "another"}),
]


def of_borealis(carla: Member) -> dict[str, list[Any]]:
    """Return every row of the other organization."""
    house = {"organization": carla.organization}
    return {
        model.__name__: list(model.objects.filter(**house).order_by("pk").values())
        for model in (Broadcast, Contact, Tag, Suppression, ApiKey)
    }


def test_S19_what_a_body_may_not_decide_it_does_not(
    client_of: ClientOf, ana: Member, carla: Member, names: dict[str, str]
) -> None:
    client, theirs, members = client_of(ana), of_borealis(carla), list(Member.objects.values())

    for call, fields in TAKEN:
        method, address = named(call, names).split(" ", 1)
        body = named(json.dumps({**FORGED, **fields}), names)
        answer: Any = client.generic(method, f"/api/{address}", body, JSON)
        told_of = json.loads(answer.getvalue())
        assert (call, answer.status_code // 100) == (call, 2)
        assert (
            told_of.get("organizationId", names["{organization_id}"]) == names["{organization_id}"]
        )
        assert told_of.get("id") != names["{others.contact_id}"]

    assert of_borealis(carla) == theirs
    assert list(Member.objects.values()) == members
    assert set(Broadcast.objects.filter(text="Good day").values_list("status", "member")) == {
        ("RUNNING", ana.pk)
    }
    added = Contact.objects.get(phone="+573007654321")
    assert (added.origin, added.e164, added.deleted_at) == ("API", "+573007654321", None)
    assert Suppression.objects.get(recipient="+573008888888").source == Suppression.Source.MEMBER


@pytest.mark.parametrize("header", ["X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"])
def test_a_method_override_deletes_nothing(
    client_of: ClientOf, ana: Member, names: dict[str, str], header: str
) -> None:
    client, before = client_of(ana), state()

    for kind in ("contact", "tag"):
        address = named(f"/api/{kind}s/{{{kind}_id}}", names)
        for override in ("DELETE", "delete", "PATCH"):
            assert client.get(address, headers={header: override}).status_code == 200
            assert told(client.post(address, headers={header: override})) == (405, "4040")

    assert state() == before

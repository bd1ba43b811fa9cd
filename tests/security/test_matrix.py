"""S15: who may ask what of whom, read from the URLconf: every route, method, caller and id.

`EXPECTED` says what the right ones are answered; everything else follows from `accounts/roles.py` and from
whose the id is. A new route without a row fails.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import transaction
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import Member, TermsAcceptance
from accounts.roles import RIGHTS, Right, Role
from tests.api.refusals import told
from tests.factories import MemberFactory, TermsAcceptanceFactory
from tests.house.test_anonymous_routes import CALLS, PUBLIC
from tests.people import ClientOf
from tests.security.rows import Rows, fill

pytestmark = pytest.mark.django_db

READ, SEND = Right.READ, Right.SEND
CONTROL, CONTACTS = Right.CONTROL_BROADCASTS, Right.MANAGE_CONTACTS
OWN: Final = None  # whoever is signed in, a platform superuser too

# Route, method: the right it takes, and what somebody with it is answered, of a thing of his own.
EXPECTED: Final[dict[str, tuple[Right | None, int]]] = {
    "POST api/auth/logout": (OWN, 200),
    "POST api/auth/change-password": (OWN, 400),
    "GET api/auth/me": (OWN, 200),
    "GET api/terms/current": (OWN, 200),
    "POST api/terms/accept": (READ, 409),
    "GET api/organizations/<uuid:organization_id>": (READ, 200),
    "POST api/organizations/<uuid:organization_id>/accept-terms": (READ, 409),
    "GET api/api-keys": (Right.MANAGE_KEYS, 200),
    "POST api/api-keys": (Right.MANAGE_KEYS, 201),
    "DELETE api/api-keys/<uuid:key_id>": (Right.MANAGE_KEYS, 200),
    "POST api/messages/sms/all": (SEND, 201),
    "POST api/messages/sms/contacts": (SEND, 201),
    "POST api/messages/sms/tags": (SEND, 201),
    "GET api/messages": (READ, 200),
    "GET api/messages/export": (READ, 200),
    "GET api/messages/<uuid:message_id>": (READ, 200),
    "GET api/reports/dashboard": (READ, 200),
    "GET api/messages/queues": (READ, 200),
    "GET api/messages/queues/<uuid:queue_id>": (READ, 200),
    "PATCH api/messages/queues/<uuid:queue_id>": (CONTROL, 409),
    "GET api/messages/queues/<uuid:queue_id>/messages": (READ, 200),
    "GET api/messages/queues/<uuid:queue_id>/skipped": (READ, 200),
    "POST api/messages/queues/<uuid:queue_id>/pause": (CONTROL, 200),
    "POST api/messages/queues/<uuid:queue_id>/resume": (CONTROL, 409),
    "POST api/messages/queues/<uuid:queue_id>/cancel": (CONTROL, 200),
    "POST api/messages/queues/<uuid:queue_id>/approve": (Right.APPROVE_BROADCASTS, 409),
    "POST api/messages/queues/<uuid:queue_id>/reject": (Right.APPROVE_BROADCASTS, 409),
    "POST api/messages/queues/<uuid:queue_id>/resend-failed": (SEND, 409),
    "GET api/contacts": (READ, 200),
    "POST api/contacts": (CONTACTS, 201),
    "GET api/contacts/count": (READ, 200),
    "GET api/contacts/export": (READ, 200),
    "GET api/contacts/<uuid:contact_id>": (READ, 200),
    "PATCH api/contacts/<uuid:contact_id>": (CONTACTS, 200),
    "DELETE api/contacts/<uuid:contact_id>": (CONTACTS, 200),
    "POST api/contacts/import": (CONTACTS, 201),
    "POST api/contacts/import/preview": (CONTACTS, 200),
    "GET api/contacts/import/<uuid:job_id>/status": (READ, 200),
    "GET api/contacts/import/<uuid:job_id>/errors": (READ, 200),
    "GET api/tags": (READ, 200),
    "POST api/tags": (CONTACTS, 201),
    "GET api/tags/with-counts": (READ, 200),
    "GET api/tags/<uuid:tag_id>": (READ, 200),
    "PATCH api/tags/<uuid:tag_id>": (CONTACTS, 200),
    "DELETE api/tags/<uuid:tag_id>": (CONTACTS, 200),
    "GET api/suppressions": (READ, 200),
    "POST api/suppressions": (Right.ADD_SUPPRESSIONS, 201),
    "DELETE api/suppressions": (Right.LIFT_SUPPRESSIONS, 200),
    "DELETE api/suppressions/<uuid:suppression_id>": (Right.LIFT_SUPPRESSIONS, 200),
    "GET api/credits": (READ, 200),
    "GET api/credits/ledger": (READ, 200),
}

# What a good request of each says; another's and a random id meet it too.
BODIES: Final[dict[str, dict[str, Any]]] = {
    "POST api/terms/accept": {"version": "2026-1"},
    "POST api/organizations/<uuid:organization_id>/accept-terms": {"termsVersion": "2026-1"},
    "POST api/api-keys": {"name": "another"},
    "POST api/messages/sms/all": {"message": "Good day"},
    "POST api/messages/sms/contacts": {"message": "Good day", "contacts": ["+573001234567"]},
    "POST api/messages/sms/tags": {"message": "Good day", "tagIds": ["{tag_id}"]},
    "PATCH api/messages/queues/<uuid:queue_id>": {"scheduledAt": "2099-01-01T00:00:00Z"},
    "POST api/contacts": {"phone": "+573007654321"},
    "PATCH api/contacts/<uuid:contact_id>": {"name": "Eva"},
    "POST api/tags": {"name": "another"},
    "PATCH api/tags/<uuid:tag_id>": {"name": "best friends"},
    "POST api/suppressions": {"recipient": "+573008888888"},
}
QUERIES: Final = {"DELETE api/suppressions": "?recipient=%2B573009999999"}
FILES: Final = {"POST api/contacts/import", "POST api/contacts/import/preview"}

ROUTES: Final = [
    (f"{method} {route}", method, route)
    for method, route, _address in CALLS
    if method != "OPTIONS" and f"{method} {route}" not in PUBLIC
]


def test_no_route_is_without_a_row_and_no_row_without_a_route() -> None:
    assert {name for name, _method, _route in ROUTES} == set(EXPECTED)


class Asked:
    """Two organizations with the same things, and everybody who may come."""

    def __init__(self, clients: dict[str, APIClient], acme: Rows, borealis: Rows) -> None:
        self.clients = clients
        self.ids = {
            "own": acme.ids,
            "another's": borealis.ids,
            "random": {name: str(uuid4()) for name in acme.ids},
        }

    def ask(self, name: str, who: str, whose: str) -> Any:
        """Return the answer to a good request; the streamed are read whole."""
        method, route = name.split(" ", 1)
        ids = self.ids[whose]
        address = f"/{route}"
        for key, value in ids.items():
            address = address.replace(f"<uuid:{key}>", value)
        address += QUERIES.get(name, "")
        client = self.clients[who]
        if name in FILES:
            people = SimpleUploadedFile("people.csv", b"phone\n+573007654321\n")
            return client.post(address, {"file": people}, format="multipart")
        # A body names what is the caller's own: whose the address is, is what is asked here.
        body = json.dumps(BODIES.get(name, {})).replace("{tag_id}", self.ids["own"]["tag_id"])
        answer: Any = client.generic(method, address, body, "application/json")
        if answer.streaming:
            b"".join(answer.streaming_content)
        return answer


@pytest.fixture
def asked(
    client_of: ClientOf,
    anonymous: APIClient,
    ana: Member,
    sara: Member,
    vera: Member,
    carla: Member,
    root: Member,
    settings: Settings,
) -> Asked:
    settings.RATE_LIMIT = "off"
    clients = {
        "anonymous": anonymous,
        "another's": client_of(carla),
        Role.VIEWER: client_of(vera),
        Role.SENDER: client_of(sara),
        Role.OWNER: client_of(ana),
        "superuser": client_of(root),
    }
    celia = MemberFactory.create(organization=carla.organization, role=Role.SENDER)
    TermsAcceptanceFactory.create(member=celia, terms=TermsAcceptance.objects.get(member=ana).terms)
    return Asked(clients, fill(ana, sender=sara), fill(carla, sender=celia))


@contextmanager
def taken_back() -> Iterator[None]:
    """Leave everything as it was, so that each request meets the same rows."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def refusal_of(who: str, right: Right | None) -> tuple[int, str] | None:
    """Return what the caller is refused with, whatever he names; None where he may."""
    if who == "anonymous":
        return 401, "1002"
    if right is OWN:
        return None
    if who == "superuser":
        return 403, "1003"
    role = Role.OWNER if who == "another's" else Role(who)
    return None if right in RIGHTS[role] else (403, "1003")


NOT_FOUND: Final = {"contact_id": "2000"}


def test_S15_everybody_is_answered_as_the_table_and_the_roles_say(asked: Asked) -> None:
    wrong = []
    for name, _method, route in ROUTES:
        right, status = EXPECTED[name]
        names = [key for key in asked.ids["own"] if f":{key}>" in route]
        for who in asked.clients:
            for whose in asked.ids if names else ("own",):
                if who == "another's" and not names and whose == "own":
                    continue  # of his own things he is an owner like Ana
                with taken_back():
                    answer = asked.ask(name, who, whose)
                    found: tuple[int, str] = (
                        (answer.status_code, "") if answer.status_code < 400 else told(answer)
                    )
                expected = refusal_of(who, right)
                is_there = whose == ("another's" if who == "another's" else "own")
                if expected is None and names and not is_there:
                    expected = 404, NOT_FOUND.get(names[0], "1005")
                if found != expected and (expected is not None or found[0] != status):
                    wrong.append((name, who, whose, found, expected or status))

    assert wrong == []


def test_S15_what_is_anothers_and_what_is_nobodys_are_told_in_the_same_words(asked: Asked) -> None:
    for name, _method, route in ROUTES:
        if "<uuid:" not in route:
            continue
        with taken_back():
            anothers = asked.ask(name, Role.OWNER, "another's")
        with taken_back():
            nobodys = asked.ask(name, Role.OWNER, "random")
        assert (name, anothers.content) == (name, nobodys.content)
        assert set(anothers.headers) == set(nobodys.headers)

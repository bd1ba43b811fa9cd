"""The schema of approving, rejecting, rescheduling and resending is true: each status it names occurs."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.models import Member, Organization
from billing.models import SpendingCap
from messaging.models import Broadcast, Message
from tests.api import test_schema
from tests.api.deciding import waiting_broadcast
from tests.api.outages import database_away
from tests.api.test_schema import schema
from tests.people import ClientOf

__all__ = ["schema"]  # a fixture

pytestmark = pytest.mark.django_db

Schema = dict[str, Any]

# Operation → (method, what follows the address of the broadcast).
CALLS: Final = {
    "approveQueue": ("post", "/approve"),
    "rejectQueue": ("post", "/reject"),
    "rescheduleQueue": ("patch", ""),
    "resendFailedOfQueue": ("post", "/resend-failed"),
}
STATUSES: Final = {
    "approveQueue": {200, 400, 401, 403, 404, 409, 429, 503},
    "rejectQueue": {200, 400, 401, 403, 404, 409, 429, 503},
    "rescheduleQueue": {200, 400, 401, 403, 404, 409, 413, 415, 429, 503},
    "resendFailedOfQueue": {200, 201, 400, 401, 402, 403, 404, 409, 422, 429, 503},
}


class World:
    """Sara's broadcast in the state that an operation asks for, and whoever calls."""

    def __init__(self, request: pytest.FixtureRequest, name: str) -> None:
        self._request = request
        self.name = name
        self.broadcast = waiting_broadcast(request.getfixturevalue("sara"))
        if name == "rescheduleQueue":
            moment = timezone.now() + timedelta(hours=1)
            self.put(status="SCHEDULED", paused_because="", scheduled_at=moment)
        if name == "resendFailedOfQueue":
            Organization.objects.update(approval_above=None)
            Message.objects.update(status="FAILED", charge="RELEASED")
            self.put(status="COMPLETED", paused_because="", queued=0, failed=2)

    def put(self, **columns: Any) -> None:
        Broadcast.objects.filter(pk=self.broadcast.pk).update(**columns)

    def client(self, name: str) -> APIClient:
        of: ClientOf = self._request.getfixturevalue("client_of")
        member: Member = self._request.getfixturevalue(name)
        return of(member)

    def call(
        self,
        client: APIClient,
        queue_id: object = None,
        body: Any = None,
        query: str = "",
        **options: Any,
    ) -> Any:
        method, rest = CALLS[self.name]
        moment = (timezone.now() + timedelta(hours=2)).isoformat()
        options = {"format": "json", **options}
        return getattr(client, method)(
            f"/api/messages/queues/{queue_id or self.broadcast.pk}{rest}{query}",
            {"scheduledAt": moment} if body is None else body,
            **options,
        )

    def ended(self) -> Any:
        if self.name == "resendFailedOfQueue":
            self.put(status="RUNNING", queued=1, failed=1)
        else:
            self.put(status="CANCELED", paused_because="")
        return self.call(self.client("ana"))

    def capped(self) -> Any:
        SpendingCap.objects.create(organization=self.broadcast.organization, per_day=1)
        return self.call(self.client("ana"))

    def nobody_left(self) -> Any:
        if self.name == "resendFailedOfQueue":
            self.broadcast.organization.contacts.update(status="BLOCKED")
        return self.call(self.client("ana"))

    def with_key(self, key: str) -> Any:
        client = self.client("ana")
        said = {"message": "Otra"}
        used = {"Idempotency-Key": "used"}
        client.post("/api/messages/sms/all", said, format="json", headers=used)
        return self.call(client, headers={"Idempotency-Key": key})

    def too_often(self) -> Any:
        self._request.getfixturevalue("settings").RATE_LIMIT = "1/min"
        client = self.client("ana")
        client.get("/api/auth/me")
        return self.call(client)

    def without_a_database(self) -> Any:
        client = self.client("ana")
        with database_away():
            return self.call(client)

    def refused(self) -> Any:
        if self.name == "rescheduleQueue":
            return self.call(self.client("ana"), body={})
        if self.name == "resendFailedOfQueue":
            return self.with_key(" ")
        return self.call(self.client("ana"), query="?x=%00")


ANSWERS: Final[dict[int, Callable[[World], Any]]] = {
    200: World.nobody_left,
    201: lambda world: world.call(world.client("ana")),
    400: World.refused,
    401: lambda world: world.call(APIClient()),
    402: World.capped,
    403: lambda world: world.call(world.client("vera")),
    404: lambda world: world.call(world.client("ana"), uuid4()),
    409: World.ended,
    413: lambda world: world.call(world.client("ana"), body={"scheduledAt": " " * 300_000}),
    415: lambda world: world.call(world.client("ana"), format="multipart"),
    422: lambda world: world.with_key("used"),
    429: World.too_often,
    503: World.without_a_database,
}


@pytest.mark.parametrize("name", CALLS)
def test_it_names_these_statuses_and_no_other(schema: Schema, name: str) -> None:
    documented = test_schema.operation(schema, name)["responses"]

    assert {int(status) for status in documented} == STATUSES[name]


@pytest.mark.parametrize(
    ("name", "status"),
    [(name, status) for name, statuses in STATUSES.items() for status in sorted(statuses)],
)
def test_each_status_occurs_as_it_is_described(
    request: pytest.FixtureRequest, settings: Settings, schema: Schema, name: str, status: int
) -> None:
    settings.SMS_PROVIDERS = ["memory://local"]
    if status == 503:
        request.getfixturevalue("transactional_db")

    answer = ANSWERS[status](World(request, name))

    assert answer.status_code == status
    described = test_schema.operation(schema, name)["responses"][str(status)]["content"]
    assert list(described) == [answer["Content-Type"]] == ["application/json"]
    test_schema._require_fits(
        schema, described["application/json"]["schema"], json.loads(answer.getvalue())
    )

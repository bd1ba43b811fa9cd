"""PATCH /api/messages/queues/{queueId}: moving a scheduled broadcast, and what is shown of one."""

from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

import pytest
from django.utils import timezone
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.doors.fields import written
from accounts.models import AuditEntry, Member
from messaging import audiences, broadcasts, scheduling
from messaging.models import Broadcast
from tests.api.deciding import UNDECIDABLE
from tests.api.refusals import fields, nothing_happens, told
from tests.factories import TermsFactory
from tests.messaging.factories import contacts_in_order, grant
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

HOUR: Final = timedelta(hours=1)


@pytest.fixture
def scheduled(settings: Settings, ana: Member) -> Broadcast:
    settings.SMS_PROVIDERS = ["memory://local"]
    assert ana.organization is not None
    grant(ana.organization, 100)
    contacts_in_order(ana.organization, "+573001234567", "+573001234568", "123")
    return broadcasts.send(
        member=ana,
        audience=audiences.Everyone(),
        text="Hola",
        scheduled_at=timezone.now() + HOUR,
    )


def address(broadcast: Broadcast) -> str:
    return f"/api/messages/queues/{broadcast.pk}"


def patch(client: APIClient, broadcast: Broadcast, body: Any) -> Any:
    return client.patch(address(broadcast), body, format="json")


def moved_to(moment: datetime) -> dict[str, str]:
    return {"scheduledAt": moment.isoformat()}


# --- the answer -----------------------------------------------------------------------------------
def test_before_its_moment_its_messages_are_shown_as_scheduled(
    client_of: ClientOf, ana: Member, scheduled: Broadcast
) -> None:
    client = client_of(ana)

    before = client.get(address(scheduled)).json()
    Broadcast.objects.update(scheduled_at=timezone.now() - HOUR)
    scheduling.start_due()
    after = client.get(address(scheduled)).json()

    assert (before["status"], before["startedAt"], before["progress"]) == ("SCHEDULED", None, 0)
    assert (before["counts"]["scheduled"], before["counts"]["queued"]) == (2, 0)
    assert before["credits"] == {"reserved": 2, "captured": 0, "released": 0}
    assert after["status"] == "RUNNING"
    assert (after["counts"]["scheduled"], after["counts"]["queued"]) == (0, 2)


def test_it_answers_the_broadcast_with_its_new_moment_as_following_it_does(
    client_of: ClientOf, ana: Member, scheduled: Broadcast
) -> None:
    client, moment = client_of(ana), timezone.now() + timedelta(days=90) - HOUR
    etag = client.get(address(scheduled))["ETag"]

    answer = patch(client, scheduled, moved_to(moment))

    assert answer.status_code == 200
    assert (answer.json()["status"], answer.json()["scheduledAt"]) == (
        "SCHEDULED",
        written(moment),
    )
    followed = client.get(address(scheduled))
    assert answer.json() == followed.json()
    assert answer["ETag"] == followed["ETag"]
    assert etag != answer["ETag"]


def test_a_moment_may_have_any_offset(
    client_of: ClientOf, ana: Member, scheduled: Broadcast
) -> None:
    moment = (timezone.now() + 5 * HOUR).replace(microsecond=0)
    in_bogota = moment.isoformat().replace("+00:00", "Z")

    answer = patch(client_of(ana), scheduled, {"scheduledAt": in_bogota, "status": "RUNNING"})

    assert answer.json()["scheduledAt"] == written(moment)
    assert answer.json()["status"] == "SCHEDULED"


def test_it_is_recorded_with_who_and_from_where(
    client_of: ClientOf, sara: Member, scheduled: Broadcast
) -> None:
    patch(client_of(sara), scheduled, moved_to(timezone.now() + 2 * HOUR))

    entry = AuditEntry.objects.get(act="broadcast.rescheduled")

    assert (entry.subject, entry.member) == (f"broadcast:{scheduled.pk}", sara)
    assert entry.address == "127.0.0.1"


def test_canceling_it_works_and_new_terms_hinder_neither(
    client_of: ClientOf, sara: Member, scheduled: Broadcast
) -> None:
    client = client_of(sara)
    TermsFactory.create(version="2026-2")

    moved = patch(client, scheduled, moved_to(timezone.now() + 2 * HOUR))
    canceled = client.post(f"{address(scheduled)}/cancel")

    assert moved.status_code == 200
    assert (canceled.status_code, canceled.json()["status"]) == (200, "CANCELED")


# --- the moment -----------------------------------------------------------------------------------
WRONG: Final[tuple[Any, ...]] = (
    None,
    "",
    "tomorrow",
    "2026-13-01T00:00:00Z",
    "9999-12-31T23:59:59-23:59",
    12,
    True,
    [],
    {},
)


def test_what_is_no_moment_has_passed_or_is_too_far_away_is_400(
    client_of: ClientOf, ana: Member, scheduled: Broadcast
) -> None:
    client, now = client_of(ana), timezone.now()
    far = (now - HOUR, now + timedelta(days=90) + HOUR)
    bodies = [
        *({"scheduledAt": wrong} for wrong in WRONG),
        *(moved_to(moment) for moment in far),
        {},
        {"scheduled_at": "2027-01-01T00:00:00Z"},
    ]

    for body in bodies:
        with nothing_happens():
            answer = patch(client, scheduled, body)
        assert (body, *told(answer)) == (body, 400, "4000")
        assert fields(answer) == {"scheduledAt"}


def test_a_dry_run_is_refused_and_moves_nothing(
    client_of: ClientOf, ana: Member, scheduled: Broadcast
) -> None:
    client, body = client_of(ana), moved_to(timezone.now() + 2 * HOUR)

    with nothing_happens():
        answer = client.patch(f"{address(scheduled)}?dryRun=true", body, format="json")

    assert told(answer) == (400, "4000")


def test_it_takes_json_alone(client_of: ClientOf, ana: Member, scheduled: Broadcast) -> None:
    client = client_of(ana)

    form = client.patch(address(scheduled), moved_to(timezone.now() + HOUR), format="multipart")
    large = client.patch(address(scheduled), b"{" + b" " * 300_000, content_type="application/json")

    assert told(form) == (415, "4041")
    assert told(large) == (413, "4042")


# --- the states -----------------------------------------------------------------------------------
def test_it_is_409_unless_it_is_scheduled(
    client_of: ClientOf, ana: Member, scheduled: Broadcast
) -> None:
    client = client_of(ana)

    for status, because in (*UNDECIDABLE, ("PAUSED", "approval")):
        if status == "SCHEDULED":
            continue
        Broadcast.objects.update(status=status, paused_because=because)
        with nothing_happens():
            answer = patch(client, scheduled, moved_to(timezone.now() + 2 * HOUR))
        assert (status, because, *told(answer)) == (status, because, 409, "4013")

    assert Broadcast.objects.get().scheduled_at == scheduled.scheduled_at


def test_of_a_scheduled_one_nothing_else_is_allowed(
    client_of: ClientOf, sara: Member, ana: Member, scheduled: Broadcast
) -> None:
    Broadcast.objects.update(member=sara)
    client = client_of(ana)

    for verb in ("pause", "resume", "approve", "reject", "resend-failed"):
        with nothing_happens():
            answer = client.post(f"{address(scheduled)}/{verb}")
        assert (verb, *told(answer)) == (verb, 409, "4013")


# --- who ------------------------------------------------------------------------------------------
def test_without_credentials_it_is_401(anonymous: APIClient, scheduled: Broadcast) -> None:
    assert told(patch(anonymous, scheduled, {})) == (401, "1002")


@pytest.mark.parametrize("who", ["vera", "root"])
def test_S15_a_viewer_and_a_superuser_are_403_whatever_the_body(
    request: pytest.FixtureRequest, client_of: ClientOf, scheduled: Broadcast, who: str
) -> None:
    client = client_of(request.getfixturevalue(who))

    assert told(patch(client, scheduled, {})) == (403, "1003")


def test_a_viewer_goes_on_following_it(
    client_of: ClientOf, vera: Member, scheduled: Broadcast
) -> None:
    assert client_of(vera).get(address(scheduled)).status_code == 200


def test_S14_another_organizations_is_as_none_at_all(
    client_of: ClientOf, carla: Member, scheduled: Broadcast
) -> None:
    client = client_of(carla)

    foreign = patch(client, scheduled, moved_to(timezone.now() + 2 * HOUR))
    random = client.patch(f"/api/messages/queues/{uuid4()}", {}, format="json")

    assert told(foreign) == told(random) == (404, "1005")
    assert foreign.content == random.content

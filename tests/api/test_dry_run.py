"""?dryRun=true on all three doors: what sending would come to, with nothing written or charged."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from pytest_django import Settings

from accounts.models import Member, Organization
from billing.models import Rate
from contacts.models import Contact
from messaging.models import Broadcast
from tests.api import doors
from tests.api.doors import DOORS, read
from tests.api.refusals import fields, nothing_happens, told
from tests.contacts.factories import SuppressionFactory
from tests.messaging.factories import contacts_in_order, grant
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

Look = Callable[..., Any]

FIELDS = [
    "audience",
    "recipients",
    "skipped",
    "encoding",
    "segmentsPerMessage",
    "segments",
    "credits",
    "balance",
    "balanceAfter",
    "byCountry",
    "nonGsmCharacters",
    "sampleRecipients",
    "etaSeconds",
    "confirmToken",
    "needsApproval",
    "sentLately",
]


@pytest.fixture(autouse=True)
def _provider(settings: Settings) -> None:
    settings.SMS_PROVIDERS = ["memory://local"]


@pytest.fixture
def look(client_of: ClientOf, ana: Member, acme: Organization) -> Look:
    """Ask as Ana what a text to all comes to, and hold that nothing happens."""
    client = client_of(ana)

    def looked(message: str = "Hola", **body: Any) -> Any:
        with nothing_happens():
            return doors.dry_run(client, "all", {"message": message, **body})

    return looked


# --- what it says ---------------------------------------------------------------------------------
@pytest.mark.parametrize("door", DOORS)
def test_it_answers_every_field_at_every_door_and_does_nothing(
    client_of: ClientOf, ana: Member, acme: Organization, door: str
) -> None:
    grant(acme, 10)
    Rate.objects.create(country="US", credits_per_segment=3)
    contacts_in_order(acme, "+573001234567", "x", "+12025550123", "3001234567", "+573001234568")
    body = {"message": "a" * 161, **doors.aim(door, acme)}

    client = client_of(ana)
    with nothing_happens():
        answer = doors.dry_run(client, door, body)

    assert answer.status_code == 200
    assert answer["Content-Type"] == "application/json"
    seen = read(answer)
    assert list(seen) == FIELDS
    assert len(seen.pop("confirmToken")) > 40
    assert seen.pop("etaSeconds") >= 1
    assert seen == {
        "audience": 5,
        "recipients": 3,
        "skipped": {"invalid_number": 1, "duplicate": 1},
        "encoding": "GSM-7",
        "segmentsPerMessage": 2,
        "segments": 6,
        "credits": 10,
        "balance": 10,
        "balanceAfter": 0,
        "byCountry": [
            {"country": "CO", "recipients": 2, "credits": 4},
            {"country": "US", "recipients": 1, "credits": 6},
        ],
        "nonGsmCharacters": [],
        "sampleRecipients": ["+573001234567", "+12025550123", "+573001234568"],
        "needsApproval": False,
        "sentLately": [],
    }


@pytest.mark.parametrize("door", DOORS)
def test_the_send_after_it_is_what_it_said(
    client_of: ClientOf, ana: Member, acme: Organization, door: str
) -> None:
    grant(acme, 100)
    SuppressionFactory(organization=acme, recipient="+573001234561")
    contacts_in_order(
        acme, *(f"+57300123456{digit}" for digit in range(8)), "5512345678", "300 123 4567"
    )
    body = {"message": "Hola", "country": "MX", **doors.aim(door, acme)}
    client = client_of(ana)

    seen = read(doors.dry_run(client, door, body))
    sent = read(doors.post(client, door, body))

    broadcast = Broadcast.objects.get()
    assert (seen["recipients"], seen["credits"]) == (len(sent["messages"]), broadcast.credits)
    assert (seen["audience"], seen["skipped"]) == (broadcast.audience, broadcast.skipped_by_reason)
    assert seen["sampleRecipients"] == [entry["recipient"] for entry in sent["messages"]][:5]


def test_characters_beyond_gsm_are_named_each_once(look: Look) -> None:
    seen = read(look("«Hola» «ñandú» 👋"))

    assert (seen["encoding"], seen["segmentsPerMessage"]) == ("UCS-2", 1)
    assert seen["nonGsmCharacters"] == ["«", "»", "ú", "👋"]


def test_with_too_few_credits_it_says_how_many_are_missing(look: Look, acme: Organization) -> None:
    grant(acme, 1)
    contacts_in_order(acme, "+573001234567", "+573001234568", "+573001234569")

    seen = read(look())

    assert (seen["credits"], seen["balance"], seen["balanceAfter"]) == (3, 1, -2)


def test_credits_that_others_hold_are_not_of_the_balance(
    client_of: ClientOf, ana: Member, acme: Organization
) -> None:
    grant(acme, 5)
    contacts_in_order(acme, "+573001234567", "+573001234568")
    client = client_of(ana)
    doors.post(client, "all", {"message": "Hola"})

    seen = read(doors.dry_run(client, "all", {"message": "Adiós"}))

    assert (seen["balance"], seen["balanceAfter"]) == (3, 1)


def test_nobody_is_estimated_as_nobody(look: Look) -> None:
    seen = read(look())

    assert (seen["audience"], seen["recipients"], seen["credits"]) == (0, 0, 0)
    assert (seen["byCountry"], seen["sampleRecipients"], seen["etaSeconds"]) == ([], [], 0)


def test_the_pace_of_the_providers_gives_the_time(
    look: Look, acme: Organization, settings: Settings
) -> None:
    settings.SMS_PROVIDERS = ["memory://a?rate=2", "memory://b?rate=1"]
    contacts_in_order(acme, *(f"+57300123456{digit}" for digit in range(7)))

    assert read(look())["etaSeconds"] == 3


def test_it_says_what_waits_for_another_member(look: Look, acme: Organization) -> None:
    contacts_in_order(acme, "+573001234567", "+573001234568")

    for approval_above, waits in ((1, True), (2, False), (0, True), (None, False)):
        Organization.objects.filter(pk=acme.pk).update(approval_above=approval_above)
        assert read(look())["needsApproval"] is waits


def test_S28_it_says_what_went_out_lately_of_the_same_text(
    client_of: ClientOf, ana: Member, carla: Member, acme: Organization, look: Look
) -> None:
    grant(acme, 100)
    contacts_in_order(acme, "+573001234567", "+573001234568")
    contacts_in_order(carla.organization, "+525512345678")  # type: ignore[arg-type] # she has one
    grant(carla.organization, 10)  # type: ignore[arg-type]
    client = client_of(ana)
    first = read(doors.post(client, "all", {"message": "Hola"}))["queueId"]
    second = read(doors.post(client, "all", {"message": "Hola"}))["queueId"]
    doors.post(client, "all", {"message": "Adiós"})
    doors.post(client_of(carla), "all", {"message": "Hola"})

    seen = read(look())["sentLately"]

    assert [(each["queueId"], each["messages"]) for each in seen] == [(second, 2), (first, 2)]
    assert set(seen[0]) == {"queueId", "createdAt", "messages"}
    client.post(f"/api/messages/queues/{second}/cancel")
    assert [each["queueId"] for each in read(look())["sentLately"]] == [first]


# --- what is a dry run ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    "query",
    [
        "?dryRun=1",
        "?dryRun=",
        "?dryRun=True",
        "?dryRun",
        "?dryrun=true",
        "?dry_run=true",
        "?dryRun=true&dryRun=false",
        "?dryRun=false&dry-run=true",
    ],
)
def test_a_dry_run_that_is_misspelt_never_sends(
    client_of: ClientOf, ana: Member, acme: Organization, query: str
) -> None:
    grant(acme, 10)
    contacts_in_order(acme, "+573001234567")

    client = client_of(ana)
    with nothing_happens():
        answer = doors.post(client, "all", {"message": "Hola"}, query=query)

    assert (told(answer), fields(answer)) == ((400, "4000"), {"dryRun"})


def test_dry_run_false_sends(client_of: ClientOf, ana: Member, acme: Organization) -> None:
    grant(acme, 10)
    contacts_in_order(acme, "+573001234567")

    answer = doors.post(client_of(ana), "all", {"message": "Hola"}, query="?dryRun=false")

    assert answer.status_code == 201


def test_what_is_no_key_is_refused_by_a_dry_run_too(client_of: ClientOf, ana: Member) -> None:
    answer = doors.post(
        client_of(ana), "all", {"message": "Hola"}, query="?dryRun=true", **{"idempotency-key": " "}
    )

    assert told(answer) == (400, "4000")


def test_it_asks_for_no_key_and_leaves_it_free(
    client_of: ClientOf, ana: Member, acme: Organization
) -> None:
    grant(acme, 10)
    contacts_in_order(acme, "+573001234567")
    client = client_of(ana)
    body = {"message": "Hola"}

    seen = doors.post(client, "all", body, query="?dryRun=true", **{"idempotency-key": "k"})
    sent = doors.post(client, "all", body, **{"idempotency-key": "k"})
    after = doors.post(client, "all", body, query="?dryRun=true", **{"idempotency-key": "k"})

    assert (seen.status_code, sent.status_code, after.status_code) == (200, 201, 200)
    assert "Idempotent-Replayed" not in sent
    assert "confirmToken" in read(after)


# --- what it refuses ------------------------------------------------------------------------------
def test_it_refuses_as_a_send_does_and_in_the_same_order(
    anonymous: Any,
    client_of: ClientOf,
    ana: Member,
    beto: Member,
    vera: Member,
    root: Member,
    acme: Organization,
    settings: Settings,
) -> None:
    Organization.objects.filter(pk=acme.pk).update(allowed_countries=["CO"])
    contacts_in_order(acme, "+573001234567", "+573001234568")
    settings.SMS_PROVIDERS = [
        "twilio://AC00000000000000000000000000000000:t@api.twilio.com?from=%2B15005550006"
    ]

    def asked(client: Any, body: dict[str, Any] | None = None, door: str = "all") -> Any:
        with nothing_happens():
            return told(doors.dry_run(client, door, {"message": "Hola"} if body is None else body))

    assert asked(anonymous) == (401, "1002")
    assert asked(client_of(root)) == (403, "1003")
    assert asked(client_of(vera), {}) == (403, "1003")
    assert asked(client_of(beto), {}) == (403, "1022")  # S12
    owner = client_of(ana)
    assert asked(owner, {"message": " "}) == (400, "4000")
    assert asked(owner, {"message": "Hola", "type": "FLASH", "country": "US"}) == (400, "4001")
    assert asked(owner, {"message": "a" * 1_601, "country": "US"}) == (400, "4003")
    assert asked(owner, {"message": "Hola", "country": "US"}) == (400, "4002")
    moment = {"scheduledAt": "2020-01-01T00:00:00Z"}
    assert asked(owner, {"message": "Hola", **moment}) == (400, "4000")
    assert asked(owner, {"message": "Hola", "tagIds": [str(uuid4())]}, "tags") == (404, "1005")
    settings.MAX_AUDIENCE = 1
    assert asked(owner) == (400, "4004")


def test_it_sees_only_the_own_organization(
    look: Look, acme: Organization, borealis: Organization
) -> None:
    contacts_in_order(borealis, "+525512345678")
    (own,) = contacts_in_order(acme, "+573001234567")
    Contact.objects.filter(pk=own.pk).update(deleted_at=own.created_at)

    assert read(look())["audience"] == 0

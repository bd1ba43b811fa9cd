"""POST /api/messages/sms/tags: the contacts that carry any of the tags."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from accounts.models import Member, Organization
from billing import ledger
from contacts.models import Contact, Tag
from messaging.models import Broadcast
from tests.api.doors import read
from tests.api.refusals import fields, nothing_happens, told
from tests.messaging.factories import contacts_in_order, grant
from tests.people import ClientOf

pytestmark = pytest.mark.django_db

URL = "/api/messages/sms/tags"

Post = Callable[..., Any]


@pytest.fixture
def post(client_of: ClientOf, ana: Member, acme: Organization) -> Post:
    """Send "Hola" to these tags as Ana, who has a hundred credits."""
    grant(acme, 100)
    client = client_of(ana)

    def posted(tag_ids: object, headers: dict[str, str] | None = None, **body: Any) -> Any:
        return client.post(
            URL, {"message": "Hola", "tagIds": tag_ids, **body}, format="json", headers=headers
        )

    return posted


def tag(organization: Organization, name: str, *contacts: Contact) -> str:
    made = Tag.objects.create(organization=organization, name=name)
    made.contacts.set(contacts)
    return str(made.pk)


def recipients(answer: Any) -> list[str]:
    return [entry["recipient"] for entry in read(answer)["messages"]]


# --- 201 and 200 ----------------------------------------------------------------------------------
def test_who_carries_any_of_the_tags_gets_one_message(
    post: Post, acme: Organization, ana: Member
) -> None:
    first, _nobody, second, both = contacts_in_order(
        acme, *(f"+57300123456{digit}" for digit in range(4))
    )
    friends = tag(acme, "friends", both, first)
    family = tag(acme, "family", both, second)

    answer = post([friends, family])

    assert answer.status_code == 201
    body = read(answer)
    assert list(body) == ["queueId", "channel", "messages"]
    assert body["channel"] == "sms"
    assert [list(entry) for entry in body["messages"]] == [["id", "recipient"]] * 3
    assert [entry["recipient"] for entry in body["messages"]] == [
        "+573001234560",
        "+573001234562",
        "+573001234563",
    ]
    broadcast = Broadcast.objects.get()
    assert (str(broadcast.pk), broadcast.audience_kind) == (body["queueId"], "tags")
    assert (broadcast.member, broadcast.audience) == (ana, 3)
    assert ledger.balance(acme.pk).reserved == 3


def test_everybody_with_the_tag_is_accounted_for(post: Post, acme: Organization) -> None:
    contacts = contacts_in_order(
        acme, "3001234567", "+573001234567", "x", {"phone": "+573001234568", "status": "BLOCKED"}
    )

    answer = post([tag(acme, "friends", *contacts)])

    assert recipients(answer) == ["+573001234567"]
    assert Broadcast.objects.get().skipped_by_reason == {
        "duplicate": 1,
        "invalid_number": 1,
        "contact_blocked": 1,
    }


def test_a_tag_that_nobody_carries_answers_200(post: Post, acme: Organization) -> None:
    contacts_in_order(acme, "+573001234567")

    answer = post([tag(acme, "friends")])

    assert answer.status_code == 200
    assert read(answer) == {"queueId": "", "channel": "sms", "messages": []}
    assert Broadcast.objects.get().status == "COMPLETED"


def test_order_and_repetition_of_tags_make_no_other_request(post: Post, acme: Organization) -> None:
    (contact,) = contacts_in_order(acme, "+573001234567")
    one, two = tag(acme, "one", contact), tag(acme, "two")
    first = read(post([one, two], {"idempotency-key": "k"}))

    for same in ([two, one], [one, one, two], [one.upper(), two]):
        answer = post(same, {"idempotency-key": "k"})
        assert (answer["Idempotent-Replayed"], read(answer)) == ("true", first)
    assert told(post([one], {"idempotency-key": "k"})) == (422, "4011")


def test_a_tag_that_was_removed_meanwhile_is_answered_again(post: Post, acme: Organization) -> None:
    (contact,) = contacts_in_order(acme, "+573001234567")
    friends = tag(acme, "friends", contact)
    first = read(post([friends], {"idempotency-key": "k"}))
    Tag.objects.all().delete()

    assert read(post([friends], {"idempotency-key": "k"})) == first
    assert told(post([friends], {"idempotency-key": "other"})) == (404, "1005")


# --- refusals -------------------------------------------------------------------------------------
@pytest.mark.parametrize("whose", ["borealis", "nobody's"])
def test_S16_a_tag_that_is_not_the_organizations_is_404(
    post: Post, acme: Organization, borealis: Organization, whose: str
) -> None:
    own = tag(acme, "friends", *contacts_in_order(acme, "+573001234567"))
    other = tag(borealis, "theirs") if whose == "borealis" else str(uuid4())

    with nothing_happens():
        answer = post([own, other])

    assert told(answer) == (404, "1005")
    assert answer.json()["message"].replace(other, "ID") == (
        "There is no tag ID in your organization. GET /api/tags lists them."
    )


NO_TAGS = {
    "none": [],
    "null": None,
    "a text": str(uuid4()),
    "no ids": ["friends"],
    "numbers": [1],
    "null among them": [None],
    "too many": [str(uuid4())] * 1_001,
}


@pytest.mark.parametrize("tag_ids", NO_TAGS.values(), ids=NO_TAGS.keys())
def test_what_is_no_list_of_tags_is_400(post: Post, tag_ids: object) -> None:
    with nothing_happens():
        answer = post(tag_ids)

    assert told(answer) == (400, "4000")
    assert {name.partition(".")[0] for name in fields(answer)} == {"tagIds"}

"""An organization whose pages are worth looking at, with numbers that are kept free for fiction.

North America keeps 555-0100 to 555-0199 of each area code, Sweden +46 70 174 06 05 to 99.
"""

from collections.abc import Iterator
from datetime import timedelta
from random import Random
from typing import Final

from django.utils import timezone
from faker import Faker

from accounts.models import Member
from contacts.models import Contact
from messaging.models import Broadcast
from tests.factories import PASSWORD, MemberFactory, TermsAcceptanceFactory
from tests.faults.harness.houses import House
from tests.faults.harness.stack import Stack
from tests.messaging.rows import BroadcastFactory

_AREAS: Final = (206, 212, 303, 312, 404, 415, 503, 512, 617, 713, 416, 604)  # the last two: Canada
# For the sandbox carrier these are out of reach, or no numbers at all.
_MISBEHAVING: Final = (
    *(f"+170155501{n:02}" for n in range(14)),
    *(f"+190755501{n:02}" for n in range(6)),
)
_PAST: Final = (
    "Your books are due on Friday. Renew them at the desk or online.",
    "The reading group meets on Thursday at 6 pm, upstairs.",
    "The library is closed on Monday for the holiday.",
    "Story time for children: Saturday at 10 am, with hot chocolate.",
)


def numbers() -> Iterator[str]:
    for area in _AREAS:
        yield from (f"+1{area}55501{last:02}" for last in range(100))
    yield from (f"+46701740{last:03}" for last in range(605, 700))


def library(stack: Stack) -> tuple[House, Member]:
    """Return the library with its contacts and two weeks behind it, and its second member."""
    house = stack.house(name="Riverside Library", country="US", credits_=60_000)
    names = Faker("en_US")
    names.seed_instance(1)
    with stack.django():
        _call(house.ana, "Ana Torres", "ana@riverside.example")
        sara = MemberFactory.create(
            organization=house.organization,
            name="Sara Lind",
            email="sara@riverside.example",
            role="OWNER",
            password=PASSWORD,
        )
        TermsAcceptanceFactory.create(member=sara, terms=stack.terms)
        contacts = [
            Contact(
                organization=house.organization,
                name=names.first_name(),
                last_name=names.last_name(),
                phone=number,
                origin=Contact.Origin.IMPORT,
            )
            for number in (*numbers(), "555-01", "12025550", "ask at desk", *_MISBEHAVING)
        ]
        for contact in contacts:
            contact.read_number()
        Contact.objects.bulk_create(contacts)
        _past(house.ana)
    stack.sql("ANALYZE contacts_contact")
    return house, sara


def _call(member: Member, name: str, email: str) -> None:
    member.name, member.email = name, email
    member.save()


def _past(member: Member) -> None:
    """Two weeks of broadcasts that ended, as the start page's chart and list show them."""
    chance = Random(7)
    now = timezone.now()
    for days in range(13, 0, -1):
        if chance.random() < 0.2:
            continue
        total = chance.randint(700, 1295)
        failed = chance.randint(3, 40)
        at = now - timedelta(days=days, minutes=chance.randint(10, 400))
        BroadcastFactory.create(
            member=member,
            created_at=at,
            started_at=at,
            finished_at=at + timedelta(seconds=total // 20),
            text=_PAST[days % len(_PAST)],
            status=Broadcast.Status.COMPLETED_WITH_FAILURES,
            delivered=total - failed,
            failed=failed,
            credits=total,
            credits_captured=total - failed,
            credits_released=failed,
            providers=["twilio:AC00000000000000000000000000000000"],
            skipped_by_reason={"INVALID_NUMBER": 3},
        )

"""Demo data: what a newcomer finds on an empty database in development, and nothing in production."""

from io import StringIO
from typing import Final

from django.conf import settings
from django.core.management import call_command
from django.db import transaction

from accounts import terms
from accounts.models import Member, Organization, Terms
from accounts.roles import Role
from billing import ledger
from contacts import suppressions
from contacts.models import Contact, Suppression, Tag

ORGANIZATION: Final = "Pregón Demo"
EMAIL: Final = "demo@pregon.example"
ADMIN_EMAIL: Final = "admin@pregon.example"
PASSWORD: Final = "pregon-demo"  # noqa: S105 - printed at every start of the demo

_CREDITS: Final = 10_000_000
_CONTACTS: Final = 200  # beside the few below, so that a broadcast is something to watch

# Each shows one thing that can happen to a contact: number as given, own country, status.
_CONTACTS_TO_LOOK_AT: Final = [
    ("Ana María", "3001234567", "", Contact.Status.ACTIVE),
    ("Ana (twice)", "+57 300 123 4567", "", Contact.Status.ACTIVE),
    ("Benito", "0057 300 987 6543", "", Contact.Status.ACTIVE),
    ("Carmen", "300-765-4321", "CO", Contact.Status.ACTIVE),
    ("Dolores", "(202) 555-0123", "US", Contact.Status.ACTIVE),
    ("Too short", "123", "", Contact.Status.ACTIVE),
    ("Blocked", "3011234567", "", Contact.Status.BLOCKED),
    ("Inactive", "3021234567", "", Contact.Status.INACTIVE),
]
_OPTED_OUT: Final = "+573031234567"


def fill() -> bool:
    """Put demo data into an empty database; return whether there was nothing before.

    Two sign-ins with one well-known password: never in production, and never beside real members.
    """
    if settings.PRODUCTION or Member.objects.exists():
        return False
    with transaction.atomic():
        admin = Member.objects.create_superuser(ADMIN_EMAIL, PASSWORD, name="Platform admin")
        organization = Organization.objects.create(name=ORGANIZATION, email=EMAIL)
        demo = Member(email=EMAIL, name="Demo", organization=organization, role=Role.OWNER)
        demo.set_password(PASSWORD)
        demo.save()
        in_force = terms.publish(
            terms=Terms.objects.create(
                version="2026-01",
                title="Terms of use of the demo",
                body="Send only to people who asked for it. Stop when they say so.",
            ),
            member=admin,
        )
        terms.accept(member=demo, version=in_force.version)
        ledger.grant(organization=organization, amount=_CREDITS, member=admin, note="Demo credits")
        friends = Tag.objects.create(organization=organization, name="Friends")
        for name, phone, country, status in _CONTACTS_TO_LOOK_AT:
            contact = Contact.objects.create(
                organization=organization, name=name, phone=phone, country=country, status=status
            )
            contact.tags.add(friends)
        suppressions.add(
            organization=organization,
            recipient=_OPTED_OUT,
            source=Suppression.Source.MEMBER,
            member=demo,
        )
        Contact.objects.create(organization=organization, name="Opted out", phone=_OPTED_OUT)
        call_command(
            "make_contacts",
            organization=str(organization.pk),
            count=_CONTACTS,
            stdout=StringIO(),
        )
    return True

"""Rows that sending begins with: contacts in a known order, credits, and a broadcast of them."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from accounts.models import Member, Organization
from billing import ledger
from contacts.models import Contact
from messaging import audiences, broadcasts
from messaging.models import Broadcast
from tests.contacts.factories import ContactFactory
from tests.factories import SuperuserFactory

_FIRST = datetime(2026, 1, 1, tzinfo=UTC)

# Numbered from the last to the first, so that no order but that of `created_at` gives the right list.
_MANY = """
INSERT INTO contacts_contact (id, created_at, organization_id, name, last_name, email, phone, country,
  e164, region, read_as, refusal, status, origin, updated_at)
SELECT gen_random_uuid(), %(first)s + number * interval '1 second', %(organization)s, '', '', '', phone,
  '', phone, 'CO', '', '', 'ACTIVE', 'API', now()
FROM (
  SELECT number, '+57300' || lpad((9999999 - number)::text, 7, '0') AS phone
  FROM generate_series(1, %(count)s) AS number
) numbered
"""


def contacts_in_order(organization: Organization, *given: str | Mapping[str, Any]) -> list[Contact]:
    """Make contacts with these numbers, or these fields, a second after one another.

    They come after those there are. Inside one transaction PostgreSQL's clock stands still, and ids
    are random: rows made without this have no order.
    """
    rows = [{"phone": each} if isinstance(each, str) else each for each in given]
    earlier = Contact.objects.filter(organization=organization).count()
    contacts: list[Contact] = [
        ContactFactory.create(
            **{
                "organization": organization,
                "created_at": _FIRST + timedelta(seconds=number),
                **row,
            }
        )
        for number, row in enumerate(rows, start=earlier)
    ]
    return contacts


def many_contacts(organization: Organization, count: int) -> list[str]:
    """Make contacts with Colombian numbers; return the numbers in the order of the contacts."""
    with connection.cursor() as cursor:
        cursor.execute(_MANY, {"first": _FIRST, "organization": organization.pk, "count": count})
    contacts = Contact.objects.filter(organization=organization).order_by("created_at", "id")
    return list(contacts.values_list("phone", flat=True))


def grant(organization: Organization, amount: int) -> None:
    """Put credits into the organization's account."""
    ledger.grant(
        organization=organization,
        amount=amount,
        member=SuperuserFactory.create(),
        note="for a test",
    )


def sent_broadcast(member: Member, *phones: str, text: str = "Hola") -> Broadcast:
    """Send to new contacts with these numbers, paid for."""
    organization = member.organization
    assert organization is not None
    grant(organization, 1_000)
    contacts_in_order(organization, *phones)
    return broadcasts.send(member=member, audience=audiences.Everyone(), text=text)

"""S18: what is classified, written and charged belongs to one organization."""

import io

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from accounts.models import Member, Organization
from billing import ledger
from contacts.models import Contact, Suppression
from messaging import audiences, broadcasts
from messaging.models import Message, Skip
from tests.messaging.conftest import memory
from tests.messaging.factories import contacts_in_order, grant

__all__ = ["memory"]  # a fixture

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("memory")]

NUMBERS = ("+573001234567", "+573001234568", "123")


@pytest.fixture
def both(acme: Organization, borealis: Organization, ana: Member, carla: Member) -> None:
    """Two organizations with the same people; the other one's opt-outs and credits are its own."""
    for house in (acme, borealis):
        contacts_in_order(house, *NUMBERS)
        grant(house, 10)
    Suppression.objects.create(
        organization=borealis, recipient=NUMBERS[0], source=Suppression.Source.MEMBER
    )


@pytest.mark.usefixtures("both")
def test_S18_a_broadcast_reads_writes_and_charges_its_own_organization_alone(
    acme: Organization, borealis: Organization, ana: Member, carla: Member
) -> None:
    of_ana = broadcasts.send(member=ana, audience=audiences.Everyone(), text="Hola")
    of_carla = broadcasts.send(member=carla, audience=audiences.Everyone(), text="Hola")

    for sent, house, messages in ((of_ana, acme, 2), (of_carla, borealis, 1)):
        own = set(Contact.objects.filter(organization=house).values_list("id", flat=True))
        written = Message.objects.filter(broadcast=sent)
        skipped = Skip.objects.filter(broadcast=sent)
        assert written.count() == messages
        assert set(written.values_list("organization_id", flat=True)) == {house.pk}
        assert {*written.values_list("contact_id", flat=True)} <= own
        assert {*skipped.values_list("contact_id", flat=True)} <= own
        assert ledger.balance(house.pk).reserved == messages


BREAKS = {
    "a message's contact": "UPDATE messaging_message SET contact_id = (SELECT id FROM contacts_contact"
    " WHERE organization_id = %(other)s LIMIT 1)",
    "a message's organization": "UPDATE messaging_message SET organization_id = %(other)s",
    "a broadcast's organization": "UPDATE messaging_broadcast SET organization_id = %(other)s",
}


@pytest.mark.parametrize("what", BREAKS)
@pytest.mark.usefixtures("both")
def test_S18_the_audit_finds_what_mixes_two_organizations(
    borealis: Organization, ana: Member, what: str
) -> None:
    broadcasts.send(member=ana, audience=audiences.Everyone(), text="Hola")
    call_command("audit_ledger", "--all", stdout=io.StringIO())
    with connection.cursor() as cursor:
        cursor.execute(BREAKS[what], {"other": borealis.pk})
    output = io.StringIO()

    with pytest.raises(CommandError):
        call_command("audit_ledger", "--all", stdout=output)

    assert "one_organization_a_message: 2 AT FAULT" in output.getvalue()

"""One row of everything that an address of the API can name, for the tests that ask every address."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.apps import apps
from django.db import connection
from django.utils import timezone

from accounts import api_keys
from accounts.models import ApiKey, Member, Organization
from contacts.import_rows import ImportJob
from contacts.models import Suppression, Tag
from messaging import audiences, broadcasts
from messaging.models import Broadcast, Message
from tests.house import source
from tests.messaging.factories import contacts_in_order, grant

CREDITS: Final = 1_000_000
PEOPLE: Final = ("+573001234567", "+573001234568", "+12025550123", "nonsense")


@dataclass(frozen=True)
class Rows:
    """What an organization has, by the name that its place in an address has."""

    ids: dict[str, str]
    broadcasts: list[Broadcast]


def fill(owner: Member, *, sender: Member | None = None) -> Rows:
    """Give the owner's organization contacts, credits and a row of each kind; the sender, or he, sent."""
    house = owner.organization
    assert house is not None
    grant(house, CREDITS)
    people = contacts_in_order(house, *PEOPLE)
    tag = Tag.objects.create(organization=house, name="friends")
    tag.contacts.set(people[:2])
    key = ApiKey(name="shop")
    api_keys.add(key=key, by=owner)
    by = sender or owner
    sent = [_send(by, "Hola"), _send(by, "Later", days=3), _send(by, "Paused")]
    Broadcast.objects.filter(pk=sent[2].pk).update(status="PAUSED", paused_because="operator")
    message = Message.objects.filter(broadcast=sent[0])[0]
    ids: dict[str, UUID] = {
        "organization_id": house.pk,
        "key_id": key.pk,
        "contact_id": people[0].pk,
        "job_id": _imported(owner, house).pk,
        "tag_id": tag.pk,
        "suppression_id": _opt_out(house).pk,
        "queue_id": sent[0].pk,
        "message_id": message.pk,
    }
    return Rows({name: str(pk) for name, pk in ids.items()}, sent)


def _send(member: Member, text: str, *, days: int = 0) -> Broadcast:
    moment = timezone.now() + timedelta(days=days) if days else None
    return broadcasts.send(
        member=member, audience=audiences.Everyone(), text=text, scheduled_at=moment
    )


def _imported(member: Member, house: Organization) -> ImportJob:
    return ImportJob.objects.create(
        organization=house,
        member=member,
        file_name="people.csv",
        mode=ImportJob.Mode.ADD,
        status=ImportJob.Status.COMPLETED,
        finished_at=timezone.now(),
    )


def _opt_out(house: Organization) -> Suppression:
    return Suppression.objects.create(
        organization=house, recipient="+573009999999", source=Suppression.Source.MEMBER
    )


def named(text: str, names: dict[str, str]) -> str:
    for name, pk in names.items():
        text = text.replace(name, pk)
    return text


def state() -> str:
    """Return a digest of every row of every table of ours."""
    tables = sorted(
        model._meta.db_table for model in apps.get_models() if model._meta.app_label in source.ROOMS
    )
    each = " UNION ALL ".join(f"SELECT '{name}', t::text FROM {name} t" for name in tables)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT md5(string_agg(line, E'\\n' ORDER BY line)) FROM ({each}) rows (name, line)"
        )
        found: str = cursor.fetchone()[0]
    return found

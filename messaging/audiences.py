"""Audiences: whom a broadcast is aimed at, each as the SQL that puts its people in their order.

`classification` then says who of them gets a message, and who is skipped and why.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db.models import QuerySet

from accounts.models import Organization
from contacts import phone_numbers, tags
from contacts.models import Contact
from contacts.phone_numbers import Reading
from messaging.models import Broadcast, Message

Kind = Broadcast.AudienceKind
Resent = Broadcast.Resent

_STATUSES: Final = {
    Resent.FAILED: [Message.Status.FAILED, Message.Status.UNDELIVERED],
    Resent.UNKNOWN: [Message.Status.UNKNOWN],
}

_PLACEHOLDER: Final = re.compile("%%|%s")


@dataclass(frozen=True, slots=True)
class Source:
    """CTEs whose last, `numbered`, has a row for each of an audience, and their parameters.

    Its columns: place, contact_id, phone, status, e164, region, refusal, and `unread` where a contact's
    number was not read yet with a country in force. No contact stands in it twice.
    """

    ctes: str
    parameters: Mapping[str, Any]
    is_small: bool = False  # a thousand rows at most: opt-outs are better looked up one by one


class _OfContacts:
    """Contacts that are not deleted, in the order in which they were created."""

    reads_contacts: ClassVar = True  # so their numbers are read with the countries in force before

    def condition(self) -> tuple[str, Mapping[str, Any]]:
        """Return which contacts `c` of the organization belong to it, as SQL with its parameters."""
        raise NotImplementedError

    def source(self, countries: Sequence[str]) -> Source:
        """Return the contacts. `row_number` follows the index of their creation: nothing is sorted."""
        condition, parameters = self.condition()
        count = len(countries)
        return Source(
            f"""
numbered AS (
  SELECT row_number() OVER (ORDER BY c.created_at, c.id) AS place, c.id AS contact_id, c.phone,
    c.status, {_read("e164", count)} AS e164, {_read("region", count)} AS region,
    {_read("refusal", count)} AS refusal, {_unread(count)} AS unread
  FROM contacts_contact c {"".join(_reading(position) for position in range(count))}
  WHERE c.organization_id = %(organization_id)s AND c.deleted_at IS NULL AND {condition}
)""",
            {
                **{f"country_{position}": country for position, country in enumerate(countries)},
                **parameters,
            },
        )

    def require_known(self, organization: Organization) -> None:
        """Pass when all that it is named by is the organization's."""

    @property
    def columns(self) -> dict[str, Any]:
        """What a broadcast keeps of it."""
        return {"audience_kind": self.kind}

    kind: ClassVar[Kind]

    @property
    def names(self) -> list[str]:
        """What tells it from others of its kind, for those who compare requests."""
        return []


@dataclass(frozen=True, slots=True)
class Everyone(_OfContacts):
    """Every contact of the organization that is not deleted."""

    kind = Kind.ALL

    def condition(self) -> tuple[str, Mapping[str, Any]]:
        return "TRUE", {}


@dataclass(frozen=True, slots=True)
class Tagged(_OfContacts):
    """The contacts that carry any of the tags, each once."""

    tag_ids: Sequence[UUID]
    kind = Kind.TAGS

    def condition(self) -> tuple[str, Mapping[str, Any]]:
        return (
            """EXISTS (SELECT FROM contacts_contact_tags t
    WHERE t.contact_id = c.id AND t.tag_id = ANY(%(tag_ids)s))""",
            {"tag_ids": list(self.tag_ids)},
        )

    def require_known(self, organization: Organization) -> None:
        """Pass when every tag is the organization's. Raises: TagNotFound."""
        tags.of(organization=organization, ids=self.tag_ids)

    @property
    def names(self) -> list[str]:
        return sorted({str(tag_id) for tag_id in self.tag_ids})


@dataclass(frozen=True, slots=True)
class Chosen(_OfContacts):
    """Contacts that somebody chose, as a query: some rows, or all of a filter. Others' never count."""

    contacts: QuerySet[Contact]
    kind = Kind.SELECTION

    def condition(self) -> tuple[str, Mapping[str, Any]]:
        try:
            statement, values = self.contacts.order_by().values("pk").query.sql_with_params()
        except EmptyResultSet:  # Django knows already that nobody is in it
            return "FALSE", {}
        parameters = {f"chosen_{number}": value for number, value in enumerate(values)}
        given = iter(parameters)
        named = _PLACEHOLDER.sub(
            lambda found: "%%" if found[0] == "%%" else f"%({next(given)})s", statement
        )
        return f"c.id IN ({named})", parameters


@dataclass(frozen=True, slots=True)
class Numbers:
    """Phone numbers as a request gives them, in its order; a contact's number is that contact's.

    A number belongs to the contact that is kept with it, or that has the very same national text. Of
    several the earliest that may be written to has it. A number that is given again is a duplicate.
    """

    numbers: Sequence[str]
    kind: ClassVar = Kind.CONTACTS
    reads_contacts: ClassVar = False

    def source(self, countries: Sequence[str]) -> Source:
        readings = [_first_valid(number, countries) for number in self.numbers]
        return Source(
            # Contacts are looked up by index, however many there are. Of a contact only the first row has
            # its id: it is skipped once.
            """
given AS MATERIALIZED (
  SELECT * FROM unnest(%(phones)s::text[], %(e164s)s::text[], %(regions)s::text[], %(refusals)s::text[])
    WITH ORDINALITY AS given(phone, e164, region, refusal, place)
),
owned AS (
  SELECT c.e164, c.id, c.status, c.created_at FROM contacts_contact c
  WHERE c.organization_id = %(organization_id)s AND c.deleted_at IS NULL
    AND c.e164 = ANY(%(e164s)s) AND c.e164 <> ''
  UNION ALL
  SELECT given.e164, c.id, c.status, c.created_at FROM given JOIN contacts_contact c USING (phone)
  WHERE c.organization_id = %(organization_id)s AND c.deleted_at IS NULL
    AND c.read_as <> '' AND c.phone = ANY(%(phones)s) AND given.e164 <> ''
),
owner AS (
  SELECT DISTINCT ON (e164) e164, id, status FROM owned
  ORDER BY e164, status <> 'ACTIVE', created_at, id
),
numbered AS (
  SELECT given.place, given.phone, given.e164, given.region, given.refusal, owner.status,
    CASE WHEN row_number() OVER (PARTITION BY owner.id ORDER BY given.place) = 1 THEN owner.id END
      AS contact_id, FALSE AS unread
  FROM given LEFT JOIN owner ON owner.e164 = given.e164
)""",
            {
                "phones": list(self.numbers),
                "e164s": [reading.e164 for reading in readings],
                "regions": [reading.region for reading in readings],
                "refusals": [reading.refusal for reading in readings],
            },
            is_small=True,
        )

    def require_known(self, organization: Organization) -> None:
        """Pass: every number may be given."""

    @property
    def columns(self) -> dict[str, Any]:
        return {"audience_kind": self.kind}

    @property
    def names(self) -> list[str]:
        return list(self.numbers)


@dataclass(frozen=True, slots=True)
class Again:
    """The recipients of another broadcast's messages that failed, or whose outcome nobody knows.

    They keep their numbers, and whether each may be written to is asked anew; a contact that was deleted
    since counts as inactive. Who was written to again already, by a broadcast of either kind, is not in it;
    what was canceled of such a one never left.
    """

    broadcast_id: UUID
    resent: Resent
    kind: ClassVar = Kind.RESEND
    reads_contacts: ClassVar = False

    def source(self, countries: Sequence[str]) -> Source:  # noqa: ARG002 - the numbers were read when they were accepted
        earlier = Broadcast.objects.filter(resends=self.broadcast_id)
        return Source(
            """
numbered AS (
  SELECT row_number() OVER (ORDER BY m.id) AS place, m.contact_id, m.recipient AS phone,
    CASE WHEN m.contact_id IS NULL OR (c.id IS NOT NULL AND c.deleted_at IS NULL)
      THEN c.status ELSE 'INACTIVE' END AS status,
    m.recipient AS e164, m.country AS region, FALSE AS unread,
    CASE WHEN c.e164 = m.recipient THEN c.refusal WHEN m.country = '' THEN 'unsupported_number' ELSE '' END
      AS refusal
  FROM messaging_message m LEFT JOIN contacts_contact c ON c.id = m.contact_id
  WHERE m.organization_id = %(organization_id)s AND m.broadcast_id = %(again)s
    AND m.status = ANY(%(statuses)s) AND NOT EXISTS (SELECT FROM messaging_message written
      WHERE written.broadcast_id = ANY(%(earlier)s) AND written.recipient = m.recipient
        AND written.status <> 'CANCELED')
    -- what began to be blanked since it was asked
    AND EXISTS (SELECT FROM messaging_broadcast b WHERE b.id = %(again)s AND b.blanked_at IS NULL)
)""",
            {
                "again": self.broadcast_id,
                "statuses": _STATUSES[self.resent],
                # As values: with a join PostgreSQL would read all messages there are.
                "earlier": list(earlier.values_list("pk", flat=True)),
            },
        )

    def require_known(self, organization: Organization) -> None:
        """Pass: of another organization's broadcast it has nobody."""

    @property
    def columns(self) -> dict[str, Any]:
        return {
            "audience_kind": self.kind,
            "resends_id": self.broadcast_id,
            "resent": self.resent,
        }

    @property
    def names(self) -> list[str]:
        return [str(self.broadcast_id), self.resent]


Audience = Everyone | Tagged | Chosen | Numbers | Again


def _first_valid(number: str, countries: Sequence[str]) -> Reading:
    """Return the number's reading with the first country in which it is one."""
    reading = phone_numbers.read(number, phone_numbers.NOWHERE)
    for country in countries:
        if reading.refusal != phone_numbers.INVALID:
            break
        reading = phone_numbers.read(number, country)
    return reading


def _reading(position: int) -> str:
    """Return the JOIN of what national numbers come to in one of the countries."""
    return f"""
  LEFT JOIN contacts_numberreading r{position} ON r{position}.organization_id = c.organization_id
    AND r{position}.number = c.phone AND r{position}.country = %(country_{position})s
    AND c.read_as NOT IN ('', %(country_{position})s)"""


def _read(column: str, count: int) -> str:
    """Return the expression of a number's column: the contact's own, or of the first valid reading.

    The contact's own counts where no country was needed, or where it was read with the one in force.
    """
    choices = [
        f"WHEN c.read_as = %(country_{position})s AND c.e164 <> '' THEN c.{column}"
        f" WHEN r{position}.e164 <> '' THEN r{position}.{column}"
        for position in range(count)
    ]
    if not choices:
        return f"CASE WHEN c.read_as = '' THEN c.{column} ELSE '' END"
    return f"CASE WHEN c.read_as = '' THEN c.{column} {' '.join(choices)} ELSE '' END"


def _unread(count: int) -> str:
    """Return the condition under which a contact's number was not read with a country it needs."""
    conditions = []
    valid_before: list[str] = []
    for position in range(count):
        missing = f"c.read_as <> %(country_{position})s AND r{position}.id IS NULL"
        conditions.append(" AND ".join([*valid_before, missing]))
        valid_before.append(
            f"(c.read_as <> %(country_{position})s OR c.e164 = '')"
            f" AND coalesce(r{position}.e164, '') = ''"
        )
    any_missing = " OR ".join(f"({condition})" for condition in conditions)
    return f"c.read_as <> '' AND ({any_missing})" if conditions else "FALSE"

"""Filling an organization with made-up contacts, as many and as fast as COPY takes them."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, Final
from uuid import UUID

import phonenumbers
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from accounts.models import Organization
from contacts import phone_numbers
from contacts.models import Contact
from contacts.phone_numbers import Reading

_CHUNK: Final = 50_000
_SAMPLE: Final = 200
_COPY: Final = (
    f"COPY {Contact._meta.db_table} (organization_id, created_at, updated_at, name, last_name, "
    "email, phone, country, e164, region, read_as, refusal, status, origin) FROM STDIN"
)
_NAMES: Final = ("Ana", "Beto", "Camila", "Daniel", "Elena", "Felipe", "Inés", "María", "Úrsula")
_LAST_NAMES: Final = ("Álvarez", "Castro", "Díaz", "García", "Londoño", "Núñez", "Pérez", "Rojas")


class Command(BaseCommand):
    help = "Fill an organization with made-up contacts whose numbers are all valid and different."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--organization", required=True, help="its name or id")
        parser.add_argument("--count", type=int, required=True, help="how many contacts")
        parser.add_argument("--country", default="CO", help="whose mobile numbers (default: CO)")
        parser.add_argument(
            "--national",
            action="store_true",
            help="write the numbers without their country, so that one must be in force to send",
        )
        parser.add_argument(
            "--seed", type=int, default=0, help="the same seed makes the same numbers (default: 0)"
        )

    def handle(self, **options: Any) -> None:
        if settings.PRODUCTION:
            raise CommandError(
                "Made-up numbers may be somebody's, and the next broadcast would reach and charge them: "
                "production takes no test contacts."
            )
        count = options["count"]
        if count < 1:
            raise CommandError("--count must be 1 or more.")
        try:
            country = phone_numbers.country_of(options["country"])
        except phone_numbers.UnsupportedCountry as error:
            raise CommandError(f"--country: {error}") from error
        organization = _organization(options["organization"])
        began = time.perf_counter()
        numbers = _numbers(country, count, options["seed"])
        if options["national"]:
            readings = _written_nationally(numbers, country, organization.country)
        else:
            readings = ((e164, Reading(e164, country, ""), "") for e164, _digits in numbers)
        _copy(_lines(organization, readings, _first_moment(organization, count)))
        seconds = time.perf_counter() - began
        self.stdout.write(
            f"{count:,} contacts of {organization} in {seconds:.1f} s, {count / seconds:,.0f}/s"
        )


def _organization(name_or_id: str) -> Organization:
    try:
        found = Organization.objects.filter(pk=UUID(name_or_id))
    except ValueError:
        found = Organization.objects.filter(name=name_or_id)
    organizations = list(found[:2])
    if not organizations:
        names = ", ".join(Organization.objects.order_by("name").values_list("name", flat=True)[:10])
        raise CommandError(f"No organization is called {name_or_id!r}. There are: {names}")
    if len(organizations) > 1:
        raise CommandError(f"Several organizations are called {name_or_id!r}: give the id.")
    return organizations[0]


def _numbers(country: str, count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Return different mobile numbers, in E.164 and in national digits, in no visible order.

    Raises: CommandError when so many of one range are not known.
    """
    example = phonenumbers.example_number_for_type(country, phonenumbers.PhoneNumberType.MOBILE)
    if example is None:
        raise CommandError(f"No mobile number of {country} is known. Choose another --country.")
    national = phonenumbers.national_significant_number(example)
    width = len(str(count - 1))
    prefix, code, size = national[:-width], f"+{example.country_code}", 10**width
    chance = random.Random(seed)  # noqa: S311 - made-up people, nothing to guess
    # Reading a million numbers would take half a minute: a sample of their range stands for all.
    for position in [0, size - 1, *(chance.randrange(size) for _each in range(_SAMPLE))]:
        digits = f"{prefix}{position:0{width}d}"
        expected = Reading(code + digits, country, "")
        if phone_numbers.read(code + digits, "") != expected or len(digits) != len(national):
            raise CommandError(
                f"Not all of the {size:,} numbers of {country} that begin with {code}{prefix} are "
                "mobile numbers. Ask for fewer, or choose another --country."
            )
    start = chance.randrange(size)
    step = 10 * chance.randrange(max(size // 10, 1)) + chance.choice(
        (1, 3, 7, 9)
    )  # coprime to size
    every = (f"{prefix}{(start + i * step) % size:0{width}d}" for i in range(count))
    return ((code + digits, digits) for digits in every)


def _written_nationally(
    numbers: Iterator[tuple[str, str]], country: str, default_country: str
) -> Iterator[tuple[str, Reading, str]]:
    """Yield number as written, reading, and the country it was read with."""
    for e164, digits in numbers:
        if default_country == country:
            yield digits, Reading(e164, country, ""), country
        else:
            yield digits, *phone_numbers.read_contact(digits, "", default_country)


def _first_moment(organization: Organization, count: int) -> datetime:
    """Return when the first is created; each is a microsecond younger than the one before.

    The last is created now, the first after every contact that the organization has.
    """
    now: datetime = Organization.objects.values_list(Now(), flat=True)[0]
    first = now - timedelta(microseconds=count)
    newest = Contact.objects.filter(organization=organization).order_by(F("created_at").desc())
    for created_at in newest.values_list("created_at", flat=True)[:1]:
        first = max(first, created_at + timedelta(microseconds=1))
    return first


def _lines(
    organization: Organization, readings: Iterator[tuple[str, Reading, str]], first: datetime
) -> Iterator[str]:
    """Yield the contacts as lines of COPY; the database gives them ids in their order."""
    status, origin = Contact.Status.ACTIVE.value, Contact.Origin.IMPORT.value
    for i, (phone, reading, read_as) in enumerate(readings):
        moment = (first + timedelta(microseconds=i)).isoformat()
        name, last_name = _NAMES[i % len(_NAMES)], _LAST_NAMES[i % len(_LAST_NAMES)]
        yield (
            f"{organization.pk}\t{moment}\t{moment}\t{name}\t{last_name}\t\t{phone}\t\t"
            f"{reading.e164}\t{reading.region}\t{read_as}\t{reading.refusal}\t{status}\t{origin}\n"
        )


def _copy(lines: Iterator[str]) -> None:
    """Write all the lines or none."""
    with transaction.atomic(), connection.cursor() as cursor:
        while first := next(lines, ""):
            with cursor.copy(_COPY) as copy:  # short statements: none meets its timeout
                copy.write(first)
                for line in islice(lines, _CHUNK - 1):  # gathered and sent in larger pieces
                    copy.write(line)
    with connection.cursor() as cursor:
        cursor.execute(
            f"ANALYZE {Contact._meta.db_table}"
        )  # else plans are made for an empty table

"""Rows of who may be written to: contacts, their tags, opt-outs, and numbers already read."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Self

from django.conf import settings
from django.contrib.postgres.indexes import GinIndex
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts import countries
from accounts.models import Organization, Row
from contacts import phone_numbers, words
from contacts.import_rows import (  # noqa: F401 - Django finds an app's models here
    ImportChunk,
    ImportJob,
    ImportKey,
    UntakenRow,
)

SEARCHED: Final = ("name", "last_name", "email")
"""The columns of a contact whose words are searched."""


class Tag(Row):
    """A label an organization puts on contacts, to find or write to them together."""

    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        db_index=False,  # the constraint's index begins with it
        related_name="tags",
        verbose_name=_("organization"),
    )
    name = models.CharField(_("name"), max_length=100)
    description = models.CharField(_("description"), max_length=300, blank=True)
    color = models.CharField(
        _("color"),
        max_length=7,
        default="#7c3aed",
        validators=[RegexValidator(r"^#[0-9a-fA-F]{6}\Z", _("Give a color as #7c3aed."))],
    )
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("tag")
        verbose_name_plural = _("tags")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "name"], name="contacts_tag_name_unique"
            )
        ]

    def __str__(self) -> str:
        return self.name


class ContactQuerySet(models.QuerySet["Contact"]):
    def living(self) -> Self:
        """Return the contacts that nobody deleted: what every list and audience begins with."""
        return self.filter(deleted_at=None)

    def with_opt_outs(self) -> Self:
        """Say of each contact, as `is_opted_out`, whether its number as read is opted out."""
        opt_outs = Suppression.objects.filter(
            organization=models.OuterRef("organization"), recipient=models.OuterRef("e164")
        )
        return self.annotate(is_opted_out=models.Exists(opt_outs))


class Contact(Row):
    """A person the organization may write to, with the number as given and as it was read."""

    class Status(models.TextChoices):
        ACTIVE = "ACTIVE", _("Active")  # from its creation
        INACTIVE = "INACTIVE", _("Inactive")  # a member set it aside: skipped until active again
        BLOCKED = "BLOCKED", _("Blocked")  # a member forbids writing to this contact

    class Origin(models.TextChoices):
        ADMIN = "ADMIN", _("Admin")  # typed into a form
        API = "API", _("API")  # created by a client
        IMPORT = "IMPORT", _("Import")  # came in a file

    class Refusal(models.TextChoices):
        """Why a number cannot be written to; empty where it can."""

        INVALID = phone_numbers.INVALID, _("Invalid number")
        UNSUPPORTED = phone_numbers.UNSUPPORTED, _("Premium, shared-cost or satellite number")

    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        db_index=False,  # the indexes below begin with it
        related_name="contacts",
        verbose_name=_("organization"),
    )
    name = models.CharField(_("name"), max_length=200, blank=True)
    last_name = models.CharField(_("last name"), max_length=200, blank=True)
    email = models.EmailField(_("e-mail"), blank=True)
    phone = models.CharField(_("number as given"), max_length=phone_numbers.LONGEST)
    country = models.CharField(
        _("own country"),
        max_length=2,
        blank=True,
        help_text=_("Two letters, as CO. Empty: not known."),
    )
    # What `phone_numbers.read_contact` made of the number when the contact was saved.
    e164 = models.CharField(_("number in E.164"), max_length=16, blank=True, editable=False)
    region = models.CharField(_("country of the number"), max_length=2, blank=True, editable=False)
    # The country the number had to be read with; empty where it is international, where the
    # contact's own country read it, and where it is invalid in every country; ZZ where no country
    # was known.
    read_as = models.CharField(_("read as a number of"), max_length=2, blank=True, editable=False)
    refusal = models.CharField(
        _("refusal"), max_length=20, choices=Refusal, blank=True, editable=False
    )
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.ACTIVE)
    origin = models.CharField(
        _("origin"), max_length=10, choices=Origin, default=Origin.ADMIN, editable=False
    )
    birth_date = models.DateField(_("date of birth"), null=True, blank=True)
    tags = models.ManyToManyField(Tag, blank=True, related_name="contacts", verbose_name=_("tags"))
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)
    deleted_at = models.DateTimeField(_("deleted at"), null=True, editable=False)

    objects = ContactQuerySet.as_manager()

    _as_read: tuple[Any, ...] | None = None
    """What the row's reading was made of; none before the first."""

    class Meta:
        verbose_name = _("contact")
        verbose_name_plural = _("contacts")
        indexes = [
            # The audience of a broadcast to all, in the order in which the contacts were created.
            models.Index(
                fields=["organization", "created_at", "id"],
                condition=Q(deleted_at=None),
                name="contacts_contact_audience",
            ),
            # Who has this number: search by a number or its beginning.
            models.Index(fields=["organization", "e164"], name="contacts_contact_e164"),
            # Which numbers depend on the country in force: `number_readings.ensure`, number search.
            models.Index(
                fields=["organization", "read_as", "phone"],
                condition=Q(deleted_at=None) & ~Q(read_as=""),
                name="contacts_contact_read_as",
            ),
            # The few that stand out, newest first: set aside or blocked, and not to be written to.
            models.Index(
                fields=["organization", "status", "created_at", "id"],
                condition=Q(deleted_at=None) & ~Q(status="ACTIVE"),
                name="contacts_contact_set_aside",
            ),
            models.Index(
                fields=["organization", "refusal", "created_at", "id"],
                condition=Q(deleted_at=None) & ~Q(refusal=""),
                name="contacts_contact_refused",
            ),
            # The few of a rare origin or country. Entries are alike, so a million take 7 MB; of a country
            # alone, one look for each origin (skip scan). The many are found in their order, above.
            models.Index(
                fields=["organization", "origin", "region"],
                condition=Q(deleted_at=None),
                name="contacts_contact_kinds",
            ),
            # Search by the beginnings of words: `directory.find`.
            GinIndex(words.vector(*SEARCHED), name="contacts_contact_words"),
        ]

    def __str__(self) -> str:
        return f"{self.name} {self.last_name}".strip() or self.e164 or self.phone

    @property
    def country_shown(self) -> str:
        """The country of the number; of one that cannot be read, the contact's own."""
        return self.region or self.country

    @classmethod
    def from_db(cls, *args: Any, **kwargs: Any) -> Self:
        contact = super().from_db(*args, **kwargs)
        contact._as_read = contact._as_written()
        return contact

    def refresh_from_db(self, *args: Any, **kwargs: Any) -> None:
        super().refresh_from_db(*args, **kwargs)
        self._as_read = self._as_written()

    def clean(self) -> None:
        super().clean()
        if self.country:
            try:
                self.country = phone_numbers.country_of(self.country)
            except phone_numbers.UnsupportedCountry as error:
                raise ValidationError({"country": countries.no_such(self.country)}) from error

    def save(self, *args: Any, update_fields: Iterable[str] | None = None, **kwargs: Any) -> None:
        """Save the row; where number, country or organization changed, read the number anew.

        Rows written in sets (`bulk_create`, COPY) bring the reading along themselves.
        """
        fields = None if update_fields is None else set(update_fields)
        if fields is None or fields & {"phone", "country", "organization", "organization_id"}:
            self.read_number()
            if fields is not None:
                fields |= {"e164", "region", "read_as", "refusal"}
        super().save(*args, update_fields=fields, **kwargs)

    def read_number(self) -> bool:
        """Read the number where it, its country or the organization changed. Return whether it was."""
        if self._as_read == self._as_written():
            return False
        reading, self.read_as = phone_numbers.read_contact(
            self.phone, self.country, self.organization.country
        )
        self.e164, self.region, self.refusal = reading.e164, reading.region, reading.refusal
        self._as_read = self._as_written()
        return True

    def _as_written(self) -> tuple[Any, ...]:
        """Return what a reading depends on, without fetching what the query left out."""
        return tuple(self.__dict__.get(name) for name in ("phone", "country", "organization_id"))


class Suppression(Row):
    """A number that this organization must not write to any more, and who said so."""

    class Source(models.TextChoices):
        KEYWORD = "KEYWORD", _("Keyword")  # the person answered STOP or its like
        CARRIER = "CARRIER", _("Carrier")  # the carrier refused the number as opted out
        MEMBER = "MEMBER", _("Member")  # a member entered it

    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        db_index=False,  # the constraint's index begins with it
        related_name="suppressions",
        verbose_name=_("organization"),
    )
    recipient = models.CharField(_("number in E.164"), max_length=16)
    source = models.CharField(_("source"), max_length=10, choices=Source)
    member = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        db_index=False,  # members are not deleted, and nothing asks whose opt-outs these are
        related_name="+",
        verbose_name=_("entered by"),
    )

    class Meta:
        verbose_name = _("opt-out")
        verbose_name_plural = _("opt-outs")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "recipient"], name="contacts_suppression_recipient_unique"
            )
        ]

    def __str__(self) -> str:
        return self.recipient


class NumberReading(Row):
    """What a national number comes to in one country, kept so that no broadcast reads it twice."""

    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        db_index=False,  # the constraint's index begins with it
        related_name="+",
        verbose_name=_("organization"),
    )
    number = models.CharField(_("number as given"), max_length=phone_numbers.LONGEST)
    country = models.CharField(_("read as a number of"), max_length=2)
    e164 = models.CharField(_("number in E.164"), max_length=16, blank=True)
    region = models.CharField(_("country of the number"), max_length=2, blank=True)
    refusal = models.CharField(_("refusal"), max_length=20, choices=Contact.Refusal, blank=True)

    class Meta:
        verbose_name = _("number reading")
        verbose_name_plural = _("number readings")
        constraints = [
            # In this order the readings of one country lie as the contacts' numbers do: both are
            # merged without sorting when `number_readings.ensure` looks for what is missing.
            models.UniqueConstraint(
                fields=["organization", "country", "number"], name="contacts_reading_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.number} ({self.country})"

"""Rows of imports: a file's contacts on their way in, and what became of each row."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import Organization, Row

LONGEST_FILE_NAME: Final = 200


class ImportJob(Row):
    """One file of contacts that a member brought in, and how far it has come."""

    class Mode(models.TextChoices):
        ADD = "ADD", _("Add new contacts only")
        UPDATE = "UPDATE", _("Add new contacts and update known ones")
        DELETE_ALL = "DELETE_ALL", _("Replace all contacts by the file's")

    class Status(models.TextChoices):
        PROCESSING = "PROCESSING", _("Processing")  # from the moment the whole file is kept
        COMPLETED = "COMPLETED", _("Completed")  # every row was taken, or is listed with its reason
        ERROR = "ERROR", _("Error")  # it was given up; `failure` says why

    class Failure(models.TextChoices):
        """Why an import was given up; empty where it was not."""

        NOTHING_TAKEN = (
            "nothing_taken",
            _("No row of the file could be taken, so no contact was deleted."),
        )
        FEW_TAKEN = (
            "few_taken",
            _("Less than half of the rows could be taken, so no contact was added or deleted."),
        )
        BROKEN = "broken", _("It broke off again and again. What was taken until then stays.")

    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        db_index=False,  # the index below begins with it
        related_name="+",
        verbose_name=_("organization"),
    )
    member = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        db_index=False,  # members are not deleted, and nothing asks whose imports these are
        related_name="+",
        verbose_name=_("imported by"),
    )
    file_name = models.CharField(_("file"), max_length=LONGEST_FILE_NAME)
    mode = models.CharField(_("mode"), max_length=10, choices=Mode)
    status = models.CharField(_("status"), max_length=10, choices=Status, default=Status.PROCESSING)
    failure = models.CharField(_("reason"), max_length=20, choices=Failure, blank=True, default="")
    tag_ids = ArrayField(models.UUIDField(), verbose_name=_("tags"), default=list)
    total = models.IntegerField(_("rows"), default=0)
    done = models.IntegerField(_("rows dealt with"), default=0)
    added = models.IntegerField(_("contacts added"), default=0)
    updated = models.IntegerField(_("contacts found"), default=0)
    deleted = models.IntegerField(_("contacts deleted"), default=0)
    not_taken = models.IntegerField(_("rows not taken"), default=0)
    woken_at = models.DateTimeField(_("woken at"), null=True)
    # One more as a bite begins, none again as a part of it is kept: what always breaks comes to an end.
    broken_bites = models.IntegerField(_("bites broken off"), default=0)
    finished_at = models.DateTimeField(_("finished at"), null=True)

    class Meta:
        verbose_name = _("import")
        verbose_name_plural = _("imports")
        indexes = [
            # An organization's imports, newest first.
            models.Index(
                fields=["organization", "-created_at", "-id"], name="contacts_import_newest"
            )
        ]
        constraints = [
            # Two at once would each ask before the other writes, and add the same people twice.
            models.UniqueConstraint(
                fields=["organization"],
                condition=Q(status="PROCESSING"),
                name="contacts_import_one_running",
            )
        ]

    def __str__(self) -> str:
        return self.file_name


class ImportChunk(Row):
    """Rows of a file that wait, in their order; it goes as they are dealt with."""

    job = models.ForeignKey(
        ImportJob,
        on_delete=models.CASCADE,
        db_index=False,  # the constraint's index begins with it
        related_name="chunks",
    )
    number = models.IntegerField()
    rows = models.TextField()  # JSON: [[line, cell, …], …], the cells as `mapping.FIELDS`

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="contacts_chunk_once")
        ]

    def __str__(self) -> str:
        return f"{self.job_id} {self.number}"


class ImportKey(Row):
    """A number that a running import has seen, and the line that has it: the first."""

    job = models.ForeignKey(
        ImportJob,
        on_delete=models.CASCADE,
        db_index=False,  # the constraint's index begins with it
        db_constraint=False,  # a checked key costs more than the row, and this one goes with its import
        related_name="+",
    )
    key = models.CharField(max_length=65)  # E.164, or "~" and the number as given
    line = models.IntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "key"], name="contacts_key_once")]

    def __str__(self) -> str:
        return f"{self.job_id} {self.line}"


class UntakenRow(Row):
    """A row of an imported file that became no contact, and why."""

    class Reason(models.TextChoices):
        """The first that holds, but for the last two, which are found out in the database."""

        UNREADABLE = "unreadable", _("The row holds characters that cannot be stored.")
        TOO_MANY_CELLS = "too_many_cells", _("The row has more cells than the first one.")
        TOO_LONG = "too_long", _("A text is too long: %(detail)s.")
        NO_NUMBER = "no_number", _("There is no phone number.")
        UNKNOWN_COUNTRY = (
            "unknown_country",
            _("There is no such country. Write two letters, as CO, or a calling code, as 57."),
        )
        INVALID_NUMBER = (
            "invalid_number",
            _("This is no valid phone number. Write it with its country, as +57 300 123 4567."),
        )
        INVALID_EMAIL = "invalid_email", _("This is no e-mail address.")
        INVALID_DATE = "invalid_date", _("This is no date of birth. Write it as 1990-01-31.")
        INVALID_STATUS = (
            "invalid_status",
            _("There is no such status. Write ACTIVE, INACTIVE or BLOCKED."),
        )
        REPEATED = "repeated", _("Line %(detail)s of the file has the same number.")
        KNOWN = "known", _("A contact has this number already.")

    job = models.ForeignKey(
        ImportJob,
        on_delete=models.CASCADE,
        db_index=False,  # the constraint's index begins with it
        related_name="untaken",
    )
    line = models.IntegerField()
    reason = models.CharField(max_length=20, choices=Reason)
    detail = models.CharField(max_length=100, blank=True, default="")

    class Meta:
        constraints = [
            # Also the order of the report.
            models.UniqueConstraint(fields=["job", "line"], name="contacts_untaken_once")
        ]

    def __str__(self) -> str:
        return f"{self.line}: {self.sentence}"

    @property
    def sentence(self) -> str:
        """The reason in words, in the language of who reads it."""
        return str(self.Reason(self.reason).label) % {"detail": self.detail}

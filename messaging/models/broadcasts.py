"""Rows of broadcasts: what was sent, by whom, and the keys that name a request to send."""

from typing import Final
from uuid import UUID

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models import Organization, Row
from contacts import words

TEXT_WORDS: Final = words.vector("text", output_field=models.TextField())
"""The words of a broadcast's text, as its index has them."""


BLANKED: Final = _("(blanked)")
"""What people read where a number or a text was, once its organization keeps it no longer."""


class Kind(models.TextChoices):
    """The type of an SMS, as `type` on the wire says it."""

    SMS = "SMS", _("SMS")  # an ordinary text
    OTP = "OTP", _("One-time password")  # a code somebody waits for
    FLASH = "FLASH", _("Flash")  # shown at once, not stored by the phone


FIRST_KEY: Final = UUID(int=0)
"""What stands before every key."""


class Broadcast(Row):
    """One text, sent by one member, to many, at one moment. Its id is the queue id."""

    class Status(models.TextChoices):
        SCHEDULED = "SCHEDULED", _("Scheduled")  # accepted for a later moment
        RUNNING = "RUNNING", _("Running")  # accepted, or resumed: its messages may be handed over
        PAUSED = "PAUSED", _("Paused")  # nothing more is handed over until it is resumed
        COMPLETED = "COMPLETED", _("Completed")  # nothing waits, and nothing failed
        COMPLETED_WITH_FAILURES = "COMPLETED_WITH_FAILURES", _("Completed with failures")
        CANCELED = "CANCELED", _("Canceled")  # an operator stopped it for good

    FINISHED_STATUSES = frozenset(
        {Status.COMPLETED, Status.COMPLETED_WITH_FAILURES, Status.CANCELED}
    )

    class PausedBecause(models.TextChoices):
        OPERATOR = "operator", _("Paused by an operator")
        APPROVAL = "approval", _("Waits for approval")
        ERROR_RATE = "error_rate", _("Too many failures")
        NO_PROGRESS = "no_progress", _("Workers end without progress")

    class AudienceKind(models.TextChoices):
        ALL = "all", _("All contacts")
        CONTACTS = "contacts", _("Numbers of a request")
        TAGS = "tags", _("Contacts with a tag")
        SELECTION = "selection", _("Contacts chosen in the admin")
        RESEND = "resend", _("Messages of another broadcast, once more")

    class Resent(models.TextChoices):
        FAILED = "FAILED", _("Failed and undelivered messages")
        UNKNOWN = "UNKNOWN", _("Messages of unknown outcome")

    # The id is made in Python before the INSERT: at once the outbox row, the Celery task's id and `queueId`.
    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        related_name="broadcasts",
        verbose_name=_("organization"),
    )
    member = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        related_name="broadcasts",
        verbose_name=_("sent by"),
    )
    text = models.TextField(_("text"))
    kind = models.CharField(_("type"), max_length=8, choices=Kind, default=Kind.SMS)
    country = models.CharField(_("country of national numbers"), max_length=2, blank=True)
    audience_kind = models.CharField(
        _("to whom"),
        max_length=10,
        choices=AudienceKind,
        default=AudienceKind.ALL,
        db_default=AudienceKind.ALL,
    )
    # Whose messages it sends once more, and which of them.
    resends = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        db_index=False,  # the constraint's index begins with it
        related_name="resent_by",
        verbose_name=_("sends once more what was of"),
    )
    resent = models.CharField(
        _("what is sent once more"), max_length=8, choices=Resent, blank=True, db_default=""
    )
    encoding = models.CharField(_("encoding"), max_length=8)
    segments = models.PositiveSmallIntegerField(_("segments a message"))
    status = models.CharField(_("status"), max_length=24, choices=Status)
    paused_because = models.CharField(
        _("paused because"), max_length=16, choices=PausedBecause, blank=True
    )
    # Kept counters: the transaction that moves a message moves them, so that no page ever counts rows.
    audience = models.PositiveIntegerField(_("audience"), default=0)
    messages_total = models.PositiveIntegerField(_("messages"), default=0)
    skipped_total = models.PositiveIntegerField(_("skipped"), default=0)
    skipped_by_reason = models.JSONField(_("skipped by reason"), default=dict)
    queued = models.IntegerField(_("queued"), default=0)
    sending = models.IntegerField(_("sending"), default=0)
    unknown = models.IntegerField(_("unknown"), default=0)
    sent = models.IntegerField(_("sent"), default=0)
    delivered = models.IntegerField(_("delivered"), default=0)
    undelivered = models.IntegerField(_("undelivered"), default=0)
    failed = models.IntegerField(_("failed"), default=0)
    canceled = models.IntegerField(_("canceled"), default=0)
    credits = models.BigIntegerField(_("credits"), default=0)
    credits_captured = models.BigIntegerField(_("credits spent"), default=0)
    credits_released = models.BigIntegerField(_("credits returned"), default=0)
    # bit_xor of the hashed recipients: two audiences with the same one are the same people.
    fingerprint = models.BigIntegerField(_("fingerprint of the recipients"), default=0)
    providers = ArrayField(
        models.CharField(max_length=64), verbose_name=_("providers"), default=list
    )
    scheduled_at = models.DateTimeField(_("scheduled at"), null=True, blank=True)
    started_at = models.DateTimeField(_("started at"), null=True)
    finished_at = models.DateTimeField(_("finished at"), null=True)
    # Moved by every change that the status page shows: what its ETag is made of.
    updated_at = models.DateTimeField(_("updated at"), db_default=Now())
    woken_at = models.DateTimeField(_("woken at"), null=True)
    broken_drains = models.PositiveSmallIntegerField(_("drains that broke off in a row"), default=0)
    # The last 200 results of handing over, oldest first: "+" taken, "-" refused or of unknown outcome.
    recent_results = models.CharField(
        _("latest results"), max_length=200, blank=True, db_default=""
    )

    # When its numbers and text began to be blanked, at the end of its organization's retention: the text
    # at once, messages and skips in bites, in the order of their keys.
    blanked_at = models.DateTimeField(_("blanked at"), null=True)
    # The key up to which they are blanked; null once all are.
    unblanked_from = models.UUIDField(
        _("blanked up to"), null=True, default=FIRST_KEY, db_default=FIRST_KEY
    )

    class Meta:
        verbose_name = _("broadcast")
        verbose_name_plural = _("broadcasts")
        constraints = [
            models.CheckConstraint(
                condition=Q(audience=F("messages_total") + F("skipped_total")),
                name="messaging_broadcast_accounts_for_all",
            ),
            models.CheckConstraint(
                condition=Q(
                    queued__gte=0,
                    sending__gte=0,
                    unknown__gte=0,
                    sent__gte=0,
                    delivered__gte=0,
                    undelivered__gte=0,
                    failed__gte=0,
                    canceled__gte=0,
                    messages_total=F("queued")
                    + F("sending")
                    + F("unknown")
                    + F("sent")
                    + F("delivered")
                    + F("undelivered")
                    + F("failed")
                    + F("canceled"),
                ),
                name="messaging_broadcast_counters_add_up",
            ),
            # What failed of a broadcast is sent once more once, and so is what is unknown: in vain where it
            # was canceled or reached nobody.
            models.UniqueConstraint(
                fields=["resends", "resent"],
                condition=Q(resends__isnull=False)
                & ~Q(status="CANCELED")
                & ~Q(status="COMPLETED", messages_total=0),
                name="messaging_broadcast_resent_once",
            ),
        ]
        indexes = [
            # The list of an organization's broadcasts, newest first.
            models.Index(
                fields=["organization", "-created_at", "-id"], name="messaging_broadcast_newest"
            ),
            # What the dispatcher looks after.
            models.Index(
                fields=["status"],
                condition=Q(status__in=["SCHEDULED", "RUNNING", "PAUSED"]),
                name="messaging_broadcast_open",
            ),
            # Lists of messages by type, and by words of their text: the broadcasts are found first.
            models.Index(
                fields=["organization", "kind", "-created_at", "-id"],
                name="messaging_broadcast_kind",
            ),
            GinIndex(TEXT_WORDS, name="messaging_broadcast_words"),
            # What the dispatcher starts next, however much waits for later moments.
            models.Index(
                fields=["scheduled_at"],
                condition=Q(status="SCHEDULED"),
                name="messaging_broadcast_scheduled",
            ),
            # What is blanked next of an organization: the chore of retention.
            models.Index(
                fields=["organization", "finished_at"],
                condition=Q(unblanked_from__isnull=False, finished_at__isnull=False),
                name="messaging_broadcast_unblanked",
            ),
            # Canceled broadcasts whose messages still follow.
            models.Index(
                fields=["id"],
                condition=Q(status="CANCELED", finished_at=None),
                name="messaging_broadcast_canceling",
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def shown_text(self) -> str:
        """The text as people see it, also where there is none any more."""
        return self.text if self.blanked_at is None else str(BLANKED)

    @property
    def waiting(self) -> int:
        """Messages whose outcome nobody can tell yet because they were not handed over."""
        return self.queued + self.sending

    @property
    def credits_reserved(self) -> int:
        """Credits that are neither spent nor returned yet."""
        return self.credits - self.credits_captured - self.credits_released

    @property
    def progress(self) -> float:
        """The share of messages that is past handing over, from 0 to 1."""
        return 1 - self.waiting / self.messages_total if self.messages_total else 1.0


class Approval(Row):
    """A broadcast above the organization's approval size: another member lets it go, or does not."""

    class Decision(models.TextChoices):
        APPROVED = "APPROVED", _("Approved")  # the broadcast runs
        REJECTED = "REJECTED", _("Rejected")  # it is canceled

    broadcast = models.OneToOneField(
        Broadcast, on_delete=models.PROTECT, related_name="approval", verbose_name=_("broadcast")
    )
    decision = models.CharField(_("decision"), max_length=10, choices=Decision, blank=True)
    member = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("decided by"),
    )
    decided_at = models.DateTimeField(_("decided at"), null=True, blank=True)

    class Meta:
        verbose_name = _("approval")
        verbose_name_plural = _("approvals")
        constraints = [
            models.CheckConstraint(
                condition=Q(decision="", member=None, decided_at=None)
                | Q(
                    decision__in=["APPROVED", "REJECTED"],
                    member__isnull=False,
                    decided_at__isnull=False,
                ),
                name="messaging_approval_decided_by_somebody",
            )
        ]

    def __str__(self) -> str:
        return f"{self.broadcast_id} {self.decision}"


class IdempotencyKey(Row):
    """A client's name for one request to send: the request is carried out once, then repeated from here."""

    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        db_index=False,  # the constraint's index begins with it
        related_name="+",
        verbose_name=_("organization"),
    )
    key = models.CharField(_("key"), max_length=255)
    fingerprint = models.CharField(_("fingerprint of the request"), max_length=64)
    # Written in the transaction that accepts the broadcast: a key without one is never seen.
    broadcast = models.ForeignKey(
        Broadcast,
        on_delete=models.PROTECT,
        null=True,
        db_index=False,  # nothing asks for a broadcast's key
        related_name="+",
        verbose_name=_("broadcast"),
    )

    class Meta:
        verbose_name = _("idempotency key")
        verbose_name_plural = _("idempotency keys")
        constraints = [
            models.UniqueConstraint(
                fields=["organization", "key"], name="messaging_idempotencykey_once"
            )
        ]
        indexes = [
            # The chore that forgets keys after 24 hours.
            models.Index(fields=["created_at"], name="messaging_idempotencykey_age")
        ]

    def __str__(self) -> str:
        return self.key

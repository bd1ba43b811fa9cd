"""Rows of what was sent: broadcasts, their messages and skips, and what carriers said of them."""

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models import Organization, Row
from contacts.models import Contact


class Kind(models.TextChoices):
    """The type of an SMS, as `type` on the wire says it."""

    SMS = "SMS", _("SMS")  # an ordinary text
    OTP = "OTP", _("One-time password")  # a code somebody waits for
    FLASH = "FLASH", _("Flash")  # shown at once, not stored by the phone


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
        ]

    def __str__(self) -> str:
        return str(self.pk)

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


class Message(Row):
    """One text to one recipient and its whole journey."""

    class Status(models.TextChoices):
        QUEUED = "QUEUED", _("Queued")  # accepted, or put back because it provably never left
        SENDING = "SENDING", _("Sending")  # claimed by a drain
        UNKNOWN = "UNKNOWN", _("Unknown")  # handed over, and nobody knows how that ended
        SENT = "SENT", _("Sent")  # the provider took it
        DELIVERED = "DELIVERED", _("Delivered")  # a report says so
        UNDELIVERED = (
            "UNDELIVERED",
            _("Undelivered"),
        )  # a report says so, after the provider took it
        FAILED = "FAILED", _("Failed")  # refused for ever, expired, or could not be built
        CANCELED = (
            "CANCELED",
            _("Canceled"),
        )  # canceled, opted out or blocked before it was handed over

    WAITING_STATUSES = frozenset({Status.QUEUED, Status.SENDING})
    FINAL_STATUSES = frozenset(
        {Status.DELIVERED, Status.UNDELIVERED, Status.FAILED, Status.CANCELED}
    )
    # What makes a finished broadcast COMPLETED_WITH_FAILURES.
    FAILURE_STATUSES = frozenset({Status.FAILED, Status.UNDELIVERED, Status.UNKNOWN})

    class Charge(models.TextChoices):
        RESERVED = "RESERVED", _("Reserved")  # from acceptance
        CAPTURED = "CAPTURED", _("Spent")  # the provider took it
        RELEASED = "RELEASED", _("Returned")  # it will never be sent, or nobody could tell for 72 h
        UNCOLLECTED = (
            "UNCOLLECTED",
            _("Uncollected"),
        )  # delivered after the release, balance too low

    class ErrorCode(models.TextChoices):
        """Our own reasons for an end; a provider's codes stand beside them as it gave them."""

        EXPIRED = "expired", _("Not taken by a provider in time")
        INTERNAL = "internal", _("Could not be handed over")
        CANCELED = "canceled", _("Canceled by an operator")
        OPTED_OUT = "opted_out", _("Opted out before it was handed over")
        CONTACT_BLOCKED = "contact_blocked", _("Contact blocked before it was handed over")
        UNDETERMINED = "undetermined", _("Outcome never became known")

    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        db_index=False,
        db_constraint=False,  # the broadcast's is checked; one check a row is enough
        related_name="+",
        verbose_name=_("organization"),
    )
    broadcast = models.ForeignKey(
        Broadcast,
        on_delete=models.PROTECT,
        db_index=False,
        related_name="messages",
        verbose_name=_("broadcast"),
    )
    contact = models.ForeignKey(
        Contact,
        on_delete=models.DO_NOTHING,
        db_index=False,
        db_constraint=False,  # evidence outlives the contact
        null=True,
        related_name="+",
        verbose_name=_("contact"),
    )
    recipient = models.CharField(_("recipient"), max_length=16)
    country = models.CharField(_("country"), max_length=2, blank=True)
    segments = models.PositiveSmallIntegerField(_("segments"))
    credits = models.PositiveIntegerField(_("credits"))
    status = models.CharField(_("status"), max_length=12, choices=Status, db_default=Status.QUEUED)
    charge = models.CharField(
        _("charge"), max_length=12, choices=Charge, db_default=Charge.RESERVED
    )
    attempts = models.PositiveSmallIntegerField(_("attempts"), db_default=0)
    next_attempt_at = models.DateTimeField(_("next attempt at"), db_default=Now())
    expires_at = models.DateTimeField(_("expires at"), null=True)
    # The lease of the drain that works on it.
    lease_token = models.UUIDField(_("lease"), null=True)
    lease_until = models.DateTimeField(_("lease until"), null=True)
    claimed_at = models.DateTimeField(_("claimed at"), null=True)
    submit_started_at = models.DateTimeField(_("handed over at"), null=True)
    # What the provider said.
    provider = models.CharField(_("provider"), max_length=64, blank=True, db_default="")
    provider_message_id = models.CharField(
        _("provider's id"), max_length=128, blank=True, db_default=""
    )
    provider_metadata = models.JSONField(_("provider's words"), null=True)
    error_code = models.CharField(_("error code"), max_length=64, blank=True, db_default="")
    error_message = models.CharField(_("error"), max_length=300, blank=True, db_default="")
    sent_at = models.DateTimeField(_("sent at"), null=True)
    delivered_at = models.DateTimeField(_("delivered at"), null=True)
    unknown_since = models.DateTimeField(_("unknown since"), null=True)
    updated_at = models.DateTimeField(_("updated at"), db_default=Now())

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        constraints = [
            # A provider's id names one message; reports without our own id find it by this.
            models.UniqueConstraint(
                fields=["provider_message_id", "provider"],
                condition=~Q(provider_message_id=""),
                name="messaging_message_provider_id_unique",
            ),
        ]
        indexes = [
            # The answer's pages, and a broadcast's list.
            models.Index(fields=["broadcast", "id"], name="messaging_message_broadcast"),
            # The claim.
            models.Index(
                fields=["broadcast", "next_attempt_at", "id"],
                condition=Q(status="QUEUED"),
                name="messaging_message_due",
            ),
            # The sweep: what was tried, put back, and is now too late.
            models.Index(
                fields=["expires_at"],
                condition=Q(status="QUEUED", expires_at__isnull=False),
                name="messaging_message_expiring",
            ),
            # The sweep: leases that ran out.
            models.Index(
                fields=["lease_until"],
                condition=Q(status="SENDING"),
                name="messaging_message_leased",
            ),
            # Look-ups, and the release after 72 hours.
            models.Index(
                fields=["unknown_since"],
                condition=Q(status="UNKNOWN", charge="RESERVED"),
                name="messaging_message_unknown",
            ),
            # Everything ever written to one number; inbound messages.
            models.Index(fields=["recipient"], name="messaging_message_recipient"),
        ]

    def __str__(self) -> str:
        return str(self.pk)


class Skip(Row):
    """A contact of the audience that got no message, with the first reason that held."""

    class Reason(models.TextChoices):
        CONTACT_BLOCKED = "contact_blocked", _("Contact is blocked")
        CONTACT_INACTIVE = "contact_inactive", _("Contact is inactive")
        INVALID_NUMBER = "invalid_number", _("Invalid number")
        UNSUPPORTED_NUMBER = "unsupported_number", _("Premium, shared-cost or satellite number")
        UNSUPPORTED_COUNTRY = "unsupported_country", _("Country that may not be written to")
        OPTED_OUT = "opted_out", _("Opted out")
        DUPLICATE = "duplicate", _("Another contact has the same number")

    broadcast = models.ForeignKey(
        Broadcast,
        on_delete=models.PROTECT,
        db_index=False,
        related_name="skips",
        verbose_name=_("broadcast"),
    )
    contact = models.ForeignKey(
        Contact,
        on_delete=models.DO_NOTHING,
        db_index=False,
        db_constraint=False,
        null=True,
        related_name="+",
        verbose_name=_("contact"),
    )
    phone = models.CharField(_("number as given"), max_length=64)
    reason = models.CharField(_("reason"), max_length=20, choices=Reason)
    duplicate_of = models.ForeignKey(
        Contact,
        on_delete=models.DO_NOTHING,
        db_index=False,
        db_constraint=False,
        null=True,
        related_name="+",
        verbose_name=_("contact that has the number"),
    )

    class Meta:
        verbose_name = _("skip")
        verbose_name_plural = _("skips")
        constraints = [
            models.UniqueConstraint(fields=["broadcast", "contact"], name="messaging_skip_once")
        ]
        indexes = [
            # A broadcast's skips, in the order of its audience.
            models.Index(fields=["broadcast", "id"], name="messaging_skip_broadcast")
        ]

    def __str__(self) -> str:
        return self.reason


class MessageEvent(Row):
    """Something in a message's life that its own columns and reports cannot tell."""

    class Kind(models.TextChoices):
        PUT_BACK = "PUT_BACK", _("Put back: it never left")
        UNKNOWN = "UNKNOWN", _("Outcome unknown")
        RESOLVED = "RESOLVED", _("Outcome became known")
        LATE = "LATE", _("Report after the credits were returned")
        CANCELED = "CANCELED", _("Canceled")

    message = models.ForeignKey(
        Message, on_delete=models.PROTECT, related_name="events", verbose_name=_("message")
    )
    kind = models.CharField(_("kind"), max_length=12, choices=Kind)
    detail = models.CharField(_("detail"), max_length=300, blank=True)

    class Meta:
        verbose_name = _("message event")
        verbose_name_plural = _("message events")

    def __str__(self) -> str:
        return self.kind


class DeliveryReport(Row):
    """What a provider said later of a message: kept first, applied after, its raw words for ever."""

    class Outcome(models.TextChoices):
        APPLIED = "APPLIED", _("Applied")  # it moved the message forward
        NO_CHANGE = "NO_CHANGE", _("No change")  # the message was there or further already
        CONFLICT = "CONFLICT", _("Conflict")  # another final report came first
        UNMATCHED = "UNMATCHED", _("Unmatched")  # nobody knew the message for 72 hours

    provider = models.CharField(_("provider"), max_length=64)
    message_id = models.UUIDField(_("message"), null=True)
    provider_message_id = models.CharField(_("provider's id"), max_length=128, blank=True)
    status = models.CharField(_("status"), max_length=12, choices=Message.Status, blank=True)
    code = models.CharField(_("code"), max_length=64, blank=True)
    reason = models.CharField(_("reason"), max_length=300, blank=True)
    opts_out = models.BooleanField(_("opts out"), default=False)
    raw = models.JSONField(_("the provider's words"))
    # A report that came before our own record, or for a message nobody knows, is looked at again.
    due_at = models.DateTimeField(_("due at"), db_default=Now())
    outcome = models.CharField(_("outcome"), max_length=12, choices=Outcome, blank=True)
    applied_at = models.DateTimeField(_("applied at"), null=True)

    class Meta:
        verbose_name = _("delivery report")
        verbose_name_plural = _("delivery reports")
        indexes = [
            # The inbox: what is not applied yet.
            models.Index(
                fields=["due_at", "id"], condition=Q(applied_at=None), name="messaging_report_inbox"
            ),
            # A message's reports.
            models.Index(fields=["message_id"], name="messaging_report_message"),
        ]

    def __str__(self) -> str:
        return self.status


class Heartbeat(models.Model):
    """When a part of the system last showed that it works, on PostgreSQL's clock."""

    part = models.CharField(primary_key=True, max_length=32)
    beat_at = models.DateTimeField()

    class Meta:
        verbose_name = _("heartbeat")
        verbose_name_plural = _("heartbeats")

    def __str__(self) -> str:
        return self.part

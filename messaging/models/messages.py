"""Rows of messages: one text to one recipient, who got none and why, and what happened on the way."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models import Organization, Row
from contacts.models import Contact
from messaging.models.broadcasts import BLANKED, Broadcast


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
        CONTACT_DELETED = "contact_deleted", _("Contact deleted before it was handed over")
        UNDETERMINED = "undetermined", _("Outcome never became known")

    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        db_index=False,
        db_constraint=False,  # that it is the broadcast's is one of `audit_ledger`'s invariants
        related_name="+",
        verbose_name=_("organization"),
    )
    broadcast = models.ForeignKey(
        Broadcast,
        on_delete=models.PROTECT,
        db_index=False,
        db_constraint=False,  # triggers see to it: once a statement, where a key's check is once a row
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
    look_up_at = models.DateTimeField(_("next look-up at"), null=True)
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
            # The release after 72 hours.
            models.Index(
                fields=["unknown_since"],
                condition=Q(status="UNKNOWN", charge="RESERVED"),
                name="messaging_message_unknown",
            ),
            # What is to be asked of the provider.
            models.Index(
                fields=["look_up_at"],
                condition=Q(status="UNKNOWN", charge="RESERVED", look_up_at__isnull=False),
                name="messaging_message_look_up",
            ),
            # Everything ever written to one number; inbound messages; search by a number or its beginning.
            models.Index(fields=["recipient"], name="messaging_message_recipient"),
            # Lists and exports, newest first: all of an organization, by country, by status, by provider.
            # What a status change touches is partial, so that accepting pays for the first two alone.
            models.Index(
                fields=["organization", "created_at", "id"], name="messaging_message_newest"
            ),
            models.Index(
                fields=["organization", "country", "created_at", "id"],
                name="messaging_message_country",
            ),
            models.Index(
                fields=["organization", "status", "created_at", "id"],
                condition=~Q(status__in=["QUEUED", "SENDING"]),
                name="messaging_message_status",
            ),
            models.Index(
                fields=["organization", "provider", "created_at", "id"],
                condition=~Q(provider=""),
                name="messaging_message_provider",
            ),
            # Everything ever written to one contact.
            models.Index(
                fields=["contact"],
                condition=Q(contact__isnull=False),
                name="messaging_message_contact",
            ),
            # A broadcast's failures by reason.
            models.Index(
                fields=["broadcast", "error_code"],
                condition=Q(status__in=["FAILED", "UNDELIVERED", "UNKNOWN"]),
                name="messaging_message_failures",
            ),
            # Lists of what failed, by reason, by what became of the credits, by what one message cost.
            # Few messages are in any of them, and those enter it once.
            models.Index(
                fields=["organization", "created_at", "id"],
                condition=Q(status__in=["FAILED", "UNDELIVERED", "UNKNOWN"]),
                name="messaging_message_failed",
            ),
            models.Index(
                fields=["organization", "error_code", "created_at", "id"],
                condition=~Q(error_code=""),
                name="messaging_message_error",
            ),
            models.Index(
                fields=["organization", "charge", "created_at", "id"],
                condition=Q(charge__in=["RELEASED", "UNCOLLECTED"]),
                name="messaging_message_charge",
            ),
            models.Index(
                fields=["organization", "credits", "created_at", "id"],
                condition=Q(credits__gt=1),
                name="messaging_message_credits",
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    @property
    def shown_recipient(self) -> str:
        """The number as people see it, also where there is none any more."""
        return self.recipient or str(BLANKED)

    @property
    def shown_status(self) -> str:
        """The status as people and the wire see it: SCHEDULED while the broadcast has not started."""
        is_scheduled = self.broadcast.status == Broadcast.Status.SCHEDULED
        if is_scheduled and self.status == self.Status.QUEUED:
            return Broadcast.Status.SCHEDULED
        return self.status

    @property
    def reason(self) -> str:
        """Why it ended, or waits: the provider's words, else ours; "" where there is none."""
        own = dict(self.ErrorCode.choices)
        return self.error_message or str(own.get(self.error_code, ""))


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

    @property
    def shown_phone(self) -> str:
        """The number as people see it, also where there is none any more."""
        return self.phone or str(BLANKED if self.broadcast.blanked_at else "")


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

"""Rows of what carriers said: of our messages, of people who answered, and of their own health."""

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts.models import Row
from messaging.models.broadcasts import BLANKED
from messaging.models.messages import Message


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
    # We asked, and this was the answer; all others the carrier sent by itself.
    looked_up = models.BooleanField(_("looked up"), db_default=False)
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
            # Reports of nobody's messages whose words are still kept: the chore of retention.
            models.Index(
                fields=["created_at"],
                condition=Q(outcome="UNMATCHED") & ~Q(raw={}),
                name="messaging_report_unblanked",
            ),
        ]

    def __str__(self) -> str:
        return self.status


class InboundMessage(Row):
    """What a person wrote back, as the carrier brought it: the evidence of an opt-out."""

    class Effect(models.TextChoices):
        STOP = "STOP", _("Opted out")  # a keyword that stops everything from this sender
        START = "START", _("Opted in again")  # lifts what a keyword had set
        HELP = "HELP", _("Asked for help")  # kept, and nothing else
        NONE = "", _("None")  # any other words

    provider = models.CharField(_("provider"), max_length=64)
    provider_message_id = models.CharField(_("provider's id"), max_length=128, blank=True)
    sender = models.CharField(_("from"), max_length=32)  # the person, E.164 where it is a number
    recipient = models.CharField(_("to"), max_length=32, blank=True)  # our number
    text = models.TextField(_("text"), blank=True)
    effect = models.CharField(_("effect"), max_length=8, choices=Effect, blank=True)
    organizations = models.PositiveIntegerField(_("organizations it counted for"), default=0)
    raw = models.JSONField(_("the provider's words"))
    # When its number, text and the provider's words were removed.
    blanked_at = models.DateTimeField(_("blanked at"), null=True)

    class Meta:
        verbose_name = _("inbound message")
        verbose_name_plural = _("inbound messages")
        constraints = [
            # A carrier that calls twice tells the same message once.
            models.UniqueConstraint(
                fields=["provider", "provider_message_id"],
                condition=~Q(provider_message_id=""),
                name="messaging_inboundmessage_once",
            )
        ]
        indexes = [
            # What one number ever answered.
            models.Index(fields=["sender"], name="messaging_inbound_sender"),
            models.Index(fields=["-created_at", "-id"], name="messaging_inbound_newest"),
            # What is still kept: the chore of retention.
            models.Index(
                fields=["created_at"],
                condition=Q(blanked_at=None),
                name="messaging_inbound_unblanked",
            ),
        ]

    def __str__(self) -> str:
        return str(self.pk)

    def shown(self, what: str) -> str:
        """Return its number or text as people see it, also where there is none any more."""
        return what if self.blanked_at is None else str(BLANKED)


class ProviderState(models.Model):
    """How one credential is doing, shared by all workers: its circuit breaker."""

    name = models.CharField(_("provider"), primary_key=True, max_length=64)  # slug:account
    failures_in_a_row = models.PositiveSmallIntegerField(_("failures in a row"), db_default=0)
    # The last 20 requests, oldest first: "+" answered, "-" not.
    recent_results = models.CharField(_("latest results"), max_length=20, blank=True, db_default="")
    # Until then nothing is handed to it; after it one request is let through.
    open_until = models.DateTimeField(_("closed to messages until"), null=True)
    because = models.CharField(_("because"), max_length=300, blank=True, db_default="")
    probing_until = models.DateTimeField(_("one request is under way until"), null=True)
    updated_at = models.DateTimeField(_("updated at"), db_default=Now())

    class Meta:
        verbose_name = _("provider's state")
        verbose_name_plural = _("providers' states")

    def __str__(self) -> str:
        return self.name

"""Rows of what was done: the entries of the audit trail, and the chain that seals them."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now
from django.utils.translation import gettext_lazy as _

from accounts import acts
from accounts.models.rows import Row


class NounOf(models.Func):
    """What an act is done to: the word before the dot of `noun.deed`."""

    function = "split_part"
    template = "%(function)s(%(expressions)s, '.', 1)"
    arity = 1
    output_field = models.CharField()


class AuditEntry(Row):
    """One act worth answering for: who did what to which row. Ids and digests, never a number or a text."""

    organization = models.ForeignKey(
        "accounts.Organization",
        on_delete=models.PROTECT,
        null=True,
        related_name="+",
        verbose_name=_("organization"),
    )
    member = models.ForeignKey(
        "accounts.Member",
        on_delete=models.DO_NOTHING,
        db_constraint=False,  # the entry outlives the member
        null=True,
        related_name="+",
        verbose_name=_("member"),
        help_text=_("Empty when the system itself acted."),
    )
    act = models.CharField(_("act"), max_length=64)
    subject = models.CharField(_("of which row"), max_length=100)
    details = models.JSONField(_("details"), default=dict)
    address = models.GenericIPAddressField(_("address"), null=True)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit entries")
        # Whoever reads the trail reads it newest first, whole or by one of these.
        indexes = [
            models.Index(
                fields=["organization", "-created_at"], name="accounts_audit_organization"
            ),
            models.Index(fields=["-created_at", "-id"], name="accounts_audit_newest"),
            models.Index(fields=["member", "-created_at", "-id"], name="accounts_audit_member"),
            models.Index(fields=["subject", "-created_at", "-id"], name="accounts_audit_subject"),
            models.Index(
                NounOf("act"),
                F("created_at").desc(),
                F("id").desc(),
                name="accounts_audit_noun",
            ),
            models.Index(
                F("organization"),
                NounOf("act"),
                F("created_at").desc(),
                F("id").desc(),
                name="accounts_audit_own_noun",
            ),
        ]

    def __str__(self) -> str:
        return acts.label(self.act)


class UnsealedEntry(models.Model):
    """An audit entry that waits for its seal. The database writes it with the entry, by a trigger."""

    number = models.BigAutoField(primary_key=True)
    entry = models.ForeignKey(
        AuditEntry,
        on_delete=models.DO_NOTHING,
        db_constraint=False,  # an entry that was taken away before its seal must be noticed, not hidden
        db_index=False,
        related_name="+",
    )

    class Meta:
        verbose_name = _("unsealed audit entry")
        verbose_name_plural = _("unsealed audit entries")

    def __str__(self) -> str:
        return str(self.entry_id)


class AuditSeal(models.Model):
    """The proof of one audit entry, in a chain: whoever changes the entry, or takes it away, breaks it."""

    sequence = models.BigIntegerField(_("number"), primary_key=True)
    entry = models.OneToOneField(
        AuditEntry,
        on_delete=models.DO_NOTHING,
        db_constraint=False,  # the seal outlives an entry that was taken away, and names it
        related_name="seal",
        verbose_name=_("audit entry"),
    )
    # SHA-256 of the entry; empty where it was gone before it could be sealed.
    digest = models.BinaryField(max_length=32)
    previous = models.BinaryField(max_length=32)  # the code of the seal before; empty at the first
    mac = models.BinaryField(max_length=32)  # HMAC-SHA-256 of all of these with AUDIT_KEY
    sealed_at = models.DateTimeField(_("sealed at"), db_default=Now(), editable=False)

    class Meta:
        verbose_name = _("audit seal")
        verbose_name_plural = _("audit seals")

    def __str__(self) -> str:
        return str(self.sequence)


class AuditHead(models.Model):
    """The end of the chain of seals, in one row: without it nobody could tell that the end was cut off."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    sequence = models.BigIntegerField(_("number"))
    mac = models.BinaryField(max_length=32)  # of the last seal; empty before the first
    proof = models.BinaryField(max_length=32)  # HMAC-SHA-256 of both with AUDIT_KEY

    class Meta:
        verbose_name = _("end of the audit seals")
        verbose_name_plural = _("end of the audit seals")
        constraints = [
            models.CheckConstraint(condition=Q(id=1), name="accounts_audithead_is_one"),
        ]

    def __str__(self) -> str:
        return str(self.sequence)

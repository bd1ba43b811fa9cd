"""Rows of what it costs: an organization's balance, every movement of it, its caps, and prices."""

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from accounts import countries
from accounts.models import Organization, Row


class CreditAccount(Row):
    """One organization's balance in credits. Only `billing.ledger` writes it."""

    organization = models.OneToOneField(
        Organization,
        on_delete=models.PROTECT,
        related_name="credit_account",
        verbose_name=_("organization"),
    )
    available = models.BigIntegerField(_("available"), default=0, db_default=0)
    reserved = models.BigIntegerField(_("reserved"), default=0, db_default=0)
    spent = models.BigIntegerField(_("spent"), default=0, db_default=0)

    class Meta:
        verbose_name = _("credit account")
        verbose_name_plural = _("credit accounts")
        constraints = [
            models.CheckConstraint(
                condition=Q(available__gte=0, reserved__gte=0, spent__gte=0),
                name="billing_account_not_negative",
            )
        ]

    def __str__(self) -> str:
        return str(self.organization)


class LedgerEntry(Row):
    """One movement of credits, for good: the sum of an account's entries is its balance."""

    class Kind(models.TextChoices):
        GRANT = "GRANT", _("Grant")  # a superuser put credits in
        RESERVE = "RESERVE", _("Reserve")  # a broadcast was accepted
        CAPTURE = "CAPTURE", _("Capture")  # a provider took messages
        RELEASE = "RELEASE", _("Release")  # messages will never be sent
        LATE_CAPTURE = "LATE_CAPTURE", _("Late capture")  # a released one was delivered after all

    # Neither foreign key needs an index of its own: others begin with the account, and nobody
    # looks up a member's entries.
    account = models.ForeignKey(
        CreditAccount,
        on_delete=models.PROTECT,
        db_index=False,
        related_name="entries",
        verbose_name=_("account"),
    )
    kind = models.CharField(_("kind"), max_length=16, choices=Kind)
    amount = models.BigIntegerField(_("amount"), validators=[MinValueValidator(1)])
    available_delta = models.BigIntegerField(_("available"))
    reserved_delta = models.BigIntegerField(_("reserved"))
    spent_delta = models.BigIntegerField(_("spent"))
    reference = models.CharField(_("reference"), max_length=120)
    member = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.PROTECT,
        db_index=False,
        null=True,
        related_name="+",
        verbose_name=_("member"),
    )
    note = models.CharField(_("note"), max_length=200, blank=True)

    class Meta:
        verbose_name = _("ledger entry")
        verbose_name_plural = _("ledger entries")
        constraints = [
            # A movement that is repeated is refused by the database.
            models.UniqueConstraint(
                fields=["account", "kind", "reference"], name="billing_entry_reference_once"
            ),
            models.CheckConstraint(condition=Q(amount__gt=0), name="billing_entry_amount_positive"),
            # Two movements without a name would pass for one.
            models.CheckConstraint(
                condition=~Q(reference=""), name="billing_entry_reference_given"
            ),
            models.CheckConstraint(
                condition=Q(
                    kind="GRANT", available_delta=F("amount"), reserved_delta=0, spent_delta=0
                )
                | Q(
                    kind="RESERVE",
                    available_delta=-F("amount"),
                    reserved_delta=F("amount"),
                    spent_delta=0,
                )
                | Q(
                    kind="CAPTURE",
                    available_delta=0,
                    reserved_delta=-F("amount"),
                    spent_delta=F("amount"),
                )
                | Q(
                    kind="RELEASE",
                    available_delta=F("amount"),
                    reserved_delta=-F("amount"),
                    spent_delta=0,
                )
                | Q(
                    kind="LATE_CAPTURE",
                    available_delta=-F("amount"),
                    reserved_delta=0,
                    spent_delta=F("amount"),
                ),
                name="billing_entry_kind_ties_deltas",
            ),
        ]
        indexes = [
            # An account's entries, newest first.
            models.Index(fields=["account", "-created_at"], name="billing_entry_newest"),
            # What one broadcast moved: its references begin alike, whatever the collation.
            models.Index(
                fields=["reference"],
                opclasses=["varchar_pattern_ops"],
                name="billing_entry_reference",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount}"


class SpendingCap(Row):
    """What one organization may spend in a day and in a minute, and what it has. `billing.caps` counts."""

    organization = models.OneToOneField(
        Organization,
        on_delete=models.PROTECT,
        related_name="spending_cap",
        verbose_name=_("organization"),
        error_messages={
            "unique": _("This organization has a spending cap already. Change that one.")
        },
    )
    per_day = models.PositiveBigIntegerField(
        _("credits a day"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(10**12)],
        help_text=_("What may be accepted from midnight to midnight, UTC. Empty: no cap."),
    )
    per_minute = models.PositiveBigIntegerField(
        _("credits a minute"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1), MaxValueValidator(10**12)],
        help_text=_(
            "What may be accepted within one minute of the clock. A broadcast that costs more is never"
            " accepted. Empty: no cap."
        ),
    )
    # The last day and minute in which something was accepted, and how much. Both in UTC.
    day = models.DateTimeField(_("day counted"), null=True, editable=False)
    taken_in_day = models.PositiveBigIntegerField(
        _("accepted that day"), default=0, db_default=0, editable=False
    )
    minute = models.DateTimeField(_("minute counted"), null=True, editable=False)
    taken_in_minute = models.PositiveBigIntegerField(
        _("accepted that minute"), default=0, db_default=0, editable=False
    )

    class Meta:
        verbose_name = _("spending cap")
        verbose_name_plural = _("spending caps")
        constraints = [
            models.CheckConstraint(
                condition=(Q(per_day=None) | Q(per_day__gte=1))
                & (Q(per_minute=None) | Q(per_minute__gte=1)),
                name="billing_spendingcap_positive",
            )
        ]

    def __str__(self) -> str:
        return str(self.organization)


class Rate(Row):
    """What one segment to a country costs, in credits; a country without a row costs one."""

    country = models.CharField(
        _("country"), max_length=2, unique=True, help_text=_("Two letters, as CO.")
    )
    credits_per_segment = models.PositiveIntegerField(
        _("credits a segment"), validators=[MinValueValidator(1), MaxValueValidator(10_000)]
    )

    class Meta:
        verbose_name = _("rate")
        verbose_name_plural = _("rates")
        constraints = [
            models.CheckConstraint(
                condition=Q(credits_per_segment__gte=1, credits_per_segment__lte=10_000),
                name="billing_rate_in_range",
            ),
            # Joined to the country of a number, which is written this way.
            models.CheckConstraint(
                condition=Q(country__regex=r"^[A-Z]{2}$"),
                name="billing_rate_country_two_letters",
                violation_error_message=_("Write the country as two capital letters, as CO."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.country} {self.credits_per_segment}"

    def clean(self) -> None:
        """Write the country as numbers are read, and refuse one that no number belongs to."""
        self.country = self.country.upper()
        if self.country and not countries.is_country(self.country):
            raise ValidationError({"country": countries.no_such(self.country)})

"""Rows of who acts: organizations, their members and keys, and the terms they accepted."""

from __future__ import annotations

from typing import Any, ClassVar, Final
from uuid import UUID

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, transaction
from django.db.models import Q
from django.db.models.functions import Lower
from django.db.models.lookups import Exact
from django.utils.translation import gettext_lazy as _

from accounts import countries, roles
from accounts.models.audit import AuditEntry
from accounts.models.rows import Row

SHORTEST_RETENTION: Final = 7
"""Days: longer than carriers report, and than an unknown message waits for its outcome."""

LONGEST_RETENTION: Final = 36_500


class Organization(Row):
    """A customer of this installation: owns members, contacts, credits and broadcasts."""

    class Status(models.TextChoices):
        ACTIVE = "ACTIVE", _("Active")  # from its creation
        # A superuser stopped it: nobody signs in or begins anything, and what still waits is canceled.
        SUSPENDED = "SUSPENDED", _("Suspended")

    name = models.CharField(_("name"), max_length=200)
    email = models.EmailField(_("e-mail"), blank=True)
    country = models.CharField(
        _("default country"),
        max_length=2,
        blank=True,
        help_text=_(
            "Two letters, as CO. National numbers without a country of their own are read with it."
        ),
    )
    status = models.CharField(_("status"), max_length=16, choices=Status, default=Status.ACTIVE)
    allowed_countries = ArrayField(
        models.CharField(max_length=2),
        verbose_name=_("countries it may send to"),
        default=list,
        blank=True,
        help_text=_("Two letters each, separated by commas. Empty: every country."),
    )
    allows_special_numbers = models.BooleanField(
        _("may send to premium, shared-cost and satellite numbers"), default=False
    )
    repeat_guard_seconds = models.PositiveIntegerField(
        _("seconds in which the same text is not taken twice"),
        default=0,
        db_default=0,
        help_text=_(
            "A second broadcast with the same text within so many seconds is refused, unless its request"
            " carries an Idempotency-Key. 0 turns this off."
        ),
    )
    approval_above = models.PositiveIntegerField(
        _("recipients above which a second member approves"),
        null=True,
        blank=True,
        help_text=_(
            "A broadcast to more people waits until another member who may approve broadcasts has seen"
            " it. Empty: no approval is needed."
        ),
    )
    confirm_above = models.PositiveIntegerField(
        _("recipients above which their number is typed"),
        default=1000,
        db_default=1000,
        help_text=_(
            "Before a broadcast to more people leaves the admin, whoever sends it types how many they are."
        ),
    )
    retention_days = models.PositiveIntegerField(
        _("days after which numbers and texts are blanked"),
        null=True,
        blank=True,
        validators=[MinValueValidator(SHORTEST_RETENTION), MaxValueValidator(LONGEST_RETENTION)],
        help_text=_(
            "So many days after a broadcast ended, its text and the numbers of its messages are removed"
            " for good; counts, credits and the audit trail stay. At least"
            " 7. Empty: they are kept for ever."
        ),
    )
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("organization")
        verbose_name_plural = _("organizations")
        constraints = [
            models.CheckConstraint(
                condition=Q(retention_days=None)
                | Q(retention_days__range=(SHORTEST_RETENTION, LONGEST_RETENTION)),
                name="accounts_organization_retention_range",
            )
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """Write countries as they are compared, and refuse what is none."""
        self.country = self.country.strip().upper()
        self.allowed_countries = sorted({code.strip().upper() for code in self.allowed_countries})
        given = {
            "country": [self.country] if self.country else [],
            "allowed_countries": self.allowed_countries,
        }
        unknown = {
            field: [code for code in codes if not countries.is_country(code)]
            for field, codes in given.items()
        }
        if any(unknown.values()):
            raise ValidationError(
                {field: countries.no_such(*codes) for field, codes in unknown.items() if codes}
            )


class MemberManager(BaseUserManager["Member"]):
    def get_by_natural_key(self, username: str | None) -> Member:
        """Return the member with this e-mail address in any letter case, with the organization.

        Compared as the unique index compares, so that it is found by it and never found twice.
        """
        same = Exact(Lower("email"), Lower(models.Value(username or "")))
        return self.select_related("organization").get(same)

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> Member:
        """Create a platform superuser, with the audit entry of it or not at all.

        A verb among rows: `manage.py createsuperuser` calls this and nothing else, and `accounts.audit`
        stands above the rows.
        """
        member = Member(email=self.normalize_email(email), is_superuser=True, role="", **fields)
        member.set_password(password)
        with transaction.atomic(using=self.db):
            member.save(using=self.db)
            AuditEntry.objects.using(self.db).create(
                act="member.added",
                subject=f"member:{member.pk}",
                details={"role": "", "is_superuser": True},
            )
        return member


class Member(Row, AbstractBaseUser):
    """A person who acts for one organization; without one, and only then, a platform superuser."""

    email = models.EmailField(_("e-mail"))
    name = models.CharField(_("name"), max_length=200, blank=True)
    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="members",
        verbose_name=_("organization"),
    )
    role = models.CharField(_("role"), max_length=16, choices=roles.Role, blank=True)
    is_superuser = models.BooleanField(_("platform superuser"), default=False)
    is_active = models.BooleanField(
        _("active"),
        default=True,
        help_text=_("Switch off instead of deleting: what a member did stays."),
    )
    has_one_time_password = models.BooleanField(
        _("has a one-time password"),
        default=False,
        editable=False,
        help_text=_("Somebody else knows it: the member changes it before doing anything else."),
    )
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    acts_by_key: UUID | None = None
    """The API key that this request came with; no column. A person at the keyboard has none."""

    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    objects = MemberManager()

    class Meta:
        verbose_name = _("member")
        verbose_name_plural = _("members")
        constraints = [
            models.UniqueConstraint(
                Lower("email"),
                name="accounts_member_email_unique",
                violation_error_message=_("There is a member with this e-mail address already."),
            ),
            models.CheckConstraint(
                condition=Q(is_superuser=True, organization=None, role="")
                | Q(is_superuser=False, organization__isnull=False, role__in=roles.Role.values),
                name="accounts_member_superuser_xor_organization",
                violation_error_message=_("A member needs an organization and a role."),
            ),
        ]

    def __str__(self) -> str:
        return self.email

    def get_full_name(self) -> str:
        """Return what the admin calls the member: the name, else what he is."""
        return self.name or str(self.get_role_display() or _("Platform superuser"))

    @property
    def is_admitted(self) -> bool:
        """Whether this member may be signed in: active, and of no suspended organization."""
        if not self.is_active:
            return False
        return self.organization is None or self.organization.status == Organization.Status.ACTIVE

    @property
    def is_staff(self) -> bool:
        """Everybody with a role may enter the admin, and the platform superuser."""
        return self.is_active and (self.is_superuser or bool(self.role))

    def has_perm(self, permission: str, obj: models.Model | None = None) -> bool:  # noqa: ARG002 - Django's signature
        """Answer Django's question from the one table in `accounts.roles`."""
        return self.is_active and roles.allows_admin(self, permission)

    def has_perms(self, permissions: list[str], obj: models.Model | None = None) -> bool:
        return all(self.has_perm(permission, obj) for permission in permissions)

    def has_module_perms(self, app_label: str) -> bool:  # noqa: ARG002 - Django's signature
        return self.is_staff


class ApiKey(Row):
    """What a program shows to act as one member. The key itself is nowhere: only its digest is kept."""

    organization = models.ForeignKey(
        Organization,
        on_delete=models.PROTECT,
        related_name="api_keys",
        verbose_name=_("organization"),
    )
    member = models.ForeignKey(
        Member,
        on_delete=models.PROTECT,
        related_name="api_keys",
        verbose_name=_("member"),
        help_text=_("Who made the key. It may do what this member may, and ends with him."),
    )
    name = models.CharField(
        _("name"), max_length=100, help_text=_("Which program uses it, as: web shop.")
    )
    prefix = models.CharField(
        _("begins with"), max_length=16, editable=False, help_text=_("To recognise it by.")
    )
    digest = models.BinaryField(max_length=32, unique=True)
    is_active = models.BooleanField(_("active"), default=True, editable=False)
    # Written at most once a minute: a column that every request writes would be the hottest of all.
    last_used_at = models.DateTimeField(_("last used at"), null=True, editable=False)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        indexes = [
            # The keys of one organization, newest first.
            models.Index(
                fields=["organization", "-created_at", "-id"], name="accounts_key_organization"
            )
        ]

    def __str__(self) -> str:
        return self.name


class Terms(Row):
    """One version of the terms of use; the newest published one is in force for everybody."""

    version = models.CharField(_("version"), max_length=32, unique=True)
    title = models.CharField(_("title"), max_length=200)
    body = models.TextField(_("text"))
    published_at = models.DateTimeField(
        _("published at"), null=True, blank=True, help_text=_("Empty while it is a draft.")
    )

    class Meta:
        verbose_name = _("terms")
        verbose_name_plural = _("terms")

    def __str__(self) -> str:
        return self.version


class TermsAcceptance(Row):
    """The fact that one member accepted one version: when, from which address, with which program."""

    member = models.ForeignKey(
        Member, on_delete=models.PROTECT, related_name="acceptances", verbose_name=_("member")
    )
    terms = models.ForeignKey(
        Terms, on_delete=models.PROTECT, related_name="acceptances", verbose_name=_("terms")
    )
    address = models.GenericIPAddressField(_("address"), null=True)
    user_agent = models.CharField(_("program"), max_length=400, blank=True)

    class Meta:
        verbose_name = _("terms acceptance")
        verbose_name_plural = _("terms acceptances")
        constraints = [
            models.UniqueConstraint(fields=["member", "terms"], name="accounts_acceptance_once")
        ]

    def __str__(self) -> str:
        return f"{self.member_id} {self.terms_id}"

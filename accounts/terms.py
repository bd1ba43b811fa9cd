"""Terms of use: which version is in force, who accepted it, and the gate before everything that sends."""

from __future__ import annotations

from django.db import IntegrityError, connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from accounts import audit, roles
from accounts.models import Member, Organization, Terms, TermsAcceptance
from accounts.roles import Right

_LONGEST_USER_AGENT = 400

# `published` as text: asked three times a send, it took Django longer to write than PostgreSQL to answer.
_ACCEPTED = """
SELECT t.version, EXISTS (
  SELECT FROM accounts_termsacceptance a WHERE a.terms_id = t.id AND a.member_id = %s)
FROM accounts_terms t WHERE t.published_at IS NOT NULL
ORDER BY t.published_at DESC, t.created_at DESC, t.id DESC LIMIT 1
"""


class TermsNotAccepted(Exception):
    """The member has not accepted the terms in force, or none are in force; nothing was sent."""


class TermsAlreadyAccepted(Exception):
    """The member accepted this version before; the first acceptance stands as it was."""


class UnknownTerms(Exception):
    """The version is not the one in force; nothing was accepted."""


class TermsPublished(Exception):
    """These terms are published: people accepted them as they are. Nothing was changed."""


def published() -> QuerySet[Terms]:
    """Return the versions that are published, of which the first is in force."""
    return Terms.objects.filter(published_at__isnull=False).order_by(
        "-published_at", "-created_at", "-id"
    )


def current() -> Terms | None:
    """Return the terms in force: the version that was published last. None before the first."""
    return published().first()


def has_accepted(member: Member) -> bool:
    """Return whether the member accepted the terms in force; False while there are none."""
    in_force = current()
    return in_force is not None and in_force.acceptances.filter(member=member).exists()


def require_accepted(member: Member) -> None:
    """Pass when the member accepted the terms in force at this moment: one query.

    Raises: TermsNotAccepted, also while no terms are published.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ACCEPTED, [member.pk])
        in_force = cursor.fetchone()
    if in_force is None:
        raise TermsNotAccepted(
            _(
                "No terms of use are published yet, so nothing can be sent. Ask the platform to publish them."
            )
        )
    version, is_accepted = in_force
    if not is_accepted:
        raise TermsNotAccepted(
            _(
                "Accept the current terms of use, version %(version)s, before you send: in the admin "
                "under Terms of use, or by POST /api/terms/accept."
            )
            % {"version": version}
        )


def accept(
    *, member: Member, version: str, address: str | None = None, user_agent: str = ""
) -> TermsAcceptance:
    """Keep that the member accepted this version, now, from this address, with this program.

    Raises: UnknownTerms when it is not the version in force; TermsAlreadyAccepted when the member
    accepted it before; RoleMissing for a program with a key of his. Of two at once one is kept and the
    other raises.
    """
    roles.require_person(member)
    in_force = current()
    if in_force is None or in_force.version != version:
        raise UnknownTerms(
            _("There is no such version in force. Read the current terms and accept their version.")
        )
    try:
        with transaction.atomic():
            acceptance = TermsAcceptance.objects.create(
                member=member,
                terms=in_force,
                address=address,
                user_agent=user_agent[:_LONGEST_USER_AGENT],
            )
            audit.record(
                act="terms.accepted",
                subject=in_force,
                member=member,
                details={"version": in_force.version, "acceptance": str(acceptance.pk)},
                address=address,
            )
    except IntegrityError as error:
        if "accounts_acceptance_once" not in str(error):
            raise
        raise TermsAlreadyAccepted(
            _("You accepted version %(version)s before; there is nothing left to do.")
            % {"version": version}
        ) from error
    return acceptance


def who_would_be_stopped() -> QuerySet[Member]:
    """Return the members who may send now, and may not from the moment new terms are published."""
    may_send = [role for role, rights in roles.RIGHTS.items() if Right.SEND in rights]
    return Member.objects.filter(
        is_active=True,
        role__in=may_send,
        organization__status=Organization.Status.ACTIVE,
        acceptances__terms=current(),
    )


@transaction.atomic
def publish(*, terms: Terms, member: Member, address: str | None = None) -> Terms:
    """Put these terms in force for everybody: from this commit on, nobody sends before accepting them.

    Raises: RoleMissing when the member may not publish; TermsPublished when they are published already.
    """
    roles.require(member, Right.PUBLISH_TERMS)
    if not Terms.objects.filter(pk=terms.pk, published_at=None).update(published_at=Now()):
        raise TermsPublished(
            _("Version %(version)s is published already.") % {"version": terms.version}
        )
    terms.refresh_from_db()
    audit.record(
        act="terms.published",
        subject=terms,
        member=member,
        details={"version": terms.version},
        address=address,
    )
    return terms


@transaction.atomic
def save_draft(*, terms: Terms, member: Member, address: str | None = None) -> None:
    """Keep the draft as it is in memory.

    Raises: RoleMissing when the member may not write terms; TermsPublished when they were published
    meanwhile.
    """
    roles.require(member, Right.PUBLISH_TERMS)
    is_new = terms._state.adding
    if not is_new:
        # The lock holds a publication off until the draft is written.
        kept = Terms.objects.select_for_update().get(pk=terms.pk)
        if kept.published_at is not None:
            raise TermsPublished(
                _("Version %(version)s is published: write a new version instead.")
                % {"version": kept.version}
            )
    terms.save()
    audit.record(
        act="terms.drafted" if is_new else "terms.changed",
        subject=terms,
        member=member,
        details={"version": terms.version},
        address=address,
    )

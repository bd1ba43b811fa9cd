"""Orders: what a member asks to be sent, checked and measured before anybody is classified."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts import roles, terms
from accounts.models import Member, Organization
from accounts.roles import Right
from contacts import number_readings
from messaging import providers, sms_text
from messaging.audiences import Audience
from messaging.classification import Classified, Rules
from messaging.sms_text import Measure

LATEST: Final = timedelta(days=90)
"""How far ahead a broadcast may be scheduled."""

READINGS: Final = 3  # of numbers, while contacts are being added


class TextTooLong(Exception):
    """No provider that may carry it takes a text this long; nothing was written."""


class TextNotAllowed(Exception):
    """The text has nothing to see in it; nothing was written."""


class KindNotCarried(Exception):
    """No provider of this installation carries this type; nothing was written."""


class CountryNotAllowed(Exception):
    """The organization may not send to this country; nothing was written."""


class MomentNotAllowed(Exception):
    """A broadcast cannot be scheduled for this moment; nothing was written."""


class AudienceTooLarge(Exception):
    """The audience is over the ceiling of this installation; nothing was written."""


class ContactsKeepChanging(Exception):
    """Contacts changed faster than their numbers could be read; nothing was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a member asks to be sent, to whom and when, and what decides about each contact."""

    member: Member
    organization: Organization
    audience: Audience
    text: str
    kind: str
    country: str
    scheduled_at: datetime | None
    measure: Measure
    rules: Rules


def require_may_send(member: Member) -> Organization:
    """Return the organization for which this member may send.

    Raises: RoleMissing, TermsNotAccepted.
    """
    roles.require(member, Right.SEND)
    terms.require_accepted(member)
    return Organization.objects.get(members=member)


def read(
    *,
    member: Member,
    organization: Organization,
    audience: Audience,
    text: str,
    kind: str,
    country: str,
    scheduled_at: datetime | None,
) -> Order:
    """Return what the member asks for, when it can be sent as it is.

    Raises: TextNotAllowed, TextTooLong, KindNotCarried, CountryNotAllowed, MomentNotAllowed, TagNotFound.
    """
    measure = _require_sendable(text, kind)
    allowed_countries = _reachable_countries(organization, kind, country)
    if scheduled_at is not None:
        require_moment(scheduled_at)
    audience.require_known(organization)
    return Order(
        member=member,
        organization=organization,
        audience=audience,
        text=text,
        kind=kind,
        country=country,
        scheduled_at=scheduled_at,
        measure=measure,
        rules=Rules(
            organization_id=organization.pk,
            countries=list(dict.fromkeys(filter(None, [country, organization.country]))),
            allowed_countries=allowed_countries,
            allows_special_numbers=organization.allows_special_numbers,
            segments=measure.segments,
        ),
    )


def readings(order: Order) -> Iterator[None]:
    """Read the numbers that nobody has read yet, and again each time that others came in meanwhile.

    Raises: ContactsKeepChanging at the fourth time.
    """
    for _reading in range(READINGS):
        if order.audience.reads_contacts:
            number_readings.ensure(
                organization_id=order.organization.pk, countries=order.rules.countries
            )
        yield
    raise ContactsKeepChanging(
        _(
            "Your contacts are changing faster than their numbers can be read. Try again in a minute."
        )
    )


def require_visible(text: str) -> None:
    """Pass when a phone can show the text, and something of it can be seen.

    Raises: TextNotAllowed.
    """
    if sms_text.is_blank(text):
        raise TextNotAllowed(_("Write a message: this one has nothing to see in it."))
    if "\0" in text or _has_lone_surrogate(text):
        raise TextNotAllowed(_("The message holds a character that no phone can show. Remove it."))


def require_moment(moment: datetime) -> None:
    """Pass when a broadcast may be scheduled for the moment: it is to come, within 90 days.

    Raises: MomentNotAllowed.
    """
    now = timezone.now()
    if moment <= now:
        raise MomentNotAllowed(
            _("This moment has passed. Give one to come, or none to send at once.")
        )
    if moment > now + LATEST:
        raise MomentNotAllowed(
            _("This moment is more than %(days)d days ahead. Give an earlier one.")
            % {"days": LATEST.days}
        )


def require_size(classified: Classified) -> None:
    """Pass when so many may be written to at once. Raises: AudienceTooLarge."""
    if classified.audience > settings.MAX_AUDIENCE:
        raise AudienceTooLarge(
            _(
                "%(audience)d contacts are more than one broadcast may have (%(most)d)."
                " Ask the operator to raise MAX_AUDIENCE."
            )
            % {"audience": classified.audience, "most": settings.MAX_AUDIENCE}
        )


def _require_sendable(text: str, kind: str) -> Measure:
    """Return the text's measure when some provider carries it whole."""
    require_visible(text)
    try:
        limits = providers.limits(kind)
    except providers.NoProvider as error:
        raise KindNotCarried(
            _(
                "No provider of this installation carries messages of type %(kind)s. Send another type,"
                " or ask the operator to add a provider to SMS_PROVIDERS."
            )
            % {"kind": kind}
        ) from error
    units = len(text.encode("utf-16-le", "surrogatepass")) // 2
    if limits.max_characters is not None and units > limits.max_characters:
        raise TextTooLong(
            _("The message has %(units)d characters; at most %(most)d can be sent. Shorten it.")
            % {"units": units, "most": limits.max_characters}
        )
    measure = sms_text.measure(text)
    if limits.max_segments is not None and measure.segments > limits.max_segments:
        raise TextTooLong(
            ngettext(
                "The message takes %(segments)d segment; at most %(most)d can be sent. Shorten it.",
                "The message takes %(segments)d segments; at most %(most)d can be sent. Shorten it.",
                measure.segments,
            )
            % {"segments": measure.segments, "most": limits.max_segments}
        )
    return measure


def _has_lone_surrogate(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _reachable_countries(
    organization: Organization, kind: str, country: str
) -> frozenset[str] | None:
    """Return the countries that the organization may send to and a provider carries; None is every one.

    Raises: CountryNotAllowed when the request's own country is none of them.
    """
    allowed = frozenset(organization.allowed_countries)
    carried = providers.countries(kind)
    if country and allowed and country not in allowed:
        raise CountryNotAllowed(
            _("Your organization may not send to %(country)s. It may send to: %(allowed)s.")
            % {"country": country, "allowed": ", ".join(sorted(allowed))}
        )
    if country and carried is not None and country not in carried:
        raise CountryNotAllowed(
            _(
                "No provider of this installation carries messages to %(country)s."
                " They go to: %(carried)s."
            )
            % {"country": country, "carried": ", ".join(sorted(carried))}
        )
    if carried is None:
        return allowed or None
    return allowed & carried if allowed else carried

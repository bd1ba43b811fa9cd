"""Confirmations: a token that says what its member saw in a dry run, good for sending exactly that once."""

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from django.core import signing
from django.utils.translation import gettext as _

from accounts.models import Member
from messaging.audiences import Audience
from messaging.classification import Classified
from messaging.idempotency import Once
from messaging.orders import Order

LIFE: Final = 30 * 60  # seconds

_SALT: Final = "messaging.confirmations"

# What a client's key, which is ASCII, can never begin with.
_USED: Final = "✓"


class ConfirmationVoid(Exception):
    """What was confirmed is not what would be sent now; nothing was written."""


@dataclass(frozen=True, slots=True)
class Confirmation:
    """What a member saw and confirmed: how many recipients, which, and for how many credits."""

    recipients: int
    fingerprint: int
    credits: int

    def require_unchanged(self, classified: Classified) -> None:
        """Pass when recipients and price are what was confirmed. Raises: ConfirmationVoid."""
        if (self.recipients, self.fingerprint) != (classified.recipients, classified.fingerprint):
            raise _void(_("Whom the message goes to has changed since."))
        if self.credits != classified.credits:
            raise _void(_("What it costs has changed since."))


def token(*, order: Order, classified: Classified, name: str = "") -> str:
    """Return the token for exactly this: who sends what to whom, when, and for how many credits.

    Of several tokens with one name only one is ever good for a broadcast; without, each has its own.
    """
    request = _request(
        order.member, order.audience, order.text, order.kind, order.country, order.scheduled_at
    )
    return signing.dumps(
        [
            name or uuid4().hex,
            request,
            classified.recipients,
            classified.fingerprint,
            classified.credits,
        ],
        salt=_SALT,
    )


def once(
    *,
    token: str,
    member: Member,
    audience: Audience,
    text: str,
    kind: str,
    country: str,
    scheduled_at: datetime | None,
) -> Once | None:
    """Return the key under which the token is used up; None where it was not given for this request.

    However old it is: whoever used it in time hears again what came of it.
    """
    try:
        name, request, *_seen = signing.loads(token, salt=_SALT)
    except (signing.BadSignature, UnicodeError):
        return None
    if request != _request(member, audience, text, kind, country, scheduled_at):
        return None
    return Once(f"{_USED}{name}", request)


def read(*, token: str, order: Order) -> Confirmation:
    """Return what the member confirmed with the token, which must be his, for this, and fresh.

    Raises: ConfirmationVoid.
    """
    try:
        _name, request, *seen = signing.loads(token, salt=_SALT, max_age=LIFE)
    except signing.SignatureExpired as error:
        raise _void(_("This confirmation is older than 30 minutes.")) from error
    except (signing.BadSignature, UnicodeError) as error:
        raise _void(_("This is no confirmation of ours.")) from error
    if request != _request(
        order.member, order.audience, order.text, order.kind, order.country, order.scheduled_at
    ):
        raise _void(_("This confirmation is another member's, or for another message."))
    return Confirmation(*seen)


def _void(because: str) -> ConfirmationVoid:
    return ConfirmationVoid(
        _("%(because)s Nothing was sent. Look at a new dry run, and confirm what it shows.")
        % {"because": because}
    )


def _request(
    member: Member,
    audience: Audience,
    text: str,
    kind: str,
    country: str,
    scheduled_at: datetime | None,
) -> str:
    """Return the digest of what is asked for."""
    moment = scheduled_at.astimezone(UTC).isoformat() if scheduled_at is not None else None
    asked = [str(member.pk), audience.kind, audience.names, text, kind, country, moment]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()

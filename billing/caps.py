"""Spending caps: what an organization may have accepted in one day and in one minute, in credits.

A cap counts what is accepted, in the UTC day and minute in which that happens: a broadcast scheduled for
later counts now, and what is canceled is not given back, so that nothing that accepts and cancels in a
loop goes on for ever. Credits that are captured, however late, were counted before and meet no cap.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.utils.translation import gettext as _

from accounts import audit, roles
from accounts.models import Member
from accounts.roles import Right
from billing.models import SpendingCap

log = logging.getLogger(__name__)

SHARES: Final = (50, 80, 100)
"""Percent of a cap at which somebody is told."""

# The clock is read after the row is locked, and never set back: of two that meet at midnight, the one
# that began before it counts in the new day as well.
_COUNTED: Final = """
WITH cap AS (
  SELECT * FROM billing_spendingcap WHERE organization_id = %(organization_id)s {lock}
), clock AS MATERIALIZED (
  SELECT greatest(day, date_trunc('day', clock_timestamp(), 'UTC')) AS day,
    greatest(minute, date_trunc('minute', clock_timestamp(), 'UTC')) AS minute
  FROM cap
), counted AS (
  SELECT cap.id, cap.per_day, cap.per_minute, clock.day, clock.minute,
    CASE WHEN cap.day = clock.day THEN cap.taken_in_day ELSE 0 END AS in_day,
    CASE WHEN cap.minute = clock.minute THEN cap.taken_in_minute ELSE 0 END AS in_minute
  FROM cap, clock
)
"""

_TAKE: Final = f"""{_COUNTED.format(lock="FOR NO KEY UPDATE")}, moved AS (
  UPDATE billing_spendingcap moved SET day = counted.day, taken_in_day = in_day + %(amount)s,
    minute = counted.minute, taken_in_minute = in_minute + %(amount)s
  FROM counted WHERE moved.id = counted.id
    AND (in_day + %(amount)s <= counted.per_day) IS NOT FALSE
    AND (in_minute + %(amount)s <= counted.per_minute) IS NOT FALSE
  RETURNING moved.id
)
SELECT EXISTS (SELECT FROM moved), per_day, in_day, day, per_minute, in_minute, minute FROM counted
"""

_STANDING: Final = f"""{_COUNTED.format(lock="")}
SELECT per_day, in_day, day, per_minute, in_minute, minute FROM counted
"""


class SpendingCapReached(Exception):
    """The organization may not have this much more accepted now; nothing was written or charged.

    `resets_at` is when it may be tried again; None where it costs more than the whole cap, so that
    waiting does not help.
    """

    def __init__(self, message: str, resets_at: datetime | None) -> None:
        self.resets_at = resets_at
        super().__init__(message)


@dataclass(frozen=True, slots=True)
class Count:
    """What was accepted in one period that is going on, and what may be; `most` None: no cap."""

    name: str  # "day" or "minute"
    most: int | None
    taken: int
    ends_at: datetime

    @property
    def left(self) -> int | None:
        return None if self.most is None else max(0, self.most - self.taken)


def take(*, organization_id: UUID, amount: int) -> None:
    """Count these credits in the organization's day and minute, if both have room for all of them.

    Call it in the transaction that accepts a broadcast, directly before the credits are reserved: the
    cap stays locked until its end, so that two at once never overrun it, and an exception gives it back.

    Raises: SpendingCapReached.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TAKE, {"organization_id": organization_id, "amount": amount})
        row = cursor.fetchone()
    if row is None:  # it has no cap
        return
    has_room, *counted = row
    counts = _counts(counted)
    if not has_room:
        raise _refusal(organization_id, counts, amount)
    _tell_shares(organization_id, counts, amount)


def standing(organization_id: UUID) -> list[Count]:
    """Return the day's and the minute's count at this moment; [] for an organization without a cap."""
    with connection.cursor() as cursor:
        cursor.execute(_STANDING, {"organization_id": organization_id})
        row = cursor.fetchone()
    return _counts(row) if row is not None else []


def room(organization_id: UUID) -> int | None:
    """Return the credits that may still be accepted at this moment; None where nothing caps them."""
    lefts = [count.left for count in standing(organization_id) if count.left is not None]
    return min(lefts, default=None)


def require_room(*, organization_id: UUID, amount: int) -> None:
    """Pass when these credits could be taken at this moment; count nothing.

    Raises: SpendingCapReached.
    """
    counts = standing(organization_id)
    if any(count.left is not None and count.left < amount for count in counts):
        raise _refusal(organization_id, counts, amount)


@transaction.atomic
def save(*, cap: SpendingCap, member: Member, address: str | None = None) -> None:
    """Keep an organization's caps as they are in memory; what was counted so far stays counted.

    An owner sets his own organization's, since credits are paid before: a cap guards what is left
    of them against a leaked key or a program that runs wild. The platform sets anybody's.

    Raises: RoleMissing.
    """
    if not roles.may(member, Right.MANAGE_ORGANIZATIONS):
        roles.require(member, Right.MANAGE_ORGANIZATION)
        if member.organization_id != cap.organization_id:
            raise roles.RoleMissing(roles.platform_only())
    if cap._state.adding:
        before: dict[str, int | None] = {"per_day": None, "per_minute": None}
        cap.save()
    else:
        known = SpendingCap.objects.select_for_update(no_key=True).get(pk=cap.pk)
        before = {"per_day": known.per_day, "per_minute": known.per_minute}
        cap.save(update_fields=["per_day", "per_minute"])  # never what is counted meanwhile
    audit.record(
        act="spending_cap.saved",
        subject=cap,
        member=member,
        organization=cap.organization,
        details=audit.change(
            before=before, after={"per_day": cap.per_day, "per_minute": cap.per_minute}
        ),
        address=address,
    )


def _counts(row: Any) -> list[Count]:
    per_day, in_day, day, per_minute, in_minute, minute = row
    return [
        Count("day", per_day, in_day, day + timedelta(days=1)),
        Count("minute", per_minute, in_minute, minute + timedelta(minutes=1)),
    ]


def _refusal(organization_id: UUID, counts: list[Count], amount: int) -> SpendingCapReached:
    reached = [count for count in counts if count.left is not None and count.left < amount]
    # Where both are reached, or one can never be kept, that is what to tell.
    count = max(reached, key=lambda count: (amount > (count.most or 0), count.ends_at))
    log.warning(
        "spending_cap_reached",
        extra={"organization": str(organization_id), "period": count.name, "refused": amount},
    )
    period = {"day": _("a day (UTC)"), "minute": _("a minute")}[count.name]
    numbers = {"amount": amount, "most": count.most, "left": count.left, "period": period}
    if amount > (count.most or 0):
        return SpendingCapReached(
            _(
                "This costs %(amount)d credits, and your organization may spend %(most)d %(period)s."
                " Write to fewer contacts, or ask an owner to raise the spending cap."
            )
            % numbers,
            None,
        )
    return SpendingCapReached(
        _(
            "This costs %(amount)d credits, and %(left)d are left of the %(most)d that your organization"
            " may spend %(period)s. Try again after %(moment)s, or ask an owner to raise the spending cap."
        )
        % {**numbers, "moment": count.ends_at.strftime("%Y-%m-%d %H:%M UTC")},
        count.ends_at,
    )


def _tell_shares(organization_id: UUID, counts: list[Count], amount: int) -> None:
    """Log the highest share of each cap that these credits passed, once they are accepted for good."""
    passed = []
    for count in counts:
        before = _share(count.taken, count.most)
        after = _share(count.taken + amount, count.most)
        if after > before:
            passed.append({"period": count.name, "percent": after})
    if passed:
        transaction.on_commit(lambda: _log_shares(organization_id, passed), robust=True)


def _share(taken: int, most: int | None) -> int:
    """Return the highest of the shares that is used up."""
    return max((share for share in SHARES if most and taken * 100 >= share * most), default=0)


def _log_shares(organization_id: UUID, passed: list[dict[str, Any]]) -> None:
    for share in passed:
        log.warning(
            "spending_cap_share_used", extra={"organization": str(organization_id), **share}
        )

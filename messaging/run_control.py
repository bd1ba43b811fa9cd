"""Run control: holding up, going on with and ending a broadcast that was accepted."""

import logging
import time
from typing import Any, Final
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Case, Value, When
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from accounts import audit, roles
from accounts.models import Member, Organization
from accounts.roles import Right
from messaging import journeys, tasks
from messaging.models import Broadcast, Message, MessageEvent
from messaging.timings import TIMINGS

log = logging.getLogger(__name__)

Status = Broadcast.Status
Because = Broadcast.PausedBecause

OPEN_STATUSES: Final = frozenset({Status.SCHEDULED, Status.RUNNING, Status.PAUSED})

BITE: Final = 50_000  # messages of one broadcast that are canceled in one transaction

_BEING_CANCELED: Final = """
SELECT id FROM messaging_broadcast
WHERE status = 'CANCELED' AND finished_at IS NULL AND queued > 0 ORDER BY id
"""

_CANCEL: Final = f"""
WITH canceled AS (
  UPDATE messaging_message m SET status = 'CANCELED', charge = 'RELEASED', error_code = %(code)s,
    updated_at = clock_timestamp()
  WHERE m.id IN (SELECT id FROM messaging_message
    WHERE broadcast_id = %(broadcast_id)s AND status = 'QUEUED' LIMIT {BITE})
  RETURNING m.id, m.credits
), noted AS (
  INSERT INTO messaging_messageevent (message_id, kind, detail)
  SELECT id, %(kind)s, '' FROM canceled
)
SELECT count(*), coalesce(sum(credits), 0)::bigint FROM canceled
"""


class StateDoesNotAllow(Exception):
    """The broadcast is in no state for this; nothing changed."""


def pause(*, member: Member, broadcast: Broadcast, address: str | None = None) -> Broadcast:
    """Hand over nothing more until somebody resumes it. Requests that left already end as they end.

    Raises: RoleMissing, StateDoesNotAllow.
    """
    with transaction.atomic():
        held = hold(member=member, broadcast=broadcast)
        if held.status != Status.RUNNING:
            raise refusal(held, _("Only a running one can be paused."))
        return change(
            held,
            "broadcast.paused",
            member=member,
            address=address,
            status=Status.PAUSED,
            paused_because=Because.OPERATOR,
        )


def resume(*, member: Member, broadcast: Broadcast, address: str | None = None) -> Broadcast:
    """Go on with a paused broadcast, whoever or whatever paused it; its failures are counted anew.

    One whose moment is still to come is SCHEDULED again. What waits for approval is not resumed: another
    member approves or rejects it.

    Raises: RoleMissing, StateDoesNotAllow.
    """
    with transaction.atomic():
        held = hold(member=member, broadcast=broadcast)
        if held.status != Status.PAUSED:
            raise refusal(held, _("Only a paused one can be resumed."))
        if held.paused_because == Because.APPROVAL:
            raise StateDoesNotAllow(
                _(
                    "This broadcast waits for approval. Ask another member who may approve broadcasts."
                )
            )
        return go_on(
            held,
            "broadcast.resumed",
            member=member,
            address=address,
            details={"paused_because": held.paused_because},
        )


def cancel(*, member: Member, broadcast: Broadcast, address: str | None = None) -> Broadcast:
    """End a broadcast for good: from now on nothing more is handed over.

    Its messages follow in bites, and their credits with them. Requests that left already end as they end.

    Raises: RoleMissing, StateDoesNotAllow.
    """
    with transaction.atomic():
        held = hold(member=member, broadcast=broadcast)
        if held.status not in OPEN_STATUSES:
            raise refusal(held, _("Only one that has not ended can be canceled."))
        return end(held, "broadcast.canceled", member=member, address=address)


def hold(
    *, member: Member, broadcast: Broadcast, right: Right = Right.CONTROL_BROADCASTS
) -> Broadcast:
    """Return the broadcast as it stands, locked until the transaction ends.

    Raises: RoleMissing, also for a broadcast of another organization.
    """
    roles.require(member, right)
    if broadcast.organization_id != member.organization_id:
        raise roles.RoleMissing(_("This broadcast is another organization's."))
    return Broadcast.objects.select_for_update(no_key=True).get(pk=broadcast.pk)


def refusal(broadcast: Broadcast, what_can: str) -> StateDoesNotAllow:
    """Return the error that says what the broadcast is, and what it would have to be."""
    is_now = _("This broadcast is %(status)s.") % {"status": broadcast.get_status_display().lower()}
    return StateDoesNotAllow(f"{is_now} {what_can}")


def go_on(broadcast: Broadcast, act: str, **entry: Any) -> Broadcast:
    """Let a broadcast that is held run, or wait for its moment where that is still to come."""
    going = change(
        broadcast,
        act,
        **entry,
        status=Case(
            When(scheduled_at__gt=Now(), then=Value(Status.SCHEDULED)),
            default=Value(Status.RUNNING),
        ),
        paused_because="",
        recent_results="",
        broken_drains=0,
        woken_at=None,
    )
    if going.status == Status.RUNNING:
        transaction.on_commit(
            lambda: tasks.try_waking(
                going.pk, messages=going.queued, first=going.started_at is None
            ),
            robust=True,
        )
    return going


def end(broadcast: Broadcast, act: str, **entry: Any) -> Broadcast:
    """Cancel a broadcast that is held; its messages follow by `cancel_bite`."""
    return change(broadcast, act, **entry, status=Status.CANCELED, paused_because="")


def change(
    broadcast: Broadcast,
    act: str,
    *,
    member: Member | None,
    address: str | None = None,
    details: dict[str, Any] | None = None,
    **changes: Any,
) -> Broadcast:
    """Keep the changes of a broadcast that is held, with their audit entry; return it as it is now."""
    Broadcast.objects.filter(pk=broadcast.pk).update(**changes, updated_at=Now())
    audit.record(
        act=act,
        subject=broadcast,
        member=member,
        organization=broadcast.organization,
        details=details,
        address=address,
    )
    log.info(act.replace(".", "_"), extra={"broadcast": str(broadcast.pk)})
    broadcast.refresh_from_db()
    return broadcast


def cancel_suspended() -> bool:
    """Cancel every open broadcast of a suspended organization; the dispatcher calls this.

    Its rows follow by `cancel_bite`. Nothing is ever left for another call: returns False.
    """
    open_ones = Broadcast.objects.filter(
        status__in=OPEN_STATUSES, organization__status=Organization.Status.SUSPENDED
    )
    for queue_id in open_ones.order_by("id").values_list("id", flat=True):
        with transaction.atomic():
            held = (
                open_ones.select_for_update(no_key=True, skip_locked=True, of=["self"])
                .filter(pk=queue_id)
                .first()
            )
            if held is not None:
                end(
                    held,
                    "broadcast.canceled",
                    member=None,
                    details={"because": "organization suspended"},
                )
    return False


def cancel_bite() -> bool:
    """Cancel one bite of the queued messages of each canceled broadcast; return whether more are left.

    It begins no further bite after two seconds, so that the rest of the sweep has its turn. Their credits
    go back in the same transaction. What is being handed over at this moment ends first, as its mark or
    its result decides.
    """
    with connection.cursor() as cursor:
        cursor.execute(_BEING_CANCELED)
        being_canceled = [row[0] for row in cursor.fetchall()]
    is_more_left = False
    deadline = time.monotonic() + TIMINGS.drain
    for queue_id in being_canceled:
        if time.monotonic() >= deadline:
            return True
        try:
            is_more_left |= _bite(queue_id) == BITE
        except Exception:
            if not connection.is_usable():
                raise
            log.exception("messages_not_canceled", extra={"broadcast": str(queue_id)})
    return is_more_left


def _bite(queue_id: UUID) -> int:
    # Whoever holds it moves its messages at this moment: the next sweep comes in two seconds.
    with journeys.of_broadcast(queue_id, waits=False) as journey:
        if journey is None:
            return 0
        journey.cursor.execute(
            _CANCEL,
            {
                "broadcast_id": queue_id,
                "code": Message.ErrorCode.CANCELED,
                "kind": MessageEvent.Kind.CANCELED,
            },
        )
        messages, released = journey.cursor.fetchone()
        journey.count(messages=messages, was=Message.Status.QUEUED, to=Message.Status.CANCELED)
        journey.released += released
    return int(messages)

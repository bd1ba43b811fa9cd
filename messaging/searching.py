"""Finding messages: every filter alone is answered from an index, however many messages there are."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from django.db.models import F, OuterRef, Q, QuerySet, Subquery

from contacts import directory, words
from messaging.models import Broadcast, Message
from messaging.models.broadcasts import TEXT_WORDS

SCHEDULED: Final = Broadcast.Status.SCHEDULED.value
"""How QUEUED is shown while the broadcast has not started; not stored."""

PENDING: Final = frozenset({*Message.Status, SCHEDULED}) - Message.FINAL_STATUSES
"""Every status that is not final."""

_MOST: Final = 1_000
"""Broadcasts that are named one by one."""

_ACCEPTING: Final = timedelta(hours=1)
"""More than accepting a broadcast ever takes."""

_NEAREST: Final = 200
"""Broadcasts at either end of a period whose keys may lie among each other's."""

Status = Message.Status

_CHARGED: Final = {
    # What waits is reserved, always: said of both, the planner would expect too few.
    Message.Charge.RESERVED.value: Q(status=Status.QUEUED)
    | Q(status=Status.SENDING)
    | Q(status=Status.UNKNOWN, charge=Message.Charge.RESERVED),
    Message.Charge.CAPTURED.value: Q(charge=Message.Charge.CAPTURED)
    & ~Q(status__in=Message.WAITING_STATUSES),
}
"""Charges by the statuses they go with, which have indexes; the others have their own."""


def newest_first(messages: QuerySet[Message]) -> QuerySet[Message]:
    """Return the messages in the one order of lists: the newest broadcast first, its last message first."""
    return messages.order_by("-created_at", "-id")


def find(
    messages: QuerySet[Message],
    *,
    organization_id: UUID | None,
    statuses: Collection[str] = (),
    kind: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    text: str = "",
    recipient: str = "",
    home: str = "",
    countries: Collection[str] = (),
    queue_id: UUID | None = None,
    contact_id: UUID | None = None,
    provider: str = "",
    member_id: UUID | None = None,
    error_code: str = "",
    charge: str = "",
    amount: int | None = None,
) -> QuerySet[Message]:
    """Return those of the messages that fit all that is given.

    `organization_id` is whose they are, by the caller's own filter; None where they are everybody's.
    `since` is the first moment and `until` the first one that is too late. `text` are words, each the
    beginning of one in the broadcast's text. `recipient` is a number or its beginning as people type it,
    national ones read with `home`. `statuses` knows SCHEDULED beside those that are stored. `amount` are
    the credits of one message.

    What is asked of broadcasts (type, text, queue id, member) is looked up at once, newest first.
    """
    one = next(iter(countries)) if len(countries) == 1 else None
    conditions: dict[str, object] = {
        "created_at__gte": since,
        "created_at__lt": until,
        "country": one,
        "country__in": None if one is not None or not countries else sorted(countries),
        "contact": contact_id,
        "provider": provider or None,
        "error_code": error_code or None,
        "credits": amount,
    }
    if recipient:
        messages = messages.filter(directory.is_number(recipient, home, column="recipient"))
    if charge:
        messages = messages.filter(_CHARGED.get(charge, Q(charge=charge)))
    broadcasts = Broadcast.objects.all()
    if organization_id is not None:
        broadcasts = broadcasts.filter(organization=organization_id)
    elif since is not None or until is not None:
        messages = _of_all_within(messages, since, until)
        if since is None:
            # The keys say the same, and the planner would take it for one condition more: it would expect
            # a handful, and sort all there are. An expression has no index and is asked of each row.
            del conditions["created_at__lt"]
            messages = messages.alias(born=F("created_at") + timedelta(0)).filter(born__lt=until)
    if statuses:
        messages = _with_status(messages, broadcasts, frozenset(statuses))
    messages = messages.filter(**{name: of for name, of in conditions.items() if of is not None})
    narrowed = _narrowed(
        broadcasts,
        text,
        pk=queue_id,
        member=member_id,
        kind=kind or None,
        segments=1 if amount == 1 else None,  # all other amounts have an index
    )
    return messages if narrowed is None else _of(messages, narrowed)


def kept_total(
    *,
    organization_id: UUID,
    kind: str = "",
    text: str = "",
    queue_id: UUID | None = None,
    member_id: UUID | None = None,
    **others: object,
) -> int | None:
    """Return how many messages `find` finds with the same arguments, from their broadcasts' own counters.

    None where more is asked than of broadcasts, or these are too many: then the messages are counted.
    """
    if any(of for name, of in others.items() if name != "home"):  # how a recipient is read
        return None
    broadcasts = Broadcast.objects.filter(organization=organization_id)
    narrowed = _narrowed(broadcasts, text, pk=queue_id, member=member_id, kind=kind or None)
    found = broadcasts if narrowed is None else narrowed
    totals = found.order_by("-created_at", "-id").values_list("messages_total", flat=True)
    kept = list(totals[: _MOST + 1])
    return sum(kept) if len(kept) <= _MOST else None


def _of_all_within(
    messages: QuerySet[Message], since: datetime | None, until: datetime | None
) -> QuerySet[Message]:
    """Return the messages, of all organizations, between the first and the last key of a period.

    No index begins with the moment for all organizations together. But keys grow with it: where the
    period's begin and end is known of the broadcasts that were accepted about then.
    """
    about = Broadcast.objects.all()
    if since is not None:
        about = about.filter(created_at__gte=since - _ACCEPTING)
    if until is not None:
        about = about.filter(created_at__lt=until + _ACCEPTING)
    ends: list[UUID] = []
    for order in ("id", "-id"):
        age = order.replace("id", "created_at")
        one = Message.objects.filter(broadcast=OuterRef("pk")).order_by(order).values("pk")
        nearest = about.order_by(age).annotate(end=Subquery(one[:1])).values_list("end", flat=True)
        found = [key for key in nearest[:_NEAREST] if key is not None]
        if not found:
            return messages.none()
        ends.append(min(found) if order == "id" else max(found))
    return messages.filter(pk__gte=ends[0], pk__lte=ends[1])


def _narrowed(
    broadcasts: QuerySet[Broadcast], text: str, **conditions: object
) -> QuerySet[Broadcast] | None:
    """Return the broadcasts that fit what is asked of them; None where nothing is."""
    given = {name: of for name, of in conditions.items() if of is not None}
    return _worded(broadcasts.filter(**given), text) if given or text else None


def _worded(broadcasts: QuerySet[Broadcast], text: str) -> QuerySet[Broadcast]:
    """Return the broadcasts whose text has these words; all where none are asked for."""
    if not text:
        return broadcasts
    query = words.query(text)
    return (
        broadcasts.none()
        if query is None
        else broadcasts.alias(words=TEXT_WORDS).filter(words=query)
    )


def _of(messages: QuerySet[Message], broadcasts: QuerySet[Broadcast]) -> QuerySet[Message]:
    """Return the messages of the broadcasts, in a way that keeps to the order of the lists' index.

    One statement writes a broadcast's messages, so all of them were born in one moment: asked for by it,
    they are a stretch of the index, and those of other broadcasts are never read.
    """
    first = Message.objects.filter(broadcast=OuterRef("pk")).order_by("id").values("created_at")
    found = (
        broadcasts.annotate(born_at=Subquery(first[:1]))
        .order_by("-created_at", "-id")
        .values_list("pk", "born_at")[: _MOST + 1]
    )
    born = {pk: moment for pk, moment in found if moment is not None}
    if not born:
        return messages.none()
    if len(found) <= _MOST:
        return messages.filter(broadcast__in=list(born), created_at__in=set(born.values()))
    return messages.filter(
        broadcast__in=broadcasts.values("pk"), created_at__lte=max(born.values())
    )


def _with_status(
    messages: QuerySet[Message], broadcasts: QuerySet[Broadcast], statuses: frozenset[str]
) -> QuerySet[Message]:
    """Return the messages that are shown with one of the statuses."""
    stored = sorted(statuses - {SCHEDULED})
    if SCHEDULED in statuses and Message.Status.QUEUED in statuses:
        return messages.filter(status__in=stored)
    waiting = Q(status=Message.Status.QUEUED)
    # A handful: none of them is old.
    unstarted = Q(broadcast__in=broadcasts.filter(status=SCHEDULED).values("pk"))
    if SCHEDULED in statuses:
        scheduled = waiting & unstarted
        return messages.filter(scheduled | Q(status__in=stored) if stored else scheduled)
    found = Q(status=stored[0]) if len(stored) == 1 else Q(status__in=stored)
    if Message.Status.QUEUED in statuses:
        found &= ~(waiting & unstarted)
    return messages.filter(found)

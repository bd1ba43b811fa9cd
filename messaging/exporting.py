"""Exporting messages and skips: all of a filter, in pages of texts, newest first."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final

from django.db.models import CharField, DateTimeField, Expression, F, Func, QuerySet, Value
from django.db.models.functions import Cast

from accounts import audit
from accounts.doors.pagination import older_than
from accounts.models import Member
from contacts import phone_numbers
from messaging.models import Broadcast, Message, Skip

PAGE: Final = 5_000
"""Rows read by one statement."""

MESSAGES: Final = (
    "id",
    "queueId",
    "type",
    "message",
    "recipient",
    "country",
    "countryCode",
    "status",
    "segments",
    "credits",
    "provider",
    "providerMessageId",
    "errorCode",
    "errorMessage",
    "contactId",
    "createdAt",
    "sentAt",
    "deliveredAt",
    "updatedAt",
)
"""The columns of messages, by the wire's names."""

SKIPS: Final = ("contactId", "phone", "reason", "duplicateOf")
"""The columns of skips, by the wire's names."""

_WIRE: Final = 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'

Page = list[tuple[str, ...]]


def record(
    *,
    act: str,
    subject: Broadcast | str,
    filters: Collection[str] = (),
    by: Member,
    address: str | None = None,
) -> None:
    """Write down that the member takes rows out of the house, by which filters."""
    audit.record(
        act=act,
        subject=subject,
        member=by,
        details={"format": "csv", "filters": sorted(filters)},
        address=address,
    )


def messages(found: QuerySet[Message]) -> Iterator[Page]:
    """Yield the messages as rows of texts under `MESSAGES`, newest first, in pages.

    Each page is a short statement of its own, outside any transaction: however slowly it is read, nothing
    is held in PostgreSQL, and memory stays flat. PostgreSQL writes ids and moments as text, since Python
    would take them apart only to put them together again.
    """
    rows = found.order_by("-created_at", "-id").values_list(
        "created_at",
        "pk",
        "broadcast_id",
        _text("id"),
        _text("broadcast_id"),
        "recipient",
        "country",
        "status",
        _text("segments"),
        _text("credits"),
        "provider",
        "provider_message_id",
        "error_code",
        "error_message",
        _text("contact_id"),
        *(_moment(name) for name in ("created_at", "sent_at", "delivered_at", "updated_at")),
    )
    page = list(rows[:PAGE])
    while page:
        broadcasts = Broadcast.objects.only("kind", "text", "status").in_bulk(
            {row[2] for row in page}
        )
        yield [_message(row, broadcasts[row[2]]) for row in page]
        if len(page) < PAGE:
            return
        created_at, last, *_rest = page[-1]
        page = list(rows.filter(older_than(created_at, last))[:PAGE])


def skips(found: QuerySet[Skip]) -> Iterator[Page]:
    """Yield a broadcast's skips as rows of texts under `SKIPS`, newest first, in pages like messages'."""
    rows = found.order_by("-id").values_list(
        "pk", _text("contact_id"), "phone", "reason", _text("duplicate_of_id")
    )
    page = list(rows[:PAGE])
    while page:
        yield [
            (contact or "", phone, reason, first or "")
            for _id, contact, phone, reason, first in page
        ]
        if len(page) < PAGE:
            return
        page = list(rows.filter(id__lt=page[-1][0])[:PAGE])


_OWN: Final = {code.value: code.label for code in Message.ErrorCode}


def _message(row: Sequence[Any], broadcast: Broadcast) -> tuple[str, ...]:
    _at, _pk, _broadcast, id_, queue, recipient, country, status, segments, amount, *rest = row
    provider, provider_id, code, error, contact, created_at, sent_at, delivered_at, updated_at = (
        rest
    )
    is_scheduled = (
        broadcast.status == Broadcast.Status.SCHEDULED and status == Message.Status.QUEUED
    )
    return (
        id_,
        queue,
        broadcast.kind,
        broadcast.text,
        recipient,
        country,
        phone_numbers.calling_code_of(country),
        Broadcast.Status.SCHEDULED.value if is_scheduled else status,
        segments,
        amount,
        provider,
        provider_id,
        code,
        error or str(_OWN.get(code, "")),
        contact or "",
        created_at,
        sent_at or "",
        delivered_at or "",
        updated_at,
    )


def _text(column: str) -> Cast:
    return Cast(F(column), CharField())


def _moment(column: str) -> Expression:
    """Return the moment as the wire has it."""
    in_utc = Func(
        F(column),
        Value("UTC"),
        template="%(expressions)s",
        arg_joiner=" AT TIME ZONE ",
        output_field=DateTimeField(),
    )
    return Func(in_utc, Value(_WIRE), function="to_char", output_field=CharField())

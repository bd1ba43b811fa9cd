"""Messages over HTTP: finding them, one with its life, all of them as CSV, and the dashboard."""

from functools import partial
from typing import Any, Final
from uuid import UUID

from django.db.models import QuerySet
from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.doors import csv_rows
from accounts.doors.addresses import address_of
from accounts.doors.organization import for_org, member_of, organization_of
from accounts.doors.pagination import Pages
from accounts.doors.schema import refusals
from accounts.doors.views import OrganizationView, listed, queried
from accounts.roles import Right
from messaging import exporting, searching
from messaging.models import Message
from messaging.serializers.messages import (
    MessageFilter,
    MessageSerializer,
    MessageWithEventsSerializer,
)

MESSAGE: Final = {
    "id": "019a3c5e-1f6b-7c60-8f3a-6f0f4f0c1a01",
    "queueId": "0d6a8cf9-8d7c-4f27-9a0c-5b8c3f7a6f10",
    "type": "SMS",
    "messageType": "SMS",
    "contentType": "PLAIN_TEXT",
    "message": "Hola",
    "content": "Hola",
    "recipient": "+573001234567",
    "recipientDetails": "+573001234567",
    "country": "CO",
    "countryCode": "57",
    "status": "DELIVERED",
    "segments": 1,
    "credits": 1,
    "provider": "twilio:AC00000000000000000000000000000000",
    "providerMessageId": "SM00000000000000000000000000000000",
    "errorCode": None,
    "errorMessage": None,
    "contactId": "019a3c5e-1f6b-7c60-8f3a-6f0f4f0c1a02",
    "organizationId": "93a822c6-8425-46fe-9362-2ff713157e04",
    "createdAt": "2026-01-31T12:00:00.000Z",
    "sentAt": "2026-01-31T12:00:00.410Z",
    "deliveredAt": "2026-01-31T12:00:03.120Z",
    "updatedAt": "2026-01-31T12:00:03.140Z",
    "blankedAt": None,
}
"""A message as examples show it."""

_EVENTS: Final = [
    {
        "at": "2026-01-31T12:00:00.000Z",
        "event": "ACCEPTED",
        "status": "QUEUED",
        "title": "Accepted",
        "details": ["1 segment", "1 credit reserved"],
        "raw": None,
    },
    {
        "at": "2026-01-31T12:00:03.120Z",
        "event": "REPORT",
        "status": "DELIVERED",
        "title": "Delivery report of twilio:AC00000000000000000000000000000000",
        "details": ["Applied"],
        "raw": {"MessageStatus": "delivered"},
    },
]
_FORBIDDEN: Final = "The role may not do this, or you belong to no organization (1003)."


class MessageView(OrganizationView):
    """What all views of messages share: whose they are, and how they are narrowed."""

    right = Right.READ

    def asked(self, request: Request) -> dict[str, Any]:
        """Return whose messages the address asks for, and which, as `searching` knows it."""
        organization = organization_of(request)
        return {
            "organization_id": organization.pk,
            "home": organization.country,
            **queried(request, MessageFilter),
        }

    def exported(self, request: Request, found: QuerySet[Message], **told: Any) -> HttpResponseBase:
        """Return all that was found as CSV, and write down who takes it."""
        exporting.record(
            act="messages.exported",
            filters=[name for name, value in request.query_params.items() if value],
            by=member_of(request),
            address=address_of(request),
            **{"subject": "message", **told},
        )
        return csv_rows.answer("messages.csv", exporting.MESSAGES, exporting.messages(found))


class MessagesView(MessageView):
    pagination_class = Pages

    @extend_schema(
        operation_id="listMessages",
        summary="List messages",
        description="Newest first. Each filter by itself is fast, however many messages there are.",
        parameters=[MessageFilter],
        responses={
            200: MessageSerializer(many=True),
            **refusals(400, 401, 403, 429, _403=_FORBIDDEN),
        },
        tags=["messages"],
    )
    def get(self, request: Request) -> Response:
        asked = self.asked(request)
        return listed(
            request,
            searching.find(for_org(request, Message), **asked).prefetch_related("broadcast"),
            MessageSerializer,
            known_total=partial(searching.kept_total, **asked),
        )


class MessageExportView(MessageView):
    @extend_schema(
        operation_id="exportMessages",
        summary="Export messages",
        description=(
            "All messages of the filter as CSV in UTF-8, newest first, however many. No cell is ever a "
            "formula: what a spreadsheet would take for one begins with an apostrophe. A connection that "
            "breaks off means that lines are missing."
        ),
        parameters=[MessageFilter],
        responses={
            **csv_rows.documented("One line a message, below a line of the columns' names."),
            **refusals(400, 401, 403, 429, _403=_FORBIDDEN),
        },
        tags=["messages"],
    )
    def get(self, request: Request) -> HttpResponseBase:
        return self.exported(
            request, searching.find(for_org(request, Message), **self.asked(request))
        )


class OneMessageView(MessageView):
    @extend_schema(
        operation_id="getMessage",
        summary="Show a message and its life",
        description="`events` are merged from its own times, what its provider reported, and what went "
        "another way than usual.",
        responses={
            200: MessageWithEventsSerializer,
            **refusals(401, 403, 404, 429, _403=_FORBIDDEN),
        },
        examples=[
            OpenApiExample(
                "Delivered",
                {**MESSAGE, "events": _EVENTS},
                response_only=True,
                status_codes=["200"],
            )
        ],
        tags=["messages"],
    )
    def get(self, request: Request, message_id: UUID) -> Response:
        message = get_object_or_404(
            for_org(request, Message).select_related("broadcast"), pk=message_id
        )
        return Response(MessageWithEventsSerializer(message).data)

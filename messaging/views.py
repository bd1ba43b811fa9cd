"""Sending and following broadcasts over HTTP: read the request, call one verb, stream the answer."""

import hashlib
from collections.abc import Iterator

from django.http import HttpResponseBase, StreamingHttpResponse
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.doors.addresses import address_of
from accounts.doors.organization import for_org, member_of
from accounts.doors.permissions import AcceptedTerms
from accounts.doors.schema import refusals
from accounts.doors.views import OrganizationView, validated
from accounts.roles import Right
from messaging import broadcasts
from messaging.audiences import Audience, Everyone
from messaging.models import Broadcast
from messaging.serializers import (
    BroadcastSerializer,
    EnqueueResultSerializer,
    SendToAllSerializer,
)

_SENT = {
    "queueId": "0d6a8cf9-8d7c-4f27-9a0c-5b8c3f7a6f10",
    "channel": "sms",
    "messages": [
        {"id": "019a3c5e-1f6b-7c60-8f3a-6f0f4f0c1a01", "recipient": "+573001234567"},
        {"id": "019a3c5e-1f6b-7c61-9b2e-0c9d7a1e2b02", "recipient": "+573009876543"},
    ],
}


class SendView(OrganizationView):
    """What all sends share: who may, in which order it is refused, how the answer is streamed."""

    permission_classes = [*OrganizationView.permission_classes, AcceptedTerms]
    right = Right.SEND

    def send(self, request: Request, audience: Audience) -> HttpResponseBase:
        fields = validated(request, SendToAllSerializer)
        broadcast = broadcasts.send(
            member=member_of(request),
            audience=audience,
            text=fields["message"],
            kind=fields["type"],
            country=fields["country"],
            address=address_of(request),
        )
        if not broadcast.messages_total:
            # The broadcast is kept with its skips; only this answer hides its id.
            return Response({"queueId": "", "channel": "sms", "messages": []})
        return StreamingHttpResponse(
            _answer(broadcast), status=201, content_type="application/json"
        )


def _answer(broadcast: Broadcast) -> Iterator[str]:
    # From here on it is accepted, and nothing may say otherwise: a 503 would have it sent twice. Should
    # the database fail, the client has the queue id and a connection that was broken off.
    yield f'{{"queueId":"{broadcast.pk}","channel":"sms","messages":['
    separator = ""
    for page in broadcasts.answer_pages(queue_id=broadcast.pk):
        yield f"{separator}{page}"
        separator = ","
    yield "]}"


class SendToAllView(SendView):
    @extend_schema(
        operation_id="sendSmsToAll",
        summary="Send one SMS to all contacts",
        description=(
            "Accepts the text for every contact that is not deleted. Duplicates and numbers that cannot "
            "be written to are left out. When this answers, the messages are recorded and their credits "
            "reserved; delivery follows. The answer has one entry a message, whatever their number."
        ),
        request=SendToAllSerializer,
        responses={
            201: OpenApiResponse(EnqueueResultSerializer, "Accepted."),
            200: OpenApiResponse(
                EnqueueResultSerializer, "Nobody can be reached; nothing was charged."
            ),
            **refusals(400, 401, 402, 403, 413, 415, 429, 503),
        },
        examples=[
            OpenApiExample(
                "To all contacts",
                {
                    "message": "Important! Update on our terms of service.",
                    "type": "SMS",
                    "country": "CO",
                },
                request_only=True,
            ),
            OpenApiExample("Accepted", _SENT, response_only=True, status_codes=["201"]),
            OpenApiExample(
                "Nobody to write to",
                {"queueId": "", "channel": "sms", "messages": []},
                response_only=True,
                status_codes=["200"],
            ),
        ],
        tags=["messages"],
    )
    def post(self, request: Request) -> HttpResponseBase:
        return self.send(request, Everyone())


class QueueView(OrganizationView):
    right = Right.READ

    @extend_schema(
        operation_id="getQueue",
        summary="Follow a broadcast",
        parameters=[
            OpenApiParameter(
                "If-None-Match",
                OpenApiTypes.STR,
                OpenApiParameter.HEADER,
                description="The ETag of an earlier answer: 304 while nothing has changed.",
            )
        ],
        responses={
            200: BroadcastSerializer,
            304: OpenApiResponse(description="Nothing has changed."),
            **refusals(401, 403, 404, 429, 503),
        },
        tags=["messages"],
    )
    def get(self, request: Request, queue_id: str) -> Response:
        broadcast = get_object_or_404(
            for_org(request, Broadcast).select_related("member"), pk=queue_id
        )
        changed = f"{broadcast.pk}{broadcast.updated_at.isoformat()}{broadcast.status}"
        etag = f'"{hashlib.sha256(changed.encode()).hexdigest()[:32]}"'
        known = request.headers.get("If-None-Match", "")
        if etag in known or known.strip() == "*":
            return Response(status=304, headers={"ETag": etag})
        return Response(BroadcastSerializer(broadcast).data, headers={"ETag": etag})

"""Sending and following broadcasts over HTTP: read the request, call one verb, stream the answer."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

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
from messaging import answers, broadcasts, idempotency, run_control
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
        try:
            broadcast = broadcasts.send(
                member=member_of(request),
                audience=audience,
                text=fields["message"],
                kind=fields["type"],
                country=fields["country"],
                address=address_of(request),
                once=_once(request, fields),
            )
        except idempotency.CarriedOutBefore as before:
            return _answer(before.broadcast, {"Idempotent-Replayed": "true"})
        return _answer(broadcast, {})


def _once(request: Request, fields: dict[str, Any]) -> idempotency.Once | None:
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    return idempotency.once(key=key, method=str(request.method), path=request.path, fields=fields)


def _answer(broadcast: Broadcast, headers: dict[str, str]) -> HttpResponseBase:
    if not broadcast.messages_total:
        # The broadcast is kept with its skips; only this answer hides its id.
        return Response({"queueId": "", "channel": "sms", "messages": []}, headers=headers)
    return StreamingHttpResponse(
        _written(broadcast), status=201, content_type="application/json", headers=headers
    )


def _written(broadcast: Broadcast) -> Iterator[str]:
    # From here on it is accepted, and nothing may say otherwise: a 503 would have it sent twice. Should
    # the database fail, the client has the queue id and a connection that was broken off.
    yield f'{{"queueId":"{broadcast.pk}","channel":"sms","messages":['
    separator = ""
    for page in answers.pages(queue_id=broadcast.pk):
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
        parameters=[
            OpenApiParameter(
                "Idempotency-Key",
                OpenApiTypes.STR,
                OpenApiParameter.HEADER,
                description=(
                    "A name of yours for this request, 1 to 255 ASCII characters, kept 24 hours. However "
                    "often it is sent, it is carried out once; every further answer is the first one's."
                ),
            ),
            OpenApiParameter(
                "Idempotent-Replayed",
                OpenApiTypes.STR,
                OpenApiParameter.HEADER,
                response=[200, 201],
                description="`true` where the request was carried out before, under the same key.",
            ),
        ],
        responses={
            201: OpenApiResponse(EnqueueResultSerializer, "Accepted."),
            200: OpenApiResponse(
                EnqueueResultSerializer, "Nobody can be reached; nothing was charged."
            ),
            **refusals(
                400,
                401,
                402,
                403,
                409,
                413,
                415,
                422,
                429,
                503,
                _409="The first request of this key is still running (4010), or the same text was sent a"
                " moment ago (4014).",
            ),
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
    def get(self, request: Request, queue_id: UUID) -> Response:
        broadcast = get_object_or_404(
            for_org(request, Broadcast).select_related("member"), pk=queue_id
        )
        etag = _etag(broadcast)
        known = request.headers.get("If-None-Match", "")
        if etag in known or known.strip() == "*":
            return Response(status=304, headers={"ETag": etag})
        return _shown(broadcast)


def _etag(broadcast: Broadcast) -> str:
    changed = f"{broadcast.pk}{broadcast.updated_at.isoformat()}{broadcast.status}"
    return f'"{hashlib.sha256(changed.encode()).hexdigest()[:32]}"'


def _shown(broadcast: Broadcast) -> Response:
    return Response(BroadcastSerializer(broadcast).data, headers={"ETag": _etag(broadcast)})


class RunControlView(OrganizationView):
    """What pausing, resuming and canceling share: who may, whose broadcast, and the answer."""

    right = Right.CONTROL_BROADCASTS

    def control(self, request: Request, queue_id: UUID, verb: Callable[..., Broadcast]) -> Response:
        broadcast = get_object_or_404(for_org(request, Broadcast), pk=queue_id)
        return _shown(
            verb(member=member_of(request), broadcast=broadcast, address=address_of(request))
        )


def _described(name: str, summary: str, description: str) -> Callable[[Any], Any]:
    return extend_schema(
        operation_id=name,
        summary=summary,
        description=description,
        request=None,
        responses={
            200: BroadcastSerializer,
            **refusals(
                401,
                403,
                404,
                409,
                429,
                _403="The role may not do this (1003).",
                _409="The broadcast's state does not allow it (4013).",
            ),
        },
        tags=["messages"],
    )


class PauseView(RunControlView):
    @_described(
        "pauseQueue",
        "Pause a broadcast",
        "Nothing more is handed over until it is resumed. What left already ends as it ends.",
    )
    def post(self, request: Request, queue_id: UUID) -> Response:
        return self.control(request, queue_id, run_control.pause)


class ResumeView(RunControlView):
    @_described(
        "resumeQueue",
        "Resume a paused broadcast",
        "Goes on with it, whatever paused it, except that an approval needs another member.",
    )
    def post(self, request: Request, queue_id: UUID) -> Response:
        return self.control(request, queue_id, run_control.resume)


class CancelView(RunControlView):
    @_described(
        "cancelQueue",
        "Cancel a broadcast",
        "It is CANCELED at once and nothing more is handed over. Its messages follow, and their credits "
        "come back: `counts` and `credits` show how far that is.",
    )
    def post(self, request: Request, queue_id: UUID) -> Response:
        return self.control(request, queue_id, run_control.cancel)

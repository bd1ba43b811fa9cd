"""Sending over HTTP: read the request, call one verb, stream the answer."""

from collections.abc import Iterator
from typing import Any

from django.http import HttpResponseBase, StreamingHttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.doors.addresses import address_of
from accounts.doors.organization import member_of
from accounts.doors.permissions import AcceptedTerms
from accounts.doors.schema import refusals
from accounts.doors.views import OrganizationView, validated
from accounts.roles import Right
from messaging import answers, broadcasts, idempotency
from messaging.audiences import Audience, Everyone
from messaging.models import Broadcast
from messaging.serializers.sending import EnqueueResultSerializer, SendToAllSerializer

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

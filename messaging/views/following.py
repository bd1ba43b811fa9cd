"""Following and controlling a broadcast over HTTP."""

import hashlib
from collections.abc import Callable
from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.doors.addresses import address_of
from accounts.doors.organization import for_org, member_of
from accounts.doors.schema import refusals
from accounts.doors.views import OrganizationView
from accounts.roles import Right
from messaging import run_control
from messaging.models import Broadcast
from messaging.serializers.following import BroadcastSerializer


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

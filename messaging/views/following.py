"""Following broadcasts over HTTP: the list of them, one of them, its messages and its skips."""

import hashlib
from uuid import UUID

from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
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
from messaging.models import Broadcast, Message, Skip
from messaging.serializers.following import BroadcastFilter, BroadcastSerializer
from messaging.serializers.messages import MessageSerializer, SkipSerializer


class QueuesView(OrganizationView):
    right = Right.READ
    pagination_class = Pages

    @extend_schema(
        operation_id="listQueues",
        summary="List broadcasts",
        description="Newest first.",
        parameters=[BroadcastFilter],
        responses={200: BroadcastSerializer(many=True), **refusals(400, 401, 403, 429)},
        tags=["messages"],
    )
    def get(self, request: Request) -> Response:
        broadcasts = for_org(request, Broadcast).filter(**queried(request, BroadcastFilter))
        return listed(request, broadcasts.select_related("member"), BroadcastSerializer)


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
        return shown(broadcast)


def _etag(broadcast: Broadcast) -> str:
    changed = f"{broadcast.pk}{broadcast.updated_at.isoformat()}{broadcast.status}"
    return f'"{hashlib.sha256(changed.encode()).hexdigest()[:32]}"'


def shown(broadcast: Broadcast) -> Response:
    """Return the answer that shows a broadcast, with the ETag that later asks whether it has changed."""
    return Response(BroadcastSerializer(broadcast).data, headers={"ETag": _etag(broadcast)})


class _PartView(OrganizationView):
    """What the lists of one broadcast share: whose it is, and CSV for those who ask for it."""

    right = Right.READ
    pagination_class = Pages
    renderer_classes = csv_rows.BESIDE_JSON

    def broadcast(self, request: Request, queue_id: UUID) -> Broadcast:
        return get_object_or_404(for_org(request, Broadcast), pk=queue_id)

    def record(self, request: Request, broadcast: Broadcast, act: str) -> None:
        """Write down that all of the list is taken out of the house."""
        exporting.record(
            act=act, subject=broadcast, by=member_of(request), address=address_of(request)
        )


class QueueMessagesView(_PartView):
    @extend_schema(
        operation_id="listQueueMessages",
        summary="List a broadcast's messages",
        description="Newest first. `Accept: text/csv` streams all of them, as `/api/messages/export` does.",
        responses=csv_rows.beside_json(
            MessageSerializer(many=True), "One line a message.", refusals(400, 401, 403, 404, 429)
        ),
        tags=["messages"],
    )
    def get(self, request: Request, queue_id: UUID) -> HttpResponseBase:
        broadcast = self.broadcast(request, queue_id)
        found = searching.find(
            for_org(request, Message),
            organization_id=organization_of(request).pk,
            queue_id=broadcast.pk,
        )
        if csv_rows.is_wanted(request):
            self.record(request, broadcast, "messages.exported")
            return csv_rows.answer("messages.csv", exporting.MESSAGES, exporting.messages(found))
        return listed(
            request,
            found.prefetch_related("broadcast"),
            MessageSerializer,
            known_total=lambda: broadcast.messages_total,
        )


class QueueSkippedView(_PartView):
    @extend_schema(
        operation_id="listQueueSkips",
        summary="List the contacts that a broadcast skipped",
        description="Each with the first reason that held. `Accept: text/csv` streams all of them.",
        responses=csv_rows.beside_json(
            SkipSerializer(many=True), "One line a skip.", refusals(400, 401, 403, 404, 429)
        ),
        tags=["messages"],
    )
    def get(self, request: Request, queue_id: UUID) -> HttpResponseBase:
        broadcast = self.broadcast(request, queue_id)
        # One statement wrote them: in the order of the key they are an index's.
        found = for_org(request, Skip, path="broadcast__organization").filter(broadcast=broadcast)
        if csv_rows.is_wanted(request):
            self.record(request, broadcast, "skips.exported")
            return csv_rows.answer("skipped.csv", exporting.SKIPS, exporting.skips(found))
        return listed(request, found.order_by("-id"), SkipSerializer)

"""Controlling a broadcast over HTTP: run control, its moment, its approval, and sending once more."""

from collections.abc import Callable
from typing import Any, ClassVar
from uuid import UUID

from django.http import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.doors.addresses import address_of
from accounts.doors.organization import for_org, member_of
from accounts.doors.permissions import AcceptedTerms
from accounts.doors.schema import refusals
from accounts.doors.views import OrganizationView, validated
from accounts.roles import Right
from messaging import approvals, idempotency, resending, run_control, scheduling
from messaging.models import Broadcast
from messaging.serializers.control import RescheduleSerializer
from messaging.serializers.following import BroadcastSerializer
from messaging.serializers.sending import EnqueueResultSerializer
from messaging.views import following, sending


class QueueView(following.QueueView):
    """One address: following by GET, rescheduling by PATCH."""

    rights: ClassVar = {"PATCH": Right.CONTROL_BROADCASTS}

    @extend_schema(
        operation_id="rescheduleQueue",
        summary="Move a scheduled broadcast to another moment",
        description=(
            "Only while it is SCHEDULED. Its audience and price stay as they were accepted; who opted out, "
            "was blocked or was deleted since is left out when it is handed over."
        ),
        request=RescheduleSerializer,
        responses={
            200: BroadcastSerializer,
            **refusals(
                400,
                401,
                403,
                404,
                409,
                413,
                415,
                429,
                _400="The moment is missing, is none, has passed, or is more than 90 days ahead.",
                _403="The role may not do this (1003).",
                _409="It is not SCHEDULED (4013): it has started or ended, or waits for approval.",
            ),
        },
        examples=[
            OpenApiExample("Later", {"scheduledAt": "2027-01-31T14:00:00Z"}, request_only=True)
        ],
        tags=["messages"],
    )
    def patch(self, request: Request, queue_id: UUID) -> Response:
        broadcast = _found(request, queue_id)
        _require_meant(request)
        fields = validated(request, RescheduleSerializer)
        return following.shown(
            scheduling.reschedule(
                member=member_of(request),
                broadcast=broadcast,
                scheduled_at=fields["scheduledAt"],
                address=address_of(request),
            )
        )


def _found(request: Request, queue_id: UUID) -> Broadcast:
    return get_object_or_404(for_org(request, Broadcast), pk=queue_id)


def _require_meant(request: Request) -> None:
    """Pass unless the address asks for a dry run, which only sending has: it would be done in earnest."""
    if sending.is_dry_run(request):
        raise ValidationError(
            {"dryRun": [_("Only sending has a dry run, and nothing was done. Leave dryRun out.")]}
        )


class RunControlView(OrganizationView):
    """What the verbs without a body share: who may, whose broadcast, and the answer."""

    right = Right.CONTROL_BROADCASTS

    def control(self, request: Request, queue_id: UUID, verb: Callable[..., Broadcast]) -> Response:
        broadcast = _found(request, queue_id)
        _require_meant(request)
        return following.shown(
            verb(member=member_of(request), broadcast=broadcast, address=address_of(request))
        )


def _described(
    name: str,
    summary: str,
    description: str,
    _403: str = "The role may not do this (1003).",
) -> Callable[[Any], Any]:
    return extend_schema(
        operation_id=name,
        summary=summary,
        description=description,
        request=None,
        responses={
            200: BroadcastSerializer,
            **refusals(
                400,
                401,
                403,
                404,
                409,
                429,
                _400="A dry run is asked for, which only sending has.",
                _403=_403,
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


class ApproveView(RunControlView):
    permission_classes = [*RunControlView.permission_classes, AcceptedTerms]
    right = Right.APPROVE_BROADCASTS

    @_described(
        "approveQueue",
        "Approve a broadcast that waits for it",
        "It runs, or is SCHEDULED where its moment is still to come. Another member than the one who sent "
        "it approves; whoever does has accepted the current terms.",
        _403="The role may not do this, or you sent it yourself (1003), or the current terms are not "
        "accepted (1022).",
    )
    def post(self, request: Request, queue_id: UUID) -> Response:
        return self.control(request, queue_id, approvals.approve)


class RejectView(RunControlView):
    right = Right.APPROVE_BROADCASTS

    @_described(
        "rejectQueue",
        "Reject a broadcast that waits for approval",
        "It is CANCELED and nothing of it is handed over. Its messages follow, and their credits come "
        "back. Another member than the one who sent it rejects; the sender cancels it.",
        _403="The role may not do this, or you sent it yourself (1003).",
    )
    def post(self, request: Request, queue_id: UUID) -> Response:
        return self.control(request, queue_id, approvals.reject)


class ResendFailedView(OrganizationView):
    permission_classes = [*OrganizationView.permission_classes, AcceptedTerms]
    right = Right.SEND

    @extend_schema(
        operation_id="resendFailedOfQueue",
        summary="Send what failed of a broadcast once more",
        description=(
            "Makes a new broadcast of the messages that are FAILED or UNDELIVERED, with the same text. Only "
            "once everything of the first is handed over, and once a broadcast: one that was canceled or "
            "rejected, or reached nobody, does not count. It is a send as any other: it costs again, and "
            "opt-outs, blocks, caps and approval hold. Messages of unknown outcome are not sent again: a "
            "person decides about those in the admin."
        ),
        request=None,
        parameters=sending.HEADERS,
        responses={
            201: OpenApiResponse(
                EnqueueResultSerializer, "Accepted; `queueId` is the new broadcast."
            ),
            200: OpenApiResponse(
                EnqueueResultSerializer,
                "None of them may be written to any more; nothing was charged.",
            ),
            **refusals(
                400,
                401,
                402,
                403,
                404,
                409,
                422,
                429,
                _400="The Idempotency-Key is none, or a dry run is asked for, which only sending has; or"
                " no provider carries the text as it is any more (4000 to 4004).",
                _409="Something of it still waits, nothing failed, or it was resent before (4013); or the"
                " first request of this key is still running (4010).",
            ),
        },
        tags=["messages"],
    )
    def post(self, request: Request, queue_id: UUID) -> HttpResponseBase:
        broadcast = _found(request, queue_id)
        _require_meant(request)
        try:
            resent = resending.resend_failed(
                member=member_of(request),
                broadcast=broadcast,
                address=address_of(request),
                once=sending.once_of(request, {}),
            )
        except idempotency.CarriedOutBefore as before:
            return sending.answered(request, before.broadcast, is_replayed=True)
        return sending.answered(request, resent)

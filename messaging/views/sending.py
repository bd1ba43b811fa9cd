"""Sending over HTTP: read the request, call one verb, stream the answer."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from django.http import HttpResponseBase, StreamingHttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    PolymorphicProxySerializer,
    extend_schema,
)
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.doors.addresses import address_of
from accounts.doors.organization import member_of
from accounts.doors.permissions import AcceptedTerms
from accounts.doors.schema import refusals
from accounts.doors.views import OrganizationView, validated
from accounts.roles import Right
from messaging import answers, broadcasts, estimates, idempotency
from messaging.audiences import Audience, Everyone, Numbers, Tagged
from messaging.idempotency import Once
from messaging.models import Broadcast
from messaging.serializers.sending import (
    EnqueueResultSerializer,
    EstimateSerializer,
    SendToAllSerializer,
    SendToContactsSerializer,
    SendToTagsSerializer,
)

_SENT: Final = {
    "queueId": "0d6a8cf9-8d7c-4f27-9a0c-5b8c3f7a6f10",
    "channel": "sms",
    "messages": [
        {"id": "019a3c5e-1f6b-7c60-8f3a-6f0f4f0c1a01", "recipient": "+573001234567"},
        {"id": "019a3c5e-1f6b-7c61-9b2e-0c9d7a1e2b02", "recipient": "+573009876543"},
    ],
}
_NOBODY: Final = {"queueId": "", "channel": "sms", "messages": []}
_ESTIMATED: Final = {
    "audience": 209,
    "recipients": 204,
    "skipped": {"invalid_number": 3, "duplicate": 2},
    "encoding": "GSM-7",
    "segmentsPerMessage": 1,
    "segments": 204,
    "credits": 214,
    "balance": 10_000,
    "balanceAfter": 9_786,
    "byCountry": [
        {"country": "CO", "recipients": 199, "credits": 199},
        {"country": "US", "recipients": 5, "credits": 15},
    ],
    "nonGsmCharacters": [],
    "sampleRecipients": ["+573001234567", "+573009876543"],
    "etaSeconds": 2,
    "confirmToken": "WyI1ZjQ3…:1vN3Xk:4mS…",
    "needsApproval": False,
    "sentLately": [],
}


def once_of(request: Request, fields: dict[str, Any]) -> Once | None:
    """Return the request under its Idempotency-Key, if it has one. Raises: InvalidKey."""
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    return idempotency.once(key=key, method=str(request.method), path=request.path, fields=fields)


def answered(
    request: Request, broadcast: Broadcast, *, is_replayed: bool = False
) -> HttpResponseBase:
    """Return the answer to a send: every message of the broadcast, or none where that is preferred."""
    headers = {"Idempotent-Replayed": "true"} if is_replayed else {}
    if prefers_minimal := _prefers_minimal(request):
        headers["Preference-Applied"] = "return=minimal"
    if not broadcast.messages_total:
        # The broadcast is kept with its skips; only this answer hides its id.
        return Response(_NOBODY, headers=headers)
    if prefers_minimal:
        return Response(
            {"queueId": str(broadcast.pk), "channel": "sms", "messages": []},
            status=201,
            headers=headers,
        )
    return StreamingHttpResponse(
        _written(broadcast), status=201, content_type="application/json", headers=headers
    )


def _prefers_minimal(request: Request) -> bool:
    """Return whether the client asks for a short answer (RFC 7240); of two wishes the first counts."""
    wishes = request.headers.get("Prefer", "").lower().replace('"', "").split(",")
    names = ["".join(wish.partition(";")[0].split()) for wish in wishes]
    return next((name for name in names if name.startswith("return=")), "") == "return=minimal"


def _written(broadcast: Broadcast) -> Iterator[str]:
    # From here on it is accepted, and nothing may say otherwise: a 503 would have it sent twice. Should
    # the database fail, the client has the queue id and a connection that was broken off.
    yield f'{{"queueId":"{broadcast.pk}","channel":"sms","messages":['
    separator = ""
    for page in answers.pages(queue_id=broadcast.pk):
        yield f"{separator}{page}"
        separator = ","
    yield "]}"


def is_dry_run(request: Request) -> bool:
    """Return whether the address asks for a dry run. In doubt nothing is sent."""
    given = {
        name: request.query_params.getlist(name)
        for name in request.query_params
        if name.lower().replace("_", "").replace("-", "") == "dryrun"
    }
    if given in ({}, {"dryRun": ["false"]}):
        return False
    if given == {"dryRun": ["true"]}:
        return True
    raise ValidationError(
        {"dryRun": [_("Write dryRun=true to see what it comes to, or leave it out to send.")]}
    )


class SendView(OrganizationView):
    """What all sends share: who may, in which order it is refused, how it is answered."""

    permission_classes = [*OrganizationView.permission_classes, AcceptedTerms]
    right = Right.SEND

    def send(
        self, request: Request, fields: dict[str, Any], audience: Audience
    ) -> HttpResponseBase:
        asked: dict[str, Any] = {
            "member": member_of(request),
            "audience": audience,
            "text": fields["message"],
            "kind": fields["type"],
            "country": fields["country"],
            "scheduled_at": fields.get("scheduledAt"),
        }
        once = once_of(request, fields)
        if is_dry_run(request):
            return Response(EstimateSerializer(estimates.estimate(**asked)).data)
        try:
            broadcast = broadcasts.send(
                **asked,
                address=address_of(request),
                once=once,
                confirm_token=fields.get("confirmToken"),
            )
        except idempotency.CarriedOutBefore as before:
            return answered(request, before.broadcast, is_replayed=True)
        return answered(request, broadcast)


HEADERS: Final = [
    OpenApiParameter(
        "Idempotency-Key",
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]*[!-~][ -~]*$"},
        OpenApiParameter.HEADER,
        description=(
            "A name of yours for this request, 1 to 255 ASCII characters, kept 24 hours. However "
            "often it is sent, it is carried out once; every further answer is the first one's."
        ),
    ),
    OpenApiParameter(
        "Prefer",
        OpenApiTypes.STR,
        OpenApiParameter.HEADER,
        description="`return=minimal`: `messages` is empty, and all else is equal.",
    ),
    OpenApiParameter(
        "Idempotent-Replayed",
        OpenApiTypes.STR,
        OpenApiParameter.HEADER,
        response=[200, 201],
        description="`true` where the request was carried out before, and this is its answer again.",
    ),
    OpenApiParameter(
        "Preference-Applied",
        OpenApiTypes.STR,
        OpenApiParameter.HEADER,
        response=[200, 201],
        description="`return=minimal` where that was asked for.",
    ),
]
"""What the header of a send may say, and of its answer."""

_DRY_RUN: Final = OpenApiParameter(
    "dryRun",
    OpenApiTypes.BOOL,
    description="`true`: nothing is sent, written or charged; the answer says what it would come to.",
)

_ANSWERED: Final = (
    " Duplicates and numbers that cannot be written to are left out. When this answers, the messages are "
    "recorded and their credits reserved; delivery follows: at once, at `scheduledAt`, or when another "
    "member approves it, where it has more recipients than the organization allows without. The answer "
    "has one entry a message, whatever their number."
)


def _described(
    name: str, summary: str, description: str, request: Any, *statuses: int, **example: Any
) -> Callable[[Any], Any]:
    """Return the schema of one of the doors."""
    return extend_schema(
        operation_id=name,
        summary=summary,
        description=description + _ANSWERED,
        request=request,
        parameters=[_DRY_RUN, *HEADERS],
        responses={
            201: OpenApiResponse(EnqueueResultSerializer, "Accepted."),
            200: OpenApiResponse(
                PolymorphicProxySerializer(
                    component_name="NobodyOrEstimate",
                    serializers=[EnqueueResultSerializer, EstimateSerializer],
                    resource_type_field_name=None,
                ),
                "Nobody can be reached, and nothing was charged; or the answer to a dry run.",
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
                *statuses,
                _402="Not enough credits (3001), or more than a spending cap allows (4020).",
                _409="The first request of this key is still running (4010), the confirm token is void"
                " (4012), or the same text was sent a moment ago (4014).",
            ),
        },
        examples=[
            OpenApiExample(
                summary,
                {
                    "message": "Important! Update on our terms of service.",
                    "type": "SMS",
                    "country": "CO",
                    **example,
                },
                request_only=True,
            ),
            OpenApiExample("Accepted", _SENT, response_only=True, status_codes=["201"]),
            OpenApiExample("Nobody to write to", _NOBODY, response_only=True, status_codes=["200"]),
            OpenApiExample("Dry run", _ESTIMATED, response_only=True, status_codes=["200"]),
        ],
        tags=["messages"],
    )


class SendToAllView(SendView):
    @_described(
        "sendSmsToAll",
        "Send one SMS to all contacts",
        "Accepts the text for every contact that is not deleted.",
        SendToAllSerializer,
    )
    def post(self, request: Request) -> HttpResponseBase:
        return self.send(request, validated(request, SendToAllSerializer), Everyone())


class SendToContactsView(SendView):
    @_described(
        "sendSmsToContacts",
        "Send one SMS to phone numbers",
        "Accepts the text for 1 to 1,000 phone numbers, in the order given. The number of a contact is "
        "linked to it, and its block and its opt-out hold; other numbers are written to as well.",
        SendToContactsSerializer,
        contacts=["+573001234567", "300 987 6543"],
    )
    def post(self, request: Request) -> HttpResponseBase:
        fields = validated(request, SendToContactsSerializer)
        return self.send(request, fields, Numbers(fields["contacts"]))


class SendToTagsView(SendView):
    @_described(
        "sendSmsToTags",
        "Send one SMS to the contacts of tags",
        "Accepts the text for every contact that carries any of the tags and is not deleted.",
        SendToTagsSerializer,
        404,
        tagIds=["6f1c1f0e-7d0a-4b61-9d53-9f5a3f0b8c11"],
    )
    def post(self, request: Request) -> HttpResponseBase:
        fields = validated(request, SendToTagsSerializer)
        return self.send(request, fields, Tagged(fields["tagIds"]))

"""Where carriers call us. Authenticated by the carrier's own signature, never by a sign-in.

The policy, since a carrier's next try hangs on it: no signature of a credential of ours is 403; what is
signed and cannot be read is 400, over the limits 413; all else that is signed is 204, also for messages
nobody knows, so that nothing can be found out here. A database that is away is 503, never 2xx: the
carrier calls again.
"""

from django.conf import settings
from django.http import Http404
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.doors import parsers
from accounts.doors.schema import refusals
from messaging import providers, reports, tasks
from messaging.failpoints import failpoint
from messaging.providers.callbacks import MAX_BODY, Callback


class NotSigned(Exception):
    """No credential of ours signed the callback; nothing was kept."""


class ReportsView(APIView):
    authentication_classes = []
    permission_classes = [AllowAny]  # the carrier's signature decides
    throttle_classes = []

    @extend_schema(
        operation_id="takeDeliveryReports",
        summary="Delivery reports, called by carriers",
        description="Signed by the carrier over the public address of this site and the fields.",
        parameters=[
            OpenApiParameter("m", OpenApiTypes.STR, description="Our message, as we gave it."),
            OpenApiParameter("s", OpenApiTypes.STR, description="Our signature of it."),
        ],
        request={"application/x-www-form-urlencoded": OpenApiTypes.OBJECT},
        responses={
            204: OpenApiResponse(description="Kept."),
            **refusals(
                *(400, 403, 404, 413, 503),
                _403="No account of ours signed it (1003).",
                _413="The body is larger than 64 kB (4042).",
            ),
        },
        auth=[],
        tags=["carriers"],
    )
    def post(self, request: Request, slug: str) -> Response:
        credentials = providers.by_slug(slug)
        if not credentials:
            raise Http404
        callback = _callback(request)
        signer = next((one for one in credentials if one.verify(callback)), None)
        if signer is None:
            raise NotSigned(
                _(
                    "No account of SMS_PROVIDERS signed this. Check that PUBLIC_URL is the address the"
                    " carrier calls, and that the account's token is the current one."
                )
            )
        failpoint("report.after_verify", slug)
        reports.keep(provider=slug, reports=signer.read_reports(callback))
        failpoint("report.after_inbox", slug)
        tasks.wake_reports()
        return Response(status=204)


def _callback(request: Request) -> Callback:
    # What carriers sign is the address that we gave them, whatever proxies made of it since.
    return Callback(
        url=f"{settings.PUBLIC_URL}{request.get_full_path()}",
        headers=request.headers,
        body=parsers.read_body(request._request, request, at_most=MAX_BODY),
        content_type=request.META.get("CONTENT_TYPE", ""),
    )

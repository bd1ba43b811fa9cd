"""Where carriers call us. Authenticated by the carrier's own signature, never by a sign-in.

The policy, since a carrier's next try hangs on it: no signature of a credential of ours is 403; what is
signed and cannot be read is 400, over the limits 413; all else that is signed is 204, also for messages
nobody knows, so that nothing can be found out here. A database that is away is 503, never 2xx: the
carrier calls again.
"""

from collections.abc import Sequence
from typing import Final

from django.conf import settings
from django.http import Http404, HttpResponse
from django.utils.translation import gettext as _
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.permissions import AllowAny
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.views import APIView

from accounts.doors import parsers
from accounts.doors.schema import refusals
from messaging import inbound, providers, reports, tasks
from messaging.failpoints import failpoint
from messaging.providers.base import Provider
from messaging.providers.callbacks import Callback

_BODY: Final = {
    "application/x-www-form-urlencoded": OpenApiTypes.OBJECT,
    "application/json": OpenApiTypes.OBJECT,
}
_ANSWERS: Final = {
    204: OpenApiResponse(description="Kept."),
    **refusals(
        *(400, 403, 404, 413, 503),
        _403="No account of ours signed it (1003).",
        _413="The body is larger than this carrier needs: 64 kB, or what 100 of its reports take (4042).",
    ),
}


class NotSigned(Exception):
    """No credential of ours signed the callback; nothing was kept."""


class _NothingToNegotiate(BaseContentNegotiation):
    """Answers in the view's one format whatever is asked for: a carrier reads the status alone."""

    def select_renderer(  # type: ignore[override]  # the stubs want a tuple of another kind
        self,
        request: Request,  # noqa: ARG002 - DRF's signature
        renderers: Sequence[BaseRenderer],
        format_suffix: str | None = None,  # noqa: ARG002 - DRF's signature
    ) -> tuple[BaseRenderer, str]:
        return renderers[0], str(renderers[0].media_type)


class _CarrierView(APIView):
    """What carriers call: signed by one of our credentials with that carrier, or refused."""

    authentication_classes = []
    content_negotiation_class = _NothingToNegotiate
    permission_classes = [AllowAny]  # the carrier's signature decides
    throttle_classes = []

    def signed(self, request: Request, slug: str) -> tuple[Provider, Callback]:
        """Return the credential whose carrier signed the request, and the request as it was signed.

        Raises: NotSigned, InvalidReport, BodyTooLarge; Http404 for a carrier we have no account with.
        """
        credentials = providers.by_slug(slug)
        if not credentials:
            raise Http404
        callback = _callback(request, at_most=max(one.max_callback for one in credentials))
        signer = next((one for one in credentials if one.verify(callback)), None)
        if signer is None:
            raise NotSigned(
                _(
                    "No account of SMS_PROVIDERS signed this. Check that PUBLIC_URL is the address the"
                    " carrier calls, and that the account's token is the current one."
                )
            )
        failpoint("report.after_verify", request.path)
        return signer, callback


class ReportsView(_CarrierView):
    @extend_schema(
        operation_id="takeDeliveryReports",
        summary="Delivery reports, called by carriers",
        description=(
            "What became of messages. Signed by the carrier: Twilio over the public address of this site"
            " and the fields, others with what was agreed with them. One form is one report; JSON carries"
            " up to 100. Repeats change nothing."
        ),
        parameters=[
            OpenApiParameter("m", OpenApiTypes.STR, description="Our message, as we gave it."),
            OpenApiParameter("s", OpenApiTypes.STR, description="Our signature of it."),
        ],
        request=_BODY,
        responses=_ANSWERS,
        auth=[],
        tags=["carriers"],
    )
    def post(self, request: Request, slug: str) -> HttpResponse:
        signer, callback = self.signed(request, slug)
        reports.keep(provider=signer.name, reports=signer.read_reports(callback))
        failpoint("report.after_inbox", request.path)
        tasks.wake_reports()
        return _kept()


class InboundView(_CarrierView):
    @extend_schema(
        operation_id="takeInboundMessages",
        summary="Messages that people wrote back, called by carriers",
        description=(
            "Signed as delivery reports are. STOP, BAJA, UNSUBSCRIBE and the like are in force for every"
            " organization that has written to the number through that account when this answers; START"
            " lifts what such a word had set. All is kept as evidence, and nothing is sent back."
        ),
        request=_BODY,
        responses=_ANSWERS,
        auth=[],
        tags=["carriers"],
    )
    def post(self, request: Request, slug: str) -> HttpResponse:
        signer, callback = self.signed(request, slug)
        inbound.take(provider=signer.name, messages=signer.read_inbound(callback))
        failpoint("report.after_inbox", request.path)
        return _kept()


def _kept() -> HttpResponse:
    # Without DRF's rendering of nothing: this is answered hundreds of times a second.
    response = HttpResponse(status=204)
    del response["Content-Type"]
    return response


def _callback(request: Request, *, at_most: int) -> Callback:
    # What carriers sign is the address that we gave them, whatever proxies made of it since.
    return Callback(
        url=f"{settings.PUBLIC_URL}{request.get_full_path()}",
        headers=request.headers,
        body=parsers.read_body(request._request, request, at_most=at_most),
        content_type=request.META.get("CONTENT_TYPE", ""),
    )

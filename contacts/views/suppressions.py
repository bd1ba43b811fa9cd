"""Opt-outs over HTTP: listing, adding, lifting."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from django.utils.translation import gettext as _
from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.doors.addresses import address_of
from accounts.doors.organization import for_org, member_of, organization_of
from accounts.doors.pagination import Pages
from accounts.doors.schema import BODY, refusals
from accounts.doors.views import OrganizationView, listed, queried, validated
from accounts.roles import Right
from contacts import directory, suppressions
from contacts.models import Suppression
from contacts.serializers import (
    NamedRecipient,
    RecipientOfSuppression,
    SuppressionFilter,
    SuppressionLifted,
    SuppressionSerializer,
)

_SHOWN: Final = {
    "id": "019a3c5e-1f6b-7c62-8a11-3d5b7c9e1f03",
    "recipient": "+573001234567",
    "source": "MEMBER",
    "createdAt": "2026-01-31T12:00:00.000Z",
}
_LIFTED: Final = OpenApiExample(
    "Lifted",
    {"message": "The number may be written to again.", "id": _SHOWN["id"]},
    response_only=True,
    status_codes=["200"],
)
_NOT_FOUND: Final = "Your organization has no such opt-out (1005)."
_OWNERS_LIFT: Final = "Only an owner lifts opt-outs (1003)."


class SuppressionView(OrganizationView):
    """What the views of opt-outs share: who may what, and lifting one."""

    right = Right.READ
    rights = {"POST": Right.ADD_SUPPRESSIONS, "DELETE": Right.LIFT_SUPPRESSIONS}

    def lift(self, request: Request, found: QuerySet[Suppression]) -> Response:
        suppression = get_object_or_404(found.select_related("organization"))
        suppression_id = suppression.pk
        suppressions.lift(
            suppression=suppression, member=member_of(request), address=address_of(request)
        )
        return Response({"message": _("The number may be written to again."), "id": suppression_id})


class SuppressionsView(SuppressionView):
    pagination_class = Pages

    @extend_schema(
        operation_id="listSuppressions",
        summary="List opt-outs",
        parameters=[SuppressionFilter],
        responses={200: SuppressionSerializer(many=True), **refusals(400, 401, 403, 429)},
        tags=["opt-outs"],
    )
    def get(self, request: Request) -> Response:
        fields = queried(request, SuppressionFilter)
        rows = for_org(request, Suppression)
        if "source" in fields:
            rows = rows.filter(source=fields["source"])
        if "recipient" in fields:
            country = organization_of(request).country
            rows = rows.filter(
                directory.is_number(fields["recipient"], country, column="recipient")
            )
        return listed(request, rows, SuppressionSerializer)

    @extend_schema(
        operation_id="addSuppression",
        summary="Opt a number out",
        description=(
            "Stops everything to this number, from the next hand-over on, also what was accepted before. "
            "Doing it again changes nothing and answers alike. A national number is read with your "
            "organization's country."
        ),
        request=RecipientOfSuppression,
        responses={
            201: SuppressionSerializer,
            **refusals(
                *BODY,
                401,
                403,
                429,
                _400="`recipient` is no phone number (2004), or missing (4000).",
                _403="The role may not add opt-outs (1003).",
            ),
        },
        examples=[
            OpenApiExample("A number", {"recipient": "+57 300 123 4567"}, request_only=True),
            OpenApiExample("Opted out", _SHOWN, response_only=True, status_codes=["201"]),
        ],
        tags=["opt-outs"],
    )
    def post(self, request: Request) -> Response:
        fields = validated(request, RecipientOfSuppression)
        suppression = suppressions.add(
            organization=organization_of(request),
            recipient=fields["recipient"],
            source=Suppression.Source.MEMBER,
            member=member_of(request),
            address=address_of(request),
        )
        return Response(SuppressionSerializer(suppression).data, status=201)

    @extend_schema(
        operation_id="liftSuppressionOfRecipient",
        summary="Lift the opt-out of a number",
        parameters=[NamedRecipient],
        responses={
            200: SuppressionLifted,
            **refusals(
                400,
                401,
                403,
                404,
                429,
                _400="`recipient` is no phone number (2004), or missing (4000).",
                _403=_OWNERS_LIFT,
                _404=_NOT_FOUND,
            ),
        },
        examples=[_LIFTED],
        tags=["opt-outs"],
    )
    def delete(self, request: Request) -> Response:
        written = queried(request, NamedRecipient)["recipient"]
        country = organization_of(request).country
        recipient = suppressions.require_recipient(written, country=country)
        return self.lift(request, for_org(request, Suppression).filter(recipient=recipient))


class OneSuppressionView(SuppressionView):
    @extend_schema(
        operation_id="liftSuppression",
        summary="Lift an opt-out",
        responses={
            200: SuppressionLifted,
            **refusals(401, 403, 404, 429, _403=_OWNERS_LIFT, _404=_NOT_FOUND),
        },
        examples=[_LIFTED],
        tags=["opt-outs"],
    )
    def delete(self, request: Request, suppression_id: UUID) -> Response:
        return self.lift(request, for_org(request, Suppression).filter(pk=suppression_id))

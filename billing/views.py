"""Credits over HTTP: the balance, and every movement of it."""

from drf_spectacular.utils import OpenApiExample, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.doors.organization import for_org, organization_of
from accounts.doors.pagination import Pages
from accounts.doors.schema import refusals
from accounts.doors.views import OrganizationView, listed, queried
from accounts.roles import Right
from billing import ledger
from billing.models import LedgerEntry
from billing.serializers import BalanceSerializer, EntryFilter, EntrySerializer


class BalanceView(OrganizationView):
    right = Right.READ

    @extend_schema(
        operation_id="getCredits",
        summary="Show the balance",
        responses={200: BalanceSerializer, **refusals(401, 403, 429)},
        examples=[
            OpenApiExample(
                "While a broadcast runs",
                {"balance": 9_900, "reserved": 104, "available": 9_796},
                response_only=True,
                status_codes=["200"],
            )
        ],
        tags=["credits"],
    )
    def get(self, request: Request) -> Response:
        balance = ledger.balance(organization_of(request).pk)
        return Response(BalanceSerializer(balance).data)


class LedgerView(OrganizationView):
    right = Right.READ
    pagination_class = Pages

    @extend_schema(
        operation_id="listLedgerEntries",
        summary="List the movements of credits",
        description="Newest first. The sum of all entries is the balance.",
        parameters=[EntryFilter],
        responses={200: EntrySerializer(many=True), **refusals(400, 401, 403, 429)},
        tags=["credits"],
    )
    def get(self, request: Request) -> Response:
        entries = for_org(request, LedgerEntry, path="account__organization")
        return listed(request, entries.filter(**queried(request, EntryFilter)), EntrySerializer)
